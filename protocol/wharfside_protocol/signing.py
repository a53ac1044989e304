"""Signed commands: what is signed, and the headers that carry it, over both lanes.

A user's nkey (ed25519, RFC 8032; encoded as github.com/nats-io/nkeys does) signs lines of ASCII
joined by a newline each, without one at the end: DOMAIN, the command's id, op, node, the time of
signing, its deadline, its fence, and the digest of op and arguments (`digest.py`). The fence is
`incarnation run revision`, with a `-` for each that is not there. Nothing else in a command
decides what is done; `actor` is compared with what the node knows of the key.

DOMAIN keeps the signature from meaning anything elsewhere, and names the version. It cannot keep
a NATS server from asking for these bytes: a login signs whatever the server sends as its nonce.
So a key that signs commands must never be one that logs in.
"""

from __future__ import annotations

import base64
import binascii
import re

from wharfside_protocol.envelope import Command
from wharfside_protocol.errors import Invalid
from wharfside_protocol.times import to_timestamp

KEY_HEADER = "Wharfside-Key"
"""The signer's public nkey, `U...`."""
TIME_HEADER = "Wharfside-Signed-At"
"""The time of signing, RFC 3339 in UTC, by the signer's clock."""
SIGNATURE_HEADER = "Wharfside-Signature"
"""The 64 bytes of the signature in base64url without padding."""
HEADERS = (KEY_HEADER, TIME_HEADER, SIGNATURE_HEADER)

DOMAIN = "wharfside-command-v1"

KEY_LENGTH = 56
_USER = 20 << 3
_SIGNATURE = re.compile(r"[A-Za-z0-9_-]{86}")


def signed_bytes(command: Command, digest: str, signed_at: str) -> bytes:
    """What the signature of `command` is made over; `digest` is that of its op and arguments."""
    fence = command.expect
    parts = (None, None, None) if fence is None else (fence.incarnation, fence.run, fence.revision)
    lines = (
        DOMAIN,
        command.id,
        command.op,
        command.node,
        signed_at,
        command.deadline or "-",
        " ".join("-" if part is None else str(part) for part in parts),
        digest,
    )
    return "\n".join(lines).encode()


class Signer:
    """A user's nkey, from its seed.

    Raises:
        Invalid: `seed` is not that of a user (`SU...`), or is mistyped.
    """

    def __init__(self, seed: str) -> None:
        import nkeys  # with libsodium 20 ms and 4 MB: for those alone who sign or check

        try:
            prefix, raw = nkeys.decode_seed(seed.encode())
            whole = nkeys.encode_seed(raw, prefix) == seed.encode()
        except (nkeys.NkeysError, ValueError) as error:
            raise Invalid("not the seed of an nkey (SU...)") from error
        if prefix != _USER or not whole:
            raise Invalid("not the seed of a user's nkey (SU...), or a character of it is wrong")
        self._pair = nkeys.from_seed(seed.encode())
        self.key: str = self._pair.public_key.decode()

    def headers(self, command: Command, digest: str, now: int) -> dict[str, str]:
        """The signature of `command` at `now` (ns), as headers. It must carry its deadline."""
        signed_at = to_timestamp(now)
        signature = self._pair.sign(signed_bytes(command, digest, signed_at))
        text = base64.urlsafe_b64encode(signature).decode().rstrip("=")
        return {KEY_HEADER: self.key, TIME_HEADER: signed_at, SIGNATURE_HEADER: text}


class PublicKey:
    """A user's public nkey, to check signatures by.

    Raises:
        Invalid: `text` is none (`U...`), or is mistyped.
    """

    def __init__(self, text: str) -> None:
        from nacl.signing import VerifyKey

        self._key = VerifyKey(_raw(text))

    def signed(self, message: bytes, signature: str) -> bool:
        """Whether `signature` (as in its header) is this key's over `message`; some 80 us."""
        from nacl.exceptions import CryptoError

        if not _SIGNATURE.fullmatch(signature):
            return False
        try:
            self._key.verify(message, base64.urlsafe_b64decode(signature + "=="))
        except CryptoError:
            return False
        return True


def _raw(text: str) -> bytes:
    """The 32 bytes in a public nkey: kind, key, and a CRC-16 that finds what is mistyped."""
    from nkeys import crc16_checksum

    try:
        decoded = base64.b32decode(text)
    except (binascii.Error, ValueError) as error:
        raise Invalid(f"{text[:KEY_LENGTH]!r} is no public nkey (U...)") from error
    body, checksum = decoded[:-2], decoded[-2:]
    if len(text) != KEY_LENGTH or body[0] != _USER or crc16_checksum(body) != checksum:
        raise Invalid(
            f"{text[:KEY_LENGTH]!r} is not the public nkey of a user (U...), "
            "or a character of it is wrong"
        )
    return body[1:]
