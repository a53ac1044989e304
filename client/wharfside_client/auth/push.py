"""Accounts told to running servers: who is revoked in them is cut off at once, without a restart.

The only part of this folder that speaks to a server. A nats-server whose resolver is `full`
takes the JWT of an account on `$SYS.REQ.CLAIMS.UPDATE`, answers, and gives it to each server of
its cluster; one that is away asks the others when it is back (`servers.ACCOUNTS_SYNC_S`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from wharfside_client.auth.claims import CLAIMS_UPDATE
from wharfside_client.auth.errors import NotPushed
from wharfside_client.auth.jwts import read
from wharfside_client.bus import Bus
from wharfside_client.errors import NoResponders
from wharfside_client.settings import ServerSettings

TIMEOUT_S = 5.0


async def push(settings: ServerSettings, accounts: Iterable[str]) -> None:
    """Puts the JWTs of accounts in force. `settings`: as the system account's user.

    Raises:
        NotPushed: the server does not take one; those before it are in force.
        ServerUnreachable, Refused, BadSettings: see `wharfside_client.connect`.
    """
    bus = Bus(settings)
    await bus.open()
    try:
        for token in accounts:
            await _push(bus, token)
    finally:
        await bus.close()


async def _push(bus: Bus, token: str) -> None:
    name = read(token).name
    try:
        answer = await bus.request(CLAIMS_UPDATE, token.encode(), TIMEOUT_S)
        said = msgspec.json.decode(answer.data, type=dict[str, Any])
    except NoResponders as error:
        raise NotPushed(
            f"no server takes account {name}: its resolver is not of type full, as in the files "
            "that `wharfside auth init` writes",
            account=name,
        ) from error
    except msgspec.DecodeError as error:
        raise NotPushed(f"account {name}: no JSON came back: {error}", account=name) from error
    if "error" in said:
        why = said["error"].get("description", "refused")
        raise NotPushed(f"the server does not take account {name}: {why}", account=name)
