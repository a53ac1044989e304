"""wharfside-agent: run, reload, check-config, doctor."""

from __future__ import annotations

import asyncio
import gc
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import msgspec
import typer

from wharfside_agent.errors import StartError
from wharfside_agent.settings import NatsSettings, Settings
from wharfside_agent.settings_file import load_settings
from wharfside_protocol import __version__

DEFAULT_CONFIG = Path("/etc/wharfside/config.toml")
FAILED_TO_START = 1

app = typer.Typer(
    help="The Wharfside node agent.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
Config = Annotated[Path, typer.Option("--config", "-c", help="The TOML configuration file.")]


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Takes container commands from NATS and tells what became of them."""
    if show:
        typer.echo(f"wharfside-agent {__version__}")
        raise typer.Exit


@app.command()
def run(
    config: Config = DEFAULT_CONFIG,
    take_over: Annotated[
        bool,
        typer.Option("--take-over", help="A replaced host: an older agent of this name leaves."),
    ] = False,
) -> None:
    """Runs the agent until SIGTERM; containers run on without it."""
    # What is imported stays: going through it for garbage again and again is a tenth of the start.
    gc.disable()
    from wharfside_agent.app import run_agent
    from wharfside_agent.heap import keep_freed
    from wharfside_agent.logs import configure_logs
    from wharfside_agent.services.journal import journal_from_environment

    gc.freeze()
    gc.enable()
    keep_freed()

    def load() -> Settings:
        settings = load_settings(config)
        if not take_over:
            return settings
        node = msgspec.structs.replace(settings.node, take_over=True)
        return msgspec.structs.replace(settings, node=node)

    try:
        settings = load()
        configure_logs(settings.log)
        code = _runner().run(run_agent(settings, journal_from_environment(), load))
    except StartError as error:
        _fail(str(error))
    raise typer.Exit(code)


@app.command()
def reload(
    config: Config = DEFAULT_CONFIG,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Has the running agent read its configuration anew, and says what came of it."""
    from wharfside_agent.core.placement import Places
    from wharfside_agent.hangup import ask_to_reload

    settings = _load(config)
    try:
        done = ask_to_reload(Places(run_dir=settings.run_dir, state_dir=settings.state_dir))
    except StartError as error:
        _fail(str(error))
    if as_json:
        typer.echo(msgspec.json.encode(done).decode())
        return
    typer.echo("reloaded: " + (", ".join(done.changed) or "nothing has changed that is live"))
    if done.restart:
        typer.echo(f"needs a restart of the agent: {', '.join(done.restart)}")


def _without_passwords(nats: NatsSettings) -> dict[str, object]:
    """What of it may hold one, as it may be shown."""
    from wharfside_agent.bus.options import location

    servers = [f"{url.rpartition('://')[0] or 'nats'}://{location(url)}" for url in nats.servers]
    return {"servers": servers, "password": None if nats.password is None else "(hidden)"}


@app.command("check-config")
def check_config(config: Config = DEFAULT_CONFIG) -> None:
    """Reads the configuration and says what it means, or what is wrong with it."""
    from wharfside_agent.core.policy.words import capacity_in_words, of_nobody, policy_in_words

    settings = _load(config)
    typer.echo(f"{config}: good")
    plain = msgspec.to_builtins(settings)
    plain["nats"] |= _without_passwords(settings.nats)
    del plain["policy"]
    typer.echo(msgspec.json.format(msgspec.json.encode(plain), indent=2).decode())
    typer.echo("\npolicy, in words:")
    keys = settings.trust.keys
    idle = of_nobody(settings.policy, [k.actor for k in keys], [k.role for k in keys])
    told = [*policy_in_words(settings.policy), *idle, *capacity_in_words(settings.capacity)]
    typer.echo("\n".join(told))


@app.command()
def doctor(
    config: Config = DEFAULT_CONFIG,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Probes runtime, conmon, cgroups, CRIU and NATS: what works, what not, what to do."""
    from wharfside_agent.doctor import examine, show

    findings = asyncio.run(examine(_load(config)))
    show(findings, as_json=as_json)
    raise typer.Exit(0 if all(finding.ok or not finding.needed for finding in findings) else 1)


def _load(config: Path) -> Settings:
    try:
        return load_settings(config)
    except StartError as error:
        _fail(str(error))


def _fail(message: str) -> NoReturn:
    print(f"wharfside-agent: {message}", file=sys.stderr)  # noqa: T201
    raise typer.Exit(FAILED_TO_START)


def _runner() -> asyncio.Runner:
    """uvloop where the extra `fast` is installed."""
    try:
        import uvloop
    except ImportError:
        return asyncio.Runner()
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


def main() -> None:
    """The entry point of the command."""
    app(prog_name="wharfside-agent")
