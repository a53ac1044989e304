"""An agent that is broken on purpose: no end of a process ever rings its bell.

python tests/support/deaf_agent.py run --config FILE
"""

from wharfside_agent.cli import main
from wharfside_agent.watchers.exits import _Eye

_Eye.open = lambda _self, _then: None  # type: ignore[method-assign, assignment]

main()
