"""What conmon and the runtimes say, as they were seen to say it."""

from __future__ import annotations

import pytest

from wharfside_agent.runtime.refusals import own_words, refusal, unknown_to_runtime
from wharfside_agent.runtime.sync_pipe import Reported, parse_report

RUNC = 'time="2026-11-23T21:30:56Z" level={} msg="{}"'
RUNC_EXEC = RUNC.format("error", 'runc create failed: exec: \\"/x\\": {}')


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("executable file `/x` not found in $PATH: No such file or directory", 127),
        ("open executable: Permission denied", 126),
        ("open executable: Operation not permitted", 126),
        (RUNC_EXEC.format("executable file not found in $PATH"), 127),
        (RUNC_EXEC.format("stat /x: no such file or directory"), 127),
        (RUNC_EXEC.format("permission denied"), 126),
        ("cannot open `/run/exec.fifo`: No such file or directory", None),
        ("writing file `cpuset.cpus`: Numerical result out of range", None),
        ("error opening file `/run/x/status`: No such file or directory", None),
        ("", None),
    ],
)
def test_refusals_tell_what_a_shell_would(said: str, code: int | None) -> None:
    error = refusal("crun create", said)
    assert error.details.get("exit_code") == code
    assert error.message.startswith("crun create: ")


def test_runcs_words_come_without_its_logs_dress_and_errors_first() -> None:
    warning = RUNC.format("warning", "no cgroup")
    error = RUNC.format("error", 'it is \\"x\\"')
    assert own_words(f"{warning}\n{error}") == 'it is "x"'
    assert own_words(warning) == "no cgroup"


def test_cruns_words_come_without_the_time() -> None:
    assert own_words("2026-11-23T21:30:56.010Z: what it said\n") == "what it said"


@pytest.mark.parametrize(
    ("said", "unknown"),
    [
        (RUNC.format("error", "container does not exist"), True),
        ("error opening file `/run/crun/c1/status`: No such file or directory", True),
        ("error opening file `/run/crun/c1/status`: Permission denied", False),
        ("the container `c1` is not running: No such process", False),
    ],
)
def test_an_unknown_container_is_no_failure_of_the_runtime(said: str, unknown: bool) -> None:
    assert unknown_to_runtime(said) is unknown


@pytest.mark.parametrize(
    ("line", "reported"),
    [
        (b'{"data": 42}', Reported(42)),
        (
            b'{"data": -1, "message": "open executable: Permission denied\\n"}',
            Reported(None, "open executable: Permission denied"),
        ),
        (b'{"data": -1}', Reported(None, "")),
        (b"junk", Reported(None, "conmon said: junk")),
        (b'{"pid": 42}', Reported(None, 'conmon said: {"pid": 42}')),
    ],
)
def test_reports_of_conmon(line: bytes, reported: Reported) -> None:
    assert parse_report(line) == reported
