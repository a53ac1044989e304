"""Whether a container can be checkpointed now, and if not, why."""

from __future__ import annotations

from wharfside_agent.core.lifecycle import Input, advance
from wharfside_agent.services.life.live import Live
from wharfside_protocol.checkpoints import CheckpointArgs
from wharfside_protocol.errors import Unsupported, WrongState
from wharfside_protocol.migration import MigrateArgs
from wharfside_protocol.views import CriuInfo


def check_fit(live: Live, args: CheckpointArgs | MigrateArgs, criu: CriuInfo) -> None:
    """
    Raises:
        Unsupported: it was not made for it, or the node cannot.
        WrongState: as `check_state`.
    """
    row = live.row
    if not row.spec.checkpointable:
        raise Unsupported(
            f"{row.name} was not made for checkpoints: create it with `checkpointable` "
            f"(it runs on {row.runtime})"
        )
    if not criu.usable:
        raise Unsupported(f"this node cannot checkpoint: {criu.says}")
    if args.pre_dump and not criu.pre_dump:
        raise Unsupported(
            "pre_dump: this node's kernel does not track written memory "
            "(`criu check --feature mem_dirty_track`); take the checkpoint without it"
        )
    check_state(live)


def check_state(live: Live) -> None:
    """Raises WrongState: it does not run, is about to end, or has execs that run."""
    row = live.row
    advance(row.state, Input.CHECKPOINT, row.name)
    if row.end_asked is not None:
        raise WrongState(f"{row.name} is about to end", state=str(row.state))
    running = [each.row.process for each in live.execs if each.row.exit is None]
    if running:
        raise WrongState(
            f"{row.name} has execs that run ({', '.join(running[:5])}): they would not be "
            "in the checkpoint; wait for them, or signal them",
            state=str(row.state),
        )
