"""A node that is a plain subscription of nats-py, and answers as the test says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import nats
from nats.aio.msg import Msg
from tests.integration.client_kit import TIME
from tests.support.nats_server import NatsServer

from wharfside_protocol.codec import decode, encode, to_plain
from wharfside_protocol.envelope import Command, Result
from wharfside_protocol.errors import Busy
from wharfside_protocol.node_commands import Pong

Answer = Callable[[Command, int], Result | None]


def pong(command: Command) -> Result:
    value = to_plain(Pong(node=command.node, at=TIME, epoch=1))
    return Result(id=command.id, op=command.op, node=command.node, ok=True, value=value)


def busy(command: Command) -> Result:
    error = Busy("too much to do").to_body()
    return Result(id=command.id, op=command.op, node=command.node, ok=False, error=error)


class Responder:
    """Answers n1's commands as told; keeps them."""

    def __init__(self, answer: Answer) -> None:
        self.commands: list[Command] = []
        self._answer = answer

    async def receive(self, msg: Msg) -> None:
        command = decode(msg.data, Command)
        self.commands.append(command)
        result = self._answer(command, len(self.commands))
        if result is not None:
            await msg.respond(encode(result))


@asynccontextmanager
async def responding(server: NatsServer, answer: Answer) -> AsyncIterator[Responder]:
    connection = await nats.connect(server.url, reconnect_time_wait=0.1)
    responder = Responder(answer)
    await connection.subscribe("wharfside.v1.rpc.n1.*", cb=responder.receive)
    await connection.flush()
    try:
        yield responder
    finally:
        await connection.close()
