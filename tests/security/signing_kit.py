"""Keys, nodes that trust them, and commands signed by hand."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nkeys import PREFIX_BYTE_USER, encode_seed
from tests.integration.raw import Raw, new_id

from wharfside_client import Node, ServerSettings, Wharfside, connect
from wharfside_protocol.codec import convert, encode, to_plain
from wharfside_protocol.digest import command_digest
from wharfside_protocol.envelope import Command, Result
from wharfside_protocol.errors import ErrorCode
from wharfside_protocol.event_facts import Audit, AuditRecord
from wharfside_protocol.events import Event, EventType
from wharfside_protocol.records import Record
from wharfside_protocol.signing import Signer
from wharfside_protocol.times import NANOSECONDS, to_timestamp


@dataclass(frozen=True)
class Key:
    """An actor's; `file` is what --sign-key takes."""

    actor: str
    file: Path

    @property
    def signer(self) -> Signer:
        return Signer(self.file.read_text().strip())

    @property
    def trusted(self) -> str:
        return f'{{ key = "{self.signer.key}", actor = "{self.actor}", role = "deployer" }}'


def make_key(folder: Path, actor: str) -> Key:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{actor}.nk"
    file.write_text(encode_seed(actor.encode().ljust(32), PREFIX_BYTE_USER).decode())
    return Key(actor, file)


def trust(*keys: Key, require: str = "changes") -> str:
    """The table of an agent's settings."""
    listed = ", ".join(key.trusted for key in keys)
    return f'\n[trust]\nrequire = "{require}"\nkeys = [{listed}]\n'


@asynccontextmanager
async def signing(url: str, key: Key) -> AsyncIterator[Wharfside]:
    """A client that signs."""
    async with connect(ServerSettings(servers=(url,), sign_key=str(key.file))) as fleet:
        yield fleet


@asynccontextmanager
async def signing_node(url: str, key: Key, node: str) -> AsyncIterator[Node]:
    async with signing(url, key) as fleet:
        yield fleet.node(node)


def in_seconds(seconds: float) -> str:
    return to_timestamp(time.time_ns() + int(seconds * NANOSECONDS))


def make(node: str, op: str, args: Record | dict[str, Any], **others: Any) -> Command:
    plain = args if isinstance(args, dict) else to_plain(args)
    others.setdefault("deadline", in_seconds(120))
    return Command(id=new_id(), op=op, node=node, args=plain, **others)


def signed(key: Key, command: Command) -> dict[str, str]:
    return key.signer.headers(command, command_digest(command.op, command.args), time.time_ns())


async def send(raw: Raw, command: Command, headers: dict[str, str] | None) -> Result:
    """As it is, once, to the node and op that it names."""
    return await raw.to(command.node, command.op, encode(command), headers)


def rule_of(result: Result) -> str:
    """The rule that denied it."""
    assert result.error is not None, result
    assert result.error.code is ErrorCode.DENIED, result.error
    return str(result.error.details["rule"])


def audited(events: list[Event], node: str) -> list[AuditRecord]:
    """All that the node has told of commands so far."""
    told = [event.data for event in events if event.node == node and event.type == EventType.AUDIT]
    return [record for data in told for record in convert(data, Audit).records]
