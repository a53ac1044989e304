"""The rights of Wharfside as an operator's JWTs: all of them, and nothing besides."""

from __future__ import annotations

from typing import Any

import pytest

from wharfside_client.auth import claims, jwts
from wharfside_client.auth.errors import BadToken
from wharfside_client.auth.keys import Key, Kind
from wharfside_protocol.rights import (
    ACCOUNTS,
    Account,
    Crossing,
    Role,
    Share,
    exports,
    imports,
    rights,
)
from wharfside_protocol.subjects import Subjects

SUBJECTS = [Subjects(), Subjects("fleet.two")]
PUBLICS = {account: f"A-{account}" for account in Account}
SIGNERS = {role: [f"A-{role}-1", f"A-{role}-2"] for role in Role}


def claims_of(account: Account, subjects: Subjects) -> dict[str, Any]:
    signers = {role: keys for role, keys in SIGNERS.items() if ACCOUNTS[role] is account}

    def activate(share: Share, to: Account) -> str:
        return f"{share.owner} lets {to} have {share.kind} {share.subject}"

    return claims.account(account, PUBLICS, signers, {}, activate, subjects)


@pytest.mark.parametrize("subjects", SUBJECTS)
@pytest.mark.parametrize("role", Role)
def test_a_template_with_a_name_is_the_rights_of_that_name(role: Role, subjects: Subjects) -> None:
    template, named = claims.template(role, subjects), rights(role, "n1", subjects)
    for opened, told in (
        (template.publish, named.publish),
        (template.subscribe, named.subscribe),
    ):
        assert tuple(subject.replace(claims.NAME, "n1") for subject in opened) == told


@pytest.mark.parametrize("subjects", SUBJECTS)
@pytest.mark.parametrize("account", Account)
def test_an_account_imports_what_is_shared_with_it_by_tokens(
    account: Account, subjects: Subjects
) -> None:
    found = [
        (each["account"], each["type"], each["subject"], each["token"])
        for each in claims_of(account, subjects)["imports"]
    ]
    assert found == [
        (
            PUBLICS[share.owner],
            share.kind,
            share.subject,
            f"{share.owner} lets {account} have {share.kind} {share.subject}",
        )
        for share in imports(account, subjects)
    ]


@pytest.mark.parametrize("account", Account)
def test_every_share_is_exported_privately_once(account: Account) -> None:
    """Also where it lies within another: a server refuses an account with both."""
    shared = exports(account)
    found = {(each["type"], each["subject"]) for each in claims_of(account, Subjects())["exports"]}
    assert found <= {(share.kind, share.subject) for share in shared}
    assert all(each["token_req"] for each in claims_of(account, Subjects())["exports"])
    missing = {share.subject for share in shared if (share.kind, share.subject) not in found}
    assert missing == ({"wharfside.v1.kv.nodes.*"} if account is Account.HUB else set())


def test_answers_that_are_many_or_late_are_let_through() -> None:
    told = {each["subject"]: each for each in claims_of(Account.NODES, Subjects())["exports"]}
    assert told["$SRV.>"]["response_type"] == "Stream"
    assert "response_type" not in told["wharfside.v1.rpc.>"]
    assert told["wharfside.v1.rpc.>"]["response_threshold"] == 3600 * 10**9
    streams = [each for each in told.values() if each["type"] == Crossing.STREAM]
    assert streams
    assert not any("response_type" in each for each in streams)


def test_the_hub_alone_stores() -> None:
    for account in Account:
        limits = claims_of(account, Subjects())["limits"]
        assert ("disk_storage" in limits) == (account is Account.HUB)


def test_each_signer_is_bound_to_its_role() -> None:
    told = claims_of(Account.NODES, Subjects())["signing_keys"]
    assert [(each["key"], each["role"], each["kind"]) for each in told] == [
        ("A-node-1", "node", "user_scope"),
        ("A-node-2", "node", "user_scope"),
    ]
    assert told[0]["template"]["pub"]["allow"] == list(
        claims.template(Role.NODE, Subjects()).publish
    )
    assert "LEAFNODE" not in told[0]["template"]["allowed_connection_types"]


def test_a_user_brings_no_rights_of_its_own() -> None:
    """The server refuses one that does, under a signing key with a template."""
    assert claims.user("A-NODES") == {"type": "user", "issuer_account": "A-NODES"}


def test_a_jwt_says_what_was_signed() -> None:
    issuer, subject = Key.make(Kind.ACCOUNT), Key.make(Kind.USER)
    nats = claims.user("A-NODES")
    token = jwts.sign(issuer, subject.public, "n1", nats, issued=1000, expires=2000)
    told = jwts.read(token)
    assert (told.iss, told.sub, told.name) == (issuer.public, subject.public, "n1")
    assert (told.iat, told.exp, told.nats) == (1000, 2000, {"version": 2, **nats})


def test_the_same_claims_are_the_same_text() -> None:
    """A server that is told them again changes nothing."""
    issuer = Key.make(Kind.OPERATOR)
    first, again = (jwts.sign(issuer, "A", "x", {"type": "account"}, issued=1) for _ in range(2))
    assert first == again
    later = jwts.sign(issuer, "A", "x", {"type": "account"}, issued=2)
    assert jwts.read(first).jti != jwts.read(later).jti


@pytest.mark.parametrize("text", ["", "a.b", "a.b.c", "a.e30.c", "....", "\x00", "a.!!!.c"])
def test_what_is_no_jwt(text: str) -> None:
    with pytest.raises(BadToken):
        jwts.read(text)


def test_a_credentials_file_holds_jwt_and_seed() -> None:
    user = Key.make(Kind.USER)
    lines = jwts.creds("the.jwt.itself", user).splitlines()
    assert "the.jwt.itself" in lines
    assert user.seed in lines
