"""A process beside the bench: says `ready` on stdout, and ends when its stdin is closed."""

from __future__ import annotations

import select
import subprocess
import sys
from types import TracebackType
from typing import Self

from tests.bench.places import ROOT

READY_SECONDS = 15
END_SECONDS = 15


class HelperFailed(Exception):
    """A helper did not come up, or did not end well; its own words say why."""


class Helper:
    """`module` (below tests.bench) run with `arguments`, for as long as the context lasts.

    Its stdin is a pipe: should the bench die, the helper reads the end of file and goes.
    """

    def __init__(self, module: str, *arguments: str) -> None:
        self._module = module
        self._arguments = arguments

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"tests.bench.{self._module}", *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self.greeting = self.answer(READY_SECONDS)
        if not self.greeting.startswith("ready"):
            self._end()
            raise HelperFailed(f"{self._module}: {self.greeting or 'died at once'}")
        return self

    def answer(self, seconds: float) -> str:
        """The next line it says, within `seconds`; empty where it has ended.

        Raises:
            HelperFailed: it said nothing in time.
        """
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], seconds)[0]:
            self._end()
            raise HelperFailed(f"{self._module}: no word for {seconds} s")
        return self._process.stdout.readline().rstrip("\n")

    def tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        status = self._end()
        if kind is None and status != 0:
            raise HelperFailed(f"{self._module}: ended with status {status}")

    def _end(self) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            return self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
        finally:
            self._process.stdout.close()
