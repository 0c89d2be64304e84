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
TRAVEL_ON_INK = 0.005
TRAVEL_ON_PAPER = 0.3
STRAY_PER_MM = 0.004
MAX_REACH_MM = 60.0
BEYOND_REACH_COST = 5.0
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
        Where each row comes from and must arrive.

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
    heights = np.arange(trace.shape[-2])
    away_mm = np.abs(heights - baselines[:, None]) / px_per_mm
    beyond = np.where(away_mm > MAX_REACH_MM, BEYOND_REACH_COST, 0.0)
    stray = (STRAY_PER_MM * away_mm + beyond).astype(np.float32)
    extra = None if claimed is None else np.ascontiguousarray(claimed.transpose(2, 0, 1))
    cost = stray.copy()
    if ends is not None:
        cost += FORCED_COST * (heights != np.round(ends[0])[:, None])
    costs = np.empty((len(ink), *cost.shape), np.float32)
    for x, (here, risen) in enumerate(zip(bare, climb, strict=True)):
        costs[x] = cost
        down = np.minimum.accumulate(cost - risen, axis=1)
        down += risen
        up = np.minimum.accumulate((cost + risen)[:, ::-1], axis=1)[:, ::-1]
        cost = np.minimum(down, up - risen)
        cost += here
        cost += stray
        if extra is not None:
            cost += extra[x]
        cost -= cost.min(axis=1, keepdims=True)
    last = cost.argmin(axis=1) if ends is None else np.round(ends[1]).astype(int)
    climbs = np.broadcast_to(climb, (len(climb), len(baselines), len(heights)))
    return np.stack([_way_back(costs[:, r], climbs[:, r], int(y)) for r, y in enumerate(last)])


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
