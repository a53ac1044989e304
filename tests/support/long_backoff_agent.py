"""An agent that waits a minute before its first restart: a backoff that no test comes too late for.

python tests/support/long_backoff_agent.py run --config FILE
"""

from wharfside_agent.cli import main
from wharfside_agent.core import restart_policy

restart_policy.FIRST_DELAY_S = restart_policy.LONGEST_DELAY_S

main()
