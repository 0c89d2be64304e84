"""The whole path in a real browser: choose, turn, read, look, correct, download, delete."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import chromium
import pytest
import stand_in
import uvicorn
from chromium import Chromium
from conftest import SETTINGS

from ecg4u.web import create_app
from ecg4u.web.jobs import Jobs
from ecg4u.web.metrics import Metrics

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(chromium.find() is None, reason="Chromium is not installed"),
]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    metrics = Metrics()
    jobs = Jobs(SETTINGS, metrics, work=stand_in.work, warm_up=stand_in.warm_up)
    app = create_app(SETTINGS, jobs=jobs, metrics=metrics)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.05)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        server.should_exit = True
        thread.join(20)


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
    browser.run("document.querySelector('#options').requestSubmit()")
    browser.wait(view_is("result"))

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
    browser.run("$('scale').gain.value = 5, $('scale').dispatchEvent(new Event('input'))")
    browser.click("#fix-go")
    browser.wait(f"state.id !== '{first}' && {view_is('result')}")
    said = browser.run(ASKED)["correction"]
    assert said == {"gain": 5, "names": {"1.2": "aVL"}}

    browser.click("[data-get='signals.csv']")
    deadline = time.monotonic() + 20
    while not (tmp_path / "ecg-signals.csv").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert (tmp_path / "ecg-signals.csv").read_text() == "I,II\n"

    last = browser.run("state.id")
    browser.click("#forget")
    browser.wait(view_is("start"))
    assert browser.complaints() == []
    assert browser.run(f"fetch('/v1/ecg/{last}').then((r) => r.status)") == 404


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


def test_the_report_works_from_disk_under_its_own_policy(browser: Chromium, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(stand_in.report())
    browser.go(path.as_uri())
    browser.click(".sentence")
    browser.wait("document.querySelector('.lens svg use')")
    assert [c for c in browser.complaints() if c != path.as_uri()] == []


def test_the_shell_is_kept_and_nothing_else(browser: Chromium, address: str) -> None:
    browser.go(address)
    assert browser.run("navigator.serviceWorker.ready.then(() => true)")
    browser.run("fetch('/v1/ecg/x').then((r) => r.status)")
    names = browser.run(
        "caches.open('ecg4u-shell-2').then((c) => c.keys()).then((k) => k.map((r) => r.url))"
    )
    assert {address, f"{address}static/app.js", f"{address}static/app.css"} <= set(names)
    assert not any("/v1" in name for name in names)
