"""All records of a batch in one HDF5 file, as training wants them."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

from ecg4u.batch.ledger import Entries
from ecg4u.errors import ECG4UError
from ecg4u.io import read_record
from ecg4u.io.atomic import TEMPORARY_PREFIX, output_error
from ecg4u.io.own import COLLECTED
from ecg4u.record import LEADS, ECGRecord

_SIGNAL_NAMES = ("signals.hea", "signals.h5", "signals.csv", "signals.edf", "signals.dcm")


def collect(out: Path, path: Path) -> int:
    """Write every record that a batch has done into the HDF5 file ``path``; returns how many.

    One float32 data set (samples, 12) in mV per page, named as its folder is, with ``fs`` as an
    attribute; the file's attributes are ``schema``, ``sig_name`` and ``units``. `read_record` with
    ``name`` reads one back. Records are held in memory one at a time; the file appears whole or not
    at all.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    import h5py

    temporary = path.parent / f"{TEMPORARY_PREFIX}{os.getpid()}.h5.tmp"
    count = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(temporary, "w") as file:
            file.attrs["schema"] = COLLECTED
            file.attrs["sig_name"] = list(LEADS)
            file.attrs["units"] = "mV"
            for name, folder in _done_pages(out):
                count += _add(file, name, folder)
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise output_error(error) from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    return count


def _done_pages(out: Path) -> list[tuple[str, Path]]:
    """Name and folder of every page that was done, in order of input."""
    found = []
    entries = Entries(out)
    for entry in entries.values():
        folder, pages = entry["folder"], entry["pages"]
        for page in pages:
            below = folder if len(pages) == 1 else f"{folder}/page-{page['page']:04d}"
            if page["status"] == "done":
                found.append((below.split("/", 2)[2].replace("/", "-"), out / below))
    return found


def _add(file: Any, name: str, folder: Path) -> int:
    record = _read(folder)
    if record is None:
        return 0
    options = {"compression": "gzip", "shuffle": True, "track_times": False}
    data = file.create_dataset(name, data=record.p_signal.astype("f4"), **options)
    data.attrs["fs"] = record.fs
    data.attrs["source_sha256"] = record.provenance.source_sha256
    return 1


def _read(folder: Path) -> ECGRecord | None:
    path = next((folder / n for n in _SIGNAL_NAMES if (folder / n).exists()), None)
    if path is None:
        return None
    try:
        return read_record(path)
    except ECG4UError:
        return None
