"""Signal files in and out: one function each, whatever the format."""

from __future__ import annotations

from pathlib import Path

from ecg4u.arguments import check_kind, check_number, check_path
from ecg4u.errors import ECG4UError, UsageError
from ecg4u.io import csv_format, dicom_format, edf_format, hdf5_format, wfdb_format
from ecg4u.io.files import check_regular, check_source, read_head, unreadable
from ecg4u.limits import reading
from ecg4u.options import FORMATS
from ecg4u.record import ECGRecord

_MODULES = {
    "wfdb": wfdb_format,
    "hdf5": hdf5_format,
    "csv": csv_format,
    "edf": edf_format,
    "dicom": dicom_format,
}
RECORD_SUFFIXES = frozenset([".hea", ".h5", ".hdf5", ".edf", ".bdf", ".dcm", ".csv", ".tsv"])
"""By which a record is known before its content is."""
_MAX_FILE_BYTES = 2_000_000_000


@reading()
def read_record(path: str | Path, *, fs: float | None = None, name: str | None = None) -> ECGRecord:
    """Read a signal file of any known format, recognized by its content.

    Leads are recognized by their usual synonyms, units are converted to mV, and the sampling rate
    is kept; ``provenance.inferred`` lists what had to be assumed.

    Parameters
    ----------
    path
        WFDB (``.hea``, ``.dat``, ``.mat`` or the bare record name), HDF5, CSV, EDF(+) / BDF, DICOM.
    fs
        Hz, for files that do not state it (CSV without a time column, bare HDF5 arrays).
    name
        Which recording to read from an HDF5 file that holds several.

    Raises
    ------
    UnreadableInputError, NotAnECGError, MissingDependencyError
    """
    check_path("path", path)
    if fs is not None:
        check_number("fs", fs, "Give Hz.")
    path, fs = Path(path), None if fs is None else float(fs)
    found = _format_of(path)
    if found is None and path.suffix.lower() in (".csv", ".tsv"):
        found = "csv"  # which says what its table lacks
    if found is None:
        if not wfdb_format.is_wfdb(path):
            check_regular(path, max_bytes=_MAX_FILE_BYTES)
        raise unreadable(
            "The file is not a record of a known format.",
            "Known formats: WFDB, HDF5, CSV, EDF, DICOM.",
        )
    try:
        if found == "hdf5":
            return hdf5_format.read(path, name=name, fs=fs)
        if found == "csv":
            return csv_format.read(path, fs=fs)
        return {"wfdb": wfdb_format, "edf": edf_format, "dicom": dicom_format}[found].read(path)
    except (ECG4UError, MemoryError):
        raise
    except Exception:  # parsers, ours too, raise what a damaged file makes them raise
        raise unreadable(
            "The record is damaged, cut short or of an unknown kind.", "Copy or export it again."
        ) from None


def write_record(
    record: ECGRecord, path: str | Path, format: str | None = None
) -> tuple[Path, ...]:
    """Write ``record`` at ``path`` (the suffix is added if missing); returns the files written.

    Without ``format`` the suffix decides; a path without a known suffix becomes WFDB.
    Each file appears whole or not at all, and the same record gives the same bytes. HDF5 keeps
    everything; WFDB and DICOM keep samples (1 uV), gaps and provenance; EDF samples, gaps and the
    start of the source's hash; CSV samples (0.1 uV) and gaps. For WFDB the name is reduced to the
    characters that the format allows.

    Raises
    ------
    OutputError
        If the disk is full, the folder not writable, or the format cannot hold the record.
    """
    check_kind("record", record, ECGRecord, "Give what ecg4u.digitize or read_record returns.")
    check_path("path", path)
    path = Path(path)
    if format is None:
        format = next((name for name in FORMATS if record_paths(path, name)[0] == path), "wfdb")
    if format not in FORMATS:
        raise UsageError(
            f"Unknown record format {format!r}.",
            stage="io",
            hint=f"Choose one of {', '.join(FORMATS)}.",
        )
    return _MODULES[format].write(record, path)


def record_paths(path: str | Path, format: str = "wfdb") -> tuple[Path, ...]:
    """The files that `write_record` would write."""
    return tuple(_MODULES[format].paths(Path(path)))


@reading()
def is_record_file(path: str | Path) -> bool:
    """Whether ``path`` looks like a signal file rather than a page, judging by a few bytes."""
    check_source(path)
    return _format_of(Path(path)) is not None


def _format_of(path: Path) -> str | None:
    head = read_head(path, 512)
    if head.startswith(hdf5_format.MAGIC):
        return "hdf5"
    if dicom_format.is_dicom(head):
        return "dicom"
    if head.startswith((edf_format.MAGIC, edf_format.BDF_MAGIC)) and len(head) >= 256:
        return "edf"
    if wfdb_format.is_wfdb(path):
        return "wfdb"
    return "csv" if csv_format.is_csv(path) else None
