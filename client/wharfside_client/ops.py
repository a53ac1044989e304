"""What every group of a node's ops stands on: the calls that `Node` makes for it."""

from __future__ import annotations

from typing import TypeVar, Unpack

from wharfside_client.calls import Options
from wharfside_client.session import Asked, Session
from wharfside_protocol.records import Record

V = TypeVar("V", bound=Record)


class Ops:
    """See `Node` for what every call takes and raises."""

    async def _call(self, op: str, args: Record, value: type[V], options: Options) -> V:
        raise NotImplementedError

    def session(self, op: str, args: Asked, **options: Unpack[Options]) -> Session:
        raise NotImplementedError
