"""From the words of a runtime to the error that is told. Pure."""

from __future__ import annotations

import json
import re

from wharfside_protocol.errors import RuntimeFailed

NOT_FOUND = 127
NOT_EXECUTABLE = 126

# runc logs in logrus's text form; crun may put a time before its words.
_LOGRUS = re.compile(r'time="[^"]*" level=(\w+) msg=("(?:[^"\\]|\\.)*"|\S+)')
_TIME = re.compile(r"^\d{4}-\d\d-\d\dT\S+:? ")

# crun: "executable file `x` not found in $PATH: ...", "open executable: Permission denied".
# runc: 'exec: "x": executable file not found in $PATH', 'exec: "/x": stat /x: no such file or
# directory', 'exec: "/x": permission denied'. Files that are not the program are also spoken
# of, hence the words before.
_NOT_FOUND = re.compile(
    r'executable file .*not found|exec: ".*no such file or directory'
    r"|open executable: No such file or directory"
)
_NOT_EXECUTABLE = re.compile(
    r'exec: ".*(permission denied|operation not permitted|exec format error|is a directory)'
    r"|(open executable|exec container process.*): "
    r"(Permission denied|Operation not permitted|Exec format error|Is a directory)"
)
_UNKNOWN = re.compile(r"container .*does not exist|error opening file .*/status.: No such file")


def refusal(what: str, said: str) -> RuntimeFailed:
    """`what` could not be done; `said` is what the runtime wrote.

    `details.exit_code` is what a shell would answer where the program is not there (127)
    or cannot be executed (126).
    """
    words = own_words(said)
    message = f"{what}: {words or 'it gave no reason'}"
    code = exit_code(words)
    return RuntimeFailed(message) if code is None else RuntimeFailed(message, exit_code=code)


def own_words(said: str) -> str:
    """What the runtime had to say, without its log's dress; errors before warnings."""
    logged = [(level, _unquoted(text)) for level, text in _LOGRUS.findall(said)]
    if not logged:
        return "\n".join(_TIME.sub("", line) for line in said.strip().splitlines())
    errors = [text for level, text in logged if level in ("error", "fatal", "panic")]
    return "\n".join(errors or [text for _, text in logged])


def exit_code(words: str) -> int | None:
    """126, 127, or None where the words are of something else."""
    if _NOT_FOUND.search(words):
        return NOT_FOUND
    if _NOT_EXECUTABLE.search(words):
        return NOT_EXECUTABLE
    return None


def unknown_to_runtime(words: str) -> bool:
    """The runtime has no state of such a container."""
    return bool(_UNKNOWN.search(words))


def _unquoted(text: str) -> str:
    try:
        read = json.loads(text)
    except ValueError:
        return text
    return read if isinstance(read, str) else text
