"""A seccomp filter's answer, without a kernel: the classic BPF that seccomp(2) allows."""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence

MASK = 0xFFFF_FFFF

JUMPS = {
    0x15: lambda a, k: a == k,
    0x25: lambda a, k: a > k,
    0x35: lambda a, k: a >= k,
    0x45: lambda a, k: bool(a & k),
}


def answer(program: str, arch: int, number: int, args: Sequence[int] = ()) -> int:
    """What `program` (base64) returns for a syscall: SECCOMP_RET_* with its data."""
    data = struct.pack("<IIQ6Q", number & MASK, arch, 0, *([*args, *[0] * 6][:6]))
    code = list(struct.iter_unpack("<HBBI", base64.b64decode(program)))
    at, accumulator = 0, 0
    for _ in range(len(code)):
        operation, true, false, k = code[at]
        at += 1
        if operation == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, k)
        elif operation == 0x54:
            accumulator &= k
        elif operation == 0x05:
            at += k
        elif operation == 0x06:
            return k
        else:
            at += true if JUMPS[operation](accumulator, k) else false
    raise AssertionError("the program does not end")
