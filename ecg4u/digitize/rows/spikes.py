"""Who explains which ink: what rows claim from each other, and spikes that no row explains."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ecg4u.digitize.rows.follow import FORCED_COST, TRACK_PX_PER_MM, follow, visited
from ecg4u.digitize.rows.stroke import FAINT_LEVEL, INK_LEVEL, Runs
from ecg4u.digitize.types import FloatArray

Array = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]

OTHERS_ROW_COST = 1.5
LOCAL_BASELINE_MM = 30.0
MAX_WANDER_MM = 14.0
OWN_GROUND_MM = 6.0
SPIKE_REACH_MM, SPIKE_REACH = 9.0, 1.4
"""How far a spike may be from its row: in mm, and against its own height."""
MIN_SPIKE_MM = 2.0
MAX_SPIKE_WIDTH_MM = 8.0
SPIKE_INK = 0.8
"""Spikes are as dark as a stroke; what is left of grid lines and stains is paler."""
SPIKE_WIDTH = 1.3
"""A spike is broader than a sliver beside a stroke that a row follows, px on the average."""
SLENDER_MM = 14.0
"""A spike's height squared is at least so many times its mean width: a short piece of ink must be
narrower still to be a stroke. It lies between traces' pieces and patches of stains on six pages."""
SPIKE_ROUNDS = 3
SPIKE_MARGIN_MM = 6.0
MIN_SPIKE_GAIN = 0.3
"""Share of a spike that must be explained for a row to be sent there."""
PART_ROOM_MM = 10.0
"""How far beyond the rows beside a spike a row may look for its way."""
OUTER_SHARE = 0.25
"""A row is sent to the outer quarter of its spike; the tip itself may be another row's ink."""


def local_baselines(paths: Array, baselines: Array, px_per_mm: float) -> Array:
    """Running median of each path over `LOCAL_BASELINE_MM`, (R, W), near the row's own height.

    A row that wanders off to its neighbour's trace has no claim to the ground there.
    """
    from scipy.ndimage import median_filter

    step = 20
    window = int(LOCAL_BASELINE_MM * px_per_mm / step) | 1
    coarse = median_filter(paths[:, ::step], size=(1, window), mode="nearest")
    columns = np.arange(paths.shape[1])
    local = np.stack([np.interp(columns, columns[::step], row) for row in coarse])
    reach = MAX_WANDER_MM * TRACK_PX_PER_MM
    return np.asarray(np.clip(local, baselines[:, None] - reach, baselines[:, None] + reach))


def claims_of(
    paths: Array, baselines: Array, shape: tuple[int, int], px_per_mm: float
) -> FloatArray:
    """Cost of walking where another row runs near its own baseline, (R, H, W).

    Only a row that is nearer to its own baseline there has a claim, else two rows that were once
    mistaken for each other would drive each other away.
    """
    height, width = shape
    rows = len(paths)
    cost = np.zeros((rows, height, width), np.float32)
    heights = np.arange(height)[:, None]
    base = local_baselines(paths, baselines, px_per_mm)
    for owner in range(rows):
        low, high = visited(paths[owner])
        walked = (heights >= low - 2) & (heights <= high + 2)
        distance = np.abs(paths[owner] - base[owner])
        walked &= distance < OWN_GROUND_MM * TRACK_PX_PER_MM
        for other in range(rows):
            if other != owner:
                nearer = distance < np.abs(paths[owner] - base[other])
                cost[other][walked & nearer] = OTHERS_ROW_COST
    return cost


def _explained(trace: FloatArray, paths: Array) -> Mask:
    """Ink that belongs to a row's path: its run, or its own stretch of a run that rows share."""
    height, width = trace.shape
    low, high = visited(paths)
    columns = np.arange(width)
    first, last = Runs((trace > FAINT_LEVEL).T).around(columns, paths.astype(int))
    shared = np.zeros(paths.shape, bool)
    for row in range(len(paths)):
        for other in range(row):
            together = (first[row] == first[other]) & (last[row] == last[other])
            shared[row] |= together
            shared[other] |= together
    first = np.where(shared, low.astype(int) - 1, first)
    last = np.where(shared, np.ceil(high).astype(int) + 1, last)
    covered = np.zeros((height + 1, width), np.int16)
    for row in range(len(paths)):
        covered[np.clip(first[row], 0, height), columns] += 1
        covered[np.clip(last[row] + 1, 0, height), columns] -= 1
    return np.asarray(np.cumsum(covered[:height], axis=0) > 0)


@dataclass(frozen=True, eq=False)
class _Spike:
    """A tall narrow piece of ink: its place, and which pixels of that place are its."""

    x0: int
    y0: int
    inside: Mask

    @property
    def columns(self) -> tuple[int, int]:
        return self.x0, self.x0 + self.inside.shape[1]

    @property
    def rows(self) -> slice:
        return slice(self.y0, self.y0 + len(self.inside))


def _left_over(trace: FloatArray, paths: Array, near_text: Mask, px_per_mm: float) -> list[_Spike]:
    """Spikes that no row explains, the largest first."""
    import cv2

    residual = (trace > INK_LEVEL) & ~_explained(trace, paths) & ~near_text
    count, label, stats, _ = cv2.connectedComponentsWithStats(residual.astype(np.uint8))
    spikes = []
    for component in range(1, count):
        x0, y0, w, h, area = (int(v) for v in stats[component, :5])
        if h < MIN_SPIKE_MM * TRACK_PX_PER_MM or w > MAX_SPIKE_WIDTH_MM * px_per_mm:
            continue
        if (h / TRACK_PX_PER_MM) ** 2 < SLENDER_MM * area / h / px_per_mm:
            continue
        inside = label[y0 : y0 + h, x0 : x0 + w] == component
        if trace[y0 : y0 + h, x0 : x0 + w][inside].mean() < SPIKE_INK or area < SPIKE_WIDTH * h:
            continue
        spikes.append(_Spike(x0, y0, inside))
    return sorted(spikes, key=lambda spike: -int(spike.inside.sum()))


def _unexplained(trace: FloatArray, paths: Array, near_text: Mask) -> tuple[Mask, float]:
    """Ink that no row explains, (H, W), and its amount with that of the paper that rows cross."""
    left = (trace > INK_LEVEL) & ~_explained(trace, paths) & ~near_text
    bare = np.pad(np.cumsum(trace < FAINT_LEVEL, axis=0), ((1, 0), (0, 0)))
    low, high = (edge.astype(int) for edge in visited(paths))
    columns = np.arange(trace.shape[1])
    crossed = bare[high + 1, columns] - bare[low, columns]
    return left, float(left.sum() + crossed.sum())


def _sent(claims: FloatArray, spike: _Spike, owner: int, start: int, base: float) -> FloatArray:
    """``claims`` that send a row into a spike and keep the others out; ``start`` is column 0."""
    claims = claims.copy()
    inside, height = spike.inside, len(spike.inside)
    down = spike.y0 + height / 2 > base
    tip = inside[-3:] if down else inside[:3]
    column = int(np.median(np.flatnonzero(tip.any(axis=0))))
    depth = np.arange(height) if down else np.arange(height)[::-1]
    outer = inside[:, column] & (depth >= (1 - OUTER_SHARE) * height)
    first, last = (x - start for x in spike.columns)
    claims[owner, :, first + column] += FORCED_COST
    claims[owner, spike.rows, first + column] -= FORCED_COST * outer
    for other in range(len(claims)):
        if other != owner:
            claims[other, spike.rows, first:last] += OTHERS_ROW_COST * inside
    return claims


def explain_spikes(
    trace: FloatArray,
    baselines: Array,
    paths: Array,
    claims: FloatArray,
    near_text: Mask,
    px_per_mm: float,
) -> Array:
    """Send each spike that no row explains to the row that then leaves the least unexplained.

    Where a tall wave crosses another row, both rows explain the ink up to the crossing equally
    well; beyond it the spike belongs, if in doubt, to the one that is further from its baseline.

    Parameters
    ----------
    trace : (H, W) ink in 0..1, `TRACK_PX_PER_MM` down and ``px_per_mm`` along the page
    baselines, paths : (R,) and (R, W) px
    claims : (R, H, W) what each row pays for walking where others run
    near_text : (H, W) where ink may be writing

    Returns
    -------
    (R, W) px, the new paths.
    """
    paths, claims = paths.copy(), claims.copy()
    base = local_baselines(paths, baselines, px_per_mm)
    margin = int(SPIKE_MARGIN_MM * px_per_mm)
    refused: set[tuple[int, int, bytes]] = set()
    for _ in range(SPIKE_ROUNDS):
        settled = True
        for spike in _left_over(trace, paths, near_text, px_per_mm):
            start, stop = spike.columns
            window = slice(max(0, start - margin), min(trace.shape[1], stop + margin))
            case = spike.x0, spike.y0, paths[:, window].tobytes()
            if case in refused:
                continue
            found = _best_owner(spike, window, trace, baselines, base, paths, claims, near_text)
            if found is None:
                refused.add(case)
            else:
                rows, paths[rows, window], claims[rows, :, window] = found
                settled = False
        if settled:
            break
    return paths


def _best_owner(
    spike: _Spike,
    window: slice,
    trace: FloatArray,
    baselines: Array,
    base: Array,
    paths: Array,
    claims: FloatArray,
    near_text: Mask,
) -> tuple[Places, Array, FloatArray] | None:
    """The rows beside a spike, their paths and claims in a window around it once one of them goes
    there; None if none should.

    What is tried is followed in the part of the page that these rows and the spike are in.
    """
    x0, x1 = spike.columns
    beside = slice(max(0, x0 - 6), x1 + 6)
    touching = _touching(spike, paths[:, beside])
    if len(touching) == 0:
        return None
    part = _part_with(spike, paths[touching, window], len(trace))
    here = replace(spike, y0=spike.y0 - part.start)
    piece, text = trace[part, window], near_text[part, window]
    near = np.clip(paths[:, window] - part.start, -1, len(piece))
    near_by = np.flatnonzero(((near >= 0) & (near < len(piece))).any(axis=1))
    near = np.clip(near, 0, len(piece) - 1)
    left, amount = _unexplained(piece, near[near_by], text)
    still = left[here.rows, x0 - window.start : x1 - window.start] & spike.inside
    if still.sum() < 0.5 * spike.inside.sum():
        return None
    least_gain = MIN_SPIKE_GAIN * float(still.sum())
    excursion = np.abs(paths[touching, beside] - base[touching, beside]).max(axis=1)
    ends = paths[touching, max(window.start - 1, 0)], paths[touching, window.stop - 1]
    own = claims[touching, :, window]
    owners = np.argsort(-excursion, kind="stable").tolist()
    levels = [float(np.median(base[touching[owner], beside])) for owner in owners]
    sent = [
        _sent(own[:, part], here, owner, window.start, level - part.start)
        for owner, level in zip(owners, levels, strict=True)
    ]
    ways = follow(
        piece,
        np.tile(baselines[touching] - part.start, len(owners)),
        TRACK_PX_PER_MM,
        np.concatenate(sent),
        (np.tile(ends[0] - part.start, len(owners)), np.tile(ends[1] - part.start, len(owners))),
    ).reshape(len(owners), len(touching), -1)
    best = None
    for place, found in enumerate(ways):
        near[touching] = found
        left_then = _unexplained(piece, near[near_by], text)[1]
        if left_then < amount - least_gain:
            amount, best = left_then, place
    if best is None:
        return None
    return (
        touching,
        ways[best] + part.start,
        _sent(own, spike, owners[best], window.start, levels[best]),
    )


def _part_with(spike: _Spike, paths: Array, height: int) -> slice:
    """The part of the page (px down it) that some rows and a spike are in, with some room."""
    room = PART_ROOM_MM * TRACK_PX_PER_MM
    top = min(float(paths.min()), spike.rows.start) - room
    bottom = max(float(paths.max()), spike.rows.stop) + room
    return slice(max(0, int(top)), min(height, int(bottom) + 1))


def _touching(spike: _Spike, near: Array) -> Places:
    """Rows whose paths beside a spike, (R, n), come near enough to it to be its owner."""
    reach = max(SPIKE_REACH_MM * TRACK_PX_PER_MM, SPIKE_REACH * len(spike.inside))
    off = np.maximum(spike.rows.start - near, near - spike.rows.stop).min(axis=1)
    return np.flatnonzero(off < reach)
