"""`checkpoint prune`: checkpoints that nobody needs any more, chosen and removed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from wharfside_client.cli import exitcodes, parse, words
from wharfside_client.cli.command import command
from wharfside_client.cli.places import NodeOrTarget
from wharfside_client.cli.session import Session

if TYPE_CHECKING:
    from wharfside_client.node import Node
    from wharfside_protocol.checkpoints import CheckpointView


def register(app: typer.Typer) -> None:
    command(app, "prune")(prune)


async def prune(
    session: Session,
    place: NodeOrTarget,
    keep: Annotated[
        int, typer.Option("--keep", min=0, metavar="NUMBER", help="Of each container the newest")
    ] = 0,
    older: Annotated[
        float | None,
        typer.Option(
            "--older", parser=parse.duration, metavar="TIME", help="Taken so long ago: 24h"
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--force", "-f", help="Do not ask")] = False,
) -> int:
    """Remove checkpoints of a node, or of one container: all, the broken, or the older ones.

    One whose format the node does not read, since another version wrote it, is left alone.
    """
    from wharfside_protocol.times import NANOSECONDS

    node_name, _, container = place.partition("/")
    async with session.connect() as w:
        node = w.node(node_name)
        found = (await node.checkpoints(container or None, **session.options)).checkpoints
        before = None if older is None else time.time_ns() - int(older * NANOSECONDS)
        gone = prunable(found, keep, before)
        if gone and not yes and not _agreed(len(gone), node_name):
            return 1
        kept = [each for each in gone if not await _removed(node, each, session)]
    _tell(session, [each for each in gone if each not in kept], kept, _foreign(found))
    return exitcodes.OK


def _tell(
    session: Session,
    gone: Sequence[CheckpointView],
    in_use: Sequence[CheckpointView],
    other_format: Sequence[CheckpointView],
) -> None:
    freed = sum(each.bytes for each in gone)
    if session.output.json:
        document = {"removed": gone, "bytes": freed, "in_use": in_use, "other_format": other_format}
        session.output.document(document)
        return
    session.output.line(f"{words.size(freed)} freed")
    for each in other_format:
        _tell_left(session, each, each.broken or "")


def _tell_left(session: Session, view: CheckpointView, why: str) -> None:
    session.output.warn(f"{view.checkpoint} of {view.incarnation} is left alone: {why}")


def _foreign(found: Sequence[CheckpointView]) -> list[CheckpointView]:
    return [each for each in found if each.other_format is not None]


async def _removed(node: Node, view: CheckpointView, session: Session) -> bool:
    """False: somebody goes on from it now, and it is left alone."""
    from wharfside_protocol.errors import Busy, WrongState

    # One that is broken tells no container; any name does, since the incarnation decides.
    container = view.container or "unknown"
    try:
        await node.delete_checkpoint(
            container, view.checkpoint, incarnation=view.incarnation, **session.options
        )
    except (Busy, WrongState) as error:
        if not session.output.json:
            _tell_left(session, view, error.message)
        return False
    if not session.output.json:
        session.output.line(f"{node.name}/{view.container or '?'} {view.checkpoint}")
    return True


def prunable(
    found: Sequence[CheckpointView], keep: int, before: int | None
) -> list[CheckpointView]:
    """Of `found`, oldest first: all taken `before`, in nanoseconds, but of each incarnation the
    newest `keep`. What is broken serves nobody, and goes in any case; what another version wrote
    serves an agent of that."""
    from wharfside_protocol.times import from_timestamp

    seen: Counter[str] = Counter()
    gone = []
    for each in reversed(found):
        if each.other_format is not None:
            continue
        if each.broken is None:
            seen[each.incarnation] += 1
            young = before is not None and from_timestamp(each.timestamp or "") > before
            if seen[each.incarnation] <= keep or young:
                continue
        gone.append(each)
    return gone[::-1]


def _agreed(count: int, node: str) -> bool:
    return typer.confirm(f"Remove {count} checkpoints of {node}?", err=True)
