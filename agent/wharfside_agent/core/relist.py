"""What the machine shows, compared with what the store says: facts in, findings out. Pure.

Events are not trusted alone (rule 10). A finding is only believed once it
has stood for a while: work in progress looks like one for a moment.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import StrEnum

from wharfside_protocol.states import INIT, ContainerState

_RUNTIME_ID = re.compile(r"([0-9a-z]{26})-[1-9][0-9]*")
_ALIVE = (ContainerState.CREATED, ContainerState.RUNNING, ContainerState.PAUSED)


class Kind(StrEnum):
    """What can be found; FINDINGS says what is done about each."""

    EXIT_UNSEEN = "exit unseen"
    PAUSE_UNTOLD = "pause untold"
    RESUME_UNTOLD = "resume untold"
    RUNTIME_FORGOT = "runtime forgot"
    EXEC_UNKNOWN = "exec unknown"
    ORPHAN_DEAD = "orphan dead"
    ORPHAN_ALIVE = "orphan alive"


@dataclass(frozen=True, slots=True)
class Meaning:
    """`missed`: it is a change that an event should have told, so it is counted."""

    sign: str
    action: str
    missed: bool


FINDINGS: Mapping[Kind, Meaning] = {
    Kind.EXIT_UNSEEN: Meaning(
        "a process is over, and nobody works on telling its end",
        "`event-missed`; its watch looks again, and `exited` follows",
        missed=True,
    ),
    Kind.PAUSE_UNTOLD: Meaning(
        "running by the store, frozen by the kernel", "`event-missed`, `paused`", missed=True
    ),
    Kind.RESUME_UNTOLD: Meaning(
        "paused by the store, thawed by the kernel", "`event-missed`, `resumed`", missed=True
    ),
    Kind.RUNTIME_FORGOT: Meaning(
        "it lives, and its runtime's state folder is gone",
        "`event-missed`, once a run: it is watched to its end, and `delete --force` removes it",
        missed=True,
    ),
    Kind.EXEC_UNKNOWN: Meaning(
        "a conmon watches an exec of a known run that has no row",
        "adopted: `event-missed`, `exec-added`, `exec-started`",
        missed=True,
    ),
    Kind.ORPHAN_DEAD: Meaning(
        "run folder, mount, cgroup, layer or log of an incarnation that is deleted or was "
        "never known, and no process of it",
        "removed, and logged",
        missed=False,
    ),
    Kind.ORPHAN_ALIVE: Meaning(
        "the same with a process",
        "left alone: a warning in `info` (`orphans`) and in the log",
        missed=False,
    ),
}


@dataclass(frozen=True, slots=True)
class Watched:
    """A process of the store that has no exit yet; `in_hand`: its end is being told now."""

    process: str
    pid: int
    start_time: int
    in_hand: bool = False


@dataclass(frozen=True, slots=True)
class Known:
    """A container of the store. `settled`: nothing is being done to it at this moment.

    `processes` are those without an exit, `names` all of the run, ended ones too.
    """

    name: str
    incarnation: str
    run: int
    state: ContainerState
    settled: bool
    processes: Sequence[Watched] = ()
    names: AbstractSet[str] = frozenset()

    @property
    def runtime_id(self) -> str:
        return f"{self.incarnation.lower()}-{self.run}"


@dataclass(frozen=True, slots=True)
class Survey:
    """What was seen on the machine. Incarnations are in lower case, as in paths.

    Attributes:
        over: (pid, start time) of the processes asked for that are over.
        frozen: incarnations whose cgroup is frozen; `thawed`: those whose is not.
        runtimes: ids of which a runtime has state.
        monitors: (runtime id, process) of every living conmon.
        traces: what there is of an incarnation on disk, in mounts and cgroups.
        alive: incarnations with a process in their cgroup.
    """

    over: AbstractSet[tuple[int, int]] = frozenset()
    frozen: AbstractSet[str] = frozenset()
    thawed: AbstractSet[str] = frozenset()
    runtimes: AbstractSet[str] = frozenset()
    monitors: AbstractSet[tuple[str, str]] = frozenset()
    traces: Mapping[str, Sequence[str]] = field(default_factory=dict)
    alive: AbstractSet[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Finding:
    """`container` None: of an incarnation that the store does not know (or as deleted)."""

    kind: Kind
    incarnation: str
    container: str | None = None
    run: int | None = None
    process: str = INIT
    what: str = ""

    @property
    def message(self) -> str:
        sign = FINDINGS[self.kind].sign
        return f"{sign}: {self.what}" if self.what else sign


_Make = Callable[..., Finding]


def incarnation_of(runtime_id: str) -> str | None:
    """The incarnation, in lower case, of a runtime's id; None: it is not one of ours."""
    ours = _RUNTIME_ID.fullmatch(runtime_id)
    return None if ours is None else ours.group(1)


def compare(known: Sequence[Known], survey: Survey) -> list[Finding]:
    """What is not as the store says."""
    found = [finding for each in known if each.settled for finding in _of_container(each, survey)]
    return [*found, *_orphans({each.incarnation.lower() for each in known}, survey)]


def _of_container(known: Known, survey: Survey) -> Iterator[Finding]:
    def finding(kind: Kind, process: str = INIT, what: str = "") -> Finding:
        return Finding(kind, known.incarnation, known.name, known.run, process, what)

    for each in known.processes:
        if (each.pid, each.start_time) in survey.over and not each.in_hand:
            yield finding(Kind.EXIT_UNSEEN, each.process, f"{each.process} (pid {each.pid})")
    yield from _of_freezer(known, survey, finding)
    ends = [each for each in known.processes if each.process == INIT]
    lives = bool(ends) and (ends[0].pid, ends[0].start_time) not in survey.over
    if known.state in _ALIVE and lives and known.runtime_id not in survey.runtimes:
        yield finding(Kind.RUNTIME_FORGOT, what=known.runtime_id)
    for runtime_id, process in sorted(survey.monitors):
        if runtime_id == known.runtime_id and process not in known.names:
            yield finding(Kind.EXEC_UNKNOWN, process, process)


def _of_freezer(known: Known, survey: Survey, finding: _Make) -> Iterator[Finding]:
    lower = known.incarnation.lower()
    if known.state is ContainerState.RUNNING and lower in survey.frozen:
        yield finding(Kind.PAUSE_UNTOLD)
    if known.state is ContainerState.PAUSED and lower in survey.thawed:
        yield finding(Kind.RESUME_UNTOLD)


def _orphans(known: AbstractSet[str], survey: Survey) -> Iterator[Finding]:
    """Whatever bears the name of an incarnation that is not among the living."""
    monitored = {incarnation_of(runtime_id) for runtime_id, _ in survey.monitors}
    for incarnation, places in sorted(survey.traces.items()):
        if incarnation not in known:
            lives = incarnation in survey.alive or incarnation in monitored
            kind = Kind.ORPHAN_ALIVE if lives else Kind.ORPHAN_DEAD
            yield Finding(kind, incarnation, what=", ".join(places))


class Doubts:
    """Believes a finding that was there at every look for `patience_s`, at two at least."""

    def __init__(self, patience_s: float) -> None:
        self.patience_s = patience_s
        self._since: dict[Finding, float] = {}

    def believed(self, findings: Iterable[Finding], now_s: float) -> list[Finding]:
        """Of this look's `findings` those to act on; `now_s` by a clock that never steps."""
        self._since = {each: self._since.get(each, now_s) for each in findings}
        return [
            each
            for each, since in self._since.items()
            if since < now_s and now_s - since >= self.patience_s
        ]
