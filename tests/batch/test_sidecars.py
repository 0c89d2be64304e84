"""Sidecars kept by a batch, corrected, and given back to it, on a page that is really digitized."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from batch_pages import draw
from click.testing import CliRunner

from ecg4u.batch import Options, PageTask, RunOptions, SerialExecutor, Summary, run_batch
from ecg4u.batch.command import batch
from ecg4u.batch.ledger import Entries
from ecg4u.digitize import Sidecar
from ecg4u.errors import UsageError
from ecg4u.io import read_record, sha256_of

OPTIONS = Options(sidecars=True)


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two drawn pages, done, each with its sidecar."""
    folder = tmp_path_factory.mktemp("first")
    for seed, name in enumerate(("one", "two")):
        draw(folder / "in" / f"{name}.png", seed)
    assert run(folder) == Summary(2, 0, 2, 0, 0)
    return folder


@pytest.fixture
def done(first_run: Path, tmp_path: Path) -> Path:
    """A copy of the first run, to be changed."""
    return Path(shutil.copytree(first_run, tmp_path / "run"))


def run(folder: Path, sidecars: Path | None = None) -> Summary:
    out = folder / "out"
    return run_batch(
        [str(folder / "in")],
        out,
        executor=lambda _lock: SerialExecutor(),
        task=PageTask(str(out), OPTIONS),
        options=OPTIONS,
        which=RunOptions(resume=True, corrected=sidecars, quiet=True),
    )


def results(folder: Path, name: str) -> Path:
    return next((folder / "out").rglob(f"{name}-*"))


def corrected(folder: Path, **changes: Any) -> Path:
    """The sidecar of page one with ``changes``, in a folder of its own."""
    found = Sidecar.from_json(results(folder, "one") / "signals.page.json")
    path = folder / "corrected" / "any name.page.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(found.corrected(**changes).to_json())
    return path


def test_only_the_corrected_page_is_done_again(done: Path) -> None:
    before = read_record(results(done, "one") / "signals.hea").p_signal
    untouched = {p: p.stat().st_mtime_ns for p in results(done, "two").iterdir()}
    path = corrected(done, gain=20.0)
    assert run(done, path.parent) == Summary(2, 1, 1, 0, 0)
    after = read_record(results(done, "one") / "signals.hea").p_signal
    assert np.allclose(after, before / 2, atol=1.1e-3, equal_nan=True)
    assert {p: p.stat().st_mtime_ns for p in results(done, "two").iterdir()} == untouched
    entry = Entries(done / "out")["in/one.png"]
    assert entry["pages"][0]["sidecar_sha256"] == sha256_of(path)
    kept = Sidecar.from_json(results(done, "one") / "signals.page.json")
    assert kept.corrections
    assert run(done, path.parent) == Summary(2, 2, 0, 0, 0)
    assert run(done) == Summary(2, 2, 0, 0, 0)
    corrected(done, gain=5.0)
    assert run(done, path.parent) == Summary(2, 1, 1, 0, 0)


def test_a_sidecar_as_it_was_found_changes_nothing(done: Path) -> None:
    before = (results(done, "one") / "signals.dat").read_bytes()
    command = [str(done / "in"), "-o", str(done / "out"), "-j", "0", "--keep-sidecars", "--resume"]
    given = ["--sidecars", str(corrected(done).parent)]
    said = CliRunner().invoke(batch, [*command, *given], catch_exceptions=False)
    assert "ended earlier        1" in said.stderr
    assert (results(done, "one") / "signals.dat").read_bytes() == before


def test_a_sidecar_that_says_nonsense_is_refused_by_itself(done: Path) -> None:
    path = corrected(done)
    original = path.read_text()
    plain = json.loads(original)
    plain["calibration"] = "high"
    path.write_text(json.dumps(plain))
    assert run(done, path.parent) == Summary(2, 1, 0, 1, 0)
    page = Entries(done / "out")["in/one.png"]["pages"][0]
    assert (page["status"], page["code"]) == ("refused", "bad_sidecar")
    path.write_text(original)
    assert run(done, path.parent) == Summary(2, 1, 1, 0, 0)


def test_folders_of_sidecars_that_make_no_sense(done: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="in the output"):
        run(done, results(done, "one"))
    (tmp_path / "none").mkdir()
    with pytest.raises(UsageError, match="no sidecars"):
        run(done, tmp_path / "none")
    path = corrected(done)
    shutil.copy(path, path.with_name("same.page.json"))
    assert run(done, path.parent).done == 1
    path.write_text(path.read_text() + "\n")
    with pytest.raises(UsageError, match="differ"):
        run(done, path.parent)
    path.write_text("{")
    with pytest.raises(UsageError, match="cannot be read"):
        run(done, path.parent)
