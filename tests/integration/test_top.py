"""`top` as an operator sees it: once in a pipe, its keys, and its screen in a real terminal."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from tests.integration.bounds import bounded
from tests.integration.cli_kit import ENTRY, environment, typed
from tests.integration.fifos import shell
from tests.integration.watching import Seen, comes_to_be_as_listed
from tests.integration.world import Site, kill, start, stop
from tests.support.screen import Screen, open_screen
from textual.pilot import Pilot
from textual.widgets import Input, Static

from wharfside_client.cli.top.board import Look, Row, Sort
from wharfside_client.cli.top.feed import Feed
from wharfside_client.cli.top.table import Table
from wharfside_client.cli.top.view import Top
from wharfside_protocol.errors import WharfsideError
from wharfside_protocol.specs import Limits

BUSY = shell("while :; do :; done")
INTERVAL_S = 0.2


async def two(site: Site) -> tuple[str, str]:
    """One that uses all the CPU it may, and one that sleeps."""
    busy = await site.run(BUSY, name=site.name("busy"), limits=Limits(cpu_percent=20))
    idle = await site.run(name=site.name("idle"), labels={"team": "a"})
    for each in (busy, idle):
        await site.told.event(each, "started")
    return busy, idle


@asynccontextmanager
async def opened(site: Site, **look: object) -> AsyncIterator[Pilot[WharfsideError | None]]:
    """The live table without a terminal; textual's own pilot presses the keys."""
    async with site.fleet.watch() as watch:
        await anext(watch)
        # what was just run may not be in the stream yet, and what was deleted still be there
        await comes_to_be_as_listed(site.fleet, Seen(watch), site.agent.name)
        app = Top(Feed(site.fleet, watch, INTERVAL_S), Look(**look), INTERVAL_S)  # type: ignore[arg-type]
        async with app.run_test(size=(100, 20)) as pilot:
            yield pilot


def rows(pilot: Pilot[WharfsideError | None]) -> list[Row]:
    table: Table[Row] = pilot.app.query_one("#containers", Table)
    return list(table.on_screen)


def names(pilot: Pilot[WharfsideError | None]) -> list[str]:
    return [row.view.container for row in rows(pilot)]


def status(pilot: Pilot[WharfsideError | None]) -> str:
    return str(pilot.app.query_one("#status", Static).render())


async def until(pilot: Pilot[WharfsideError | None], seen: Callable[[], object], what: str) -> None:
    async def look() -> None:
        while not seen():
            await pilot.pause(0.02)

    await bounded(look(), f"{what}; {names(pilot)}")


async def test_in_a_pipe_it_is_one_table_with_two_samples(site: Site) -> None:
    busy, idle = await two(site)
    over = await site.run(shell("exit 3"))
    await site.told.exit(over)
    ran = await typed(site.world.server.url, "top", "-i", "0.5", "--sort", "cpu")
    assert (ran.code, ran.err) == (0, "")
    nodes, containers = ran.out.split("\n\n")
    head, *told = [line.split() for line in containers.splitlines()]
    assert head[:4] == ["CONTAINER", "CPU%", "MEM/LIMIT", "PIDS"]
    assert [words[0] for words in told] == [f"n1/{busy}", f"n1/{idle}"], "not what has ended"
    # on a busy machine it may get less than it may use
    assert float(told[1][1]) < float(told[0][1]) <= 40
    assert nodes.splitlines()[1].split()[0] == "n1"


async def test_json_has_figures_states_and_last_events(site: Site) -> None:
    _busy, idle = await two(site)
    over = await site.run(shell("exit 3"))
    await site.told.exit(over)
    ran = await typed(site.world.server.url, "top", "--json", "--all", "-i", "0.5", "n1")
    document = ran.json
    assert document["unanswered"] == []
    (node,) = document["nodes"]
    assert (node["node"], node["standing"], node["running"]) == ("n1", "up", 2)
    assert node["cpu_percent"] > 0 and node["usage"]["memory_bytes"] > 0
    told = {each["container"]: each for each in document["containers"]}
    assert told[idle]["usage"]["pids"] == 1
    assert told[idle]["last_event"]["type"] == "started"
    assert (told[over]["usage"], told[over]["cpu_percent"]) == (None, None)
    assert told[over]["last_event"]["type"] == "exited"
    assert told[over]["exit"]["exit_code"] == 3


async def test_a_node_that_nobody_has_heard_of_is_told(site: Site) -> None:
    ran = await typed(site.world.server.url, "top", "-i", "0.5", "n1", "n7")
    assert ran.code == 125
    assert ran.err.startswith("wharfside: n7 told no figures: no agent of node n7 is connected")
    assert "n1 " in ran.out


async def test_an_exec_is_a_last_event_though_it_changes_nothing(site: Site) -> None:
    name = await site.run()
    async with opened(site) as pilot:
        await site.node.exec(name, site.spec("x", shell("exit 0")).process)  # type: ignore[arg-type]
        await until(
            pilot,
            lambda: [row.event and row.event.type for row in rows(pilot)] == ["exited"],
            "the exec's end",
        )
        assert rows(pilot)[0].event.process != "init"  # type: ignore[union-attr]


async def test_keys_sort_and_turn_the_order(site: Site) -> None:
    busy, idle = await two(site)
    async with opened(site, sort=Sort.NAME) as pilot:
        await until(
            pilot,
            lambda: all(row.figures and row.figures.cpu_percent is not None for row in rows(pilot)),
            "figures of both",
        )
        await pilot.press("n")
        assert names(pilot) == [idle, busy], "by name, the other way round"
        await pilot.press("c")
        # in one sample or another the busy one may have had no CPU
        await until(pilot, lambda: names(pilot) == [busy, idle], "the busy one first")
        await pilot.press("c")
        await until(pilot, lambda: names(pilot) == [idle, busy], "the idle one first")
        for key in ("m", "p", "i", "r", "s", "g", "e"):
            await pilot.press(key)
            assert sorted(names(pilot)) == [busy, idle]


async def test_what_is_typed_after_a_slash_filters_and_letters_are_no_keys_there(
    site: Site,
) -> None:
    busy, idle = await two(site)
    async with opened(site) as pilot:
        await pilot.press("slash", *"dl", "backspace", "backspace", *"bus")
        assert names(pilot) == [busy]
        await pilot.press("enter")
        assert names(pilot) == [busy]
        assert not pilot.app.query_one("#filter", Input).display
        await pilot.press("escape")
        assert names(pilot) == [busy, idle]
        await pilot.press("slash", *"team=a", "enter")
        assert names(pilot) == [idle]
        await pilot.press("slash", *" nothing", "escape")
        assert names(pilot) == [busy, idle]


async def test_a_node_that_is_chosen_is_the_filter(site: Site) -> None:
    await two(site)
    async with opened(site) as pilot:
        await pilot.press("tab", "enter")
        assert pilot.app._look.filter == "n1/"  # type: ignore[attr-defined]
        assert len(names(pilot)) == 2


async def test_a_pause_holds_the_screen_and_misses_nothing(site: Site) -> None:
    first = await site.run()
    async with opened(site) as pilot:
        await pilot.press("space")
        second = await site.run()
        await site.told.event(second, "started")
        await pilot.press("n")
        assert names(pilot) == [first]
        await pilot.press("space")
        await until(pilot, lambda: len(names(pilot)) == 2, "the second, too")


async def test_those_that_have_ended_come_with_a(site: Site) -> None:
    over = await site.run(shell("exit 3"))
    await site.node.wait(over)
    await site.told.event(over, "exited")
    async with opened(site) as pilot:
        await until(pilot, lambda: names(pilot) == [], "only those that live")
        await pilot.press("a")
        await until(pilot, lambda: names(pilot) == [over], "the other, too")


async def test_the_cursor_stays_with_its_container(site: Site) -> None:
    busy, idle = await two(site)
    async with opened(site) as pilot:
        table: Table[Row] = pilot.app.query_one("#containers", Table)
        await pilot.press("down")
        assert table.current is not None and table.current.view.container == idle
        await site.run(name=site.name("early"))  # between them, by name
        await until(pilot, lambda: len(names(pilot)) == 3, "a third")
        assert table.current is not None and table.current.view.container == idle
        await pilot.press("home")
        assert table.current.view.container == busy
        await pilot.press("end", "end", "pagedown")
        assert table.current is not None and table.current.view.container == idle


async def test_a_node_that_does_not_answer_is_told_and_its_figures_go(own: Site) -> None:
    await start(own.agent)
    await own.listed()
    name = await own.run()
    async with opened(own) as pilot:
        await until(pilot, lambda: rows(pilot) and rows(pilot)[0].figures, "figures")
        await kill(own.agent)
        await until(pilot, lambda: "no figures of" in status(pilot), "that it does not answer")
        assert names(pilot) == [name], "what the bus told stays"
        await start(own.agent)
        await until(pilot, lambda: "no figures of" not in status(pilot), "answers again")
        await own.node.delete(name, force=True)
    await stop(own.agent)


@pytest.mark.parametrize(("rows", "columns"), [(24, 80), (50, 200)])
async def test_its_screen_in_a_terminal(site: Site, rows: int, columns: int) -> None:
    busy, idle = await two(site)
    env = environment(site.world.server.url) | {"COLUMNS": "", "LINES": ""}
    async with open_screen(
        ENTRY, ("top", "-i", "0.5"), env=env, rows=rows, columns=columns
    ) as screen:

        def drawn() -> bool:
            """Whole: what is written to a terminal comes piece by piece."""
            heads = [at for at, line in enumerate(screen.lines[:-3]) if "LAST EVENT" in line]
            if not heads or _cpu(screen, busy) <= 5:
                return False
            first, second = screen.lines[heads[0] + 1 :][:2]
            by_cpu = first.startswith(f"n1/{busy}") and second.startswith(f"n1/{idle}")
            return by_cpu and f"n1/{busy}" in screen.lines[-2] and "q quit" in screen.lines[-1]

        await screen.until(drawn, "what the busy one uses, first by CPU")
        assert all(len(line) <= columns for line in screen.lines)
        screen.send("/idle\r")
        await screen.until(lambda: "filter idle" in screen.lines[0], "the filter")
        await site.node.pause(idle)
        await screen.shows("paused")
        screen.resize(30, 100)
        await screen.until(lambda: "q quit" in screen.lines[-1], "the whole of another size")
        screen.send("q")
        assert await screen.ended() == 0


async def test_without_textual_it_is_a_table_and_says_what_is_missing(site: Site) -> None:
    name = await site.run()
    script = "import sys; sys.modules['textual'] = None; " + ENTRY
    env = environment(site.world.server.url) | {"COLUMNS": "", "LINES": ""}
    async with open_screen(script, ("top", "-i", "0.5"), env=env) as screen:
        assert await screen.ended() == 0
        assert "wharfside[top]" in screen.text
        assert any(line.startswith(f"n1/{name}") for line in screen.lines)


async def test_ctrl_c_ends_it_too(site: Site) -> None:
    env = environment(site.world.server.url) | {"COLUMNS": "", "LINES": ""}
    async with open_screen(ENTRY, ("top",), env=env) as screen:
        await screen.shows("q quit")
        screen.send("\x03")
        assert await screen.ended() == 0


async def test_without_a_server_it_says_so_and_draws_nothing() -> None:
    async with open_screen(ENTRY, ("top",), env=environment("nats://127.0.0.1:1")) as screen:
        assert await screen.ended() == 125
        assert "no NATS server" in screen.text
        assert b"\x1b[?1049h" not in screen.raw


def _cpu(screen: Screen, name: str) -> float:
    """What its line says; 0 where it says nothing yet."""
    for line in screen.lines[:-2]:  # below them the same name stands in the detail line
        words = line.split()
        if words[:1] == [f"n1/{name}"] and words[1] != "-":
            return float(words[1])
    return 0.0
