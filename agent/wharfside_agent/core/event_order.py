"""The order of a container's events as a contract.

One row a promise; docs/architecture.md is drawn from it, and a test is named for each.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OrderRule:
    """`kept_by` is where in the agent the promise is kept."""

    name: str
    promise: str
    kept_by: str


ORDER = (
    OrderRule(
        "created-once",
        "`created` comes once an incarnation, before everything else of it",
        "handlers/create.py: no watch is followed before it is committed",
    ),
    OrderRule(
        "started-before-exited",
        "`started`, or `restored`, comes before the `exited` of the same run",
        "Live.settling: held from the runtime's start to the commit that tells it",
    ),
    OrderRule(
        "exited-once",
        "a process of a run has one `exited`; the first terminal status wins",
        "core/lifecycle.py: no row leads out of stopped by an end of init",
    ),
    OrderRule(
        "execs-before-init",
        "every exec's `exited` comes before init's, for at most 2 s: "
        "then init's is told with `execs_pending`, and only those may follow",
        "services/life/exits.py: _hold_for_execs",
    ),
    OrderRule(
        "oom-before-exited",
        "`oom` comes before the `exited` that it caused",
        "services/life/exits.py: the counter is read once more, and told in the exit's transaction",
    ),
    OrderRule(
        "pressure-within-its-run",
        "`pressure` comes between the `started` of its run and its `exited`; of a resource it "
        "`begins` before it `lasts` or is `over`",
        "services/life/pressure.py: the state is looked at once more in the commit",
    ),
    OrderRule(
        "paused-before-resumed",
        "`paused` comes before `resumed`; an exit may end a pause",
        "core/lifecycle.py",
    ),
    OrderRule(
        "stopping-before-exited",
        "`stopping` comes before the `exited` that it causes",
        "services/life/endings.py: committed before the signal is sent",
    ),
    OrderRule(
        "attached-before-exited",
        "`attached` comes before the `detached` of its session, and neither after the `exited` of "
        "its process, which ends all sessions there",
        "services/streams/attachments.py: nothing is told of a process whose end was seen",
    ),
    OrderRule(
        "checkpointed-before-exited",
        "`checkpointed` comes before the `exited` that it causes",
        "services/checkpoints/dumps.py: it is committed before the container is killed",
    ),
    OrderRule(
        "runs-in-order",
        "`run` rises by one, and the events of a run come after the end of the one before: "
        "its `exited`, those of its execs, or its `start-failed`",
        "services/life/starts.py: a run is raised once the last one is gone and told",
    ),
    OrderRule(
        "restarting-before-its-run",
        "a run that no command began was announced by `restarting`, after the end of the run "
        "before; after `not-restarting` there is none until a `start` or another boot",
        "services/life/restarts.py: what is due is committed with `restarting`",
    ),
    OrderRule(
        "deleted-last",
        "`deleted` comes once and last; nothing of the incarnation follows it",
        "services/life/endings.py: it waits for the exits of execs still pending",
    ),
)
