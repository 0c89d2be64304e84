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

from ecg4u.io import provenance as provenance_json
from ecg4u.io.atomic import write_atomically
from ecg4u.io.files import check_regular, sha256_of, unreadable
from ecg4u.io.leads import Channel, assemble, check_sample_count, lead_of
from ecg4u.options import OLDEST_YEARS
from ecg4u.record import LEADS, ECGRecord

MAGIC = b"\x89HDF\r\n\x1a\n"
SCHEMA = "ecg4u-record-1"
_MAX_FILE_BYTES = 2_000_000_000
_MAX_PARTS = 2_000
"""Looked at where no name was given; a file of more recordings is read by their names."""
_MAX_DEPTH = 8
_MAX_CHUNKS = 100_000
_MAX_FILTERS = 3
"""E.g. shuffle, gzip and a checksum; gzip upon gzip unfolds a thousandfold at each step."""
_MAX_ATTRIBUTE_VALUES = 64
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
    with h5py.File(path, "r") as file:
        if _attribute(file, "schema") == SCHEMA and name is None:
            return _read_own(file, sha256)
        return _read_other(file, sha256, name, fs)


def _read_own(file: Any, sha256: str) -> ECGRecord:
    budget = _Budget()
    signal = budget.samples(_dataset(file, "p_signal"))
    names = [_text(value) for value in np.atleast_1d(_attribute(file, "sig_name"))]
    unit, fs = _text(_attribute(file, "units")), _number(_attribute(file, "fs"))
    channels = [Channel(name, unit, signal[:, index], fs) for index, name in enumerate(names)]
    record = assemble(channels, sha256, source_format="hdf5")
    found = provenance_json.from_json(_text(_attribute(file, "provenance") or ""))
    confidence = None
    if _child(file, "confidence") is not None:
        stated = budget.samples(_dataset(file, "confidence"))
        confidence = np.clip(np.nan_to_num(stated), 0.0, 1.0)
        if confidence.shape != record.p_signal.shape or tuple(names) != LEADS:
            raise unreadable("The record's confidence does not fit its samples.", "Write it again.")
    age, sex = _attribute(file, "age"), _text(_attribute(file, "sex") or "")
    return replace(
        record,
        confidence=confidence,
        provenance=found or record.provenance,
        age=float(age) if age is not None and 0 <= float(age) <= OLDEST_YEARS else None,
        sex="F" if sex == "F" else "M" if sex == "M" else None,
    )


def _read_other(file: Any, sha256: str, name: str | None, fs: float | None) -> ECGRecord:
    datasets = dict(_datasets(file)) if name is None else {name: _dataset(file, name)}
    budget = _Budget()
    leads = {key: data for key, data in datasets.items() if data.ndim == 1 and _lead_key(key)}
    if leads:
        channels = [
            Channel(
                key.rpartition("/")[2],
                _unit(data),
                budget.samples(data),
                _rate(data, file, fs, budget),
            )
            for key, data in leads.items()
        ]
        return assemble(channels, sha256, source_format="hdf5")
    tables = [data for data in datasets.values() if _is_table(data)]
    if len(tables) != 1:
        raise unreadable(
            f"The HDF5 file holds {len(tables)} recordings.",
            "Name the one to read: read_record(path, name=...).",
        )
    return _read_table(tables[0], budget, file, sha256, fs)


def _read_table(data: Any, budget: _Budget, file: Any, sha256: str, fs: float | None) -> ECGRecord:
    table = budget.samples(data)
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
    factor = _number(scale) if scale is not None else 1.0
    rate = _rate(data, file, fs, budget)
    channels = [
        Channel(lead, unit, table[:, index] * factor, rate) for index, lead in enumerate(names)
    ]
    return assemble(channels, sha256, source_format="hdf5", inferred=inferred)


def _datasets(file: Any) -> Iterator[tuple[str, Any]]:
    """Every data set of numbers that hard links lead to, with its name."""
    import h5py

    stack, seen = [("", file)], 0
    while stack:
        prefix, group = stack.pop()
        for key in group:
            seen += 1
            if seen > _MAX_PARTS or prefix.count("/") > _MAX_DEPTH:
                raise unreadable(
                    "The HDF5 file has too many parts to look through.",
                    "Name the recording to read: read_record(path, name=...).",
                )
            item = _child(group, key)
            if isinstance(item, h5py.Group):
                stack.append((f"{prefix}{key}/", item))
            elif isinstance(item, h5py.Dataset) and item.dtype.kind in "iuf":
                yield f"{prefix}{key}", item


def _dataset(file: Any, name: str) -> Any:
    """The data set of numbers of that name.

    Raises
    ------
    UnreadableInputError
        If there is none, or only one that another kind of link leads to.
    """
    import h5py

    item = file
    for key in name.strip("/").split("/")[: _MAX_DEPTH + 2]:
        item = _child(item, key) if isinstance(item, h5py.Group) else None
    if not isinstance(item, h5py.Dataset) or item.dtype.kind not in "iuf":
        raise unreadable("The HDF5 file holds no recording of that name.", "Check the name.")
    return item


def _child(group: Any, key: str) -> Any:
    """What the hard link of that name leads to, else None.

    Other links can lead into another person's file, and so can a name that holds a slash: the
    library takes it for a path, whose first part may be such a link.
    """
    import h5py

    link = None if "/" in key else group.get(key, getlink=True)
    return group[key] if isinstance(link, h5py.HardLink) else None


class _Budget:
    """Reads data sets as float64 while all of them together stay within what a record may hold."""

    def __init__(self) -> None:
        self._n_samples = 0

    def samples(self, data: Any) -> np.ndarray:
        """The values of one data set."""
        if data.external or data.is_virtual:
            raise unreadable("The HDF5 file keeps its samples in other files.", "Repack it.")
        self._n_samples += math.prod(data.shape)
        check_sample_count(self._n_samples, 1)
        if data.chunks:
            check_sample_count(math.prod(data.chunks), 1)
            pieces = zip(data.shape, data.chunks, strict=True)
            if math.prod(-(-size // piece) for size, piece in pieces) > _MAX_CHUNKS:
                raise unreadable("The HDF5 file is cut into too many pieces.", "Repack it.")
        if data.id.get_create_plist().get_nfilters() > _MAX_FILTERS or _is_packed_twice(data):
            raise unreadable("The HDF5 file is compressed more than once.", "Repack it.")
        return np.asarray(data[()], dtype=np.float64)


def _is_packed_twice(data: Any) -> bool:
    plist = data.id.get_create_plist()
    codes = [plist.get_filter(index)[0] for index in range(plist.get_nfilters())]
    return len(codes) > len(set(codes))


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


def _rate(data: Any, file: Any, fs: float | None, budget: _Budget) -> float:
    stated = _first(data, file, _RATE_NAMES)
    if fs is None and stated is None:
        for name in _RATE_NAMES:
            if getattr(_child(file, name), "size", 0) == 1:
                stated = budget.samples(_dataset(file, name))
    if fs is None and stated is None:
        raise unreadable("The file does not state its sampling rate.", "Give it: fs=...")
    return float(fs) if fs is not None else _number(stated)


def _unit(data: Any) -> str:
    stated = next((_attribute(data, name) for name in _UNIT_NAMES if name in data.attrs), "")
    if not isinstance(stated, str | bytes):
        stated = next(iter(np.asarray(stated).ravel()), "")
    return _text(stated)


def _first(data: Any, file: Any, names: tuple[str, ...]) -> Any:
    for holder in (data, data.parent, file):
        for name in names:
            if name in holder.attrs:
                return _attribute(holder, name)
    return None


def _attribute(holder: Any, name: str) -> Any:
    """An attribute of a few values, or None: a thousand can share one long text."""
    if name not in holder.attrs:
        return None
    if math.prod(holder.attrs.get_id(name).shape or ()) > _MAX_ATTRIBUTE_VALUES:
        raise unreadable("An attribute of the HDF5 file is too large.", "Write it again.")
    return holder.attrs[name]


def _number(value: Any) -> float:
    return float(np.asarray(value).ravel()[0])


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
