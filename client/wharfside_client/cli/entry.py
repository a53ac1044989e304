"""The entry point of `wharfside`."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress


def main() -> None:
    """Ends silently by a ctrl-C that comes before or after a command's body.

    Python would tell it by a traceback out of whatever import it is at. `session.run`
    takes ctrl-C back for as long as there is something to end. One that is ignored (the
    background of a script) stays so.
    """
    _open_streams()
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
