"""What OpenSSL, nats-server and our own clients say, and whom it is about."""

from __future__ import annotations

import pytest

from wharfside_protocol.refusals import NO_TLS, Part, refusal

SAID = [
    ("nats: 'Authorization Violation'", Part.US, "replaced or revoked"),
    ("Error(\"nats: 'user authentication expired'\")", Part.US, "wharfside auth rotate"),
    ("nats: 'user authentication revoked'", Part.US, "not let in any more"),
    (f"Error('{NO_TLS}') None", Part.SERVER, "give it a certificate"),
    (
        "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get local issuer "
        "certificate (_ssl.c:1006)",
        Part.SERVER,
        "nats.ca",
    ),
    ("certificate verify failed: certificate has expired", Part.SERVER, "made anew"),
    ("certificate verify failed: certificate is not yet valid", Part.SERVER, "clock"),
    (
        "certificate verify failed: IP address mismatch, certificate is not valid for '10.0.0.1'.",
        Part.SERVER,
        "use a name",
    ),
    ("[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] (_ssl.c:2580)", Part.US, "--tlscert"),
    ("[SSL: TLSV1_ALERT_UNKNOWN_CA] tlsv1 alert unknown ca", Part.US, "by the authority"),
    ("sslv3 alert certificate expired", Part.US, "our certificate"),
]


@pytest.mark.parametrize(("words", "refused", "advice"), SAID)
def test_words_and_what_to_do(words: str, refused: Part, advice: str) -> None:
    found = refusal(words)
    assert found is not None
    assert found.refused is refused
    assert advice in found.advice


@pytest.mark.parametrize(
    "words",
    [
        "[Errno 111] Connect call failed ('127.0.0.1', 4222)",
        "nats: timeout",
        "nats: unexpected EOF",
        "nats: 'maximum subscriptions exceeded'",
        "",
    ],
)
def test_a_server_that_is_away_refuses_nobody(words: str) -> None:
    assert refusal(words) is None
