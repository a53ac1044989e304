"""Whether a container of one node can go on on another; pure."""

from __future__ import annotations

import re

from wharfside_protocol.migration import NodeFacts
from wharfside_protocol.specs import ContainerSpec


def unfit(source: NodeFacts, target: NodeFacts, spec: ContainerSpec, runtime: str) -> list[str]:
    """What is in the way, for a person; nothing: it may be tried."""
    checks = (
        _criu(source, target),
        _image(source, target),
        _runtime(target, runtime),
        _machine(source, target),
        _files(source, target, spec),
    )
    return [why for why in checks if why is not None]


def _criu(source: NodeFacts, target: NodeFacts) -> str | None:
    for facts in (source, target):
        if facts.criu is None or not facts.criu.usable:
            says = "it has none" if facts.criu is None else facts.criu.says
            return f"{facts.node} has no usable CRIU: {says}"
    assert source.criu is not None and target.criu is not None
    ours, theirs = source.criu.version or "", target.criu.version or ""
    if _numbers(theirs) < _numbers(ours):
        return f"{target.node} has CRIU {theirs}, which is older than {source.node}'s {ours}"
    return None


def _image(source: NodeFacts, target: NodeFacts) -> str | None:
    if source.image_format != target.image_format:
        return (
            f"{source.node} writes checkpoints of format {source.image_format}, {target.node} "
            f"reads format {target.image_format}: bring both agents to one version"
        )
    return None


def _runtime(target: NodeFacts, runtime: str) -> str | None:
    if runtime not in target.runtimes:
        return f"{target.node} has no {runtime}"
    return None


def _machine(source: NodeFacts, target: NodeFacts) -> str | None:
    if source.architecture != target.architecture:
        return f"{target.node} is {target.architecture}, {source.node} is {source.architecture}"
    missing = sorted(set(source.cpu_features) - set(target.cpu_features))
    if missing:
        some = ", ".join(missing[:5]) + (", …" if len(missing) > 5 else "")
        return f"{target.node}'s CPU lacks what {source.node}'s has: {some}"
    return None


def _files(source: NodeFacts, target: NodeFacts, spec: ContainerSpec) -> str | None:
    if source.lower is not None and target.lower is not None and source.lower != target.lower:
        path = spec.source.rootfs or spec.source.bundle
        return f"{path} on {target.node} is another one than on {source.node}"
    return None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])
