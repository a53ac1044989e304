"""What the tables of rules come to: the first rule that is not met denies."""

from __future__ import annotations

from dataclasses import dataclass

from wharfside_agent.core.policy.asked import Asked, AskedProcess
from wharfside_agent.core.policy.container_rules import CONTAINER
from wharfside_agent.core.policy.limit_rules import at_most, most_of, required
from wharfside_agent.core.policy.limits import Amounts
from wharfside_agent.core.policy.process_rules import PROCESS
from wharfside_agent.core.policy.rules import AtMost, Rules, RuleSet
from wharfside_protocol.errors import Denied

_STRICT = "a profile that denies what it does not name"
_SECCOMP = {"required": _STRICT, "filled": f"{_STRICT}, or none, for the node's own"}


@dataclass(frozen=True, slots=True)
class Denial:
    """`rule` is its key in the file, `says` what was asked for, `allowed` what would do."""

    rule: str
    says: str
    allowed: str

    def error(self, rules: RuleSet) -> Denied:
        """With the whole key of the rule, as it stands in the node's settings."""
        key = f"{rules.name}.{self.rule}"
        message = f"{key} denies {self.says}; it allows {self.allowed}"
        return Denied(message, rule=key, allowed=self.allowed)


def judge(asked: Asked, rules: Rules) -> Denial | None:
    """Of a whole container; what the node's file system says (roots, links) is not asked here."""
    opened = rules.opened()
    for rule, look in CONTAINER.items():
        if (says := look(asked, opened)) is not None:
            return Denial(rule, says, shown(getattr(opened, rule)))
    return judge_process(asked.process, opened)


def judge_process(process: AskedProcess, rules: Rules) -> Denial | None:
    """Of a container's process, or of an exec's."""
    opened = rules.opened()
    for rule, look in PROCESS.items():
        if (says := look(process, opened)) is not None:
            return Denial(rule, says, shown(getattr(opened, rule)))
    return None


def judge_limits(limits: Amounts, rules: Rules) -> Denial | None:
    """Of a container's limits as they would be."""
    for rule, look in (("limits_required", required), ("limits_at_most", at_most)):
        if (says := look(limits, rules)) is not None:
            return Denial(rule, says, shown(getattr(rules, rule)))
    return None


def judge_op(op: str, rules: Rules) -> Denial | None:
    return None if rules.allows(op) else Denial("ops", f"op {op}", shown(rules.ops))


def judge_count(count: int, rules: Rules) -> Denial | None:
    """`count` containers are there that these rules let in, and one more is asked for."""
    if rules.containers is None or count < rules.containers:
        return None
    return Denial("containers", f"one more container beside {count}", f"{rules.containers} at once")


def shown(value: object) -> str:
    """What a rule allows, in words."""
    if isinstance(value, bool):
        return "it" if value else "none"
    if isinstance(value, AtMost):
        return ", ".join(f"{name} {most}" for name, most in most_of(value)) or "any"
    if isinstance(value, tuple):
        return ", ".join(value) if value else "none"
    if value is None:
        return "any"
    return _SECCOMP.get(str(value), str(value))
