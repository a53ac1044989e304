"""`--stay`: what to type next, with everything that it needs in one file to source."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from deploy.quickstart.folder import Folder
from deploy.quickstart.parts import NODE, USER, Server
from deploy.quickstart.screen import Screen

NEXT = """
Server and agent stay up. In another terminal:

  source {env}
  wharfside nodes
  wharfside run --rm {flags} {node}/hello sh -c 'echo hello; exit 3'
  wharfside run -d {flags} --memory 64m {node}/web sleep 1h
  wharfside ps
  wharfside exec {node}/web ps
  wharfside stop -t 1s {node}/web
  wharfside rm {node}/web
  wharfside events --since 5m {node}/web

What happens is told below. Ctrl-C here ends all of it, containers too.
"""


def write_env(folder: Folder, server: Server) -> None:
    """What a shell needs for the CLI; readable by its owner alone."""
    scripts = Path(sys.executable).parent
    values = {
        "NATS_URL": server.url,
        "NATS_USER": USER,
        "NATS_PASSWORD": server.password,
        "ROOTFS": str(folder.rootfs),
    }
    lines = [f"export {name}={shlex.quote(value)}" for name, value in values.items()]
    lines.append(f"export PATH={shlex.quote(str(scripts))}:$PATH")
    folder.env.touch(0o600)
    folder.env.write_text("\n".join(lines) + "\n")


def tell_next(screen: Screen, folder: Folder, *, readonly: bool) -> None:
    """The commands as they work here: paths are quoted for a shell."""
    flags = "--rootfs $ROOTFS" + (" --read-only" if readonly else "")
    env = shlex.quote(screen.path(folder.env))
    screen.line(NEXT.format(env=env, flags=flags, node=NODE))
