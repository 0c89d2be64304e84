"""Two simple readers to stand beside the digitizer, so that what its stages gain can be seen.

`column_median` keeps everything of ours but the extraction: same flat page, rows, boxes, names,
levels and scale; the trace is the median height of the dark pixels of each column. `naive` does
without any of it: no flattening, no grid; it is told the page's layout.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ecg4u.paper.layouts import LAYOUTS, PageLayout, layout
from ecg4u.record import DEFAULT_FS_HZ, LEADS

if TYPE_CHECKING:
    from ecg4u.digitize.result import Digitization
    from ecg4u.digitize.sidecar.content import Piece

Array = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8]

DARK = 0.55
"""A pixel whose brightest channel is below this share of the paper's is trace."""
PAGE_S = 10.0
ALTERNATING = ("V1", "I", "V2", "II", "V3", "III", "V4", "aVR", "V5", "aVL", "V6", "aVF")
PRINTED = {"3x4": LAYOUTS["3x4+1"], "6x2": layout(6, 2, rhythm=("II",), order=ALTERNATING)}
"""How the pages with a truth are printed."""


def printed_on(group: str) -> PageLayout:
    """Layout of a group of pages with a truth."""
    return PRINTED["6x2" if group == "generated/C" else "3x4"]


def dark_pixels(image: Pixels) -> npt.NDArray[np.bool_]:
    """One threshold for the whole page on the brightest channel: coloured grids vanish."""
    value = image.max(axis=2)
    return np.asarray(value < DARK * np.median(value))


def column_median(result: Digitization) -> Array:
    """Twelve signals (n, 12) in mV at 500 Hz from the flat page; only the extraction is naive."""
    dark = dark_pixels(result.rectified.image)
    found = result.basis
    assert found is not None
    pieces = [p for p in found.pieces if p.lead is not None and p.zero_mm is not None]
    levels = {row: _level(pieces, row) for row in sorted({p.row for p in pieces})}
    heights = np.array(list(levels.values())) * result.rectified.px_per_mm
    bands = dict(zip(levels, _bands(heights, len(dark)), strict=True))
    stop = max(round(p.start_s * DEFAULT_FS_HZ) + len(p.height_um) for p in pieces)
    out = np.full((stop, len(LEADS)), np.nan)
    for piece in sorted(pieces, key=lambda p: p.rhythm):
        assert piece.lead is not None
        assert piece.zero_mm is not None
        y = medians(dark, *bands[piece.row])
        steps = np.arange(len(piece.height_um), dtype=np.float64)
        at: Array = (piece.x0_mm + steps * piece.step_mm) * 10.0
        signal = _at(y, at)
        mv = (piece.zero_mm * 10.0 - signal) / (10.0 * found.calibration.gain_for(piece.lead))
        _put(out, piece.lead, round(piece.start_s * DEFAULT_FS_HZ), mv)
    return out


def naive(image: Pixels, page: PageLayout) -> Array:
    """Twelve signals (n, 12) in mV at 500 Hz, from the image as it is.

    Rows are the heights with most dark pixels, 10 s are as wide as what is dark between them,
    25 mm/s and 10 mm/mV give the millimetre, and each row's median is 0 mV.
    """
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import find_peaks

    dark = dark_pixels(image)
    height, width = dark.shape
    profile = gaussian_filter1d(dark.sum(axis=1).astype(float), height / 300)
    peaks, _ = find_peaks(profile, distance=height // (3 * len(page.rows)))
    rows = np.sort(peaks[np.argsort(-profile[peaks])[: len(page.rows)]]).astype(float)
    out = np.full((round(PAGE_S * DEFAULT_FS_HZ), len(LEADS)), np.nan)
    if len(rows) < len(page.rows):
        return out
    curves = [medians(dark, *band) for band in _bands(rows, height)]
    known = [np.flatnonzero(np.isfinite(curve)) for curve in curves]
    if min(len(k) for k in known) < width / 10:
        return out
    left, right = (float(np.median([k[end] for k in known])) for end in (0, -1))
    px_per_s = (right - left) / PAGE_S
    px_per_mv = px_per_s / 25.0 * 10.0
    for segments, curve in sorted(zip(page.rows, curves, strict=True), key=lambda r: -len(r[0])):
        for segment in segments:
            first, n = (round(v * DEFAULT_FS_HZ) for v in (segment.start_s, segment.duration_s))
            at = left + (segment.start_s + np.arange(n) / DEFAULT_FS_HZ) * px_per_s
            _put(out, segment.lead, first, (np.nanmedian(curve) - _at(curve, at)) / px_per_mv)
    return out


def medians(dark: npt.NDArray[np.bool_], top: int, bottom: int) -> Array:
    """Median height (px) of the dark pixels of each column between two heights; NaN for none."""
    band = dark[top:bottom]
    counts = np.cumsum(band, axis=0)
    total = counts[-1]
    middle = np.argmax(counts >= np.maximum(total, 1)[None] / 2, axis=0)
    return np.where(total > 0, top + middle.astype(float), np.nan)


def _level(pieces: list[Piece], row: int) -> float:
    return float(np.median([p.zero_mm for p in pieces if p.row == row and p.zero_mm is not None]))


def _bands(rows: Array, height: int) -> list[tuple[int, int]]:
    """Top and bottom of each row's band, halfway to its neighbours."""
    half = float(np.median(np.diff(rows))) / 2 if len(rows) > 1 else height / 2
    edges = np.concatenate([[rows[0] - half], (rows[1:] + rows[:-1]) / 2, [rows[-1] + half]])
    cut = np.clip(np.round(edges), 0, height).astype(int)
    return [(int(a), max(int(b), int(a) + 1)) for a, b in pairwise(cut)]


def _at(curve: Array, at: Array) -> Array:
    known = np.flatnonzero(np.isfinite(curve))
    if len(known) < 2:
        return np.full(len(at), np.nan)
    return np.interp(at, known, curve[known])


def _put(out: Array, lead: str, first: int, signal: Array) -> None:
    """Write a stretch of a lead where nothing stands yet."""
    window = out[first : first + len(signal), LEADS.index(lead)]
    window[:] = np.where(np.isfinite(window), window, signal[: len(window)])
