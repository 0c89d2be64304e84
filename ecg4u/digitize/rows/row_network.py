"""The row network: which ink of a page belongs to one row's trace.

It looks at a strip around a row, 51 mm high, with the page's own look, what the trace network made
of it, and two more channels that say how far each pixel is from this row's height and from the
nearest other row's. What crosses the strip without being this row's, tall waves of its neighbours,
separators, pulses, writing, is told by its shape and by where it comes from.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ecg4u.cores import spread
from ecg4u.digitize import networks
from ecg4u.digitize.rows import network
from ecg4u.digitize.types import FloatArray

Array = npt.NDArray[np.float64]

PX_PER_MM = 5.0
HALVED = 2
"""Rectified pixels for each of the network's."""
STRIP_PX = 256
LOOKS = 3 + len(network.CHANNELS)
MARKS = 2
MARK_MM, FAR = 10.0, 3.0
"""The unit of the channels that say where rows are, and the most that they say."""
WEIGHTS = networks.WEIGHTS / "rows.onnx"


def strip_of(look: FloatArray, heights: Array, row: int) -> tuple[FloatArray, int]:
    """The network's input for one row, (9, `STRIP_PX`, W), and the strip's first line.

    ``heights`` (R, W) are the rows' local heights in px of ``look`` (7, H, W), that of
    `network.look_of`.
    """
    width = look.shape[2]
    top = int(round(float(np.median(heights[row])))) - STRIP_PX // 2
    strip = np.zeros((LOOKS + MARKS, STRIP_PX, width), np.float32)
    first, last = max(top, 0), min(top + STRIP_PX, look.shape[1])
    strip[:LOOKS, first - top : last - top] = look[:, first:last]
    away = np.arange(top, top + STRIP_PX)[:, None] - heights[:, None]
    others = np.delete(away, row, axis=0)
    strip[LOOKS] = away[row]
    strip[LOOKS + 1] = np.inf
    for other in others:
        nearer = np.abs(other) < np.abs(strip[LOOKS + 1])
        strip[LOOKS + 1][nearer] = other[nearer]
    strip[LOOKS:] = np.clip(strip[LOOKS:] / (MARK_MM * PX_PER_MM), -FAR, FAR)
    return strip, top


def own_share(look: FloatArray, heights: Array) -> list[tuple[FloatArray, int]]:
    """How likely each pixel of each row's strip is that row's trace, and the strip's first line.

    ``look`` (7, H, W) is that of `network.look_of`, ``heights`` (R, W) in its px. Returns one
    (`STRIP_PX`, W) a row.
    """
    net = networks.Network(WEIGHTS)

    def answer(row: int) -> tuple[FloatArray, int]:
        strip, top = strip_of(look, heights, row)
        width = strip.shape[2]
        padded = np.pad(strip, ((0, 0), (0, 0), (0, -width % network.MULTIPLE)))
        return net(padded[None])[0, 0, :, :width], top

    return spread(answer, range(len(heights)))
