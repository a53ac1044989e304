"""The one table of handlers; an op that is not here is `unsupported`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from wharfside_agent.handlers.archives import get_archive, put_archive
from wharfside_agent.handlers.attach import attach
from wharfside_agent.handlers.cancel import cancel
from wharfside_agent.handlers.checkpoints import (
    checkpoint,
    checkpoints,
    delete_checkpoint,
    load_checkpoint,
    restore,
    save_checkpoint,
)
from wharfside_agent.handlers.commands import commands
from wharfside_agent.handlers.create import create
from wharfside_agent.handlers.delete import delete
from wharfside_agent.handlers.draining import drain, undrain
from wharfside_agent.handlers.exec import exec_process
from wharfside_agent.handlers.info import info
from wharfside_agent.handlers.logs import logs
from wharfside_agent.handlers.migration import abort, facts, migrate, migrations, receive
from wharfside_agent.handlers.pausing import pause, resume
from wharfside_agent.handlers.ping import ping
from wharfside_agent.handlers.policy import policy_check
from wharfside_agent.handlers.reads import (
    inspect,
    list_containers,
    list_processes,
    result,
    stats,
)
from wharfside_agent.handlers.resync import resync
from wharfside_agent.handlers.run import run
from wharfside_agent.handlers.signals import signal_process
from wharfside_agent.handlers.start import start
from wharfside_agent.handlers.stop import stop
from wharfside_agent.handlers.update import update
from wharfside_agent.handlers.usage import usage
from wharfside_agent.handlers.wait import wait
from wharfside_agent.services.commands.runner import HandlerFunction

HANDLERS: Mapping[str, HandlerFunction] = MappingProxyType(
    {
        "ping": ping,
        "info": info,
        "list": list_containers,
        "inspect": inspect,
        "list-processes": list_processes,
        "stats": stats,
        "usage": usage,
        "attach": attach,
        "wait": wait,
        "get-archive": get_archive,
        "put-archive": put_archive,
        "logs": logs,
        "result": result,
        "commands": commands,
        "resync": resync,
        "cancel": cancel,
        "policy-check": policy_check,
        "create": create,
        "start": start,
        "run": run,
        "exec": exec_process,
        "signal": signal_process,
        "stop": stop,
        "pause": pause,
        "resume": resume,
        "update": update,
        "delete": delete,
        "checkpoint": checkpoint,
        "checkpoints": checkpoints,
        "delete-checkpoint": delete_checkpoint,
        "restore": restore,
        "save-checkpoint": save_checkpoint,
        "load-checkpoint": load_checkpoint,
        "facts": facts,
        "receive": receive,
        "migrate": migrate,
        "abort-migration": abort,
        "migrations": migrations,
        "drain": drain,
        "undrain": undrain,
    }
)
