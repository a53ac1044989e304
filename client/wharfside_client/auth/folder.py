"""An auth folder on disk: what lies where in it, and its files brought in line with its state.

auth.json             names, roles and public keys; all else is made again from it
users/NAME.nk         a user's seed (0600): goes to where that user runs
users/NAME.creds      the same in a folder of JWTs: JWT and seed
keys/                 what makes users and accounts (`operator.py`); stays here
keys/routes.password  lets the servers of a cluster into each other
conf/SERVER.conf      goes to that server, with the files beside it
users/SITE.site.nk    the seed of an edge site; in conf/SITE.site.conf, which goes to its server
conf/accounts.conf    the four accounts, and the users by public keys or the operator
tls/                  the authority and what it issued (`tls.py`)
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

from wharfside_client.auth.operator import Operator
from wharfside_client.auth.placing import PRIVATE, PUBLIC, place
from wharfside_client.auth.servers import server_text, site_server_text
from wharfside_client.auth.state import Site, State
from wharfside_client.auth.static import accounts_text, site_users
from wharfside_client.errors import LocalFiles
from wharfside_protocol.rights import Account

ACCOUNTS_FILE = "accounts.conf"


@dataclass(frozen=True, slots=True)
class Folder:
    path: Path

    def credentials(self, state: State, name: str) -> Path:
        """Where that is by which a user comes in."""
        return self.path / "users" / f"{name}.{'nk' if state.trust is None else 'creds'}"

    def operator(self, state: State) -> Operator | None:
        """Who signs, in a folder of JWTs."""
        return None if state.trust is None else Operator(self.path, state, state.trust)

    def conf(self, server: str) -> Path:
        """Where the configuration of a server is."""
        return self.path / "conf" / f"{server}.conf"

    @property
    def accounts(self) -> Path:
        return self.path / "conf" / ACCOUNTS_FILE

    def write_conf(self, state: State) -> list[Path]:
        """The servers' files and their users'; those that were missing or otherwise.

        Raises:
            LocalFiles: one cannot be read or written.
        """
        password = self._route_password() if len(state.servers.servers) > 1 else ""
        wanted = {
            self.conf(server.name): (
                server_text(
                    state.servers,
                    server,
                    ACCOUNTS_FILE,
                    password,
                    resolver=state.trust is not None,
                    leaves=bool(state.sites),
                ),
                PRIVATE if password else PUBLIC,
            )
            for server in state.servers.servers
        }
        for site in state.sites:
            wanted[self.conf(f"{site.name}.site")] = (self._site_text(state, site), PRIVATE)
        operator = self.operator(state)
        text = accounts_text(state) if operator is None else operator.text()
        wanted[self.accounts] = (text, PUBLIC)
        return [path for path, (text, mode) in wanted.items() if _settle(path, text, mode)]

    def site_seed(self, name: str) -> Path:
        """Where the seed of an edge site is."""
        return self.path / "users" / f"{name}.site.nk"

    def _site_text(self, state: State, site: Site) -> str:
        seed = _read(self.site_seed(site.name)).strip()
        users = site_users(state, site)
        return site_server_text(state.servers, site.listen, Account.NODES, seed, users)

    def _route_password(self) -> str:
        path = self.path / "keys" / "routes.password"
        if not path.exists():
            place(path, secrets.token_urlsafe(32) + "\n")
        return _read(path).strip()


def _settle(path: Path, text: str, mode: int) -> bool:
    """Whether `path` had to be written."""
    if path.exists() and _read(path) == text:
        return False
    place(path, text, mode)
    return True


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise LocalFiles(f"{path} cannot be read: {error.strerror}", path=str(path)) from error
