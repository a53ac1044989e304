"""The show from its first line to its last: a fleet, the steps, and with --stay what is next."""

from __future__ import annotations

import asyncio
import time

from deploy.quickstart import stay
from deploy.quickstart.failures import QuickstartFailed
from deploy.quickstart.fleet import Fleet, fleet_of_one
from deploy.quickstart.folder import Folder
from deploy.quickstart.screen import Screen
from deploy.quickstart.steps import STEPS, Stage

from wharfside_protocol.errors import WharfsideError
from wharfside_protocol.events import EventType


async def play(folder: Folder, screen: Screen, *, staying: bool) -> None:
    """Whatever it starts is ended when it returns or raises.

    Raises:
        QuickstartFailed: something did not happen as it should; it says what.
        CancelledError: it was interrupted, while the steps were played.
    """
    async with fleet_of_one(folder, screen, usual_port=staying) as fleet:
        _introduce(fleet, screen)
        showing = asyncio.create_task(fleet.watch.run())
        try:
            await _play_steps(fleet, screen)
            if staying:
                await _stay(fleet, screen)
            else:
                screen.line("to try it yourself: ./quickstart --stay")
        finally:
            showing.cancel()


def _introduce(fleet: Fleet, screen: Screen) -> None:
    info = fleet.info
    runtimes = ", ".join(f"{each.name} {each.version}" for each in info.runtimes)
    screen.title(f"Wharfside {info.version}: one NATS server, one agent, on this machine alone")
    screen.fact("server", f"{fleet.server.url}, with JetStream and a password")
    screen.fact("agent", f"node {info.node}, pid {fleet.agent.pid}, {runtimes}")
    screen.fact("host", f"Linux {info.kernel}, cgroup {fleet.info.cgroup}")
    screen.fact("data", screen.path(fleet.folder.top))
    for name, words in fleet.agent.refused_runtimes().items():
        screen.fact("note", f"{name} cannot be used here, {info.runtimes[0].name} is: {words}")
    if fleet.readonly:
        screen.fact("note", "no overlay can lie in this folder: containers run read-only")


async def _play_steps(fleet: Fleet, screen: Screen) -> None:
    rootfs = str(fleet.folder.rootfs)
    stage = Stage(fleet.node, fleet.watch, screen, fleet.agent, rootfs, fleet.readonly)
    began = time.monotonic()
    screen.heading()
    await fleet.watch.get(None, EventType.UP)
    for number, step in enumerate(STEPS, 1):
        title = step.__doc__ or step.__name__
        screen.step(number, title)
        try:
            await fleet.agent.while_up(step(stage))
        except (QuickstartFailed, WharfsideError) as error:
            raise QuickstartFailed(f"step {number} ({title}) failed: {error}") from error
    events, seconds = len(fleet.watch.seen), time.monotonic() - began
    screen.line(f"\n{len(STEPS)} steps, {events} events, {seconds:.1f} s")


async def _stay(fleet: Fleet, screen: Screen) -> None:
    """Until it is interrupted, which is its good end here.

    Raises:
        QuickstartFailed: server or agent ended by themselves.
    """
    stay.write_env(fleet.folder, fleet.server)
    fleet.folder.hand_over()
    stay.tell_next(screen, fleet.folder, readonly=fleet.readonly)
    try:
        await fleet.server.while_up(fleet.agent.while_up(_for_ever()))
    except asyncio.CancelledError:
        screen.line("\nending server, agent and containers")


async def _for_ever() -> None:
    await asyncio.get_running_loop().create_future()
