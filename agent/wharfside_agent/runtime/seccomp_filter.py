"""Compiles our seccomp profile once, where the runtime would compile it for each container.

crun takes a ready filter by the annotation `run.oci.seccomp_bpf_data` (crun.1): about
10 ms of CPU a container less. A crun that does not know the annotation, and runc, are given the
profile.
"""

from __future__ import annotations

import base64
import ctypes
import errno
import mmap
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ANNOTATION = "run.oci.seccomp_bpf_data"

_LIBRARY = "libseccomp.so.2"  # what crun itself is linked with
_ACT_ALLOW = 0x7FFF_0000  # seccomp_init(3)
_ACT_ERRNO = 0x0005_0000
_ATTRIBUTE_OPTIMIZE, _BINARY_TREE = 8, 2  # seccomp_attr_set(3), since 2.5.0
_UNKNOWN = -1  # __NR_SCMP_ERROR
_OPERATORS = {"SCMP_CMP_NE": 1, "SCMP_CMP_EQ": 4, "SCMP_CMP_MASKED_EQ": 7}


class _Comparison(ctypes.Structure):
    """struct scmp_arg_cmp (seccomp_rule_add(3))."""

    _fields_ = [
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("datum_a", ctypes.c_uint64),
        ("datum_b", ctypes.c_uint64),
    ]


def takes_filter(program: Path) -> bool:
    """Whether a runtime knows the annotation: a program that does names it.

    Raises:
        OSError: it cannot be read.
    """
    with program.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as words:
        return words.find(ANNOTATION.encode()) >= 0


def compile_filter(profile: Mapping[str, Any]) -> str | None:
    """The BPF program of an OCI `linux.seccomp`, as crun wants it (base64).

    None where it cannot be had (no libseccomp, an old one): the runtime then
    compiles the profile itself, as ever.
    """
    try:
        library = _load()
    except (OSError, AttributeError):
        return None
    context = library.seccomp_init(_ACT_ERRNO | profile["defaultErrnoRet"])
    if not context:
        return None
    try:
        _fill(library, context, profile)
        return base64.b64encode(_export(library, context)).decode()
    except OSError:
        return None
    finally:
        library.seccomp_release(context)


def _load() -> ctypes.CDLL:
    library = ctypes.CDLL(_LIBRARY)
    pointer, word = ctypes.c_void_p, ctypes.c_uint32
    library.seccomp_init.restype = pointer
    library.seccomp_init.argtypes = (word,)
    library.seccomp_release.restype = None
    library.seccomp_release.argtypes = (pointer,)
    library.seccomp_attr_set.argtypes = (pointer, ctypes.c_int, word)
    library.seccomp_arch_resolve_name.restype = word
    library.seccomp_arch_resolve_name.argtypes = (ctypes.c_char_p,)
    library.seccomp_arch_add.argtypes = (pointer, word)
    library.seccomp_syscall_resolve_name.argtypes = (ctypes.c_char_p,)
    library.seccomp_rule_add_array.argtypes = (
        *(pointer, word, ctypes.c_int, ctypes.c_uint),
        ctypes.POINTER(_Comparison),
    )
    library.seccomp_export_bpf.argtypes = (pointer, ctypes.c_int)
    return library


def _fill(library: ctypes.CDLL, context: int, profile: Mapping[str, Any]) -> None:
    library.seccomp_attr_set(context, _ATTRIBUTE_OPTIMIZE, _BINARY_TREE)  # refused: linear
    for name in profile.get("architectures", ()):
        token = library.seccomp_arch_resolve_name(name.removeprefix("SCMP_ARCH_").lower().encode())
        _check(library.seccomp_arch_add(context, token), allowed=errno.EEXIST)
    for rule in profile["syscalls"]:
        action = _ACT_ALLOW
        if rule["action"] == "SCMP_ACT_ERRNO":
            action = _ACT_ERRNO | rule["errnoRet"]
        comparisons = _comparisons(rule.get("args", ()))
        for name in rule["names"]:
            number = library.seccomp_syscall_resolve_name(name.encode())
            if number != _UNKNOWN:  # newer than this libseccomp: the default answers
                _check(
                    library.seccomp_rule_add_array(
                        context, action, number, len(comparisons), comparisons
                    )
                )


def _comparisons(args: Any) -> ctypes.Array[_Comparison]:
    plain = [
        _Comparison(each["index"], _OPERATORS[each["op"]], each["value"], each.get("valueTwo", 0))
        for each in args
    ]
    return (_Comparison * len(plain))(*plain)


def _export(library: ctypes.CDLL, context: int) -> bytes:
    fd = os.memfd_create("seccomp-filter")
    try:
        _check(library.seccomp_export_bpf(context, fd))
        return os.pread(fd, os.fstat(fd).st_size, 0)
    finally:
        os.close(fd)


def _check(result: int, allowed: int = 0) -> None:
    if result not in (0, -allowed):
        raise OSError(-result, os.strerror(-result))
