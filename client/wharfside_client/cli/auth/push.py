"""`auth push`: running servers are told of the accounts as they are now (JWTs alone)."""

from __future__ import annotations

from pathlib import Path

from wharfside_client.cli.auth.place import Dir, as_user, folder_of
from wharfside_client.cli.session import Session


async def push(session: Session, folder: Dir = None) -> None:
    """Tell running servers of the accounts, as the folder has them now (JWTs alone)."""
    from wharfside_client.auth.errors import WrongForm

    path = folder_of(folder)
    if not await push_all(session, path):
        raise WrongForm(
            f"the servers of {path} read their users from a file: put it in its place, "
            "and `nats-server --signal reload`"
        )
    if session.output.json:
        session.output.document({"folder": str(path)})
    else:
        session.output.line("the servers know the accounts as they are now")


async def push_all(session: Session, path: Path) -> bool:
    """Whether the folder is one whose accounts are pushed.

    Raises:
        NotPushed: what was changed stands in the folder, and can be pushed later.
    """
    from wharfside_client.auth.errors import NotPushed
    from wharfside_client.auth.folder import Folder
    from wharfside_client.auth.push import push
    from wharfside_client.auth.state import SYSTEM, load
    from wharfside_client.cli.auth.tell import where
    from wharfside_client.errors import ClientError

    state = load(path)
    operator = Folder(path).operator(state)
    if operator is None:
        return False
    settings = Session(session.flags.over(as_user(path, state, SYSTEM))).settings()
    try:
        await push(settings, operator.account_jwts().values())
    except ClientError as error:
        raise NotPushed(
            f"{error.message}; {path} is changed, and no server knows of it yet: "
            f"`wharfside auth push{where(path)}` when one can be reached"
        ) from error
    return True
