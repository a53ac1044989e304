"""Arguments that many ops share."""

from __future__ import annotations

from wharfside_protocol.records import Incarnation, Name, Record


class NoArgs(Record, frozen=True, kw_only=True):
    """An op that takes no arguments."""


class ContainerArgs(Record, frozen=True, kw_only=True):
    """The op's container by its name."""

    container: Name


class InspectArgs(ContainerArgs, frozen=True, kw_only=True):
    """With `incarnation`: also one that is deleted, for 24 h."""

    incarnation: Incarnation | None = None
