"""Wrong usage, told before anything is sent: there is no server here to send to."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from wharfside_client.cli.loading import made_by
from wharfside_client.cli.main import HOMES, make_app
from wharfside_protocol import __version__

ELSEWHERE = {"NATS_URL": "nats://127.0.0.1:1", "HOME": "/nonexistent"}
ENTRY = [
    sys.executable,
    "-c",
    "import sys; from wharfside_client.cli.entry import main; sys.argv[1:] = ['--version']; main()",
]
INTERRUPTED = """
import os, signal, sys
from wharfside_client.cli.entry import main

class Finder:
    def find_spec(self, name, *_):
        if name == "wharfside_client.cli.main":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder())
main()
"""
TYPED = "from wharfside_client.cli.entry import main; import sys; main()"
MADE = """
import sys
from typer.main import get_command
from wharfside_client.cli.main import make_app

get_command(make_app()).commands["ps"]
print(*sys.modules)
"""
ROOTFS = ("--rootfs", "/x")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("stop",), "NODE/CONTAINER"),
        (("stop", "web"), "node/container"),
        (("run", "n1/web", "true"), "--rootfs PATH or --bundle PATH"),
        (("run", *ROOTFS, "--bundle", "/y", "n1/web", "true"), "--rootfs PATH or --bundle PATH"),
        (("run", *ROOTFS, "n1/web"), "needs a command"),
        (("run", *ROOTFS, "-m", "much", "n1/web", "true"), "32m"),
        (("update", "-m", "1k", "n1/web"), "at least 1m"),
        (("migrate", "n1/web", "n1"), "another node"),
        (("run", *ROOTFS, "-v", "/a", "n1/web", "true"), "/source:/target"),
        (("run", *ROOTFS, "--name", "a", "n1/b", "true"), "name it once"),
        (("update", "n1/web"), "--memory"),
        (("run", *ROOTFS, "--runtime", "youki", "n1/web", "true"), "runtime"),
        (("run", *ROOTFS, "-it", "--json", "n1/web", "sh"), "-i and -t need a session"),
        (("run", *ROOTFS, "-i", "--durable", "n1/web", "sh"), "-i and -t need a session"),
        (("run", *ROOTFS, "--no-log", "--ship", "n1/web", "sh"), "goes with `log`"),
        (("exec", "-t", "--no-wait", "n1/web", "sh"), "-i and -t need a session"),
        (("exec", "--detach-keys", "ctrl-P", "n1/web", "sh"), "ctrl-a to ctrl-z"),
        (("attach",), "NODE/CONTAINER"),
        (("attach", "--detach-keys", "ab", "n1/web"), "ctrl-a to ctrl-z"),
        (("attach", "--process", "No", "n1/web"), "a-z, 0-9"),
        (("logs", "web"), "node/container"),
        (("logs", "--since", "yesterday", "n1/web"), "10m"),
        (("logs", "-n", "-3", "n1/web"), "a number of lines, or all"),
        (("logs", "--run", "0", "n1/web"), "--run"),
        (("exec", "-w", "tmp", "n1/web", "true"), "cwd"),
        (("ps", "N1"), "N1"),
        (("top", "n1/web"), "name its node alone, n1"),
        (("stats", "n1/Web"), "Web"),
        (("stats", "n1", "n2/web"), "name nodes or containers"),
        (("stats", "-l", "tier=front", "n1/web"), "-l chooses among all"),
        (("ps", "-q", "--watch"), "without --watch and --json"),
        (("ps", "-q", "--json"), "without --watch and --json"),
        (("events", "--since", "yesterday"), "10m"),
        (("events", "--type", "explode"), "exited"),
        (("wait", "--nope", "n1/web"), "--nope"),
        (("explode",), "explode"),
        (("result", "n1"), "ID"),
        (("result", "n1", "short"), "8 to 64"),
        (("result", "n1/", "long-enough"), "no name"),
        (("cancel", "n1/We", "long-enough"), "no name"),
        (("commands", "n1/web"), "name its node alone, n1"),
        (("commands",), "NODE"),
        (("dead-letters", "--resend", "0"), "--resend"),
        (("api", "pong", "n1"), "no op 'pong'; there are: ping"),
        (("api", "ping", "n1", "{"), "takes a JSON object"),
        (("schema", "pong"), "no op or event 'pong'"),
        (("schema", "--cli", "pong"), "no command 'pong' prints JSON"),
    ],
)
def test_wrong_usage_exits_2_and_says_what_to_write(arguments: tuple[str, ...], told: str) -> None:
    ran = CliRunner().invoke(make_app(), arguments, env=ELSEWHERE)
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert told in ran.stderr
    assert "Value error" not in ran.stderr


def test_the_version() -> None:
    ran = CliRunner().invoke(make_app(), ["--version"], env=ELSEWHERE)
    assert (ran.exit_code, ran.output) == (0, f"wharfside {__version__}\n")


def test_a_server_that_is_no_url_is_told() -> None:
    ran = CliRunner().invoke(make_app(), ["ps"], env=ELSEWHERE | {"NATS_URL": "foo::bar"})
    assert ran.exit_code == 125
    assert "no NATS server at foo::bar" in ran.stderr


def test_a_server_is_told_without_the_password_in_its_url() -> None:
    url = "nats://me:s3cret@127.0.0.1:1,s3cret@127.0.0.1:1"
    for form in ([], ["--json"]):
        ran = CliRunner().invoke(make_app(), ["ps", *form], env=ELSEWHERE | {"NATS_URL": url})
        assert (ran.exit_code, "s3cret" in ran.output) == (125, False)
        assert "nats://127.0.0.1:1" in ran.output


@pytest.mark.parametrize(("closed", "told"), [(0, b"wharfside "), (1, b""), (2, b"wharfside ")])
def test_a_stream_that_is_closed_breaks_nothing(closed: int, told: bytes) -> None:
    line = f"import os; os.closerange({closed}, {closed + 1}); os.execv(os.sys.executable, {ENTRY})"
    ran = subprocess.run([sys.executable, "-c", line], capture_output=True, timeout=30)
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert ran.stdout.startswith(told) and bool(ran.stdout) == bool(told)


def test_ctrl_c_while_it_loads_ends_it_in_silence() -> None:
    ran = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, timeout=30)
    assert (ran.returncode, ran.stdout, ran.stderr) == (-signal.SIGINT, b"", b"")


@pytest.mark.parametrize(
    "arguments",
    [
        ("ps",),
        ("ps", "--no-trunc", "-a"),
        ("result", "n1/web", "long-enough"),
        ("cancel", "n1/web", "long-enough"),
        ("--json", "nodes"),
        ("stats",),
        ("stats", "n1", "n2", "-l", "tier=front"),
        ("stats", "n1/web", "n2/web"),
        ("run", *ROOTFS, "n1/web", "true", "--json", "-x"),
        ("exec", "-e", "A=b", "n1/web", "env", "--context", "nope"),
        ("run", *ROOTFS, "-dit", "--json", "n1/web", "sh", "-i"),
        ("exec", "-it", "--detach-keys", "", "n1/web", "sh", "-t"),
        ("attach", "--no-stdin", "--detach-keys=ctrl-a,d", "n1/web"),
        ("logs", "-f", "-t", "-n", "10", "--since", "10m", "--process", "e1", "n1/web"),
    ],
)
def test_what_is_right_gets_as_far_as_the_bus(arguments: tuple[str, ...]) -> None:
    """The flags after a command's first word are the command's own."""
    ran = CliRunner().invoke(make_app(), arguments, env=ELSEWHERE)
    assert ran.exit_code == 125
    assert "no NATS server" in ran.stderr


def test_a_missing_context_is_told() -> None:
    ran = CliRunner().invoke(make_app(), ["ps", "--context", "nope"], env=ELSEWHERE)
    assert ran.exit_code == 125
    assert "nats context ls" in ran.stderr


@pytest.mark.parametrize("name", ["", "nodes", "run", "events", "bootstrap"])
def test_help_names_the_shared_flags_everywhere(name: str) -> None:
    ran = CliRunner().invoke(make_app(), [*name.split(), "--help"])
    assert ran.exit_code == 0
    assert "--json" in ran.stdout and "--server" in ran.stdout


def test_the_readme_names_every_command() -> None:
    readme = (Path(__file__).parents[3] / "README.md").read_text()
    named = re.search("All commands: `([^`]+)`", readme)
    assert named
    assert named[1].split() == list(get_command(make_app()).commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize("module", sorted(set(HOMES.values())))
def test_every_command_is_where_the_table_has_it(module: str) -> None:
    assert made_by(module).keys() == {name for name, home in HOMES.items() if home == module}


def test_a_start_loads_the_one_command_that_it_needs() -> None:
    ran = subprocess.run([sys.executable, "-c", MADE], capture_output=True, text=True, timeout=30)
    assert ran.returncode == 0, ran.stderr
    homes = {f"wharfside_client.cli.{module}" for module in HOMES.values()}
    assert homes & set(ran.stdout.split()) == {"wharfside_client.cli.ps"}


def test_the_shell_is_offered_the_types_of_events() -> None:
    words = "wharfside events --type ex"
    asked = {"_WHARFSIDE_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": "3"}
    line = "from wharfside_client.cli.entry import main; main()"
    ran = subprocess.run(
        [sys.executable, "-c", line], env=ELSEWHERE | asked, capture_output=True, timeout=30
    )
    assert ran.stdout.split() == [b"exec-added", b"exec-started", b"exited"], ran.stderr


PRINT = [("schema",), ("--help",), ("--version",), ("ps", "-h"), ("auth", "init", "--help")]


@pytest.mark.parametrize("words", PRINT, ids=" ".join)
def test_a_full_disk_is_told(words: tuple[str, ...]) -> None:
    line = [sys.executable, "-c", TYPED, *words]
    with Path("/dev/full").open("wb") as full:
        ran = subprocess.run(line, stdout=full, stderr=subprocess.PIPE, timeout=30)
    assert ran.stderr == b"wharfside: output cannot be written: No space left on device\n"
    assert ran.returncode == 125


@pytest.mark.parametrize("words", PRINT, ids=" ".join)
def test_a_reader_that_is_gone_ends_it_in_silence(words: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as pipe:
        line = [sys.executable, "-c", TYPED, *words]
        ran = subprocess.run(line, stdout=pipe, stderr=subprocess.PIPE, timeout=30)
    assert (ran.returncode, ran.stderr) == (141, b"")
