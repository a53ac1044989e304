"""Streams, buckets and mailboxes: made, put right, and what cannot be is told as drift.

Only the provisioner may do this; agents and orchestrators never have the right to.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_fixed

from wharfside_client.assets import CONSUMERS, Asset, AssetReport, Difference, Outcome
from wharfside_client.bus import Bus
from wharfside_client.direct import read_last
from wharfside_client.drift import desired_stream, differences
from wharfside_client.errors import ApiError, NotSetUp, Unanswered
from wharfside_client.jetstream import NOT_THERE, JetStream
from wharfside_protocol.assets import (
    NODES_BUCKET,
    carriage,
    mailbox,
    node_key,
    orchestrator,
    streams,
)
from wharfside_protocol.errors import Denied
from wharfside_protocol.subjects import check_name

T = TypeVar("T")

LEADERLESS_S = 20.0
"""An election begins after 4 to 9 s of silence, and each question waits 5 s for its answer."""

KV_DELETE = {"KV-Operation": "DEL"}


class Setup:
    """Idempotent: a second run finds everything `unchanged`, with the same drift."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._js = JetStream(bus)
        self._subjects = bus.settings.subjects

    async def bootstrap(self, replicas: int | None = None) -> list[AssetReport]:
        """Every stream and bucket; `replicas` None leaves those that are there, new ones are R1.

        Raises:
            NotSetUp: the server has no JetStream.
            ServerUnreachable, Denied: see `Bus.request`.
        """
        reports = []
        wanted_streams = streams(self._subjects, replicas or 1)
        # those that reserve room come last: on a small server the truth comes first
        for config in sorted(wanted_streams, key=lambda config: config.get("max_bytes", 0)):
            kind = "bucket" if config["name"].startswith("KV_") else "stream"
            wanted = desired_stream(config)
            if replicas is None:
                del wanted["num_replicas"]
            asset = Asset(kind, config["name"], wanted)
            reports.append(await _until_answered(partial(self._settle, asset)))
        return reports

    async def add_node(self, node: str) -> AssetReport:
        """The mailbox of a node.

        Raises:
            Invalid: no node can be called so.
            ApiError: WHARFSIDE_CMD is missing (bootstrap first).
        """
        return await self._settle(Asset("mailbox", node, mailbox(self._subjects, node)))

    async def add_carriage(self, node: str) -> AssetReport:
        """What brings a node the containers that move to it, and the answers about its own.

        Raises:
            Invalid: no node can be called so.
        """
        return await self._settle(Asset("carriage", node, carriage(self._subjects, node)))

    async def add_orchestrator(self, name: str) -> AssetReport:
        """The durable consumer of events of the user `name`, which it alone can pull from.

        Raises:
            Invalid: no user can be called so.
        """
        return await self._settle(Asset("consumer", name, orchestrator(self._subjects, name)))

    async def remove_orchestrator(self, name: str) -> AssetReport:
        """Raises: as `add_orchestrator`; ApiError: the server refuses."""
        return await self._remove_consumer("consumer", check_name(name, "user"))

    async def repair(self) -> list[AssetReport]:
        """Mailbox and carriage of every node that has a presence, where lost: made again.

        It begins at the stream's start: what its node has done already is known there by
        its id. One whose server is down is `later`.

        Raises:
            ApiError: WHARFSIDE_NODES is missing (bootstrap first).
        """
        return [
            report
            for node in await _until_answered(self._present)
            for report in (
                await self._repaired("mailbox", node, self.add_node),
                await self._repaired("carriage", node, self.add_carriage),
            )
        ]

    async def _repaired(
        self, kind: str, node: str, add: Callable[[str], Awaitable[AssetReport]]
    ) -> AssetReport:
        try:
            return await add(node)
        except Unanswered:
            return AssetReport(kind=kind, name=node, outcome=Outcome.LATER)

    async def _present(self) -> list[str]:
        """By the subjects of the bucket, which a provisioner may ask for."""
        names: list[str] = []
        while True:
            body = {"subjects_filter": f"$KV.{NODES_BUCKET}.>", "offset": len(names)}
            state = (await self._js.api(f"STREAM.INFO.KV_{NODES_BUCKET}", body))["state"]
            page = [subject.rpartition(".")[2] for subject in state.get("subjects") or {}]
            names += page
            if not page or len(names) >= int(state.get("num_subjects", 0)):
                break
        return [n for n in sorted(names) if await self._has_presence(node_key(n))]

    async def remove_node(self, node: str) -> list[AssetReport]:
        """The mailbox of a node that is gone, with what waits in it, and its presence.

        Raises:
            Invalid: no node can be called so.
            ApiError: the server refuses.
        """
        key = node_key(node)
        return [
            await self._remove_consumer("mailbox", node),
            await self._remove_consumer("carriage", node),
            await self._remove_presence(node, key),
        ]

    async def _settle(self, asset: Asset) -> AssetReport:
        found = await self._js.find(asset.verb("INFO"))
        if found is None:
            return await self._create(asset)
        actual = found["config"]
        wrong = differences(asset.wanted, actual)
        if not wrong:
            return AssetReport(kind=asset.kind, name=asset.name, outcome=Outcome.UNCHANGED)
        refused = await self._update(asset, actual, wrong)
        changed = [_difference(key, actual, wrong) for key in wrong if key not in refused]
        return AssetReport(
            kind=asset.kind,
            name=asset.name,
            outcome=Outcome.UPDATED if changed else Outcome.UNCHANGED,
            changed=changed,
            drift=[_difference(key, actual, wrong, why) for key, why in refused.items()],
        )

    async def _create(self, asset: Asset) -> AssetReport:
        outcome, why = Outcome.CREATED, None
        try:
            await self._js.api(asset.verb("CREATE"), asset.body(asset.wanted))
        except Unanswered:
            # an R1 consumer whose server is down answers nobody
            outcome = Outcome.LATER
        except ApiError as error:
            outcome, why = Outcome.FAILED, error.message
        return AssetReport(kind=asset.kind, name=asset.name, outcome=outcome, why=why)

    async def _update(
        self, asset: Asset, actual: Mapping[str, Any], wrong: Mapping[str, Any]
    ) -> dict[str, str]:
        """Puts right what is `wrong`; what the server refuses comes back, with its reason.

        All at once first: single steps may pass through settings that do not go together.
        """
        if await self._put(asset, {**actual, **wrong}) is None:
            return {}
        settled, refused = dict(actual), {}
        for key, value in wrong.items():
            why = await self._put(asset, {**settled, key: value})
            if why is None:
                settled[key] = value
            else:
                refused[key] = why
        return refused

    async def _put(self, asset: Asset, config: Mapping[str, Any]) -> str | None:
        try:
            await self._js.api(asset.verb("UPDATE"), asset.body(config))
        except ApiError as error:
            return error.message
        return None

    async def _remove_consumer(self, kind: str, node: str) -> AssetReport:
        outcome = Outcome.REMOVED
        try:
            await self._js.api(f"CONSUMER.DELETE.{CONSUMERS[kind]}.{node}")
        except ApiError as error:
            if error.status != NOT_THERE:
                raise
            outcome = Outcome.ABSENT
        return AssetReport(kind=kind, name=node, outcome=outcome)

    async def _remove_presence(self, node: str, key: str) -> AssetReport:
        outcome = Outcome.ABSENT
        if await self._has_presence(key):
            await self._js.publish(key, b"", KV_DELETE)
            outcome = Outcome.REMOVED
        return AssetReport(kind="presence", name=node, outcome=outcome)

    async def _has_presence(self, key: str) -> bool:
        try:
            last = await read_last(self._bus, f"KV_{NODES_BUCKET}", key)
        except NotSetUp:
            return False
        except Denied:
            return True  # a provisioner may write the bucket without reading it
        return last is not None and "KV-Operation" not in last.headers


async def _until_answered(ask: Callable[[], Awaitable[T]]) -> T:
    """A cluster that has just begun, or has lost its leader, answers nobody for some seconds.

    Raises:
        Unanswered: for LEADERLESS_S.
    """
    retrying = AsyncRetrying(
        retry=retry_if_exception_type(Unanswered),
        stop=stop_after_delay(LEADERLESS_S),
        wait=wait_fixed(0.2),
        reraise=True,
    )
    return await retrying(ask)


def _difference(
    key: str, actual: Mapping[str, Any], wrong: Mapping[str, Any], why: str | None = None
) -> Difference:
    return Difference(setting=key, was=actual.get(key), should=wrong[key], why=why)
