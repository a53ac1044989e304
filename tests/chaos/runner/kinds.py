"""Every kind of work that the orchestrator does, as a table with weights.

A kind whose feature the agent does not have yet answers `unsupported` and is counted as skipped;
it takes part by itself once the agent can do it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.chaos.runner.jobs import Job

from wharfside_protocol.errors import Unsupported, WrongState
from wharfside_protocol.specs import Limits, Restart

MEMORY_LIMIT = 32 << 20
EATS = "exec dd if=/dev/zero of=/dev/null bs=200M count=1"
"""dd's buffer is one allocation that it fills at once."""

SLEEPS = "exec sleep 1000"
OBEYS_TERM = "trap 'exit 7' TERM; while :; do sleep 1000 & wait; done"
SELF_INFLICTED = ("TERM", "SEGV", "ABRT", "KILL", "USR1", "INT")


async def _short(job: Job) -> None:
    """Over in a moment, with any code."""
    made = await job.make(f"exit {job.chance.choice([0, 1, 3, 42, 126, 137, 143, 255])}")
    await job.wait(made.incarnation)
    await job.delete()


async def _unread(job: Job) -> None:
    """Nobody waits for it: only the events tell."""
    await job.make(f"sleep {job.chance.uniform(0, 2):.2f}; exit {job.chance.randrange(256)}")


async def _created_first(job: Job) -> None:
    await job.make(f"exit {job.chance.randrange(256)}", op="create")
    await job.start()
    await job.wait()
    await job.delete()


async def _never_started(job: Job) -> None:
    await job.make("exit 0", op="create")
    await job.delete()


async def _killed(job: Job) -> None:
    await job.make(SLEEPS)
    await _a_while(job)
    await job.signal("KILL")
    await job.wait()
    await job.delete()


async def _stopped(job: Job) -> None:
    """With a program that obeys, or one that must be killed after the grace."""
    await job.make(job.chance.choice([OBEYS_TERM, SLEEPS]))
    await _a_while(job)
    await job.stop(job.chance.choice([0.0, 0.3, 2.0]))
    await job.delete()


async def _oom(job: Job) -> None:
    limits = Limits(memory_bytes=MEMORY_LIMIT, swap_bytes=0)
    text = f"sleep {job.chance.choice([0, 0.1, 0.5])}; {EATS}"
    made = await job.make(text, limits=limits, oom=True)
    await job.wait(made.incarnation)
    await job.delete()


async def _with_execs(job: Job) -> None:
    """Each exec ends by itself or by its own signal; the last ones die with init."""
    await job.make(SLEEPS)
    for number in range(job.chance.randrange(1, 4)):
        own = f"kill -{job.chance.choice(SELF_INFLICTED)} $$"
        code = f"exit {job.chance.randrange(256)}"
        text = job.chance.choice([own, code, f"sleep 0.2; {code}"])
        await job.exec(text, f"job-{number}", wait=job.chance.random() < 0.5, limit_s=20)
    if job.chance.random() < 0.5:
        await job.exec(SLEEPS, "left", wait=False)
    await job.delete(force=True)


async def _exec_with_a_limit(job: Job) -> None:
    await job.make(SLEEPS)
    await job.exec(SLEEPS, "limited", wait=False, limit_s=0.3)
    await job.wait(process_="limited")
    await job.delete(force=True)


async def _paused(job: Job) -> None:
    """Resumed, or stopped or deleted while frozen."""
    await job.make(SLEEPS)
    await job.pause()
    await _a_while(job)
    match job.chance.randrange(3):
        case 0:
            await job.resume()
            await job.stop(0)
            await job.delete()
        case 1:
            await job.stop(0)
            await job.delete()
        case _:
            await job.delete(force=True)


async def _auto_removed(job: Job) -> None:
    text = f"sleep {job.chance.choice([0, 0, 0.3])}; exit {job.chance.randrange(256)}"
    made = await job.make(text, auto_remove=True)
    await job.wait(made.incarnation)


async def _forced(job: Job) -> None:
    await job.make(SLEEPS)
    await _a_while(job)
    await job.delete(force=True)


async def _restarted_on_failure(job: Job) -> None:
    await job.make("exit 3", restart=Restart(policy="on-failure", max_retries=2))
    await asyncio.sleep(job.chance.uniform(1, 6))
    await job.delete(force=True)


async def _always_restarted(job: Job) -> None:
    await job.make("sleep 0.2; exit 0", restart=Restart(policy="always"))
    await asyncio.sleep(job.chance.uniform(1, 6))
    await job.stop(0)
    await job.delete(force=True)


async def _restarted_unless_stopped(job: Job) -> None:
    await job.make("sleep 0.2; exit 1", restart=Restart(policy="unless-stopped"))
    await asyncio.sleep(job.chance.uniform(1, 4))
    await job.delete(force=True)


async def _started_again(job: Job) -> None:
    """A stopped one, by hand: run 2."""
    await job.make("exit 4")
    await job.wait()
    try:
        await job.start()
    except WrongState as error:
        await job.delete()
        raise Unsupported("the agent does not start a stopped one again yet") from error
    await job.wait()
    await job.delete(force=True)


async def _a_while(job: Job) -> None:
    await asyncio.sleep(job.chance.choice([0, 0.05, 0.3, 1.0]))


@dataclass(frozen=True, slots=True)
class Kind:
    """`stays`: it is left running; the orchestrator ends it when there are too many."""

    name: str
    work: Callable[[Job], Awaitable[None]]
    weight: int = 2
    stays: bool = False


async def _stays(job: Job) -> None:
    await job.make(SLEEPS)


KINDS = (
    Kind("short", _short, weight=4),
    Kind("unread", _unread, weight=3, stays=True),
    Kind("created", _created_first),
    Kind("unstarted", _never_started, weight=1),
    Kind("killed", _killed),
    Kind("stopped", _stopped, weight=3),
    Kind("oom", _oom),
    Kind("execs", _with_execs, weight=3),
    Kind("limited", _exec_with_a_limit, weight=1),
    Kind("paused", _paused),
    Kind("removed", _auto_removed, weight=3),
    Kind("forced", _forced),
    Kind("stays", _stays, stays=True),
    Kind("on-failure", _restarted_on_failure),
    Kind("always", _always_restarted),
    Kind("unless-stopped", _restarted_unless_stopped, weight=1),
    Kind("again", _started_again, weight=1),
)
