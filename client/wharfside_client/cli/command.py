"""How a command joins the CLI: its own parameters, and the flags that all share."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from copy import copy
from dataclasses import fields, is_dataclass
from functools import cache, wraps
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer

from wharfside_client.cli.flags import Flags
from wharfside_client.cli.help import Command
from wharfside_client.cli.session import Session, run
from wharfside_protocol import __version__

Body = Callable[..., Awaitable[int | None]]


def _tell_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"wharfside {__version__}")
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option("--version", is_eager=True, callback=_tell_version, help="Show the version"),
]

PASS_ON = {"allow_interspersed_args": False}
"""Flags end at the first argument: what follows belongs to the container's command."""


def command(
    app: typer.Typer, name: str, *, runs: bool = False, **settings: Any
) -> Callable[[Body], Body]:
    """Registers a body, `async def body(session, ...) -> exit status`.

    Its parameters are typer's; one whose type is a dataclass of flags is spread into
    them, and the shared flags come on top. `runs`: its exit status is that of a
    container's process, 125 to 127 are ours.
    """

    def register(body: Body) -> Body:
        def entry(ctx: typer.Context, **given: Any) -> None:
            flags, arguments = _gather(ctx, body, given)
            raise typer.Exit(run(body, Session(flags), arguments, runs=runs))

        app.command(name, cls=Command, **settings)(_dressed(entry, body))
        return body

    return register


def group(app: typer.Typer, **settings: Any) -> Callable[[Body], Body]:
    """Registers what a command group does when it is called without a subcommand."""

    def register(body: Body) -> Body:
        def entry(ctx: typer.Context, **given: Any) -> None:
            ctx.obj, arguments = _gather(ctx, body, given)
            if ctx.invoked_subcommand is None:
                raise typer.Exit(run(body, Session(ctx.obj), arguments, runs=False))

        app.callback(invoke_without_command=True, **settings)(_dressed(entry, body))
        return body

    return register


def root(app: typer.Typer, **settings: Any) -> None:
    """The shared flags before any command's name."""

    async def nothing(_session: Session, version: Version = False) -> None: ...

    def entry(ctx: typer.Context, **given: Any) -> None:
        ctx.obj, _ = _gather(ctx, nothing, given)

    app.callback(**settings)(_dressed(entry, nothing))


def _own(body: Body) -> dict[str, inspect.Parameter]:
    _session, *own = inspect.signature(body, eval_str=True).parameters.values()
    return {parameter.name: parameter for parameter in own}


@cache
def _spread(kind: type) -> tuple[inspect.Parameter, ...]:
    """Once for all commands that share it: hints cost a millisecond a type."""
    hints = get_type_hints(kind, include_extras=True)
    return tuple(
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=hints[field.name],
        )
        for field in fields(kind)
    )


def _gather(ctx: typer.Context, body: Body, given: dict[str, Any]) -> tuple[Flags, dict[str, Any]]:
    """What typer gives, as the body and the session take it."""

    def take(kind: type) -> Any:
        return kind(**{field.name: given.pop(field.name) for field in fields(kind)})

    flags: Flags = take(Flags)
    if isinstance(ctx.obj, Flags):
        flags = flags.over(ctx.obj)
    for name, parameter in _own(body).items():
        if is_dataclass(parameter.annotation):
            given[name] = take(parameter.annotation)  # type: ignore[arg-type]
    return flags, given


def _dressed(entry: Callable[..., None], body: Body) -> Callable[..., None]:
    """`entry` with the signature that typer shall see."""
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    ]
    for parameter in _own(body).values():
        if is_dataclass(parameter.annotation):
            parameters += _spread(parameter.annotation)  # type: ignore[arg-type]
        else:
            parameters.append(parameter.replace(kind=keyword))
    taken = {name for p in parameters for name in _names(p.annotation)}
    parameters += [p.replace(annotation=_without(p.annotation, taken)) for p in _spread(Flags)]
    parameters = [p.replace(annotation=_telling(p.annotation)) for p in parameters]
    entry.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    entry.__annotations__ = {p.name: p.annotation for p in parameters}
    entry.__doc__ = body.__doc__
    return entry


def _names(annotation: Any) -> tuple[str, ...]:
    """The flags, `-s` and `--server`, of one parameter."""
    _kind, *settings = get_args(annotation) or (None,)
    return tuple(name for each in settings for name in getattr(each, "param_decls", None) or ())


def _without(annotation: Any, taken: set[str]) -> Any:
    """`annotation` less the names that the command itself has, as docker's `kill -s`."""
    kind, setting = get_args(annotation)
    told = copy(setting)
    told.param_decls = tuple(name for name in setting.param_decls if name not in taken)
    return Annotated[kind, told]


def _telling(annotation: Any) -> Any:
    """`annotation` with a parser whose ValueError is told in its own words alone."""
    if get_origin(annotation) is not Annotated:
        return annotation
    kind, *settings = get_args(annotation)
    return Annotated[(kind, *map(_with_words, settings))]


def _with_words(setting: Any) -> Any:
    """typer hands parsers to pydantic, which puts "Value error, " before what they say."""
    parser = getattr(setting, "parser", None)
    if parser is None:
        return setting

    @wraps(parser)
    def parse(text: str) -> Any:
        try:
            return parser(text)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error

    told = copy(setting)
    told.parser = parse
    return told
