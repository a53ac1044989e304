"""What CRIU is told beside runc's flags: where it is, and a file of options in a HOME of our own.

runc hands on to CRIU what it has a flag for. The file that it names itself, /etc/criu/runc.conf, is
read after this one and overrules it (criu(8), CONFIGURATION FILES).
"""

from __future__ import annotations

import os
from pathlib import Path

from wharfside_agent.runtime import spawn
from wharfside_protocol.views import CriuInfo

_SKIP = "network-lock skip\n"
_SKIP_SINCE = 4
"""CRIU's major version; one that does not know the word would refuse every dump."""


def environment(criu: CriuInfo) -> dict[str, str]:
    """runc looks for `criu` on its path, and newer ones nowhere else."""
    folders = [str(Path(criu.path).parent)] if criu.path else []
    return {"PATH": os.pathsep.join([*folders, spawn.clean_environment()["PATH"]])}


def dump_environment(criu: CriuInfo, home: Path, *, tcp: bool) -> dict[str, str]:
    """For a dump with or without established connections; `home` is a folder for CRIU alone.

    The network is locked so that no packet meets the closed socket of a connection. Without `tcp`
    CRIU refuses to dump one, and the lock is for nothing: four runs of iptables-restore in a dump,
    and two more in each restore, which does as the image says.
    """
    if tcp or not _knows_skip(criu):
        return environment(criu)
    file = home / ".criu" / "default.conf"
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file.write_text(_SKIP)
    return environment(criu) | {"HOME": str(home)}


def _knows_skip(criu: CriuInfo) -> bool:
    major = (criu.version or "").split(".")[0]
    return major.isdecimal() and int(major) >= _SKIP_SINCE
