"""The whole path in a real browser: choose, turn, read, look, correct, download, delete."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import chromium
import pytest
import stand_in
from chromium import Chromium
from live import live
from served import SETTINGS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(chromium.find() is None, reason="Chromium is not installed"),
]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with live(SETTINGS) as running:
        yield f"{running.url}/"


@pytest.fixture(params=[(360, 740, False), (1280, 900, True)], ids=["phone", "desktop, dark"])
def browser(request: pytest.FixtureRequest) -> Iterator[Chromium]:
    with Chromium() as browser:
        width, height, dark = request.param
        browser.size(width, height, dark=dark)
        yield browser


def page_file(folder: Path, act: str = "report") -> Path:
    path = folder / "page.png"
    path.write_bytes(stand_in.page(act))
    return path


def view_is(view: str) -> str:
    return f"document.body.dataset.view === '{view}'"


ASKED = "fetch(`/v1/ecg/${state.id}`).then((r) => r.json()).then((r) => r.options)"
IN_REPORT = "document.getElementById('report').contentDocument"


def test_the_whole_path(browser: Chromium, address: str, tmp_path: Path) -> None:
    browser.keep_downloads(tmp_path)
    browser.go(address)
    assert browser.run("document.documentElement.scrollWidth <= innerWidth")
    browser.choose("#file", page_file(tmp_path))
    browser.wait(view_is("prepare"))
    browser.click("#right")
    browser.run("document.querySelector('.handle.nw').focus()")
    browser.press("ArrowRight")
    assert browser.run("state.turn") == 1
    assert browser.run("state.crop[0]") == pytest.approx(0.01)
    browser.run("$('options').age.value = 61, $('options').sex.value = 'F'")
    browser.run("document.querySelector('#options').requestSubmit()")
    browser.wait(view_is("result"))
    asked = {"explain": True, "page": 1, "age": 61, "sex": "F", "exports": ["pdf"]}
    assert browser.run(ASKED) == asked

    browser.wait(f"{IN_REPORT}.querySelector('.sentence')")
    assert browser.run(f"{IN_REPORT}.documentElement.scrollWidth <= innerWidth")
    browser.run(f"{IN_REPORT}.querySelector('.sentence').click()")
    browser.wait(f"{IN_REPORT}.querySelector('.lens svg use')")
    assert browser.run(f"{IN_REPORT}.querySelectorAll('.cited.lit').length") == 1
    assert "V1" in browser.run(f"{IN_REPORT}.querySelector('.lens p').textContent")

    first = browser.run("state.id")
    first = browser.run("state.id")
    browser.click("#correct")
    browser.wait(view_is("fix"))
    browser.run("choose_ = document.getElementById('name-1.2')")
    browser.run("choose_.value = 'aVL', choose_.dispatchEvent(new Event('change'))")
    browser.click("[name=tool][value=scale]")
    assert browser.run("$('scale').age.value") == "61"
    browser.run("$('scale').age.value = 62, $('scale').gain.value = 5")
    browser.run("$('scale').dispatchEvent(new Event('input'))")
    assert browser.run("$('fix-said').textContent") == "3 corrections."
    browser.click("#fix-go")
    browser.wait(f"state.id !== '{first}' && {view_is('result')}")
    said = browser.run(ASKED)
    assert said["correction"] == {"gain": 5, "names": {"1.2": "aVL"}}
    assert (said["age"], said["sex"]) == (62, "F")

    browser.click("[data-get='signals.csv']")
    deadline = time.monotonic() + 20
    while not (tmp_path / "ecg-signals.csv").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert (tmp_path / "ecg-signals.csv").read_text() == "I,II\n"

    last = browser.run("state.id")
    browser.click("#forget")
    browser.wait(view_is("start"))
    assert browser.run("[...new FormData($('options')).values()].join('')") == "1"
    assert browser.complaints() == []
    assert browser.run(f"fetch('/v1/ecg/{last}').then((r) => r.status)") == 404


def reload(browser: Chromium) -> None:
    """Load the page anew, and wait until it is another one than before."""
    browser.run("window.before = true")
    browser.call("Page.reload")
    browser.wait("document.readyState === 'complete' && !window.before")


def test_reload_and_back_keep_the_result(browser: Chromium, address: str, tmp_path: Path) -> None:
    browser.go(address)
    browser.choose("#file", page_file(tmp_path))
    browser.wait(view_is("prepare"))
    browser.run("document.querySelector('#options').requestSubmit()")
    browser.wait(view_is("result"))
    identifier = browser.run("state.id")
    reload(browser)
    browser.wait(view_is("result"))
    assert browser.run("state.id") == identifier
    browser.click("#again")
    browser.wait(view_is("start"))
    browser.run("history.back()")
    browser.wait(f"{view_is('result')} && state.id === '{identifier}'")
    browser.run(f"fetch('/v1/ecg/{identifier}', {{ method: 'DELETE' }})")
    reload(browser)
    browser.wait(view_is("trouble"))
    assert "no longer kept" in browser.run("$('trouble-heading').textContent")


def test_the_example_can_be_tried(browser: Chromium, address: str) -> None:
    browser.go(address)
    browser.click("#example")
    browser.wait(view_is("prepare"))
    assert browser.run("state.bitmap.width") > 1000


@pytest.fixture
def fixing(browser: Chromium, address: str, tmp_path: Path) -> Chromium:
    """The browser where a page has been read and is being corrected."""
    browser.go(address)
    browser.choose("#file", page_file(tmp_path, "answer"))
    browser.wait(view_is("prepare"))
    browser.run("document.querySelector('#options').requestSubmit()")
    browser.wait(view_is("result"))
    browser.click("#correct")
    browser.wait(view_is("fix"))
    return browser


def corrected(browser: Chromium) -> dict[str, object]:
    """Apply; what the service was told."""
    before = browser.run("state.id")
    browser.click("#fix-go")
    browser.wait(f"state.id !== '{before}' && {view_is('result')}")
    assert browser.complaints() == []
    return browser.run(ASKED)["correction"]


def on_screen(browser: Chromium, x: float, y: float) -> tuple[float, float]:
    """Where a px of the page stands on the screen."""
    box = browser.run("(({x, y, width}) => [x, y, width])($('ink').getBoundingClientRect())")
    scale = box[2] / stand_in.PAGE["page"]["width"]
    return box[0] + x * scale, box[1] + y * scale


def pointer(browser: Chromium, kind: str, x: float, y: float, touch: bool) -> None:
    if touch:
        points = [] if kind == "up" else [{"x": x, "y": y}]
        name = {"down": "touchStart", "move": "touchMove", "up": "touchEnd"}[kind]
        browser.call("Input.dispatchTouchEvent", type=name, touchPoints=points)
    else:
        name = {"down": "mousePressed", "move": "mouseMoved", "up": "mouseReleased"}[kind]
        browser.call("Input.dispatchMouseEvent", type=name, x=x, y=y, button="left", clickCount=1)


@pytest.mark.parametrize("touch", [False, True], ids=["mouse", "touch"])
def test_a_stretch_is_redrawn(fixing: Chromium, touch: bool) -> None:
    fixing.click("[name=tool][value=trace]")
    fixing.run("$('segment').value = '2.3', $('segment').dispatchEvent(new Event('change'))")
    drawn = [(230 + 5 * i, 90 + (i % 2) * 4) for i in range(8)]
    places = [on_screen(fixing, *point) for point in drawn]
    pointer(fixing, "down", *places[0], touch)
    for place in places[1:]:
        pointer(fixing, "move", *place, touch)
    pointer(fixing, "up", *places[-1], touch)
    fixing.click("#keep")
    (told,) = corrected(fixing)["redraw"]
    assert told["segment"] == "2.3"
    assert len(told["points"]) == len(drawn)
    for (x, y), (told_x, told_y) in zip(drawn, told["points"], strict=True):
        assert (told_x, told_y) == pytest.approx((x, y), abs=1.0)


def test_a_stretch_is_redrawn_or_left_out_by_keyboard(fixing: Chromium) -> None:
    fixing.click("[name=tool][value=trace]")
    for leave_out in (False, True):
        fixing.run("$('segment').value = '1.2', $('segment').dispatchEvent(new Event('change'))")
        fixing.click("#by-key")
        for key in ("Enter", "ArrowRight", "ArrowRight", "Enter", "ArrowUp", "Enter", "Backspace"):
            fixing.press(key)
        assert fixing.run("fix.drawn.length") == 2
        fixing.click("#blank" if leave_out else "#keep")
    assert fixing.run("document.querySelectorAll('#stretches li').length") == 2
    drawn, left_out = corrected(fixing)["redraw"]
    assert drawn["points"][1][0] > drawn["points"][0][0]
    assert left_out["points"] is None
    assert left_out["x"] == [drawn["points"][0][0], drawn["points"][1][0]]


def test_corners_are_moved_and_the_page_turned(fixing: Chromium) -> None:
    fixing.click("[name=tool][value=corners]")
    fixing.run("document.querySelector('.corner').focus()")
    fixing.press("ArrowRight")
    x, y = on_screen(fixing, 390, 190)
    pointer(fixing, "down", x, y, False)
    pointer(fixing, "move", *on_screen(fixing, 380, 180), False)
    pointer(fixing, "up", *on_screen(fixing, 380, 180), False)
    fixing.click("#corners-right")
    corners = corrected(fixing)["corners"]
    assert corners[0] == pytest.approx([10, 190], abs=0.1)
    assert corners[1] == pytest.approx([11.6, 10], abs=0.1)
    assert corners[3] == pytest.approx([380, 180], abs=2.0)


def test_two_traces_of_one_name_are_noticed_and_taken_back(fixing: Chromium) -> None:
    first = fixing.run("state.id")
    fixing.run("rename(segmentOf('1.1'), 'V6')")
    assert "V6" in fixing.run("$('twice').textContent")
    assert corrected(fixing)["names"] == {"1.1": "V6"}
    fixing.click("#correct")
    fixing.wait(view_is("fix"))
    fixing.click("#fix-first")
    fixing.wait(f"state.id === '{first}' && {view_is('result')}")


def test_a_page_that_is_no_ecg_says_what_to_do(
    browser: Chromium, address: str, tmp_path: Path
) -> None:
    browser.go(address)
    browser.choose("#file", page_file(tmp_path, "refuse"))
    browser.wait(view_is("prepare"))
    browser.run("document.querySelector('#options').requestSubmit()")
    browser.wait(view_is("trouble"))
    assert browser.run("document.getElementById('trouble-message').textContent") == "No ECG."
    assert "Photograph" in browser.run("document.getElementById('trouble-hint').textContent")
    browser.click("#retry")
    browser.wait(view_is("prepare"))


def test_a_picture_that_is_too_large_is_sent_smaller(browser: Chromium, address: str) -> None:
    browser.go(address)
    browser.run("big = document.createElement('canvas'), big.width = 9000, big.height = 8000, 0")
    browser.run("state.file = new File([''], 'x.png', {type: 'image/png'}), state.bitmap = big, 0")
    size = browser.run(
        "prepared().then((f) => createImageBitmap(f)).then((b) => [b.width, b.height])"
    )
    assert size[0] * size[1] <= 16_100_000
    assert size[0] / size[1] == pytest.approx(9 / 8, rel=0.01)


def test_the_report_works_from_disk_under_its_own_policy(browser: Chromium, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(stand_in.report())
    browser.go(path.as_uri())
    browser.click(".sentence")
    browser.wait("document.querySelector('.lens svg use')")
    assert [c for c in browser.complaints() if c != path.as_uri()] == []


def test_the_scripts_speak_the_pages_language(browser: Chromium, address: str) -> None:
    browser.call("Network.setExtraHTTPHeaders", headers={"Accept-Language": "de"})
    try:
        browser.go(address)
        assert browser.run("document.querySelector('h1').textContent") == "Ein EKG auf Papier lesen"
        said = browser.run("t('{} pages ahead', 3)")
        assert said == "3 Seiten sind vorher dran"
        assert browser.run("document.documentElement.scrollWidth <= innerWidth")
    finally:
        browser.call("Network.setExtraHTTPHeaders", headers={})


def test_the_shell_is_kept_and_nothing_else(browser: Chromium, address: str) -> None:
    browser.go(address)
    assert browser.run("navigator.serviceWorker.ready.then(() => true)")
    browser.run("fetch('/v1/ecg/x').then((r) => r.status)")
    names = browser.run(
        "caches.open('ecg4u-shell-4').then((c) => c.keys()).then((k) => k.map((r) => r.url))"
    )
    assert {address, f"{address}static/app.js", f"{address}static/app.css"} <= set(names)
    assert not any("/v1" in name for name in names)


def test_traces_and_classes_are_shown_before_the_reasons(tmp_path: Path) -> None:
    with live(SETTINGS) as running, Chromium() as browser:
        browser.size(360, 740)
        browser.go(f"{running.url}/")
        browser.choose("#file", page_file(tmp_path, "streams"))
        browser.wait(view_is("prepare"))
        browser.run("document.querySelector('#options').requestSubmit()")
        browser.wait("!$('early-summary').hidden && $('early').querySelector('path')")
        assert browser.run("$('early').getBoundingClientRect().height") > 50
        assert browser.run(view_is("working"))
        assert "Atrial fibrillation (likely)" in browser.run("$('early-summary').textContent")
        assert browser.run("document.documentElement.scrollWidth <= innerWidth")
        (Path(running.jobs.folder) / "go-on").touch()
        browser.wait(view_is("result"))
        assert browser.complaints() == []
