"""Groups of flags as dataclasses: `command` spreads them into typer's options."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, Any

import typer

from wharfside_client.cli import parse
from wharfside_client.cli.help import SHARED
from wharfside_client.cli.places import NodesOrAll

VALUES = {
    "--server": "URLS",
    "--context": "NAME",
    "--peer": "NAME",
    "--prefix": "SUBJECT",
    "--timeout": "SECONDS",
}
"""What stands behind a flag in `--help`; FILE where it is not here."""


def _shared(*names: str, help: str) -> Any:
    metavar = VALUES.get(names[0], "FILE")
    return typer.Option(
        *names, help=help, metavar=metavar, rich_help_panel=SHARED, show_default=False
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """The flags that every command takes, before its name or after; None is not given."""

    server: Annotated[
        str | None, _shared("--server", "-s", help="NATS URLs, comma-separated [NATS_URL]")
    ] = None
    context: Annotated[str | None, _shared("--context", help="A context of the nats CLI")] = None
    creds: Annotated[str | None, _shared("--creds", help="Credentials file [NATS_CREDS]")] = None
    nkey: Annotated[str | None, _shared("--nkey", help="Nkey seed file [NATS_NKEY]")] = None
    sign_key: Annotated[
        str | None,
        _shared("--sign-key", help="Nkey seed file that signs commands [WHARFSIDE_SIGN_KEY]"),
    ] = None
    tlsca: Annotated[str | None, _shared("--tlsca", help="CA, PEM file [NATS_CA]")] = None
    tlscert: Annotated[str | None, _shared("--tlscert", help="Certificate [NATS_CERT]")] = None
    tlskey: Annotated[str | None, _shared("--tlskey", help="Its key [NATS_KEY]")] = None
    peer: Annotated[
        str | None, _shared("--peer", help="Your name in your NATS account [WHARFSIDE_PEER]")
    ] = None
    prefix: Annotated[
        str | None, _shared("--prefix", help="Prefix of all subjects [WHARFSIDE_PREFIX]")
    ] = None
    timeout: Annotated[
        float | None, _shared("--timeout", help="How long to wait for a node's answer")
    ] = None
    json: Annotated[bool | None, _shared("--json", help="JSON instead of tables")] = None
    no_color: Annotated[bool | None, _shared("--no-color", help="No colours [NO_COLOR]")] = None

    def over(self, other: Flags) -> Flags:
        """These where given, else those of `other`."""
        mine = {field.name: getattr(self, field.name) for field in fields(self)}
        return Flags(
            **{
                name: getattr(other, name) if value is None else value
                for name, value in mine.items()
            }
        )


NoTrunc = Annotated[bool, typer.Option("--no-trunc", help="Cut nothing, however long a line gets")]
"""As docker's, of tables that are wider than the terminal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetFlags:
    """Of which nodes and containers: what `ps` and `top` share."""

    nodes: NodesOrAll = None
    all: Annotated[bool, typer.Option("--all", "-a", help="Those that have ended too")] = False
    label: Annotated[
        list[Any] | None,
        typer.Option("--label", "-l", parser=parse.label, metavar="KEY=VALUE"),
    ] = None

    @property
    def named(self) -> list[str] | None:
        """None: all nodes."""
        return self.nodes or None

    @property
    def labels(self) -> dict[str, str]:
        return dict(self.label or ())


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessFlags:
    """Of a process: what `run`, `create` and `exec` share."""

    env: Annotated[
        list[Any] | None,
        typer.Option("--env", "-e", parser=parse.variable, metavar="NAME[=VALUE]"),
    ] = None
    workdir: Annotated[str | None, typer.Option("--workdir", "-w", metavar="PATH")] = None
    user: Annotated[Any, typer.Option("--user", "-u", parser=parse.user, metavar="UID[:GID]")] = (
        None
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitFlags:
    """Of a cgroup: what `run`, `create` and `update` share."""

    memory: Annotated[
        Any, typer.Option("--memory", "-m", parser=parse.memory, metavar="SIZE", help="32m, 1g")
    ] = None
    cpus: Annotated[
        Any, typer.Option("--cpus", parser=parse.cpu_percent, metavar="CPUS", help="0.5, 2")
    ] = None
    pids_limit: Annotated[int | None, typer.Option("--pids-limit", metavar="COUNT")] = None
    cpu_weight: Annotated[int | None, typer.Option("--cpu-weight", metavar="1-10000")] = None
    cpuset: Annotated[str | None, typer.Option("--cpuset", metavar="CPUS", help="0-1,3")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecFlags:
    """Of a container: what `run` and `create` share."""

    name: Annotated[Any, typer.Option("--name", parser=parse.name, metavar="NAME")] = None
    rootfs: Annotated[
        str | None, typer.Option("--rootfs", metavar="PATH", help="A folder on the node")
    ] = None
    bundle: Annotated[
        str | None, typer.Option("--bundle", metavar="PATH", help="An OCI bundle on the node")
    ] = None
    read_only: Annotated[bool, typer.Option("--read-only", help="No writable layer")] = False
    volume: Annotated[
        list[Any] | None,
        typer.Option(
            "--volume",
            "--mount",
            "-v",
            parser=parse.mount,
            metavar="SRC:DST[:rw]",
            help="Bind a path of the node, read-only unless :rw",
        ),
    ] = None
    network: Annotated[
        Any, typer.Option("--network", parser=parse.network, metavar="none|host|PATH")
    ] = None
    hostname: Annotated[str | None, typer.Option("--hostname", metavar="NAME")] = None
    label: Annotated[
        list[Any] | None,
        typer.Option("--label", "-l", parser=parse.label, metavar="KEY=VALUE"),
    ] = None
    stop_signal: Annotated[str | None, typer.Option("--stop-signal", metavar="SIGNAL")] = None
    stop_timeout: Annotated[
        Any,
        typer.Option(
            "--stop-timeout", parser=parse.duration, metavar="TIME", help="From stop to KILL: 10s"
        ),
    ] = None
    restart: Annotated[
        Any,
        typer.Option(
            "--restart",
            parser=parse.restart,
            metavar="POLICY",
            help="no, on-failure[:times], always, unless-stopped",
        ),
    ] = None
    stop_on_disconnect: Annotated[
        Any,
        typer.Option(
            "--stop-on-disconnect",
            parser=parse.duration,
            metavar="TIME",
            help="The node stops it when it has heard no server for so long: 90s",
        ),
    ] = None
    runtime: Annotated[str | None, typer.Option("--runtime", metavar="crun|runc")] = None
    checkpointable: Annotated[
        bool, typer.Option("--checkpointable", help="On a runtime that can keep its life (CRIU)")
    ] = False
