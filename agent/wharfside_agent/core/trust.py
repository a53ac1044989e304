"""Who gave a command: what its signature proves, and what this node makes of none.

A signature is good once. What it allowed is known by the command's id for 48 h, and no deadline
is more than 24 h ahead: so a command that comes again gets its stored result, or comes too late.
One whose record is lost with the store was signed before the new one began, and is refused for
that. A read that comes again within its deadline is answered again: it changes nothing, and who
can send it has seen the first answer pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from wharfside_agent.core.actors import Actor
from wharfside_protocol.envelope import Command
from wharfside_protocol.errors import Denied, Invalid
from wharfside_protocol.ops import Op
from wharfside_protocol.signing import (
    HEADERS,
    KEY_HEADER,
    KEY_LENGTH,
    TIME_HEADER,
    PublicKey,
    signed_bytes,
)
from wharfside_protocol.times import NANOSECONDS, from_timestamp, to_timestamp

Require = Literal["never", "changes", "always"]

AHEAD_S = 60
"""So far a signer's clock may be ahead of the node's: beyond it a new store proves nothing."""


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A public nkey, and whom it proves."""

    key: str
    actor: str
    role: str | None = None


class Trust:
    """`remembers_since` (ns): what was done before is not known to this node's store.

    Raises:
        Invalid: a key is none.
    """

    def __init__(
        self,
        keys: Iterable[TrustedKey] = (),
        require: Require = "never",
        remembers_since: int = 0,
    ) -> None:
        self._actors = {
            each.key: Actor(each.actor, each.role, proven=True, key=each.key) for each in keys
        }
        self._keys = {text: PublicKey(text) for text in self._actors}
        self._require = require
        self._remembers_since = remembers_since

    def looks_at(self, headers: Mapping[str, str]) -> bool:
        """Whether there is a signature to be checked. A node that trusts no key looks at none."""
        return bool(self._keys and headers) and any(name in headers for name in HEADERS)

    def proven(self, command: Command, digest: str, headers: Mapping[str, str], now: int) -> Actor:
        """Whom the signature proves. `digest` is that of op and arguments as they came.

        Raises:
            Denied: it proves nobody; `details.rule` is what it fails at.
        """
        key, signed_at, signature = (headers.get(name, "") for name in HEADERS)
        if not (key and signed_at and signature):
            raise _denied("signature", f"a signature is three headers: {', '.join(HEADERS)}")
        actor = self._actors.get(key)
        if actor is None:
            raise _denied("keys", f"this node does not trust key {key[:KEY_LENGTH]!r} (trust.keys)")
        if command.deadline is None:
            raise _denied("deadline", "a signed command must have a deadline")
        at = _time(signed_at)
        if not self._keys[key].signed(signed_bytes(command, digest, signed_at), signature):
            raise _denied(
                "signature",
                f"the signature is not {actor.name}'s over this command: id, op, node, deadline, "
                "expect and arguments must be those that were signed",
            )
        self._check_time(at, now)
        if command.actor not in (None, actor.name):
            raise _denied(
                "actor", f"the command says that {command.actor} gave it, its key is {actor.name}'s"
            )
        return actor

    def unproven(self, actor: Actor, op: Op) -> Actor:
        """`actor` as the command says, where that is enough for `op`.

        Raises:
            Denied: it must be signed here.
        """
        if self._require == "never" or (self._require == "changes" and not op.acts):
            return actor
        raise _denied(
            "require",
            f"this node takes {op.name} only signed, by a key that it trusts "
            f'(trust.require = "{self._require}"): sign it (--sign-key)',
        )

    def still(self, actor: Actor, op: Op) -> Actor:
        """`actor` of a command that a former life took, as this one's settings have it.

        Raises:
            Denied: its key is trusted no more, or it must be signed here now.
        """
        if not actor.proven:
            return self.unproven(actor, op)
        known = self._actors.get(actor.key or "")
        if known is None:
            raise _denied("keys", f"this node trusts {actor.name}'s key no more (trust.keys)")
        return known

    def _check_time(self, at: int, now: int) -> None:
        if at > now + AHEAD_S * NANOSECONDS:
            ahead = (at - now) / NANOSECONDS
            raise _denied(
                "signed-at", f"signed {ahead:.0f} s ahead of this node's clock: set one of the two"
            )
        if at < self._remembers_since:
            raise _denied(
                "signed-at",
                f"signed before this node's store began ({to_timestamp(self._remembers_since)}), "
                "so it may have been done already: look, and sign it again",
            )


def claimed(command: Command, headers: Mapping[str, str]) -> Actor:
    """Who is said to have given a command that was not proven to be anyone's."""
    return Actor(command.actor or "", key=headers.get(KEY_HEADER, "")[:KEY_LENGTH] or None)


def _time(text: str) -> int:
    try:
        return from_timestamp(text)
    except Invalid as error:
        raise _denied("signature", f"{TIME_HEADER}: {error.message}") from error


def _denied(rule: str, message: str) -> Denied:
    return Denied(message, rule=f"trust.{rule}")
