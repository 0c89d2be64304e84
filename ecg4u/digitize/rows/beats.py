"""Where beats are: the one owner of that for rows in px and for signals in mV.

A QRS complex is the steepest that a heart draws, in every lead at once: how steep several traces
are together peaks at each beat, whatever their units, gain and polarity.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ecg4u.digitize.rows.peaks import Indices, find_peaks

Floats = npt.NDArray[np.float64]

SOFT_MM, BEAT_MM = 0.15, 0.4
"""Softening of a trace, and of how steep all are, at 25 mm/s: 6 and 16 ms."""
LEAST_KNOWN = 0.5
"""Share of a trace below which the places of its beats rest on what was bridged; chosen by eye."""
MIN_RR_S = 0.3
"""200 beats a minute: the fastest of which a signal's beats are told apart from their T waves."""
FEWEST_ALIKE = 10
"""Samples from which a correlation tells anything; chosen by eye."""
TALL, PROMINENT = 0.35, 0.3
"""Of the usual height of steepness at a beat, what another must reach; chosen by eye."""


def steepness(traces: Sequence[Floats], per_mm: float) -> Floats | None:
    """How steep traces (n,), NaN where unknown, are together; None where none is half known.

    Each counts alike: its steepest beats are 1. ``per_mm`` samples make a millimetre.
    """
    from scipy.ndimage import gaussian_filter1d

    each = [one for one in (_steepness(trace, per_mm) for trace in traces) if one is not None]
    if not each:
        return None
    return np.asarray(gaussian_filter1d(np.sum(each, axis=0), BEAT_MM * per_mm))


def usual_height(steep: Floats) -> float:
    """How high `steepness` is at a usual beat, which a lone artefact does not change."""
    return float(np.percentile(steep, 97))


def find_beats(steep: Floats, *, apart: int) -> Indices:
    """The beats in a `steepness`: its peaks, at least ``apart`` samples from each other."""
    usual = usual_height(steep)
    return find_peaks(
        steep, height=TALL * usual, prominence=PROMINENT * usual, distance=max(1, apart)
    )


def likeness(a: Floats, b: Floats) -> float:
    """Correlation of two courses of steepness, cut to the shorter; 0 of short or constant ones."""
    n = min(len(a), len(b))
    if n < FEWEST_ALIKE or a[:n].std() == 0 or b[:n].std() == 0:
        return 0.0
    return float(np.corrcoef(a[:n], b[:n])[0, 1])


def _steepness(trace: Floats, per_mm: float) -> Floats | None:
    """How steep a trace is at each sample, its steepest beats about 1; None where hardly known."""
    from scipy.ndimage import gaussian_filter1d

    at, known = np.arange(len(trace)), np.isfinite(trace)
    if known.mean() < LEAST_KNOWN:
        return None
    y = gaussian_filter1d(np.interp(at, at[known], trace[known]), SOFT_MM * per_mm)
    steep = np.abs(np.diff(y, prepend=y[0]))
    steep[~known] = 0.0
    usual, most = np.percentile(steep, (98, 99.5))
    return np.asarray(np.minimum(steep, most) / usual) if usual > 0 else None
