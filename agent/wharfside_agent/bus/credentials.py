"""What lets the node in, read from its files anew for every client and checked before use.

Left to itself nats-py reads a creds file while it connects: a truncated one spins the
loop for ever, and other faults end its reconnecting in silence (nats.md, row 10).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nkeys
from nats.aio.client import RawCredentials
from nats.errors import Error as NatsError

MAX_BYTES = 64 * 1024

_JWT = re.compile(r"-+BEGIN NATS USER JWT-+\s+([\w.-]+)\s+-+END NATS USER JWT-+")
_SEED = re.compile(r"-+BEGIN USER NKEY SEED-+\s+(\w+)\s+-+END USER NKEY SEED-+")


class BadCredentials(NatsError):
    """A file of credentials cannot be used as it is now; it is read again at the next try."""


@contextmanager
def usable(*paths: Path) -> Iterator[None]:
    """
    Raises:
        BadCredentials: what is read of `paths` meanwhile cannot be; OpenSSL, and an OSError as it
            is logged, name no file.
    """
    try:
        yield
    except OSError as error:
        named = ", ".join(map(str, paths))
        raise BadCredentials(f"{named} cannot be used: {error.strerror or error}") from error


def read_creds(path: Path) -> RawCredentials:
    """The JWT and the seed in a creds file.

    Raises:
        OSError: it cannot be read.
        BadCredentials: it is not whole.
    """
    text = _text(path)
    jwt, seed = _JWT.search(text), _SEED.search(text)
    if jwt is None or seed is None:
        missing = "JWT" if jwt is None else "seed"
        raise BadCredentials(f"{path} has no whole {missing}: replace the file by rename")
    _check_seed(seed.group(1), path)
    return RawCredentials(text)


def jwt_of(path: Path) -> str | None:
    """The JWT in a creds file, where there is a whole one.

    Raises:
        OSError: it cannot be read.
    """
    found = _JWT.search(_text(path))
    return None if found is None else found.group(1)


def read_seed(path: Path) -> str:
    """The nkey seed that is all of a file.

    Raises:
        OSError, BadCredentials: as `read_creds`.
    """
    seed = _text(path).strip()
    _check_seed(seed, path)
    return seed


def read_password(path: Path) -> str:
    """The first line of a file.

    Raises:
        OSError, BadCredentials: as `read_creds`; an empty file is not whole.
    """
    password = _text(path).partition("\n")[0].strip()
    if not password:
        raise BadCredentials(f"{path} is empty: replace the file by rename")
    return password


def _text(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(MAX_BYTES).decode(errors="replace")


def _check_seed(seed: str, path: Path) -> None:
    try:
        nkeys.from_seed(bytearray(seed.encode())).wipe()
    except Exception as error:
        # nkeys raises its own kinds, binascii's and ValueError, depending on where it is cut
        raise BadCredentials(f"{path} holds no nkey seed: replace the file by rename") from error
