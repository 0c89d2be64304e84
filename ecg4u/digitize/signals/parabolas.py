"""A curve smoothed by fitted polynomials (Savitzky and Golay 1964), as `scipy.signal` does it.

That module costs a second of every start: it brings in all of `scipy.stats`.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@cache
def _weights(points: int, order: int) -> Array:
    from scipy.linalg import lstsq

    places = np.arange(points // 2, -(points // 2) - 1, -1, dtype=float)
    wanted = np.zeros(order + 1)
    wanted[0] = 1.0
    weights: Array = lstsq(places ** np.arange(order + 1)[:, None], wanted)[0]
    return weights


def smoothed(y: Array, points: int, order: int) -> Array:
    """``y`` (n,), each point that of a polynomial fitted to the ``points`` around it (an odd
    number, at most n); the ends are those of the polynomials of the first and last points."""
    from scipy.ndimage import convolve1d

    half = points // 2
    smooth: Array = convolve1d(y, _weights(points, order), mode="constant")
    places = np.arange(points)
    smooth[:half] = np.polyval(np.polyfit(places, y[:points], order), places[:half])
    smooth[-half:] = np.polyval(np.polyfit(places, y[-points:], order), places[-half:])
    return smooth
