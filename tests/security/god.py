"""What no real user has: a user of everything in each account, to see what arrives, and to tempt.

An account's own god sees each subject that is in it, whoever sent it and however it came there.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from tests.integration.bounds import BOUND_S
from tests.security.secured import Secured, bootstrapped, make_auth

from wharfside_client.auth.state import Form
from wharfside_protocol.rights import ACCOUNTS, Account

PASSWORD = "of-a-god"
REPLIES = "_R_."
"""Single-use reply subjects, which the server makes: nobody can ask to hear them."""

PENDING = 1_000_000


class Arrival(NamedTuple):
    account: Account
    subject: str
    data: bytes


@dataclass
class Gods:
    """`arrived`: all that was seen, but the server's own business."""

    clients: dict[Account, Client]
    arrived: list[Arrival] = field(default_factory=list)

    async def watch(self) -> None:
        """Everything in every account, from now on."""
        for account, client in self.clients.items():
            await client.subscribe(">", cb=self._sees(account), pending_msgs_limit=PENDING)
        await self.settle()

    def _sees(self, account: Account):  # type: ignore[no-untyped-def]
        async def see(message: Msg) -> None:
            if not message.subject.startswith((REPLIES, "$JS.EVENT.")):
                self.arrived.append(Arrival(account, message.subject, message.data))

        return see

    async def settle(self, *others: Client) -> None:
        """All that was published has reached who it goes to: each server pass is followed by
        another, since an answer may lead to one more."""
        for _ in range(3):
            for client in (*others, *self.clients.values()):
                await client.flush()
            await asyncio.sleep(0)


@contextmanager
def tempted_server(folder: Path) -> Iterator[Secured]:
    """As `secured_server`, with the gods let in."""
    auth = make_auth(folder / "auth", Form.STATIC)
    with bootstrapped(folder, auth, with_gods(auth.accounts.read_text())) as secured:
        yield secured


def with_gods(accounts: str) -> str:
    """The generated text, with one more user in each account."""
    names = iter(Account)

    def one_more(match: re.Match[str]) -> str:
        return f"{match[0]}\n      {{ user: god-{next(names)}, password: {PASSWORD} }}"

    text, made = re.subn(r"^    users: \[$", one_more, accounts, flags=re.MULTILINE)
    assert made == len(set(ACCOUNTS.values()))
    return text


async def _ignored(_error: Exception) -> None:
    """Even a god may not speak for the server ($NRG)."""


@asynccontextmanager
async def gods(secured: Secured) -> AsyncIterator[Gods]:
    async with AsyncExitStack() as stack:
        clients = {}
        for account in Account:
            client = await nats.connect(
                secured.server.url,
                user=f"god-{account}",
                password=PASSWORD,
                allow_reconnect=False,
                connect_timeout=BOUND_S,
                error_cb=_ignored,
            )
            stack.push_async_callback(client.close)
            clients[account] = client
        yield Gods(clients)
