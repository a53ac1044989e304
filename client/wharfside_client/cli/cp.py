"""`cp`: files between a container and this side, as docker cp; `-` is a tar stream."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wharfside_client.cli import exitcodes, parse
from wharfside_client.cli.bars import byte_bar
from wharfside_client.cli.command import command
from wharfside_client.cli.parse import Inside
from wharfside_client.cli.session import Session

if TYPE_CHECKING:
    from wharfside_client.client import Wharfside
    from wharfside_client.files import Progress

STREAM = "-"

Place = Annotated[
    Any,
    typer.Argument(parser=parse.inside, metavar="NODE/CONTAINER:PATH|PATH|-", show_default=False),
]


def register(app: typer.Typer) -> None:
    command(app, "cp")(cp)


async def cp(
    session: Session,
    source: Place,
    to: Place,
    archive: Annotated[
        bool, typer.Option("--archive", "-a", help="Keep owners, by their numbers")
    ] = False,
    follow: Annotated[
        bool, typer.Option("--follow-link", "-L", help="Of a link SOURCE what it leads to")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress")] = False,
) -> int:
    """Copy files or folders between a container and here; `-` is a tar from stdin, or to stdout.

    A folder that is there takes the copy in; else the copy gets the name TO. `SOURCE/.` is what
    is in a folder. The container may be running, paused, stopped or not started yet. What is
    broken off leaves no half of a file.
    """
    _no_terminal(source, to)
    copying = _Copying(session, archive=archive, follow=follow)
    async with session.connect() as w:
        quiet, no_color = quiet or session.output.json, session.output.no_color
        with byte_bar(str(source), quiet=quiet, no_color=no_color) as progress:
            done = await copying.run(w, source, to, progress)
    if session.output.json and to != STREAM:
        session.output.document({"bytes": done})
    return exitcodes.OK


def _no_terminal(source: Inside | str, to: Inside | str) -> None:
    if to == STREAM and sys.stdout.isatty():
        raise typer.BadParameter("a tar is nothing for a terminal: redirect it")
    if source == STREAM and sys.stdin.isatty():
        raise typer.BadParameter("`-` reads a tar from stdin: redirect it")


class _Copying:
    def __init__(self, session: Session, *, archive: bool, follow: bool) -> None:
        self._session = session
        self._archive = archive
        self._follow = follow

    async def run(
        self, w: Wharfside, source: Inside | str, to: Inside | str, progress: Progress
    ) -> int:
        options = self._session.options
        match source, to:
            case Inside(), Inside():
                raise typer.BadParameter("one side is here: copy out, then in")
            case Inside(), str() if to == STREAM:
                return await self._out(w, source)
            case Inside(), str():
                return await w.node(source.node).copy_from(
                    *(source.container, source.path, to),
                    follow=self._follow,
                    keep_owner=self._archive,
                    progress=progress,
                    note=self._note,
                    **options,
                )
            case str(), Inside() if source == STREAM:
                return await self._in(w, to)
            case str(), Inside():
                from wharfside_client.localfiles import LocalTree

                tree = LocalTree.of(source, follow=self._follow, keep_owner=self._archive)
                return await w.node(to.node).copy_to(
                    *(to.container, to.path, tree), progress=progress, note=self._note, **options
                )
        raise typer.BadParameter("one side is a container: write NODE/CONTAINER:PATH")

    def _note(self, path: str, why: str) -> None:
        self._session.output.warn(f"{path}: {why}")

    async def _out(self, w: Wharfside, source: Inside) -> int:
        from wharfside_client.cli.descriptors import Output
        from wharfside_client.files import archive_of

        written = 0
        getting = w.node(source.node).get_archive(
            source.container, source.path, follow=self._follow, **self._session.options
        )
        async with getting as session:
            with closing(Output(sys.stdout.fileno())) as output:
                async for data in archive_of(session, self._note):
                    await output.write(data)
                    written += len(data)
        return written

    async def _in(self, w: Wharfside, to: Inside) -> int:
        from wharfside_client.cli.descriptors import Input

        # as docker has it, the folder must be there; `/.` says that
        path = to.path.rstrip("/") + "/."
        with closing(Input(sys.stdin.fileno())) as data:
            return await w.node(to.node).send_archive(
                to.container, path, _read(data), note=self._note, **self._session.options
            )


async def _read(data: Any) -> AsyncIterator[bytes]:
    while piece := await data.read():
        yield piece
