"""Bytes to a node and its answer, once, with no library in between that would repair or repeat."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgpack
import msgspec
import nats
from nats.aio.client import Client
from tests.integration.bounds import BOUND_S

from wharfside_client.node import open_result
from wharfside_protocol.codec import decode, to_plain
from wharfside_protocol.commands import CreateArgs, CreateValue
from wharfside_protocol.envelope import Command, Expect, Result
from wharfside_protocol.subjects import Subjects


def new_id() -> str:
    return f"test-{secrets.token_hex(8)}"


@dataclass(frozen=True)
class Raw:
    client: Client
    subjects: Subjects

    async def send(
        self, subject: str, data: bytes, headers: dict[str, str] | None = None
    ) -> Result:
        """The one answer to `data`."""
        answer = await self.client.request(subject, data, timeout=BOUND_S, headers=headers)
        return decode(answer.data, Result)

    async def to(
        self, node: str, op: str, data: bytes, headers: dict[str, str] | None = None
    ) -> Result:
        """`op` stands in the subject as it is, whether or not it is one."""
        return await self.send(f"{self.subjects.prefix}.rpc.{node}.{op}", data, headers)

    async def command(
        self,
        node: str,
        op: str,
        args: Mapping[str, Any],
        *,
        id: str | None = None,
        deadline: str | None = None,
        expect: Expect | None = None,
    ) -> Result:
        """A good envelope around `args`, which may be anything."""
        command = Command(id=id or new_id(), op=op, node=node, deadline=deadline, expect=expect)
        # Packed by hand: the codec would refuse on this side already what the node must refuse.
        plain = msgspec.to_builtins(command) | {"args": dict(args)}
        return await self.to(node, op, msgpack.packb(plain))


@asynccontextmanager
async def open_raw(url: str) -> AsyncIterator[Raw]:
    client = await nats.connect(url)
    try:
        yield Raw(client, Subjects())
    finally:
        await client.close()


async def run_once(url: str, node: str, spec: CreateArgs) -> CreateValue:
    """Our client would repeat what a node is too busy for, as long as the call may take."""
    async with open_raw(url) as raw:
        return open_result(await raw.command(node, "run", to_plain(spec)), CreateValue)
