"""Telling this program's own output from input, so that no run reads what an earlier one wrote."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from ecg4u.io.files import read_head

_MARK = b"Software\0ecg4u overlay"
COLLECTED = "ecg4u-records-1"
"""Schema of the records of a batch in one HDF5 file."""
TRAINING = "ecg4u-training-1"
"""Schema of the windows that the classifier learns from."""
_SCHEMAS = (COLLECTED.encode(), TRAINING.encode())
_H5_HEAD = 1 << 16
"""Attributes that are written first stand among the first bytes of a file; HDF5's own library is
not asked, for a damaged file could take the process along."""
_AFTER_IHDR = 33
"""Length of a PNG's signature and its first chunk."""
_HEAD = 128
SIDECAR_SUFFIX = ".page.json"


def marked_png(png: bytes) -> bytes:
    """``png`` with a text chunk saying that it is an overlay drawn by ecg4u."""
    chunk = b"tEXt" + _MARK
    size, crc = struct.pack(">I", len(_MARK)), struct.pack(">I", zlib.crc32(chunk))
    return png[:_AFTER_IHDR] + size + chunk + crc + png[_AFTER_IHDR:]


def is_own_output(path: str | Path) -> bool:
    """Whether ecg4u wrote this file: an overlay, signals with their sidecar beside them, a report
    and its signals, many records in one HDF5 file, or the manifest of a batch."""
    path = Path(path)
    if path.suffix.lower() == ".png":
        return _MARK in read_head(path, _HEAD)
    if path.suffix.lower() in (".h5", ".hdf5"):
        head = read_head(path, _H5_HEAD)
        if any(schema in head for schema in _SCHEMAS):
            return True
    if path.with_suffix(SIDECAR_SUFFIX).exists():
        return not _is_picture(path)
    if path.name == "manifest.csv":
        return any(path.parent.glob("ledger*.jsonl"))
    beside = {"signals": "report.html", "report": "result.json"}.get(path.stem)
    return beside is not None and (path.parent / beside).exists()


def _is_picture(path: Path) -> bool:
    from ecg4u.io.pages import is_page_name

    return is_page_name(str(path))
