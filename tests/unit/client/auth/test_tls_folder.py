"""A fleet's own certificates: who they are for, who vouches for them, and how that changes."""

from __future__ import annotations

import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from wharfside_client.auth.certificates import bundled, expiry
from wharfside_client.auth.errors import BadAuthority
from wharfside_client.auth.tls import Issued, TlsFolder


@pytest.fixture
def folder(tmp_path: Path) -> TlsFolder:
    folder = TlsFolder(tmp_path / "tls")
    assert folder.make_authority()
    return folder


def one(issued: Issued) -> x509.Certificate:
    return bundled(issued.certificate.read_bytes())[0]


def usages(certificate: x509.Certificate) -> set[x509.ObjectIdentifier]:
    return set(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)


def test_a_server_is_known_by_its_hosts(folder: TlsFolder) -> None:
    server = one(folder.issue("nats-1", ["nats-1.example.org", "10.0.0.7", "::1"]))
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["nats-1.example.org"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["10.0.0.7", "::1"]
    assert usages(server) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}


def test_a_client_cannot_play_a_server(folder: TlsFolder) -> None:
    assert usages(one(folder.issue("n1"))) == {ExtendedKeyUsageOID.CLIENT_AUTH}


def test_private_keys_are_private(folder: TlsFolder) -> None:
    issued = folder.issue("nats", ["localhost"])
    for key in (issued.key, folder.ca.with_suffix(".key")):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        assert b"PRIVATE KEY" in key.read_bytes()
    assert b"PRIVATE" not in folder.ca.read_bytes() + issued.certificate.read_bytes()


def test_what_it_issues_openssl_takes(folder: TlsFolder) -> None:
    issued = folder.issue("nats", ["localhost"])
    ssl.create_default_context(cafile=folder.ca).load_cert_chain(issued.certificate, issued.key)
    one(issued).verify_directly_issued_by(bundled(folder.ca.read_bytes())[0])


def test_days_are_kept(folder: TlsFolder) -> None:
    issued = folder.issue("nats", ["localhost"], days=3)
    left = expiry(issued.certificate.read_bytes()) - datetime.now(UTC)
    assert timedelta(days=2, hours=23) < left <= timedelta(days=3)


def test_an_authority_that_is_there_stays(folder: TlsFolder) -> None:
    before = folder.ca.read_bytes()
    assert not folder.make_authority()
    assert folder.ca.read_bytes() == before


def test_two_authorities_are_trusted_for_a_while(folder: TlsFolder) -> None:
    old = one(folder.issue("nats", ["localhost"]))
    folder.rotate_authority()
    new = one(folder.issue("nats", ["localhost"]))
    first, second = bundled(folder.ca.read_bytes())
    new.verify_directly_issued_by(first)
    old.verify_directly_issued_by(second)
    with pytest.raises(BadAuthority, match="two authorities"):
        folder.rotate_authority()
    assert folder.drop_old_authority()
    assert bundled(folder.ca.read_bytes()) == [first]
    assert not folder.drop_old_authority()


def test_without_an_authority_it_says_what_makes_one(tmp_path: Path) -> None:
    folder = TlsFolder(tmp_path)
    for attempt in (
        lambda: folder.issue("nats", ["localhost"]),
        folder.rotate_authority,
        folder.drop_old_authority,
    ):
        with pytest.raises(BadAuthority, match="wharfside auth tls"):
            attempt()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["ca.pem", "ca.key"])
def test_a_broken_authority_issues_nothing(folder: TlsFolder, name: str, tmp_path: Path) -> None:
    other = TlsFolder(tmp_path / "other")
    other.make_authority()
    path, foreign = folder.ca.with_name(name), other.ca.with_name(name)
    for text in (foreign.read_bytes(), path.read_bytes()[:100], b""):
        path.write_bytes(text)
        with pytest.raises(BadAuthority):
            folder.issue("nats", ["localhost"])
    assert not folder.ca.with_name("nats.pem").exists()
