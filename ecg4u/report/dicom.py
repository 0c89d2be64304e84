"""The one-page report as a DICOM Encapsulated PDF (PS3.3 A.45.1), in the study of its waveform."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from ecg4u.analysis import check_analysis
from ecg4u.io.dicom_format import content_uid, instance_of, study_uid
from ecg4u.report.pdf import one_page_pdf

if TYPE_CHECKING:
    from ecg4u.analysis import Analysis

ENCAPSULATED_PDF_UID = "1.2.840.10008.5.1.4.1.1.104.1"
TITLE = "12-lead ECG, read by software, not confirmed"


def encapsulated_pdf(analysis: Analysis, pdf: bytes | None = None) -> bytes:
    """A DICOM file that holds `one_page_pdf` (``pdf``, where it is made already).

    The same bytes for the same analysis. Patient and study stay empty but for age and sex: the
    receiving archive fills them in.
    """
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    check_analysis(analysis)
    record, pdf = analysis.record, pdf or one_page_pdf(analysis)
    dataset = instance_of(record, ENCAPSULATED_PDF_UID, content_uid(b"report", pdf))
    dataset.StudyInstanceUID = study_uid(record)
    dataset.SeriesInstanceUID = content_uid(b"report series", pdf)
    dataset.Modality, dataset.ConversionType = "DOC", "WSD"
    dataset.SeriesNumber, dataset.InstanceNumber = "2", "1"
    dataset.ContentDate = dataset.ContentTime = dataset.AcquisitionDateTime = ""
    dataset.BurnedInAnnotation = "NO"
    dataset.DocumentTitle = TITLE
    name = Dataset()
    name.CodeValue, name.CodingSchemeDesignator, name.CodeMeaning = "11524-6", "LN", "EKG study"
    dataset.ConceptNameCodeSequence = Sequence([name])
    dataset.MIMETypeOfEncapsulatedDocument = "application/pdf"
    dataset.EncapsulatedDocumentLength = len(pdf)
    dataset.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()
