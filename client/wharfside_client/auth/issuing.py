"""A user's credentials: a new key, and the file that goes to where the user runs."""

from __future__ import annotations

from wharfside_client.auth.errors import NoExpiry
from wharfside_client.auth.folder import Folder
from wharfside_client.auth.jwts import creds
from wharfside_client.auth.keys import Key, Kind
from wharfside_client.auth.placing import place
from wharfside_client.auth.state import State, UserKey


def issue(
    folder: Folder, state: State, name: str, role: str, now: int, expires: int | None
) -> UserKey:
    """Writes the file of a new key; what the state has to know of it comes back.

    The file comes first: a user whose key is named and nowhere to be found could never come in.

    Raises:
        NoExpiry: a time is given, and servers of this folder know of none.
        LocalFiles, BadKey: it cannot be written, or not be signed.
    """
    if expires is not None and state.trust is None:
        raise NoExpiry(
            "keys in a server's configuration do not expire: revoke them "
            "(`wharfside auth revoke`), or use a folder of JWTs (`wharfside auth init --jwt`)"
        )
    key = Key.make(Kind.USER)
    told = UserKey(public=key.public, issued=now, expires=expires)
    operator = folder.operator(state)
    if operator is None:
        key.save(folder.credentials(state, name))
    else:
        place(folder.credentials(state, name), creds(operator.user_jwt(name, role, told), key))
    return told
