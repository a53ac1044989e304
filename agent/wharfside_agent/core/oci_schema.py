"""A caller's config.json: what we read or change of it is checked here, the rest by the runtime.

Source: runtime-spec config.md and config-linux.md.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import chain
from typing import Annotated, Any

import msgspec

from wharfside_protocol.errors import Invalid, Unsupported

MAX_CONFIG_BYTES = 1_048_576
"""Far above any real one; keeps a broken bundle from filling the agent's memory."""

MAX_DEPTH = 32
"""Levels of lists and objects; real configs have nine. Encoders after us recurse."""

FOREIGN_PLATFORMS = ("windows", "solaris", "vm", "zos", "freebsd")

_Version = Annotated[str, msgspec.Meta(pattern=r"^1\.\d+\.\d+([-+][0-9A-Za-z.+-]+)?$(?!\n)")]
_Text = Annotated[str, msgspec.Meta(pattern=r"^[^\x00]*$(?!\n)")]
_Path = Annotated[str, msgspec.Meta(pattern=r"^[^\x00]+$(?!\n)", max_length=4096)]
_AbsolutePath = Annotated[str, msgspec.Meta(pattern=r"^/[^\x00]*$(?!\n)", max_length=4096)]
_Id = Annotated[int, msgspec.Meta(ge=0, le=4_294_967_295)]


class _Root(msgspec.Struct):
    path: _Path
    readonly: bool = False


class _User(msgspec.Struct):
    uid: _Id = 0
    gid: _Id = 0
    additionalGids: list[_Id] = []  # noqa: N815 - the specification's spelling


class _Rlimit(msgspec.Struct):
    type: str


class _Process(msgspec.Struct):
    cwd: _AbsolutePath
    args: Annotated[list[_Text], msgspec.Meta(min_length=1)]
    env: list[_Text] | None = None
    user: _User | None = None
    terminal: bool = False
    capabilities: dict[str, list[str] | None] | None = None
    rlimits: list[_Rlimit] | None = None
    noNewPrivileges: bool = False  # noqa: N815
    apparmorProfile: str = ""  # noqa: N815
    selinuxLabel: str = ""  # noqa: N815
    oomScoreAdj: int | None = None  # noqa: N815


class _Mount(msgspec.Struct):
    destination: _Path
    type: str = ""
    source: _Text = ""
    options: list[str] | None = None


class _Namespace(msgspec.Struct):
    type: str
    path: _Text = ""


class _Device(msgspec.Struct):
    """Of `linux.devices`, and a rule of `linux.resources.devices`."""

    type: str | None = None
    major: int | None = None
    minor: int | None = None
    allow: bool | None = None
    access: str | None = None


class _Syscall(msgspec.Struct):
    action: str


class _Seccomp(msgspec.Struct):
    defaultAction: str  # noqa: N815
    syscalls: list[_Syscall] | None = None
    listenerPath: str = ""  # noqa: N815


class _Resources(msgspec.Struct):
    memory: dict[str, Any] | None = None
    cpu: dict[str, Any] | None = None
    pids: dict[str, Any] | None = None
    unified: dict[str, str] | None = None
    devices: list[_Device] | None = None


class _Linux(msgspec.Struct):
    namespaces: list[_Namespace] | None = None
    resources: _Resources | None = None
    devices: list[_Device] | None = None
    seccomp: _Seccomp | None = None
    sysctl: dict[str, str] | None = None
    uidMappings: list[dict[str, Any]] | None = None  # noqa: N815
    maskedPaths: list[_Text] | None = None  # noqa: N815
    readonlyPaths: list[_Text] | None = None  # noqa: N815
    rootfsPropagation: str = ""  # noqa: N815
    mountLabel: str = ""  # noqa: N815


class _Config(msgspec.Struct):
    ociVersion: _Version  # noqa: N815 - the specification's spelling
    root: _Root
    linux: _Linux
    process: _Process | None = None
    mounts: list[_Mount] | None = None
    hostname: str = ""
    annotations: dict[str, str] | None = None
    hooks: dict[str, list[dict[str, Any]] | None] | None = None


_FREE = ("annotations", "sysctl", "unified")
"""Maps whose keys are the caller's."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NAMES = _words(
    "ociVersion root mounts process hostname domainname hooks annotations linux readonly path "
    "terminal consoleSize user uid gid umask additionalGids env args cwd capabilities bounding "
    "effective inheritable permitted ambient rlimits noNewPrivileges apparmorProfile "
    "selinuxLabel oomScoreAdj ioPriority scheduler destination type source options uidMappings "
    "gidMappings hostID namespaces devices cgroupsPath rootfsPropagation seccomp maskedPaths "
    "readonlyPaths sysctl resources mountLabel personality timeOffsets major minor allow access "
    "defaultAction action syscalls listenerPath names memory cpu pids unified limit swap quota "
    "period shares prestart createRuntime createContainer startContainer poststart poststop"
)
_FOLDED = {name.casefold(): name for name in _NAMES}
"""What the rules of the node read, so that nothing else is read by the runtime."""


@lru_cache(maxsize=4)
def parse_config(data: bytes) -> dict[str, Any]:
    """The config.json of a bundle, with all its fields, once it is known to be usable.

    Each create reads it twice, to check and to make: what the same bytes gave is kept, and
    must not be changed.

    Raises:
        Invalid: too large, too deep, not JSON, or a field of the wrong type; the message and
            `details.at` name the place.
        Unsupported: it is for another platform, or asks for a terminal.
    """
    config = _parsed(data)
    if (config.get("process") or {}).get("terminal"):
        raise Unsupported(
            "config.json asks for a terminal: those come with attach; set process.terminal false",
            field="process.terminal",
        )
    return config


def parse_carried(data: bytes) -> dict[str, Any]:
    """The config in a checkpoint: as one of a bundle, but that its process may have a terminal.

    Raises:
        Invalid, Unsupported: as `parse_config`.
    """
    return _parsed(data)


def _parsed(data: bytes) -> dict[str, Any]:
    if len(data) > MAX_CONFIG_BYTES:
        raise Invalid("config.json is larger than 1 MiB", at="$", limit=MAX_CONFIG_BYTES)
    try:
        config = msgspec.json.decode(data, type=dict[str, Any])
        _check_depth(config)
        _check_platform(config)
        _check_types(config)
        _check_spelling(config)
    except RecursionError as error:
        raise _too_deep() from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"config.json is not usable: {error}", at=_place(error)) from error
    return config


def _check_depth(config: dict[str, Any]) -> None:
    level: list[Any] = [config]
    for _ in range(MAX_DEPTH):
        inner = [each.values() if isinstance(each, dict) else each for each in level]
        level = [each for each in chain.from_iterable(inner) if isinstance(each, dict | list)]
        if not level:
            return
    raise _too_deep()


def _too_deep() -> Invalid:
    return Invalid("config.json is nested too deeply", at="$", limit=MAX_DEPTH)


def _check_platform(config: dict[str, Any]) -> None:
    if "linux" in config:
        return
    foreign = [name for name in FOREIGN_PLATFORMS if name in config]
    what = f"is for {foreign[0]}" if foreign else "has no linux section"
    raise Unsupported(f"config.json {what}: this node runs linux containers", field="linux")


def _check_types(config: dict[str, Any]) -> None:
    msgspec.convert(config, _Config)


def _check_spelling(config: dict[str, Any]) -> None:
    """runc takes `Hooks` for `hooks` (Go's encoding/json), the last of both winning; we do not."""
    level: list[tuple[str, Any]] = [("$", config)]
    while level:
        place, found = level.pop()
        if isinstance(found, list):
            level += [(f"{place}[{n}]", each) for n, each in enumerate(found)]
        elif isinstance(found, dict):
            for name, value in found.items():
                if name not in _NAMES and name.casefold() in _FOLDED:
                    said = f"config.json: {place}.{name} is spelled {_FOLDED[name.casefold()]!r}"
                    raise Invalid(said, at=f"{place}.{name}")
                if name not in _FREE:
                    level.append((f"{place}.{name}", value))


def _place(error: Exception) -> str:
    """msgspec tells the place as ``... - at `$.process.args[0]```."""
    _, found, place = str(error).rpartition(" - at `")
    return place.rstrip("`") if found else "$"
