"""Leaving a result in a folder: signals, ``result.json`` and ``report.html``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ecg4u.report.document import render

if TYPE_CHECKING:
    from ecg4u.analysis import Analysis

SIGNAL_NAME = "signals"
SUFFIXES = {"csv": ".csv", "hdf5": ".h5", "edf": ".edf", "dicom": ".dcm", "wfdb": ""}


def write(
    analysis: Analysis,
    out_dir: str | Path,
    formats: Sequence[str] = ("wfdb",),
    *,
    title: str | None = None,
    page_image: bool = True,
    fhir: bool = False,
    pdf: bool = False,
    dicom: bool = False,
) -> list[Path]:
    """Write the signals in each format, ``result.json`` and ``report.html``; returns their paths.

    With ``fhir`` also ``fhir.json``, see `ecg4u.report.fhir`; with ``pdf`` ``report.pdf``, one page
    A4; with ``dicom`` ``signals.dcm`` and ``report.dcm``, that page in the same study.

    Each file is written whole or not at all.

    Raises
    ------
    OutputError
        If the folder cannot be written to.
    """
    from ecg4u.io import write_atomically, write_record

    folder = Path(out_dir)
    written = [
        write_atomically(
            folder / "report.html", render(analysis, title=title, page_image=page_image)
        ),
        write_atomically(folder / "result.json", result_json(analysis)),
    ]
    if fhir:
        from ecg4u.report.fhir import bundle

        text = json.dumps(bundle(analysis), indent=1, ensure_ascii=False) + "\n"
        written.append(write_atomically(folder / "fhir.json", text))
    if pdf:
        from ecg4u.report.pdf import one_page_pdf

        written.append(write_atomically(folder / "report.pdf", one_page_pdf(analysis)))
    if dicom:
        from ecg4u.report.dicom import encapsulated_pdf

        written.append(write_atomically(folder / "report.dcm", encapsulated_pdf(analysis)))
        formats = (*formats, "dicom")
    for name in dict.fromkeys(formats):
        path = folder / (SIGNAL_NAME + SUFFIXES[name])
        write_record(analysis.record, path, format=name)
        written.append(path)
    return written


def result_json(analysis: Analysis) -> str:
    """``result.json`` as text; NaN never stands in it."""
    return json.dumps(analysis.to_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
