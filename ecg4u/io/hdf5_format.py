"""HDF5: `p_signal` with everything a record knows, confidence and provenance included.

Also read: one array per file or per recording, as most public collections have them.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ecg4u.errors import ECG4UError
from ecg4u.io import provenance as provenance_json
from ecg4u.io.atomic import write_atomically
from ecg4u.io.files import check_regular, sha256_of, unreadable
from ecg4u.io.leads import Channel, assemble, check_sample_count, lead_of
from ecg4u.record import LEADS, ECGRecord

MAGIC = b"\x89HDF\r\n\x1a\n"
SCHEMA = "ecg4u-record-1"
_MAX_FILE_BYTES = 2_000_000_000
_MAX_DATASETS = 200_000
_RATE_NAMES = ("fs", "sampling_frequency", "sampling_rate", "sample_rate", "samplingrate", "freq")
_LEAD_NAMES = ("sig_name", "leads", "lead_names", "channels", "channel_names")
_UNIT_NAMES = ("units", "unit")


def write(record: ECGRecord, path: Path) -> tuple[Path, ...]:
    """One file: `p_signal` (samples, 12) float32 mV, `confidence` if any, attributes."""
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["schema"] = SCHEMA
        file.attrs["fs"] = record.fs
        file.attrs["sig_name"] = list(record.sig_name)
        file.attrs["units"] = record.units
        file.attrs["provenance"] = provenance_json.to_json(record.provenance)
        if record.age is not None:
            file.attrs["age"] = record.age
        if record.sex is not None:
            file.attrs["sex"] = record.sex
        options = {"compression": "gzip", "shuffle": True, "track_times": False}
        file.create_dataset("p_signal", data=record.p_signal.astype(np.float32), **options)
        if record.confidence is not None:
            confidence = record.confidence.astype(np.float32)
            file.create_dataset("confidence", data=confidence, **options)
    return (write_atomically(paths(path)[0], buffer.getvalue()),)


def paths(path: Path) -> tuple[Path]:
    """The file for a record at ``path``; ``.h5`` is added where no HDF5 suffix is given."""
    known = path.suffix.lower() in (".h5", ".hdf5", ".hdf")
    return (path if known else path.parent / f"{path.name}.h5",)


def read(path: Path, *, name: str | None, fs: float | None) -> ECGRecord:
    """An ecg4u file, or the (only, or named) array of another one."""
    import h5py

    check_regular(path, max_bytes=_MAX_FILE_BYTES)
    sha256 = sha256_of(path)
    try:
        with h5py.File(path, "r") as file:
            if file.attrs.get("schema") == SCHEMA and name is None:
                return _read_own(file, sha256)
            return _read_other(file, sha256, name, fs)
    except ECG4UError:
        raise
    except Exception:  # h5py raises OSError, KeyError, RuntimeError, TypeError, UnicodeError ...
        raise unreadable("The HDF5 file is damaged or cut short.", "Copy it again.") from None


def _read_own(file: Any, sha256: str) -> ECGRecord:
    signal = _array(file["p_signal"])
    names = [_text(value) for value in file.attrs["sig_name"]]
    channels = [
        Channel(name, _text(file.attrs["units"]), signal[:, index], float(file.attrs["fs"]))
        for index, name in enumerate(names)
    ]
    record = assemble(channels, sha256, source_format="hdf5")
    found = provenance_json.from_json(_text(file.attrs.get("provenance", "")))
    confidence = None
    if "confidence" in file:
        confidence = np.clip(np.nan_to_num(_array(file["confidence"])), 0.0, 1.0)
        if confidence.shape != record.p_signal.shape or tuple(names) != LEADS:
            raise unreadable("The record's confidence does not fit its samples.", "Write it again.")
    age, sex = file.attrs.get("age"), _text(file.attrs.get("sex", ""))
    return replace(
        record,
        confidence=confidence,
        provenance=found or record.provenance,
        age=float(age) if age is not None and math.isfinite(float(age)) else None,
        sex="F" if sex == "F" else "M" if sex == "M" else None,
    )


def _read_other(file: Any, sha256: str, name: str | None, fs: float | None) -> ECGRecord:
    datasets = dict(_datasets(file))
    if name is not None:
        if name not in datasets:
            raise unreadable("The HDF5 file holds no recording of that name.", "Check the name.")
        datasets = {name: datasets[name]}
    leads = {key: data for key, data in datasets.items() if data.ndim == 1 and _lead_key(key)}
    if leads:
        channels = [
            Channel(key.rpartition("/")[2], _unit(data), _array(data), _rate(data, file, fs))
            for key, data in leads.items()
        ]
        return assemble(channels, sha256, source_format="hdf5")
    tables = [data for data in datasets.values() if _is_table(data)]
    if len(tables) != 1:
        raise unreadable(
            f"The HDF5 file holds {len(tables)} recordings.",
            "Name the one to read: read_record(path, name=...).",
        )
    return _read_table(tables[0], file, sha256, fs)


def _read_table(data: Any, file: Any, sha256: str, fs: float | None) -> ECGRecord:
    table = _array(data)
    names = _stated_leads(data, file)
    inferred = [] if names else ["lead names from the conventional order"]
    names = names or list(LEADS)
    if table.ndim == 3:
        table = table[0]
    if table.shape[1] != len(names):
        table = table.T
    if table.shape[1] != len(names):
        raise unreadable("The recording does not have one column per lead.", "Check its shape.")
    scale = _first(data, file, ("millivolts_per_count",))
    unit = "mV" if scale is not None else _unit(data) or _unit(file)
    factor = float(np.asarray(scale).ravel()[0]) if scale is not None else 1.0
    rate = _rate(data, file, fs)
    channels = [
        Channel(lead, unit, table[:, index] * factor, rate) for index, lead in enumerate(names)
    ]
    return assemble(channels, sha256, source_format="hdf5", inferred=inferred)


def _datasets(file: Any) -> Iterator[tuple[str, Any]]:
    """Data sets reached by hard links alone: other links can lead to other files."""
    import h5py

    stack, seen = [("", file)], 0
    while stack:
        prefix, group = stack.pop()
        for key in group:
            seen += 1
            if seen > _MAX_DATASETS or prefix.count("/") > 8:
                raise unreadable("The HDF5 file has too many parts.", "Split it.")
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                continue
            item = group[key]
            if isinstance(item, h5py.Group):
                stack.append((f"{prefix}{key}/", item))
            elif isinstance(item, h5py.Dataset) and item.dtype.kind in "iuf":
                yield f"{prefix}{key}", item


def _array(data: Any) -> np.ndarray:
    if data.external or data.is_virtual:
        raise unreadable("The HDF5 file keeps its samples in other files.", "Repack it.")
    check_sample_count(math.prod(data.shape), 1)
    if data.chunks:
        check_sample_count(math.prod(data.chunks), 1)
    return np.asarray(data[()], dtype=np.float64)


def _is_table(data: Any) -> bool:
    return data.ndim in (2, 3) and (data.ndim == 2 or data.shape[0] == 1) and min(data.shape) > 0


def _lead_key(key: str) -> bool:
    return lead_of(key.rpartition("/")[2]) is not None


def _stated_leads(data: Any, file: Any) -> list[str]:
    stated = _first(data, file, _LEAD_NAMES)
    if stated is None:
        return []
    if isinstance(stated, str | bytes):
        return _text(stated).replace(",", " ").split()
    return [_text(value) for value in np.asarray(stated).ravel()]


def _rate(data: Any, file: Any, fs: float | None) -> float:
    stated = _first(data, file, _RATE_NAMES)
    if fs is None and stated is None:
        for name in _RATE_NAMES:
            if name in file and getattr(file[name], "size", 0) == 1:
                stated = file[name][()]
    if fs is None and stated is None:
        raise unreadable("The file does not state its sampling rate.", "Give it: fs=...")
    return float(fs if fs is not None else np.asarray(stated).ravel()[0])


def _unit(data: Any) -> str:
    stated = next((data.attrs[name] for name in _UNIT_NAMES if name in data.attrs), "")
    if not isinstance(stated, str | bytes):
        stated = next(iter(np.asarray(stated).ravel()), "")
    return _text(stated)


def _first(data: Any, file: Any, names: tuple[str, ...]) -> Any:
    for holder in (data, data.parent, file):
        for name in names:
            if name in holder.attrs:
                return holder.attrs[name]
    return None


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
