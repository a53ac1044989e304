"""How the quickstart fails: with words for the one who tries it."""

from __future__ import annotations


class QuickstartFailed(Exception):
    """Something did not happen as it should; the message says what, and what to do."""
