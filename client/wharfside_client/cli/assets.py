"""`bootstrap`, and how the outcome of setting things up is told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from wharfside_client.cli import exitcodes
from wharfside_client.cli.command import command
from wharfside_client.cli.output import Column
from wharfside_client.cli.session import Session

if TYPE_CHECKING:
    from wharfside_client.assets import AssetReport, Difference

COLUMNS = (Column("ASSET", "bold"), Column("KIND"), Column("OUTCOME", "cyan"))


def register(app: typer.Typer) -> None:
    command(app, "bootstrap")(bootstrap)


async def bootstrap(
    session: Session,
    replicas: Annotated[
        int | None,
        typer.Option("--replicas", min=1, max=5, help="Of each stream, in a cluster [3]"),
    ] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Make the lost mailboxes of all nodes again, too")
    ] = False,
) -> int:
    """Make and update the streams and buckets; run it as often as you like.

    Exits 1 where something cannot be made, or is wrong and cannot be changed (drift).
    """
    async with session.connect() as w:
        reports = await w.setup.bootstrap(replicas)
        if repair:
            reports += await w.setup.repair()
    return tell_assets(session, reports)


def tell_assets(session: Session, reports: Sequence[AssetReport]) -> int:
    """Prints what became of each asset; the status says whether all is well."""
    output = session.output
    if output.json:
        output.document(list(reports))
    else:
        output.table(COLUMNS, [(r.name, r.kind, str(r.outcome)) for r in reports])
        for report in reports:
            if report.why is not None:
                output.warn(f"{report.name} cannot be made: {report.why}")
            for change in report.changed:
                output.line(f"{report.name}: {_words(change)}")
            for drift in report.drift:
                output.warn(f"{report.name}: {_words(drift)} is refused: {drift.why}")
    wrong = any(report.drift or report.why for report in reports)
    return exitcodes.REFUSED if wrong else exitcodes.OK


def _words(difference: Difference) -> str:
    was, should = json.dumps(difference.was), json.dumps(difference.should)
    return f"{difference.setting} {was} -> {should}"
