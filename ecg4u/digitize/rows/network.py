"""The trace network: which pixels of a page are trace, text, calibration pulse or straight print.

A small U-net of about a quarter of a million weights. It works at half resolution, where a page
is affordable on a CPU, and gives its answer at full resolution: each half-resolution pixel speaks
for its four (Shi et al. 2016, sub-pixel convolution), corrected by a light full-resolution branch
that keeps thin lines and one-pixel gaps sharp.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from ecg4u.cores import spread
from ecg4u.digitize import networks
from ecg4u.digitize.page.darkness import brightest, white_on_black
from ecg4u.digitize.types import FloatArray, InkMap

Pixels = npt.NDArray[np.uint8]

CHANNELS = ("trace", "text", "pulse", "separator")
MULTIPLE = 16
"""What the sides of a picture must be multiples of: the network halves it four times."""
TILE_PX = 640
"""Longest side of a tile. With 1,024 a page takes 8 % less time and 100 MB more on one core (one
page of 6 megapixels)."""
OVERLAP_PX = 64
PAPER_PX = 60
WEIGHTS = networks.WEIGHTS / "trace.onnx"


def ink(image: Pixels) -> InkMap:
    """Ink map of a rectified page.

    Parameters
    ----------
    image : (H, W, 3) uint8 RGB at 10 px/mm
        Any light, also white on black.

    Returns
    -------
    InkMap
        ``trace``, ``text``, ``pulse`` and ``separator`` (separators between leads, frames, rules:
        print that runs straight), each (H, W) float32 in 0..1, and ``look``, all that is known of
        the page at half that resolution.
    """
    seen = normalise(image)
    answer = answer_of(seen)
    trace, text, pulse, separator = answer
    return InkMap(trace, text, pulse, separator, look=look_of(seen, answer))


def look_of(seen: FloatArray, answer: FloatArray) -> FloatArray:
    """The page (3, H, W) and what the network makes of it (4, H, W) together, (7, H / 2, W / 2)."""
    import cv2

    height, width = seen.shape[1:]
    size = max(1, width // 2), max(1, height // 2)
    return np.stack([cv2.resize(p, size, interpolation=cv2.INTER_AREA) for p in (*seen, *answer)])


def answer_of(seen: FloatArray) -> FloatArray:
    """What the network makes of a page as `normalise` gives it: (4, H, W), as `CHANNELS` say."""
    return in_tiles(networks.Network(WEIGHTS), seen, len(CHANNELS))


def in_tiles(
    net: networks.Network,
    seen: FloatArray,
    channels: int,
    *,
    cell: int = 1,
    overlap: int = OVERLAP_PX,
) -> FloatArray:
    """What a network makes of a page, (channels, H / cell, W / cell), tile by tile: a large page
    takes no more memory to compute in than a small one.

    Parameters
    ----------
    seen : (c, H, W) float32
        Sides are multiples of ``cell``.
    cell : int
        Px for each of the network's answers along a side.
    overlap : int
        Px that tiles share; of these, each answers for its own half.
    """
    down, across = (_Tiles.along(length, overlap) for length in seen.shape[1:])
    out = np.zeros((channels, *(length // cell for length in seen.shape[1:])), np.float32)

    def answer(place: tuple[int, int]) -> None:
        (top, rows), (left, columns) = down.at(place[0]), across.at(place[1])
        tile = seen[:, top : top + down.size, left : left + across.size]
        short = ((0, 0), (0, down.size - tile.shape[1]), (0, across.size - tile.shape[2]))
        found = net(np.pad(tile, short)[None])[0]
        inside = (slice(None), _cells(rows, top, cell), _cells(columns, left, cell))
        out[:, _cells(rows, 0, cell), _cells(columns, 0, cell)] = found[inside]

    spread(answer, product(range(down.count), range(across.count)))
    return out


def _cells(px: slice, first: int, cell: int) -> slice:
    return slice((px.start - first) // cell, (px.stop - first) // cell)


@dataclass(frozen=True)
class _Tiles:
    """Tiles of one size along a side of a page, px; the last may reach beyond the page."""

    length: int
    overlap: int
    count: int
    size: int

    @classmethod
    def along(cls, length: int, overlap: int) -> _Tiles:
        """As few as `TILE_PX` allows, each overlapping the next by at least ``overlap``."""
        count = max(1, -(-(length - overlap) // (TILE_PX - overlap)))
        size = -(-(length + overlap * (count - 1)) // count)
        return cls(length, overlap, count, -(-size // MULTIPLE) * MULTIPLE)

    def at(self, k: int) -> tuple[int, slice]:
        """Where the k-th begins, and what of the page it answers for."""
        step, half = self.size - self.overlap, self.overlap // 2
        last = k == self.count - 1
        first = k * step + half if k else 0
        return k * step, slice(first, self.length if last else (k + 1) * step + half)


def normalise(image: Pixels) -> FloatArray:
    """The page free of its paper's colour and shading: (3, H, W) float32, 0 paper, 1 black.

    In memory it lies pixel by pixel, as the convolutions work on it.
    """
    import cv2

    if white_on_black(brightest(image)):
        image = 255 - image
    height, width = image.shape[:2]
    size = max(1, width // 4), max(1, height // 4)
    small = cv2.medianBlur(cv2.resize(image, size, interpolation=cv2.INTER_AREA), 3)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (PAPER_PX // 4, PAPER_PX // 4))
    paper = cv2.GaussianBlur(cv2.morphologyEx(small, cv2.MORPH_CLOSE, kernel), (0, 0), 8)
    paper = cv2.resize(paper, (width, height), interpolation=cv2.INTER_LINEAR)
    ratio = cv2.divide(image, np.maximum(paper, 16), dtype=cv2.CV_32F)
    seen = np.subtract(1.0, ratio, out=ratio)
    return np.clip(seen, -0.2, 1.0, out=seen).transpose(2, 0, 1)
