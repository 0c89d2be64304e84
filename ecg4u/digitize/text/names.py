"""Reader of lead names: a small network for a closed set, trained on drawn crops.

A crop is a window around a word, seen with what surrounds it: a lone ``I`` differs from the edge
of a pulse or a separator only by what it is joined to. Where names stand `text.labels` finds.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ecg4u.cores import spread
from ecg4u.digitize import networks
from ecg4u.digitize.types import FloatArray
from ecg4u.record import EXTRA_LEADS, LEADS

Pixels = npt.NDArray[np.uint8]
Box = tuple[float, float, float, float]

NAMES = (*LEADS, *EXTRA_LEADS, "-aVR")
"""What can be read: the twelve leads, those of back and right side, and Cabrera's inverted aVR."""
PX_PER_MM = 10.0
"""Of every rectified page (`ecg4u.digitize.page.rectified`)."""
WINDOW = (24, 56)
"""Height and width of what the network sees, in its own px; its last layer is made for it."""
WINDOW_OF_LETTER = 1.7
"""Height of the window against that of the word; the weights were trained so."""
BATCH = 64
"""Crops read at once; changes the speed alone."""
WEIGHTS = networks.WEIGHTS / "names.onnx"


def probabilities(crops: Sequence[Pixels]) -> FloatArray:
    """Read a batch of crops.

    Parameters
    ----------
    crops : sequence of (h, w) uint8 grey, dark on light
        Windows around single words; any size, best about `WINDOW_OF_LETTER` words high.

    Returns
    -------
    (n, 21) float32
        The probabilities of `NAMES`, in their order, and of "none".
    """
    net = _reader()

    def read(some: Sequence[Pixels]) -> FloatArray:
        return net(scaled(np.stack([fitted(crop) for crop in some]))[:, None])

    parts = spread(read, (crops[i : i + BATCH] for i in range(0, len(crops), BATCH)))
    return np.concatenate([np.zeros((0, len(NAMES) + 1), np.float32), *parts])


def window(grey: Pixels, box: Box) -> Pixels:
    """The window around a word's box, of `WINDOW`'s shape; beyond the page it repeats the edge."""
    import cv2

    height, width = WINDOW
    x0, y0, x1, y1 = box
    scale = WINDOW_OF_LETTER * max(y1 - y0, 10.0) / height
    scale = max(scale, (x1 - x0) * 1.1 / width)
    tall, wide = max(2, round(height * scale)), max(2, round(width * scale))
    left, top = round((x0 + x1 - wide) / 2), round((y0 + y1 - tall) / 2)
    inner = grey[max(top, 0) : max(top + tall, 1), max(left, 0) : max(left + wide, 1)]
    if inner.shape != (tall, wide):
        rows = np.clip(np.arange(top, top + tall), 0, grey.shape[0] - 1)
        columns = np.clip(np.arange(left, left + wide), 0, grey.shape[1] - 1)
        inner = grey[rows[:, None], columns[None, :]]
    how = cv2.INTER_AREA if scale > 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(inner, (width, height), interpolation=how), np.uint8)


def fitted(crop: Pixels) -> Pixels:
    """A crop of any size brought to `WINDOW`'s shape, filled up with its paper's grey."""
    import cv2

    if crop.shape == WINDOW:
        return crop
    height, width = WINDOW
    scale = min(height / crop.shape[0], width / crop.shape[1])
    size = max(1, round(crop.shape[1] * scale)), max(1, round(crop.shape[0] * scale))
    crop = np.asarray(cv2.resize(crop, size, interpolation=cv2.INTER_AREA), np.uint8)
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    paper = float(np.percentile(crop, 80))
    below, right = height - size[1] - top, width - size[0] - left
    return np.pad(crop, ((top, below), (left, right)), constant_values=round(paper))


def scaled(crops: Pixels) -> FloatArray:
    """(n, 24, 56) uint8 as float32, each with its paper (80th percentile) at 0, its ink at 1."""
    ordered = np.sort(crops.reshape(len(crops), -1), axis=1, kind="stable")
    last = ordered.shape[1] - 1
    paper = ordered[:, round(0.8 * last), None, None].astype(np.float32)
    ink = ordered[:, round(0.01 * last), None, None].astype(np.float32)
    return np.asarray(np.clip((paper - crops) / np.maximum(paper - ink, 8.0), -0.3, 1.2))


@lru_cache(maxsize=1)
def _reader() -> networks.Network:
    return networks.Network(WEIGHTS)
