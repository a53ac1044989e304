"""The checkpoints of one run: runc's command, and the configs that Podman has beside it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import msgspec

from wharfside_agent.core.images import CONFIG_DUMP, CRIU, DUMP_LOG, SPEC_DUMP
from wharfside_agent.core.placement import RunPlace
from wharfside_agent.core.podman import container_config
from wharfside_agent.ports.runtime import Dump, RunPlan
from wharfside_agent.runtime import argv
from wharfside_agent.runtime.argv import OciBinary
from wharfside_agent.runtime.criu import criu_words, dump_over, is_finished, log_tail, run_dump
from wharfside_agent.runtime.criu_environment import dump_environment, environment
from wharfside_agent.runtime.kit import Kit
from wharfside_agent.runtime.mounts import unmount_below
from wharfside_agent.runtime.refusals import own_words
from wharfside_protocol.errors import RuntimeFailed, Unsupported


@dataclass(frozen=True, slots=True)
class Dumps:
    kit: Kit
    oci: OciBinary
    plan: RunPlan
    place: RunPlace

    async def pre_dump(self, folder: Path, name: str) -> None:
        """ports.runtime.Container.pre_dump."""
        if not self.kit.criu.pre_dump:
            raise Unsupported(
                "this node's kernel does not track written memory (CONFIG_MEM_SOFT_DIRTY): "
                "take the checkpoint without pre_dump"
            )
        images = folder / name
        images.mkdir()
        words = argv.pre_dump(self.oci, self.place.runtime_id, images, folder)
        await self._run(words, folder, environment(self.kit.criu))

    async def checkpoint(self, dump: Dump) -> None:
        """ports.runtime.Container.checkpoint."""
        images = dump.folder / CRIU
        images.mkdir()
        parent = None if dump.parent is None else f"../{dump.parent}"
        words = argv.checkpoint(
            self.oci,
            self.place.runtime_id,
            images,
            dump.folder,
            dump.flags,
            parent=parent,
            leave_running=dump.leave,
        )
        home = self.kit.places.criu_home
        told = dump_environment(self.kit.criu, home, tcp=dump.flags.tcp)
        await self._run(words, dump.folder, told)

    async def describe(self, dump: Dump) -> None:
        """ports.runtime.Container.describe."""
        await asyncio.to_thread(self._write_configs, dump)

    async def over(self, pid: int, folder: Path) -> bool:
        """ports.runtime.Container.dump_over."""
        await dump_over(self.place.runtime_id, self.oci.path.name, pid)
        await asyncio.to_thread(unmount_below, folder)
        return is_finished(folder / DUMP_LOG)

    async def _run(self, words: list[str], folder: Path, environment: dict[str, str]) -> None:
        done = await run_dump(words, environment)
        if done.code != 0:
            await asyncio.to_thread(unmount_below, folder)
            tail = log_tail(folder / DUMP_LOG)
            says = criu_words(tail) or own_words(done.stderr) or f"exit status {done.code}"
            raise RuntimeFailed(f"{self.oci.name} checkpoint: {says}", log=tail)

    def _write_configs(self, dump: Dump) -> None:
        config = self.kit.bundles.load_config(self.place)
        (dump.folder / SPEC_DUMP).write_bytes(msgspec.json.encode(config))
        ours = container_config(
            self.place.runtime_id,
            self.plan.container,
            self.plan.spec,
            self.oci.name,
            dump.created_at,
        )
        (dump.folder / CONFIG_DUMP).write_bytes(msgspec.json.encode(ours))
