"""What the agent asks of the machine at a relist, beside what runtimes and watchers tell."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from wharfside_agent.core.relist import Survey


class Ground(Protocol):
    """The agent's own places on this machine."""

    def look(self, asked: Collection[tuple[int, int]], known: Collection[str]) -> Survey:
        """All at once; some ms a hundred containers, so in a thread.

        `asked` are the processes (pid, start time) of which it is to say whether they are over;
        `known` the incarnations (lower case) that need no look for life.
        """
        ...

    def frozen(self, incarnation: str) -> bool | None:
        """Whether the cgroup is frozen now; None: nobody can tell."""
        ...

    def clear(self, incarnation: str) -> None:
        """Removes whatever an incarnation without processes has left. Idempotent.

        Raises:
            RuntimeFailed: something of it lives, or cannot be removed.
        """
        ...
