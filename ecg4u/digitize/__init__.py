"""From a page image to twelve signals: rectify, ink, rows, pulse, labels, layout, signals.

`digitize` gives the record; `digitize_page` gives every stage's result beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ecg4u.digitize.result import Digitization as Digitization
    from ecg4u.digitize.sidecar.model import Sidecar as Sidecar
    from ecg4u.io import PageSource
    from ecg4u.options import SidecarSource
    from ecg4u.record import ECGRecord

__all__ = ["Digitization", "Sidecar", "digitize", "digitize_page"]


def digitize(
    source: PageSource,
    *,
    page: int = 1,
    gain_mm_per_mv: float | None = None,
    speed_mm_per_s: float | None = None,
    dpi: float | None = None,
    sidecar: SidecarSource | None = None,
) -> ECGRecord:
    """Read a page of ECG paper.

    Parameters
    ----------
    source : path or bytes of an image or PDF file, a `Page`, a PIL image or an array of pixels
        An array is (H, W, 3) RGB or (H, W) grey, uint8.
    page : int
        Which page of a file with several, from 1.
    gain_mm_per_mv, speed_mm_per_s : float or None
        What is printed on the page, if you know it; None to read, infer or assume it.
    dpi : float or None
        Resolution of the picture, for pages on which no grid can be found; without it, the scale
        of such a page comes from its calibration pulses, if they leave no doubt.
    sidecar : Sidecar, its values, the path of its file, or None
        What an earlier reading of this page found, perhaps corrected: processing continues there.

    Returns
    -------
    ECGRecord
        500 Hz, mV, NaN where the page shows nothing; ``warnings`` says what is doubtful.

    Raises
    ------
    UnreadableInputError, UsageError, NotAnECGError, PoorQualityError, SidecarError
    TypeError
        If ``source`` is none of the above.
    """
    from dataclasses import replace

    found = digitize_page(
        source,
        page=page,
        gain_mm_per_mv=gain_mm_per_mv,
        speed_mm_per_s=speed_mm_per_s,
        dpi=dpi,
        sidecar=sidecar,
    )
    return replace(found.record, warnings=found.warnings)


def digitize_page(
    source: PageSource,
    *,
    page: int = 1,
    gain_mm_per_mv: float | None = None,
    speed_mm_per_s: float | None = None,
    dpi: float | None = None,
    sidecar: SidecarSource | None = None,
) -> Digitization:
    """Like `digitize`, but with all that was found: layout, labels, calibration, traces, grade."""
    from ecg4u.digitize import pipeline
    from ecg4u.io import as_page
    from ecg4u.options import ReadOptions

    options = ReadOptions(page, gain_mm_per_mv, speed_mm_per_s, dpi, sidecar)
    return pipeline.digitize_page(as_page(source, page=page), options)


def __getattr__(name: str) -> Any:
    if name == "Sidecar":
        from ecg4u.digitize.sidecar.model import Sidecar

        return Sidecar
    if name == "Digitization":
        from ecg4u.digitize.result import Digitization

        return Digitization
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
