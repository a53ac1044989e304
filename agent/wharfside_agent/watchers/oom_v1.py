"""Rings when a cgroup of v1 runs out of memory: an eventfd on memory.oom_control."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from wharfside_agent.watchers.oom_counters import V1_CONTROL, tree
from wharfside_agent.watchers.oom_watch import CounterOomWatch

_LATER_SECONDS = (0.002, 0.01, 0.05, 0.25, 1.0)
"""The kernel notifies before it kills (mem_cgroup_oom), so the counter rises a little later."""


def connect(watch: CounterOomWatch, folder: Path) -> None:
    """Registers for `folder` and the cgroups below it (cgroup-v1/memory.rst, 10. OOM Control).

    Quiet where the cgroup is gone: its counters cannot be read either.
    """
    loop = asyncio.get_running_loop()
    eventfd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
    bell = _Bell(watch, eventfd)
    watch.at_close(bell.close)
    loop.add_reader(eventfd, bell.rung)
    for each in tree(folder):
        _register(each, eventfd)


def _register(folder: Path, eventfd: int) -> None:
    try:
        control = os.open(f"{folder}/{V1_CONTROL}", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        register = os.open(f"{folder}/cgroup.event_control", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(register, f"{eventfd} {control}".encode())
        finally:
            os.close(register)
    finally:
        os.close(control)


class _Bell:
    """Rings once the counter has risen. The kernel's eventfd also fires as the cgroup goes."""

    def __init__(self, watch: CounterOomWatch, eventfd: int) -> None:
        self._watch = watch
        self._eventfd = eventfd
        self._timer: asyncio.TimerHandle | None = None

    def rung(self) -> None:
        os.eventfd_read(self._eventfd)
        self._look(_LATER_SECONDS)

    def _look(self, later: tuple[float, ...]) -> None:
        self._cancel()
        kills = self._watch.kills()
        if kills is None:
            return
        if self._watch.is_news(kills) or not later:
            self._watch.ring()
            return
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(later[0], self._look, later[1:])

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def close(self) -> None:
        self._cancel()
        asyncio.get_running_loop().remove_reader(self._eventfd)
        os.close(self._eventfd)
