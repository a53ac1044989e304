"""The group `auth`, and what its commands share."""

from __future__ import annotations

import typer

from wharfside_client.cli.auth import init, push, revoke, rotate, show, sign_key, sites, tls, users
from wharfside_client.cli.command import command, group
from wharfside_client.cli.help import Group
from wharfside_client.cli.session import Session


def register(app: typer.Typer) -> None:
    auth_app = typer.Typer(cls=Group, no_args_is_help=True)
    group(auth_app, no_args_is_help=True)(auth)
    command(auth_app, "init")(init.init)
    command(auth_app, "add-node")(users.add_node)
    command(auth_app, "add-user")(users.add_user)
    command(auth_app, "add-site")(sites.add_site)
    command(auth_app, "remove-site")(sites.remove_site)
    command(auth_app, "sign-key")(sign_key.sign_key)
    command(auth_app, "show")(show.show)
    command(auth_app, "rotate")(rotate.rotate)
    command(auth_app, "revoke")(revoke.revoke)
    command(auth_app, "push")(push.push)
    command(auth_app, "tls")(tls.tls)
    app.add_typer(auth_app, name="auth")


async def auth(session: Session) -> None:
    """Who may do what on the bus: keys, roles, and the servers' configurations."""
