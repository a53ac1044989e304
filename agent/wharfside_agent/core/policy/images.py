"""What the processes of a checkpoint image may do: CRIU gives it back to them on restore.

A restore takes rights from the image, not from the new config.json; so an image that was made
elsewhere is read for them. The format: two magic words, then the size and the bytes of one
protobuf message (criu.org/Images; `images/core.proto` and `images/creds.proto` of CRIU).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from wharfside_agent.core.policy.asked import AskedProcess
from wharfside_protocol.errors import Invalid

MAX_CORE_BYTES = 1024 * 1024
"""A task's is some kilobytes."""

_IMAGE, _CORE = 0x54564319, 0x55053847
_THREAD_CORE, _TASK_CORE = 5, 3
_CREDS, _SECCOMP_MODE = 10, 11
_TASK_STATE, _DEAD = 1, 2
_EUID = 3
_CAPABILITIES = (9, 10, 11, 12, 19)  # inheritable, permitted, effective, bounding, ambient
_NO_NEW_PRIVILEGES = 18  # CRIU 4.1 and later

_FILTERED = 2
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

_NUMBERED = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP "
    "LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER "
    "SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE "
    "SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP "
    "MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF "
    "CHECKPOINT_RESTORE"
)
CAPABILITIES = tuple(f"CAP_{name}" for name in _NUMBERED.split())
"""By their numbers (capabilities(7), linux/capability.h)."""


def task_in(data: bytes) -> tuple[AskedProcess, bool]:
    """What a `core-<id>.img` gives its thread, and whether a seccomp filter holds it.

    Raises:
        Invalid: it is no such image.
    """
    try:
        common, kind, size = struct.unpack_from("<III", data)
        if (common, kind) != (_IMAGE, _CORE) or len(data) < 12 + size:
            raise ValueError("not an image of a task")
        return _task(data[12 : 12 + size])
    except (ValueError, IndexError, struct.error) as error:
        raise Invalid(f"the image of a process cannot be read: {error}") from error


_NOTHING = AskedProcess(capabilities=frozenset(), root=False, new_privileges=False)


def _task(core: bytes) -> tuple[AskedProcess, bool]:
    if _is_dead(core):
        return _NOTHING, True
    cores = [value for value in _of(core, _THREAD_CORE) if isinstance(value, bytes)]
    creds = [each for one in cores for each in _of(one, _CREDS) if isinstance(each, bytes)]
    if len(cores) != 1 or len(creds) != 1:
        raise ValueError("it has no credentials")
    held = {name for field in _CAPABILITIES for name in _names(creds[0], field)}
    modes = [each for each in _of(cores[0], _SECCOMP_MODE) if isinstance(each, int)]
    # a thread that is not told apart has the filter of its task's first one
    filtered = modes == [_FILTERED] or (not modes and not _of(core, _TASK_CORE))
    task = AskedProcess(
        capabilities=frozenset(held),
        root=0 in _of(creds[0], _EUID),
        new_privileges=_of(creds[0], _NO_NEW_PRIVILEGES) != [1],
    )
    return task, filtered


def _is_dead(core: bytes) -> bool:
    """Ended, and not waited for by its parent yet: nothing of it but its status is restored."""
    tasks = _of(core, _TASK_CORE)
    if _of(core, _THREAD_CORE) or len(tasks) != 1 or not isinstance(tasks[0], bytes):
        return False
    return _of(tasks[0], _TASK_STATE) == [_DEAD]


def _names(creds: bytes, field: int) -> Iterator[str]:
    """Words of 32 bits, the lower first; what the kernel had no name for yet stays a number."""
    words: list[int] = []
    for value in _of(creds, field):
        words += [value] if isinstance(value, int) else list(_packed(value))
    for place, word in enumerate(words):
        for bit in range(32):
            if word >> bit & 1:
                number = 32 * place + bit
                yield CAPABILITIES[number] if number < len(CAPABILITIES) else f"CAP_{number}"


def _of(message: bytes, field: int) -> list[int | bytes]:
    return [value for number, value in _fields(message) if number == field]


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """protobuf.dev/programming-guides/encoding."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if kind == _BYTES:
            size, at = _varint(message, at)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {kind}")
        if at + size > len(message):
            raise ValueError("it is cut off")
        yield number, message[at : at + size]
        at += size


def _packed(data: bytes) -> Iterator[int]:
    at = 0
    while at < len(data):
        value, at = _varint(data, at)
        yield value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise ValueError("a number that is too long")
