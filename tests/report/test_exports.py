"""The exports of a result: the same files for report, batch and the service."""

from __future__ import annotations

import io
import json
from pathlib import Path

import made_up
import pydicom
import pytest

from ecg4u.analysis import Analysis
from ecg4u.errors import MissingDependencyError
from ecg4u.report import write
from ecg4u.report.exports import FILES, export


def analysis() -> Analysis:
    whole = made_up.analysis()
    return Analysis(whole.record, None, whole.classification, whole.explanation)


@pytest.mark.parametrize("kind", FILES)
def test_each_kind_makes_its_files(kind: str) -> None:
    assert tuple(export(analysis(), [kind])) == FILES[kind]


def test_the_files_hold_what_they_are_called() -> None:
    made = export(analysis(), ["dicom", "fhir", "pdf"])
    assert made["report.pdf"].startswith(b"%PDF")
    assert json.loads(made["fhir.json"])["resourceType"] == "Bundle"
    waveform, report = (
        pydicom.dcmread(io.BytesIO(made[f"{n}.dcm"])) for n in ("signals", "report")
    )
    assert waveform.SOPClassUID.name == "12-lead ECG Waveform Storage"
    assert report.EncapsulatedDocument.startswith(made["report.pdf"])
    assert report.StudyInstanceUID == waveform.StudyInstanceUID


def test_they_are_written_beside_the_report_once(tmp_path: Path) -> None:
    written = write(analysis(), tmp_path, ["dicom"], exports=["dicom", "fhir"])
    names = ["fhir.json", "report.dcm", "report.html", "result.json", "signals.dcm"]
    assert sorted(path.name for path in written) == names
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def test_the_report_speaks_the_language_that_is_asked_for(tmp_path: Path) -> None:
    write(analysis(), tmp_path, language="fr")
    html = (tmp_path / "report.html").read_text()
    assert '<html lang="fr">' in html
    assert "Fibrillation atriale" in html
    assert "Traduction provisoire" in html
    assert '<dd lang="en">' in html
    result = (tmp_path / "result.json").read_text()
    assert "Atrial fibrillation" in result
    write(analysis(), tmp_path)
    assert 'lang="en">' not in (tmp_path / "report.html").read_text().split("<body", 1)[1]


def test_what_cannot_be_made_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(MissingDependencyError, match="pydicom"):
        export(analysis(), ["pdf", "dicom"])
