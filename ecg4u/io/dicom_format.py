"""DICOM 12-Lead ECG Waveform Storage (pydicom): int16, 1 uV a count, NaN as the padding value."""

from __future__ import annotations

import hashlib
import io
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ecg4u.errors import MissingDependencyError, NotAnECGError
from ecg4u.io import provenance as provenance_json
from ecg4u.io.atomic import write_atomically
from ecg4u.io.files import STAGE, read_bytes, unreadable
from ecg4u.io.leads import Channel, assemble, check_sample_count, lead_of
from ecg4u.io.wfdb_format import MISSING, quantize
from ecg4u.record import LEADS, ECGRecord

_MAX_FILE_BYTES = 300_000_000
_TWELVE_LEAD_UID = "1.2.840.10008.5.1.4.1.1.9.1.1"
_GENERAL_ECG_UID = "1.2.840.10008.5.1.4.1.1.9.1.2"
_DEFLATED_UID = "1.2.840.10008.1.2.1.99"
_ROOT_UID = "2.25."
_UNKNOWN_TIME = "19000101000000"
"""AcquisitionDateTime may not be empty (PS3.3 C.10.8); this stands for a time not known."""

_LEAD_NUMBERS = dict(
    zip(LEADS, ("1", "2", "61", "62", "63", "64", "3", "4", "5", "6", "7", "8"), strict=True)
)
"""Lead numbers of ISO/IEEE 11073-10102, as MDC (``2:n``) and SCP-ECG (``5.6.3-9-n``) code them."""

_CODES = {f"2:{n}": lead for lead, n in _LEAD_NUMBERS.items()}
_CODES |= {f"5.6.3-9-{n}": lead for lead, n in _LEAD_NUMBERS.items()}


def write(record: ECGRecord, path: Path) -> tuple[Path, ...]:
    """Write `to_bytes` of a record."""
    return (write_atomically(paths(path)[0], to_bytes(record)),)


def to_bytes(record: ECGRecord) -> bytes:
    """Explicit VR little endian; UIDs derive from the content, so reruns give the same bytes."""
    _pydicom()
    buffer = io.BytesIO()
    _dataset(record).save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def paths(path: Path) -> tuple[Path]:
    """The file for a record at ``path``; ``.dcm`` is added where it is not given."""
    known = path.suffix.lower() in (".dcm", ".dicom")
    return (path if known else path.parent / f"{path.name}.dcm",)


def is_dicom(head: bytes) -> bool:
    """Whether the file's first 132 bytes are DICOM's preamble."""
    return head[128:132] == b"DICM"


def read(path: Path) -> ECGRecord:
    """The rhythm of a DICOM file: its longest waveform groups that hold any of the twelve leads."""
    pydicom = _pydicom()
    data = read_bytes(path, max_bytes=_MAX_FILE_BYTES)
    with warnings.catch_warnings():  # pydicom's warnings quote the file
        warnings.simplefilter("ignore")
        dataset = _read_dataset(pydicom, path, data)
        channels = _rhythm(dataset)
        if channels:
            sha256 = hashlib.sha256(data).hexdigest()
            record = assemble(channels, sha256, source_format="dicom")
            return _with_patient(record, dataset)
    raise NotAnECGError(
        "The DICOM file holds no ECG waveform.",
        stage=STAGE,
        hint="If it is a picture of an ECG, export it as PNG.",
    )


def _pydicom() -> Any:
    try:
        import pydicom
    except ImportError:
        raise MissingDependencyError(
            "DICOM needs the package pydicom.", stage=STAGE, hint="pip install pydicom"
        ) from None
    return pydicom


def _read_dataset(pydicom: Any, path: Path, data: bytes) -> Any:
    from pydicom.filereader import read_file_meta_info

    if str(getattr(read_file_meta_info(path), "TransferSyntaxUID", "")) == _DEFLATED_UID:
        raise unreadable("Deflated DICOM is not supported.", "Export it uncompressed.")
    return pydicom.dcmread(io.BytesIO(data))


def _rhythm(dataset: Any) -> list[Channel]:
    """The channels of the longest waveform group of an ECG, and of those that go with it.

    A file can hold a median beat beside the rhythm, and the twelve leads can be spread over groups
    of a few each; such groups share their sampling rate and length, and each says when it begins.
    """
    groups = list(getattr(dataset, "WaveformSequence", None) or [])
    found = [(group, _channels(dataset, index, group)) for index, group in enumerate(groups)]
    found = [
        (group, channels)
        for group, channels in found
        if any(lead_of(channel.name) for channel in channels)
    ]
    if not found:
        return []
    longest, _ = max(found, key=lambda one: _seconds(one[0]))
    alike = [
        (group, channels)
        for group, channels in found
        if (group.SamplingFrequency, group.NumberOfWaveformSamples)
        == (longest.SamplingFrequency, longest.NumberOfWaveformSamples)
    ]
    return _together(alike)


def _seconds(group: Any) -> float:
    return float(group.NumberOfWaveformSamples) / float(group.SamplingFrequency)


def _together(groups: list[tuple[Any, list[Channel]]]) -> list[Channel]:
    """The channels of groups that begin at their own times, each lead once."""
    fs = float(groups[0][0].SamplingFrequency)
    offsets = [
        round(float(getattr(group, "MultiplexGroupTimeOffset", 0.0) or 0.0) / 1000.0 * fs)
        for group, _ in groups
    ]
    total = max(offsets) - min(offsets) + int(groups[0][0].NumberOfWaveformSamples)
    check_sample_count(total, len(groups) * len(LEADS))
    kept: dict[str, Channel] = {}
    for (_, channels), offset in zip(groups, offsets, strict=True):
        first = offset - min(offsets)
        for channel in channels:
            known = lead_of(channel.name)
            lead = known[0] if known else None
            if lead is None or lead in kept:
                continue
            values = np.full(total, np.nan)
            values[first : first + len(channel.samples)] = channel.samples
            kept[lead] = replace(channel, samples=values)
    return list(kept.values())


def _channels(dataset: Any, index: int, group: Any) -> list[Channel]:
    from pydicom.waveforms import multiplex_array

    check_sample_count(int(group.NumberOfWaveformSamples), int(group.NumberOfWaveformChannels))
    counts = multiplex_array(dataset, index, as_raw=True)
    values = multiplex_array(dataset, index, as_raw=False).astype(np.float64)
    padding = getattr(group, "WaveformPaddingValue", None)
    if padding is not None:
        values[counts == _padding_count(padding, counts.dtype)] = np.nan
    fs = float(group.SamplingFrequency)
    return [
        Channel(_lead_name(definition), _unit(definition), values[:, column], fs)
        for column, definition in enumerate(group.ChannelDefinitionSequence)
    ]


def _padding_count(padding: Any, dtype: np.dtype) -> int:
    if isinstance(padding, bytes):
        return int(np.frombuffer(padding[: dtype.itemsize], dtype=dtype)[0])
    return int(padding)


def _lead_name(definition: Any) -> str:
    sources = getattr(definition, "ChannelSourceSequence", None) or []
    for source in sources:
        lead = _CODES.get(str(getattr(source, "CodeValue", "")))
        if lead:
            return lead
        meaning = str(getattr(source, "CodeMeaning", "")).split("(")[0]
        if lead_of(meaning):
            return meaning
    return str(getattr(definition, "ChannelLabel", ""))


def _unit(definition: Any) -> str:
    units = getattr(definition, "ChannelSensitivityUnitsSequence", None) or []
    return str(units[0].CodeValue) if units else ""


def _with_patient(record: ECGRecord, dataset: Any) -> ECGRecord:
    sex = str(getattr(dataset, "PatientSex", "") or "")
    age = str(getattr(dataset, "PatientAge", "") or "")
    years = float(age[:3]) if len(age) == 4 and age[:3].isdigit() and age[3] == "Y" else None
    stored = provenance_json.from_json(str(getattr(dataset, "AcquisitionContextDescription", "")))
    return replace(
        record,
        age=years,
        sex="F" if sex == "F" else "M" if sex == "M" else None,
        provenance=stored or record.provenance,
    )


def instance_of(record: ECGRecord, class_uid: str, instance_uid: str) -> Any:
    """A pydicom data set of one instance about a record, with what it may say of the patient."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import PYDICOM_IMPLEMENTATION_UID, ExplicitVRLittleEndian

    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = class_uid, instance_uid
    dataset.PatientName = dataset.PatientID = dataset.PatientBirthDate = ""
    dataset.PatientSex = record.sex or ""
    if record.age is not None:
        dataset.PatientAge = f"{round(record.age):03d}Y"
    dataset.StudyDate = dataset.StudyTime = dataset.AccessionNumber = dataset.StudyID = ""
    dataset.ReferringPhysicianName = ""
    dataset.Manufacturer = "ecg4u"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.ImplementationClassUID = PYDICOM_IMPLEMENTATION_UID
    return dataset


def _dataset(record: ECGRecord) -> Any:
    from pydicom.sequence import Sequence

    counts, gain = quantize(record.p_signal)
    content = counts.tobytes() + f"{record.fs!r} {gain!r}".encode()
    fits_twelve_lead = 200 <= record.fs <= 1000 and record.n_samples <= 16384
    dataset = instance_of(
        record,
        _TWELVE_LEAD_UID if fits_twelve_lead else _GENERAL_ECG_UID,
        content_uid(b"instance", content),
    )
    dataset.StudyInstanceUID = content_uid(b"study", content)
    dataset.SeriesInstanceUID = content_uid(b"series", content)
    dataset.Modality = "ECG"
    dataset.SeriesDescription = f"12-lead ECG, {record.provenance.kind}"
    dataset.SeriesNumber = dataset.InstanceNumber = "1"
    dataset.ContentDate, dataset.ContentTime = _UNKNOWN_TIME[:8], _UNKNOWN_TIME[8:]
    dataset.AcquisitionDateTime = _UNKNOWN_TIME
    dataset.AcquisitionContextSequence = Sequence([])
    dataset.AcquisitionContextDescription = provenance_json.to_json(record.provenance)[:1024]
    dataset.WaveformSequence = Sequence([_group(record, counts, gain)])
    return dataset


def _group(record: ECGRecord, counts: Any, gain: float) -> Any:
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    group = Dataset()
    group.WaveformOriginality = "DERIVED" if record.provenance.kind == "digitized" else "ORIGINAL"
    group.NumberOfWaveformChannels = len(LEADS)
    group.NumberOfWaveformSamples = record.n_samples
    group.SamplingFrequency = f"{record.fs:.10g}"
    group.MultiplexGroupLabel = "RHYTHM"
    group.ChannelDefinitionSequence = Sequence([_definition(lead, gain) for lead in LEADS])
    group.WaveformBitsAllocated = 16
    group.WaveformSampleInterpretation = "SS"
    group.add_new(0x5400100A, "OW", np.array([MISSING], dtype="<i2").tobytes())
    group.add_new(0x54001010, "OW", counts.tobytes())
    return group


def _definition(lead: str, gain: float) -> Any:
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    channel = Dataset()
    channel.ChannelSensitivity = f"{1000.0 / gain:g}"
    channel.ChannelSensitivityUnitsSequence = Sequence([_code("uV", "UCUM", "microvolt")])
    channel.ChannelSensitivityCorrectionFactor = "1"
    channel.ChannelBaseline = "0"
    channel.ChannelTimeSkew = "0"
    channel.WaveformBitsStored = 16
    channel.ChannelSourceSequence = Sequence(
        [_code(f"2:{_LEAD_NUMBERS[lead]}", "MDC", f"Lead {lead}")]
    )
    return channel


def _code(value: str, scheme: str, meaning: str) -> Any:
    from pydicom.dataset import Dataset

    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


def study_uid(record: ECGRecord) -> str:
    """The study that this record's DICOM files belong to."""
    counts, gain = quantize(record.p_signal)
    return content_uid(b"study", counts.tobytes() + f"{record.fs!r} {gain!r}".encode())


def content_uid(role: bytes, content: bytes) -> str:
    """A UUID-derived UID (PS3.5 B.2) from a hash of the content."""
    digest = hashlib.sha256(role + b"\0" + content).digest()
    return f"{_ROOT_UID}{int.from_bytes(digest[:16], 'big')}"
