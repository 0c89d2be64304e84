"""Peaks of a profile, as `scipy.signal.find_peaks` finds them.

That one costs a second of every start: it brings in all of `scipy.signal` and `scipy.stats`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.intp]


def find_peaks(
    profile: npt.NDArray[np.float64],
    *,
    distance: int = 1,
    height: float = -np.inf,
    prominence: float = 0.0,
) -> Indices:
    """Where a profile (n,) has peaks: so high, so far from any higher one, and so prominent."""
    peaks = _tops(profile)
    peaks = peaks[profile[peaks] >= height]
    peaks = _apart(profile, peaks, distance)
    return np.array([p for p in peaks if _prominence(profile, p) >= prominence], dtype=np.intp)


def _tops(profile: npt.NDArray[np.float64]) -> Indices:
    """Middles of the stretches of equal values that are higher than what is beside them."""
    starts = np.flatnonzero(np.diff(profile, prepend=np.nan) != 0)
    values = profile[starts]
    ends = np.append(starts[1:], len(profile)) - 1
    inside = np.arange(1, len(starts) - 1)
    is_top = (values[inside] > values[inside - 1]) & (values[inside] > values[inside + 1])
    return (starts + ends)[inside[is_top]] // 2


def _apart(profile: npt.NDArray[np.float64], peaks: Indices, distance: int) -> Indices:
    """Peaks at least ``distance`` apart; the higher stays."""
    keep = np.ones(len(peaks), bool)
    for i in np.argsort(profile[peaks])[::-1]:
        if keep[i]:
            near = np.abs(peaks - peaks[i]) < distance
            near[i] = False
            keep[near] = False
    return peaks[keep]


def _prominence(profile: npt.NDArray[np.float64], peak: int) -> float:
    """How far one must come down from a peak to get to a higher one, or to the profile's end."""
    higher = np.flatnonzero(profile > profile[peak])
    left = higher[higher < peak]
    right = higher[higher > peak]
    start = left[-1] + 1 if len(left) else 0
    end = right[0] if len(right) else len(profile)
    saddle = max(profile[start : peak + 1].min(), profile[peak:end].min())
    return float(profile[peak] - saddle)
