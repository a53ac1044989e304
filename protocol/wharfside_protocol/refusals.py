"""Why a NATS server and a client part before a word is spoken, and what to do about it.

The words come from OpenSSL (`openssl errstr`, RFC 8446 section 6), from nats-server
(client.go, auth.go) and from the bus's own clients; nobody gives them codes. A server tells
one whom it does not know nothing more than "Authorization Violation".
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple

NO_TLS = "the server offers no TLS"
"""Said by our own clients, which go no further then: whoever stands between could have taken
it out of the server's greeting."""


class Part(StrEnum):
    """Who is not taken for who it says: the server by us, or we by the server."""

    US = "us"
    SERVER = "server"


class Refusal(NamedTuple):
    """`advice` goes behind the words, after a semicolon."""

    refused: Part
    advice: str


_CREDENTIALS = (
    "check --creds, --nkey, user and password, or the NATS context (an agent: nats.creds or "
    "nats.nkey_seed); they may have been replaced or revoked"
)
_ROWS: tuple[tuple[str, Part, str], ...] = (
    (
        NO_TLS,
        Part.SERVER,
        "give it a certificate (`wharfside auth tls`), or leave out the CA where all of the way "
        "to it is yours",
    ),
    (
        "certificate has expired",
        Part.SERVER,
        "have it made anew (`wharfside auth tls`), or set this machine's clock",
    ),
    (
        "certificate is not yet valid",
        Part.SERVER,
        "set this machine's clock, or the one that made it",
    ),
    (
        "certificate is not valid for|hostname mismatch",
        Part.SERVER,
        "use a name that its certificate has, or have this one added (`wharfside auth tls`)",
    ),
    (
        "certificate verify failed",
        Part.SERVER,
        "trust the authority that made its certificate (--tlsca or NATS_CA; an agent: nats.ca), "
        "if this is the right server",
    ),
    (
        "alert certificate required",
        Part.US,
        "it asks for a certificate of ours (--tlscert and --tlskey; an agent: nats.certificate "
        "and nats.key)",
    ),
    (
        "alert (unknown ca|bad certificate|certificate unknown)",
        Part.US,
        "our certificate must be made by the authority that it trusts (`wharfside auth tls`)",
    ),
    (
        "alert certificate expired",
        Part.US,
        "have our certificate made anew (`wharfside auth tls`)",
    ),
    (
        "authentication expired|jwt expired",
        Part.US,
        "have new credentials made (`wharfside auth rotate`)",
    ),
    (
        "authentication revoked|jwt revoked",
        Part.US,
        "this key is not let in any more: have a new one made (`wharfside auth rotate`)",
    ),
    ("authori[sz]ation|authentication|nkey|jwt", Part.US, _CREDENTIALS),
)


def refusal(words: str) -> Refusal | None:
    """What the words of an error mean; None where nobody refused anybody."""
    said = words.replace("_", " ")
    for pattern, refused, advice in _ROWS:
        if re.search(pattern, said, re.I):
            return Refusal(refused, advice)
    return None
