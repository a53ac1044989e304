"""The authority of a folder's certificates replaced: the new one beside the old, then alone."""

from __future__ import annotations

from pathlib import Path

from wharfside_client.auth.errors import NothingToRevoke
from wharfside_client.auth.tls import TlsFolder
from wharfside_client.auth.turns import in_turn


@in_turn
def rotate_authority(path: Path) -> Path:
    """A new authority; the one before stays trusted until it is dropped. The file of both.

    Raises:
        BadAuthority: there is none, or a former change is not finished.
        FolderBusy: another change of the folder goes on.
        LocalFiles: it cannot be written.
    """
    tls = TlsFolder(path / "tls")
    tls.rotate_authority()
    return tls.ca


@in_turn
def drop_old_authority(path: Path) -> Path:
    """The newest authority alone is trusted. The file of it.

    Raises:
        NothingToRevoke: there is no other.
        BadAuthority, FolderBusy, LocalFiles: as `rotate_authority`.
    """
    tls = TlsFolder(path / "tls")
    if not tls.drop_old_authority():
        raise NothingToRevoke(f"{tls.ca} holds one authority: `wharfside auth rotate --ca` first")
    return tls.ca
