"""The rights of each role, as data: what must never be in them, for any prefix."""

from __future__ import annotations

import pytest

from wharfside_protocol.errors import Invalid
from wharfside_protocol.ops import OPS
from wharfside_protocol.rights import (
    Account,
    Crossing,
    Role,
    exports,
    imports,
    inbox_of,
    rights,
    shares,
)
from wharfside_protocol.subjects import Subjects

EVERYONE = [(role, name) for role in Role for name in ("alpha", "beta")]


def subjects_of(role: Role, name: str, prefix: str = "wharfside.v1") -> set[str]:
    given = rights(role, name, Subjects(prefix))
    return {*given.publish, *given.subscribe}


@pytest.mark.parametrize(("role", "name"), EVERYONE)
def test_nobody_has_a_wildcard_over_everything(role: Role, name: str) -> None:
    for subject in subjects_of(role, name):
        assert not subject.startswith((">", "*")), subject
        assert subject not in ("$JS.>", "$JS.API.>", "$KV.>", "_INBOX.>", "wharfside.v1.>")
        assert "DELETE.WHARFSIDE" not in subject or role is Role.PROVISIONER


def test_two_nodes_share_no_right_but_single_use_replies_and_being_found() -> None:
    common = subjects_of(Role.NODE, "alpha") & subjects_of(Role.NODE, "beta")
    assert {subject for subject in common if not subject.startswith("$SRV.")} == {"_R_.>"}
    assert "_R_.>" not in rights(Role.NODE, "alpha").subscribe


def test_a_node_has_neither_direct_gets_nor_consumers_of_its_own_making() -> None:
    asks = [s for s in rights(Role.NODE, "alpha").publish if s.startswith("$JS.API")]
    assert all(s.startswith("$JS.API.CONSUMER.MSG.NEXT.") and s.endswith(".alpha") for s in asks)


def test_only_the_provisioner_makes_consumers_and_streams() -> None:
    for role in (Role.NODE, Role.ORCHESTRATOR, Role.VIEWER):
        for subject in subjects_of(role, "alpha"):
            assert ".CREATE" not in subject
            assert ".UPDATE" not in subject


def test_a_viewer_asks_for_nothing_that_changes() -> None:
    asked = {
        subject.rpartition(".")[2]
        for subject in rights(Role.VIEWER, "alpha").publish
        if ".rpc." in subject
    }
    assert asked == {op.name for op in OPS.values() if op.viewers}
    assert not any(OPS[op].changes or OPS[op].new_work for op in asked)
    never = {"attach", "get-archive", "put-archive", "save-checkpoint", "cancel", "resync"}
    assert not asked & never


def test_what_a_viewer_may_an_orchestrator_may() -> None:
    viewer, orchestrator = rights(Role.VIEWER, "alpha"), rights(Role.ORCHESTRATOR, "alpha")
    rpc = "wharfside.v1.rpc.*."
    asks = {s for s in viewer.publish if not s.startswith(rpc)}
    assert asks < set(orchestrator.publish)
    assert f"{rpc}*" in orchestrator.publish
    assert set(viewer.subscribe) < set(orchestrator.subscribe)


@pytest.mark.parametrize(("role", "name"), EVERYONE)
def test_another_prefix_is_used_throughout(role: Role, name: str) -> None:
    ours = subjects_of(role, name)
    assert {s.replace("wharfside.v1.", "lab.") for s in ours} == subjects_of(role, name, "lab")
    for share in shares(Subjects("lab")):
        assert not share.subject.startswith("wharfside.")


@pytest.mark.parametrize("role", Role)
def test_a_name_that_is_no_token_gets_no_rights(role: Role) -> None:
    for name in ("*", ">", "a.b", "", "A", "a b", "../x"):
        with pytest.raises(Invalid):
            rights(role, name)
        with pytest.raises(Invalid):
            inbox_of(role, name)


def test_every_share_leads_from_its_owner_to_others() -> None:
    for share in shares():
        assert share.to
        assert share.owner not in share.to
    assert sum(len(share.to) for share in shares()) == sum(len(imports(a)) for a in Account)
    assert len(shares()) == sum(len(exports(a)) for a in Account)


def test_nothing_of_jetstream_s_own_leads_to_nodes_but_pulls_and_acks() -> None:
    leads = [s.subject for s in imports(Account.NODES) if s.subject.startswith("$JS.")]
    assert all(s.startswith(("$JS.ACK.", "$JS.API.CONSUMER.MSG.NEXT.")) for s in leads)


def test_answers_that_are_many_or_late_are_let_through() -> None:
    """An import that says nothing ends with the first answer, or after two minutes."""
    for share in shares():
        one = ".rpc." in share.subject or ".GET.WHARFSIDE_RES." in share.subject
        many = any(s in share.subject for s in ("$SRV", "MSG.NEXT", "DIRECT.GET")) and not one
        assert share.many is many, share.subject
        assert (share.within_s is not None) is (one or many), share.subject
        assert share.kind is Crossing.SERVICE or share.within_s is None
