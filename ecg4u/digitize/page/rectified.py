"""`RectifiedPage`: the paper upright, flat and at one scale, with a map to the source image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from ecg4u.digitize.page.darkness import PrintOnPage
from ecg4u.messages import Message, message

Pixels = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]

PX_PER_MM = 10.0
NODE_PX = 10
"""Spacing of the nodes of the warp, in rectified px (1 mm)."""


def direction_after(degrees: float, k: int) -> float:
    """A direction after ``k`` quarter turns, in (-180, 180]."""
    turned = (degrees - 90.0 * k + 180.0) % 360.0 - 180.0
    return 180.0 if turned == -180.0 else turned


@dataclass(frozen=True)
class PulseScale:
    """What the calibration pulses of a page without a grid say of its scale.

    Parameters
    ----------
    gain_mm_per_mv, speed_mm_per_s : float
        Settings by which a pulse's height, and its width, are millimetres.
    rows : int
        Number of rows whose pulses agree.
    uncertainty : float
        Relative standard error of the scale, if pulses are 1 mV high and last 0.2 s.
    width_used : bool
        False where the pulses do not last 0.2 s by the settings: px are then taken to be square.
    stated : bool
        Whether both settings are printed on the page or given by the user.
    """

    gain_mm_per_mv: float
    speed_mm_per_s: float
    rows: int
    uncertainty: float
    width_used: bool = True
    stated: bool = False

    @property
    def settings(self) -> tuple[float, float, bool]:
        """What the millimetres follow from."""
        return self.gain_mm_per_mv, self.speed_mm_per_s, self.width_used

    @property
    def warning(self) -> Message:
        """What a reader must know of this scale."""
        code = "pulse_scale" if self.width_used else "pulse_scale_by_height"
        return message(code, rows=self.rows, percent=100 * self.uncertainty)


@dataclass(frozen=True)
class Grid:
    """What is known of the printed grid.

    Parameters
    ----------
    spacing_mm : float
        Finest lines seen: 1.0 or 5.0; 0.0 where there is no grid.
    scale_from : str
        ``"grid"``, ``"pulse"``, ``"dpi"`` or ``"none"`` (1 px taken as 0.1 mm: amplitudes mean
        nothing).
    confidence : float
        In [0, 1]: share of the ECG's area in which both sets of lines were found, times how sure
        their scale is.
    residual_mm : float
        RMS distance of the lines found from the lattice after rectification (NaN without a grid).
    source_px_per_mm : (float, float)
        Median scale of the source image along the page's x and y.
    turned_deg : float
        How far the page was turned clockwise in the source, in (-180, 180].
    spacing_inferred : bool
        True where 1 mm against 5 mm was decided by the page's size, no fivefold pattern being
        visible.
    pulse : PulseScale or None
        Where the scale is from the calibration pulses, what they say.
    """

    spacing_mm: float
    scale_from: Literal["grid", "pulse", "dpi", "none"]
    confidence: float
    residual_mm: float
    source_px_per_mm: tuple[float, float]
    turned_deg: float
    spacing_inferred: bool = False
    pulse: PulseScale | None = None


@dataclass(frozen=True)
class ScaleRival:
    """Another reading of the same grid.

    Parameters
    ----------
    reading : int
        Its place among the grid's readings, the likeliest first.
    factor : float
        How long a millimetre of the page as rectified is in its millimetres.
    log_odds : float
        How likely it is against the page as rectified, by the grid and the page's size alone.
    """

    reading: int
    factor: float
    log_odds: float


@dataclass(frozen=True, eq=False)
class RectifiedPage:
    """A page brought to exactly `PX_PER_MM` in x and y.

    Parameters
    ----------
    image : (H, W, 3) uint8
        RGB. Grid lines run along the axes; where the grid was found, 5 mm lines are centred on
        multiples of 50 px. Outside the paper: the paper's median colour.
    valid : (H, W) bool
        False outside the paper.
    nodes : (H // 10 + 1, W // 10 + 1, 2) float64
        Source px (x, y) of the rectified points (10 j, 10 i); H and W are multiples of 10 plus 1.
    grid : Grid
    px_per_mm : float
        `PX_PER_MM`.
    rivals : tuple of ScaleRival
        What else the grid may be; what is then read on the page decides.
    """

    image: Pixels
    valid: npt.NDArray[np.bool_]
    nodes: npt.NDArray[np.float64]
    grid: Grid
    px_per_mm: float = PX_PER_MM
    rivals: tuple[ScaleRival, ...] = ()

    @cached_property
    def print(self) -> PrintOnPage:
        """The page as the readers of its print see it."""
        return PrintOnPage.of(self.image, self.px_per_mm)

    def to_source(self, xy: npt.ArrayLike) -> Points:
        """Source px (n, 2) of rectified px (n, 2); pixel centres are whole numbers in both.

        Points beyond the page are extrapolated linearly; NaN stays NaN.
        """
        return interpolate(self.nodes, np.asarray(xy, dtype=np.float64) / NODE_PX)


def interpolate(nodes: npt.NDArray[np.float64], at: Points) -> Points:
    """Bilinear interpolation at (..., 2) node coordinates (column, row), linear beyond them."""
    rows, columns = nodes.shape[:2]
    known = np.asarray(np.isfinite(at).all(axis=-1))
    safe = np.where(known[..., None], at, 0.0)
    j = np.clip(np.floor(safe[..., 0]).astype(int), 0, columns - 2)
    i = np.clip(np.floor(safe[..., 1]).astype(int), 0, rows - 2)
    tx = (safe[..., 0] - j)[..., None]
    ty = (safe[..., 1] - i)[..., None]
    top = nodes[i, j] * (1 - tx) + nodes[i, j + 1] * tx
    bottom = nodes[i + 1, j] * (1 - tx) + nodes[i + 1, j + 1] * tx
    out: Points = top * (1 - ty) + bottom * ty
    out[~known] = np.nan
    return out


def quarter_turn(rectified: RectifiedPage, k: int) -> RectifiedPage:
    """The page turned by k * 90 degrees clockwise, with its map to the source kept right.

    It grows by up to 4 mm beyond its edges, so that the 5 mm lines stay on multiples of 50 px.
    """
    k %= 4
    if k == 0:
        return rectified
    grown = _to_whole_squares(rectified)
    scale = grown.grid.source_px_per_mm
    grid = replace(
        grown.grid,
        turned_deg=direction_after(grown.grid.turned_deg, k),
        source_px_per_mm=scale if k == 2 else scale[::-1],
    )
    return replace(
        grown,
        image=np.ascontiguousarray(np.rot90(grown.image, -k)),
        valid=np.ascontiguousarray(np.rot90(grown.valid, -k)),
        nodes=np.ascontiguousarray(np.rot90(grown.nodes, -k)),
        grid=grid,
    )


def _to_whole_squares(page: RectifiedPage) -> RectifiedPage:
    """The page grown at the right and bottom to whole 5 mm."""
    more = [-(n - 1) % 5 for n in page.nodes.shape[:2]]
    if more == [0, 0]:
        return page
    by = [(0, n * NODE_PX) for n in more]
    colour = np.median(page.image[::16, ::16][page.valid[::16, ::16]], axis=0)
    valid = np.pad(page.valid, by)
    image = np.pad(page.image, (*by, (0, 0)))
    height, width = page.image.shape[:2]
    image[height:] = image[:, width:] = colour.astype(np.uint8)
    nodes = np.pad(page.nodes, ((0, more[0]), (0, more[1]), (0, 0)), "reflect", reflect_type="odd")
    return replace(page, image=image, valid=valid, nodes=nodes)
