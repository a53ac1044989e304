"""What the kernel's datagrams say, byte by byte."""

from __future__ import annotations

import pytest
from tests.support import proc_connector as connector

HEAD = bytes(connector._BODY)


@pytest.mark.parametrize(
    ("status", "code", "signal"), [(0x300, 3, 0), (9, 137, 9), (0x8B, 139, 11), (0, 0, 0)]
)
def test_an_exit(status: int, code: int, signal: int) -> None:
    told = connector.parse(_exit(42, 42, status))
    assert told == connector.Exit(42, status, 123)
    assert (told.code, told.signal) == (code, signal)


def test_the_end_of_a_thread_is_none() -> None:
    assert connector.parse(_exit(43, 42, 0)) is None


def test_a_name_that_a_process_gives_itself() -> None:
    event = connector._EVENT.pack(connector.PROC_EVENT_COMM, 0, 123)
    name = connector._COMM.pack(7, 7, b"w1234000001")
    assert connector.parse(HEAD + event + name) == connector.Comm(7, "w1234000001", 123)


def test_any_other_is_passed_over() -> None:
    assert connector.parse(HEAD + connector._EVENT.pack(1, 0, 123) + bytes(24)) is None


def _exit(pid: int, leader: int, status: int) -> bytes:
    event = connector._EVENT.pack(connector.PROC_EVENT_EXIT, 0, 123)
    return HEAD + event + connector._EXIT.pack(pid, leader, status, 17, 1, 1)
