"""What lets the node in, as files: when each ends, and whether one has changed."""

from __future__ import annotations

import base64
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.jwts import ISSUED, Trust

from wharfside_agent.bus.credential_files import OptionFiles
from wharfside_agent.bus.options import BusOptions
from wharfside_client.auth.certificates import Authority, bundle
from wharfside_protocol.times import NANOSECONDS

BARE = BusOptions(("nats://127.0.0.1:4222",), "test", "_INBOX_n1")
DAY_S = 86_400
SLACK_S = 60


def files(**named: Path) -> OptionFiles:
    return OptionFiles(lambda: replace(BARE, **named))


def test_a_jwt_ends_when_it_says(tmp_path: Path) -> None:
    creds = tmp_path / "node.creds"
    creds.write_text(Trust().creds(expires=2_000_000_000))
    (found,) = files(creds=creds).expiries()
    assert (found.what, found.path) == ("jwt", str(creds))
    assert found.begins_at == ISSUED * NANOSECONDS
    assert found.ends_at == 2_000_000_000 * NANOSECONDS


def test_one_without_an_end_has_none(tmp_path: Path) -> None:
    creds = tmp_path / "node.creds"
    creds.write_text(Trust().creds())
    assert files(creds=creds).expiries() == []


def test_certificates(tmp_path: Path) -> None:
    """Of several CAs the one that ends first: it may be what the server's is issued by."""
    old, new = Authority.make("old", 10), Authority.make("new", 100)
    pair = new.issue("n1", [], 30)
    ca, certificate, key = (tmp_path / name for name in ("ca.pem", "n1.pem", "n1.key"))
    ca.write_bytes(bundle([new.certificate, old.certificate]))
    certificate.write_bytes(pair.certificate)
    key.write_bytes(pair.key)
    found = files(ca=ca, certificate=certificate, key=key).expiries()
    days = {each.what: each.left_s(time.time_ns()) for each in found}
    assert days == {
        "certificate": pytest.approx(30 * DAY_S, abs=SLACK_S),
        "ca": pytest.approx(10 * DAY_S, abs=SLACK_S),
    }


@pytest.mark.parametrize("content", [b"", b"no PEM", b"\xff", b"-----BEGIN CERTIFICATE-----\nAA"])
def test_what_is_broken_has_no_end(tmp_path: Path, content: bytes) -> None:
    """It is told when it is used: here nothing may end the agent."""
    broken = tmp_path / "broken"
    broken.write_bytes(content)
    assert files(creds=broken, ca=broken, certificate=broken).expiries() == []
    assert files(creds=tmp_path / "none", ca=tmp_path / "none").expiries() == []


@pytest.mark.parametrize(
    "claims", [b"[]", b"5", b'{"exp": "soon"}', b'{"exp": 1e30}', b'{"exp": -1}', b"{", b"\xff"]
)
def test_a_jwt_that_says_nonsense_has_no_end(tmp_path: Path, claims: bytes) -> None:
    creds = tmp_path / "node.creds"
    body = base64.urlsafe_b64encode(claims).rstrip(b"=").decode()
    creds.write_text(
        f"-----BEGIN NATS USER JWT-----\nhead.{body}.sign\n------END NATS USER JWT------\n"
    )
    assert files(creds=creds).expiries() == []


def test_a_digest_changes_with_any_of_them(tmp_path: Path) -> None:
    creds, ca = tmp_path / "node.creds", tmp_path / "ca.pem"
    watched = files(creds=creds, ca=ca)
    seen = [watched.digest()]
    for file, content in ((creds, "a"), (ca, "a"), (creds, "b"), (ca, "")):
        file.write_text(content)
        assert watched.digest() not in seen
        assert watched.digest() == watched.digest()
        seen.append(watched.digest())
    ca.unlink()
    assert watched.digest() not in seen
