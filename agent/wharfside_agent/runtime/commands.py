"""The runtime's own commands on one container, with its refusals as errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from wharfside_agent.runtime import argv, spawn
from wharfside_agent.runtime.argv import OciBinary
from wharfside_agent.runtime.refusals import refusal, unknown_to_runtime
from wharfside_agent.spans import span
from wharfside_protocol.errors import NotFound, RuntimeFailed


class _State(msgspec.Struct):
    status: str


@dataclass(frozen=True, slots=True)
class OciCommands:
    """crun or runc, for one container id."""

    oci: OciBinary
    id: str

    async def start(self) -> None:
        await self._run("start", argv.start(self.oci, self.id))

    async def pause(self) -> None:
        await self._run("pause", argv.pause(self.oci, self.id))

    async def resume(self) -> None:
        await self._run("resume", argv.resume(self.oci, self.id))

    async def update(self, resources: Mapping[str, Any]) -> None:
        given = msgspec.json.encode(resources)
        await self._run("update", argv.update(self.oci, self.id), stdin=given)

    async def delete(self) -> None:
        """Kills what lives and removes the runtime's state. Idempotent."""
        try:
            await self._run("delete", argv.delete(self.oci, self.id))
        except NotFound:
            return

    async def state(self) -> str:
        said = await self._run("state", argv.state(self.oci, self.id))
        try:
            return msgspec.json.decode(said, type=_State).status
        except msgspec.DecodeError as error:
            raise RuntimeFailed(f"{self.oci.name} state: {said[:200]!r}") from error

    async def _run(self, what: str, words: list[str], stdin: bytes | None = None) -> str:
        """Its standard output.

        Raises:
            NotFound: the runtime does not know the container.
            RuntimeFailed: in the runtime's own words.
        """
        with span(f"{self.oci.name} {what}") as traced:
            done = await spawn.run(words, stdin=stdin)
            if done.code == 0:
                return done.stdout
            traced.fail(f"exit status {done.code}")
        if unknown_to_runtime(done.stderr):
            raise NotFound(f"{self.oci.name} knows no container {self.id}")
        raise refusal(f"{self.oci.name} {what}", done.stderr or f"exit status {done.code}")
