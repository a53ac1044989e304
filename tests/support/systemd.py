"""A real systemd as process 1 of namespaces of its own, on a machine that has booted without one.

It has the machine's programs, cgroup v2 alone (with as many controllers as the machine leaves to
it), the host's network, and no units but a few empty targets: what a test writes to
/etc/systemd/system, /opt, /usr/local or /var/lib in there is gone with it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path
from types import TracebackType

from tests.support.eventually import wait_until

SYSTEMD = Path("/lib/systemd/systemd")
BOOT_S = 60.0
COMMAND_S = 300.0
END_S = 30.0

_INSIDE = Path(__file__).with_name("systemd-inside")
_NAMESPACES = ("--mount", "--pid", "--cgroup", "--uts", "--ipc")


class Systemd:
    """`folder` takes what is written in there; `cgroup` is a path of the test's own (v2)."""

    def __init__(self, folder: Path, cgroup: str) -> None:
        self.folder = folder
        self._cgroup = _unified() / cgroup.lstrip("/")
        self._outer: subprocess.Popen[bytes] | None = None
        self._pid = 0

    def place(self, path: str) -> Path:
        """Where `path` of in there lies out here; to be written before the start."""
        return self.folder / "layers" / path.lstrip("/")

    def run(self, *command: str, check: bool = True) -> str:
        """What `command` prints in there; AssertionError with its words if it fails."""
        enter = ["nsenter", "--target", str(self._pid), *_NAMESPACES, "--"]
        done = subprocess.run(
            [*enter, *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{command} ended with {done.returncode}: {done.stderr}")
        return done.stdout

    def show(self, unit: str, what: str) -> str:
        """One property of a unit, as `systemctl show` has it."""
        return self.run("systemctl", "show", "--value", "--property", what, unit).strip()

    def start(self) -> None:
        """Returns when it has reached its target; within 60 s."""
        self._cgroup.mkdir(parents=True)
        _hand_down_controllers(self._cgroup.parent)
        # Its cgroup is joined before the namespace of cgroups is made: that one's root is it.
        unshare = ("unshare", *_NAMESPACES, "--fork", "--kill-child", "--mount-proc")
        with (self.folder / "console").open("wb") as console:
            outer = subprocess.Popen(
                ["sh", "-c", 'read -r go && exec "$@"', "sh", *unshare, _INSIDE, self.folder],
                stdin=subprocess.PIPE,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        self._outer = outer
        (self._cgroup / "cgroup.procs").write_text(str(outer.pid))
        assert outer.stdin is not None
        outer.stdin.write(b"go\n")
        outer.stdin.close()
        children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
        wait_until(lambda: children.read_text() != "", "a process 1", within_s=BOOT_S)
        self._pid = int(children.read_text())
        # No process may stay in what is an inner node for systemd (cgroups(7)).
        (_unified() / "cgroup.procs").write_text(str(outer.pid))
        wait_until(self._is_up, f"systemd is up: {self._console()}", within_s=BOOT_S)

    def stop(self) -> None:
        """Everything in there dies with its process 1."""
        if self._outer is None:
            return
        if self._pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
        self._outer.wait(END_S)
        self._outer = None
        wait_until(self._cgroups_removed, "its cgroups are gone", within_s=END_S)

    def __enter__(self) -> Systemd:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _is_up(self) -> bool:
        assert self._outer is not None
        assert self._outer.poll() is None, f"it ended at once: {self._console()}"
        state = self.run("systemctl", "is-active", "multi-user.target", check=False)
        return state.strip() == "active"

    def _console(self) -> str:
        return (self.folder / "console").read_text(errors="replace")

    def _cgroups_removed(self) -> bool:
        folders = sorted(self._cgroup.rglob("*/"), reverse=True) if self._cgroup.exists() else []
        for folder in [*folders, self._cgroup]:
            with contextlib.suppress(OSError):
                folder.rmdir()
        return not self._cgroup.exists()


def _unified() -> Path:
    """The tree of cgroup v2: alone, or beside version 1 (cgroups(7), hybrid)."""
    alone = Path("/sys/fs/cgroup")
    return alone if (alone / "cgroup.controllers").exists() else alone / "unified"


def _hand_down_controllers(folder: Path) -> None:
    """All that there are, from the top to the children of `folder`; one that cannot be is left."""
    top = _unified()
    for level in (*(each for each in reversed(folder.parents) if each.is_relative_to(top)), folder):
        for controller in (level / "cgroup.controllers").read_text().split():
            with contextlib.suppress(OSError):
                (level / "cgroup.subtree_control").write_text(f"+{controller}")
