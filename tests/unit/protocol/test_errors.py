"""Errors: a closed set, one class a code, the same on both sides of the wire."""

from __future__ import annotations

import pytest

from wharfside_protocol.codec import MAX_MESSAGE_BYTES, convert, decode, encode
from wharfside_protocol.envelope import Result
from wharfside_protocol.errors import (
    ERRORS,
    MAX_TEXT,
    ErrorBody,
    ErrorCode,
    Invalid,
    RuntimeFailed,
    WharfsideError,
    WrongState,
    from_body,
)

CODES = (
    "not-found already-exists wrong-state stale conflict deadline-exceeded invalid denied busy "
    "draining unsupported runtime-failed canceled internal"
)


def test_the_codes_of_the_design_and_no_others() -> None:
    assert {str(code) for code in ErrorCode} == set(CODES.split())


def test_every_code_has_one_class() -> None:
    assert set(ERRORS) == set(ErrorCode)
    assert len(set(ERRORS.values())) == len(ErrorCode)
    for code, kind in ERRORS.items():
        assert kind.code is code
        assert kind.__doc__


@pytest.mark.parametrize("code", ErrorCode)
def test_an_error_survives_the_wire(code: ErrorCode) -> None:
    raised = ERRORS[code]("what to do", stage="running", state="paused", tries=3, list=["a"])
    body = raised.to_body()
    assert body.code is code
    result = Result(id="12345678", op="stop", node="n1", ok=False, error=body)
    received = decode(encode(result), Result)
    assert received == result
    assert received.error is not None
    again = from_body(received.error)
    assert type(again) is type(raised)
    assert (again.message, again.stage, again.details) == (
        "what to do",
        "running",
        {"state": "paused", "tries": 3, "list": ["a"]},
    )
    assert str(again) == "what to do"


@pytest.mark.parametrize("code", ErrorCode)
def test_a_bare_error_survives_too(code: ErrorCode) -> None:
    again = from_body(ErrorBody(code=code, message=""))
    assert type(again) is ERRORS[code]
    assert (again.message, again.stage, again.details) == ("", None, {})


def test_details_of_any_name_survive() -> None:
    details = {"message": "m", "stage": "s", "self": 1, "code": "c", "not an identifier": None}
    body = ErrorBody(code=ErrorCode.STALE, message="x", details=details)
    assert from_body(body).details == details


def test_the_exception_does_not_share_the_body_it_came_from() -> None:
    body = ErrorBody(code=ErrorCode.STALE, message="x", details={"run": 1})
    from_body(body).details["run"] = 2
    assert body.details == {"run": 1}


@pytest.mark.parametrize("code", ["", "unheard-of", "INVALID", "invalid\n", 7, None])
def test_a_code_outside_the_set_is_refused(code: object) -> None:
    with pytest.raises(Invalid, match="code"):
        convert({"code": code, "message": "m"}, ErrorBody)


def test_each_can_be_caught_as_one_family_and_by_its_own_name() -> None:
    with pytest.raises(WharfsideError):
        raise WrongState("stop it first", state="running")
    assert not issubclass(WrongState, Invalid)


@pytest.mark.parametrize("length", [0, MAX_TEXT, MAX_TEXT + 1, 10 * MAX_MESSAGE_BYTES])
def test_words_of_any_length_fit_into_an_answer(length: int) -> None:
    error = RuntimeFailed("€" * length)
    assert len(error.message) == min(length, MAX_TEXT)
    assert error.message.endswith("…") == (length > MAX_TEXT)
    assert str(error) == error.message
    assert decode(encode(error.to_body()), ErrorBody).message == error.message
