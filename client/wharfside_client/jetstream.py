"""JetStream's own API, as JSON requests: what bootstrap needs, and a publish with its ack."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from wharfside_client.bus import Bus
from wharfside_client.errors import ApiError, NoResponders, NotSetUp

API_TIMEOUT_S = 5.0
NOT_THERE = 404
_ADVICE = {
    10047: "; the streams reserve 3 GiB: raise the server's max_file_store",
    10059: "; `wharfside bootstrap` makes it",
}
"""What to do about some of the server's error codes."""


class JetStream:
    """Requests to `$JS.API`; each raises what `Bus.request` raises, besides its own."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def api(self, verb: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The answer to `$JS.API.<verb>`.

        Raises:
            ApiError: JetStream says no.
            NotSetUp: the server has no JetStream, or not for this account.
        """
        data = msgspec.json.encode(body) if body is not None else b""
        return await self._ask(f"$JS.API.{verb}", data, None)

    async def find(self, verb: str) -> dict[str, Any] | None:
        """As `api`, with None for what is not there."""
        try:
            return await self.api(verb)
        except ApiError as error:
            if error.status == NOT_THERE:
                return None
            raise

    async def publish(
        self, subject: str, data: bytes, headers: Mapping[str, str] | None = None
    ) -> int:
        """The stream's sequence of what was stored.

        Raises:
            ApiError: the stream refuses it.
            NotSetUp: no stream takes this subject.
        """
        return int((await self._ask(subject, data, headers))["seq"])

    async def publish_once(self, subject: str, data: bytes, headers: Mapping[str, str]) -> bool:
        """Stores it under its `Nats-Msg-Id`; whether the stream had one of that id already.

        Raises:
            as `publish`.
        """
        return bool((await self._ask(subject, data, headers)).get("duplicate", False))

    async def _ask(
        self, subject: str, data: bytes, headers: Mapping[str, str] | None
    ) -> dict[str, Any]:
        try:
            answer = await self._bus.request(subject, data, API_TIMEOUT_S, headers)
            said: dict[str, Any] = msgspec.json.decode(answer.data, type=dict)
        except NoResponders as error:
            raise NotSetUp(
                f"JetStream does not answer on {subject}; start nats-server with -js, "
                "and use an account that has it",
                subject=subject,
            ) from error
        except msgspec.DecodeError as error:
            raise ApiError(f"not JSON on {subject}: {error}", status=500, err_code=0) from error
        if (no := said.get("error")) is not None:
            raise _refusal(no)
        return said


def _refusal(no: Mapping[str, Any]) -> ApiError:
    err_code = int(no.get("err_code", 0))
    advice = _ADVICE.get(err_code, "")
    return ApiError(
        f"JetStream: {no.get('description', 'refused')}{advice}",
        status=int(no.get("code", 500)),
        err_code=err_code,
    )
