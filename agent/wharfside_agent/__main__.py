"""`python -m wharfside_agent` is `wharfside-agent`."""

from wharfside_agent.cli import main

main()
