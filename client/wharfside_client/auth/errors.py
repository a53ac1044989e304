"""What goes wrong with keys and certificates; nothing was changed."""

from __future__ import annotations

from wharfside_client.errors import ClientError


class BadKey(ClientError):
    """A file holds no key of the kind that is asked for; `details.path` tells which."""

    fault = "bad-key"


class BadToken(ClientError):
    """A text is no NATS JWT."""

    fault = "bad-token"


class BadAuthority(ClientError):
    """A certificate or its key cannot be read or used; `details.path` tells which."""

    fault = "bad-authority"


class NotPushed(ClientError):
    """A server did not take an account's new claims; `details.account` tells which."""

    fault = "not-pushed"


class BadState(ClientError):
    """This folder is no auth folder, or its state cannot be used."""

    fault = "bad-state"


class NoSuchUser(ClientError):
    """The auth folder knows no user, or no role, of this name."""

    fault = "no-such-user"


class NoSuchSite(ClientError):
    """The auth folder knows no edge site of this name."""

    fault = "no-such-site"


class UserExists(ClientError):
    """The auth folder has a user of this name already."""

    fault = "user-exists"


class NoExpiry(ClientError):
    """Users of this folder cannot be given a time at which they expire."""

    fault = "no-expiry"


class NothingToRevoke(ClientError):
    """No key of this user or role is to be taken back."""

    fault = "nothing-to-revoke"


class WrongForm(ClientError):
    """This is done in a folder of the other form alone."""

    fault = "wrong-form"


class FolderBusy(ClientError):
    """Another change of this auth folder goes on; `details.path` tells which."""

    fault = "folder-busy"
