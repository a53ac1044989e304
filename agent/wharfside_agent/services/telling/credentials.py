"""What lets the node in: a changed file brings a new connection, an end that is near is told.

The connection is renewed while the old credentials still hold, so that a file that does not let
us in is known (`bus-not-renewed`) before it is needed.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import structlog

from wharfside_agent.core.expiry import Expiry, passed_threshold, soonest
from wharfside_agent.ports.clock import Clock
from wharfside_agent.ports.credentials import CredentialFiles, FolderBell
from wharfside_agent.ports.rows import EventDraft
from wharfside_agent.ports.store import Store, Tx
from wharfside_agent.services.shortage import insist
from wharfside_protocol.event_facts import CredentialsExpiring, facts
from wharfside_protocol.events import EventType
from wharfside_protocol.times import NANOSECONDS, to_timestamp

log = structlog.get_logger(__name__)

LOOK_S = 60.0
"""Between two looks: no bell tells of time that passes, nor of a file over the network."""

AFTER_S = 0.1

TOLD = "credentials-told"
"""Meta key: of each credential its end and the threshold that was told last, as JSON."""


class Credentials:
    """`renew` asks for a new connection; `changed` says that presence has something new."""

    def __init__(
        self,
        files: CredentialFiles,
        bell: FolderBell,
        store: Store,
        clock: Clock,
        renew: Callable[[], None],
        changed: Callable[[], None],
    ) -> None:
        self._files = files
        self._bell = bell
        self._store = store
        self._clock = clock
        self._renew = renew
        self._changed = changed
        self._digest = files.digest()
        self.expiries: list[Expiry] = []

    @property
    def expire_at(self) -> str | None:
        """When the first of them ends; None where none does, or that cannot be read."""
        first = soonest(self.expiries)
        return None if first is None else to_timestamp(first.ends_at)

    def ends(self) -> dict[tuple[str, str], float]:
        """When each ends (Unix seconds), by what it is and its path: of a file of several the
        first."""
        last_first = sorted(self.expiries, key=lambda each: each.ends_at, reverse=True)
        return {(each.what, each.path): each.ends_at / NANOSECONDS for each in last_first}

    async def run(self) -> None:
        """Looks whenever the bell rings, and every LOOK_S, for ever."""
        while True:
            self._bell.listen(self._files.paths())
            await self._look()
            await self._bell.changed(self._pause_s())

    async def _look(self) -> None:
        if (digest := self._files.digest()) != self._digest:
            self._digest = digest
            log.info("credentials-changed", next="a new connection")
            self._renew()
        before, self.expiries = self.expire_at, self._files.expiries()
        if self.expire_at != before:
            self._changed()
        await insist("credentials-expiring", self._tell)

    def _pause_s(self) -> float:
        """An end is told when it comes, not at the look after it."""
        now = self._clock.now()
        ahead = [left for each in self.expiries if (left := each.left_s(now)) > 0]
        return min([LOOK_S, *(left + AFTER_S for left in ahead)])

    async def _tell(self) -> None:
        now = self._clock.now()
        near = [
            (each, t) for each in self.expiries if (t := passed_threshold(each, now)) is not None
        ]
        if near:
            await self._store.transact(lambda tx: _append(tx, near, now))

    def reread(self) -> None:
        """The settings name other files: theirs are the contents that were read."""
        self._bell.listen(self._files.paths())
        self._digest = self._files.digest()


def _append(tx: Tx, near: list[tuple[Expiry, int]], now: int) -> None:
    told = json.loads(tx.meta(TOLD) or "{}")
    news = [(each, t) for each, t in near if not _was_told(told.get(each.key), each, t)]
    for expiry, threshold in news:
        data = CredentialsExpiring(
            what=expiry.what,
            path=expiry.path,
            expires_at=to_timestamp(expiry.ends_at),
            within_s=threshold,
        )
        tx.append_event(
            EventDraft(
                type=EventType.CREDENTIALS_EXPIRING,
                occurred_at=now,
                observed_at=now,
                data=facts(data),
            )
        )
        log.warning("credentials-expiring", **facts(data))
    if news:
        now_told = {each.key: [each.ends_at, threshold] for each, threshold in near}
        tx.set_meta(TOLD, json.dumps(told | now_told))


def _was_told(last: list[int] | None, expiry: Expiry, threshold: int) -> bool:
    return last is not None and last[0] == expiry.ends_at and last[1] <= threshold
