"""Trace extraction: rows are found, followed jointly across the page, and measured to sub-pixel.

A row's path minimises, by dynamic programming over the columns of the page, the cost of leaving
ink, of vertical travel (cheap along ink, dear across paper) and of straying from its row. Rows
are followed twice: the second time each pays for walking along another row's path, so traces
that touch or cross keep their identity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ecg4u.digitize.rows import row_network
from ecg4u.digitize.rows.follow import TRACK_PX_PER_MM, follow, visited
from ecg4u.digitize.rows.peaks import find_peaks
from ecg4u.digitize.rows.spikes import LOCAL_BASELINE_MM, claims_of, explain_spikes, local_baselines
from ecg4u.digitize.rows.stroke import (
    FAINT_LEVEL,
    FINE,
    INK_LEVEL,
    MIDDLE,
    SNAP_MM,
    FineInk,
    centre_line,
    filled_strokes,
    fine_columns,
    pen_width,
)
from ecg4u.digitize.types import FloatArray, InkMap

Array = npt.NDArray[np.float64]

MIN_ROW_PITCH_MM = 6.0
BLOT_MM = 1.8
BLOT_PENS = 3.0
"""Least breadth of a blot: the strokes of a narrow peak and what lies between are no broader."""
BLOT_RIM_MM = 0.3
BROAD_MM, HOLE_PENS, WORN, FILLED = 0.6, 1.5, 0.02, 0.8
"""Pen width (mm) from which holes are looked for; tallest hole filled, in pens; share of the ink
from which holes count as wear; ink they are filled with. By SNR on five drawn pages with worn
strokes; on four without wear, nothing changes."""
MAX_BLOCK_GAP_MM = 2.0
MAX_ROW_GAP_MM = 40.0
MAX_BLOCK_OFF_MM = 14.0
MIN_BLOCK_MM = 4.0
MAX_LEAP_MM = 6.0
MIN_SHARE_OF_LONGEST_ROW = 0.55
MIN_ROW_INK = 0.6
MIN_DEFLECTION_MM = 0.9
MAX_STRAY_MM = 22.0
MAX_SHARED = 0.3
ROW_END_SLACK_MM = 4.0
MIN_ROWS_GOING_ON = 3
SURE_INK, SURER = 0.7, 0.75
"""A row's ink must exceed this share of the upper quartile of all rows' ink."""
WAVE_MM = 1.0
TALL_MM = 3.0
TOUCH_MM = 0.2
BASE_STEP_MM = 2.0
OWN = (0.35, 0.65)
"""From which probability on ink counts as a row's own, and in full."""
BRIDGED_MM, LINE_MM, BRIDGE = 2.5, 1.4, 0.4
"""The widest gap of a broken line that is filled, how tall a line may be, and how dark the filling:
paler than ink. By eye on three drawn pages; on 24 dev pages of the benchmark it costs 0.02 dB."""
DOUBT = 0.02
"""Probability that trace ink is of no row that was found."""
LEFT_COST = 0.02
"""What a row pays for each px of its own ink in a column that it leaves; both this and `OWN` were
chosen on the dev pages of the benchmark and 12 drawn ones, by SNR."""
EXPLAINED_RIM_MM, EXPLAINED_PX = 0.3, 5
"""How far around a trace's edges ink is its own: the softness of its edges; by eye."""
UNEXPLAINED_MM = 1.0
"""Height of the least piece of ink beside a trace that is missed: of less, specks are."""
MARK_REACH_MM, MARK_MM = 1.0, 0.5
"""Straight print is in a trace's way if so much of it stands so near."""
RULED_REACH_MM, RULED_MM = 8.0, 3.0
"""So much of a separator stands so near its row."""


@dataclass(frozen=True, eq=False)
class RowPath:
    """One row of the page: where its trace runs.

    ``y`` is (W,) the followed path in rectified px; ``top`` and ``bottom`` are (W,) the sub-pixel
    edges of its ink, NaN where there is none; ``centre`` is (W,) the curve itself and ``fine`` the
    same at `FINE` positions a pixel (`fine_columns`). ``collided`` is (W,): where a tall wave of
    the row runs into one of another; ``unexplained``: where ink goes on from its trace that is of
    no row; ``marked`` is (W,): where a separator stands across it, and
    ``ruled``: where one stands across it, above it or below; ``edges_x`` is where its ink began and
    ended (px) when it was measured.
    """

    baseline: float
    y: Array
    top: Array
    bottom: Array
    centre: Array
    ink: Array
    fine: Array
    collided: npt.NDArray[np.bool_] | None = None
    unexplained: npt.NDArray[np.bool_] | None = None
    marked: npt.NDArray[np.bool_] | None = None
    ruled: npt.NDArray[np.bool_] | None = None
    edges_x: tuple[float, float] | None = None

    @property
    def ends(self) -> tuple[float, float]:
        """Where its ink begins and ends (px), finer than `extent` where that was measured."""
        first, last = self.extent
        left, right = self.edges_x or (-np.inf, np.inf)
        return (
            left if first - 1 <= left <= first else first - 0.5,
            right if last <= right <= last + 1 else last + 0.5,
        )

    @property
    def extent(self) -> tuple[int, int]:
        """First and last column with ink."""
        columns = np.flatnonzero(np.isfinite(self.centre))
        return (int(columns[0]), int(columns[-1])) if len(columns) else (0, -1)


def _flat_ink(mask: npt.NDArray[np.uint8], px_per_mm: float) -> npt.NDArray[np.uint8]:
    """Ink of wide components that is not part of a vertical stroke."""
    import cv2

    joined = cv2.morphologyEx(
        mask, cv2.MORPH_CLOSE, np.ones((1, int(1.5 * px_per_mm) | 1), np.uint8)
    )
    _, label, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    wide = stats[:, cv2.CC_STAT_WIDTH] > 6.0 * px_per_mm
    wide[0] = False
    kept = mask * wide[label].astype(np.uint8)
    tall = cv2.morphologyEx(kept, cv2.MORPH_OPEN, np.ones((int(1.6 * px_per_mm), 1), np.uint8))
    return kept & ~tall


def find_rows(trace: FloatArray, px_per_mm: float) -> Array:
    """Heights (px) at which traces run across the page, top to bottom."""
    from scipy.ndimage import gaussian_filter1d

    mask = (trace > INK_LEVEL).astype(np.uint8)
    flat = _flat_ink(mask, px_per_mm)
    profile = gaussian_filter1d(flat.sum(axis=1).astype(float), 1.0 * px_per_mm)
    if profile.max() <= 0:
        return np.zeros(0)
    peaks = find_peaks(
        profile,
        distance=int(MIN_ROW_PITCH_MM * px_per_mm),
        height=0.12 * profile.max(),
        prominence=0.10 * profile.max(),
    )
    rows = []
    for peak in peaks:
        band = flat[max(0, peak - int(3 * px_per_mm)) : peak + int(3 * px_per_mm)]
        spread = np.flatnonzero(band.any(axis=0))
        if len(spread) > 15 * px_per_mm:
            rows.append(float(peak))
    return np.array(rows)


def _drop_doubles(baselines: Array, paths: Array, px_per_mm: float) -> npt.NDArray[np.bool_]:
    """Which rows to keep: of two rows that share most of their path the later is dropped."""
    keep = np.ones(len(baselines), bool)
    for i in range(len(baselines)):
        for j in range(i):
            if keep[i] and keep[j]:
                together = np.mean(np.abs(paths[i] - paths[j]) < 0.6 * px_per_mm)
                if together > MAX_SHARED:
                    near_i = np.mean(np.abs(paths[i] - baselines[i]))
                    near_j = np.mean(np.abs(paths[j] - baselines[j]))
                    keep[i if near_i >= near_j else j] = False
    return keep


def trace_rows(ink: InkMap, px_per_mm: float) -> tuple[RowPath, ...]:
    """Find the rows of a page and the curve of each, top to bottom."""
    import cv2

    pen = _thickness(_flat_ink((ink.trace > INK_LEVEL).astype(np.uint8), px_per_mm))
    trace = _mended(_without_blots(ink.trace, pen, px_per_mm), pen, px_per_mm)
    text = ink.text
    scale = TRACK_PX_PER_MM / px_per_mm
    small = cv2.resize(
        _parted(trace, px_per_mm), None, fx=1, fy=scale, interpolation=cv2.INTER_AREA
    )
    baselines = find_rows(trace, px_per_mm) * scale
    if len(baselines) == 0:
        return ()
    fine = FineInk(trace)
    found = _followed(_bridged(small, px_per_mm), fine, baselines, px_per_mm)
    if len(found[0]) < len(baselines):
        plain = _followed(small, fine, baselines, px_per_mm)
        found = max(found, plain, key=lambda rows: len(rows[0]))
    baselines, paths, claims = found
    if len(baselines) == 0:
        return ()
    reach = np.ones((int(0.6 * px_per_mm), int(3.0 * px_per_mm)), np.uint8)
    spread = cv2.dilate((text > INK_LEVEL).astype(np.uint8), reach)
    near_text = cv2.resize(spread, small.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
    paths = explain_spikes(small, baselines, paths, claims, near_text, px_per_mm)
    measured = _measured(fine, baselines, paths, px_per_mm)
    if ink.look is not None:
        heights = local_baselines(paths, baselines, px_per_mm)
        measured = _parted_rows(measured, ink, heights, baselines, px_per_mm)
    rows = _plausible(measured, px_per_mm)
    rows = _collided(_marked(rows, ink.separator, px_per_mm), px_per_mm)
    return _unexplained(rows, ink.trace, px_per_mm)


def _followed(
    small: FloatArray, fine: FineInk, baselines: Array, px_per_mm: float
) -> tuple[Array, Array, FloatArray]:
    """Baselines (R,) of the rows that are traces, their paths (R, W) and their claims.

    What turns out to be none takes no ground: the others are followed anew without it. ``small``
    and what is returned are at `TRACK_PX_PER_MM` down the page.
    """
    alone = follow(small, baselines, TRACK_PX_PER_MM)
    paths, claims = _together(small, baselines, alone, px_per_mm)
    keep = _drop_doubles(baselines, paths, TRACK_PX_PER_MM)
    baselines, alone, paths, claims = baselines[keep], alone[keep], paths[keep], claims[keep]

    def kept(paths: Array) -> npt.NDArray[np.bool_]:
        return np.array(_kept(_measured(fine, baselines, paths, px_per_mm), px_per_mm), bool)

    traces = kept(paths)
    if not keep.all():
        anew = _together(small, baselines, alone, px_per_mm)
        if (found := kept(anew[0])).sum() >= traces.sum():
            (paths, claims), traces = anew, found
    if traces.all() or not traces.any():
        return baselines[traces], paths[traces], claims[traces]
    paths, claims = _together(small, baselines[traces], alone[traces], px_per_mm)
    return baselines[traces], paths, claims


def _parted_rows(
    rows: list[RowPath], ink: InkMap, heights: Array, baselines: Array, px_per_mm: float
) -> list[RowPath]:
    """The rows; those that run into each other followed anew, each in its own ink alone."""
    assert ink.look is not None
    met = [bool(np.any(row.collided)) for row in _collided(tuple(rows), px_per_mm)]
    if not any(met):
        return rows
    halved = heights[:, :: row_network.HALVED][:, : ink.look.shape[2]]
    shares = row_network.own_share(ink.look, halved)
    own = _own_rows(ink, shares, baselines, px_per_mm)
    return [
        _ending_as(new, row) if anew else row for row, new, anew in zip(rows, own, met, strict=True)
    ]


def _own_rows(
    ink: InkMap, shares: list[tuple[FloatArray, int]], baselines: Array, px_per_mm: float
) -> list[RowPath]:
    """Each row followed and measured in the ink that is its own.

    ``baselines`` (R,) are in px of the page that rows are followed on.
    """
    import cv2

    own = _own_ink(ink.trace, shares)
    firsts = [row_network.HALVED * top for _, top in shares]
    scale = TRACK_PX_PER_MM / px_per_mm
    small = np.stack(
        [
            cv2.resize(_parted(o, px_per_mm), None, fx=1, fy=scale, interpolation=cv2.INTER_AREA)
            for o in own
        ]
    )
    left = LEFT_COST * _left_in_column(small)
    paths = follow(small, baselines - scale * np.array(firsts), TRACK_PX_PER_MM, left)
    rows = []
    for strip, path, first, baseline in zip(own, paths, firsts, baselines, strict=True):
        fine, y = FineInk(strip), (path[None] + 0.5) / scale - 0.5
        stroke = fine.stroke_width(y[0], px_per_mm)
        row = _measure(fine, y, 0, stroke, float(baseline / scale) - first, px_per_mm)
        rows.append(_lowered(row, first))
    return rows


def _ending_as(row: RowPath, seen: RowPath) -> RowPath:
    """A row with the ends that it has in all ink: pulses stand there, which are no trace."""
    columns = np.arange(len(row.y))
    (first, last), (own_first, own_last) = seen.extent, row.extent
    beyond = (columns < own_first) | (columns > own_last)
    bare = (columns < first) | (columns > last)

    def whole(name: str) -> Array:
        own, all_ink = getattr(row, name), getattr(seen, name)
        times = len(own) // len(columns)
        values = np.where(np.repeat(beyond, times), all_ink, own)
        return np.where(np.repeat(bare, times), np.nan, values)

    return replace(
        row,
        y=np.where(beyond, seen.y, row.y),
        top=whole("top"),
        bottom=whole("bottom"),
        centre=whole("centre"),
        ink=whole("ink"),
        fine=whole("fine"),
        edges_x=seen.edges_x,
    )


def _left_in_column(ink: FloatArray) -> FloatArray:
    """How much of a column's ink (px) is in other runs than the one a place is in, (R, H, W)."""
    inked = ink > FAINT_LEVEL
    at = np.arange(ink.shape[1], dtype=np.int16)[:, None]
    before = np.maximum.accumulate(np.where(inked, np.int16(-1), at), axis=1)
    after = np.where(inked, np.int16(ink.shape[1]), at)[:, ::-1]
    after = np.minimum.accumulate(after, axis=1)[:, ::-1]
    run = np.where(inked, after - before - 1, 0)
    return np.asarray(inked.sum(axis=1, keepdims=True) - run, np.float32)


def _own_ink(trace: FloatArray, shares: list[tuple[FloatArray, int]]) -> list[FloatArray]:
    """The ink of each row in its strip.

    Ink is a row's own where the row network says so; ink that is surely a trace's but surely no
    row's is that of the likeliest row.
    """
    import cv2

    height, width = trace.shape
    low = height // row_network.HALVED
    total = np.full((low, shares[0][0].shape[1]), DOUBT, np.float32)
    bands = [(max(top, 0), min(top + len(share), low)) for share, top in shares]
    for (share, top), (y0, y1) in zip(shares, bands, strict=True):
        total[y0:y1] += share[y0 - top : y1 - top]
    found = []
    for (share, top), (y0, y1) in zip(shares, bands, strict=True):
        inner = share[y0 - top : y1 - top]
        sure = cv2.dilate(inner, np.ones((3, 3), np.uint8))
        sure = np.clip((sure - OWN[0]) / (OWN[1] - OWN[0]), 0.0, 1.0)
        likeliest = inner / total[y0:y1]
        size = width, row_network.HALVED * (y1 - y0)
        sure, likeliest = (
            cv2.resize(v, size, interpolation=cv2.INTER_LINEAR) for v in (sure, likeliest)
        )
        own = np.zeros((row_network.HALVED * len(share), width), np.float32)
        here = slice(row_network.HALVED * y0, row_network.HALVED * y1)
        there = slice(here.start - row_network.HALVED * top, here.stop - row_network.HALVED * top)
        own[there] = trace[here] * np.maximum(sure, likeliest)
        found.append(own)
    return found


def _lowered(row: RowPath, px: float) -> RowPath:
    names = ("baseline", "y", "top", "bottom", "centre", "fine")
    return replace(row, **{name: getattr(row, name) + px for name in names})


def _marked(
    rows: tuple[RowPath, ...], separator: FloatArray, px_per_mm: float
) -> tuple[RowPath, ...]:
    """The rows, marked where straight print stands across or beside their traces."""
    down = np.pad(np.cumsum(separator > INK_LEVEL, axis=0, dtype=np.int32), ((1, 0), (0, 0)))
    columns = np.arange(separator.shape[1])

    def near(y: Array, reach_mm: float) -> npt.NDArray[np.int32]:
        """How many px of straight print stand within reach of a height."""
        low, high = (
            np.clip(np.round(y + side * reach_mm * px_per_mm).astype(int), 0, len(separator))
            for side in (-1, 1)
        )
        return np.asarray(down[high, columns] - down[low, columns])

    return tuple(
        replace(
            row,
            marked=near(row.y, MARK_REACH_MM) > MARK_MM * px_per_mm,
            ruled=near(np.full(len(row.y), row.baseline), RULED_REACH_MM) > RULED_MM * px_per_mm,
        )
        for row in rows
    )


def _collided(rows: tuple[RowPath, ...], px_per_mm: float) -> tuple[RowPath, ...]:
    """The rows, marked where a tall wave meets one that comes towards it from another row.

    What of their common stroke is whose cannot be seen there.
    """
    from scipy.ndimage import maximum_filter1d

    width = int(WAVE_MM * px_per_mm) | 1
    up, down = [], []
    for row in rows:
        base = local_height(row, px_per_mm)
        reached = np.nan_to_num(np.stack([base - row.top, row.bottom - base]))
        high, low = maximum_filter1d(reached, width, axis=1) > TALL_MM * px_per_mm
        up.append(high)
        down.append(low)
    marks = [np.zeros(len(row.centre), bool) for row in rows]
    for i, upper in enumerate(rows):
        for j, lower in enumerate(rows[i + 1 :], i + 1):
            with np.errstate(invalid="ignore"):
                met = lower.top - upper.bottom < TOUCH_MM * px_per_mm
            met &= down[i] & up[j]
            marks[i] |= met
            marks[j] |= met
    found = [maximum_filter1d(mark.astype(np.uint8), width) > 0 for mark in marks]
    return tuple(replace(row, collided=mark) for row, mark in zip(rows, found, strict=True))


def _unexplained(
    rows: tuple[RowPath, ...], trace: FloatArray, px_per_mm: float
) -> tuple[RowPath, ...]:
    """The rows, marked where ink goes on from their trace that no row's trace explains.

    A tip that was cut off, a wave given to nobody, a stain.
    """
    import cv2
    from scipy.ndimage import maximum_filter1d, minimum_filter1d

    height, width = trace.shape
    rim = EXPLAINED_RIM_MM * px_per_mm
    filled = np.zeros((height + 1, width), np.int16)
    columns, bands = np.arange(width), []
    for row in rows:
        known = np.isfinite(row.top) & np.isfinite(row.bottom)
        top = minimum_filter1d(np.where(known, row.top, np.inf), EXPLAINED_PX) - rim
        bottom = maximum_filter1d(np.where(known, row.bottom, -np.inf), EXPLAINED_PX) + rim
        low, high = (np.nan_to_num(v, posinf=0, neginf=0).round() for v in (top, bottom))
        low, high = (np.clip(v, 0, height).astype(int) for v in (low, high))
        bands.append((low, high))
        np.add.at(filled, (low, columns), 1)
        np.add.at(filled, (np.maximum(low, high), columns), -1)
    left = (trace > INK_LEVEL) & (np.cumsum(filled[:-1], axis=0, dtype=np.int16) == 0)
    _, label, stats, _ = cv2.connectedComponentsWithStats(left.astype(np.uint8), connectivity=8)
    large = stats[:, cv2.CC_STAT_HEIGHT] >= UNEXPLAINED_MM * px_per_mm
    large[0] = False
    marked = []
    for row, (low, high) in zip(rows, bands, strict=True):
        beside = [np.clip(low - k, 0, height - 1) for k in (1, 2)]
        beside += [np.clip(high + k, 0, height - 1) for k in (0, 1)]
        found = np.unique([label[at, columns] for at in beside])
        mark = np.zeros(width, bool)
        for k in found[large[found]]:
            x0 = stats[k, cv2.CC_STAT_LEFT]
            mark[x0 : x0 + stats[k, cv2.CC_STAT_WIDTH]] = True
        marked.append(replace(row, unexplained=mark & (high > low)))
    return tuple(marked)


def local_height(row: RowPath, px_per_mm: float) -> Array:
    """Running median (W,) px of a row's curve, which may have gaps."""
    from scipy.ndimage import median_filter

    centre = row.centre
    columns, known = np.arange(len(centre)), np.isfinite(centre)
    if not known.any():
        return np.zeros(len(centre))
    step = int(BASE_STEP_MM * px_per_mm)
    coarse = np.interp(columns[::step], columns[known], centre[known])
    window = int(LOCAL_BASELINE_MM * px_per_mm / step) | 1
    return np.interp(columns, columns[::step], median_filter(coarse, window, mode="nearest"))


def _together(
    small: FloatArray, baselines: Array, alone: Array, px_per_mm: float
) -> tuple[Array, FloatArray]:
    """Paths of rows that keep off each other's ground, from those each would take alone.

    The second array is each row's cost of walking where another runs.
    """
    if len(baselines) < 2:
        return alone, np.zeros((len(baselines), *small.shape), np.float32)
    claims = claims_of(alone, baselines, small.shape, px_per_mm)
    return follow(small, baselines, TRACK_PX_PER_MM, claims), claims


def _measured(fine: FineInk, baselines: Array, paths: Array, px_per_mm: float) -> list[RowPath]:
    """The curve of each row from its path on the coarser page that it was followed on."""
    scale = TRACK_PX_PER_MM / px_per_mm
    full = (paths + 0.5) / scale - 0.5
    strokes = [fine.stroke_width(path, px_per_mm) for path in full]
    known = [stroke for stroke in strokes if stroke is not None]
    usual = float(np.median(known)) if known else None
    return [
        _measure(fine, full, row, stroke or usual, float(baselines[row] / scale), px_per_mm)
        for row, stroke in enumerate(strokes)
    ]


def _kept(rows: list[RowPath], px_per_mm: float) -> list[bool]:
    """Which rows are traces: print and shadows taken for rows would claim others' tall waves."""
    kept = {row.baseline for row in _plausible(rows, px_per_mm)}
    return [row.baseline in kept for row in rows]


def _without_blots(trace: FloatArray, pen: float, px_per_mm: float) -> FloatArray:
    """The ink without what is broader, both ways, than its pen: shadows of creases, stains."""
    import cv2

    mask = (trace > INK_LEVEL).astype(np.uint8)
    side = np.ones((int(max(BLOT_MM * px_per_mm, BLOT_PENS * pen)),) * 2, np.uint8)
    blots = cv2.morphologyEx(mask, cv2.MORPH_OPEN, side)
    if not blots.any():
        return trace
    rim = np.ones((2 * int(BLOT_RIM_MM * px_per_mm) + 1,) * 2, np.uint8)
    return np.asarray(np.where(cv2.dilate(blots, rim) > 0, 0.0, trace), np.float32)


def _mended(trace: FloatArray, pen: float, px_per_mm: float) -> FloatArray:
    """The ink with the holes in broad, worn strokes filled, where there are many.

    Holes cut a tall wave into pieces, none tall enough to count as a wave. They are filled
    vertically only: filled across, the two strokes of a wave would merge at its foot.
    """
    import cv2

    if pen < BROAD_MM * px_per_mm:
        return trace
    mask = (trace > INK_LEVEL).astype(np.uint8)
    upright = np.ones((int(HOLE_PENS * pen) | 1, 1), np.uint8)  # an even one would shift the ink
    holes = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, upright) > mask
    worn = holes.sum() > WORN * mask.sum()
    return np.where(holes, np.float32(FILLED), trace) if worn else trace


def _thickness(flat: npt.NDArray[np.uint8]) -> float:
    """How thick (px) lines are that run across: the usual length of their runs down the page."""
    padded = np.pad(flat.T, ((0, 0), (1, 1))).astype(np.int8).ravel()
    turns = np.flatnonzero(np.diff(padded))
    return float(np.median(turns[1::2] - turns[::2])) if len(turns) else 0.0


def _parted(trace: FloatArray, px_per_mm: float) -> FloatArray:
    """Ink sharpened along x, so that the two strokes of a narrow peak stand apart."""
    import cv2

    sharp = cv2.blur(trace, (int(0.7 * px_per_mm) | 1, 1))
    sharp *= -0.6
    sharp += 1.6 * trace
    return np.clip(sharp, 0.0, 1.0, out=sharp)


def _bridged(ink: FloatArray, px_per_mm: float) -> FloatArray:
    """Ink with the gaps of broken lines filled, (H, W) at `TRACK_PX_PER_MM` down the page.

    Where a head's dots are missing or the paper is worn a row's ink breaks off every few
    millimetres, and it would be cheaper to walk along a neighbour's. What lies between the two
    strokes of a peak is taller than a line and stays empty.
    """
    import cv2

    mask = (ink > INK_LEVEL).astype(np.uint8)
    gap = np.ones((3, int(BRIDGED_MM * px_per_mm) | 1), np.uint8)
    filled = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, gap) & ~mask
    upright = np.ones((int(LINE_MM * TRACK_PX_PER_MM), 1), np.uint8)
    tall = cv2.dilate(cv2.morphologyEx(filled, cv2.MORPH_OPEN, upright), np.ones((3, 3), np.uint8))
    return np.asarray(np.where(filled > tall, np.maximum(ink, BRIDGE), ink), np.float32)


def _deflection(centre: Array, px_per_mm: float) -> float:
    """How far a row's waves leave its baseline, in mm: next to nothing for frames and rules."""
    from scipy.ndimage import median_filter

    known = centre[np.isfinite(centre)][::5]
    if len(known) == 0:
        return 0.0
    base = median_filter(known, int(LOCAL_BASELINE_MM * px_per_mm / 5) | 1, mode="nearest")
    low, high = np.percentile(known - base, (0.5, 99.5))
    return float(high - low) / px_per_mm


def _plausible(rows: list[RowPath], px_per_mm: float) -> tuple[RowPath, ...]:
    """Rows that cover the stretch that most rows share; headers, frames and strays do not.

    What a row shows beyond that stretch is left out.
    """
    rows = [row for row in rows if _deflection(row.centre, px_per_mm) > MIN_DEFLECTION_MM]
    rows = _inked(rows)
    longest = max((row.extent[1] - row.extent[0] for row in rows), default=0)
    long = [r for r in rows if r.extent[1] - r.extent[0] >= MIN_SHARE_OF_LONGEST_ROW * longest]
    if not long:
        return ()
    slack = ROW_END_SLACK_MM * px_per_mm
    first = -_shared_end([-row.extent[0] for row in long], slack) - slack
    last = _shared_end([row.extent[1] for row in long], slack) + slack
    kept = []
    for row in long:
        columns = np.arange(len(row.centre))
        inside = (columns >= first) & (columns <= last)
        centre = np.where(inside, row.centre, np.nan)
        known = centre[np.isfinite(centre)]
        covered = len(known) / max(last - first - 2 * slack, 1.0)
        strays = np.percentile(np.abs(known - row.baseline), 90) if len(known) else np.inf
        if covered >= MIN_ROW_INK and strays < MAX_STRAY_MM * px_per_mm:
            fine = np.where(np.repeat(inside, FINE), row.fine, np.nan)
            kept.append(replace(row, centre=centre, fine=fine))
    return tuple(_single(kept, px_per_mm))


def _inked(rows: list[RowPath]) -> list[RowPath]:
    """Rows whose ink is nearly as sure as the surest quarter's: remnants of a grid are not."""
    usual = [float(np.nanmedian(row.ink)) for row in rows]
    least = SURE_INK * np.quantile(usual, SURER) if usual else 0.0
    return [row for row, ink in zip(rows, usual, strict=True) if ink > least]


def _shared_end(ends: Sequence[int], slack: float) -> float:
    """The furthest end that several rows have: columns may go on beyond the rhythm strips."""
    usual = float(np.median(ends))
    further = [end for end in ends if end > usual + slack]
    if len(further) < MIN_ROWS_GOING_ON:
        return usual
    end = float(np.median(further))
    return end if max(further) - min(further) < slack else usual


def _single(rows: list[RowPath], px_per_mm: float) -> list[RowPath]:
    """Rows without those that walk along another's trace, further from their own baseline."""
    kept = list(rows)
    for row in sorted(rows, key=_stray, reverse=True):
        others = [other for other in kept if other is not row]
        with np.errstate(invalid="ignore"):
            shared = [np.abs(row.centre - o.centre) < 0.5 * px_per_mm for o in others]
        length = np.isfinite(row.centre).sum()
        if any(together.sum() > MAX_SHARED * length for together in shared):
            kept = others
    return kept


def _stray(row: RowPath) -> float:
    return float(np.nanmean(np.abs(row.centre - row.baseline)))


def _measure(
    ink: FineInk, paths: Array, row: int, stroke: float | None, baseline: float, px_per_mm: float
) -> RowPath:
    """Edges and centre line of one row; ink that other rows run through is shared out.

    ``stroke`` (px) is how thick steep strokes are, of this row or else of the page.
    """
    from scipy.ndimage import maximum_filter1d, minimum_filter1d

    y = paths[row]
    edges = ink.edges(y, int(SNAP_MM * px_per_mm))
    pen = pen_width(edges, px_per_mm, stroke)
    edges = filled_strokes(edges, y, pen)
    top, bottom, strength = edges.top, edges.bottom, edges.strength
    across = int(pen) | 1  # half a pen on either side of the path is of the same stroke
    upper, lower = visited(y)
    uppermost = np.repeat(minimum_filter1d(upper, across), FINE)
    lowermost = np.repeat(maximum_filter1d(lower, across), FINE)
    at, columns = fine_columns(len(y)), np.arange(len(y))
    for other in range(len(paths)):
        if other == row:
            continue
        there = np.interp(at, columns, paths[other])
        with np.errstate(invalid="ignore"):
            shared = (there >= top - pen / 2) & (there <= bottom + pen / 2)
            shared &= (bottom - top) > 1.6 * pen
        top = np.where(shared, np.maximum(top, uppermost - pen / 2), top)
        bottom = np.where(shared, np.minimum(bottom, lowermost + pen / 2), bottom)
    leaps = _leaps(y, top[MIDDLE::FINE], bottom[MIDDLE::FINE], px_per_mm)
    off_mm = np.abs(y - baseline) / px_per_mm
    inside = _main_stretch(np.isfinite(top[MIDDLE::FINE]), leaps, off_mm, px_per_mm)
    top, bottom, strength = (
        np.where(np.repeat(inside, FINE), values, np.nan) for values in (top, bottom, strength)
    )
    fine = centre_line(top, bottom, pen)
    top, bottom, strength = (values[MIDDLE::FINE] for values in (top, bottom, strength))
    row_path = RowPath(baseline, y, top, bottom, fine[MIDDLE::FINE], strength, fine)
    first, last = row_path.extent
    if last < first:
        return row_path
    ends = ink.end_beyond(y, first, -1), ink.end_beyond(y, last, 1)
    return replace(row_path, edges_x=ends)


def _main_stretch(
    inked: npt.NDArray[np.bool_], leaps: npt.NDArray[np.bool_], off_mm: Array, px_per_mm: float
) -> npt.NDArray[np.bool_]:
    """The columns between the ends of a row's trace: stray ink off either end is left out.

    ``leaps`` marks columns that the path reached by a leap over bare paper; ``off_mm`` is its
    distance from the row's baseline.
    """
    columns = np.flatnonzero(inked)
    inside = np.zeros(len(inked), bool)
    if len(columns) == 0:
        return inside
    leapt = np.cumsum(leaps)[columns]
    apart = (np.diff(columns) > MAX_BLOCK_GAP_MM * px_per_mm) | (np.diff(leapt) > 0)
    blocks = np.split(columns, np.flatnonzero(apart) + 1)
    largest = max(range(len(blocks)), key=lambda i: len(blocks[i]))
    first, last = int(blocks[largest][0]), int(blocks[largest][-1])

    def belongs(block: npt.NDArray[np.intp], gap: int) -> bool:
        near = float(np.median(off_mm[block])) < MAX_BLOCK_OFF_MM
        long = len(block) > (MIN_BLOCK_MM if gap > 2 else 0.5) * px_per_mm
        return near and long and gap < MAX_ROW_GAP_MM * px_per_mm

    for block in blocks[:largest][::-1]:
        if belongs(block, first - int(block[-1])):
            first = int(block[0])
    for block in blocks[largest + 1 :]:
        if belongs(block, int(block[0]) - last):
            last = int(block[-1])
    inside[first : last + 1] = True
    return inside


def _leaps(y: Array, top: Array, bottom: Array, px_per_mm: float) -> npt.NDArray[np.bool_]:
    """Columns that the path reaches over more than `MAX_LEAP_MM` of bare paper."""
    before = np.concatenate([y[:1], y[:-1]])
    low, high = np.minimum(before, y), np.maximum(before, y)
    inked = np.zeros(len(y))
    for edge_top, edge_bottom in ((top, bottom), (np.roll(top, 1), np.roll(bottom, 1))):
        overlap = np.minimum(high, edge_bottom) - np.maximum(low, edge_top)
        inked += np.nan_to_num(np.clip(overlap, 0, None))
    return np.asarray(high - low - inked > MAX_LEAP_MM * px_per_mm)
