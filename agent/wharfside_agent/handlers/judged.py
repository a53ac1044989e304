"""What is looked at before anything is done: by an op itself, and by `policy-check` for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from wharfside_agent.core import oci_config
from wharfside_agent.core.compatibility import unfit
from wharfside_agent.core.lifecycle import Input, advance
from wharfside_agent.core.policy.asked import process_of
from wharfside_agent.core.policy.rules import EVERYBODY
from wharfside_agent.core.policy.verdicts import judge_limits, judge_process
from wharfside_agent.core.signals import signal_number
from wharfside_agent.handlers.node import Node
from wharfside_agent.ports.runtime import Planned
from wharfside_agent.services.commands.call import Call
from wharfside_agent.services.life.live import Live
from wharfside_agent.services.life.updates import in_force, with_limits
from wharfside_agent.services.migration.arrivals import MOST
from wharfside_protocol.checkpoints import RestoreArgs
from wharfside_protocol.command_base import ContainerArgs
from wharfside_protocol.commands import CreateArgs, ExecArgs, UpdateArgs
from wharfside_protocol.errors import (
    AlreadyExists,
    Busy,
    Denied,
    Invalid,
    NotFound,
    Unsupported,
    WharfsideError,
)
from wharfside_protocol.migration import NodeFacts, ReceiveArgs
from wharfside_protocol.specs import ContainerSpec, Limits
from wharfside_protocol.states import ContainerState

CHECKPOINTING_RUNTIME = "runc"

_SPEC_FIELDS = ContainerSpec.__struct_fields__


def for_create(node: Node, call: Call, args: CreateArgs) -> tuple[ContainerSpec, Planned]:
    """Its name is free, its spec can be run here and may be, and there is room for it.

    Waits for nothing: so nobody comes between this and what the caller does next.

    Raises:
        AlreadyExists, Invalid, Denied, Unsupported, NotFound: nothing was changed.
    """
    spec = ContainerSpec(**{name: getattr(args, name) for name in _SPEC_FIELDS})
    signal_number(spec.stop_signal)
    planned = node.runtime.check(spec, call.rules)
    node.containers.check_free(args.container)
    node.capacity.admit(args.container, planned.limits, call.rules)
    return spec, planned


def for_start(node: Node, call: Call, args: ContainerArgs) -> Live:
    """A further run is judged by the rules that let the container in, as they are now.

    Raises:
        NotFound, Stale, WrongState, Denied: nothing was changed.
    """
    live = node.containers.find(args.container, call.command.expect)
    advance(live.row.state, Input.START, live.row.name)
    if live.row.state is ContainerState.STOPPED:
        _still_allowed(node, live)
    node.capacity.admit_again(live.row)
    return live


def _still_allowed(node: Node, live: Live) -> None:
    """Only what a rule denies: a bundle that is gone, or broken, is told as the run's failure."""
    try:
        node.runtime.check(live.row.spec, live.row.rules)
    except Denied as denied:
        if str(denied.details.get("rule")).startswith(EVERYBODY):
            raise
    except WharfsideError:
        return


def for_exec(node: Node, call: Call, args: ExecArgs) -> Live:
    """The process that would run, with all that it has from init, is judged by the asker's rules.

    Raises:
        NotFound, Stale, WrongState, Denied, Invalid: nothing was changed.
    """
    live = node.containers.find(args.container, call.command.expect)
    advance(live.row.state, Input.EXEC, live.row.name)
    process = oci_config.exec_process(live.runtime.init.spec, args.process, args.io, args.size)
    rules = node.rules.named(call.rules)
    if (denial := judge_process(process_of(process, args.io), rules.rules)) is not None:
        raise denial.error(rules)
    if args.open is not None and call.durable:
        raise Invalid("`open` goes with rpc: whoever reads the session must listen already")
    return live


def for_update(node: Node, call: Call, args: UpdateArgs) -> tuple[Live, Limits]:
    """With all the limits as they would be.

    Raises:
        NotFound, Stale, WrongState, Denied, Invalid: nothing was changed.
    """
    live = node.containers.find(args.container, call.command.expect)
    advance(live.row.state, Input.UPDATE, live.row.name)
    limits = merged(live.row.spec.limits, args.limits)
    rules, wanted = node.rules.named(call.rules), in_force(live, args.limits)
    if (denial := judge_limits(wanted, rules.rules)) is not None:
        raise denial.error(rules)
    node.capacity.admit_more(live.row, wanted)
    return live, limits


def merged(now: Limits | None, wanted: Limits) -> Limits:
    """`now` with the limits that `wanted` gives.

    Raises:
        Invalid: it gives none.
    """
    if not any(msgspec.structs.asdict(wanted).values()):
        raise Invalid("update without a limit: give at least one of memory_bytes, pids, cpu_*")
    return with_limits(now, wanted)


async def for_receive(node: Node, call: Call, args: ReceiveArgs) -> tuple[Planned, NodeFacts]:
    """How it would run here, and what this node is.

    Raises:
        AlreadyExists, Busy, Denied, Invalid, NotFound, Unsupported: nothing was changed.
    """
    planned = node.runtime.check(args.spec, call.rules)
    taken = node.containers.get(args.container)
    if taken is not None:
        raise AlreadyExists(
            f"{args.container} exists on this node ({taken.row.state}): delete it, or give the "
            "container another name here"
        )
    if len(node.arrivals.under_way) >= MOST:
        raise Busy(f"{MOST} containers are on their way to this node: try again later")
    ours = await node.facts.of(args.spec)
    check_fit(args.facts, ours, unfit(args.facts, ours, args.spec, CHECKPOINTING_RUNTIME))
    node.capacity.admit(args.container, planned.limits, call.rules)
    return planned, ours


def check_fit(source: NodeFacts, target: NodeFacts, problems: list[str]) -> None:
    """Raises Unsupported: a container of `source` could not go on on `target`."""
    if problems:
        raise Unsupported(
            f"it cannot go from {source.node} to {target.node}: " + "; ".join(problems),
            problems=problems,
        )


async def for_restore(node: Node, call: Call, args: RestoreArgs) -> None:
    """
    Raises:
        AlreadyExists, WrongState, NotFound, Invalid, Denied, Unsupported: nothing was changed.
    """
    if args.in_place:
        live = node.containers.find(args.container, call.command.expect)
        await node.restores.check_in_place(live, args.checkpoint)
    else:
        incarnation = await incarnation_of(node, args.source, args.incarnation)
        assert incarnation is not None
        await node.restores.check_new(args.container, incarnation, args.checkpoint, call.rules)


async def incarnation_of(node: Node, container: str | None, incarnation: str | None) -> str | None:
    """The one that is given; else of a name the living one's, or that of the last that bore it.

    Raises:
        NotFound: nobody here bears the name, or did so in the last 24 h.
    """
    if incarnation is not None or container is None:
        return incarnation
    row = await node.store.transact(lambda tx: tx.last_of_name(container))
    if row is None:
        raise NotFound(f"no container {container} on this node: give an incarnation")
    return row.incarnation


Check = Callable[[Node, Call, Any], Awaitable[object]]


def _waiting_for_nothing(check: Callable[[Node, Call, Any], object]) -> Check:
    async def checked(node: Node, call: Call, args: Any) -> object:
        return check(node, call, args)

    return checked


CHECKS: Mapping[str, Check] = MappingProxyType(
    {
        "create": _waiting_for_nothing(for_create),
        "run": _waiting_for_nothing(for_create),
        "start": _waiting_for_nothing(for_start),
        "exec": _waiting_for_nothing(for_exec),
        "update": _waiting_for_nothing(for_update),
        "restore": for_restore,
        "receive": for_receive,
    }
)
"""Ops that more than their name is judged of. None changes anything, or keeps anybody waiting."""
