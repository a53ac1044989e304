"""The runtime contract in memory: what stands on it can be tested without root.

It passes the contract suite in all but the kernel's own outcomes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wharfside_agent.core.policy.limits import amounts_in
from wharfside_agent.core.policy.rules import EVERYBODY
from wharfside_agent.ports.process import ProcessTrace
from wharfside_agent.ports.runtime import Planned, RunPlan
from wharfside_agent.runtime.fake_container import FakeContainer
from wharfside_agent.runtime.fake_machine import FakeBody, FakeMachine
from wharfside_protocol.checkpoints import CheckpointFlags
from wharfside_protocol.errors import Invalid, NotFound, Unsupported
from wharfside_protocol.specs import ContainerSpec, Limits
from wharfside_protocol.states import INIT
from wharfside_protocol.views import CriuInfo, RuntimeInfo

NAME = "fake"


class FakeRuntime:
    """ports.runtime.Runtime. One machine may be given to several, one after the other."""

    def __init__(self, machine: FakeMachine | None = None) -> None:
        self.machine = machine or FakeMachine()

    @property
    def available(self) -> Sequence[RuntimeInfo]:
        return [RuntimeInfo(name=NAME, version="1", path="/fake")]

    def check(self, spec: ContainerSpec, rules: str = EVERYBODY) -> Planned:
        if spec.checkpointable:
            raise Unsupported("no runtime of this node can checkpoint")
        if spec.io.fifo:
            raise Unsupported("the fake has no FIFOs", field="io.fifo")
        if spec.process is None:
            raise Invalid("a container needs a process with args", field="process")
        return Planned(NAME, amounts_in(spec.limits))

    @property
    def criu(self) -> CriuInfo:
        return CriuInfo(usable=False, says="the fake has no CRIU")

    async def check_image(self, folder: Path, spec: ContainerSpec, rules: str) -> None:
        raise Unsupported("the fake cannot restore")

    async def restore(self, plan: RunPlan, folder: Path, flags: CheckpointFlags) -> FakeContainer:
        raise Unsupported(self.criu.says)

    async def restored(self, plan: RunPlan) -> FakeContainer:
        raise NotFound(f"{_id(plan)} was not restored")

    def expect(self) -> None:
        """Nothing here takes long."""

    async def create(self, plan: RunPlan, seen_oom_kills: int = 0) -> FakeContainer:
        assert plan.spec.process is not None
        init = self.machine.process(plan.spec.process.args, plan.spec.io, init=True)
        body = FakeBody(plan.spec.limits or Limits(), {INIT: init})
        self.machine.bodies[_id(plan)] = body
        return FakeContainer(self.machine, _id(plan), body, seen_oom_kills)

    async def reattach(
        self, plan: RunPlan, traces: Sequence[ProcessTrace], seen_oom_kills: int = 0
    ) -> FakeContainer:
        body = self.machine.bodies.get(_id(plan))
        if body is None:
            raise NotFound(f"nothing is left of {_id(plan)}")
        return FakeContainer(self.machine, _id(plan), body, seen_oom_kills)

    async def undo(self, plan: RunPlan, *, keep_layer: bool = False) -> None:
        self.machine.remove(_id(plan))


def _id(plan: RunPlan) -> str:
    return f"{plan.incarnation.lower()}-{plan.run}"
