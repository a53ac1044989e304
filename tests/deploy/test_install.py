"""`deploy/install` below a folder of its own: what it lays, what it keeps, how it goes back."""

from __future__ import annotations

import os
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.deploy.units import AGENT, DEPLOY
from tests.deploy.wheels import as_version, own_wheel, wheelhouse

from wharfside_protocol import __version__

INSTALL_S = 300.0


@dataclass(frozen=True)
class Trial:
    """`root` stands for /."""

    root: Path
    wheels: Path

    def install(self, *arguments: str | Path, ok: bool = True) -> str:
        """What it prints, stderr with it."""
        done = subprocess.run(
            [DEPLOY / "install", "--root", self.root, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=os.environ | {"PIP_NO_COMPILE": "1"},
            umask=0o077,  # as a hardened root's
            text=True,
            timeout=INSTALL_S,
        )
        assert (done.returncode == 0) is ok, done.stdout
        return done.stdout

    def of(self, wheel: Path, *more: str, ok: bool = True) -> str:
        return self.install("--wheels", self.wheels, "--wheel", wheel, *more, ok=ok)

    def version(self) -> str:
        program = self.root / "usr/local/bin/wharfside-agent"
        return subprocess.run([program, "--version"], capture_output=True, text=True).stdout.strip()

    def files(self) -> list[str]:
        """All but the inside of versions, with their modes."""
        found = []
        for path in sorted(self.root.rglob("*")):
            inside = path.relative_to(self.root)
            if len(inside.parts) <= 5 and not path.is_symlink():
                found.append(f"{stat.filemode(path.stat().st_mode)} {inside}")
        return found


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return Trial(tmp_path / "root", wheelhouse())


def test_a_first_installation_and_its_end(trial: Trial, tmp_path: Path) -> None:
    wheel = own_wheel(tmp_path)
    said = trial.of(wheel, "--server", "nats://agent:a&b|c@hub:4222")
    assert "no systemd is running here" in said
    config = trial.root / "etc/wharfside/config.toml"
    assert 'servers = ["nats://agent:a&b|c@hub:4222"]' in config.read_text()
    assert (trial.root / "etc/systemd/system" / AGENT).read_text() == (DEPLOY / AGENT).read_text()
    assert "-rw------- etc/wharfside/config.toml" in trial.files()
    assert {"drwx------ etc/wharfside", "drwx------ var/lib/wharfside"} <= set(trial.files())
    assert {"drwxr-xr-x opt/wharfside", "drwxr-xr-x opt/wharfside/versions"} <= set(trial.files())
    program = trial.root / "opt/wharfside/current/bin/wharfside"
    assert stat.filemode(program.stat().st_mode) == "-rwxr-xr-x"
    assert trial.version() == f"wharfside-agent {__version__}"
    laid = trial.files()

    assert "is the current version already" in trial.of(wheel)
    assert trial.files() == laid

    trial.install("--uninstall")
    assert not (trial.root / "opt/wharfside").exists()
    assert config.exists()
    trial.install("--uninstall", "--purge")
    assert not list(trial.root.rglob("*wharfside*"))


@pytest.mark.soak
def test_upgrades_and_the_way_back(trial: Trial, tmp_path: Path) -> None:
    """Soak: a version takes seconds to make."""
    first = own_wheel(tmp_path)
    trial.of(first)
    config = trial.root / "etc/wharfside/config.toml"
    config.write_text(config.read_text() + "# mine\n")
    trial.of(as_version(first, "9.0.0"), "--upgrade")
    assert trial.version() == "wharfside-agent 9.0.0"
    assert config.read_text().endswith("# mine\n")

    broken = as_version(first, "9.9.9", breaks="wharfside_agent/settings.py")
    assert "does not take" in trial.of(broken, "--upgrade", ok=False)
    assert trial.version() == "wharfside-agent 9.0.0"

    for version in (__version__, "9.0.0"):
        trial.install("--rollback")
        assert trial.version() == f"wharfside-agent {version}"


def test_a_dry_run_changes_nothing(trial: Trial) -> None:
    said = trial.install("--dry-run")
    assert "would run: install -m 0644" in said
    trial.install("--uninstall", "--purge", "--dry-run")
    assert not trial.root.exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--wheel", "no.whl"), "no file no.whl"),
        (("--wheels", "nowhere"), "no folder nowhere"),
        (("--wheel",), "needs a value"),
        (("--upgrade",), "nothing is installed in"),
        (("--rollback",), "no version before this one"),
        (("--wheel", __file__), "is no wheel of wharfside"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_laid(
    trial: Trial, arguments: tuple[str, ...], says: str
) -> None:
    assert says in trial.install(*arguments, ok=False)
    assert not (trial.root / "etc").exists()
