"""The cheapest way of every row across the ink of a page, by dynamic programming."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ecg4u.digitize.rows.stroke import FAINT_LEVEL, INK_LEVEL
from ecg4u.digitize.types import FloatArray

Array = npt.NDArray[np.float64]

TRACK_PX_PER_MM = 5.0
"""Scale down the page at which rows are followed."""
GAP_COST = 1.0
LONELY_COST = 0.25
"""Of a bare column where the row has no ink of its own: between two columns of leads, or where the
trace is gone. At `GAP_COST` it would be cheaper to follow a neighbour. By SNR on drawn pages."""
LONELY_PX = 20
"""Consecutive columns that must be bare: 2 mm at the 10 px/mm of a flat page; the tip of a wave
outside its home is narrower."""
HOME_MM = 8.0
"""Ink within this distance of its baseline, or half way to the nearest row if that is less, is a
row's own; by eye."""
TRAVEL_ON_INK = 0.005
TRAVEL_ON_PAPER = 0.3
STRAY_PER_MM = 0.004
MAX_REACH_MM = 60.0
"""How far a row may go from its baseline: 6 mV at the usual gain. No further is looked, so that a
tall page costs no more than its rows."""
FORCED_COST = 30.0


def follow(
    trace: FloatArray,
    baselines: Array,
    px_per_mm: float,
    claimed: FloatArray | None = None,
    ends: tuple[Array, Array] | None = None,
) -> Array:
    """Follow every row across the page at once.

    Parameters
    ----------
    trace : (H, W) or (R, H, W) ink in 0..1, the same for all rows or each row's own
    baselines : (R,) px
    px_per_mm : float
        Scale of ``trace`` down the page.
    claimed : (R, H, W) or None
        Extra cost per row where other rows run.
    ends : ((R,), (R,)) or None
        Where each row comes from and must arrive, within its reach.

    Returns
    -------
    (R, W) float64 px, the path of each row.
    """
    own = np.atleast_3d(trace.T).swapaxes(1, 2)
    ink = np.clip((own - FAINT_LEVEL) / (INK_LEVEL - FAINT_LEVEL), 0.0, 1.0)
    ink = np.ascontiguousarray(ink, np.float32)
    bare = GAP_COST * (1.0 - ink)
    travel = TRAVEL_ON_PAPER + (TRAVEL_ON_INK - TRAVEL_ON_PAPER) * ink
    climb = np.cumsum(travel, axis=2, dtype=np.float32)
    columns, kinds, height = ink.shape
    band = _bands(height, baselines, px_per_mm)
    near = band + height * (np.arange(kinds)[:, None] if kinds > 1 else 0)
    stray = (STRAY_PER_MM * np.abs(band - baselines[:, None]) / px_per_mm).astype(np.float32)
    lonely = None
    if ends is None and kinds == 1:  # not where a spike is tried, nor in one row's own ink
        home, lonely = _homes(ink[:, 0], band, baselines, px_per_mm)
        cheaper = np.where(home, np.float32(LONELY_COST), np.float32(1.0))
    extra = None
    if claimed is not None:
        extra = np.stack([c[i[0] : i[-1] + 1].T for c, i in zip(claimed, band, strict=True)], 1)
    cost = stray.copy()
    if ends is not None:
        cost += FORCED_COST * (band != np.round(ends[0])[:, None])
    costs = np.empty((columns, *cost.shape), np.float32)
    here, risen = np.empty_like(cost), np.empty_like(cost)
    for x in range(columns):
        np.take(bare[x], near, out=here, mode="clip")
        np.take(climb[x], near, out=risen, mode="clip")
        costs[x] = cost
        down = np.minimum.accumulate(cost - risen, axis=1)
        down += risen
        up = np.minimum.accumulate((cost + risen)[:, ::-1], axis=1)[:, ::-1]
        cost = np.minimum(down, up - risen)
        if lonely is not None and lonely[x].any():
            here[lonely[x]] *= cheaper[lonely[x]]
        cost += here
        cost += stray
        if extra is not None:
            cost += extra[x]
        cost -= cost.min(axis=1, keepdims=True)
    first, size = band[:, 0], band.shape[1]
    last = cost.argmin(axis=1)
    if ends is not None:
        last = np.clip(np.round(ends[1]).astype(int) - first, 0, size - 1)
    climbs = [climb[:, r if kinds > 1 else 0, i[0] : i[-1] + 1] for r, i in enumerate(band)]
    back = [_way_back(costs[:, r], climbs[r], int(y)) for r, y in enumerate(last)]
    return np.stack(back) + first[:, None]


def _bands(height: int, baselines: Array, px_per_mm: float) -> npt.NDArray[np.intp]:
    """The heights (R, n) that each row may pass: those within `MAX_REACH_MM` of its baseline."""
    reach = int(MAX_REACH_MM * px_per_mm)
    size = min(height, 2 * reach + 1)
    first = np.clip(np.round(baselines).astype(np.intp) - reach, 0, height - size)
    return first[:, None] + np.arange(size)


def _homes(
    ink: FloatArray, band: npt.NDArray[np.intp], baselines: Array, px_per_mm: float
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Each row's own heights within its band (R, n), and the columns (W, R) that belong to a long
    bare stretch between inked ones; ``ink`` is (W, H).

    Bare ends do not count: half a pulse may stand there.
    """
    from scipy.ndimage import binary_opening

    apart = np.abs(baselines[:, None] - baselines[None])
    np.fill_diagonal(apart, np.inf)
    reach = np.minimum(apart.min(axis=1) / 2, HOME_MM * px_per_mm)
    home = np.abs(band - baselines[:, None]) <= reach[:, None]
    bare = np.empty((len(ink), len(band)), bool)
    for row, own in enumerate(home):
        bare[:, row] = ~ink[:, band[row][own]].any(axis=1)
    begun, goes_on = (np.maximum.accumulate(side, axis=0) for side in (~bare, ~bare[::-1]))
    bare &= begun & goes_on[::-1]
    return home, binary_opening(bare, np.ones((LONELY_PX, 1), bool))


def _way_back(costs: FloatArray, climb: FloatArray, y: int) -> Array:
    """One row's path (W,) to its last height, through what each column's heights cost (W, H)."""
    path = np.empty(len(costs))
    for x in range(len(costs) - 1, -1, -1):
        path[x] = y
        above, below = costs[x, y::-1] - climb[x, y::-1], costs[x, y:] + climb[x, y:]
        down, up = int(above.argmin()), int(below.argmin())
        y = y - down if above[down] + climb[x, y] <= below[up] - climb[x, y] else y + up
    return path


def visited(y: Array) -> tuple[Array, Array]:
    """Highest and lowest point of the path between the middles of each column's neighbours."""
    halfway = (y[..., 1:] + y[..., :-1]) / 2
    before = np.concatenate([y[..., :1], halfway], axis=-1)
    after = np.concatenate([halfway, y[..., -1:]], axis=-1)
    return np.minimum(np.minimum(before, after), y), np.maximum(np.maximum(before, after), y)
