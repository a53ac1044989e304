"""What two nodes say to each other over WHARFSIDE_CKPT while a container moves; pure.

On `ckpt.<from>.<to>.<migration>.<n>`: who speaks is in the subject, which no other node may
write. Every word may be lost, late or come twice; what it brings about is the migration's table
(the agent's core/migration.py), and the image is asked for again from where it stopped.

The image goes as one stream of bytes: its manifest, the manifest's digest, and then every file
that the manifest names, in the order of their names.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from wharfside_protocol.codec import convert, unpack
from wharfside_protocol.errors import ErrorBody
from wharfside_protocol.records import Counter, Incarnation, Record

PIECE_BYTES = 512 * 1024
"""Of the image in one message; `n` in its subject is the piece's number."""

WINDOW_PIECES = 16
"""So many may be on their way: 8 MiB, which is also what a transfer holds in memory."""

ACK_PIECES = 4
"""After so many pieces at most the receiver tells how far it is."""

Token = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{0,64}$(?!\n)")]
NodeId = Annotated[str, msgspec.Meta(max_length=64)]
Digest = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]


class Word(Record, frozen=True, kw_only=True, tag_field="word"):
    """Any word. `a_id` and `b_id` are the node_ids of both: a new store is another node."""

    a_id: NodeId
    b_id: NodeId


class Offer(Word, frozen=True, kw_only=True, tag="offer"):
    """A: here is the image. `digest`: of its manifest; answered by Have, Carried or NeverHere."""

    digest: Digest
    manifest_bytes: Counter
    total: Counter


class Piece(Word, frozen=True, kw_only=True, tag="piece"):
    """A: bytes of the stream from `offset` on."""

    offset: Counter
    data: Annotated[bytes, msgspec.Meta(max_length=PIECE_BYTES)]


class Go(Word, frozen=True, kw_only=True, tag="go"):
    """A: start it. `token` is that of the last Carried."""

    token: Token


class GiveUp(Word, frozen=True, kw_only=True, tag="give-up"):
    """A: do not start it."""


class Settle(Word, frozen=True, kw_only=True, tag="settle"):
    """A: I know how it ended, and so do you."""


class Revoke(Word, frozen=True, kw_only=True, tag="revoke"):
    """A: it runs here again, by an operator's word: end yours."""


class Have(Word, frozen=True, kw_only=True, tag="have"):
    """B: everything before `received` is here. `again`: what follows it was lost, send it anew."""

    received: Counter
    again: bool = False


class Carried(Word, frozen=True, kw_only=True, tag="carried"):
    """B: the image is whole. `token` stands for this connection of B's: a Go must bear it."""

    token: Token


class RunsHere(Word, frozen=True, kw_only=True, tag="runs-here"):
    """B: it runs here. `restore_us`: what the restore itself took."""

    incarnation: Incarnation
    run: Counter
    restore_us: Counter = 0


class NeverHere(Word, frozen=True, kw_only=True, tag="never-here"):
    """B: it does not run here and never will."""

    error: ErrorBody


FromA = Offer | Piece | Go | GiveUp | Settle | Revoke
FromB = Have | Carried | RunsHere | NeverHere
AnyWord = FromA | FromB


class CarriedWord(Record, frozen=True, kw_only=True):
    """Never on the wire: see io_reading.FrameUp."""

    word: AnyWord


def word_of(data: bytes) -> AnyWord:
    """
    Raises:
        Invalid: it is none.
    """
    return convert({"word": unpack(data)}, CarriedWord).word
