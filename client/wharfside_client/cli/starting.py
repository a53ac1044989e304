"""`start -a`, `start -i`: a container that is there, started with us at its streams."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from wharfside_client.cli.coupling import Parting
from wharfside_client.cli.foreground import Foreground
from wharfside_client.cli.running import ended_unseen, output_of, tell_policy
from wharfside_protocol.errors import NotFound, WrongState
from wharfside_protocol.states import ContainerState

if TYPE_CHECKING:
    from wharfside_client.calls import Options
    from wharfside_client.cli.ioflags import AttachFlags
    from wharfside_client.cli.parse import Target
    from wharfside_client.cli.session import Session
    from wharfside_client.cli.signals import Signals
    from wharfside_client.node import Node
    from wharfside_protocol.commands import StateValue
    from wharfside_protocol.views import ContainerDetails


async def start(
    session: Session,
    node: Node,
    target: Target,
    flags: AttachFlags,
    options: Options,
    *,
    stdin: bool,
) -> int:
    """Starts it, coupled to it; exits as this run does. `stdin`: passes ours on, if it takes any.

    Raises:
        NoTerminal: it has a terminal that is to be typed into, and stdin is none.
        WharfsideError: it cannot be started, or the session cannot go on.
    """
    found = await node.inspect(target.container)
    io = found.spec.io
    front = Foreground(session, node, target, flags, stdin and io.stdin, io.tty)
    front.check()
    ended = False

    async def work(signals: Signals) -> Parting:
        nonlocal ended
        first = found.state is ContainerState.CREATED
        begin = _first_run if first else _next_run
        parting = await begin(front, found, options, signals)
        ended = parting.exit is not None
        return parting

    status = await front.hold(work)
    if ended:
        tell_policy(front, found.spec.restart)
    return status


async def _first_run(
    front: Foreground, found: ContainerDetails, options: Options, signals: Signals
) -> Parting:
    """Coupled, then started: nothing that it prints is missed."""
    started = False

    async def begin() -> None:
        nonlocal started
        await front.node.start(found.container, **options)
        started = True

    try:
        async with output_of(front, found.spec.io, found) as remote:
            return await front.couple(remote, signals, begin)
    except NotFound:
        if not started:
            raise
        return await ended_unseen(front, found)


async def _next_run(
    front: Foreground, found: ContainerDetails, options: Options, signals: Signals
) -> Parting:
    """Started, then coupled: of a run that is over nobody can ask for the next one's streams."""
    value = await front.node.start(found.container, **options)
    try:
        async with output_of(front, found.spec.io, value, begun=True) as remote:
            return await front.couple(remote, signals)
    except WrongState as error:
        if "state" not in error.details:
            raise
    return await _over_already(front, found, value, signals)


async def _over_already(
    front: Foreground, found: ContainerDetails, value: StateValue, signals: Signals
) -> Parting:
    """It ended before it could be attached to: its output is in its log, if it has one."""
    if found.spec.io.log:
        reader = replace(front, stdin=False, tty=False)
        async with output_of(reader, found.spec.io, value) as remote:
            return await reader.couple(remote, signals)
    front.session.output.warn(f"{front.where} ended before it could be attached to")
    ended = await front.node.wait(value.container, incarnation=value.incarnation, run=value.run)
    return Parting(exit=ended.exit)
