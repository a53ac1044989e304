"""The node's policy in force: one place to ask, and to put a new one."""

from __future__ import annotations

from wharfside_agent.core.actors import Actor
from wharfside_agent.core.policy.rules import Policy, RuleSet
from wharfside_agent.core.policy.verdicts import judge_op


class Rulebook:
    """`policy` may be replaced while the agent runs: what is asked from then on is judged by it.

    Containers that run stay; their next run is judged anew.
    """

    def __init__(self, policy: Policy | None = None) -> None:
        self.policy = policy or Policy()

    def named(self, name: str) -> RuleSet:
        return self.policy.named(name)

    def admit(self, actor: Actor, op: str) -> str:
        """The name of the rules that are `actor`'s.

        Raises:
            Denied: they do not allow `op`; nothing was done.
        """
        found = self.policy.of(actor)
        if (denial := judge_op(op, found.rules)) is not None:
            raise denial.error(found)
        return found.name
