"""The named steps of every change that touches the world, in order.

A step is reached when what it names is done and survives the agent's death. Tests
kill the agent at each of them; recovery finishes or undoes what an intent began.
"""

from __future__ import annotations

from enum import StrEnum


class Step(StrEnum):
    MAILBOX_FETCHED = "mailbox.fetched"
    MAILBOX_STORED = "mailbox.stored"
    MAILBOX_ACKED = "mailbox.acked"
    MAILBOX_BEGUN = "mailbox.begun"
    REPORT_PUBLISHED = "report.published"
    AUDIT_DUE = "audit.due"
    AUDIT_COMMITTED = "audit.committed"
    CREATE_INTENDED = "create.intended"
    CREATE_DONE = "create.done"
    CREATE_COMMITTED = "create.committed"
    START_INTENDED = "start.intended"
    START_DONE = "start.done"
    START_COMMITTED = "start.committed"
    EXEC_INTENDED = "exec.intended"
    EXEC_DONE = "exec.done"
    EXEC_COMMITTED = "exec.committed"
    FREEZE_INTENDED = "freeze.intended"
    FREEZE_DONE = "freeze.done"
    FREEZE_COMMITTED = "freeze.committed"
    RERUN_INTENDED = "rerun.intended"
    RERUN_CLEARED = "rerun.cleared"
    RERUN_RAISED = "rerun.raised"
    RERUN_DONE = "rerun.done"
    RERUN_COMMITTED = "rerun.committed"
    UPDATE_INTENDED = "update.intended"
    UPDATE_DONE = "update.done"
    UPDATE_COMMITTED = "update.committed"
    SIGNAL_INTENDED = "signal.intended"
    SIGNAL_SENT = "signal.sent"
    STOP_INTENDED = "stop.intended"
    STOP_SIGNALED = "stop.signaled"
    EXIT_SEEN = "exit.seen"
    EXIT_COMMITTED = "exit.committed"
    CHECKPOINT_INTENDED = "checkpoint.intended"
    CHECKPOINT_FROZEN = "checkpoint.frozen"
    CHECKPOINT_DUMPED = "checkpoint.dumped"
    CHECKPOINT_WRITTEN = "checkpoint.written"
    CHECKPOINT_COMMITTED = "checkpoint.committed"
    RESTORE_INTENDED = "restore.intended"
    RESTORE_DONE = "restore.done"
    RESTORE_COMMITTED = "restore.committed"
    SOURCE_DUMPING = "source.dumping"
    SOURCE_CARRYING = "source.carrying"
    SOURCE_ASKED = "source.asked"
    SOURCE_LEAVING = "source.leaving"
    SOURCE_REVIVING = "source.reviving"
    SOURCE_GONE = "source.gone"
    SOURCE_STAYED = "source.stayed"
    SOURCE_BACK = "source.back"
    SOURCE_STRANDED = "source.stranded"
    TARGET_EXPECTING = "target.expecting"
    TARGET_RESTORING = "target.restoring"
    TARGET_RESTORED = "target.restored"
    TARGET_KEPT = "target.kept"
    TARGET_REVOKING = "target.revoking"
    TARGET_FAILED = "target.failed"
    TARGET_SETTLED = "target.settled"
    DELETE_INTENDED = "delete.intended"
    DELETE_DONE = "delete.done"
    DELETE_COMMITTED = "delete.committed"


SIGNAL = "signal/"


def signal_intent(command: str) -> str:
    """The `op` of a signal's intent: several may be under way to one process."""
    return f"{SIGNAL}{command}"
