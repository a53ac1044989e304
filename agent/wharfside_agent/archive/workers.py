"""Blocking work on files, in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

import structlog

from wharfside_agent.archive.notes import Notes
from wharfside_agent.errors import told
from wharfside_protocol.errors import WharfsideError

log = structlog.get_logger(__name__)

H = TypeVar("H")


class Worker(Generic[H]):
    """Work that first tells what it found (`head`), and then goes on.

    A daemon thread, and none of the loop's pool: a file system that never answers may hold it
    for ever, but neither other work nor the agent's end.

    Attributes:
        head: what it found, or why it could not begin.
        over: done once the thread has let go of everything.
        error: why it ended, where that was not of its own; read it once it is `over`.
    """

    def __init__(
        self, name: str, work: Callable[[Callable[[H], None]], None], release: Callable[[], None]
    ) -> None:
        """`release` closes the thread's ends of pipes: the loop sees the end by that."""
        self._loop = asyncio.get_running_loop()
        self._work = work
        self._release = release
        self.head: asyncio.Future[H] = self._loop.create_future()
        self.over: asyncio.Future[None] = self._loop.create_future()
        self.notes = Notes()
        self.error: WharfsideError | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        try:
            self._work(lambda head: self._tell(self._begun, head))
        except BrokenPipeError:
            pass  # nobody wants any more of it
        except Exception as error:
            if not isinstance(error, WharfsideError):
                log.exception("archive-failed")
            self.error = _portable(told(error))
        finally:
            self._release()
            self._tell(self._ended)

    def _tell(self, call: Callable[..., None], *args: object) -> None:
        with suppress(RuntimeError):  # the loop is closed: the agent has gone down
            self._loop.call_soon_threadsafe(call, *args)

    def _begun(self, head: H) -> None:
        if not self.head.done():
            self.head.set_result(head)

    def _ended(self) -> None:
        self.over.set_result(None)
        if self.head.done():
            return
        if self.error is None:
            self.head.cancel()
        else:
            self.head.set_exception(self.error)


def _portable(error: WharfsideError) -> WharfsideError:
    """Without the bytes of names that are no UTF-8: they cannot travel in a text."""
    error.message = _text(error.message)
    error.details = {
        key: _text(value) if isinstance(value, str) else value
        for key, value in error.details.items()
    }
    return error


def _text(text: str) -> str:
    return text.encode(errors="surrogateescape").decode(errors="replace")
