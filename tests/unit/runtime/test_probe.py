"""Which runtime is chosen, and what is said of those that do not work."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from tests.support.requirements import find_command, requires

from wharfside_agent.core.placement import Places
from wharfside_agent.runtime.argv import OciBinary
from wharfside_agent.runtime.probe import Found, Probed, probe
from wharfside_agent.runtime.sealed import SealedPrograms
from wharfside_protocol.errors import Unsupported
from wharfside_protocol.views import CriuInfo, RuntimeInfo

HYBRID = "cgroups in hybrid mode not supported, drop all controllers from cgroupv2"


def found(name: str, *, checkpoint: bool) -> Found:
    info = RuntimeInfo(name=name, version="1", path=f"/{name}", checkpoint=checkpoint)
    return Found(info, OciBinary(name, Path(f"/{name}"), Path("/root")))


USABLE = [found("crun", checkpoint=False), found("runc", checkpoint=True)]
BOTH = Probed(Path("/conmon"), "2.1.6", USABLE, criu=CriuInfo(usable=True))


@pytest.mark.parametrize(
    ("wanted", "checkpointable", "name"),
    [(None, False, "crun"), ("runc", False, "runc"), (None, True, "runc"), ("runc", True, "runc")],
)
def test_the_first_that_does_what_is_asked(
    wanted: str | None, checkpointable: bool, name: str
) -> None:
    assert BOTH.choose(wanted, checkpointable=checkpointable) == name


def test_a_runtime_that_cannot_checkpoint_is_refused() -> None:
    with pytest.raises(Unsupported, match="crun"):
        BOTH.choose("crun", checkpointable=True)


def test_without_criu_its_own_words_say_why() -> None:
    criu = CriuInfo(usable=False, says="Unexpected rt vDSO area bounds")
    probed = Probed(Path("/conmon"), "2.1.6", USABLE, criu=criu)
    with pytest.raises(Unsupported, match="cannot checkpoint: Unexpected rt vDSO"):
        probed.choose(None, checkpointable=True)
    assert probed.choose(None, checkpointable=False) == "crun"


def test_a_runtime_that_does_not_work_is_refused_in_its_own_words() -> None:
    probed = Probed(Path("/conmon"), "2", [found("runc", checkpoint=True)], {"crun": HYBRID})
    with pytest.raises(Unsupported, match="hybrid mode not supported"):
        probed.choose("crun", checkpointable=False)
    assert probed.choose(None, checkpointable=False) == "runc"


@requires("root", "runc", "conmon")
async def test_what_cannot_make_containers_here_gives_way(tmp_path: Path) -> None:
    """A runtime that says what crun says on a machine with hybrid cgroups."""
    broken, runc = tmp_path / "crun", find_command("runc")
    broken.write_text(
        f"#!/bin/sh\n[ $1 = --version ] && echo crun version 1.8.1 && exit\n"
        f'echo "{HYBRID}" >&2\nexit 1\n'
    )
    broken.chmod(0o755)
    assert runc
    places = Places(tmp_path / "run", tmp_path / "state")
    probed = await probe(places, runtimes={"crun": broken, "runc": runc})
    assert [each.info.name for each in probed.usable] == ["runc"]
    assert probed.refused == {"crun": HYBRID}
    assert probed.usable[0].info.version != "unknown" and probed.conmon_version != "unknown"


@requires("root", "crun", "conmon")
async def test_what_works_is_run_from_its_sealed_copy(tmp_path: Path) -> None:
    places, crun = Places(tmp_path / "run", tmp_path / "state"), find_command("crun")
    assert crun
    with closing(SealedPrograms(places.programs)) as sealing:
        [found] = (await probe(places, sealing, runtimes={"crun": crun})).usable
        assert (found.info.path, found.binary.path) == (str(crun), places.programs / "crun")
        assert str(found.binary.path.resolve()) == "/memfd:crun (deleted)"


@requires("root", "crun", "conmon")
@pytest.mark.parametrize("refusal", ["to be made", "to be run"])
async def test_where_a_copy_is_refused_the_program_itself_is_run(
    tmp_path: Path, refusal: str
) -> None:
    """As vm.memfd_noexec or a security module may do."""
    places, crun = Places(tmp_path / "run", tmp_path / "state"), find_command("crun")
    if refusal == "to be made":
        places.run_dir.mkdir()
        places.programs.touch()
    assert crun
    wrapper = tmp_path / "crun"
    wrapper.write_text(f'#!/bin/sh\ncase $0 in *programs*) exit 126 ;; esac\nexec {crun} "$@"\n')
    wrapper.chmod(0o755)
    with closing(SealedPrograms(places.programs)) as sealing:
        [found] = (await probe(places, sealing, runtimes={"crun": wrapper})).usable
    assert found.binary.path == wrapper


@requires("conmon")
async def test_no_runtime_at_all_says_what_to_install(tmp_path: Path) -> None:
    places = Places(tmp_path / "run", tmp_path / "state")
    with pytest.raises(Unsupported, match="apt-get install"):
        await probe(places, runtimes={"crun": tmp_path / "nothing"})
