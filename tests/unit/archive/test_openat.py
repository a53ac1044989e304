"""The two calls of the kernel, where they are not as they should be."""

import os

import pytest

from wharfside_agent.archive import openat
from wharfside_protocol.errors import Unsupported


def test_a_kernel_without_openat2_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(openat, "_SYS_OPENAT2", 9999)  # ENOSYS, by the kernel itself
    openat._require_openat2.cache_clear()
    try:
        with (
            openat.closing(os.open(tmp_path, os.O_PATH)) as root,
            pytest.raises(Unsupported, match=r"Linux 5\.6.*use `exec` with tar"),
        ):
            openat.open_in_root(root, "/", os.O_PATH)
    finally:
        openat._require_openat2.cache_clear()


def test_file_systems_are_told_by_their_kind(tmp_path):
    for path, pseudo in (("/proc", "proc"), ("/sys", "sysfs"), (tmp_path, None)):
        with openat.closing(os.open(path, os.O_PATH)) as fd:
            found, facts = openat.file_system(fd), os.fstatvfs(fd)
        assert (found.pseudo, found.free) == (pseudo, facts.f_bavail * facts.f_bsize)
