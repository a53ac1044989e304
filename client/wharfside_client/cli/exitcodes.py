"""What the CLI's own exit status tells, as docker has it: pure.

A container's exit code is passed on by `run` and `exec`. 125: it is ours (no such
node, no server, the agent refused); 126: the command is there and cannot be run;
127: there is no such command. Elsewhere 1 is a refusal by the node.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wharfside_protocol.errors import WharfsideError
    from wharfside_protocol.exits import ExitStatus

OK, REFUSED, USAGE = 0, 1, 2
OURS, NOT_RUNNABLE, NO_COMMAND = 125, 126, 127
INTERRUPTED = 130
READER_GONE = 141

# the words of crun 1.8-1.21 and runc 1.1-1.3
_NO_COMMAND = re.compile(
    r"executable file .*not found|exec: .*no such file or directory|exec .*: no such file", re.I
)
_NOT_RUNNABLE = re.compile(
    r"open executable: |exec: .*(permission denied|is a directory)|exec format error"
    r"|exec .*: permission denied",
    re.I,
)


def of_error(error: WharfsideError, *, runs: bool) -> int:
    """The status for `error`; `runs`: of a command that passes on a container's own."""
    from wharfside_client.errors import ClientError, Pending, Unanswered
    from wharfside_protocol.errors import RuntimeFailed

    if isinstance(error, ClientError | Unanswered | Pending):
        return OURS
    if not runs:
        return REFUSED
    if isinstance(error, RuntimeFailed):
        if _NO_COMMAND.search(error.message):
            return NO_COMMAND
        if _NOT_RUNNABLE.search(error.message):
            return NOT_RUNNABLE
    return OURS


def of_exit(status: ExitStatus | None) -> int:
    """A container's own exit code; 125 where it cannot be known."""
    if status is None or status.exit_code is None:
        return OURS
    return status.exit_code
