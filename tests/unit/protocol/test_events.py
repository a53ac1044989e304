"""Events: the closed set of types, their facts, and the envelope."""

from __future__ import annotations

import msgspec
import pytest
from tests.unit.protocol.strategies import example, field_types

from wharfside_protocol.codec import convert, decode, encode, to_plain
from wharfside_protocol.errors import Invalid
from wharfside_protocol.event_facts import EVENT_DATA, EventsDropped, Exited, facts
from wharfside_protocol.events import TERMINAL_TYPES, Event, EventType
from wharfside_protocol.exits import ExitReason, ExitStatus, StatusSource
from wharfside_protocol.states import INIT, ContainerState
from wharfside_protocol.views import ContainerProjection

TYPES = (
    "create-failed created started start-failed exec-added exec-started exited oom paused resumed "
    "updated signaled stopping checkpointed checkpoint-failed restored restarting not-restarting "
    "deleted attached detached log-lost monitor-lost reattached reattach-failed pressure "
    "event-missed audit up draining down snapshot credentials-expiring events-dropped"
)
ENVELOPE = (
    "event_id node node_id boot_id epoch seq prev_seq container incarnation run revision process "
    "type occurred_at observed_at published_at replayed labels cause"
)
EXITED = (
    "exit_code signal core_dumped oom_killed timed_out reason status_source status_known "
    "exited_at duration_us memory_peak_bytes cpu_us execs_pending"
)
AT = "2026-01-31T09:00:00.000000001Z"


def test_the_types_of_the_design_and_no_others() -> None:
    assert {str(type_) for type_ in EventType} == set(TYPES.split())


def test_every_type_has_its_facts() -> None:
    assert set(EVENT_DATA) == set(EventType)


def test_the_envelope_carries_what_the_design_says() -> None:
    assert set(Event.__struct_fields__) == {*ENVELOPE.split(), "v", "data"}


def test_an_exit_carries_what_the_design_says() -> None:
    assert set(Exited.__struct_fields__) == {*EXITED.split(), "unknown_because", "time_known"}
    assert EVENT_DATA[EventType.EXITED] is Exited
    assert set(ExitStatus.__struct_fields__) == set(Exited.__struct_fields__) - {"execs_pending"}
    assert {str(reason) for reason in ExitReason} == {
        "self", "stop", "kill", "oom", "timeout", "checkpoint", "node-reboot", "monitor-lost",
    }  # fmt: skip
    assert {str(source) for source in StatusSource} == {"wait", "pidfd", "exit-file", "none"}


def test_dropped_events_are_told_with_the_names_of_the_design() -> None:
    dropped = EventsDropped(from_seq=3, to_seq=9, types=[EventType.PAUSED])
    assert facts(dropped) == {"from": 3, "to": 9, "types": ["paused"]}
    assert decode(encode(dropped), EventsDropped) == dropped
    with pytest.raises(Invalid):
        convert({"from": 3, "to": 9, "types": ["unheard-of"]}, EventsDropped)


@pytest.mark.parametrize("type_", EventType)
def test_an_event_of_each_type_survives_with_its_facts(type_: EventType) -> None:
    kind = EVENT_DATA[type_]
    data = facts(example(kind))
    event = msgspec.structs.replace(example(Event), type=type_, data=data)
    received = decode(encode(event), Event)
    assert received == event
    assert received.type is type_
    assert convert(received.data, kind) == example(kind)


def test_an_unknown_type_is_named() -> None:
    plain = to_plain(example(Event)) | {"type": "unheard-of"}
    with pytest.raises(Invalid, match="unheard-of"):
        convert(plain, Event)


def test_terminal_events_are_never_dropped() -> None:
    ends = {EventType.EXITED, EventType.OOM, EventType.DELETED, EventType.CREATE_FAILED}
    assert ends <= TERMINAL_TYPES
    assert EventType.PRESSURE not in TERMINAL_TYPES


def test_an_unknown_status_is_nil_and_says_why() -> None:
    lost = ExitStatus(
        reason=ExitReason.MONITOR_LOST,
        status_source=StatusSource.NONE,
        status_known=False,
        unknown_because="conmon was killed and the agent restarted before the exit",
        exited_at=AT,
    )
    plain = to_plain(lost)
    assert "exit_code" not in plain and "signal" not in plain
    assert plain["status_known"] is False
    assert plain["unknown_because"] == "conmon was killed and the agent restarted before the exit"


def test_an_exit_of_zero_is_not_lost_among_the_defaults() -> None:
    ended = ExitStatus(
        exit_code=0,
        reason=ExitReason.SELF,
        status_source=StatusSource.WAIT,
        status_known=True,
        exited_at=AT,
    )
    assert to_plain(ended)["exit_code"] == 0
    assert decode(encode(ended), ExitStatus).exit_code == 0


def test_the_states_of_section_three() -> None:
    assert [str(state) for state in ContainerState] == [
        "creating", "created", "running", "paused", "stopped", "migrating", "deleted",
    ]  # fmt: skip
    live = {"creating", "created", "running", "paused"}
    assert {str(state) for state in ContainerState if state.live} == live
    assert INIT == "init"


def test_a_projection_carries_what_the_design_says() -> None:
    assert {"epoch", "seq", "incarnation", "run", "revision"} <= set(
        field_types(ContainerProjection)
    )
