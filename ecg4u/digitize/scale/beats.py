"""How far apart a page's beats are, how wide and how tall, in mm: what a heart can do tells scale.

Measured on 500 recordings of the train split drawn at 25 and at 50 mm/s, by this very measure: RR
0.82 s (natural log, sd 0.21) and steep stretch of the QRS complex 61 ms (sd 0.20) at either speed.
On 600 recordings in three layouts QRS complexes are 0.99 to 1.05 mV high (sd 0.34 to 0.36).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ecg4u.digitize.rows.beats import SOFT_MM, find_beats, steepness
from ecg4u.digitize.rows.peaks import Indices

Array = npt.NDArray[np.float64]

RR_S, RR_SPREAD = 0.82, 0.21
QRS_S, QRS_SPREAD = 0.061, 0.20
HEIGHT_MV, HEIGHT_SPREAD = 1.0, 0.31
"""Medians, and spreads of the natural log, on the recordings named above."""
RARE_RR, RARE_QRS, RARE_HEIGHT = 0.05, 0.1, 0.05
"""Shares of beats that are spread wider: very slow and fast rhythms, misread ones; wide QRS; low
voltage."""
RARE_SPREAD = 0.8
"""Of the natural log: a factor of 2.2 either way; chosen by eye."""
BLUR_MM = 0.95
"""What softening adds to a width, squared and summed."""
LEAST_MM = 0.5
"""Narrower than a pen's stroke nothing is measured."""
APART_MM = 4.0
"""Least distance of beats: 0.16 s at 25 mm/s; the speed is not known yet."""
FEWEST = 3
"""Two intervals are the fewest that have a usual one."""
EDGE = 0.2
"""Where a QRS complex begins and ends, of its steepness."""
BESIDE, BESIDE_MM = 0.4, 12.0
"""How far either side of a beat it is looked at: of the RR interval, and at most; by eye."""
MIDDLE_MM = 1.5
"""How far from its peak a beat is steepest once averaged; by eye."""
REACH_MM = 2.5
"""How far either side of its peak a beat's height is taken: 0.1 s at 25 mm/s."""


@dataclass(frozen=True)
class Beats:
    """Usual distance of a page's beats, width of their steep part, and height, mm."""

    rr_mm: float
    qrs_mm: float
    height_mm: float

    def likelihood(self, mm_per_s: float) -> float:
        """How likely they are where one second is so long."""
        rr, qrs = np.log(self.rr_mm / mm_per_s / RR_S), np.log(self.qrs_mm / mm_per_s / QRS_S)
        return _mixed(rr, RR_SPREAD, RARE_RR) * _mixed(qrs, QRS_SPREAD, RARE_QRS)

    def likelihood_of_height(self, mm_per_mv: float) -> float:
        """How likely they are as tall as that where one millivolt is so high."""
        off = np.log(self.height_mm / mm_per_mv / HEIGHT_MV)
        return _mixed(off, HEIGHT_SPREAD, RARE_HEIGHT)


def beats_of(curves: Sequence[Array], px_per_mm: float) -> Beats | None:
    """The beats of a page's rows, (W,) px each, NaN where unknown; None where they are too few."""
    from scipy.ndimage import gaussian_filter1d

    energy = steepness(curves, px_per_mm)
    if energy is None:
        return None
    peaks = find_beats(energy, apart=int(APART_MM * px_per_mm))
    if len(peaks) < FEWEST:
        return None
    rr = float(np.median(np.diff(peaks)))
    half = int(min(BESIDE * rr, BESIDE_MM * px_per_mm))
    whole = [energy[p - half : p + half] for p in peaks if half <= p <= len(energy) - half]
    if len(whole) < FEWEST - 1:
        return None
    beat = gaussian_filter1d(np.median(whole, axis=0), SOFT_MM * px_per_mm)
    beat -= np.percentile(beat, 20)
    first = half - int(MIDDLE_MM * px_per_mm)
    middle = first + int(beat[first : 2 * half - first].argmax())
    low = beat <= EDGE * beat[middle]
    before, after = np.flatnonzero(low[:middle]), np.flatnonzero(low[middle:])
    heights = _heights_px(curves, peaks, px_per_mm)
    if len(before) == 0 or len(after) == 0 or not heights:
        return None
    width = (middle + after[0] - before[-1] - 1) / px_per_mm
    qrs_mm = float(np.sqrt(max(width**2 - BLUR_MM**2, LEAST_MM**2)))
    return Beats(rr / px_per_mm, qrs_mm, float(np.median(heights)) / px_per_mm)


def _heights_px(curves: Sequence[Array], peaks: Indices, px_per_mm: float) -> list[float]:
    """How tall each beat is in each row; at least a pixel, for a flat line has no logarithm."""
    reach = int(REACH_MM * px_per_mm)
    beats = [curve[max(0, p - reach) : p + reach + 1] for curve in curves for p in peaks]
    known = [beat[np.isfinite(beat)] for beat in beats]
    return [max(float(np.ptp(beat)), 1.0) for beat in known if len(beat) > reach]


def _mixed(off: float, spread: float, rare: float) -> float:
    """A bell over the natural log with a wide one under it."""
    heights = [np.exp(-0.5 * (off / s) ** 2) / s for s in (spread, RARE_SPREAD)]
    return float(((1 - rare) * heights[0] + rare * heights[1]) / np.sqrt(2 * np.pi))
