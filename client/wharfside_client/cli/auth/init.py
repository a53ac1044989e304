"""`auth init`: the folder with its provisioner, and a configuration for each server."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wharfside_client.cli import parse
from wharfside_client.cli.auth.place import DEFAULT, VARIABLE, as_user, folder_of, spelled
from wharfside_client.cli.auth.tell import tell_change, tell_next, where
from wharfside_client.cli.session import Session

if TYPE_CHECKING:
    from wharfside_client.auth.members import Change
    from wharfside_client.auth.servers import Servers

PANEL = "Servers"


def _option(*names: str, **settings: Any) -> Any:
    return typer.Option(*names, rich_help_panel=PANEL, show_default=False, **settings)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFlags:
    """Where the NATS servers are, and what they have there."""

    nats: Annotated[
        list[Any] | None,
        _option(
            "--nats",
            parser=parse.nats_server,
            metavar="NAME=HOST[:PORT[:ROUTES]]",
            help="A server; several are a cluster [nats=127.0.0.1:4222:6222]",
        ),
    ] = None
    store: Annotated[
        str | None,
        _option(
            "--store",
            metavar="PATH",
            help="JetStream's folder there, {server} in it the server's name [/var/lib/nats]",
        ),
    ] = None
    server_cert: Annotated[
        str | None, _option("--server-cert", metavar="PATH", help="PEM, on the servers; {server}")
    ] = None
    server_key: Annotated[str | None, _option("--server-key", metavar="PATH")] = None
    server_ca: Annotated[str | None, _option("--server-ca", metavar="PATH")] = None
    verify_clients: Annotated[
        bool, _option("--verify-clients", help="Clients show a certificate of that CA, too")
    ] = False

    def over(self, servers: Servers) -> Servers:
        """`servers` with what these flags say.

        Raises:
            BadSettings: some of the TLS files, without the others.
        """
        import msgspec

        from wharfside_client.auth.servers import Server, TlsPaths
        from wharfside_client.errors import BadSettings

        said: dict[str, Any] = {}
        if self.nats:
            said["servers"] = tuple(Server(**_ports(place)) for place in self.nats)
        if self.store:
            said["store"] = self.store
        cert, key, ca = self.server_cert, self.server_key, self.server_ca
        if cert and key and ca:
            said["tls"] = TlsPaths(cert=cert, key=key, ca=ca, verify=self.verify_clients)
        elif cert or key or ca or self.verify_clients:
            raise BadSettings("TLS needs --server-cert, --server-key and --server-ca, all three")
        return msgspec.structs.replace(servers, **said)


async def init(
    session: Session,
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[DIR]", help=f"[{VARIABLE}, else {DEFAULT}]", show_default=False),
    ] = None,
    *,
    jwt: Annotated[
        bool,
        typer.Option(
            "--jwt", help="Users are known by an operator's signature; else by their public keys"
        ),
    ] = False,
    servers: ServerFlags,
) -> None:
    """Begin a folder of keys, and write the servers' configurations.

    Run it again to change the servers: what no flag names stays as it is.
    """
    from wharfside_client.auth.members import begin
    from wharfside_client.auth.state import Form

    path = folder_of(folder)
    form = Form.JWT if jwt else None
    change = begin(path, servers.over, session.flags.prefix, int(time.time()), form)
    if session.output.json:
        session.output.document(change)
    else:
        _tell(session, path, change)


def _tell(session: Session, path: Path, change: Change) -> None:
    from wharfside_client.auth.members import PROVISIONER
    from wharfside_client.auth.state import load

    state = load(path)
    tell_change(session.output, change)
    start = [f"nats-server -c {path}/conf/{server.name}.conf" for server in state.servers.servers]
    if len(start) > 1:
        start = [f"# on each server, with its own file and accounts.conf of {path}/conf", *start]
    replicas = " --replicas 3" if len(start) > 3 else ""
    clear = state.servers.tls is None and any(each.exposed for each in state.servers.servers)
    steps = [
        *([f"wharfside auth tls{where(path)}  # else all is said in the clear"] if clear else []),
        *start,
        f"wharfside bootstrap{replicas} {spelled(as_user(path, state, PROVISIONER))}",
        f"wharfside auth add-node{where(path)} NODE...",
        f"wharfside auth add-user{where(path)} NAME --role orchestrator",
    ]
    tell_next(session.output, steps)


def _ports(place: parse.NatsPlace) -> dict[str, Any]:
    """Without those that are the usual ones."""
    return {name: value for name, value in place._asdict().items() if value is not None}
