"""From the ink along a row to the curve that a pen drew: edges, pen width, middle line.

The ink of a curve drawn with a round pen is the curve dilated by the pen's disc. Pulled back by
the disc, the ink's upper edge gives the curve closed from above: true at its peaks, filled in at
valleys narrower than the pen. The lower edge gives the opposite. Along a stroke, however steep,
both agree; where they part, each sharp wave takes the edge at which its tip is. Edges are read at
`FINE` positions a pixel: in a QRS complex the curve climbs tens of pixels within one column.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ecg4u.digitize.types import FloatArray

Array = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]

FINE = 3
"""Positions along x at which the curve is measured, for each rectified pixel."""
INK_LEVEL = 0.5
FAINT_LEVEL = 0.2
SNAP_MM = 0.45
GAP_PX = 3
"""Gaps in a stroke that are narrower are those of grid lines taken out of it."""
PEN_PERCENTILE = 10
"""Noise and steep strokes thicken the ink of a column; where it is thinnest it is the pen."""
LEAST_OF_USUAL = 0.9
"""The pen against the commonest thickness: many columns of a bold trace are cut, by print or by
another row, and would make it a fine one. Of 0.8, 0.9 and 1 the best by SNR over ten dev pages of
the benchmark."""
END_REACH_PX = 2
"""How far off its path the ink of a row's end may lie; by eye."""
STEEP_MM = 0.6
MIN_STEEP = 12
PIXEL_SHARE = 0.5
"""What a count of whole pixels misses of a width."""
LOST_STROKE, LOST_LEAP = 1.5, 3.0
"""Width of a lost stroke and its height, in pens."""
DISC_STEPS = 9
PARTED = 0.5
"""Edges pulled back that differ by more than this share of the pen have parted."""
TIP_REACH = 0.5
TIP_HEIGHT = 0.2
MIDDLE = FINE // 2
SETTLE_ROUNDS = 20
SETTLE_STEP = 0.5
SETTLE_STIFFNESS = 0.1


@dataclass(frozen=True, eq=False)
class Edges:
    """Sub-pixel edges of the ink along a path, each (n,), NaN where there is no ink.

    Sample k lies at column (k + 1/2) / `FINE` - 1/2 of the rectified page; ``strength`` is the
    ink's darkness, 0..1.
    """

    top: Array
    bottom: Array
    strength: Array


def fine_columns(width: int) -> Array:
    """Where along x the curve is measured on a page of ``width`` px, (FINE * width,)."""
    return (np.arange(width * FINE) + 0.5) / FINE - 0.5


class Runs:
    """Where the runs of a mask (n, length) begin and end along its lines."""

    def __init__(self, mask: npt.NDArray[np.bool_]) -> None:
        self.length = mask.shape[1] + 2
        framed = np.pad(mask, ((0, 0), (1, 1))).ravel()
        changes = np.flatnonzero(framed[1:] != framed[:-1])
        self.first, self.last = changes[::2], changes[1::2] - 1

    def around(self, line: Places, at: Places) -> tuple[Places, Places]:
        """Ends of the run that holds each place, or the place itself where there is none."""
        if len(self.first) == 0:
            return at, at
        shift = line * self.length
        run = np.maximum(np.searchsorted(self.first, at + shift, "right") - 1, 0)
        first, last = self.first[run] - shift, self.last[run] - shift
        held = (first <= at) & (at <= last)
        return np.where(held, first, at), np.where(held, last, at)

    def within(self, line: Places, start: Places, stop: Places) -> tuple[Places, Places]:
        """First and last place of the mask from ``start`` to ``stop``; where none, crossed over."""
        if len(self.first) == 0:
            return stop + 1, start - 1
        shift, final = line * self.length, len(self.first) - 1
        after = np.searchsorted(self.last, start + shift, "left")
        before = np.searchsorted(self.first, stop + shift, "right") - 1
        first = np.where(after <= final, self.first[np.minimum(after, final)] - shift, stop + 1)
        last = np.where(before >= 0, self.last[np.maximum(before, 0)] - shift, start - 1)
        return np.maximum(first, start), np.minimum(last, stop)


class FineInk:
    """An ink map stretched along x, with the run of ink around every pixel."""

    def __init__(self, trace: FloatArray) -> None:
        import cv2

        height, width = trace.shape
        turned = np.ascontiguousarray(trace.T)
        finer = cv2.resize(turned, (height, width * FINE), interpolation=cv2.INTER_CUBIC)
        self.ink = np.clip(finer, 0.0, 1.0, out=finer)
        inked = (finer > FAINT_LEVEL).astype(np.uint8)
        joined = cv2.morphologyEx(inked, cv2.MORPH_CLOSE, np.ones((1, GAP_PX), np.uint8))
        self.any_ink, self.full_ink = Runs(joined > 0), Runs(finer > INK_LEVEL)
        self._across = Runs(trace > INK_LEVEL)

    def stroke_width(self, path: Array, px_per_mm: float) -> float | None:
        """How thick the steep strokes of a path (W,) px are along x; None where it has too few."""
        rise = np.diff(path)
        steep = np.flatnonzero(np.abs(rise) > STEEP_MM * px_per_mm)
        y = np.round(path[steep] + rise[steep] / 2).astype(int)
        inside = (y >= 0) & (y < self.ink.shape[1])
        first, last = self._across.around(y[inside], steep[inside])
        thick = (last - first + 1)[last > first]
        if len(thick) < MIN_STEEP:
            return None
        return float(np.median(thick)) + PIXEL_SHARE

    def edges(self, path: Array, snap: int) -> Edges:
        """Edges of the ink at ``path`` (W,) px, looked for within ``snap`` px of it.

        The run is followed down to `FAINT_LEVEL` (the paper between the two strokes of a narrow
        peak is seldom white); its edges stand where it crosses `INK_LEVEL`.
        """
        columns, height = self.ink.shape
        y = np.interp(fine_columns(len(path)), np.arange(len(path)), path)
        x = np.arange(columns)
        seed = np.full(columns, -1)
        start = np.round(y).astype(int)
        for offset in sorted(range(-snap, snap + 1), key=abs, reverse=True):
            at = np.clip(start + offset, 0, height - 1)
            seed = np.where(self.ink[x, at] > FAINT_LEVEL, at, seed)
        found = seed >= 0
        seed = np.maximum(seed, 0)
        first, final = self.full_ink.within(x, *self.any_ink.around(x, seed))
        found &= first <= final
        first, final = np.where(found, first, 0), np.where(found, final, 0)
        top = first - self._beyond(x, first, first - 1)
        bottom = final + self._beyond(x, final, final + 1)
        strength = np.maximum(self.ink[x, (first + final) // 2], self.ink[x, seed])
        return Edges(*(np.where(found, v, np.nan) for v in (top, bottom, strength)))

    def end_beyond(self, path: Array, column: int, step: int) -> float:
        """Where (px) the ink of a path (W,) ends, given that ``column`` is the last one with ink;
        ``step`` is 1 at a right end, -1 at a left one."""
        y = int(np.clip(round(float(path[column])), 0, self.ink.shape[1] - 1))
        at = FINE * column + MIDDLE + step * np.arange(2 * FINE + 1)
        at = at[(at >= 0) & (at < len(self.ink))]
        seen = self.ink[at, max(0, y - END_REACH_PX) : y + END_REACH_PX + 1].max(axis=1)
        below = np.flatnonzero(seen < INK_LEVEL)
        if len(below) == 0 or below[0] == 0:
            return column + 0.5 * step
        last = int(below[0]) - 1
        beyond = (seen[last] - INK_LEVEL) / max(float(seen[last] - seen[last + 1]), 1e-6)
        return column + step * (last + float(beyond)) / FINE

    def _beyond(
        self, x: npt.NDArray[np.intp], inside: npt.NDArray[np.intp], outside: npt.NDArray[np.intp]
    ) -> Array:
        """How far past pixel ``inside`` the ink crosses `INK_LEVEL` on its way to ``outside``."""
        within = (outside >= 0) & (outside < self.ink.shape[1])
        dark = self.ink[x, inside].astype(float)
        light = self.ink[x, np.clip(outside, 0, self.ink.shape[1] - 1)].astype(float)
        fall = np.maximum(dark - light, 1e-6)
        return np.where(within, np.clip((dark - INK_LEVEL) / fall, 0.0, 1.0), 0.0)


def pen_width(edges: Edges, px_per_mm: float, stroke: float | None = None) -> float:
    """Width of the pen in px; ``stroke`` is that of steep strokes, which noise does not thicken."""
    thickness = edges.bottom - edges.top
    known = thickness[np.isfinite(thickness)]
    if len(known) == 0:
        return 0.1 * px_per_mm
    thin = max(float(np.percentile(known, PEN_PERCENTILE)), LEAST_OF_USUAL * _mode(known))
    thin = min(thin, stroke) if stroke is not None else thin
    return float(np.clip(thin, 0.1 * px_per_mm, 1.2 * px_per_mm))


def _mode(values: Array) -> float:
    """The commonest of values: the half of them that lie closest, of these the half, and so on.

    Bickel and Fruehwirth 2006, the half-sample mode.
    """
    values = np.sort(values)
    while len(values) > 3:
        half = (len(values) + 1) // 2
        first = int(np.argmin(values[half - 1 :] - values[: len(values) - half + 1]))
        values = values[first : first + half]
    return float(np.median(values))


def filled_strokes(edges: Edges, path: Array, pen: float) -> Edges:
    """Edges with upright strokes filled in that vanished with a grid line they run along.

    A gap no wider than a stroke, over which ``path`` (W,) px leaps, holds one.
    """
    y = np.interp(fine_columns(len(path)), np.arange(len(path)), path)
    top, bottom, strength = edges.top.copy(), edges.bottom.copy(), edges.strength.copy()
    turns = np.flatnonzero(np.diff(np.isnan(top).astype(np.int8)))
    starts = turns[np.isnan(top[turns + 1])]
    stops = turns[~np.isnan(top[turns + 1])]
    for before in starts:
        after = stops[stops > before][:1] + 1
        if len(after) == 0 or after[0] - before > LOST_STROKE * pen * FINE:
            continue
        last = int(after[0])
        if abs(y[last] - y[before]) < LOST_LEAP * pen:
            continue
        gap = slice(before + 1, last)
        top[gap] = min(top[before], top[last])
        bottom[gap] = max(bottom[before], bottom[last])
        strength[gap] = min(strength[before], strength[last])
    return Edges(top, bottom, strength)


def centre_line(top: Array, bottom: Array, pen: float) -> Array:
    """The curve whose stroke with a pen of width ``pen`` px has these edges; (n,) px.

    ``top`` and ``bottom`` are (n,) at `FINE` positions a pixel, NaN where there is no ink; so is
    the answer.
    """
    from scipy.ndimage import maximum_filter1d, minimum_filter1d

    upper = -_pulled_back(-_nearest(top), pen / 2)
    lower = _pulled_back(_nearest(bottom), pen / 2)
    middle = (upper + lower) / 2
    centre = middle.copy()
    parted = np.flatnonzero(lower - upper > PARTED * pen)
    reach = 2 * max(1, round(TIP_REACH * pen * FINE)) + 1
    is_peak = upper <= minimum_filter1d(upper, reach) + 1e-9
    is_valley = lower >= maximum_filter1d(lower, reach) - 1e-9
    for where in np.split(parted, np.flatnonzero(np.diff(parted) > 1) + 1):
        if len(where) == 0:
            continue
        ends = max(where[0] - 1, 0), min(where[-1] + 1, len(centre) - 1)
        chord = np.interp(where, ends, middle[list(ends)])
        rise, fall = chord - upper[where], lower[where] - chord
        peaks = where[is_peak[where] & (rise > TIP_HEIGHT * pen)]
        valleys = where[is_valley[where] & (fall > TIP_HEIGHT * pen)]
        if len(peaks) and len(valleys):
            upwards = _distance(where, peaks) <= _distance(where, valleys)
        else:
            upwards = np.full(len(where), rise.max() > fall.max())
        centre[where] = np.where(upwards, upper[where], lower[where])
    centre = _settled(centre, _nearest(top), _nearest(bottom), pen / 2)
    return np.where(np.isfinite(top), centre, np.nan)


def _settled(curve: Array, top: Array, bottom: Array, radius: float) -> Array:
    """The curve moved until a disc of ``radius`` px drawn along it leaves these edges.

    Each edge pulls at the one point of the curve whose disc reaches it. That resolves waves
    narrower than the pen, of which the pulled back edges show the tips alone.
    """
    columns = np.arange(len(curve))
    offset = np.linspace(-radius, radius, DISC_STEPS)
    sag = np.sqrt(np.maximum(radius**2 - offset**2, 0.0))[:, None]
    at = np.clip(columns + offset[:, None] * FINE, 0, len(curve) - 1)
    left = np.minimum(at.astype(int), len(curve) - 2)
    share = at - left
    for _ in range(SETTLE_ROUNDS):
        along = curve[left] * (1 - share) + curve[left + 1] * share
        pull, weight = np.zeros(len(curve)), np.zeros(len(curve))
        for reached, edge, best in (
            (along - sag, top, np.argmin(along - sag, axis=0)),
            (along + sag, bottom, np.argmax(along + sag, axis=0)),
        ):
            short = edge - reached[best, columns]
            first, part = left[best, columns], share[best, columns]
            for point, held in ((first, 1 - part), (first + 1, part)):
                pull += np.bincount(point, held * short, len(curve))
                weight += np.bincount(point, held, len(curve))
        curve = curve + SETTLE_STEP * np.where(weight > 0.2, pull / np.maximum(weight, 0.2), 0.0)
        bend = np.zeros(len(curve))
        bend[1:-1] = (curve[:-2] + curve[2:]) / 2 - curve[1:-1]
        curve = curve + SETTLE_STIFFNESS * bend
    return curve


def _distance(columns: Places, to: Places) -> Places:
    """How far each column is from the nearest of ``to``, in ascending order."""
    after = np.searchsorted(to, columns)
    left, right = to[np.maximum(after - 1, 0)], to[np.minimum(after, len(to) - 1)]
    return np.minimum(np.abs(columns - left), np.abs(right - columns))


def _pulled_back(lower_edge: Array, radius: float) -> Array:
    """A lower edge eroded by a disc: min over u of edge(x + u) - sqrt(radius^2 - u^2)."""
    columns = np.arange(len(lower_edge), dtype=float)
    pulled = np.full_like(lower_edge, np.inf)
    for u in np.linspace(-radius, radius, DISC_STEPS):
        sag = np.sqrt(max(radius**2 - u**2, 0.0))
        pulled = np.minimum(pulled, np.interp(columns + u * FINE, columns, lower_edge) - sag)
    return pulled


def _nearest(values: Array) -> Array:
    """NaN replaced by linear interpolation between known neighbours."""
    known = np.isfinite(values)
    if not known.any():
        return np.zeros_like(values)
    return np.interp(np.arange(len(values)), np.flatnonzero(known), values[known])
