"""The command `wharfside`."""

from __future__ import annotations

from typing import Any

import typer

from wharfside_client.cli.command import root
from wharfside_client.cli.help import Group
from wharfside_client.cli.loading import Commands

HELP = """Drive the container nodes of a fleet over NATS.

Containers are named NODE/CONTAINER. The server comes from --server, a context of the
nats CLI, or NATS_URL.
"""

HOMES = {
    "create": "run",
    "run": "run",
    "exec": "exec",
    "attach": "attach",
    "logs": "logs",
    "cp": "cp",
    "ps": "ps",
    "top": "top.command",
    "start": "lifecycle",
    "stop": "lifecycle",
    "restart": "lifecycle",
    "kill": "lifecycle",
    "pause": "lifecycle",
    "resume": "lifecycle",
    "update": "lifecycle",
    "wait": "lifecycle",
    "rm": "lifecycle",
    "checkpoints": "checkpoint",
    "restore": "checkpoint",
    "migrate": "migrate",
    "migrations": "migrate",
    "inspect": "look",
    "stats": "stats",
    "info": "look",
    "events": "events",
    "audit": "audit",
    "commands": "commands",
    "result": "commands",
    "cancel": "commands",
    "policy-check": "policycheck",
    "drain": "drain",
    "undrain": "drain",
    "resync": "resync",
    "bootstrap": "assets",
    "dead-letters": "deadletters",
    "api": "api",
    "schema": "api",
    "checkpoint": "checkpoint",
    "nodes": "nodes",
    "auth": "auth.command",
}
"""Each command's module in this room. `help.SECTIONS` has the order of `--help`."""


class Root(Group):
    """All commands, of which those that are asked for are made."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        # typer's own is a dict; nobody adds to it
        self.commands = Commands(HOMES)  # type: ignore[assignment]


def make_app() -> typer.Typer:
    """The CLI with all its commands."""
    app = typer.Typer(
        cls=Root,
        rich_markup_mode=None,  # rich takes a quarter of a second to load
        pretty_exceptions_enable=False,
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    root(app, help=HELP)
    return app


def main() -> None:
    """The entry point; exits with the command's status."""
    make_app()(prog_name="wharfside")


if __name__ == "__main__":
    main()
