"""From curves on the page to twelve signals in millivolts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ecg4u.digitize.rows.beats import likeness
from ecg4u.digitize.rows.stroke import FINE, MIDDLE, fine_columns
from ecg4u.digitize.rows.trace import RowPath
from ecg4u.digitize.scale.pulses import Pulse
from ecg4u.digitize.signals.confidence import confidence_of
from ecg4u.digitize.signals.parabolas import smoothed
from ecg4u.digitize.types import Calibration, Layout, RowSegment
from ecg4u.messages import message
from ecg4u.record import DEFAULT_FS_HZ, LEADS

Array = npt.NDArray[np.float64]

SMOOTH_POINTS, SMOOTH_ORDER = 11, 2
"""0.37 mm of paper: of windows of 5 to 13 points the best by SNR on the dev half of the benchmark,
photographs and drawn pages."""
LEAP_MM = 2.0
"""Between neighbouring points; no pen draws so steep, the trace goes on elsewhere."""
MAX_BRIDGE_MM = 0.8
"""Longest gap in a trace that is bridged by interpolation (32 ms at 25 mm/s)."""
END_MM = 0.5
END_LEAP_MM, END_REST_MM = 4.0, 1.0
"""A segment's last `END_MM` that leap this far are likelier ink of what stands beside it, as far as
they have not come back to rest."""
SEPARATOR_REACH_MM = 1.4
TICK_SEEN, LEAST_STRAY = 0.7, 0.05
"""How often a separator that stands there is seen, and at least how often something else is taken
for one; by eye."""
TICK_ODDS = 3.0
"""Log odds from which columns are parted by separators (20 to 1)."""
TICK_MARGIN_PX = 3
BRIDGED_CONFIDENCE = 0.3
COLLIDED_CONFIDENCE, UNEXPLAINED_CONFIDENCE = 0.05, 0.1
AGREE_MM = 1.0
LATER_S, SAME_COLUMN_S = 0.5, 0.3
NO_TIME_SHARED = 0.3
"""Correlation of beats in time below which a strip and the leads share no time: 0.45 and more where
they do, -0.23 to 0.0 on a page with a strip of another time."""
SLIPS_S = tuple(np.linspace(-0.06, 0.06, 7).tolist())
"""How far beats of a column may be off those of the strip, since columns begin a millimetre or
two off where no pulse or separator marks their start."""
CLEARLY, REPEATED = 0.2, 0.5
"""How much likelier columns that repeat the same seconds must look, and how alike."""


@dataclass(frozen=True, eq=False)
class SegmentSignal:
    """One segment's samples: ``signal`` (n,) mV at 500 Hz, ``confidence`` (n,), curve ``xy``."""

    segment: RowSegment
    signal: Array
    confidence: Array
    xy: Array

    @property
    def end_s(self) -> float:
        return self.segment.start_s + len(self.signal) / DEFAULT_FS_HZ


def zero_level(path: RowPath, pulse: Pulse | None) -> float:
    """Height (px) of 0 mV: the foot of the row's pulse, else the commonest level of the row."""
    if pulse is not None:
        return pulse.base
    y = path.centre[np.isfinite(path.centre)]
    counts, edges = np.histogram(y, bins=np.arange(y.min() - 1, y.max() + 3, 2.0))
    smooth = np.convolve(counts, np.ones(3), mode="same")
    peak = int(smooth.argmax())
    near = y[(y >= edges[max(peak - 1, 0)]) & (y <= edges[min(peak + 2, len(edges) - 1)])]
    return float(np.median(near))


def mark_separators(
    paths: Sequence[RowPath], layout: Layout, px_per_mm: float
) -> tuple[RowPath, ...]:
    """The rows, marked at all their columns' edges if separators were seen at so many of them as
    could hardly be by chance.

    A QRS complex may hide one, or be taken for one.
    """
    inner = [s for s in layout.segments if not s.rhythm and s.start_s > 0.5]
    seen = [(s.x0, tick) for s in inner if (tick := _tick(paths[s.row], s.x0, px_per_mm))]
    stray = _stray([paths[row] for row in {s.row for s in inner}], px_per_mm)
    unseen = len(inner) - len(seen)
    odds = len(seen) * np.log(TICK_SEEN / stray) + unseen * np.log((1 - TICK_SEEN) / (1 - stray))
    if len(seen) < 2 or odds < TICK_ODDS:
        return tuple(paths)
    marked = [_marks(path).copy() for path in paths]
    width = float(np.median([stop - start for _, (start, stop) in seen]))
    shifts = [(edge, (start + stop) / 2 - edge) for edge, (start, stop) in seen]
    for segment in inner:
        here = [shift for edge, shift in shifts if edge == segment.x0]
        middle = segment.x0 + float(np.median(here or [shift for _, shift in shifts]))
        columns = np.arange(len(marked[segment.row]))
        marked[segment.row] |= np.abs(columns - middle) <= width / 2 + TICK_MARGIN_PX
    return tuple(replace(path, marked=mark) for path, mark in zip(paths, marked, strict=True))


def _stray(rows: Sequence[RowPath], px_per_mm: float) -> float:
    """How often some place of the rows has a mark within `SEPARATOR_REACH_MM`."""
    from scipy.ndimage import maximum_filter1d

    size = 2 * int(SEPARATOR_REACH_MM * px_per_mm) + 1
    near = [maximum_filter1d(_marks(row), size)[np.isfinite(row.centre)] for row in rows]
    share = float(np.mean(np.concatenate(near))) if near else 0.0
    return float(np.clip(share, LEAST_STRAY, 0.5))


def _marks(path: RowPath) -> npt.NDArray[np.bool_]:
    return np.zeros(len(path.centre), bool) if path.marked is None else path.marked


def _tick(path: RowPath, edge: float, px_per_mm: float) -> tuple[int, int] | None:
    """First and last column (px) of a separator near a column's edge."""
    reach = int(SEPARATOR_REACH_MM * px_per_mm)
    first = max(0, int(edge) - reach)
    columns = first + np.flatnonzero(_marks(path)[first : int(edge) + reach + 1])
    if len(columns) == 0:
        return None
    strokes = np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1)
    upright = min(strokes, key=lambda stroke: abs(float(np.mean(stroke)) - edge))
    return int(upright[0]), int(upright[-1])


def _without_marks(
    path: RowPath, segment: RowSegment, pulse: Pulse | None, px_per_mm: float
) -> Array:
    """The curve of a segment, `FINE` heights a px, marks at its ends and the pulse's stroke out."""
    x0, x1 = int(np.ceil(segment.x0)), min(int(np.floor(segment.x1)), len(path.centre) - 1)
    y = path.fine[FINE * x0 : FINE * (x1 + 1)].copy()
    reach = int(SEPARATOR_REACH_MM * px_per_mm)
    if path.marked is not None:
        blocked = path.marked[x0 : x1 + 1].copy()
        blocked[reach:-reach] = False
        y[np.repeat(blocked, FINE)] = np.nan
    if pulse is not None:
        pen = float(np.nanmedian(path.bottom - path.top))
        for stroke in (pulse.x0, pulse.x1):
            near = np.abs(x0 + fine_columns(len(y) // FINE) - stroke) < 0.8 * pen
            y[near] = np.nan
    return y


def _smoothed(y: Array, px_per_mm: float) -> Array:
    """The curve without the unevenness of its edges; its tips keep their height.

    Fitted parabolas over `SMOOTH_POINTS` (Savitzky and Golay 1964), each stretch by itself.
    """
    smooth = y.copy()
    known = np.flatnonzero(np.isfinite(y))
    apart = (np.diff(known) > 1) | (np.abs(np.diff(y[known])) > LEAP_MM * px_per_mm)
    for run in np.split(known, np.flatnonzero(apart) + 1):
        if len(run) >= SMOOTH_POINTS:
            smooth[run] = smoothed(y[run], SMOOTH_POINTS, SMOOTH_ORDER)
    return smooth


def segment_signal(
    path: RowPath,
    segment: RowSegment,
    pulse: Pulse | None,
    calibration: Calibration,
    px_per_mm: float,
) -> SegmentSignal:
    """Measure one segment.

    Gaps of up to `MAX_BRIDGE_MM` are bridged by a straight line with low confidence; longer ones
    stay NaN, and so does what lies beyond the first and last ink: a QRS complex may hide there.
    Ends that leap away are NaN, too: a joining stroke, a separator or a pulse runs into them.
    Where waves of two rows run into each other, or ink goes on that no row's trace explains, hardly
    any confidence is left.
    """
    y = _smoothed(_without_marks(path, segment, pulse, px_per_mm), px_per_mm)
    x0 = int(np.ceil(segment.x0))
    x = x0 + fine_columns(len(y) // FINE)
    known = np.isfinite(y)
    px_per_s = calibration.speed_mm_per_s * px_per_mm
    n = max(1, int(round((segment.x1 - segment.x0) / px_per_s * DEFAULT_FS_HZ)))
    at = segment.x0 + np.arange(n) / DEFAULT_FS_HZ * px_per_s
    if known.sum() < 2:
        empty = np.full(n, np.nan)
        return SegmentSignal(segment, empty, np.zeros(n), _each_px(x, y))
    level = zero_level(path, pulse)
    millivolts = (level - y) / (px_per_mm * calibration.gain_for(segment.lead)) * segment.sign
    signal = np.interp(at, x[known], millivolts[known])
    strength = np.repeat(np.nan_to_num(path.ink[x0 : x0 + len(y) // FINE]), FINE)
    confidence = np.interp(at, x, np.where(known, np.clip(strength, 0, 1), BRIDGED_CONFIDENCE))
    heights_mm = signal * calibration.gain_for(segment.lead)
    confidence = confidence_of(confidence, heights_mm, calibration.speed_mm_per_s)
    gap = _gap_length(x[known], at)
    signal[gap > MAX_BRIDGE_MM * px_per_mm] = np.nan
    heights_mm[~np.isfinite(signal)] = np.nan
    end = round(END_MM / calibration.speed_mm_per_s * DEFAULT_FS_HZ)
    signal[_loose_ends(heights_mm, end)] = np.nan
    there = np.clip(np.round(at).astype(int), 0, len(path.centre) - 1)
    for guessed, most in (
        (path.collided, COLLIDED_CONFIDENCE),
        (path.unexplained, UNEXPLAINED_CONFIDENCE),
    ):
        if guessed is not None:
            confidence = np.where(guessed[there], np.minimum(confidence, most), confidence)
    confidence = np.where(gap > 1.5, np.minimum(confidence, BRIDGED_CONFIDENCE), confidence)
    confidence[~np.isfinite(signal)] = 0.0
    return SegmentSignal(segment, signal, confidence, _each_px(x, y))


def _each_px(x: Array, y: Array) -> Array:
    """The curve at whole px (n, 2), from `FINE` points a px."""
    return np.column_stack([x, y])[MIDDLE::FINE]


def _loose_ends(heights_mm: Array, n: int) -> npt.NDArray[np.bool_]:
    """Which of the first and last ``n`` known samples leap away from the ``n`` beside them."""
    loose = np.zeros(len(heights_mm), bool)
    known = np.flatnonzero(np.isfinite(heights_mm))
    if len(known) < 4 * n:
        return loose
    for end in (known[: 2 * n], known[::-1][: 2 * n]):
        level = np.median(heights_mm[end[n:]])
        off = np.abs(heights_mm[end[:n]] - level)
        if off.max() > END_LEAP_MM:
            loose[end[: np.flatnonzero(off > END_REST_MM)[-1] + 1]] = True
    return loose


def _gap_length(known_x: Array, at: Array) -> Array:
    """Distance (px) between the known columns on either side of each position; inf at the ends."""
    around = np.concatenate([[-np.inf], known_x, [np.inf]])
    right = np.searchsorted(around[:-1], at)
    return around[right] - around[right - 1]


def _activity(signal: Array) -> Array:
    """Steepness of a signal summed over 60 ms; QRS complexes stand out. NaN counts as 0."""
    slope = np.abs(np.diff(np.nan_to_num(signal), prepend=0.0, append=0.0))
    return np.convolve(slope, np.ones(max(1, int(0.06 * DEFAULT_FS_HZ))), mode="same")


def in_time(layout: Layout, parts: Sequence[SegmentSignal]) -> Layout:
    """The layout with its columns and strips at the seconds that they show.

    Most pages go on in time from column to column; some two-column ones repeat the same five
    seconds, and on some the rhythm strip was taken at another time. The strip tells: its beats lie
    under those of the first column in either of the first two cases, under those of a later column
    only where time goes on, and under none where it is of another time; it then follows the
    columns.
    """
    strips = [p for p in parts if p.segment.rhythm]
    short = [p for p in parts if not p.segment.rhythm]
    if not strips or not any(p.segment.start_s > LATER_S for p in short):
        return layout
    strip = _activity(strips[0].signal)
    goes_on, repeats = [], []
    for start in sorted({round(p.segment.start_s, 1) for p in short}):
        column = [p for p in short if abs(p.segment.start_s - start) < SAME_COLUMN_S]
        n = min(len(p.signal) for p in column)
        energy = np.sum([_activity(p.signal[:n]) for p in column], axis=0)
        first = int(round((column[0].segment.start_s - strips[0].segment.start_s) * DEFAULT_FS_HZ))
        goes_on.append(_alike_near(energy, strip, first))
        repeats.append(_alike_near(energy, strip, 0))
    if len(goes_on) < 2:
        return layout  # the columns before were not named
    exactly = np.array([*goes_on, *repeats[:-1]])[:, len(SLIPS_S) // 2]
    if exactly.max() < NO_TIME_SHARED:
        return _strips_last(layout, max(p.end_s for p in short))
    later, again = (np.max(found[1:], axis=1).mean() for found in (goes_on, repeats))
    if again - later > CLEARLY and again > REPEATED:
        return replace(layout, segments=tuple(replace(s, start_s=0.0) for s in layout.segments))
    return layout


def _alike_near(energy: Array, strip: Array, first: int) -> Array:
    """How alike beats are to those of a strip from a sample on, at each of `SLIPS_S`."""
    most = round(max(SLIPS_S) * DEFAULT_FS_HZ)
    padded = np.concatenate([np.zeros(most), strip])
    at = [max(first, 0) + most + round(slip * DEFAULT_FS_HZ) for slip in SLIPS_S]
    return np.array([likeness(energy, padded[k : k + len(energy)]) for k in at])


def _strips_last(layout: Layout, end_s: float) -> Layout:
    """The layout with its rhythm strips after its columns, and a warning.

    That is rare: where no name says that such a row is a strip, print may have been taken for one,
    and the names are in doubt.
    """
    segments = tuple(
        replace(s, start_s=s.start_s + end_s) if s.rhythm else s for s in layout.segments
    )
    said = (message("strip_after_columns", start_s=end_s),)
    if all(s.named_by == "label" for s in layout.segments if s.rhythm):
        return replace(layout, segments=segments, warnings=(*layout.warnings, *said))
    return replace(layout, segments=segments, doubts=(*layout.doubts, *said))


def assemble(parts: Sequence[SegmentSignal], calibration: Calibration) -> tuple[Array, Array]:
    """Twelve signals (n, 12) in mV and their confidence from the segments.

    A lead that stands on the page twice (a rhythm strip) is averaged where both copies agree to
    `AGREE_MM` on the page, else the more confident copy is kept.
    """
    stop = max(int(round(p.segment.start_s * DEFAULT_FS_HZ)) + len(p.signal) for p in parts)
    signal = np.full((stop, len(LEADS)), np.nan)
    confidence = np.zeros((stop, len(LEADS)))
    for part in sorted(parts, key=lambda p: not p.segment.rhythm):
        column = LEADS.index(part.segment.lead)
        first = int(round(part.segment.start_s * DEFAULT_FS_HZ))
        window = slice(first, first + len(part.signal))
        agree_mv = AGREE_MM / calibration.gain_for(part.segment.lead)
        _merge(signal[window, column], confidence[window, column], part, agree_mv)
    return signal, confidence


def _merge(signal: Array, confidence: Array, part: SegmentSignal, agree_mv: float) -> None:
    """Write a segment into a stretch of a lead that may hold another copy already, in place."""
    new, weight = part.signal[: len(signal)], part.confidence[: len(signal)]
    both = np.isfinite(signal) & np.isfinite(new)
    only = np.isfinite(new) & ~np.isfinite(signal)
    if both.sum() > 100:
        shift = float(np.median(signal[both] - new[both]))
        agree = both & (np.abs(signal - new - shift) < agree_mv)
        if agree.sum() > 0.9 * both.sum():
            signal[agree] = (signal[agree] + new[agree] + shift) / 2
            new = new + shift
        else:
            better = both & (weight > confidence + 0.2)
            signal[better] = new[better]
    signal[only] = new[only]
    confidence[:] = np.where(np.isfinite(new), np.maximum(confidence, weight), confidence)
