"""When a key that is made now ends."""

from __future__ import annotations

import pytest

from wharfside_client.cli.auth.place import end_of
from wharfside_client.errors import BadSettings


def test_it_is_counted_from_now() -> None:
    assert (end_of(1000, None), end_of(1000, 60.0)) == (None, 1060)


def test_one_that_would_have_ended_when_it_is_made_is_refused() -> None:
    for expires in (0.0, 0.5):
        with pytest.raises(BadSettings, match="at least a second"):
            end_of(1000, expires)
