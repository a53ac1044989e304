"""From flags to the records that a node takes."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from wharfside_client.cli.flags import LimitFlags, ProcessFlags, SpecFlags
from wharfside_client.cli.parse import Place, Target

if TYPE_CHECKING:
    from wharfside_protocol.commands import CreateArgs
    from wharfside_protocol.specs import Io, Limits, ProcessSpec, Restart, User

T = TypeVar("T")


def make_target(place: Place, name: str | None) -> Target:
    """Where it goes, by the positional or --name; made up where neither names it."""
    if name is not None and place.container not in (None, name):
        raise typer.BadParameter(f"--name {name} and {place.container}: name it once")
    made_up = f"c-{secrets.token_hex(4)}"
    return Target(place.node, place.container or name or made_up)


def make_args(
    container: str,
    command: Sequence[str],
    spec: SpecFlags,
    process: ProcessFlags,
    limits: LimitFlags,
    *,
    io: Io,
    auto_remove: bool = False,
) -> CreateArgs:
    """What `create` and `run` take.

    Raises:
        typer.BadParameter: flags that do not go together, or a value out of its bounds.
    """
    from wharfside_client.specs import container as container_args
    from wharfside_protocol.specs import Mount, Network

    command = _words(command)
    _check(command, spec)
    restart = spec.restart and _usage(_restart, *spec.restart)
    others = {
        "network": spec.network and Network(mode=spec.network[0], path=spec.network[1]),
        "restart": restart,
        "hostname": spec.hostname,
        "runtime": spec.runtime,
        "checkpointable": spec.checkpointable or None,
        "stop_signal": spec.stop_signal,
        "grace_s": spec.stop_timeout,
        "stop_on_disconnect_s": spec.stop_on_disconnect,
    }
    return _usage(
        container_args,
        container,
        command,
        rootfs=spec.rootfs,
        bundle=spec.bundle,
        readonly=spec.read_only,
        env=_environment(process, tty=io.tty),
        cwd=process.workdir,
        user=_user(process),
        mounts=[Mount(source=s, target=t, readonly=ro) for s, t, ro in spec.volume or ()],
        limits=make_limits(limits),
        io=io,
        labels=dict(spec.label or ()),
        auto_remove=auto_remove,
        **{key: value for key, value in others.items() if value is not None},
    )


def make_process(command: Sequence[str], flags: ProcessFlags, *, tty: bool) -> ProcessSpec:
    """
    Raises:
        typer.BadParameter: a value is out of its bounds.
    """
    from wharfside_client.specs import process

    env = _environment(flags, tty=tty)
    return _usage(process, _words(command), env=env, cwd=flags.workdir, user=_user(flags))


def _words(command: Sequence[str]) -> Sequence[str]:
    """Without a `--` before them, as kubectl has it: no program is called so."""
    return command[1:] if list(command[:1]) == ["--"] else command


def make_limits(flags: LimitFlags) -> Limits | None:
    """None where no limit is given.

    Raises:
        typer.BadParameter: a limit is out of its bounds.
    """
    from wharfside_client.specs import checked
    from wharfside_protocol.specs import Limits

    limits = Limits(
        memory_bytes=flags.memory,
        cpu_percent=flags.cpus,
        pids=flags.pids_limit,
        cpu_weight=flags.cpu_weight,
        cpuset=flags.cpuset,
    )
    return None if limits == Limits() else _usage(checked, limits)


def _usage(make: Callable[..., T], *args: Any, **fields: Any) -> T:
    """What is out of its bounds is wrong usage, as a word that cannot be read is."""
    from wharfside_protocol.errors import Invalid

    try:
        return make(*args, **fields)
    except Invalid as error:
        raise typer.BadParameter(error.message) from error


def _check(command: Sequence[str], spec: SpecFlags) -> None:
    if (spec.rootfs is None) == (spec.bundle is None):
        raise typer.BadParameter("give either --rootfs PATH or --bundle PATH")
    if spec.rootfs is not None and not command:
        raise typer.BadParameter("a rootfs needs a command: write it after NODE/CONTAINER")


def _restart(policy: Any, max_retries: int | None) -> Restart:
    from wharfside_client.specs import checked
    from wharfside_protocol.specs import Restart

    return checked(Restart(policy=policy, max_retries=max_retries))


def _environment(flags: ProcessFlags, *, tty: bool) -> dict[str, str]:
    """As docker: what has a terminal is told which kind, the one that every image knows."""
    given = {name: value for name, value in flags.env or () if value is not None}
    return {**({"TERM": "xterm"} if tty else {}), **given}


def _user(flags: ProcessFlags) -> User | None:
    from wharfside_protocol.specs import User

    return None if flags.user is None else User(uid=flags.user[0], gid=flags.user[1])
