"""From the words of a runtime to the error that is told. Pure."""

from __future__ import annotations

import re

from wharfside_protocol.errors import RuntimeFailed

NOT_FOUND = 127
NOT_EXECUTABLE = 126

_PREFIX = re.compile(r"^(?:\d{4}-\d\d-\d\dT[\d:.]+Z?[+-]?[\d:]*:? |time=\S+ level=\w+ msg=)")

# crun: "executable file `x` not found in $PATH: ...", "open executable: Permission denied".
# runc: 'exec: "x": executable file not found in $PATH', 'exec: "/x": stat /x: no such file or
# directory', 'exec: "/x": permission denied'. Files that are not the program are also spoken
# of, hence the words before.
_NOT_FOUND = re.compile(
    r"executable file .*not found|exec: \".*no such file or directory"
    r"|open executable: No such file or directory"
)
_NOT_EXECUTABLE = re.compile(
    r"exec: \".*(permission denied|operation not permitted|exec format error|is a directory)"
    r"|(open executable|exec container process.*): "
    r"(Permission denied|Operation not permitted|Exec format error|Is a directory)"
)


def refusal(what: str, words: str) -> RuntimeFailed:
    """`what` could not be done; `words` are the runtime's own.

    `details.exit_code` is what a shell would answer where the program is not there (127)
    or cannot be executed (126).
    """
    said = _PREFIX.sub("", words.strip()) or "no words"
    message = f"{what}: {said}"
    code = exit_code(said)
    return RuntimeFailed(message) if code is None else RuntimeFailed(message, exit_code=code)


def exit_code(words: str) -> int | None:
    if _NOT_FOUND.search(words):
        return NOT_FOUND
    if _NOT_EXECUTABLE.search(words):
        return NOT_EXECUTABLE
    return None


_UNKNOWN = re.compile(
    r"container does not exist|container .*does not exist|No such file or dir.*/status"
)


def unknown_to_runtime(words: str) -> bool:
    """The runtime has no state of such a container."""
    return bool(_UNKNOWN.search(words))
