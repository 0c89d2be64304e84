"""The real task on real records and a drawn page."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ecg4u.analysis import Analysis
from ecg4u.batch import (
    Options,
    PageTask,
    RunOptions,
    SerialExecutor,
    Summary,
    find_inputs,
    run_batch,
)
from ecg4u.batch.deidentify import deidentified, keep_near
from ecg4u.errors import PoorQualityError
from ecg4u.io import read_record, write_record
from ecg4u.options import ReadOptions
from ecg4u.record import ECGRecord, Provenance

SUFFIXES = (".hea", ".h5", ".csv", ".edf", ".dcm")


@dataclass(frozen=True)
class FakePage:
    image: Any


@dataclass(frozen=True)
class FakeRectified:
    image: Any
    grid: Any


@dataclass(frozen=True)
class FakeDigitization:
    page: Any
    rectified: Any
    traces: Any
    record: Any


def a_record(seed: int = 0) -> ECGRecord:
    signal = np.random.default_rng(seed).normal(0, 0.2, (500, 12))
    return ECGRecord(signal, 250.0, age=93.0, sex="F")


def page_of(path: Path, out: Path, **options: Any) -> tuple[dict[str, Any], Path]:
    (item,) = find_inputs([str(path)], out)
    report = PageTask(str(out), Options(**options))(item)
    return report, out / item.folder


@pytest.mark.parametrize("format", ["wfdb", "hdf5", "csv", "edf", "dicom"])
def test_a_record_in_every_format(format: str, tmp_path: Path) -> None:
    source = write_record(a_record(), tmp_path / "in" / "one", "wfdb")[0]
    report, folder = page_of(source, tmp_path / "out", format=format)
    (page,) = report["pages"]
    assert (page["status"], page["summary"]["fs"]) == ("done", 250.0)
    assert sorted(page["files"]) == sorted(path.name for path in folder.iterdir())
    signals = next(path for path in folder.iterdir() if path.suffix in SUFFIXES)
    assert np.allclose(read_record(signals).p_signal, a_record().p_signal, atol=1e-3)
    result = json.loads((folder / "result.json").read_text())
    assert "timings_s" not in result
    assert result["record"]["n_samples"] == 500


def test_exports_stand_beside_the_record(tmp_path: Path) -> None:
    source = write_record(a_record(), tmp_path / "in" / "one", "wfdb")[0]
    exports = ("pdf", "dicom", "fhir")
    report, folder = page_of(source, tmp_path / "out", classify=True, exports=exports)
    made = {"report.pdf", "signals.dcm", "report.dcm", "fhir.json"}
    assert made < set(report["pages"][0]["files"])
    assert made < {path.name for path in folder.iterdir()}
    again, _ = page_of(source, tmp_path / "again", classify=True, exports=exports)
    assert again["pages"][0]["files"] == report["pages"][0]["files"]


def test_what_is_classified_is_measured_but_attributed_only_if_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_record(a_record(), tmp_path / "in" / "one", "wfdb")[0]
    asked = []

    def read(_path: str, options: ReadOptions) -> Analysis:
        asked.append((options.classify, options.explain, options.classes))
        return Analysis(a_record())

    monkeypatch.setattr("ecg4u.analysis.read", read)
    for options in ({}, {"classify": True}, {"classify": True, "explain": True}):
        page_of(source, tmp_path / "out", **options)
    assert asked == [(False, False, ()), (True, True, ()), (True, True, None)]


def test_reruns_give_the_same_bytes(tmp_path: Path) -> None:
    source = write_record(a_record(), tmp_path / "in" / "one", "wfdb")[0]
    first, _ = page_of(source, tmp_path / "first")
    second, _ = page_of(source, tmp_path / "second")
    assert first["pages"][0]["files"] == second["pages"][0]["files"]


def test_what_cannot_be_done_is_said_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"not an image at all")
    report, folder = page_of(bad, tmp_path / "out")
    assert report["pages"][0]["status"] == "refused"
    assert report["pages"][0]["code"] == "unreadable_input"
    assert report["pages"][0]["hint"]

    def broken(*_args: object, **_options: object) -> Analysis:
        raise KeyError("Jane Doe")

    source = write_record(a_record(), tmp_path / "in" / "one", "wfdb")[0]
    monkeypatch.setattr("ecg4u.analysis.read", broken)
    report, folder = page_of(source, tmp_path / "out")
    assert report["pages"][0]["status"] == "failed"
    assert report["pages"][0]["message"].startswith("KeyError at ")
    assert "Doe" not in json.dumps(report)
    assert not folder.exists()


def test_pages_of_one_file_end_each_for_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(_path: str, options: ReadOptions) -> Analysis:
        if options.page == 2:
            raise PoorQualityError("Too faint.", stage="ink", hint="Scan it again.")
        return Analysis(a_record(options.page))

    monkeypatch.setattr("ecg4u.analysis.read", read)
    frames = [Image.new("L", (30, 20), 80 * n) for n in range(3)]
    frames[0].save(tmp_path / "three.tif", save_all=True, append_images=frames[1:])
    out = tmp_path / "out"
    options = Options()
    summary = run_batch(
        [str(tmp_path / "three.tif")],
        out,
        executor=lambda _lock: SerialExecutor(),
        task=PageTask(str(out), options),
        options=options,
        which=RunOptions(quiet=True),
    )
    assert summary == Summary(1, 0, 0, 1, 0)
    lines = (out / "manifest.csv").read_text().splitlines()
    assert [line.split(",")[2] for line in lines[1:]] == ["done", "refused", "done"]
    assert sorted(p.name for p in out.rglob("page-*")) == ["page-0001", "page-0003"]
    assert len((out / "RECORDS").read_text().splitlines()) == 2


def test_manifest_as_parquet_equals_the_csv(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    out = tmp_path / "out"
    for number in range(3):
        write_record(a_record(number), tmp_path / "in" / f"r{number}", "wfdb")
    run_batch(
        [str(tmp_path / "in")],
        out,
        executor=lambda _lock: SerialExecutor(),
        task=PageTask(str(out), Options()),
        which=RunOptions(quiet=True),
    )
    table = parquet.read_table(out / "manifest.parquet").to_pylist()
    assert [row["input"] for row in table] == [f"in/r{n}.hea" for n in range(3)]
    assert all(row["status"] == "done" and row["fs"] == 250.0 for row in table)


def test_only_pixels_near_a_trace_stay() -> None:
    image = np.full((60, 100, 3), 90, np.uint8)
    image[5:12] = 10  # a name above the trace
    line = np.array([[10.0, 40.0], [50.0, 40.0], [np.nan, np.nan], [70.0, 40.0], [90.0, 40.0]])
    kept = keep_near(image, [line], width_px=6)
    assert (kept[:30] == 255).all()
    assert (kept[40, 10:51] == 90).all()
    assert (kept[40, 56:64] == 255).all()
    assert (kept[40, 70:91] == 90).all()


def test_deidentified_analysis_shows_no_header() -> None:
    image = np.zeros((80, 200, 3), np.uint8)
    line = np.array([[20.0, 60.0], [180.0, 60.0]])
    page = FakePage(image)
    digitization = FakeDigitization(
        page=page,
        rectified=FakeRectified(image, SimpleNamespace(source_px_per_mm=(8.0, 8.0))),
        traces=(SimpleNamespace(xy=line, xy_source=line),),
        record=a_record(),
    )
    found = deidentified(Analysis(a_record(), digitization))
    assert found.record.age is None
    assert found.digitization.record.age is None
    for shown in (found.digitization.page.image, found.digitization.rectified.image):
        assert (shown[:40] == 255).all()
        assert (shown[60, 20:180] == 0).all()
    young = replace(a_record(), age=50.0, provenance=Provenance("digital", "aa"))
    assert deidentified(Analysis(young)).record.age == 50.0
