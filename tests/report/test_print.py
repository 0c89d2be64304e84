"""The report as a browser prints it, and the other pages as axe-core sees them."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path

import made_up
import pypdfium2
import pytest
from web import chromium

from ecg4u.analysis import Analysis
from ecg4u.batch import sheet
from ecg4u.compare import compare_records
from ecg4u.explain.result import MeasuredFinding
from ecg4u.record import ECGRecord
from ecg4u.report import render
from ecg4u.report.comparison import comparison_html

AXE = Path(chromium.__file__).parent / "axe" / "axe.min.js"
VIOLATIONS = "axe.run().then((r) => JSON.stringify(r.violations.map((v) => v.id)))"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(chromium.find() is None, reason="Chromium is not installed"),
]


@pytest.mark.parametrize("n_findings", [0, 4, 8])
def test_the_first_page_holds_the_leads_however_much_is_said(
    n_findings: int, tmp_path: Path
) -> None:
    whole = made_up.analysis()
    urgent = MeasuredFinding("pause", "urgent", "Pause of 3.2 s", "from 1 to 4 s", "likely")
    why = replace(whole.explanation, findings=(urgent,) * n_findings)
    path = tmp_path / "report.html"
    path.write_text(render(Analysis(whole.record, None, whole.classification, why)))
    with chromium.Chromium() as browser:
        browser.go(path.as_uri())
        printed = browser.call("Page.printToPDF", preferCSSPageSize=True)["data"]
    document = pypdfium2.PdfDocument(base64.b64decode(printed))
    first, second = (document[n].get_textpage().get_text_range() for n in (0, 1))
    assert "aVF" in first
    assert "10 s" in first
    assert "Reading" in second


@pytest.mark.parametrize(("width", "height"), [(360, 740), (1280, 900)])
def test_the_notice_is_one_line_and_the_legend_keeps_together(
    width: int, height: int, tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    path.write_text(render(made_up.analysis()))
    with chromium.Chromium() as browser:
        browser.size(width, height)
        browser.go(path.as_uri())
        for part in (".notice", ".legend > span"):
            assert browser.run(f"document.querySelector('{part}').offsetHeight") < 30, part


@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing_in_a_contact_sheet_and_a_comparison(
    dark: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {"input": "a.png", "message": "", "folder": "", "warning_texts": "One. | Two."}
    rows = [{**known, "status": "done", "grade": "poor"}, {**known, "status": "refused"}]
    monkeypatch.setattr(sheet, "Entries", lambda out: {})
    monkeypatch.setattr(sheet, "rows", lambda entries: iter(rows))
    record = ECGRecord(made_up.signal(), 500.0)
    compared = tmp_path / "compared.html"
    compared.write_text(comparison_html(record, record, compare_records(record, record)))
    with chromium.Chromium() as browser:
        for path in (sheet.write_sheet(tmp_path), compared):
            browser.size(360, 740, dark=dark)
            browser.go(path.as_uri())
            browser.run(f"{AXE.read_text()}; 0")
            assert json.loads(browser.run(VIOLATIONS)) == []
