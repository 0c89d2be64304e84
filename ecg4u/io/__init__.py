"""Pages in (PNG, JPEG, TIFF, BMP, WebP, HEIC, PDF); records in and out.

Records are WFDB, HDF5, CSV, EDF+ or DICOM.

Whatever is wrong with a file surfaces as one `ecg4u.errors.UnreadableInputError` (or
`NotAnECGError` where a signal file holds no ECG lead), whose message never names the file.
"""

from __future__ import annotations

from ecg4u.io.atomic import StorageError, write_atomically
from ecg4u.io.files import sha256_of
from ecg4u.io.pages import Page, count_pages, read_page, read_pages
from ecg4u.io.pixels import PageSource, as_page
from ecg4u.io.records import FORMATS, is_record_file, read_record, record_paths, write_record

__all__ = [
    "FORMATS",
    "Page",
    "PageSource",
    "StorageError",
    "as_page",
    "count_pages",
    "is_record_file",
    "read_page",
    "read_pages",
    "read_record",
    "record_paths",
    "sha256_of",
    "write_atomically",
    "write_record",
]
