"""The table of ops: complete, each with its arguments, value, lane and memory."""

from __future__ import annotations

import pytest
from tests.unit.protocol.strategies import field_types

from wharfside_protocol.codec import convert
from wharfside_protocol.commands import CAPTURE_BYTES, CreateArgs
from wharfside_protocol.envelope import DEFAULT_RPC_SECONDS, MAX_DEADLINE_SECONDS
from wharfside_protocol.op_words import DOES
from wharfside_protocol.ops import OPS, Op
from wharfside_protocol.specs import ContainerSpec
from wharfside_protocol.subjects import Subjects
from wharfside_protocol.views import Standing

READS = [
    *("ping", "info", "list", "inspect", "list-processes", "stats", "wait", "result"),
    *("commands", "resync", "usage", "logs", "attach", "get-archive", "put-archive"),
    *("checkpoints", "save-checkpoint", "load-checkpoint", "facts", "migrations", "policy-check"),
]
IN_A_LANE = [
    *("create", "start", "run", "exec", "stop", "pause", "resume", "update", "delete"),
    *("checkpoint", "restore", "migrate"),
]
CHANGES = [*IN_A_LANE, "signal", "drain", "undrain", "delete-checkpoint"]
CHANGES += ["receive", "abort-migration"]
OF_NO_CONTAINER = {
    *("ping", "info", "list", "result", "commands", "resync", "cancel", "drain", "undrain"),
    *("usage", "checkpoints", "delete-checkpoint", "save-checkpoint", "load-checkpoint"),
    *("facts", "receive", "abort-migration", "migrations", "policy-check"),
}
NEW_WORK = {"create", "start", "run", "exec", "restore", "receive"}

CREATE_FIELDS = (
    "source process io limits network mounts labels restart auto_remove checkpointable "
    "stop_signal grace_s stop_on_disconnect_s"
)


def test_every_op_of_the_design_is_there() -> None:
    assert set(OPS) == {*READS, *CHANGES, "cancel"}
    assert all(name == op.name for name, op in OPS.items())


@pytest.mark.parametrize("op", OPS.values(), ids=lambda op: op.name)
def test_how_each_is_treated(op: Op) -> None:
    # reads are not stored; reads, wait, result, signal and cancel never queue in a lane
    assert op.changes == (op.name in CHANGES)
    assert op.lane == (op.name in IN_A_LANE)
    assert op.new_work == (op.name in NEW_WORK)
    assert Subjects().rpc("n1", op.name).endswith(op.name)


@pytest.mark.parametrize("op", OPS.values(), ids=lambda op: op.name)
def test_every_op_of_a_container_names_it_and_answers_with_its_revision(op: Op) -> None:
    if op.name in OF_NO_CONTAINER:
        assert not issubclass(op.value, Standing)
    else:
        assert "container" in op.args.__struct_fields__
        # the revision is in every result, so that the next command can be fenced
        assert issubclass(op.value, Standing)


def test_create_takes_what_the_design_says() -> None:
    assert set(CREATE_FIELDS.split()) <= set(ContainerSpec.__struct_fields__)
    assert {"container", *ContainerSpec.__struct_fields__} == set(CreateArgs.__struct_fields__)
    assert OPS["run"].args is OPS["create"].args is CreateArgs


def test_streams_can_be_asked_for_in_create_and_exec() -> None:
    # what is not there yet must be refused as unsupported: so it must not be an unknown field
    for name in ("create", "exec"):
        assert "io" in field_types(OPS[name].args)


def test_the_table_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        OPS["ping"] = OPS["info"]  # type: ignore[index]


def test_the_defaults_of_a_create() -> None:
    args = convert({"container": "c1", "source": {"bundle": "/b"}}, CreateArgs)
    assert (args.stop_signal, args.grace_s, args.stop_on_disconnect_s) == ("TERM", 10.0, None)
    assert (args.auto_remove, args.checkpointable, args.process) == (False, False, None)
    assert (args.io.log, args.io.stdin, args.io.tty, args.io.fifo) == (True, False, False, False)


def test_the_bounds_of_section_six() -> None:
    assert (DEFAULT_RPC_SECONDS, MAX_DEADLINE_SECONDS) == (30, 86_400)
    assert CAPTURE_BYTES == 65_536


def test_every_op_says_what_it_does() -> None:
    assert set(DOES) == set(OPS)
