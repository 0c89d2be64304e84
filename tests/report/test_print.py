"""The report as a browser prints it."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path

import made_up
import pypdfium2
import pytest
from web import chromium

from ecg4u.analysis import Analysis
from ecg4u.explain.result import MeasuredFinding
from ecg4u.report import render


@pytest.mark.slow
@pytest.mark.skipif(chromium.find() is None, reason="Chromium is not installed")
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
