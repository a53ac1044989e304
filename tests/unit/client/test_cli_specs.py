"""From flags to what a node takes: a process's words and its environment."""

from __future__ import annotations

from wharfside_client.cli.flags import ProcessFlags
from wharfside_client.cli.specs import make_process


def test_dashes_before_a_command_are_not_its_name() -> None:
    """As kubectl's `exec web -- ls --all` has it; further ones are the command's own."""
    made = make_process(["--", "env", "--", "ls"], ProcessFlags(), tty=False)
    assert made.args == ["env", "--", "ls"]
    assert make_process(["ls", "--", "-x"], ProcessFlags(), tty=False).args == ["ls", "--", "-x"]


def test_what_is_not_set_here_is_not_set_there() -> None:
    flags = ProcessFlags(env=[("SET", "1"), ("EMPTY", ""), ("UNSET", None)])
    assert make_process(["env"], flags, tty=False).env == ["SET=1", "EMPTY="]
    assert make_process(["env"], flags, tty=True).env == ["TERM=xterm", "SET=1", "EMPTY="]
