"""The command `wharfside`."""

from __future__ import annotations

import sys

import typer

from wharfside_client.cli import (
    api,
    assets,
    attach,
    audit,
    checkpoint,
    commands,
    cp,
    deadletters,
    drain,
    events,
    exec,
    lifecycle,
    logs,
    look,
    migrate,
    nodes,
    policycheck,
    ps,
    resync,
    run,
)
from wharfside_client.cli.auth import command as auth
from wharfside_client.cli.command import root
from wharfside_client.cli.top import command as top

HELP = """Drive the container nodes of a fleet over NATS.

Containers are named NODE/CONTAINER. The server comes from --server, a context of the
nats CLI, or NATS_URL.
"""


def make_app() -> typer.Typer:
    """The CLI with all its commands, in the order in which `--help` shows them."""
    app = typer.Typer(
        # rich takes a quarter of a second to load: on a terminal, for help and errors alone
        rich_markup_mode="rich" if sys.stdout.isatty() else None,
        pretty_exceptions_enable=False,
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    root(app, help=HELP)
    modules = (run, exec, attach, logs, cp, ps, top, lifecycle, checkpoint, migrate, look)
    others = (events, audit, commands, nodes, policycheck, drain, resync, assets, auth)
    for module in (*modules, *others, deadletters, api):
        module.register(app)
    return app


def main() -> None:
    """The entry point; exits with the command's status."""
    make_app()(prog_name="wharfside")


if __name__ == "__main__":
    main()
