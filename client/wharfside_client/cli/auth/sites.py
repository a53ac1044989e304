"""`auth add-site` and `remove-site`: a server of their own for nodes at the edge."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from wharfside_client.cli import parse
from wharfside_client.cli.auth.place import Dir, folder_of
from wharfside_client.cli.auth.tell import in_force, tell_next, tell_written, where
from wharfside_client.cli.session import Session

Listen = Annotated[
    Any,
    typer.Argument(
        parser=parse.nats_server,
        metavar="NAME=HOST[:PORT]",
        help="The site's NATS server, as its nodes reach it",
        show_default=False,
    ),
]
Nodes = Annotated[
    list[str], typer.Argument(parser=parse.name, metavar="NODE...", show_default=False)
]


async def add_site(session: Session, listen: Listen, nodes: Nodes, folder: Dir = None) -> None:
    """Let nodes come in by a server of their own, a leaf of the fleet's servers.

    Its nodes go on, and keep their events, while the line to the fleet is down. Run it again to
    change which nodes they are.
    """
    from wharfside_client.auth.servers import CLIENT_PORT, Server
    from wharfside_client.auth.sites import add_site as add
    from wharfside_client.auth.state import load

    path = folder_of(folder)
    server = Server(name=listen.name, host=listen.host, port=listen.port or CLIENT_PORT)
    change = add(path, server, nodes, int(time.time()))
    if session.output.json:
        session.output.document(change)
        return
    session.output.line(f"site {change.name}: {', '.join(change.nodes)}")
    tell_written(session.output, change.written)
    scheme = "nats" if load(path).servers.tls is None else "tls"
    tell_next(
        session.output,
        [
            *([f"wharfside auth tls{where(path)}"] if scheme == "tls" else []),
            "# restart each of the fleet's servers once, with its own file and accounts.conf",
            f"nats-server -c {change.conf}  # at the site",
            f'# on its nodes: [nats] servers = ["{scheme}://{server.host}:{server.port}"]',
        ],
    )


async def remove_site(
    session: Session,
    name: Annotated[str, typer.Argument(parser=parse.name, metavar="NAME", show_default=False)],
    folder: Dir = None,
) -> None:
    """Let an edge site in no more; its nodes keep their own keys: `auth revoke` takes those."""
    from wharfside_client.auth.sites import remove_site as remove
    from wharfside_client.auth.state import load

    path = folder_of(folder)
    change = remove(path, name)
    if session.output.json:
        session.output.document(change)
        return
    session.output.line(f"site {name}: removed; its nodes were {', '.join(change.nodes)}")
    tell_written(session.output, change.written)
    tell_next(session.output, in_force(path, load(path), change.written))
