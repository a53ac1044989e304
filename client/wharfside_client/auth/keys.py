"""nkeys: the ed25519 keys by which NATS knows operators, accounts and users.

A public key begins with the letter of its kind (O, A, U), a seed with S and that letter
(nats-io/nkeys). Whoever has a seed is who it says.
"""

from __future__ import annotations

import os
from enum import Enum
from pathlib import Path

import nkeys

from wharfside_client.auth.errors import BadKey
from wharfside_client.auth.placing import PRIVATE, place


class Kind(Enum):
    """What a key may be: `value` is its prefix, as nkeys numbers it."""

    OPERATOR = nkeys.PREFIX_BYTE_OPERATOR
    ACCOUNT = nkeys.PREFIX_BYTE_ACCOUNT
    USER = nkeys.PREFIX_BYTE_USER


class Key:
    """A pair of keys; its `repr` tells the public one alone."""

    def __init__(self, seed: str, kind: Kind) -> None:
        """
        Raises:
            BadKey: `seed` is none, or of another kind.
        """
        try:
            prefix, _ = nkeys.decode_seed(seed.encode())
            self._pair = nkeys.from_seed(bytearray(seed.encode()))
            self.public = bytes(self._pair.public_key).decode()
        except Exception as error:
            # nkeys raises its own kinds, binascii's and ValueError, depending on where it is cut
            raise BadKey("this is no nkey seed") from error
        if prefix != kind.value:
            raise BadKey(f"this is no seed of kind {kind.name.lower()}")
        self.seed = seed
        self.kind = kind

    @classmethod
    def make(cls, kind: Kind) -> Key:
        """A new one."""
        return cls(nkeys.encode_seed(os.urandom(32), kind.value).decode(), kind)

    @classmethod
    def read(cls, path: Path, kind: Kind) -> Key:
        """The one in a file of `save`.

        Raises:
            BadKey: there is none of that kind.
        """
        try:
            return cls(path.read_text(errors="replace").strip(), kind)
        except OSError as error:
            raise BadKey(f"{path}: {error.strerror}", path=str(path)) from error
        except BadKey as error:
            raise BadKey(f"{path}: {error.message}", path=str(path)) from error

    def save(self, path: Path) -> Key:
        """Writes its seed, 0600; the key itself comes back.

        Raises:
            LocalFiles: it cannot be written.
        """
        place(path, f"{self.seed}\n", PRIVATE)
        return self

    def sign(self, data: bytes) -> bytes:
        """64 bytes: the ed25519 signature."""
        return bytes(self._pair.sign(data))

    def __repr__(self) -> str:
        return f"Key({self.public})"
