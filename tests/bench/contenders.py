"""Whoever can run a container: the floor's scripts and the peers' command lines.

Each is measured as its user meets it: one process asked, one exit awaited. The peers run
as their packages ship them (ctr and docker with runc, podman with crun), without network.
"""

from __future__ import annotations

import itertools
import os
import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Protocol

from tests.bench.places import FLOOR, HARDENED, Places

IMAGE = "docker.io/wharfside/bench:1"
LIFE_SECONDS = 60
MANY_SECONDS = 180
_numbers = itertools.count(1)


class ContenderFailed(Exception):
    """A contender could not run its container; its own words say why."""

    def __init__(self, name: str, words: str) -> None:
        super().__init__(f"{name}: {words.strip() or 'failed without a word'}")
        self.name = name


class Contender(Protocol):
    """What run-to-exited and containers-per-second compare."""

    @property
    def name(self) -> str: ...

    def once(self) -> float:
        """Seconds from the request until the exit is known; deleted after that, untimed."""
        ...

    def many(self, count: int, parallel: int) -> float:
        """Containers a second, `parallel` at a time, each deleted too."""
        ...


def fresh_name(stem: str) -> str:
    """A container name that no run of the bench has used before."""
    return f"{stem}-{os.getpid()}-{next(_numbers)}"


@dataclass(frozen=True)
class CommandLine:
    """A contender at the shell; `{}` stands for the container's name in each argv.

    `life` runs and deletes. Where a run deletes by itself, `delete` is empty.
    """

    name: str
    run: tuple[str, ...]
    delete: tuple[str, ...]
    life: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)

    def once(self) -> float:
        container = fresh_name(self.name)
        before = perf_counter()
        self.command(self.run, container)
        seconds = perf_counter() - before
        if self.delete:
            self.command(self.delete, container)
        return seconds

    def many(self, count: int, parallel: int) -> float:
        names = "\n".join(fresh_name(self.name) for _ in range(count))
        argv = ["xargs", "-P", str(parallel), "-I{}", *self.life]
        before = perf_counter()
        self._run(argv, MANY_SECONDS, names)
        return count / (perf_counter() - before)

    def command(self, argv: tuple[str, ...], container: str) -> None:
        """One of its commands, about `container`.

        Raises:
            ContenderFailed: it said no, or took longer than LIFE_SECONDS.
        """
        self._run([word.replace("{}", container) for word in argv], LIFE_SECONDS)

    def _run(self, argv: list[str], bound: float, given: str | None = None) -> None:
        try:
            done = subprocess.run(
                argv,
                input=given,
                stdin=subprocess.DEVNULL if given is None else None,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                timeout=bound,
                env=os.environ | self.environment,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ContenderFailed(self.name, str(error)) from error
        if done.returncode != 0:
            raise ContenderFailed(self.name, done.stderr[-2000:])


def script(places: Places) -> CommandLine:
    """The floor: conmon and crun from a bare script."""
    one = str(FLOOR / "run-one")
    return CommandLine(
        name="script",
        run=(one, "{}"),
        delete=(one, "--delete", "{}"),
        life=(one, "{}", "--delete"),
        environment={"WHARFSIDE_BENCH_RUN": str(places.run)},
    )


def hardened_script(places: Places) -> CommandLine:
    """Beside the floor: the script with all that the agent adds to a config.json."""
    plain = script(places)
    environment = plain.environment | {"WHARFSIDE_BENCH_BUNDLE": HARDENED}
    return replace(plain, name="script-hardened", environment=environment)


def bare_crun(places: Places) -> CommandLine:
    """Beside the floor: `crun run`, without any monitor."""
    bare = (str(FLOOR / "run-bare"), "{}")
    return CommandLine(
        name="crun-run",
        run=bare,
        delete=(),
        life=bare,
        environment={"WHARFSIDE_BENCH_RUN": str(places.run)},
    )


def peers(places: Places) -> list[CommandLine]:
    """ctr, podman and docker, as setup-peers leaves them; whether they answer is not asked."""
    environment = _peers_environment(places.kept / "peers.env")
    true = ("/bin/true",)
    docker = "/usr/bin/docker"
    named = ("--network", "none", "--name", "{}")
    return [
        CommandLine(
            name="ctr",
            run=("ctr", "run", IMAGE, "{}", *true),
            delete=("ctr", "container", "rm", "{}"),
            life=("ctr", "run", "--rm", IMAGE, "{}", *true),
            environment=environment,
        ),
        CommandLine(
            name="podman",
            run=("podman", "run", *named, IMAGE, *true),
            delete=("podman", "rm", "{}"),
            life=("podman", "run", "--rm", *named, IMAGE, *true),
            environment=environment,
        ),
        CommandLine(
            name="docker",
            run=(docker, "run", *named, IMAGE, *true),
            delete=(docker, "rm", "{}"),
            life=(docker, "run", "--rm", *named, IMAGE, *true),
            environment=environment,
        ),
    ]


def _peers_environment(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    pairs = (line.partition("=") for line in path.read_text().splitlines() if line)
    return {key: value for key, _, value in pairs}
