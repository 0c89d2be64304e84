"""What other systems take of an analysis: a page to print, DICOM for an archive, FHIR resources."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ecg4u.analysis import check_analysis
from ecg4u.errors import MissingDependencyError, UsageError

if TYPE_CHECKING:
    from ecg4u.analysis import Analysis

FILES = {
    "pdf": ("report.pdf",),
    "dicom": ("signals.dcm", "report.dcm"),
    "fhir": ("fhir.json",),
}
"""The kinds of export, and the files of each."""


def export(analysis: Analysis, kinds: Sequence[str]) -> dict[str, bytes]:
    """The content of each file of the ``kinds`` (keys of `FILES`), by its name.

    ``report.pdf`` is one A4 page; ``signals.dcm`` and ``report.dcm`` are the waveform and that page
    in one study; for ``fhir.json`` see `ecg4u.report.fhir`. None shows the picture of the page. The
    same analysis gives the same bytes.

    Raises
    ------
    MissingDependencyError
        For DICOM without pydicom.
    UsageError
        For an unknown kind, or if ``analysis`` is not an `Analysis`.
    """
    check(kinds)
    check_analysis(analysis)
    made: dict[str, bytes] = {}
    if "pdf" in kinds:
        from ecg4u.report.pdf import one_page_pdf

        made["report.pdf"] = one_page_pdf(analysis)
    if "dicom" in kinds:
        from ecg4u.io import dicom_format
        from ecg4u.report.dicom import encapsulated_pdf

        made["signals.dcm"] = dicom_format.to_bytes(analysis.record)
        made["report.dcm"] = encapsulated_pdf(analysis, made.get("report.pdf"))
    if "fhir" in kinds:
        from ecg4u.report.fhir import bundle

        text = json.dumps(bundle(analysis), indent=1, ensure_ascii=False) + "\n"
        made["fhir.json"] = text.encode()
    return made


def check(kinds: Sequence[str]) -> None:
    """Raise a typed error, before any work is done, if an export cannot be made."""
    unknown = [repr(kind) for kind in kinds if kind not in FILES]
    if isinstance(kinds, str) or unknown:
        raise UsageError(
            f"No such export: {', '.join(unknown) or kinds}.",
            stage="report",
            hint=f"Give a list of {', '.join(FILES)}.",
        )
    if "dicom" in kinds and importlib.util.find_spec("pydicom") is None:
        raise MissingDependencyError(
            "DICOM needs the package pydicom.", stage="report", hint="pip install pydicom"
        )
