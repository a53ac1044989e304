"""`exec` in the foreground over a real server; what it is coupled to is made by the test."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
from collections.abc import AsyncIterator

import pytest
from tests.integration.bounds import bounded
from tests.integration.cli_kit import COMMAND, ENTRY, environment
from tests.integration.session_kit import EXIT, OVER, Pipe, PlayedNode, Script, piece, played_node
from tests.support.eventually import eventually
from tests.support.nats_server import NatsServer
from tests.support.requirements import requires
from tests.support.screen import open_screen

from wharfside_agent.ports.io import Missing, Piece
from wharfside_protocol.io_frames import Chunk, StreamName

pytestmark = requires("nats-server")

DETACH = b"\x10\x11"


class Cat(Pipe):
    """Ends as a process does, once its input has ended and all of it has come out."""

    def __init__(self) -> None:
        super().__init__()
        self._told = False

    async def read(self, most: int) -> object:  # type: ignore[override]
        found = await super().read(most)
        if found is None and not self._told:
            self._told = True
            return OVER
        return found


@pytest.fixture
async def node(nats_server: NatsServer) -> AsyncIterator[PlayedNode]:
    async with played_node(nats_server.url) as node:
        yield node


async def start(
    server: NatsServer, *arguments: str, stdin: int = subprocess.DEVNULL
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *COMMAND,
        "exec",
        *arguments,
        "n1/web",
        "program",
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(server.url),
    )


async def read(stream: asyncio.StreamReader | None, count: int) -> bytes:
    assert stream is not None
    return await bounded(stream.readexactly(count), f"{count} bytes of output")


async def end(process: asyncio.subprocess.Process) -> tuple[int | None, str, str]:
    out, err = await bounded(process.communicate(), "the end")
    return process.returncode, out.decode(), err.decode()


def on_stderr(data: bytes) -> Piece:
    return Piece([Chunk(stream=StreamName.STDERR, data=data)])


async def test_each_stream_comes_as_it_is_written_and_the_exit_code_at_the_end(
    nats_server: NatsServer, node: PlayedNode
) -> None:
    source = Script(piece(b"no newline"))
    node.carries("job", source)
    process = await start(nats_server, "--id", "job")
    assert await read(process.stdout, 10) == b"no newline"
    source.give(on_stderr(b"oh"))
    assert await read(process.stderr, 2) == b"oh"
    for item in (Missing(7), piece(b"\xff\x00"), OVER, None):
        source.give(item)
    assert await read(process.stdout, 2) == b"\xff\x00"
    assert await end(process) == (
        EXIT.exit_code,
        "",
        "wharfside: 7 bytes of output are lost here\n",
    )


async def test_piped_input_goes_through_and_its_end_is_told(
    nats_server: NatsServer, node: PlayedNode
) -> None:
    data = random.Random(3).randbytes(1_000_000) + DETACH  # which are keys on a terminal alone
    cat = Cat()
    node.carries("cat", cat, cat)
    process = await start(nats_server, "-i", "--id", "cat", stdin=subprocess.PIPE)
    out, err = await bounded(process.communicate(data), "the end")
    assert (process.returncode, err) == (EXIT.exit_code, b"")
    assert out == data


async def test_without_i_nothing_is_read_and_nothing_is_written(
    nats_server: NatsServer, node: PlayedNode
) -> None:
    node.carries("job", Script(OVER, None))
    reading, writing = os.pipe()
    try:
        process = await start(nats_server, "--id", "job", stdin=reading)
        os.write(writing, b"for the next command")
        assert (await end(process))[0] == EXIT.exit_code
        assert os.read(reading, 100) == b"for the next command"
    finally:
        os.close(reading)
        os.close(writing)


async def test_what_is_typed_in_a_terminal_goes_raw_and_keys_leave_it(
    nats_server: NatsServer, node: PlayedNode
) -> None:
    tty = Pipe()
    node.carries("sh", tty, tty, tty=True)
    async with open_screen(
        ENTRY, ["exec", "-it", "--id", "sh", "n1/web", "sh"], env=environment(nats_server.url)
    ) as screen:
        before = screen.modes
        await screen.made_raw()
        screen.send(b"a\x03\x1a\x10b\r\n")
        await screen.until(lambda: screen.raw.endswith(b"a\x03\x1a\x10b\r\n"), "all of it")
        screen.resize(50, 200)
        await eventually(lambda: tty.calls, "the new size")
        assert tty.calls == [("resize", 50, 200)]
        screen.send(b"!" + DETACH)
        assert await screen.ended() == 0
        assert screen.modes == before
        assert "detached: n1/web goes on" in screen.text
        assert "`wharfside attach --process sh n1/web`" in screen.text
    assert DETACH not in screen.raw
    await node.ended()


async def test_other_detach_keys_and_none(nats_server: NatsServer, node: PlayedNode) -> None:
    typed = Pipe()
    node.carries("sh", Script(), typed, tty=True)
    url = nats_server.url
    keys = ["exec", "-it", "--id", "sh", "--detach-keys", "ctrl-x,x", "n1/web", "sh"]
    async with open_screen(ENTRY, keys, env=environment(url)) as screen:
        await screen.made_raw()
        screen.send(DETACH + b"-\x18x")
        assert await screen.ended() == 0
    found = await typed.read(100)
    assert isinstance(found, Piece)
    assert found.chunks[0].data == DETACH + b"-"
    ends = Cat()
    node.carries("cat", ends, ends, tty=True)
    keys = ["exec", "-it", "--id", "cat", "--detach-keys", "", "n1/web", "cat"]
    async with open_screen(ENTRY, keys, env=environment(url)) as screen:
        await screen.made_raw()
        screen.send(DETACH + b"-")
        await screen.until(lambda: DETACH + b"-" in screen.raw, "what was typed")
        await ends.eof()
        assert await screen.ended() == EXIT.exit_code


@pytest.mark.parametrize("flags", [("--no-sig-proxy",), ("-it",)])
async def test_a_signal_that_is_not_passed_on_leaves_the_process(
    nats_server: NatsServer, node: PlayedNode, flags: tuple[str, ...]
) -> None:
    tty = Pipe()
    node.carries("sh", tty, tty, tty="-it" in flags)
    arguments = ["exec", *flags, "--id", "sh", "n1/web", "sh"]
    async with open_screen(ENTRY, arguments, env=environment(nats_server.url)) as screen:
        before = screen.modes
        await tty.write(b"ready")
        await screen.shows("ready")
        assert screen.process is not None
        screen.process.send_signal(signal.SIGTERM)
        assert await screen.ended() == 128 + signal.SIGTERM
        assert screen.modes == before
        assert "left as it is" in screen.text


async def test_a_terminal_cannot_be_typed_into_from_a_pipe(
    nats_server: NatsServer, node: PlayedNode
) -> None:
    code, out, err = await end(await start(nats_server, "-it", "--id", "sh"))
    assert (code, out) == (125, "")
    assert "stdin is no terminal here" in err
    assert node.asked == []


async def test_a_reader_that_has_seen_enough_ends_it_in_silence(
    nats_server: NatsServer, node: PlayedNode
) -> None:
    source = Script(piece(b"head\n"))
    node.carries("job", source)
    process = await start(nats_server, "--id", "job")
    assert await read(process.stdout, 5) == b"head\n"
    process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined]
    source.give(piece(b"more\n"))
    await bounded(process.wait(), "the end")
    assert process.returncode == 141
    assert process.stderr is not None
    assert await bounded(process.stderr.read(), "stderr") == b""


async def test_a_restart_of_the_server_is_ridden_out(
    nats_server: NatsServer, node: PlayedNode
) -> None:
    cat = Cat()
    node.carries("cat", cat, cat)
    process = await start(nats_server, "-i", "--id", "cat", stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(b"before")
    assert await read(process.stdout, 6) == b"before"
    await asyncio.to_thread(nats_server.restart)
    process.stdin.write(b"after")
    process.stdin.write_eof()
    assert await read(process.stdout, 5) == b"after"
    assert await end(process) == (EXIT.exit_code, "", "")


async def test_input_that_an_agent_took_with_it_is_told_with_125(nats_server: NatsServer) -> None:
    cat = Cat()
    async with played_node(nats_server.url) as node:
        node.carries("cat", cat, cat)
        process = await start(nats_server, "-i", "--id", "cat", stdin=subprocess.PIPE)
        assert process.stdin is not None
        process.stdin.write(b"before")
        assert await read(process.stdout, 6) == b"before"
    async with played_node(nats_server.url):
        process.stdin.write(b"after")
        code, out, err = await end(process)
    assert (code, out) == (125, "")
    assert "come back with `wharfside attach --process cat n1/web`" in err
