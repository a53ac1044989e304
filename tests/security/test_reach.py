"""A fuzz over the subject space: a publish gets where the rights say, a subscription hears what
they allow, and nothing else, on a real server with the generated configuration.

Seeded: what is found can be looked at again. The long form has more of it, and another seed a run.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest
from nats.aio.msg import Msg
from tests.security.god import REPLIES, Gods, gods, tempted_server
from tests.security.reach import may_hear, reached
from tests.security.secured import USERS, Secured
from tests.support.requirements import need

from wharfside_protocol.ops import OPS
from wharfside_protocol.rights import Account, Role, rights, shares

SEED = 20261126
TOKENS = (
    "node-a", "node-b", "ops", "other", "eyes", "provisioner", "_node", "c1", "init", "started",
    "exited", "idididid", "accepted", "result", "up", "down", "s1", "1", "PING", "wharfside-agent",
    "WHARFSIDE_CMD", "WHARFSIDE_EVT", "WHARFSIDE_RES", "WHARFSIDE_CKPT", "WHARFSIDE_LOGS",
    "KV_WHARFSIDE_NODES", "KV_WHARFSIDE_CONTAINERS", "WHARFSIDE_NODES", "WHARFSIDE_CONTAINERS",
    "CREATE", "DELETE", "PURGE", "UPDATE", "INFO", "NEXT", "GET", "kv", "live", "evt", "res",
    *random.Random(0).sample(sorted(OPS), 12),
)  # fmt: skip
FOREIGN = (
    "$SYS.REQ.SERVER.PING", "$SYS.REQ.ACCOUNT.HUB.CONNZ", "$SYS.ACCOUNT.HUB.CONNECT", "_R_.abc.def",
    "$JS.API.INFO", "$JS.API.ACCOUNT.PURGE.HUB", "$JS.API.STREAM.NAMES", "$JSC.CI.x", "$NRG.V.x",
    "$JS.API.STREAM.SNAPSHOT.WHARFSIDE_EVT", "$JS.API.META.LEADER.STEPDOWN", "$G", "anything",
    "$JS.API.STREAM.RESTORE.WHARFSIDE_EVT", "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.X.Y",
)  # fmt: skip
"""Of the server's own, and of nobody."""


@pytest.fixture(scope="module")
def tempted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    need("nats-server")
    with tempted_server(tmp_path_factory.mktemp("tempted")) as secured:
        yield secured


class Subjects:
    """Subjects at random, most of them near to what somebody may use."""

    def __init__(self, seed: int, *, heard: bool = False) -> None:
        """`heard`: near to what somebody may listen to, else also to publish on."""
        self._random = random.Random(seed)
        known = {share.subject for share in shares() if not heard}
        for name, role in USERS.items():
            may = rights(role, name)
            known |= {*may.subscribe, *(() if heard else may.publish)}
        self._known = sorted(known)

    def literal(self) -> str:
        """To be published on."""
        if self._random.random() < 0.05:
            return self._random.choice(FOREIGN)
        return ".".join(self._filled(token) for token in self._mutated())

    def pattern(self) -> str:
        """To be subscribed to: wildcards stand where no right has them, too."""
        tokens = [
            self._filled(token) if self._random.random() < 0.5 else token
            for token in self._mutated()
        ]
        for at in range(len(tokens)):
            if self._random.random() < 0.15:
                tokens[at] = "*"
        if self._random.random() < 0.2:
            tokens = [*tokens[: self._random.randint(0, len(tokens) - 1)], ">"]
        return ".".join(tokens[: tokens.index(">") + 1] if ">" in tokens else tokens)

    def _mutated(self) -> list[str]:
        tokens = self._random.choice(self._known).split(".")
        if self._random.random() < 0.3:
            tokens[self._random.randrange(len(tokens))] = self._random.choice(TOKENS)
        if self._random.random() < 0.1:
            tokens.insert(self._random.randint(0, len(tokens)), self._random.choice(TOKENS))
        if self._random.random() < 0.1 and len(tokens) > 1:
            tokens.pop(self._random.randrange(len(tokens)))
        return tokens

    def _filled(self, token: str) -> str:
        if token == ">":
            count = self._random.randint(1, 3)
            return ".".join(self._random.choice(TOKENS) for _ in range(count))
        return self._random.choice(TOKENS) if token == "*" else token


async def check_publishes(secured: Secured, seed: int, number: int) -> int:
    """What each user publishes is seen in just those accounts that the model says; how much."""
    subjects, seen = Subjects(seed), 0
    async with gods(secured) as above:
        await above.watch()
        for name, role in USERS.items():
            tried = list(dict.fromkeys(subjects.literal() for _ in range(number)))
            above.arrived.clear()
            async with secured.raw(name) as client:
                for subject in tried:
                    # JetStream takes it for a bad request or stores it: the mark comes along
                    await client.publish(subject, _mark(name, subject))
                await above.settle(client)
            seen += check_arrivals(above, role, name, tried)
    return seen


def check_arrivals(above: Gods, role: Role, name: str, tried: list[str]) -> int:
    arrived = {
        subject: {(a.account, a.subject) for a in above.arrived if a.data == _mark(name, subject)}
        for subject in tried
    }
    expected = {subject: reached(role, name, subject) for subject in tried}
    wrong = {
        subject: (sorted(arrived[subject] - expected[subject]), sorted(expected[subject]))
        for subject in tried
        if arrived[subject] - expected[subject]
    }
    assert not wrong, f"{name} reached more than it should: {wrong}"
    allowed = [subject for subject in tried if expected[subject]]
    lost = [s for s in allowed if not arrived[s] and not s.startswith(REPLIES)]
    assert not lost, f"{name} may publish these, and nobody saw them: {lost}"
    return len(allowed)


def _mark(name: str, subject: str) -> bytes:
    """What a stream republishes may come late: then it is not taken for the next user's."""
    return f"mark {name} {subject}".encode()


async def check_subscriptions(secured: Secured, seed: int, number: int) -> int:
    """Of all that gods publish in every account, a user hears what its rights name; how much."""
    subjects, maker, seen = Subjects(seed, heard=True), Subjects(seed + 1, heard=True), 0
    probes = sorted({maker.literal() for _ in range(5 * number)})
    async with gods(secured) as above:
        for name, role in USERS.items():
            heard: dict[str, set[str]] = {}
            async with secured.raw(name) as client:
                for pattern in {subjects.pattern() for _ in range(number)}:
                    found = heard.setdefault(pattern, set())

                    async def hear(message: Msg, found: set[str] = found) -> None:
                        found.add(message.subject)

                    await client.subscribe(pattern, cb=hear)
                await above.settle(client)
                for account, god in above.clients.items():
                    for probe in probes:
                        if not probe.startswith(("$JS.", "$SYS.")) or account is not Account.HUB:
                            await god.publish(probe, b"probe")
                await above.settle(client)
            everything = set().union(*heard.values())
            wrong = {each for each in everything if not may_hear(role, name, each)}
            assert not wrong, f"{name} heard {wrong}"
            seen += len(everything)
    return seen


async def test_a_publish_gets_where_the_rights_say(tempted: Secured) -> None:
    assert await check_publishes(tempted, SEED, 1000) > 400


async def test_a_subscription_hears_what_the_rights_say(tempted: Secured) -> None:
    assert await check_subscriptions(tempted, SEED, 200) > 300


@pytest.mark.soak
async def test_many_more_of_both(tempted: Secured) -> None:
    for _ in range(40):
        seed = int.from_bytes(os.urandom(6), "big")
        try:
            assert await check_publishes(tempted, seed, 2000) > 400
            assert await check_subscriptions(tempted, seed, 300) > 300
        except AssertionError as error:
            raise AssertionError(f"seed {seed}") from error
