"""An agent whose presence comes each half second: its silence can be awaited in a test.

python tests/support/quick_presence_agent.py run --config FILE
"""

from wharfside_agent.cli import main
from wharfside_agent.services.telling.presence import Presence

Presence._pause.__defaults__ = (0.5,)

main()
