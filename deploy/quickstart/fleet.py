"""A fleet of one: server, streams, agent and a connection, for as long as a context lasts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

from deploy.quickstart import rootfs
from deploy.quickstart.failures import QuickstartFailed
from deploy.quickstart.folder import Folder
from deploy.quickstart.parts import NODE, START_S, USER, Agent, Server
from deploy.quickstart.screen import Screen
from deploy.quickstart.watch import Watch

from wharfside_client import Node, ServerSettings, connect
from wharfside_protocol.errors import WharfsideError
from wharfside_protocol.views import NodeInfo

DELETE_S = 15.0


@dataclass(frozen=True, slots=True)
class Fleet:
    """`readonly`: no writable layer can lie in the folder, containers must do without."""

    folder: Folder
    server: Server
    agent: Agent
    node: Node
    info: NodeInfo
    watch: Watch
    readonly: bool


@asynccontextmanager
async def fleet_of_one(folder: Folder, screen: Screen, *, usual_port: bool) -> AsyncIterator[Fleet]:
    """Every event from the agent's first one on is shown once `watch.run` runs.

    Raises:
        QuickstartFailed: server or agent do not come up.
        WharfsideError: the server does not do what it should.
    """
    folder.prepare()
    rootfs.build(folder.rootfs)
    readonly = not rootfs.carries_overlays(folder.top)
    async with AsyncExitStack() as stack:
        server = Server(folder, usual_port=usual_port)
        stack.push_async_callback(server.stop)
        await server.start()
        agent = Agent(folder, server)
        stack.push_async_callback(agent.stop)
        settings = ServerSettings(servers=(server.url,), user=USER, password=server.password)
        w = await stack.enter_async_context(connect(settings))
        await w.setup.bootstrap()
        watch = Watch(await stack.enter_async_context(w.events(since=0)), screen)
        node = w.node(NODE)
        info = await _start(agent, node)
        stack.push_async_callback(_delete_all, agent, node)
        yield Fleet(folder, server, agent, node, info, watch, readonly)


async def _start(agent: Agent, node: Node) -> NodeInfo:
    """Starts the agent; it is up when it answers over the bus."""
    await agent.start()
    try:
        return await agent.while_up(node.info(timeout_s=START_S, unreachable_s=START_S))
    except WharfsideError as error:
        raise QuickstartFailed(f"the agent does not answer: {agent.words()}") from error


async def _delete_all(agent: Agent, node: Node) -> None:
    """In good order where the agent answers; where not, what is left is swept away later."""
    if not agent.running:
        return
    with suppress(WharfsideError, TimeoutError):
        async with asyncio.timeout(DELETE_S):
            for view in await node.list(all=True):
                await node.delete(view.container, force=True)
