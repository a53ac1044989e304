"""What a checkpoint image brings with it, read from its folder and judged by the node's rules."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec

from wharfside_agent.core.images import CRIU, SPEC_DUMP
from wharfside_agent.core.oci_schema import MAX_CONFIG_BYTES, parse_carried
from wharfside_agent.core.policy.asked import asked_of
from wharfside_agent.core.policy.images import MAX_CORE_BYTES, task_in
from wharfside_agent.core.policy.rules import AtMost, RuleSet
from wharfside_agent.core.policy.verdicts import Denial, judge, judge_process
from wharfside_protocol.errors import Invalid
from wharfside_protocol.specs import ContainerSpec


def check_image(folder: Path, spec: ContainerSpec, runtime: str, found: RuleSet) -> None:
    """Reads some kilobytes a process.

    Raises:
        Denied: its config, or a process of it, has more than the rules allow.
        Invalid: they cannot be read.
    """
    rules = found.rules
    config = parse_carried(_read(folder / SPEC_DUMP, MAX_CONFIG_BYTES))
    # what it was limited to is not what it will be: that is the spec's
    of_rights = msgspec.structs.replace(rules, limits_at_most=AtMost(), limits_required=())
    if (denial := judge(asked_of(spec, runtime, config), of_rights)) is not None:
        raise _carried(denial, "config").error(found)
    for core in sorted((folder / CRIU).glob("core-*.img")):
        process, filtered = task_in(_read(core, MAX_CORE_BYTES))
        denial = judge_process(process, rules)
        if denial is None and not filtered and rules.opened().seccomp != "free":
            denial = Denial("seccomp", "a process without a seccomp filter", rules.seccomp)
        if denial is not None:
            raise _carried(denial, core.name).error(found)


def _carried(denial: Denial, where: str) -> Denial:
    return replace(denial, says=f"the checkpoint's {where} asks for {denial.says}")


def _read(path: Path, most: int) -> bytes:
    if path.stat().st_size > most:
        raise Invalid(f"the image is broken: {path.name} is larger than {most} bytes")
    return path.read_bytes()
