"""The one-page report as a DICOM Encapsulated PDF (PS3.3 A.45.1), in the study of its waveform."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from ecg4u.errors import MissingDependencyError
from ecg4u.io.dicom_format import content_uid, study_uid
from ecg4u.report.pdf import one_page_pdf

if TYPE_CHECKING:
    from ecg4u.analysis import Analysis

ENCAPSULATED_PDF_UID = "1.2.840.10008.5.1.4.1.1.104.1"
TITLE = "12-lead ECG, read by software, not confirmed"


def encapsulated_pdf(analysis: Analysis) -> bytes:
    """A DICOM file that holds `one_page_pdf`; the same bytes for the same analysis.

    Patient and study stay empty but for age and sex: the receiving archive fills them in.

    Raises
    ------
    MissingDependencyError
        Without pydicom.
    """
    try:
        from pydicom.dataset import Dataset, FileMetaDataset
        from pydicom.sequence import Sequence
        from pydicom.uid import PYDICOM_IMPLEMENTATION_UID, ExplicitVRLittleEndian
    except ImportError:
        raise MissingDependencyError(
            "DICOM needs the package pydicom.", stage="report", hint="pip install pydicom"
        ) from None

    record, pdf = analysis.record, one_page_pdf(analysis)
    dataset = Dataset()
    dataset.SOPClassUID = ENCAPSULATED_PDF_UID
    dataset.SOPInstanceUID = content_uid(b"report", pdf)
    dataset.StudyInstanceUID = study_uid(record)
    dataset.SeriesInstanceUID = content_uid(b"report series", pdf)
    dataset.PatientName = dataset.PatientID = dataset.PatientBirthDate = ""
    dataset.PatientSex = record.sex or ""
    if record.age is not None:
        dataset.PatientAge = f"{round(record.age):03d}Y"
    dataset.StudyDate = dataset.StudyTime = dataset.AccessionNumber = dataset.StudyID = ""
    dataset.ReferringPhysicianName = ""
    dataset.Modality, dataset.ConversionType = "DOC", "WSD"
    dataset.Manufacturer = "ecg4u"
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
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.ImplementationClassUID = PYDICOM_IMPLEMENTATION_UID
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()
