"""systemd's notify socket, as a service manager would read it."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from wharfside_agent.notify import keep_alive, notify, watchdog_seconds


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind(str(tmp_path / "notify"))
    sock.settimeout(20)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    yield sock
    sock.close()


def test_ready_reaches_the_manager(manager: socket.socket) -> None:
    notify("READY=1")
    assert manager.recv(64) == b"READY=1"


def test_without_a_manager_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")


def test_a_manager_that_is_gone_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    notify("READY=1")


@pytest.mark.parametrize(("text", "seconds"), [("30000000", 15.0), ("0", None), ("x", None)])
def test_the_watchdog_is_patted_twice_as_often_as_asked(
    text: str, seconds: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", text)
    assert watchdog_seconds() == seconds


async def test_the_loop_pats_the_watchdog(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "2000")
    task = asyncio.create_task(keep_alive())
    received = [await asyncio.to_thread(manager.recv, 64) for _ in range(3)]
    task.cancel()
    assert received == [b"WATCHDOG=1"] * 3
