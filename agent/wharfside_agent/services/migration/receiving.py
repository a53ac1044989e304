"""Images on their way to this node: services.migration.sending's other end."""

from __future__ import annotations

from dataclasses import dataclass

from wharfside_agent.ports.images import Image, Images, Incoming
from wharfside_protocol.carriage import ACK_PIECES, PIECE_BYTES, Offer, Piece


@dataclass(slots=True)
class _Coming:
    incoming: Incoming
    digest: str
    acked: int = 0
    gap_told: bool = False


class Receiving:
    """What came stays on the disk over a death; `begin` goes on from there once it is offered."""

    def __init__(self, images: Images) -> None:
        self._images = images
        self._coming: dict[str, _Coming] = {}

    def __contains__(self, migration: str) -> bool:
        return migration in self._coming

    def progress(self, migration: str) -> tuple[int, int]:
        """Bytes that came, of so many."""
        coming = self._coming.get(migration)
        return (0, 0) if coming is None else (coming.incoming.received, coming.incoming.total)

    def knows(self, migration: str, digest: str) -> bool:
        coming = self._coming.get(migration)
        return coming is not None and coming.digest == digest

    async def begin(self, migration: str, offer: Offer) -> None:
        """Raises WharfsideError, OSError: there is no room for it, or it is not one of ours."""
        await self.discard(migration)
        incoming = await self._images.incoming(
            migration, offer.digest, offer.manifest_bytes, offer.total
        )
        self._coming[migration] = _Coming(incoming, offer.digest)

    async def take(self, migration: str, piece: Piece) -> bool | None:
        """Whether to tell how much came: True as a gap, asked for once; False as an ack.

        Raises:
            WharfsideError, OSError: it cannot be kept.
        """
        coming = self._coming.get(migration)
        if coming is None:  # of a former life: the source finds out by its next offer
            return None
        received = coming.incoming.received
        if piece.offset != received:
            asks = piece.offset > received and not coming.gap_told
            coming.gap_told |= asks
            return True if asks else None
        coming.gap_told = False
        await coming.incoming.write(piece.offset, piece.data)
        due = coming.incoming.received - coming.acked >= ACK_PIECES * PIECE_BYTES
        return False if due else None

    def acked(self, migration: str) -> int:
        """Bytes that came, told from now on."""
        coming = self._coming[migration]
        coming.acked = coming.incoming.received
        return coming.acked

    async def finish(self, migration: str) -> Image | None:
        """The image once all of it came, checked; it is no longer on its way then.

        Raises:
            WharfsideError: it is not what was offered.
        """
        coming = self._coming.get(migration)
        if coming is None or coming.incoming.received < coming.incoming.total:
            return None
        image = await coming.incoming.finish()
        del self._coming[migration]
        return image

    async def discard(self, migration: str) -> None:
        coming = self._coming.pop(migration, None)
        if coming is not None:
            await coming.incoming.discard()

    def close(self) -> None:
        """Lets go of files; what came stays for the next life."""
        for coming in self._coming.values():
            coming.incoming.close()
