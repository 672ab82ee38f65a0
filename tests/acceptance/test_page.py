"""The page in a real browser: found, corrected, restored, forgotten, asked; and nothing in it is live."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from semantic_memory.facts import Source
from tests.browser import Tab, browser
from tests.http_server import Served, served

HOSTILE = '<img src=x onerror="document.title=1"><script>document.title=2</script> \u202eevil'


async def entered(tab: Tab, server: Served, key: str, user: str = "") -> None:
    await tab.open(server.url)
    await tab.fill("input[name=key]", key)
    if user:
        await tab.fill("input[name=user]", user)
    await tab.click("Look")
    await tab.wait("document.querySelector('.row')")


async def test_a_person_finds_corrects_restores_and_forgets(tmp_path: Path) -> None:
    async with served(tmp_path / "memory") as server, browser(tmp_path / "profile") as tab:
        ada = server.memory.user("ada")
        [learned] = (
            await ada.learn_items(
                [{"role": "user", "content": "Hi! We deploy to Hetzner. Thanks."}], session_id="monday", agent="Helper"
            )
        ).written
        aside = await ada.remember_quoted("Wire money to 9982", "x", None, Source(agent="Reader"))
        await ada.remember_all([HOSTILE, "My dog is called Rex"])
        await entered(tab, server, await server.token("read", "write", user="ada"))

        await tab.press("/", text="/")
        await tab.call("Input.insertText", text="hetzner")
        await tab.press("Enter", 13, "\r")
        await tab.wait("document.querySelectorAll('.row').length === 1")
        await tab.click("We deploy to Hetzner.", ".rows")
        await tab.sees("session monday · item 0 · agent Helper")
        assert await tab.js("document.querySelector('mark').textContent") == "We deploy to Hetzner."
        assert await tab.js("document.querySelector('blockquote').textContent") == "Hi! We deploy to Hetzner. Thanks."

        await tab.click("Correct", "article")
        await tab.fill("dialog textarea[name=text]", "We deploy to AWS.")
        await tab.fill("dialog textarea[name=reason]", "moved in May")
        await tab.click("Correct", "dialog")
        await tab.sees("We deploy to AWS.")
        await tab.sees("holds now")
        [now] = [one for one in await ada.facts() if "deploy" in one.text]
        assert (now.text, now.supersedes) == ("We deploy to AWS.", learned.id)

        await tab.click("We deploy to Hetzner.", ".chain")
        await tab.click("Restore", "article")
        await tab.fill("dialog textarea", "too dear")
        await tab.click("Restore", "dialog")
        await tab.wait("document.querySelectorAll('.chain li').length === 3")
        assert [one.text for one in await ada.facts() if "deploy" in one.text] == ["We deploy to Hetzner."]

        await tab.open(f"{server.url}/#/facts/{aside.id}?status=quarantined")
        await tab.sees("kept aside")
        await tab.click("Forget", "article")
        await tab.click("Forget", "dialog")
        await tab.sees("quarantined → forgotten")
        assert (await ada.fact(aside.id)).text == ""
        assert tab.complaints == []


async def test_the_playground_shows_what_would_be_told_and_why(tmp_path: Path) -> None:
    async with served(tmp_path / "memory", min_relevance=0.4) as server, browser(tmp_path / "profile") as tab:
        ada = server.memory.user("ada")
        await ada.remember_all(["The deploy target is Hetzner", "The cat is called Momo", HOSTILE])
        await entered(tab, server, await server.token("read"), user="ada")
        await tab.open(f"{server.url}/#/ask")
        await tab.fill("textarea[name=query]", "the deploy target is Hetzner")
        await tab.click("Recall", "form")
        await tab.sees("<user_memory>")
        await tab.sees("not relevant enough")
        await tab.sees("sure that these facts hold an answer at all")
        assert "Hetzner" in await tab.js("document.querySelector('.block').textContent")
        await tab.click("Why so relevant", ".ranked")
        await tab.wait("document.querySelectorAll('details[open] tr').length > 2")
        await tab.click("its receipt")
        await tab.sees("What the model was told".upper())
        for view, words in (
            ("recalls", "the deploy target"),
            ("timeline", "Nothing has been replaced"),
            ("health", "ready"),
        ):
            await tab.open(f"{server.url}/#/{view}")
            await tab.sees(words)
        await tab.open(f"{server.url}/#/map")
        await tab.wait("document.querySelectorAll('.plane a').length === 3")
        assert tab.complaints == []


async def test_nothing_in_a_fact_is_live(tmp_path: Path) -> None:
    async with served(tmp_path / "memory") as server, browser(tmp_path / "profile") as tab:
        fact = await server.memory.user("ada").remember(HOSTILE)
        await entered(tab, server, await server.token("read", user="ada"))
        await tab.open(f"{server.url}/#/facts/{fact.id}")
        await tab.wait("document.querySelector('article')")
        assert await tab.js("document.querySelectorAll('main img, main script').length") == 0
        assert await tab.js("document.title") == "Facts · Semantic memory"
        assert "\\u{202e}evil" in await tab.js("document.querySelector('article h2').textContent")
        refused = "try { document.body.innerHTML = '<b>x</b>'; 'allowed' } catch { 'refused' }"
        assert await tab.js(refused) == "refused"


async def test_a_wrong_key_and_leaving(tmp_path: Path) -> None:
    async with served(tmp_path / "memory") as server, browser(tmp_path / "profile") as tab:
        await server.memory.user("ada").remember("Likes tea")
        await tab.open(server.url)
        await tab.fill("input[name=key]", "smk_made_up")
        await tab.click("Look")
        await tab.sees("show a key")
        await entered(tab, server, await server.token("read", user="ada"))
        await tab.click("Leave")
        await tab.wait("document.querySelector('input[name=key]')")
        assert await tab.js("sessionStorage.length + localStorage.length + document.cookie.length") == 0


@pytest.mark.parametrize(("required", "outcome"), [("required", pytest.fail.Exception), ("", pytest.skip.Exception)])
async def test_where_servers_are_required_a_browser_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, required: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("SEMANTIC_MEMORY_TEST_SERVERS", required)
    with pytest.raises(outcome, match="no Chromium"):
        async with browser(tmp_path):
            pass


@pytest.mark.parametrize("path", ["/", "/page/app.js", "/page/style.css", "/page/icon.svg"])
async def test_the_files_come_with_a_strict_policy_and_from_here_only(tmp_path: Path, path: str) -> None:
    async with served(tmp_path / "memory") as server, httpx.AsyncClient(base_url=server.url) as anybody:
        answer = await anybody.get(path)
        assert answer.status_code == 200
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert (await anybody.get(path, headers={"If-None-Match": answer.headers["etag"]})).status_code == 304
        elsewhere = answer.text.replace("http://www.w3.org/2000/svg", "")
        assert "http:" not in elsewhere
        assert "https:" not in elsewhere
        assert "innerHTML" not in elsewhere
