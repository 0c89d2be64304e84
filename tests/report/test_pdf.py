"""The one-page report, and its DICOM file read back by pydicom."""

from __future__ import annotations

import io
from dataclasses import replace

import made_up
import numpy as np
import pydicom
import pypdfium2
import pytest

from ecg4u.analysis import Analysis
from ecg4u.io import read_record, write_record
from ecg4u.report.dicom import encapsulated_pdf
from ecg4u.report.pdf import one_page_pdf


def analysis() -> Analysis:
    whole = made_up.analysis()
    return Analysis(whole.record, None, whole.classification, whole.explanation)


def test_it_is_one_page_a4_with_summary_leads_and_notice() -> None:
    document = pypdfium2.PdfDocument(one_page_pdf(analysis()))
    assert len(document) == 1
    width, height = document[0].get_size()
    assert (round(width / 72 * 25.4), round(height / 72 * 25.4)) == (297, 210)
    text = document[0].get_textpage().get_text_range()
    for words in ("not a medical device", "Atrial fibrillation", "aVF", "V6", "25 mm/s"):
        assert words in text


@pytest.mark.parametrize("tall_mv", [0.1, 12.0])
def test_the_leads_stay_on_the_page(tall_mv: float) -> None:
    record = replace(analysis().record, p_signal=tall_mv * made_up.signal())
    page = pypdfium2.PdfDocument(one_page_pdf(Analysis(record)))[0]
    picture = page.render(scale=1).to_numpy()
    border = np.concatenate([picture[:8].ravel(), picture[-8:].ravel(), picture[:, :8].ravel()])
    assert (border == 255).all()
    assert (picture < 100).any()


def test_the_same_analysis_gives_the_same_bytes() -> None:
    assert one_page_pdf(analysis()) == one_page_pdf(analysis())
    assert encapsulated_pdf(analysis()) == encapsulated_pdf(analysis())


def test_dicom_holds_the_pdf_in_the_waveforms_study(tmp_path) -> None:
    known = analysis()
    report = pydicom.dcmread(io.BytesIO(encapsulated_pdf(known)))
    assert report.SOPClassUID.name == "Encapsulated PDF Storage"
    assert report.EncapsulatedDocument[: report.EncapsulatedDocumentLength] == one_page_pdf(known)
    (path,) = write_record(known.record, tmp_path / "signals.dcm", format="dicom")
    waveform = pydicom.dcmread(path)
    assert waveform.StudyInstanceUID == report.StudyInstanceUID
    assert waveform.SeriesInstanceUID != report.SeriesInstanceUID
    again = read_record(path).p_signal
    assert np.allclose(again, known.record.p_signal, atol=0.001, equal_nan=True)
