"""Two records of one ECG drawn over each other, lead by lead, as one HTML page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ecg4u.report.figure import MM_PER_MV, MM_PER_S
from ecg4u.report.markup import Markup, number, page, tag
from ecg4u.runs import runs_of

if TYPE_CHECKING:
    from ecg4u.compare import LeadScore
    from ecg4u.record import ECGRecord

MAX_SHOWN_S = 10.0
HALF_MM = 25.0
"""Room above and below the zero line."""
STYLE = (
    "body{font:14px system-ui,sans-serif;margin:1rem;max-width:75rem;background:#fff;"
    "color:#1c1b1a}svg{width:100%;"
    "background:#fffaf8;border:1px solid #dedad4}path{fill:none;stroke-width:.35}"
    ".a{stroke:#16130f}.b{stroke:#d55e00}h2{font-size:1rem;margin:.8rem 0 .2rem}"
    ".ka{color:#16130f}.kb{color:#a84a00}"
)


def comparison_html(
    reference: ECGRecord, estimate: ECGRecord, scores: Mapping[str, LeadScore | None]
) -> str:
    """Original in black and digitized in orange, shifted as the score shifts it."""
    from ecg4u.compare import moved, resample

    parts = []
    for name, score in scores.items():
        if score is None:
            continue
        original = reference.lead(name)
        read = resample(estimate.lead(name), estimate.fs, reference.fs)
        read = moved(read, round(score.shift_s * reference.fs), len(original)) + score.offset_mv
        head = f"{name}: {score.snr_db:.1f} dB, r {score.r:.3f}, RMSE {score.rmse_mv:.3f} mV"
        parts += [tag("h2", head), _pair(original, read, reference.fs, name)]
    main = tag(
        "main",
        tag("h1", "Original and digitized record"),
        tag("p", tag("span", "original", cls="ka"), ", ", tag("span", "digitized", cls="kb")),
        *parts,
    )
    return page("Comparison", STYLE, main)


def _pair(
    original: npt.NDArray[np.float64], read: npt.NDArray[np.float64], fs: float, name: str
) -> Markup:
    n = min(len(original), round(MAX_SHOWN_S * fs))
    return tag(
        "svg",
        tag("path", attrs={"class": "a", "d": _line(original[:n], fs)}),
        tag("path", attrs={"class": "b", "d": _line(read[:n], fs)}),
        attrs={
            "role": "img",
            "aria-label": f"{name}, original and digitized",
            "viewBox": f"0 0 {number(n / fs * MM_PER_S)} {number(2 * HALF_MM)}",
        },
    )


def _line(values: npt.NDArray[np.float64], fs: float) -> str:
    y = HALF_MM - np.clip(values * MM_PER_MV, -HALF_MM, HALF_MM)
    x = np.arange(len(values)) / fs * MM_PER_S
    return "".join(
        "M" + "L".join(f"{number(a)} {number(b)}" for a, b in zip(x[run], y[run], strict=True))
        for run in runs_of(np.isfinite(y))
    )
