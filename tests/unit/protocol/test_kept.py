"""What a program of version 1 was promised holds, and what would break it is found."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

VECTORS = Path(__file__).parents[3] / "protocol" / "vectors"

Change = Callable[[dict[str, Any]], Any]


def _script() -> ModuleType:
    """kept.py lies beside the files that it reads, in no package."""
    spec = spec_from_file_location("kept", VECTORS / "kept.py")
    assert spec and spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


kept = _script()


def written() -> dict[str, Any]:
    families = kept.read()["vectors"]
    return {family: json.loads((VECTORS / f"{family}.json").read_text()) for family in families}


def test_nothing_that_was_promised_has_gone_or_grown_narrower() -> None:
    now = kept.today(written())
    assert kept.breaches(kept.read(), now) == []


def fields(now: dict[str, Any], record: str) -> Any:
    return now["records"][record]["properties"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda now: now["ops"].pop("wait"), "ops.wait is gone"),
        (lambda now: now["ops"]["wait"]["properties"].pop("args"), "ops.wait.args is gone"),
        (lambda now: now["events"].pop("oom"), "events.oom is gone"),
        (lambda now: fields(now, "Event").pop("cause"), "Event.cause is gone"),
        (lambda now: fields(now, "WaitArgs")["timeout_s"].update(maximum=9), "WaitArgs.timeout_s"),
        (lambda now: fields(now, "Limits")["pids"]["anyOf"][0].update(minimum=2), "Limits.pids"),
        (lambda now: fields(now, "StopArgs")["container"].update(pattern="a"), "pattern was"),
        (lambda now: fields(now, "Io")["stdin_once"].update(default=False), "default was True"),
        (lambda now: fields(now, "Event")["seq"].update(type="string"), "Event.seq: type was"),
        (lambda now: fields(now, "CreateArgs")["mounts"].update(maxItems=1), "CreateArgs.mounts"),
        (lambda now: now["records"]["WaitArgs"]["required"].append("run"), "WaitArgs: required"),
        (lambda now: now["records"]["Event"]["required"].remove("seq"), "Event: required was"),
        (lambda now: now["records"]["ErrorCode"]["enum"].remove("busy"), "ErrorCode: enum was"),
        (lambda now: now["vectors"]["frames"].popitem(), "frames.json: "),
    ],
)
def test_what_would_break_a_program_is_found(change: Change, told: str) -> None:
    now = deepcopy(kept.read())
    change(now)
    (found,) = kept.breaches(kept.read(), now)
    assert told in found


def test_what_comes_breaks_nobody_and_is_kept_from_then_on() -> None:
    now = deepcopy(kept.read())
    fields(now, "WaitArgs")["title"] = {"type": "string", "default": ""}
    now["records"]["ErrorCode"]["enum"].append("tired")
    now["records"]["Nap"] = now["records"].pop("NoFacts")
    now["events"] = {
        kind: {"$ref": each["$ref"].replace("NoFacts", "Nap")}
        for kind, each in now["events"].items()
    }
    fields(now, "Limits")["pids"]["anyOf"][0].update(maximum=2**53 - 1)
    assert kept.breaches(kept.read(), now) == [], "nor does a record's name, which does not travel"
    found = kept.breaches(now, kept.today(written()))
    told = {each.partition(":")[0] for each in found}
    assert told == {"ErrorCode", "Limits.pids", "WaitArgs.title is gone"}
