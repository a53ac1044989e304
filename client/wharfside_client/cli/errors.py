"""What goes wrong on this side of a terminal."""

from __future__ import annotations

from wharfside_client.errors import ClientError


class NoTerminal(ClientError):
    """A terminal was asked for, and there is none here."""

    fault = "no-terminal"


class LocalFailed(ClientError):
    """This process's own stdin, stdout or stderr cannot be used."""

    fault = "local-io"
