"""How surely a sample is read: how dark its ink is, and how steep the trace."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ecg4u.record import DEFAULT_FS_HZ

Array = npt.NDArray[np.float64]

HEIGHT_ERROR_MM = 0.2
TRAVEL_ERROR_MM = 0.025
MAX_ERROR_MM = 1.0
"""Errors of reading a trace, up the page and along it (dev half of the benchmark)."""
STEEP_SAMPLES = 5


def reading_error_mm(height_mm: Array, speed_mm_per_s: float) -> Array:
    """Standard error to expect of each sample's height in mm; a steep stroke errs along the page.

    Parameters
    ----------
    height_mm : (n,) or (n, leads) at 500 Hz, NaN where nothing is shown
    speed_mm_per_s : float
        Paper speed.
    """
    from scipy.ndimage import maximum_filter1d

    if len(height_mm) < 2:
        return np.full_like(height_mm, HEIGHT_ERROR_MM)
    slope = np.abs(np.gradient(np.nan_to_num(height_mm), 1.0 / DEFAULT_FS_HZ, axis=0))
    steep = TRAVEL_ERROR_MM / speed_mm_per_s * maximum_filter1d(slope, STEEP_SAMPLES, axis=0)
    return np.minimum(np.hypot(HEIGHT_ERROR_MM, steep), MAX_ERROR_MM)


def confidence_of(strength: Array, height_mm: Array, speed_mm_per_s: float) -> Array:
    """Confidence (n,) in 0..1: the ink's darkness, less where an error is to be expected.

    At full darkness, 1 stands for an expected error of `HEIGHT_ERROR_MM` and 0.5 for twice that.
    """
    return strength * HEIGHT_ERROR_MM / reading_error_mm(height_mm, speed_mm_per_s)
