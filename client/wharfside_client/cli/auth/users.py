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
from wharfside_client.cli.auth.place import (
    Dir,
    Expires,
    as_user,
    end_of,
    folder_of,
    spelled,
)
from wharfside_client.cli.auth.tell import in_force, tell_change, tell_next
from wharfside_client.cli.session import Session

if TYPE_CHECKING:
    from wharfside_client.auth.members import Change
    from wharfside_client.auth.state import State
    from wharfside_client.cli.flags import Flags
    from wharfside_protocol.rights import Role

Names = Annotated[
    list[str], typer.Argument(parser=parse.name, metavar="NODE...", show_default=False)
]
Name = Annotated[str, typer.Argument(parser=parse.name, metavar="NAME", show_default=False)]


class People(StrEnum):
    """The roles of those who are no node."""

    ORCHESTRATOR = "orchestrator"
    VIEWER = "viewer"


async def add_node(
    session: Session, names: Names, expires: Expires = None, folder: Dir = None
) -> None:
    """Give nodes a key each, and let them in."""
    from wharfside_client.auth.members import PROVISIONER
    from wharfside_client.auth.state import load
    from wharfside_protocol.rights import Role

    path = folder_of(folder)
    changes = [_add(path, name, Role.NODE, expires) for name in names]
    if session.output.json:
        session.output.document(changes)
        return
    state = load(path)
    for change in changes:
        tell_change(session.output, change)
    flags = spelled(as_user(path, state, PROVISIONER))
    written = [each for change in changes for each in change.written]
    steps = [*in_force(path, state, written), f"wharfside nodes add {' '.join(names)} {flags}"]
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
    expires: Expires = None,
    folder: Dir = None,
) -> int:
    """Give somebody a key, and let them in: as an orchestrator, or to look only."""
    from wharfside_client.auth.state import load
    from wharfside_client.errors import BadSettings
    from wharfside_protocol.rights import Role

    if consumer and role is not People.ORCHESTRATOR:
        raise BadSettings("only an orchestrator has a durable consumer: leave --consumer out")
    path = folder_of(folder)
    change = _add(path, name, Role(role), expires)
    state = load(path)
    if session.output.json and not consumer:
        session.output.document(change)
        return exitcodes.OK
    if not session.output.json:
        tell_change(session.output, change)
    status = await _make_consumer(session, path, state, name) if consumer else exitcodes.OK
    if not session.output.json:
        usable = f"export {_environment(as_user(path, state, name))}"
        force = in_force(path, state, change.written)
        tell_next(session.output, [*force, usable, "wharfside ps"])
    return status


def _add(path: Path, name: str, role: Role, expires: float | None) -> Change:
    from wharfside_client.auth.members import add

    now = int(time.time())
    return add(path, name, role, now, expires=end_of(now, expires))


async def _make_consumer(session: Session, path: Path, state: State, name: str) -> int:
    """As the provisioner, unless flags say who else."""
    from wharfside_client.auth.members import PROVISIONER

    flags = session.flags.over(as_user(path, state, PROVISIONER))
    async with Session(flags).connect() as w:
        report = await w.setup.add_orchestrator(name)
    return tell_assets(session, [report])


def _environment(flags: Flags) -> str:
    """Paths are absolute: what is exported is used in any folder."""
    files = {
        "NATS_NKEY": flags.nkey,
        "NATS_CREDS": flags.creds,
        "NATS_CA": flags.tlsca,
        "NATS_CERT": flags.tlscert,
        "NATS_KEY": flags.tlskey,
    }
    given = [f"NATS_URL={shlex.quote(flags.server or '')}"]
    given += [f"{key}={shlex.quote(str(Path(f).absolute()))}" for key, f in files.items() if f]
    return " ".join([*given, f"WHARFSIDE_PEER={flags.peer}"])


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
        f'nkey_seed = "/etc/wharfside/{name}.nk"'
        if state.trust is None
        else f'creds = "/etc/wharfside/{name}.creds"',
        *(['ca = "/etc/wharfside/ca.pem"'] if tls is not None else []),
        *(_certificate(name) if tls is not None and tls.verify else []),
        *([f'prefix = "{state.prefix}"'] if state.prefix != DEFAULT_PREFIX else []),
    ]


def _certificate(name: str) -> list[str]:
    return [
        f'certificate = "/etc/wharfside/{name}.pem"',
        f'key = "/etc/wharfside/{name}.key"',
    ]
