"""Leaving a result in a folder: signals, ``result.json`` and ``report.html``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ecg4u.report.document import render
from ecg4u.report.exports import export

if TYPE_CHECKING:
    from ecg4u.analysis import Analysis

SIGNAL_NAME = "signals"


def write(
    analysis: Analysis,
    out_dir: str | Path,
    formats: Sequence[str] = ("wfdb",),
    *,
    title: str | None = None,
    page_image: bool = True,
    exports: Sequence[str] = (),
    language: str = "en",
) -> list[Path]:
    """Write the signals in each format, ``result.json`` and ``report.html``; returns their paths.

    ``exports`` are any of ``"pdf"``, ``"dicom"`` and ``"fhir"``: see `ecg4u.report.exports`.
    ``language`` is that of ``report.html``: see `ecg4u.report.render`.

    Each file is written whole or not at all.

    Raises
    ------
    OutputError
        If the folder cannot be written to.
    MissingDependencyError
        If a package that a format or an export needs is not installed.
    """
    from ecg4u.analysis import check_analysis
    from ecg4u.io import write_atomically, write_record

    check_analysis(analysis)
    folder = Path(out_dir)
    written = [
        write_atomically(
            folder / "report.html",
            render(analysis, title=title, page_image=page_image, language=language),
        ),
        write_atomically(folder / "result.json", result_json(analysis)),
    ]
    for name in dict.fromkeys(formats):
        written += write_record(analysis.record, folder / SIGNAL_NAME, format=name)
    for file, content in export(analysis, exports).items():
        if (path := write_atomically(folder / file, content)) not in written:
            written.append(path)
    return written


def result_json(analysis: Analysis) -> str:
    """``result.json`` as text; it never contains NaN."""
    return json.dumps(analysis.to_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
