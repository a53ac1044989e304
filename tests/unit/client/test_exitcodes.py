"""docker's exit codes, from the runtimes' own words."""

from __future__ import annotations

import pytest

from wharfside_client.cli import exitcodes
from wharfside_client.errors import NodeUnreachable, ServerUnreachable, Unanswered
from wharfside_protocol.errors import NotFound, RuntimeFailed, WharfsideError
from wharfside_protocol.exits import ExitReason, ExitStatus, StatusSource

# each as crun 1.8 and runc 1.1 printed it
WORDS = [
    ("crun create: executable file `nosuch` not found in $PATH: No such file or directory", 127),
    ("crun create: executable file `/nosuch` not found in $PATH: No such file or directory", 127),
    ("crun create: open executable: Permission denied", 126),
    ("crun create: open executable: Operation not permitted", 126),
    ('runc create failed: exec: "nosuch": executable file not found in $PATH', 127),
    ('runc create failed: exec: "/nosuch": stat /nosuch: no such file or directory', 127),
    ('runc create failed: exec: "/etc/passwd": permission denied', 126),
    ("exec /bin/bad: exec format error", 126),
    ("crun create: mount `/x` to `/y`: Permission denied", 125),
    ("runc create failed: rootfs: no such file or directory", 125),
]


@pytest.mark.parametrize(("words", "code"), WORDS)
def test_the_runtimes_refusal(words: str, code: int) -> None:
    assert exitcodes.of_error(RuntimeFailed(words), runs=True) == code


@pytest.mark.parametrize(
    ("error", "runs", "code"),
    [
        (NodeUnreachable("away"), False, 125),
        (ServerUnreachable("away"), True, 125),
        (Unanswered("late"), False, 125),
        (NotFound("none"), False, 1),
        (NotFound("none"), True, 125),
    ],
)
def test_ours_and_the_nodes_refusals(error: WharfsideError, runs: bool, code: int) -> None:
    assert exitcodes.of_error(error, runs=runs) == code


def test_the_containers_own_code_is_passed_on() -> None:
    def ended(code: int | None) -> ExitStatus:
        return ExitStatus(
            exit_code=code,
            reason=ExitReason.SELF,
            status_source=StatusSource.NONE,
            status_known=code is not None,
            exited_at="2026-01-31T09:00:00Z",
        )

    assert exitcodes.of_exit(ended(0)) == 0
    assert exitcodes.of_exit(ended(3)) == 3
    assert exitcodes.of_exit(ended(None)) == 125
