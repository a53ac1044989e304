"""Where a message can get to, by the rights alone: the model that the real server is held to."""

from __future__ import annotations

from collections.abc import Iterable

from wharfside_protocol.assets import streams
from wharfside_protocol.rights import ACCOUNTS, Account, Crossing, Role, rights, shares
from wharfside_protocol.subjects import Subjects

Place = tuple[Account, str]


def matches(pattern: str, subject: str) -> bool:
    """NATS's wildcards: `*` is one token, `>` at the end one or more."""
    wanted, given = pattern.split("."), subject.split(".")
    for at, token in enumerate(wanted):
        if token == ">":
            return len(given) > at
        if at >= len(given) or token not in ("*", given[at]):
            return False
    return len(wanted) == len(given)


def any_matches(patterns: Iterable[str], subject: str) -> bool:
    return any(matches(pattern, subject) for pattern in patterns)


def reached(role: Role, name: str, subject: str) -> set[Place]:
    """Every account, with the subject there, that a publish of this user gets to.

    Imports lead to an account, from there exports to more; what a stream republishes goes on
    so. What came in by an import leads to no third account by another import.
    """
    home = ACCOUNTS[role]
    if not any_matches(rights(role, name).publish, subject):
        return set()
    places = {(home, subject)} | _heard_elsewhere(home, subject)
    for share in shares():
        if share.kind is Crossing.SERVICE and home in share.to and matches(share.subject, subject):
            places.add((share.owner, subject))
    for account, at in list(places):
        if account is Account.HUB:
            for told in _republished(at):
                places |= {(account, told)} | _heard_elsewhere(account, told)
    return places


def _heard_elsewhere(owner: Account, subject: str) -> set[Place]:
    return {
        (account, subject)
        for share in shares()
        if share.kind is Crossing.STREAM
        and share.owner is owner
        and matches(share.subject, subject)
        for account in share.to
    }


def _republished(subject: str) -> Iterable[str]:
    for config in streams(Subjects()):
        told = config.get("republish")
        taken = any_matches(config["subjects"], subject)
        if told is not None and taken and matches(told["src"], subject):
            yield told["dest"][:-1] + subject[len(told["src"]) - 1 :]


def may_hear(role: Role, name: str, subject: str) -> bool:
    """nats-server (2.15) lets a subscription to `a.>` through a right on `a.*`: so such a right
    is one on all below, and stands only where that is its owner's, too."""
    return any_matches((_widened(each) for each in rights(role, name).subscribe), subject)


def _widened(right: str) -> str:
    return f"{right[:-1]}>" if right.endswith(".*") else right
