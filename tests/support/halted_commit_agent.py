"""An agent that is broken on purpose: it halts before it commits a checkpoint, until it is let go.

python tests/support/halted_commit_agent.py run --config FILE

HALT names a folder with two FIFOs: it writes a line to `ready`, and reads one from `go`.
"""

import asyncio
import os
from pathlib import Path
from typing import Any

from wharfside_agent.cli import main
from wharfside_agent.services.checkpoints.outcomes import Outcomes
from wharfside_protocol.checkpoints import CheckpointValue

_commit = Outcomes.taken


def _halt() -> None:
    folder = Path(os.environ["HALT"])
    (folder / "ready").write_text("halted\n")
    with (folder / "go").open() as go:
        go.readline()


async def _halted(self: Outcomes, *args: Any) -> CheckpointValue:
    await asyncio.to_thread(_halt)
    return await _commit(self, *args)


Outcomes.taken = _halted  # type: ignore[method-assign, assignment]

main()
