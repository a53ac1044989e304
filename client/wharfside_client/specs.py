"""A container's arguments from plain values: what an orchestrator has at hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from wharfside_protocol.codec import convert, to_plain
from wharfside_protocol.commands import CreateArgs
from wharfside_protocol.records import Record
from wharfside_protocol.specs import Limits, Mount, Network, ProcessSpec, Source, User

R = TypeVar("R", bound=Record)


def process(
    args: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    user: User | None = None,
) -> ProcessSpec:
    """A process to run.

    Raises:
        Invalid: a value is out of its bounds (NULs, `=` in a name, a relative cwd).
    """
    variables = [f"{key}={value}" for key, value in (env or {}).items()]
    return checked(ProcessSpec(args=list(args), env=variables, cwd=cwd, user=user))


def container(
    name: str,
    args: Sequence[str] = (),
    *,
    rootfs: str | None = None,
    bundle: str | None = None,
    readonly: bool = False,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    user: User | None = None,
    mounts: Iterable[Mount] = (),
    limits: Limits | None = None,
    network: Network | None = None,
    **others: Any,
) -> CreateArgs:
    """What `Node.create` and `Node.run` take, checked here already.

    `others` are the further fields of `ContainerSpec`: labels, hostname, restart,
    runtime, auto_remove, stop_signal, grace_s, stop_on_disconnect_s, io.

    Raises:
        Invalid: a value is out of its bounds, or a path is not absolute.
        TypeError: no such field.
    """
    wanted = CreateArgs(
        container=name,
        source=Source(rootfs=rootfs, bundle=bundle, readonly=readonly),
        process=process(args, env=env, cwd=cwd, user=user) if args else None,
        mounts=list(mounts),
        limits=limits,
        network=network,
        **others,
    )
    return checked(wanted)


def checked(record: R) -> R:
    """`record`, validated as the node will: msgspec does not look when one is made in Python."""
    return convert(to_plain(record), type(record))
