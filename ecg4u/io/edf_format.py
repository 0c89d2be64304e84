"""EDF+ (edfio). The format knows no missing samples, so each stretch that the page did not show is
written as 0 with an annotation naming lead and stretch, and read back as NaN."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from ecg4u.errors import MissingDependencyError, OutputError
from ecg4u.io.atomic import write_atomically
from ecg4u.io.files import STAGE, read_bytes
from ecg4u.io.leads import Channel, assemble, check_sample_count
from ecg4u.io.wfdb_format import quantize
from ecg4u.record import LEADS, ECGRecord
from ecg4u.runs import runs_of

MAGIC = b"0       "
BDF_MAGIC = b"\xffBIOSEMI"
_MAX_FILE_BYTES = 500_000_000
_NOT_SHOWN = re.compile(r"^ecg4u not shown: (\w+)$")
_LENGTH = re.compile(r"^ecg4u samples: (\d+)$")
_MAX_RECORD_S = 60


def write(record: ECGRecord, path: Path) -> tuple[Path, ...]:
    """1 count = 1 uV (coarser only beyond +-32 mV); the last data record is filled up with 0.

    Raises
    ------
    OutputError
        For a sampling rate that has no whole number of samples in any 1 to 60 s.
    """
    edfio = _edfio()
    record_s = _data_record_s(record.fs)
    counts, gain = quantize(record.p_signal, missing=0)
    step = round(record.fs * record_s)
    padded = np.zeros((-(-record.n_samples // step) * step, len(LEADS)))
    padded[: record.n_samples] = counts / gain
    limits = (-32768 / gain, 32767 / gain)
    signals = [
        edfio.EdfSignal(
            padded[:, index],
            record.fs,
            label=lead,
            transducer_type="",
            physical_dimension="mV",
            physical_range=limits,
        )
        for index, lead in enumerate(LEADS)
    ]
    edf = edfio.Edf(
        signals,
        patient=edfio.Patient(sex=record.sex or "X"),
        recording=edfio.Recording(equipment_code=_equipment(record)),
        data_record_duration=record_s,
        annotations=list(_annotations(record, edfio.EdfAnnotation)),
    )
    return (write_atomically(paths(path)[0], edf.to_bytes()),)


def paths(path: Path) -> tuple[Path]:
    """The file for a record at ``path``; ``.edf`` is added where it is not given."""
    return (path if path.suffix.lower() == ".edf" else path.parent / f"{path.name}.edf",)


def read(path: Path) -> ECGRecord:
    """EDF, EDF+ or BDF; other than ECG channels are passed over."""
    edfio = _edfio()
    data = read_bytes(path, max_bytes=_MAX_FILE_BYTES)
    with warnings.catch_warnings():  # edfio's warnings quote the file
        warnings.simplefilter("ignore")
        reader = edfio.read_bdf if data.startswith(BDF_MAGIC) else edfio.read_edf
        edf = reader(data)
        check_sample_count(sum(len(signal.digital) for signal in edf.signals), 1)
        channels = [
            Channel(s.label, s.physical_dimension, s.data, float(s.sampling_frequency))
            for s in edf.signals
        ]
        annotations = tuple(edf.annotations)
        sex, equipment = _sex(edf), _equipment_of(edf)
    ecg = _most_common_rate(channels)
    record = assemble(ecg, hashlib.sha256(data).hexdigest(), source_format="edf")
    return replace(_with_gaps(record, annotations, equipment), sex=sex)


def _edfio() -> Any:
    try:
        import edfio
    except ImportError:
        raise MissingDependencyError(
            "EDF needs the package edfio.", stage=STAGE, hint="pip install edfio"
        ) from None
    return edfio


def _data_record_s(fs: float) -> int:
    record_s = Fraction(fs).limit_denominator(_MAX_RECORD_S).denominator
    if abs(fs * record_s - round(fs * record_s)) > 1e-9 * fs:
        raise OutputError(
            "EDF cannot hold this sampling rate.", stage=STAGE, hint="Use WFDB or HDF5."
        )
    return record_s


def _equipment(record: ECGRecord) -> str:
    return f"ecg4u-{record.provenance.kind}-{record.provenance.source_sha256[:16] or 'unknown'}"


def _annotations(record: ECGRecord, annotation: Any) -> Iterator[Any]:
    yield annotation(0.0, None, f"ecg4u samples: {record.n_samples}")
    for lead, column in zip(LEADS, record.p_signal.T, strict=True):
        for gap in runs_of(~np.isfinite(column)):
            onset, duration = gap.start / record.fs, (gap.stop - gap.start) / record.fs
            yield annotation(round(onset, 9), round(duration, 9), f"ecg4u not shown: {lead}")


def _with_gaps(record: ECGRecord, annotations: tuple[Any, ...], equipment: str) -> ECGRecord:
    signal = record.p_signal.copy()
    n_samples = record.n_samples
    for onset, duration, text in annotations:
        if match := _LENGTH.match(text):
            n_samples = min(max(int(match[1]), 1), n_samples)
        elif (match := _NOT_SHOWN.match(text)) and match[1] in LEADS and duration is not None:
            first = min(max(round(onset * record.fs), 0), record.n_samples)
            last = min(first + round(duration * record.fs), record.n_samples)
            signal[first:last, LEADS.index(match[1])] = np.nan
    match = re.match(r"ecg4u-(digitized|digital|array)-([0-9a-f]{16}|unknown)", equipment)
    provenance = record.provenance
    if match:
        start = "" if match[2] == "unknown" else match[2]
        details = {"format": "edf", "source_sha256_start": start}
        provenance = replace(
            provenance, kind="digitized" if match[1] == "digitized" else "digital", details=details
        )
    return replace(record, p_signal=signal[:n_samples], provenance=provenance)


def _most_common_rate(channels: list[Channel]) -> list[Channel]:
    """EDF files mix rates (respiration, SpO2); the leads' own common rate is what counts."""
    from ecg4u.io.leads import lead_of

    ecg = [channel for channel in channels if lead_of(channel.name)]
    rates = [channel.fs for channel in ecg]
    common = max(set(rates), key=lambda fs: (rates.count(fs), fs)) if rates else 0.0
    return [channel for channel in ecg if channel.fs == common]


def _sex(edf: Any) -> Any:
    try:
        return edf.patient.sex if edf.patient.sex in ("F", "M") else None
    except Exception:  # plain EDF: the patient field is free text
        return None


def _equipment_of(edf: Any) -> str:
    try:
        return str(edf.recording.equipment_code)
    except Exception:  # plain EDF: the recording field is free text
        return ""
