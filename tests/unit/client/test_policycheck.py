"""The words of `policy-check` as the arguments that they spell."""

from __future__ import annotations

from typing import Any

import pytest
import typer

from wharfside_client.cli.policycheck import arguments


@pytest.mark.parametrize(
    ("words", "spelled"),
    [
        ([], {}),
        (["container=web"], {"container": "web"}),
        (["limits.pids=5", "limits.cpu_percent=50"], {"limits": {"pids": 5, "cpu_percent": 50}}),
        (['process.args=["sh", "-c"]'], {"process": {"args": ["sh", "-c"]}}),
        (["process.args=[sh"], {"process": {"args": "[sh"}}),
        (["labels.a=b=c"], {"labels": {"a": "b=c"}}),
        (['{"container": "web", "force": true}'], {"container": "web", "force": True}),
    ],
)
def test_words_spell_arguments(words: list[str], spelled: dict[str, Any]) -> None:
    assert arguments(words) == spelled


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["web"], "FIELD=VALUE"),
        (["=web"], "FIELD=VALUE"),
        (["a..b=1"], "FIELD=VALUE"),
        (["{x"], "not JSON"),
        (["limits=1", "limits.pids=2"], "given twice"),
    ],
)
def test_words_that_spell_nothing_are_told(words: list[str], told: str) -> None:
    with pytest.raises(typer.BadParameter, match=told):
        arguments(words)
