"""The keys of an operator and its accounts, in a folder, and what they sign.

keys/operator.nk            the identity: signed the operator's JWT, and is not needed again
keys/operator-signing.nk    signs accounts: who has it owns every server of the fleet
keys/HUB.nk ... SYS.nk      identities of accounts: sign what accounts share
keys/ROLE-PUBLICKEY.nk      signs users of one role, bound to that role's rights
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from wharfside_client.auth import claims, jwts
from wharfside_client.auth.keys import Key, Kind
from wharfside_client.auth.state import SYS, SYSTEM, State, Trust, UserKey, account_of
from wharfside_protocol.rights import ACCOUNTS, Account, Role, Share
from wharfside_protocol.subjects import Subjects


class Operator:
    """
    Raises:
        BadKey: (every method) a seed that is needed is not in its file.
    """

    def __init__(self, folder: Path, state: State, trust: Trust) -> None:
        self._folder = folder
        self._state = state
        self._trust = trust
        self._subjects = Subjects(state.prefix)

    @classmethod
    def make(cls, folder: Path, state: State) -> Trust:
        """New keys throughout; the public ones, which `state` has to know."""
        keys = folder / "keys"
        identity = Key.make(Kind.OPERATOR).save(keys / "operator.nk")
        signing = Key.make(Kind.OPERATOR).save(keys / "operator-signing.nk")
        accounts = {
            name: Key.make(Kind.ACCOUNT).save(keys / f"{name}.nk").public
            for name in (SYS, *Account)
        }
        told = jwts.sign(
            identity,
            identity.public,
            "wharfside",
            claims.operator(signing.public, accounts[SYS]),
            issued=state.created,
        )
        trust = Trust(operator=told, accounts=accounts, signers={})
        operator = cls(folder, state, trust)
        for role in (SYSTEM, *Role):
            operator.add_signer(role)
        return trust

    def add_signer(self, role: str) -> None:
        """A new signing key of a role; those before it stay valid."""
        key = Key.make(Kind.ACCOUNT)
        key.save(self._signer_file(role, key.public))
        self._trust.signers.setdefault(role, []).append(key.public)

    def drop_old_signers(self, role: str) -> list[str]:
        """Only the newest signing key of a role stays valid; those that are not any more."""
        *old, newest = self._trust.signers[role]
        self._trust.signers[role] = [newest]
        for public in old:
            self._signer_file(role, public).unlink(missing_ok=True)
        return old

    def account_jwts(self) -> dict[str, str]:
        """The JWT of each account by its public key, as the state has it now."""
        signing, trust = self._key("operator-signing", Kind.OPERATOR), self._trust
        return {
            trust.accounts[name]: jwts.sign(
                signing,
                trust.accounts[name],
                name,
                nats,
                issued=trust.issued.get(name, self._state.created),
            )
            for name, nats in self._account_claims()
        }

    def user_jwt(self, user: str, role: str, key: UserKey) -> str:
        """By the newest signing key of its role."""
        signer = Key.read(self._signer_file(role, self._trust.signers[role][-1]), Kind.ACCOUNT)
        return jwts.sign(
            signer,
            key.public,
            user,
            claims.user(self._trust.accounts[account_of(role)]),
            issued=key.issued,
            expires=key.expires,
        )

    def text(self) -> str:
        """What makes a nats-server know the operator and the accounts, as they are now. One
        that was pushed to the server later than this was written stays as it was pushed."""
        preload = [f"  {public}: {token}" for public, token in self.account_jwts().items()]
        return "\n".join(
            [
                "# Written by `wharfside auth`, anew with every change: edit nothing here.",
                f"operator: {self._trust.operator}",
                f"system_account: {self._trust.accounts[SYS]}",
                "resolver_preload {",
                *preload,
                "}",
                "",
            ]
        )

    def _account_claims(self) -> Iterator[tuple[str, dict[str, object]]]:
        trust = self._trust
        publics = {account: trust.accounts[account] for account in Account}
        yield SYS, claims.system_account(trust.signers[SYSTEM], self._revocations(SYS))
        for account in Account:
            signers = {role: trust.signers[role] for role in Role if ACCOUNTS[role] is account}
            revoked = self._revocations(account)
            yield (
                account,
                claims.account(account, publics, signers, revoked, self._activate, self._subjects),
            )

    def _activate(self, share: Share, importer: Account) -> str:
        """Dated as the folder is, so that it stays the same: a changed import is made anew by
        the server, and what crosses just then would be lost."""
        return jwts.sign(
            self._key(share.owner, Kind.ACCOUNT),
            self._trust.accounts[importer],
            share.subject,
            claims.activation(share),
            issued=self._state.created,
        )

    def _revocations(self, account: str) -> dict[str, int]:
        users = [user for user in self._state.users if ACCOUNTS[user.role] == account]
        keys = [key for user in users for key in user.keys]
        if account == SYS:
            keys = self._trust.system
        return {key.public: key.revoked for key in keys if key.revoked is not None}

    def _key(self, name: str, kind: Kind) -> Key:
        return Key.read(self._folder / "keys" / f"{name}.nk", kind)

    def _signer_file(self, role: str, public: str) -> Path:
        return self._folder / "keys" / f"{role}-{public}.nk"
