"""get-archive, put-archive: files out of a container and into it, through a session."""

from __future__ import annotations

from collections.abc import Awaitable

from wharfside_agent.handlers.node import Node
from wharfside_agent.ports.archive import Archive
from wharfside_agent.services.commands.call import Call
from wharfside_agent.services.life.live import Live
from wharfside_agent.services.streams.session import Session
from wharfside_agent.services.views import standing
from wharfside_protocol.io_commands import ArchiveValue, GetArchiveArgs, PutArchiveArgs


async def get_archive(node: Node, call: Call, args: GetArchiveArgs) -> ArchiveValue:
    live = node.containers.find(args.container, call.command.expect)

    def make() -> Awaitable[Archive]:
        return node.archives.leave(live.runtime.borrow_root(), args.path, follow=args.follow)

    session = await node.sessions.open(args.open, call.id, make)
    return _value(live, session)


async def put_archive(node: Node, call: Call, args: PutArchiveArgs) -> ArchiveValue:
    live = node.containers.find(args.container, call.command.expect)

    def make() -> Awaitable[Archive]:
        return node.archives.arrive(live.runtime.borrow_root(), args.path)

    session = await node.sessions.open(args.open, call.id, make)
    return _value(live, session)


def _value(live: Live, session: Session) -> ArchiveValue:
    archive = session.carried
    assert isinstance(archive, Archive)
    return ArchiveValue(
        **standing(live.row),
        session=session.view,
        name=archive.name,
        folder=archive.folder,
        bytes=archive.bytes,
    )
