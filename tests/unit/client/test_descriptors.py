"""Stdin and stdout in the loop: of every kind, never blocking it, never changed for others."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from tests.integration.bounds import bounded

from wharfside_client.cli.descriptors import Input, Output
from wharfside_client.cli.errors import LocalFailed

BIG = os.urandom(300_000)  # more than a pipe or a terminal holds


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def open_pair(kind: str, stack: ExitStack) -> tuple[int, int]:
    """A reading and a writing end, as a shell or a parent process would hand them down."""
    if kind == "pipe":
        ends = os.pipe()
        for fd in ends:
            stack.callback(os.close, fd)
        return ends
    ours, theirs = socket.socketpair()
    stack.enter_context(ours)
    stack.enter_context(theirs)
    return ours.fileno(), theirs.fileno()


@pytest.mark.parametrize("kind", ["pipe", "socket"])
async def test_more_than_fits_comes_whole_while_the_loop_goes_on(
    kind: str, stack: ExitStack
) -> None:
    reading, writing = open_pair(kind, stack)
    before = os.get_blocking(reading), os.get_blocking(writing)
    ours_in = stack.enter_context(closing(Input(reading)))
    ours_out = stack.enter_context(closing(Output(writing)))
    sending = asyncio.create_task(ours_out.write(BIG))
    got = b""
    while len(got) < len(BIG):
        got += await bounded(ours_in.read(7000), "the next bytes")
    await bounded(sending, "the end of the write")
    assert got == BIG
    assert (os.get_blocking(reading), os.get_blocking(writing)) == before == (True, True)


async def test_waiting_for_input_can_be_canceled_and_taken_up_again(stack: ExitStack) -> None:
    reading, writing = open_pair("pipe", stack)
    ours = stack.enter_context(closing(Input(reading)))
    waiting = asyncio.create_task(ours.read())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})
    assert waiting.cancelled()
    os.write(writing, b"later")
    assert await bounded(ours.read(), "the text") == b"later"


async def test_a_stuck_reader_holds_up_the_write_and_nothing_else(stack: ExitStack) -> None:
    _reading, writing = open_pair("pipe", stack)
    ours = stack.enter_context(closing(Output(writing)))
    stuck = asyncio.create_task(ours.write(BIG))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not stuck.done()
    stuck.cancel()
    await asyncio.wait({stuck})
    assert stuck.cancelled()


async def test_a_plain_file_is_read_and_written_where_it_stands(
    tmp_path: Path, stack: ExitStack
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"head tail")
    file = stack.enter_context(path.open("r+b", buffering=0))
    file.seek(5)
    ours = stack.enter_context(closing(Input(file.fileno())))
    assert [await ours.read(), await ours.read()] == [b"tail", b""]
    out = stack.enter_context(closing(Output(file.fileno())))
    await out.write(b", more")
    assert path.read_bytes() == b"head tail, more"


async def test_the_end_of_a_pipe_is_told_to_both_sides(stack: ExitStack) -> None:
    reading, writing = os.pipe()
    ours = stack.enter_context(closing(Input(reading)))
    os.close(writing)
    assert await bounded(ours.read(), "the end") == b""
    os.close(reading)
    reading, writing = os.pipe()
    out = stack.enter_context(closing(Output(writing)))
    os.close(reading)
    os.close(writing)
    with pytest.raises(BrokenPipeError):
        await bounded(out.write(b"x"), "the refusal")


async def test_a_terminal_that_is_hung_up_is_an_end(stack: ExitStack) -> None:
    ours, theirs = os.openpty()
    stdin = stack.enter_context(closing(Input(theirs)))
    os.close(theirs)
    os.close(ours)
    assert await bounded(stdin.read(), "the end") == b""


async def test_a_full_disk_and_a_closed_descriptor_are_told(stack: ExitStack) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    stack.callback(os.close, full)
    out = stack.enter_context(closing(Output(full)))
    with pytest.raises(LocalFailed, match="No space left"):
        await bounded(out.write(b"x"), "the refusal")
    reading, writing = os.pipe()
    os.close(writing)
    os.close(reading)
    with pytest.raises(LocalFailed, match=f"descriptor {reading} is not open"):
        Input(reading)
