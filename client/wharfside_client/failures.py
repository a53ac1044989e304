"""What failed on the way to a server, and the error that tells it with what to do about it."""

from __future__ import annotations

import re

from wharfside_client.errors import ClientError, Refused, ServerUnreachable, Untrusted
from wharfside_client.settings import ServerSettings
from wharfside_protocol.refusals import Part, refusal

_HUNG_UP = re.compile(r"unexpected EOF|after close notify|connection reset|broken pipe", re.I)
_SSL = re.compile(r"^\[SSL: \w+\] | \(_ssl\.c:\d+\)$")
"""OpenSSL's own names and places, around its words."""


class Failures:
    """`seen`: of a connection to be opened one for each try, of one that was open the last."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self.seen: list[Exception] = []

    def not_opened(self) -> ClientError:
        """Why there is no connection: a server's refusal says more than that others were away."""
        refusals = filter(None, map(self.refusal, self.seen))
        return next(refusals, None) or self._hung_up() or self.unreachable()

    def unreachable(self, error: BaseException | None = None) -> ServerUnreachable:
        """The error that says what to check, with the last cause that is known."""
        cause = error or (self.seen[-1] if self.seen else None)
        if isinstance(cause, Exception) and (known := self.refusal(cause)) is not None:
            return ServerUnreachable(known.message, servers=self._settings.shown_servers)
        servers = ", ".join(self._settings.shown_servers)
        because = f" ({words_of(cause)})" if cause is not None else ""
        return ServerUnreachable(
            f"no NATS server at {servers}{because}; check that it runs and is reachable from "
            "here, and --server, NATS_URL or the NATS context",
            servers=self._settings.shown_servers,
        )

    def refusal(self, failure: Exception) -> ClientError | None:
        """Where server and client part by choice: neither would do otherwise at the next try."""
        words = words_of(failure)
        found = refusal(words)
        if found is None:
            return None
        if found.refused is Part.SERVER:
            return Untrusted(f"the NATS server is not trusted ({words}); {found.advice}")
        advice = self._settings.expired() or found.advice
        return Refused(f"the NATS server does not let us in ({words}); {advice}")

    def _hung_up(self) -> ClientError | None:
        """A server that refuses us says why and hangs up; its last word may be lost with that."""
        words = next((w for e in self.seen if _HUNG_UP.search(w := words_of(e))), None)
        if words is None:
            return None
        expired = self._settings.expired()
        if expired is not None:
            return Refused(f"the NATS server does not let us in ({words}); {expired}")
        return ServerUnreachable(
            f"the NATS server hung up ({words}): it does not let us in, or goes down; "
            "try again, and check --creds, --nkey, --tlscert, user and password, or the NATS "
            "context",
            servers=self._settings.shown_servers,
        )


def words_of(error: BaseException) -> str:
    return _SSL.sub("", str(error)).removeprefix("nats: ").strip("'\"") or type(error).__name__
