"""Keys replaced and taken back on running servers, in both forms: those of others go on."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.integration.bounds import BOUND_S
from tests.integration.bus_kit import replace
from tests.integration.fifos import Cues
from tests.integration.fixtures import NEEDED
from tests.integration.world import Site, World, open_site
from tests.security.secured import NODES, Secured, secured_agent, secured_ground, server_config
from tests.support.agent import AgentProcess
from tests.support.event_order import violations
from tests.support.eventually import eventually
from tests.support.requirements import need, requires

from wharfside_client import connect
from wharfside_client.auth import rotation
from wharfside_client.auth.errors import NoExpiry, NoSuchUser, NothingToRevoke, WrongForm
from wharfside_client.auth.members import add
from wharfside_client.auth.push import push
from wharfside_client.auth.state import SYSTEM, Form
from wharfside_client.errors import ClientError, Refused, ServerUnreachable
from wharfside_protocol.rights import Role

pytestmark = requires("nats-server")

NOW = 1_800_000_000
NODE = NODES[0]
jwts_alone = pytest.mark.parametrize("secured", [Form.JWT], indirect=True)


async def put_in_force(secured: Secured) -> None:
    """As `wharfside auth push` and `nats-server --signal reload` do."""
    operator = secured.auth.operator(secured.state)
    if operator is None:
        config = server_config(secured.auth, secured.auth.path.parent)
        await asyncio.to_thread(secured.server.reload, config)
    else:
        await push(secured.settings(SYSTEM), operator.account_jwts().values())


async def is_let_in(secured: Secured, credentials: Path) -> bool:
    try:
        async with connect(secured.settings("guest", credentials)):
            return True
    except (Refused, ServerUnreachable) as error:
        assert "does not let us in" in error.message
        return False


@pytest.fixture
async def guest(secured: Secured) -> Path:
    """A user of the test's own, let in: its credentials."""
    names = {user.name for user in secured.state.users if user.valid}
    if "guest" not in names:
        add(secured.auth.path, "guest", Role.VIEWER, NOW)
        await put_in_force(secured)
    return secured.credentials("guest")


def kept(credentials: Path, folder: Path) -> Path:
    """A copy, as it lies where its user runs."""
    return Path(shutil.copy(credentials, folder / f"kept{credentials.suffix}"))


async def test_a_new_key_stands_beside_the_old_until_that_is_revoked(
    secured: Secured, guest: Path, tmp_path: Path
) -> None:
    old = kept(guest, tmp_path)
    rotation.rotate(secured.auth.path, "guest", NOW)
    await put_in_force(secured)
    assert await is_let_in(secured, old) and await is_let_in(secured, guest)
    async with connect(secured.settings("guest", old)) as late, secured.fleet("ops") as other:
        done = rotation.revoke(secured.auth.path, "guest", NOW, old=True)
        assert len(done.keys) == 1
        await put_in_force(secured)

        async def cut_off() -> bool:
            try:
                await late.node("nobody").ping(unreachable_s=0, timeout_s=0.2)
            except ServerUnreachable as error:
                return "does not let us in" in error.message
            except ClientError:
                return False
            return False

        await eventually(cut_off, "it is cut off, and told so", within_s=60)
        await other.nodes()
    assert not await is_let_in(secured, old) and await is_let_in(secured, guest)


async def test_a_revoked_user_stays_out_and_can_be_let_in_anew(
    secured: Secured, guest: Path, tmp_path: Path
) -> None:
    old = kept(guest, tmp_path)
    assert await is_let_in(secured, old)
    rotation.revoke(secured.auth.path, "guest", NOW)
    await put_in_force(secured)
    assert not await is_let_in(secured, old)
    assert not guest.exists()
    rotation.rotate(secured.auth.path, "guest", NOW)
    await put_in_force(secured)
    assert await is_let_in(secured, guest) and not await is_let_in(secured, old)


async def test_what_is_revoked_stays_so_when_the_server_comes_back(
    secured: Secured, guest: Path, tmp_path: Path
) -> None:
    old = kept(guest, tmp_path)
    rotation.rotate(secured.auth.path, "guest", NOW)
    rotation.revoke(secured.auth.path, "guest", NOW, old=True)
    await put_in_force(secured)
    await asyncio.to_thread(secured.server.restart)
    assert not await is_let_in(secured, old) and await is_let_in(secured, guest)


async def test_what_cannot_be_is_refused_and_changes_nothing(secured: Secured) -> None:
    path, before = secured.auth.path, secured.state
    with pytest.raises(NoSuchUser, match="nobody"):
        rotation.rotate(path, "nobody", NOW)
    with pytest.raises(NoSuchUser):
        rotation.revoke(path, "nobody", NOW)
    with pytest.raises(NothingToRevoke, match="no key before"):
        rotation.revoke(path, "other", NOW, old=True)
    if before.form is Form.STATIC:
        with pytest.raises(NoExpiry, match="--jwt"):
            rotation.rotate(path, "other", NOW, NOW + 60)
        with pytest.raises(WrongForm, match="by name"):
            rotation.rotate_role(path, "node", NOW)
    else:
        with pytest.raises(NothingToRevoke, match="rotate system"):
            rotation.revoke(path, SYSTEM, NOW)
        with pytest.raises(NothingToRevoke, match="rotate --role viewer"):
            rotation.revoke_role(path, "viewer", NOW)
    assert secured.state == before


@jwts_alone
async def test_a_signing_key_is_replaced_with_all_that_it_signed(
    secured: Secured, guest: Path, tmp_path: Path
) -> None:
    old = kept(guest, tmp_path)
    rotation.rotate_role(secured.auth.path, Role.VIEWER, NOW)
    assert not await is_let_in(secured, guest), "no server knows the new signing key yet"
    await put_in_force(secured)
    assert await is_let_in(secured, old) and await is_let_in(secured, guest)
    rotation.revoke_role(secured.auth.path, Role.VIEWER, NOW)
    await put_in_force(secured)
    assert not await is_let_in(secured, old) and await is_let_in(secured, guest)
    signers = list((secured.auth.path / "keys").glob("viewer-*"))
    assert len(signers) == 1


@jwts_alone
async def test_who_tells_servers_is_replaced_too(secured: Secured, tmp_path: Path) -> None:
    old = kept(secured.credentials(SYSTEM), tmp_path)
    rotation.rotate(secured.auth.path, SYSTEM, NOW)
    rotation.revoke(secured.auth.path, SYSTEM, NOW, old=True)
    await put_in_force(secured)
    with pytest.raises((Refused, ServerUnreachable), match="does not let us in"):
        await push(secured.settings(SYSTEM, old), [])


@dataclass(frozen=True)
class Moving:
    """One agent, whose credentials lie in a file of its own."""

    secured: Secured
    world: World
    agent: AgentProcess
    file: Path


@pytest.fixture(params=Form)
def moving(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Moving]:
    for name in NEEDED:
        need(name)
    with secured_ground(tmp_path / "ground", request.param) as (secured, world):
        file = kept(secured.credentials(NODE), tmp_path)
        with secured_agent(world, secured, NODE, file) as agent:
            yield Moving(secured, world, agent, file)


async def test_a_node_changes_its_key_and_loses_nothing(moving: Moving) -> None:
    """Containers end before its old key is revoked, just then, and after; each end is told, once,
    and its commands are taken throughout."""
    secured = moving.secured
    async with open_site(moving.world, moving.agent, secured.settings("ops")) as site:
        before, between, after = [await site.run_with_cues() for _ in range(3)]
        new = Path(rotation.rotate(secured.auth.path, NODE, NOW).credentials[NODE])
        await put_in_force(secured)
        replace(moving.file, new.read_text())
        await end(site, before)
        rotation.revoke(secured.auth.path, NODE, NOW, old=True)
        await put_in_force(secured)
        await end(site, between)
        # its end may have been told just before the server hung up
        await site.node.ping(unreachable_s=BOUND_S)
        await site.node.wait(between[0])
        await end(site, after)
        told = [event async for _, event in site.fleet.history(0)]
        await site.clear()
    assert not violations(told)
    ends = Counter(event.container for event in told if event.type == "exited")
    assert ends == Counter([name for name, _ in (before, between, after)])


async def end(site: Site, running: tuple[str, Cues]) -> None:
    name, cues = running
    cues.go()
    assert (await site.told.exit(name)).exit_code == 0
