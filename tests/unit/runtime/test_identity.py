"""A pid in a file, and whether the process that has it now is the one that was meant."""

from __future__ import annotations

import os
import time

from wharfside_agent.procs import proc_stat
from wharfside_agent.runtime.identity import began_before


def test_a_process_is_as_old_as_a_file_that_names_it_or_has_got_the_pid_later() -> None:
    stat = proc_stat(os.getpid())
    assert stat is not None
    assert began_before(stat, time.time_ns())
    assert not began_before(stat, time.time_ns() - 10**12)
