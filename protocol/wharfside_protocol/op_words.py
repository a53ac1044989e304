"""What each op does, in a line: for the documents, and for `wharfside schema`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

DOES: Mapping[str, str] = MappingProxyType(
    {
        "ping": "Tells that the node is there, with its clock.",
        "info": "What the node is, what it has and what it lacks.",
        "list": "The containers, a page at a time.",
        "inspect": "All of one container; of a deleted one by its incarnation, for 24 h.",
        "list-processes": "Init and the execs of a container.",
        "stats": "Figures of one container's cgroup, all of them.",
        "usage": "The main figures of many containers, and of the node.",
        "wait": "Waits for the end of a run or an exec; asked again, it goes on waiting.",
        "get-archive": "Files out of a container, as a tar stream in a session.",
        "put-archive": "Files into a container, as a tar stream in a session.",
        "save-checkpoint": "A checkpoint as an archive, in a session.",
        "load-checkpoint": "An archive becomes a checkpoint, in a session.",
        "logs": "What a process has printed, and with `follow` what it prints, in a session.",
        "resync": "Tells the state of every container once more, into the bucket.",
        "attach": "Output from now on and, with `stdin`, input of a running process, in a session.",
        "result": "How a command stands that changes something, and its result.",
        "commands": "The commands that the node keeps.",
        "cancel": "Ends another command's wait, or its work where that can be undone.",
        "policy-check": "Whether a command of the caller's would be let in; it is not run.",
        "create": "Makes a container; its program does not run yet.",
        "start": "Lets the program of a created container run; a stopped one's, as its next run.",
        "run": "`create` and `start`, as one command: answered once the program has begun.",
        "exec": "Another process in a running container; answered at its end, or its beginning.",
        "signal": "Sends a signal to init or to an exec.",
        "stop": "Its stop signal, and KILL after the grace; answered once it has ended.",
        "pause": "Freezes all of a container.",
        "resume": "Thaws it.",
        "update": "New limits for a container that lives.",
        "delete": "Removes a created or stopped container; with `force` ends it before.",
        "checkpoint": "Keeps the life of a running container, in an image on the node.",
        "checkpoints": "The checkpoints of one container, or of the node.",
        "delete-checkpoint": "Removes checkpoints.",
        "restore": "Goes on from a checkpoint: in place as the next run, or as a new container.",
        "facts": "What decides whether containers can move to or from this node.",
        "receive": "The node will take a container that another one sends: before `migrate`.",
        "migrate": "Sends a running container to another node, where it goes on.",
        "abort-migration": "Ends a migration whose outcome is unknown, on an operator's word.",
        "migrations": "The migrations that the node knows.",
        "drain": "Takes no new work, and stops or waits for what runs.",
        "undrain": "Takes new work again.",
    }
)
