"""Whose rules are whose, and what each mistake in them is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from wharfside_agent.core.actors import NOBODY, Actor
from wharfside_agent.core.policy.rules import EVERYBODY, policy_of
from wharfside_agent.core.policy.verdicts import judge_op
from wharfside_agent.core.policy.words import policy_in_words
from wharfside_agent.errors import SettingsError
from wharfside_agent.services.rulebook import Rulebook
from wharfside_agent.settings_file import load_settings
from wharfside_protocol.errors import Denied, Invalid
from wharfside_protocol.ops import OPS

TABLE = {
    "ops": ["reads"],
    "hooks": True,
    "roles": {"deployer": {"ops": ["all"]}},
    "actors": {"ci": {"ops": ["run", "reads"], "hooks": False}},
}


@pytest.mark.parametrize(
    ("actor", "rules"),
    [
        (NOBODY, "policy"),
        (Actor("ci"), "policy"),  # a name that only the command claims
        (Actor("ci", "deployer"), "policy"),
        (Actor("ann", proven=True), "policy"),
        (Actor("ann", "guest", proven=True), "policy"),
        (Actor("ann", "deployer", proven=True), "policy.roles.deployer"),
        (Actor("ci", "deployer", proven=True), "policy.actors.ci"),
    ],
)
def test_only_who_proves_it_has_rules_of_their_own(actor: Actor, rules: str) -> None:
    assert policy_of(TABLE).of(actor).name == rules


def test_a_table_holds_what_differs_from_everybodys() -> None:
    sets = policy_of(TABLE).sets()
    assert sets["policy.roles.deployer"].rules.hooks
    assert not sets["policy.actors.ci"].rules.hooks
    assert not sets["policy.actors.ci"].rules.allows("delete")
    words = "\n".join(policy_in_words(policy_of(TABLE)))
    assert "policy.actors.ci, as everybody but for:\n  may ask for ops: run, reads\n" in words


def test_rules_whose_table_is_gone_are_everybodys() -> None:
    assert policy_of(TABLE).named("policy.roles.gone").name == EVERYBODY


def test_a_new_policy_is_asked_from_then_on() -> None:
    book = Rulebook(policy_of(TABLE))
    with pytest.raises(Denied, match=r"policy.ops denies op stop; it allows reads") as caught:
        book.admit(NOBODY, "stop")
    assert caught.value.details == {"rule": "policy.ops", "allowed": "reads"}
    book.policy = policy_of({})
    assert book.admit(NOBODY, "stop") == EVERYBODY


def test_reads_give_nothing_that_changes_or_leaves_the_node() -> None:
    rules = policy_of({"ops": ["reads"]}).everybody
    allowed = {op for op in OPS if judge_op(op, rules) is None}
    assert {"ping", "list", "logs", "policy-check"} <= allowed
    assert not any(OPS[op].changes or OPS[op].reaches_in for op in allowed)
    assert not allowed & {"get-archive", "save-checkpoint", "attach"}


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"hook": True}, "hook"),
        ({"ops": ["runn"]}, "no op 'runn'"),
        ({"capabilities": ["SYS_ADMIN"]}, "capabilities"),
        ({"devices": ["/dev/fuse"]}, "devices"),
        ({"seccomp": "off"}, "seccomp"),
        ({"host_namespaces": ["mount"]}, "host_namespaces"),
        ({"limits_at_most": {"memory_bytes": 1}}, "memory_bytes"),
        ({"bundle_roots": ["images"]}, "bundle_roots"),
        ({"roles": {"ops": {"opps": []}}}, "policy.roles.ops: .*opps"),
        ({"roles": ["ops"]}, "policy.roles must hold a table"),
        ({"actors": {"ci": 1}}, "policy.actors.ci must be a table"),
    ],
)
def test_each_mistake_names_its_place(table: dict[str, object], told: str) -> None:
    with pytest.raises(Invalid, match=told):
        policy_of(table)


def write(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_the_rules_may_stand_in_a_file_of_their_own(tmp_path: Path) -> None:
    write(tmp_path, "policy.toml", "hooks = true\n[roles.ops]\nroot = false\n")
    path = write(tmp_path, "c.toml", '[node]\nname = "n1"\n[policy]\nfile = "policy.toml"\n')
    policy = load_settings(path).policy
    assert policy.everybody.hooks and not policy.roles["ops"].root


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[policy]\nfile = "none.toml"\n', "cannot read"),
        ('[policy]\nfile = "c.toml"\nhooks = true\n', "stands alone"),
        ("policy = 1\n", "policy must be a table"),
        ("[policy]\nhooks = 1\n", "hooks"),
        ("[capacity]\nenforce = ['disk']\n", "disk"),
        ("[capacity]\novercommit = { memory = 0 }\n", "overcommit"),
        ("[capacity]\nreserve = { memory = 1 }\n", "memory"),
    ],
)
def test_a_broken_policy_starts_no_agent(text: str, told: str, tmp_path: Path) -> None:
    path = write(tmp_path, "c.toml", text)
    with pytest.raises(SettingsError, match=told):
        load_settings(path)
