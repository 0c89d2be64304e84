"""axe-core over every view of the page and over the report, and the page's weight and pace."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import chromium
import httpx
import pytest
import stand_in
from chromium import Chromium
from live import live
from served import SETTINGS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(chromium.find() is None, reason="Chromium is not installed"),
]
AXE = Path(__file__).parent / "axe" / "axe.min.js"
MAX_PAGE_BYTES = 300_000
MAX_FIRST_PAINT_MS = 1000
SHAPES = [(360, 740, False), (360, 740, True), (1280, 900, False), (1280, 900, True)]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with live(SETTINGS) as running:
        yield f"{running.url}/"


@pytest.fixture(params=SHAPES, ids=["phone", "phone, dark", "desktop", "desktop, dark"])
def browser(request: pytest.FixtureRequest) -> Iterator[Chromium]:
    with Chromium() as browser:
        width, height, dark = request.param
        browser.size(width, height, dark=dark)
        yield browser


def findings(browser: Chromium, where: str = "document") -> list[str]:
    """All violations that axe-core finds, of any impact, and elements that do not fit the width."""
    browser.run(f"{AXE.read_text()}; 0")
    seen = browser.run(
        f"axe.run({where}).then((r) => JSON.stringify(r.violations.map("
        "(v) => `${v.impact} ${v.id}: ${v.nodes.map((n) => n.html).slice(0, 3)}`)))"
    )
    wide = browser.run("document.documentElement.scrollWidth > innerWidth")
    return json.loads(seen) + (["wider than the screen"] if wide else [])


def view_is(view: str) -> str:
    return f"document.body.dataset.view === '{view}'"


def test_axe_finds_nothing_in_any_view(browser: Chromium, address: str, tmp_path: Path) -> None:
    found = {}
    browser.go(address)
    found["start"] = findings(browser)
    page = tmp_path / "page.png"
    page.write_bytes(stand_in.page("slower"))
    browser.choose("#file", page)
    browser.wait(view_is("prepare"))
    found["prepare"] = findings(browser)
    browser.run("document.querySelector('#options').requestSubmit()")
    found["working"] = findings(browser)
    browser.wait(view_is("result"))
    found["result"] = findings(browser, "{exclude: ['#report']}")
    browser.click("#correct")
    browser.wait(view_is("fix"))
    for tool in ("names", "trace", "corners", "scale"):
        browser.click(f"[name=tool][value={tool}]")
        if tool == "trace":
            browser.run("pick('1.1'), fix.drawn = [[30, 30], [40, 40]], keepStretch(false)")
        found[tool] = findings(browser)
    browser.run("state.after = 'fix', show('trouble')")
    found["trouble"] = findings(browser)
    assert found == {view: [] for view in found}


def test_axe_finds_nothing_in_the_report(browser: Chromium, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(stand_in.report())
    browser.go(path.as_uri())
    assert findings(browser) == []


def test_the_page_is_light_and_there_at_once(browser: Chromium, address: str) -> None:
    browser.go(address)
    browser.wait("performance.getEntriesByName('first-contentful-paint').length")
    paint = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
    assert browser.run(paint) < MAX_FIRST_PAINT_MS
    asked = browser.run("performance.getEntriesByType('resource').map((e) => e.name)")
    accept = {"Accept": "text/html", "Accept-Encoding": "identity"}
    parts = [httpx.get(url, headers=accept) for url in {address, *asked}]
    n_bytes = sum(len(part.content) + len(str(part.headers)) for part in parts)
    print(f"{n_bytes} bytes, first paint {browser.run(paint):.0f} ms")
    assert n_bytes < MAX_PAGE_BYTES
    assert all(url.startswith(address) for url in asked)
