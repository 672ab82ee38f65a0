"""The page without a mouse, on a phone, and read aloud; and what hostile words look like in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from semantic_memory import Fact
from semantic_memory.facts import Source
from tests.acceptance.test_page import HOSTILE, entered
from tests.browser import Tab, browser
from tests.http_server import Served, served

FOCUSED = "(one => [one.tagName, one.name || one.className || one.textContent])(document.activeElement)"
VIEWS = ("facts", "ask", "recalls", "timeline", "map", "health")
INTERACTIVE = {"button", "link", "textbox", "searchbox", "combobox", "spinbutton", "checkbox", "disclosuretriangle"}


@asynccontextmanager
async def looking(folder: Path, *texts: str) -> AsyncIterator[tuple[Tab, Served, list[Fact]]]:
    """A tab in which ada's memory is open, with these facts in it."""
    async with served(folder / "memory") as server, browser(folder / "profile") as tab:
        kept = await server.memory.user("ada").remember_all(texts)
        await entered(tab, server, await server.token("read", "write", user="ada"))
        yield tab, server, kept
        assert tab.complaints == []


async def test_facts_are_found_and_walked_without_a_mouse(tmp_path: Path) -> None:
    facts = ("The deploy target is Hetzner", "The deploy target number two is AWS", "Likes tea")
    async with looking(tmp_path, *facts) as (tab, _, _):
        await tab.press("/", text="/")
        await tab.call("Input.insertText", text="deploy")
        await tab.press("Enter", 13, "\r")
        await tab.wait("location.hash.includes('text=deploy') && document.querySelectorAll('.row').length === 2")
        await tab.wait("document.activeElement.type === 'search'")
        await tab.press("ArrowDown", 40)
        assert await tab.js("document.activeElement === document.querySelectorAll('.row')[0]")
        await tab.press("ArrowDown", 40)
        assert await tab.js("document.activeElement === document.querySelectorAll('.row')[1]")
        await tab.press("Enter", 13, "\r")
        await tab.wait("document.activeElement.tagName === 'H2'")


async def test_after_every_way_the_focus_is_where_one_reads_on(tmp_path: Path) -> None:
    """At the view's title or at its field; where a filter was changed, at that filter."""
    async with looking(tmp_path, "The deploy target is Hetzner") as (tab, _, _):
        for view in VIEWS:
            await tab.js(f"document.querySelector('nav a[href=\"#/{view}\"]').focus()")
            await tab.press("Enter", 13, "\r")
            await tab.wait(f"document.querySelector('.view.{view}') && document.querySelector('.view.{view} h1')")
            await tab.wait("document.querySelector('main').contains(document.activeElement)")
            tag, name = await tab.js(FOCUSED)
            assert (tag, name) == ("TEXTAREA", "query") if view == "ask" else tag == "H1", view
        await tab.open(f"{await tab.js('location.origin')}/#/facts")
        await tab.wait("document.querySelector('select[name=status]')")
        await tab.js(
            "(one => { one.focus(); one.value = 'any'; one.dispatchEvent(new Event('change', "
            "{ bubbles: true })); })(document.querySelector('select[name=status]'))"
        )
        await tab.wait("location.hash.includes('any')")
        await tab.wait("document.activeElement.name === 'status' && document.activeElement.value === 'any'")


async def test_a_page_of_facts_says_which_they_are(tmp_path: Path) -> None:
    async with looking(tmp_path, *(f"Number {n} is a number" for n in range(130))) as (tab, server, _):
        hint = "document.querySelector('.list .hint').textContent"
        assert await tab.js(hint) == "1 to 100, and more"
        await tab.click("Older", ".list")
        await tab.wait(f"{hint} === '101 to 130'")
        await tab.click("Newer", ".list")
        await tab.wait(f"{hint} === '1 to 100, and more'")
        await tab.open(f"{server.url}/#/facts?text=129")
        await tab.wait(f"{hint} === '1 fact'")


async def test_a_long_statement_can_be_corrected_as_it_is(tmp_path: Path) -> None:
    async with looking(tmp_path, "word " * 1500 + "end") as (tab, server, [fact]):
        await tab.open(f"{server.url}/#/facts/{fact.id}")
        await tab.click("Correct", "article")
        field = "document.querySelector('dialog textarea[name=text]')"
        await tab.wait(field)
        assert await tab.js(f"[{field}.value.length, {field}.maxLength]") == [len(fact.text), 8000]
        await tab.js(f"{field}.value = {field}.value.replace('end', 'finish')")
        await tab.click("Correct", "dialog")
        await tab.sees("finish")
        assert [one.text[-6:] for one in await server.memory.user("ada").facts()] == ["finish"]


async def test_hostile_words_are_dead_on_the_map_too(tmp_path: Path) -> None:
    async with looking(tmp_path, HOSTILE, "Likes " + "\U0001f600" * 40) as (tab, server, _):
        await tab.open(f"{server.url}/#/map")
        await tab.wait("document.querySelectorAll('.plane a').length === 2")
        labels = await tab.js("[...document.querySelectorAll('.plane a')].map(one => one.getAttribute('aria-label'))")
        assert [label for label in labels if "\u202e" in label] == []
        assert [label for label in labels if "\\u{202e}evil" in label]
        await tab.js("[...document.querySelectorAll('.plane a')].find(one => one.ariaLabel.includes('evil')).focus()")
        shown = await tab.js("document.querySelector('.map-label').textContent")
        assert ("\u202e" in shown, "\\u{202e}evil" in shown) == (False, True)
        named = await tab.js("[...document.querySelectorAll('.plane text')].map(one => one.textContent)")
        assert [text for text in named if not text.isprintable()] == [], "no half of a pair is left of an emoji"
        assert await tab.js("document.querySelectorAll('main img, main script').length") == 0
        assert await tab.js("document.title") == "Map · Semantic memory"


@pytest.fixture
async def filled(tmp_path: Path) -> AsyncIterator[tuple[Tab, list[str]]]:
    """A tab, and the address of every view, with long words without a gap in each."""
    long = "x" * 300
    async with served(tmp_path / "memory", min_relevance=0.0) as server, browser(tmp_path / "profile") as tab:
        ada = server.memory.user("ada")
        old = await ada.remember(f"The deploy target is {long}", source=Source(session_id=long, agent=long, run_id="r"))
        new = await ada.correct(old.id, f"The deploy target is now {long}", reason=long)
        await ada.remember_quoted(f"Wire money to {long}", long, None, Source(agent=long))
        recall = await ada.recall(f"the deploy target {long}", source="api")
        token = await server.token("read", "write", "admin")
        await entered(tab, server, token, user="ada")
        paths = [*VIEWS, f"facts/{old.id}", f"facts/{new.id}", f"recalls/{recall.receipt_id}", "recalls?run_id=r"]
        yield tab, [f"{server.url}/#/{path}" for path in (*paths, "timeline?all=1", "ask?q=deploy+target")]
        assert tab.complaints == []


async def shown(tab: Tab, address: str) -> None:
    await tab.open("about:blank")
    await tab.open(address)
    await tab.wait("document.querySelector('main h1, main h2') && !document.querySelector('[aria-busy]')")


async def test_no_view_is_wider_than_a_phone(filled: tuple[Tab, list[str]]) -> None:
    tab, addresses = filled
    await tab.call("Emulation.setDeviceMetricsOverride", width=360, height=740, deviceScaleFactor=2, mobile=True)
    for address in addresses:
        await shown(tab, address)
        assert await tab.js("innerWidth") == 360, address
        assert await tab.js("document.documentElement.scrollWidth <= innerWidth"), address
        current = "document.querySelector('nav [aria-current]').getBoundingClientRect()"
        assert await tab.js(f"{current}.left >= 0 && {current}.right <= innerWidth"), address


async def test_everything_that_can_be_used_has_a_name_to_be_read_aloud(filled: tuple[Tab, list[str]]) -> None:
    tab, addresses = filled
    seen = set()
    for address in addresses:
        await shown(tab, address)
        nodes = (await tab.call("Accessibility.getFullAXTree"))["nodes"]
        for node in nodes:
            role = node.get("role", {}).get("value", "").lower()
            if role in INTERACTIVE and not node.get("ignored"):
                seen.add(role)
                assert node.get("name", {}).get("value", "").strip(), (address, node)
    assert seen >= {"button", "link", "searchbox", "combobox", "textbox"}
