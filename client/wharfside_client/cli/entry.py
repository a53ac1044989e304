"""The entry point of `wharfside`."""

from __future__ import annotations

import gc
import os
import signal
import sys
from contextlib import suppress

YOUNG_OBJECTS = 50_000
"""So many new objects the collector lets come before it looks at them. What a command imports
stays; with Python's own 700 it is gone through again and again, for a tenth of a command's CPU
time."""


def main() -> None:
    """Ends silently by a ctrl-C that comes before or after a command's body.

    Python would tell it by a traceback out of whatever import it is at. `session.run`
    takes ctrl-C back for as long as there is something to end. One that is ignored (the
    background of a script) stays so.
    """
    _open_streams()
    gc.set_threshold(YOUNG_OBJECTS)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from wharfside_client.cli import main as cli

    cli.main()


def _open_streams() -> None:
    """Those of ours that are closed (`>&-`) as /dev/null: no socket gets their number."""
    with suppress(OSError):
        while (opened := os.open(os.devnull, os.O_RDWR)) <= 2:
            pass
        os.close(opened)
    sys.stdin = sys.stdin or os.fdopen(0, closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
