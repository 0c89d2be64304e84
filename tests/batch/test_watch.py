"""``ecg4u watch``: what arrives is read once, and only when it is whole."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from PIL import Image

from ecg4u.batch import task
from ecg4u.batch.inputs import Item
from ecg4u.batch.ledger import Entries
from ecg4u.batch.watch import watch


class Stub:
    """In the place of the real task: every input is done at once, but for one."""

    def __init__(self, *_: object) -> None: ...

    def __call__(self, item: Item) -> dict[str, Any]:
        if "blank" in item.path:
            page = {"page": 1, "status": "refused", "code": "no-ecg", "message": "No ECG."}
        else:
            page = {"page": 1, "status": "done", "files": {}}
        return {"pages": [page]}


def look(folder: Path, out: Path, settle: float = 0.0) -> str:
    done = CliRunner().invoke(
        watch, [str(folder), str(out), "--once", "-j", "0", "--settle", str(settle)]
    )
    assert done.exit_code == 0, done.output
    return done.output


def test_only_what_is_new_and_whole_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task, "PageTask", Stub)
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    assert look(folder, out) == ""
    Image.new("RGB", (8, 8)).save(folder / "a.png")
    assert look(folder, out, settle=3600).startswith(
        "Changed within the last 3600 s and not read: 1."
    )
    assert not out.exists()
    assert "1 processed, 0 of them" in look(folder, out)
    assert [entry["status"] for entry in Entries(out).values()] == ["done"]
    assert (out / "contact-sheet.html").exists()
    assert look(folder, out) == ""
    Image.new("RGB", (8, 8)).save(folder / "blank.png")
    assert "1 processed, 1 of them refused or failed" in look(folder, out)


def test_it_can_be_ended_as_soon_as_it_says_that_it_watches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unheeded: list[int]
) -> None:
    said: list[str] = []

    def ended(text: str, **_: object) -> None:
        said.append(text)
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError("The signal was not heeded.")

    monkeypatch.setattr(click, "echo", ended)
    done = CliRunner().invoke(watch, [str(tmp_path), str(tmp_path / "out"), "-j", "0"])
    assert [text.split()[0] for text in said] == ["Watching"]
    assert (done.exit_code, unheeded) == (1, [])
    assert isinstance(done.exception, SystemExit)
