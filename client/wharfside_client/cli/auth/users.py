"""`auth add-node` and `auth add-user`: a key for each, and its rights in the servers' file."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wharfside_client.cli import exitcodes, parse
from wharfside_client.cli.assets import tell_assets
from wharfside_client.cli.auth.place import Dir, as_user, folder_of, spelled
from wharfside_client.cli.auth.tell import tell_change, tell_next
from wharfside_client.cli.session import Session

if TYPE_CHECKING:
    from wharfside_client.auth.members import Change
    from wharfside_client.auth.state import State
    from wharfside_protocol.rights import Role

Names = Annotated[
    list[str], typer.Argument(parser=parse.name, metavar="NODE...", show_default=False)
]
Name = Annotated[str, typer.Argument(parser=parse.name, metavar="NAME", show_default=False)]


class People(StrEnum):
    """The roles of those who are no node."""

    ORCHESTRATOR = "orchestrator"
    VIEWER = "viewer"


async def add_node(session: Session, names: Names, folder: Dir = None) -> None:
    """Give nodes a key each, and let them in."""
    from wharfside_client.auth.members import PROVISIONER
    from wharfside_client.auth.state import load
    from wharfside_protocol.rights import Role

    path = folder_of(folder)
    changes = [_add(path, name, Role.NODE) for name in names]
    if session.output.json:
        session.output.document(changes)
        return
    state = load(path)
    for change in changes:
        tell_change(session.output, change)
    flags = spelled(as_user(path, state, PROVISIONER))
    steps = [*_reload(path, changes), f"wharfside nodes add {' '.join(names)} {flags}"]
    tell_next(session.output, [*steps, *_agent_settings(state, names)])


async def add_user(
    session: Session,
    name: Name,
    role: Annotated[People, typer.Option("--role", help="What it is for")],
    consumer: Annotated[
        bool,
        typer.Option(
            "--consumer", help="Make its durable consumer of events, by the servers of the folder"
        ),
    ] = False,
    folder: Dir = None,
) -> int:
    """Give somebody a key, and let them in: as an orchestrator, or to look only."""
    from wharfside_client.auth.state import load
    from wharfside_client.errors import BadSettings
    from wharfside_protocol.rights import Role

    if consumer and role is not People.ORCHESTRATOR:
        raise BadSettings("only an orchestrator has a durable consumer: leave --consumer out")
    path = folder_of(folder)
    change = _add(path, name, Role(role))
    state = load(path)
    if not session.output.json:
        tell_change(session.output, change)
    if consumer:
        return await _make_consumer(session, path, state, name)
    if session.output.json:
        session.output.document(change)
        return exitcodes.OK
    flags = as_user(path, state, name)
    tell_next(
        session.output,
        [
            *_reload(path, [change]),
            f"export NATS_URL={flags.server} NATS_NKEY={_quoted(flags.nkey)} WHARFSIDE_PEER={name}",
            "wharfside ps",
        ],
    )
    return exitcodes.OK


def _add(path: Path, name: str, role: Role) -> Change:
    from wharfside_client.auth.members import add

    return add(path, name, role, int(time.time()))


async def _make_consumer(session: Session, path: Path, state: State, name: str) -> int:
    """As the provisioner, unless flags say who else."""
    from wharfside_client.auth.members import PROVISIONER

    flags = session.flags.over(as_user(path, state, PROVISIONER))
    async with Session(flags).connect() as w:
        report = await w.setup.add_orchestrator(name)
    return tell_assets(session, [report])


def _quoted(path: str | None) -> str:
    """Absolute: what is exported is used in any folder."""
    return shlex.quote(str(Path(path or "").absolute()))


def _reload(path: Path, changes: Sequence[Change]) -> list[str]:
    """Servers read the file again at SIGHUP; the connections of others stay."""
    if not any(change.written for change in changes):
        return []
    return [f"nats-server --signal reload  # on each server, once it has {path}/conf/accounts.conf"]


def _agent_settings(state: State, names: Sequence[str]) -> list[str]:
    from wharfside_protocol.subjects import DEFAULT_PREFIX

    servers = ", ".join(f'"{url}"' for url in state.servers.urls)
    tls = state.servers.tls
    name = names[0] if len(names) == 1 else "NODE"
    return [
        f"# on {name}, in /etc/wharfside/config.toml, with its key (mode 0600) beside it:",
        "[node]",
        f'name = "{name}"',
        "[nats]",
        f"servers = [{servers}]",
        f'nkey_seed = "/etc/wharfside/{name}.nk"',
        *([f'ca = "{tls.ca}"'] if tls is not None else []),
        *([f'prefix = "{state.prefix}"'] if state.prefix != DEFAULT_PREFIX else []),
    ]
