"""`audit`: who did what on the nodes, and who was denied it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from wharfside_client.cli import parse
from wharfside_client.cli.command import command
from wharfside_client.cli.output import Column
from wharfside_client.cli.places import NodeOrAll
from wharfside_client.cli.session import Session

if TYPE_CHECKING:
    from wharfside_client.client import Wharfside
    from wharfside_protocol.event_facts import AuditRecord

COLUMNS = (
    Column("UTC"),
    Column("NODE", "bold", grows=True),
    Column("ACTOR", "cyan", grows=True),
    Column("PROOF"),
    Column("OP"),
    Column("CONTAINER", grows=True),
    Column("OUTCOME", grows=True),
)


class Told(NamedTuple):
    node: str
    record: AuditRecord


def register(app: typer.Typer) -> None:
    command(app, "audit")(audit)


async def audit(
    session: Session,
    node: NodeOrAll = None,
    since: Annotated[
        str, typer.Option("--since", metavar="SEQ|TIME", help="10m ago, an RFC 3339 time, ...")
    ] = "24h",
    last: Annotated[
        int, typer.Option("--last", "-n", min=0, metavar="COUNT", help="So many; 0: all")
    ] = 100,
    actor: Annotated[
        str | None, typer.Option("--actor", metavar="NAME", help="Only of this one")
    ] = None,
    denied: Annotated[bool, typer.Option("--denied", help="Only what was denied")] = False,
) -> None:
    """Tell who did what: commands that act, with what came of them, the last one last.

    A signature proves the actor (PROOF: signed); else it is what the caller says of itself.
    Times are the nodes'.
    To follow them: `wharfside events -f --type audit`.
    """
    try:
        begin = parse.since(since)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--since") from error
    found: deque[Told] = deque(maxlen=last or None)
    async with session.connect() as w:
        async for told in _records(w, node, begin):
            wanted = actor in (None, told.record.actor)
            if wanted and (told.record.outcome == "denied" or not denied):
                found.append(told)
    if session.output.json:
        from wharfside_client.cli.plain import to_json

        session.output.document([{"node": each.node, **to_json(each.record)} for each in found])
    else:
        session.output.table(COLUMNS, [_row(each) for each in found])


async def _records(w: Wharfside, node: str | None, begin: int | str) -> Any:
    from wharfside_client.history import EventFilter, facts_of
    from wharfside_protocol.event_facts import Audit
    from wharfside_protocol.events import EventType
    from wharfside_protocol.subjects import NODE_TOKEN

    wanted = EventFilter(node=node or "*", container=NODE_TOKEN, type=EventType.AUDIT)
    async for _seq, event in w.history(begin, wanted=wanted):
        facts = facts_of(event)
        assert isinstance(facts, Audit)
        for record in facts.records:
            yield Told(event.node, record)


def _row(told: Told) -> Sequence[str]:
    record = told.record
    return (
        record.at[5:19].replace("T", " "),
        told.node,
        record.actor or "-",
        "signed" if record.proven else "-",
        record.op,
        record.container or "-",
        outcome_words(record.outcome, record.rule, record.count),
    )


def outcome_words(outcome: str, rule: str | None, count: int) -> str:
    """`ok`, `denied (trust.keys) x40`."""
    because = f" ({rule})" if rule else ""
    return f"{outcome}{because}{f' x{count}' if count > 1 else ''}"
