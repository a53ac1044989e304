"""A docker engine of the test's own: Debian's packages, unpacked, with base images made here.

No registry is asked: `debian` comes from debootstrap, `nats` is the server of the wheel, and
`prometheus` Debian's program. It is told apart from any other engine by its socket and folder.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

from tests.deploy.units import DEPLOY
from tests.deploy.wheels import own_wheel, wheelhouse
from tests.support.requirements import find_command

CHECKOUT = DEPLOY.parent
SCRIPT = CHECKOUT / "tests" / "support" / "engine"
PROJECT = "wharfside-test"
SLOW_S = 1200.0


class Engine:
    """`docker` and `docker-compose` on it; everything is taken away at its end."""

    def __init__(self, folder: Path) -> None:
        # the engine's sockets lie deep below it, and a path of one has 107 bytes (unix(7))
        self._folder = Path(tempfile.mkdtemp(prefix="engine-"))
        self._context = folder / "context"
        self._environment = os.environ | {
            "DOCKER_HOST": f"unix://{self._folder}/docker.sock",
            "DOCKER_BUILDKIT": "0",
            "COMPOSE_PROJECT_NAME": PROJECT,
        }
        self._docker = CHECKOUT / ".test-env" / "engine" / "root" / "usr" / "bin" / "docker"

    def __enter__(self) -> Engine:
        try:
            self._script("start", str(find_command("nats-server")))
            self._make_context()
        except BaseException:
            self._script("stop")
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if error is not None:
                print(self.compose("logs", "--tail", "30", check=False))
            self.compose("down", "--volumes", check=False)
        finally:
            self._script("stop")

    def build(self, target: str) -> None:
        """As docker-compose would, but with the host's network."""
        dockerfile = str(self._context / "deploy" / "Dockerfile")
        image = f"wharfside:{target}"
        what = ("--file", dockerfile, "--target", target, "--tag", image, str(self._context))
        self.docker("build", "--quiet", "--network", "host", *what)

    def image_mb(self, image: str) -> int:
        size = self.docker("image", "inspect", "--format", "{{.Size}}", image)
        return int(size) // 1_000_000

    def compose(self, *arguments: str, check: bool = True) -> str:
        command = (str(find_command("docker-compose")), "--file", "docker-compose.yml")
        return self._run(*command, "--profile", "cli", *arguments, check=check)

    def cli(self, *arguments: str, check: bool = True) -> str:
        """`wharfside` as an operator, as the file's own comment has it."""
        return self.compose("run", "--rm", "-T", "cli", *arguments, check=check)

    def container(self, service: str) -> str:
        return self.compose("ps", "--quiet", service).strip()

    def kill_child(self, service: str) -> None:
        """kill -9 of what PID 1 of the service's container has started first."""
        first = self.docker("inspect", "--format", "{{.State.Pid}}", self.container(service))
        children = Path(f"/proc/{first.strip()}/task/{first.strip()}/children").read_text()
        os.kill(int(children.split()[0]), signal.SIGKILL)

    def in_network(self, url: str) -> str:
        """What `url` answers to a container of the project."""
        fetch = f"import urllib.request as r; print(r.urlopen('{url}', timeout=5).read().decode())"
        return self.compose(
            "run", "--rm", "-T", "--entrypoint", "python3", "cli", "-c", fetch, check=False
        )

    def docker(self, *arguments: str) -> str:
        return self._run(str(self._docker), *arguments)

    def _make_context(self) -> None:
        """What git knows, with wheels beside it: nothing is fetched from an index."""
        shutil.copytree(
            CHECKOUT, self._context, ignore=shutil.ignore_patterns(".*", "build", "wheels", "tests")
        )
        shutil.copytree(wheelhouse(), self._context / "wheels")
        own_wheel(self._context / "wheels")

    def _script(self, action: str, *arguments: str) -> None:
        done = subprocess.run(
            [SCRIPT, action, self._folder, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SLOW_S,
        )
        assert done.returncode == 0, done.stderr

    def _run(self, *command: str, check: bool = True) -> str:
        done = subprocess.run(
            command,
            cwd=self._context if self._context.exists() else None,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SLOW_S,
        )
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout
