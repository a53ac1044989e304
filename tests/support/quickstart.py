"""`./quickstart` as a process of its own: its lines as they come, its end, its cgroups."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from tests.support import machine

CHECKOUT = Path(__file__).parents[2]
LINE_S = 180.0
END_S = 120.0


class QuickstartStuck(AssertionError):
    """It did not print or end in time; carries what it has printed."""


class Quickstart:
    """Runs in this Python's own environment. Attributes: `lines`, stdout and stderr so far."""

    def __init__(
        self, data: Path, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> None:
        self.data = data
        self.lines: list[str] = []
        self._rest = b""
        self._process = subprocess.Popen(
            [CHECKOUT / "quickstart", "--data", data, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "WHARFSIDE_VENV": sys.prefix, **(environment or {})},
            cwd=data.parent,
        )
        assert self._process.stdout is not None
        self._pipe = self._process.stdout.fileno()

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def wait_for(self, pattern: str) -> re.Match[str]:
        """The first line, printed already or to come, in which `pattern` is found."""
        end = time.monotonic() + LINE_S
        looked = 0
        while True:
            for line in self.lines[looked:]:
                if found := re.search(pattern, line):
                    return found
            looked = len(self.lines)
            if not self._read(end):
                raise QuickstartStuck(f"no line {pattern!r}:\n{self.text}")

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def end(self) -> int:
        """Its exit status, once it has closed its output and ended."""
        end = time.monotonic() + END_S
        while self._read(end):
            pass
        try:
            return self._process.wait(max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise QuickstartStuck(f"it has not ended:\n{self.text}") from None

    def left_cgroups(self) -> list[Path]:
        """Its cgroups, by the name that it told itself, in every tree."""
        cgroup = self.wait_for(r"cgroup (/wharfside-quickstart-\w+)")[1]
        return list(machine.cgroup_roots(cgroup))

    def __enter__(self) -> Quickstart:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """One that still runs is ended as Ctrl-C would, so that it cleans up itself."""
        if self._process.poll() is None:
            self.signal(signal.SIGINT)
            self.end()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _read(self, end: float) -> bool:
        """More output, or False at its end or when the time is over."""
        left = end - time.monotonic()
        if left <= 0 or not select.select([self._pipe], [], [], left)[0]:
            return False
        more = os.read(self._pipe, 65536)
        *lines, self._rest = (self._rest + more).split(b"\n")
        self.lines += [line.decode() for line in lines]
        return bool(more)
