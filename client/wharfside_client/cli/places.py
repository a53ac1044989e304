"""Where a command goes: the arguments NODE and NODE/CONTAINER, with what the shell offers."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from wharfside_client.cli import complete, parse
from wharfside_client.cli.parse import Target


def _node(metavar: str, help: str | None = None) -> Any:
    return typer.Argument(
        parser=parse.node,
        metavar=metavar,
        help=help,
        show_default=False,
        autocompletion=complete.nodes,
    )


def _target(metavar: str) -> Any:
    return typer.Argument(
        parser=parse.target,
        metavar=metavar,
        show_default=False,
        autocompletion=complete.targets,
    )


OneNode = Annotated[str, _node("NODE")]
Nodes = Annotated[list[str], _node("NODE...")]
NodesOrAll = Annotated[list[str] | None, _node("[NODE]...", "All nodes where left out")]
NodeOrAll = Annotated[Any, _node("[NODE]", "All where left out")]
OneTarget = Annotated[Target, _target("NODE/CONTAINER")]
Targets = Annotated[list[Target], _target("NODE/CONTAINER...")]
PlacesOrAll = Annotated[
    list[Any] | None,
    typer.Argument(
        parser=parse.place,
        metavar="[NODE[/CONTAINER]]...",
        help="All that run where left out",
        show_default=False,
        autocompletion=complete.places,
    ),
]
NodeOf = Annotated[
    str,
    typer.Argument(
        parser=parse.node_of,
        metavar="NODE[/CONTAINER]",
        show_default=False,
        autocompletion=complete.nodes,
    ),
]
"""As `--no-wait` prints it: `wharfside result $(wharfside stop --no-wait n1/web)`."""
NodeOrTarget = Annotated[
    str,
    typer.Argument(metavar="NODE[/CONTAINER]", show_default=False, autocompletion=complete.nodes),
]
