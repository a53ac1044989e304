"""`auth tls`: an authority of the fleet's own, and certificates by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wharfside_client.cli import parse
from wharfside_client.cli.auth.place import Dir, can_certify, folder_of
from wharfside_client.cli.auth.tell import tell_next, tell_written
from wharfside_client.cli.session import Session

if TYPE_CHECKING:
    from wharfside_client.auth.equipping import Equipped

DAYS = 397
"""What many checkers accept at most of a server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFlags:
    """Whose certificates, and what stands in them."""

    host: Annotated[
        list[Any] | None,
        typer.Option(
            "--host",
            parser=parse.server_host,
            metavar="[SERVER=]HOST",
            show_default=False,
            help="Another name or address under which servers, or one of them, are reached",
        ),
    ] = None
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="PATH",
            show_default=False,
            help="The folder on the servers that will have ca.pem, SERVER.pem and SERVER.key",
        ),
    ] = None
    verify: Annotated[
        bool | None,
        typer.Option(
            "--verify-clients/--no-verify-clients",
            show_default=False,
            help="Clients show certificates, too; makes one for each user",
        ),
    ] = None
    client: Annotated[
        list[Any] | None,
        typer.Option(
            "--client",
            parser=parse.name,
            metavar="NAME",
            show_default=False,
            help="Only the certificate of this user",
        ),
    ] = None
    days: Annotated[float, typer.Option("--days", min=0.01, help="They are valid for")] = DAYS


async def tls(session: Session, which: CertificateFlags, folder: Dir = None) -> None:
    """Make certificates for the servers of the folder, by an authority of its own.

    Run it again to have new ones, before they expire or after `auth rotate --ca`.
    """
    path = folder_of(folder)
    can_certify()
    from wharfside_client.auth.equipping import equip_servers, equip_users

    if which.client:
        done = equip_users(path, which.client, which.days)
    else:
        hosts = _by_server(which.host or [])
        done = equip_servers(path, hosts, which.at, which.verify, which.days)
    if session.output.json:
        session.output.document(done)
    else:
        _tell(session, done, servers=not which.client)


def _by_server(hosts: list[parse.ServerHost]) -> dict[str, list[str]]:
    named: dict[str, list[str]] = {}
    for each in hosts:
        named.setdefault(each.server, []).append(each.host)
    return named


def _tell(session: Session, done: Equipped, *, servers: bool) -> None:
    for name, certificate in done.certificates.items():
        session.output.line(f"{name}: {certificate}, its key beside it")
    tell_written(session.output, done.written)
    everybody = f"# give {done.ca} to every server, node and user (--tlsca, NATS_CA, nats.ca)"
    steps = [everybody]
    if servers:
        steps += [
            "# put each server's certificate and key where its file says, its key mode 0600",
            "nats-server --signal reload  # on each server",
        ]
    tell_next(session.output, steps)
