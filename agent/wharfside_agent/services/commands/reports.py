"""What is told on `res` of a durable command: made here, sent by the reporter."""

from __future__ import annotations

from wharfside_agent.ports.rows import CommandRow, ReportKind, ReportRow
from wharfside_protocol.codec import encode
from wharfside_protocol.envelope import Accepted
from wharfside_protocol.times import to_timestamp


def accepted_report(row: CommandRow, node: str) -> ReportRow:
    """That the command is in the store, and which one it is: its digest."""
    told = Accepted(
        id=row.id,
        op=row.op,
        node=node,
        digest=row.digest,
        received_at=to_timestamp(row.received_at),
    )
    return ReportRow(
        command=row.id, kind=ReportKind.ACCEPTED, payload=encode(told), trace=row.trace
    )


def result_report(row: CommandRow) -> ReportRow:
    """The stored result, as it is."""
    assert row.result is not None
    return ReportRow(command=row.id, kind=ReportKind.RESULT, payload=row.result, trace=row.trace)
