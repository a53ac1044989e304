"""The entry point of `wharfside`."""

from __future__ import annotations

import signal


def main() -> None:
    """Ends silently by a ctrl-C that comes before or after a command's body.

    Python would tell it by a traceback out of whatever import it is at. `session.run`
    takes ctrl-C back for as long as there is something to end. One that is ignored (the
    background of a script) stays so.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from wharfside_client.cli import main as cli

    cli.main()
