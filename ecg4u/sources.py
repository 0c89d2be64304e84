"""What the public functions take as an ECG: a record, its file, or a page in any form."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

from ecg4u.errors import UnreadableInputError
from ecg4u.io import Page, PageSource, as_page, is_record_file, read_record
from ecg4u.io.records import RECORD_SUFFIXES
from ecg4u.record import ECGRecord

ECGSource: TypeAlias = ECGRecord | PageSource
"""An `ECGRecord`, the path of a record file, or what `ecg4u.digitize` takes for a page."""


def load(source: ECGSource, *, page: int = 1) -> Page | ECGRecord:
    """The record or the page that ``source`` is or holds; a file's kind is told by its content.

    Raises
    ------
    UnreadableInputError, NotAnECGError
        If a file cannot be read, or holds no lead.
    WrongTypeError
        If ``source`` is nothing that could be an ECG.
    """
    if isinstance(source, ECGRecord):
        return source
    if isinstance(source, (str, Path)) and is_record_file(source):
        return read_record(source)
    try:
        return as_page(source, page=page)
    except UnreadableInputError:
        if isinstance(source, (str, Path)) and Path(source).suffix.lower() in RECORD_SUFFIXES:
            return read_record(source)  # says why it is no record
        raise


def as_record(source: ECGSource, *, page: int = 1) -> ECGRecord:
    """The signals of ``source``; a page is digitized. Raises as `load` and `digitize` do."""
    loaded = load(source, page=page)
    if isinstance(loaded, ECGRecord):
        return loaded
    from ecg4u.digitize import digitize

    return digitize(loaded)
