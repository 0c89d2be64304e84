"""The parts of the benchmark of felt speed, without a service and without cold starts of ecg4u."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import click
import httpx
import pytest

from benchmarks.felt import SHIPPED, Timed, cold, named, streamed, table

QUICK = [sys.executable, "-c", "pass"]


@pytest.mark.parametrize("tool", [True, False])
def test_each_start_of_a_command_is_timed(tool: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if tool and shutil.which("hyperfine") is None:
        pytest.skip("hyperfine is not installed")
    if not tool:
        monkeypatch.setattr(shutil, "which", lambda _: None)
    seconds = cold(QUICK, 2)
    assert len(seconds) == 2
    assert all(0 < each < 60 for each in seconds)
    with pytest.raises(click.ClickException, match="failed"):
        cold([sys.executable, "-c", "raise SystemExit(3)"], 1)


def test_traces_classes_and_the_whole_are_timed_as_they_come(tmp_path: Path) -> None:
    page = tmp_path / "page.png"
    page.write_bytes(b"page")
    states = iter([(False, []), (True, []), (True, [{"kind": "class"}]), None])
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        if "/page" in request.url.path:
            return httpx.Response(200)
        state = next(states)
        if state is None:
            return httpx.Response(200, json={})
        said = {"page": state[0], "summary": state[1]}
        return httpx.Response(202, json=said, headers={"Location": "/v1/ecg/x"})

    client = httpx.Client(base_url="http://service", transport=httpx.MockTransport(answer))
    found = streamed(client, page, lambda _: None)
    assert 0 < found.traces < found.classes < found.whole
    assert asked == [
        *("/v1/ecg", "/v1/ecg/x", "/v1/ecg/x/page", "/v1/ecg/x/page.webp"),
        *("/v1/ecg/x", "/v1/ecg/x"),
    ]


def test_the_table_says_what_was_asked_and_whether_it_was_met() -> None:
    slow = Timed("first traces after upload", "a.png", (4.0, 4.2, 9.0))
    said = table([slow, Timed("POST /predict", "a.png", (1.0,))], "0.1")
    assert "| first traces after upload | a.png | 4.20 | 4.00 to 9.00 | 3 | <= 4 | **no** |" in said
    assert "| POST /predict | a.png | 1.00 | 1.00 to 1.00 | 1 |  |  |" in said
    assert named(SHIPPED[0]) == "A00347.png, 2200 x 1700"
