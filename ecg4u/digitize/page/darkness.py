"""What is dark on a page: the channel that shows its ink, and what the readers of print see."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Params:
    """Numbers of a page's darkness; lengths in mm are on paper. By eye, if no source is given."""

    coarse: int = 3
    """Every so many px are asked which channel shows the ink."""
    paper_percentile: float = 80.0
    """Of the light of a page's px: that of its paper."""
    inked: float = 0.35
    """Share of the paper's light that ink absorbs in the channel in which it is palest ..."""
    tinted: float = 0.06
    """... and a grid in that in which it is darkest."""
    grey: float = 0.6
    """A grid is grey unless it is paler than this share of its darkest channel in another."""
    coloured_share: float = 0.3
    """Ink that is coloured and no grid, against black ink ..."""
    least_coloured: float = 0.002
    """... and against the page, from which traces are coloured."""
    background_mm: float = 6.0
    """Reach within which the lightest is taken for the paper: wider than a letter's stroke."""
    dark_page: float = 90.0
    """Median grey (0 to 255) under which a page is white on black."""
    straight_mm: float = 50.0
    """Length of ink along a page's axis that is no letter: a grid line, a frame, a rule."""
    ink: float = 0.35
    """Share of full darkness from which a pixel is ink."""
    full_ink_share: float = 0.993
    """Share of a page's pixels that are lighter than full darkness: traces and print cover about
    a hundredth of it."""
    least_full_ink: float = 0.15
    """Full darkness is at least this share of black, else an empty page would be all ink."""


PARAMS = Params()


def brightest(image: Pixels) -> Pixels:
    """The brightest channel of each pixel of (H, W, 3) uint8, in which coloured ink vanishes."""
    return np.maximum(np.maximum(image[..., 0], image[..., 1]), image[..., 2])


def ink_channel(image: Pixels) -> Pixels:
    """What of a page (H, W, 3) uint8 RGB shows its traces but not its grid: (H, W) uint8.

    That is the brightest channel of each pixel, in which any coloured ink vanishes; where much of
    the page's ink is coloured and no grid, as on plots with blue or red traces, it is the channel
    in which the grid is palest, or the darkest one where the grid is grey.
    """
    small = image[:: PARAMS.coarse, :: PARAMS.coarse].astype(np.float32)
    paper = np.percentile(small.reshape(-1, 3), PARAMS.paper_percentile, axis=0)
    absorbed = [1.0 - small[..., k] / max(float(paper[k]), 1.0) for k in range(3)]
    least = np.minimum(np.minimum(absorbed[0], absorbed[1]), absorbed[2])
    most = np.maximum(np.maximum(absorbed[0], absorbed[1]), absorbed[2])
    black = least > PARAMS.inked
    pale = (most > PARAMS.tinted) & (least < PARAMS.inked / 2)
    if not pale.any():
        return brightest(image)
    grid = np.array([float(channel[pale].mean()) for channel in absorbed])
    channel = int(grid.argmin())
    tinted = grid[channel] < PARAMS.grey * grid.max()
    seen = absorbed[channel] if tinted else most
    coloured = int((pale & (seen > PARAMS.inked)).sum())
    fewest = max(PARAMS.coloured_share * int(black.sum()), PARAMS.least_coloured * pale.size)
    if coloured < fewest:
        return brightest(image)
    if tinted:
        return np.ascontiguousarray(image[..., channel])
    return np.minimum(np.minimum(image[..., 0], image[..., 1]), image[..., 2])


def white_on_black(value: Pixels) -> bool:
    """Whether a page, (H, W) uint8 grey, is a negative: bright ink on dark paper."""
    return bool(np.median(value[::4, ::4]) < PARAMS.dark_page)


def ink_and_paper(image: Pixels, reach_px: float, shape: int) -> tuple[Pixels, Pixels]:
    """The `ink_channel` of a page, dark on light, and the light of its paper: (H, W) uint8 each.

    Whatever is narrower than ``reach_px`` both ways is no paper; ``shape`` is that of OpenCV's
    structuring element, ``cv2.MORPH_RECT`` or ``cv2.MORPH_ELLIPSE``.
    """
    import cv2

    value = ink_channel(image)
    if white_on_black(value):
        value = 255 - value
    small = cv2.resize(value, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    size = int(reach_px / 4) | 1
    kernel = cv2.getStructuringElement(shape, (size, size))
    paper = cv2.morphologyEx(cv2.medianBlur(small, 5), cv2.MORPH_CLOSE, kernel)
    paper = cv2.GaussianBlur(paper, (0, 0), size / 2)
    return value, cv2.resize(paper, value.shape[::-1], interpolation=cv2.INTER_LINEAR)


@dataclass(frozen=True, eq=False)
class PrintOnPage:
    """A page as the readers of print see it.

    ``grey`` (H, W) uint8 is free of shading; ``marks`` (H, W) bool is where ink is: traces and
    words, but no straight lines.
    """

    grey: Pixels
    marks: Mask

    @classmethod
    def of(cls, image: Pixels, px_per_mm: float) -> PrintOnPage:
        """See it on a page (H, W, 3) uint8 RGB."""
        dark = _darkness(image, px_per_mm)
        return cls(255 - dark, _marks(dark, px_per_mm))

    @cached_property
    def pieces(self) -> npt.NDArray[np.int32]:
        """Left, top, width, height (px) and area of each connected piece of ink, (n, 5)."""
        import cv2

        _, _, stats, _ = cv2.connectedComponentsWithStats(self.marks.view(np.uint8), connectivity=8)
        return np.asarray(stats[1:], np.int32)


def _darkness(image: Pixels, px_per_mm: float) -> Pixels:
    """How much darker each pixel is than its paper, (H, W) uint8.

    In bytes, which is exact enough for finding words and several times as fast.
    """
    import cv2

    value, paper = ink_and_paper(image, PARAMS.background_mm * px_per_mm, cv2.MORPH_RECT)
    return np.asarray(255 - cv2.divide(value, paper, scale=255.0), np.uint8)


def _marks(dark: Pixels, px_per_mm: float) -> Mask:
    """What is dark and no straight line of several centimetres along the page's axes."""
    import cv2

    capped = np.minimum(dark, np.uint8(0.6 * 255))
    length = int(PARAMS.straight_mm * px_per_mm) | 1
    along_x, along_y = cv2.blur(capped, (length, 1)), cv2.blur(capped, (1, length))
    both = cv2.resize(capped, None, fx=0.1, fy=0.1, interpolation=cv2.INTER_AREA)
    around = cv2.resize(cv2.blur(both, (length // 10 | 1, length // 10 | 1)), dark.shape[::-1])
    base = cv2.min(around, cv2.min(along_x, along_y))
    grid = cv2.addWeighted(cv2.max(along_x, along_y), 1.2, base, -0.6, 0.0)
    ink = cv2.subtract(dark, grid)
    levels = cv2.calcHist([ink], [0], None, [256], [0, 256]).ravel().cumsum()
    full = max(
        PARAMS.least_full_ink * 255,
        float(np.searchsorted(levels, PARAMS.full_ink_share * levels[-1])),
    )
    return np.asarray(ink > PARAMS.ink * full)
