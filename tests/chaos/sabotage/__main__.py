"""Breaks the classes that the agent is made of, and then runs it as ever."""

from __future__ import annotations

import sys

from tests.chaos.sabotage.acts import ACTS

from wharfside_agent.cli import main

if __name__ == "__main__":
    ACTS[sys.argv.pop(1)]()
    main()
