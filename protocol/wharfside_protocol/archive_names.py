"""Where the members of an archive go, in a container as on this side; pure, as docker cp has it."""

from __future__ import annotations

from dataclasses import dataclass

from wharfside_protocol.errors import AlreadyExists, Denied, Invalid, NotFound
from wharfside_protocol.tar_members import Kind, Member

Parts = tuple[str, ...]

MAX_DEPTH = 256
"""Folders; what removes and compares trees goes down in calls of its own."""

_DEVICES = {Kind.CHARACTER_DEVICE, Kind.BLOCK_DEVICE}


def parts_of(name: str) -> Parts:
    """A name's parts: an absolute one is made relative, as tar does.

    Raises:
        Denied: it leads upwards.
        Invalid: it is too deep.
    """
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if len(parts) > MAX_DEPTH:
        raise Invalid(f"the archive has a member more than {MAX_DEPTH} folders deep")
    if ".." in parts:
        raise Denied(f"the archive has a member {name!r}: `..` is refused", rule="upwards")
    return parts


def refuse_devices(member: Member) -> None:
    """Raises Denied."""
    if member.kind in _DEVICES:
        raise Denied(
            f"the archive has a {member.kind} {member.name!r}: leave devices out "
            "(tar --exclude); a container gets its own from its spec",
            rule="devices",
        )


@dataclass
class Names:
    """Members keep their names; with `rename` the archive's one root is called so instead.

    `only_folder`: the root must be a folder.
    """

    rename: str | None = None
    only_folder: bool = False
    _root: Parts | None = None

    def of(self, member: Member) -> Parts:
        """
        Raises:
            Denied, Invalid, NotFound: it has no place.
        """
        parts = parts_of(member.name)
        if self.rename is None:
            return parts
        if self._root is None:
            self._root = self._first(member, parts)
        return self._renamed(parts, member.name)

    def of_link(self, member: Member) -> Parts:
        """The place of what a hard link names."""
        parts = parts_of(member.link)
        return parts if self.rename is None else self._renamed(parts, member.link)

    def _first(self, member: Member, parts: Parts) -> Parts:
        if len(parts) > 1:
            raise self._several()
        if self.only_folder and member.kind is not Kind.FOLDER:
            raise NotFound(f"there is no folder {self.rename}: make it first")
        return parts

    def _renamed(self, parts: Parts, name: str) -> Parts:
        assert self.rename is not None and self._root is not None
        if parts[: len(self._root)] != self._root:
            raise self._several(name)
        return (self.rename, *parts[len(self._root) :])

    def _several(self, name: str = "") -> Invalid:
        return Invalid(
            f"the archive has more than one root {name!r}, and {self.rename} is no folder: "
            "unpack it in one"
        )


def clash(name: str, is_folder: bool) -> AlreadyExists:
    """docker cp neither replaces a folder by a file nor the other way round."""
    if is_folder:
        return AlreadyExists(f"{name} is a folder: it is not replaced by a file")
    return AlreadyExists(f"{name} is no folder: it is not replaced by one")
