"""Signal names as people write them, and their numbers on Linux."""

from __future__ import annotations

import signal

from wharfside_protocol.errors import Invalid

MAX_SIGNAL = 64


def signal_number(text: str) -> int:
    """The number of `TERM`, `SIGTERM`, `RTMIN+3` or `15`.

    Raises:
        Invalid: there is no such signal (signal(7)).
    """
    if text.isdigit():
        number = int(text)
    else:
        base, plus, offset = text.removeprefix("SIG").partition("+")
        try:
            number = signal.Signals[f"SIG{base}"] + (int(offset) if plus else 0)
        except (KeyError, ValueError) as error:
            raise Invalid(f"no signal {text!r}: write TERM, SIGTERM or 15") from error
    if not 1 <= number <= MAX_SIGNAL:
        raise Invalid(f"no signal {text!r}: numbers go from 1 to {MAX_SIGNAL}")
    return number
