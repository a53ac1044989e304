"""The configuration file of each NATS server of a fleet: pure text.

Who may come in stands in a file beside it, which it includes: that one is written anew with every
user, while a server's own file only changes with the servers.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Iterator

import msgspec

from wharfside_protocol.errors import Invalid
from wharfside_protocol.subjects import check_name

CLIENT_PORT, ROUTE_PORT, LEAF_PORT = 4222, 6222, 7422
MAX_PAYLOAD = "1MB"
"""Wharfside's messages stay below 900 KiB."""

CLUSTER = "wharfside"
ROUTE_USER = "route"
SERVER = "{server}"
"""Stands for a server's name in a path."""

STORE = "/var/lib/nats"
ACCOUNTS_SYNC_S = 15
"""A server that was away while an account changed hears of it from the others so long after its
start, not before (nats-server, accounts.go: DirAccResolver)."""


class TlsPaths(msgspec.Struct, frozen=True, kw_only=True):
    """PEM files as the servers find them; `{server}` stands for a server's name.

    `verify`: clients show a certificate of this authority, too.
    """

    cert: str
    key: str
    ca: str
    verify: bool = False


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """One NATS server: where clients and the other servers reach it."""

    name: str
    host: str
    port: int = CLIENT_PORT
    route_port: int = ROUTE_PORT
    leaf_port: int = LEAF_PORT

    @property
    def exposed(self) -> bool:
        """Other machines reach it."""
        return _bound(self.host) in _EVERYWHERE


class Servers(msgspec.Struct, frozen=True, kw_only=True):
    """The servers of a fleet: one alone, or a cluster. `store` is JetStream's folder there."""

    servers: tuple[Server, ...] = (Server(name="nats", host="127.0.0.1"),)
    store: str = STORE
    tls: TlsPaths | None = None

    @property
    def urls(self) -> tuple[str, ...]:
        scheme = "nats" if self.tls is None else "tls"
        return tuple(f"{scheme}://{_place(s.host, s.port)}" for s in self.servers)

    def check(self) -> None:
        """
        Raises:
            Invalid: names that are none or not one server's, or files that would be shared.
        """
        names = [check_name(server.name, "server") for server in self.servers]
        if len(set(names)) < len(names):
            raise Invalid(f"servers {', '.join(names)}: each needs a name of its own")
        hosts = {server.host for server in self.servers}
        if len(hosts) < len(names) and SERVER not in self.store:
            raise Invalid(f"servers on one host need a store each: write {SERVER} in its path")


def server_text(
    all_of: Servers,
    server: Server,
    include: str,
    route_password: str,
    *,
    resolver: bool = False,
    leaves: bool = False,
) -> str:
    """The file of one server. `include` is the file of its users, relative to this one.

    `resolver`: it keeps accounts that are pushed to it, and gives them to the other servers.
    `leaves`: servers of edge sites connect to it.

    `route_password` lets the servers of a cluster into each other: who gets in there is a
    server, and no account stops it.
    """
    return "\n".join(
        [
            "# Written by `wharfside auth init`, and again whenever that is run.",
            f"server_name: {server.name}",
            f"listen: {_quoted(_place(_bound(server.host), server.port))}",
            f"max_payload: {MAX_PAYLOAD}",
            f"jetstream {{ store_dir: {_path(all_of.store, server)} }}",
            *_tls(all_of.tls, server),
            *(_cluster(all_of, server, route_password) if len(all_of.servers) > 1 else ()),
            *(_resolver(all_of, server) if resolver else ()),
            *(_leafnodes(all_of, server) if leaves else ()),
            f"include {_quoted(include)}",
            "",
        ]
    )


def _tls(tls: TlsPaths | None, server: Server, *, routes: bool = False) -> Iterator[str]:
    """Routes are between servers alone, so both sides always show their certificates."""
    if tls is not None:
        files = f"cert_file: {_path(tls.cert, server)}, key_file: {_path(tls.key, server)}"
        verify = "true" if routes or tls.verify else "false"
        yield f"tls {{ {files}, ca_file: {_path(tls.ca, server)}, verify: {verify} }}"


def _resolver(all_of: Servers, server: Server) -> Iterator[str]:
    """`full`: every server has all accounts, and changes them while it runs."""
    folder = _path(f"{all_of.store.rstrip('/')}/accounts", server)
    yield f'resolver {{ type: full, dir: {folder}, interval: "{ACCOUNTS_SYNC_S}s" }}'


def _cluster(all_of: Servers, server: Server, password: str) -> Iterator[str]:
    others = [each for each in all_of.servers if each != server]
    login = f"{ROUTE_USER}:{password}@"
    yield "cluster {"
    yield f"  name: {CLUSTER}"
    yield f"  listen: {_quoted(_place(_bound(server.host), server.route_port))}"
    yield f"  authorization {{ user: {ROUTE_USER}, password: {_quoted(password)} }}"
    yield from (f"  {line}" for line in _tls(all_of.tls, server, routes=True))
    yield "  routes: ["
    yield from (f"    {_quoted(f'nats://{login}{_place(s.host, s.route_port)}')}" for s in others)
    yield "  ]"
    yield "}"


def _leafnodes(all_of: Servers, server: Server) -> Iterator[str]:
    yield "leafnodes {"
    yield f"  listen: {_quoted(_place(_bound(server.host), server.leaf_port))}"
    yield from (f"  {line}" for line in _tls(all_of.tls, server))
    yield "}"


def site_server_text(
    all_of: Servers, server: Server, account: str, seed: str, users: Iterable[str]
) -> str:
    """The file of an edge site's server: a leaf of every server of the fleet.

    It has no JetStream, and `account` alone, with its own `users`; `seed` lets it in.
    """
    scheme = "nats-leaf" if all_of.tls is None else "tls"
    hubs = [f"{scheme}://{_place(each.host, each.leaf_port)}" for each in all_of.servers]
    ca = "" if all_of.tls is None else f", tls {{ ca_file: {_path(all_of.tls.ca, server)} }}"
    return "\n".join(
        [
            "# Written by `wharfside auth`, anew with every change. It holds a seed: keep it 0600.",
            f"server_name: {server.name}",
            f"listen: {_quoted(_place(_bound(server.host), server.port))}",
            f"max_payload: {MAX_PAYLOAD}",
            # a line that takes nothing is given up after half a minute, not after four
            'ping_interval: "10s"',
            "ping_max: 2",
            *_tls(all_of.tls, server),
            "accounts {",
            f"  {account} {{",
            "    users: [",
            *(f"      {line}" for line in users),
            "    ]",
            "  }",
            "}",
            "leafnodes {",
            f"  remotes: [ {{ urls: {json.dumps(hubs)}, account: {account},",
            f"    nkey: {_quoted(seed)}{ca} }} ]",
            "}",
            "",
        ]
    )


_EVERYWHERE = ("0.0.0.0", "::")


def _bound(host: str) -> str:
    """A server on loopback stays there; another may be known by a name that is not its own."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host if host == "localhost" else "0.0.0.0"
    return host if address.is_loopback else "0.0.0.0" if address.version == 4 else "::"


def _place(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _path(path: str, server: Server) -> str:
    return _quoted(path.replace(SERVER, server.name))


def _quoted(text: str) -> str:
    return json.dumps(text)
