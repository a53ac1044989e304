"""attach: a session at a process that runs; never waits in a lane."""

from __future__ import annotations

from wharfside_agent.handlers.node import Node
from wharfside_agent.ports.io import Carried
from wharfside_agent.services.commands.call import Call
from wharfside_agent.services.streams.attachments import Wish
from wharfside_agent.services.views import standing
from wharfside_protocol.io_commands import AttachArgs, SessionValue


async def attach(node: Node, call: Call, args: AttachArgs) -> SessionValue:
    live = node.containers.find(args.container, call.command.expect)
    target = node.attachments.target(live, args.process)
    wish = Wish(
        args.open,
        call.id,
        actor=call.actor.name or None,
        stdin=args.stdin,
        output=args.output,
        position=args.position,
        take=args.take,
        size=args.size,
    )

    async def make() -> Carried:
        return await node.attachments.attach(target, wish)

    session = await node.sessions.open(args.open, call.id, make)
    return SessionValue(**standing(live.row), process=args.process, session=session.view)
