"""Where 0 mV lies in each row: what leads that are shown together say of one another's level.

A row has one zero line for all its leads. A calibration pulse stands on it; where there is none,
the row's commonest height stands in for it, and a fast heart or a deviated ST segment moves that
by a millimetre or more. But II = I + III and aVR + aVL + aVF = 0 hold for levels, too (Einthoven
et al. 1913; Goldberger 1942), and a rhythm strip shows a lead's level once more: of a page of
three rows and a strip these relations alone give all four. And rows of leads are set one as far
below the other as the next, so those that no relation binds follow those that one does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ecg4u.digitize.rows.trace import RowPath
from ecg4u.digitize.scale.pulses import Pulse
from ecg4u.digitize.signals.einthoven import made_of
from ecg4u.digitize.signals.signal import SegmentSignal, zero_level
from ecg4u.digitize.types import Calibration
from ecg4u.record import DEFAULT_FS_HZ

Array = npt.NDArray[np.float64]

FOOT_ERROR_MM, LEVEL_ERROR_MM = 0.05, 0.5
"""How far a pulse's foot, and a row's commonest height, usually lie off its zero line."""
RELATION_ERROR_MM, SPREAD_SHARE = 0.05, 0.1
"""Error of a relation's level, and what of its samples' spread adds to that."""
SPACING_ERROR_MM = 0.1
"""How evenly rows of leads are spaced: to 0.01 mm on drawn pages, less on creased paper."""
CONTRADICTED = 3.0
"""Standard errors by which a relation or a foot denies that rows are evenly spaced."""
LEAST_S, LEAST_SHARE = 0.5, 0.5
"""How long leads must be shown together, and how much of each must have been read."""
FURTHEST_MM = 5.0
"""A zero line further off its row's commonest height is a mistake."""


@dataclass(frozen=True)
class ZeroLine:
    """Where a row's 0 mV seems to be: ``y_mm`` down the page, on a pulse's foot or not."""

    y_mm: float
    from_foot: bool


def zero_lines(
    paths: Sequence[RowPath], pulses: Sequence[Pulse], px_per_mm: float
) -> dict[int, ZeroLine]:
    """The zero line that each row's segments are measured from, by row."""
    feet = {pulse.row: pulse for pulse in pulses}
    return {
        row: ZeroLine(zero_level(path, feet.get(row)) / px_per_mm, row in feet)
        for row, path in enumerate(paths)
    }


def levelled(
    parts: Sequence[SegmentSignal], zeros: Mapping[int, ZeroLine], calibration: Calibration
) -> list[SegmentSignal]:
    """The segments with 0 mV where the relations between leads put it.

    ``zeros`` are those that the segments of each row were measured from.
    """
    rows = sorted({part.segment.row for part in parts})
    per_mm = np.array(
        [p.segment.sign / calibration.gain_for(p.segment.lead) for p in parts], np.float64
    )
    of_row = np.zeros((len(parts), len(rows)))
    for k, part in enumerate(parts):
        of_row[k, rows.index(part.segment.row)] = per_mm[k]
    error = np.array(
        [FOOT_ERROR_MM if zeros[row].from_foot else LEVEL_ERROR_MM for row in rows], np.float64
    )
    relations, off = _relations(parts, of_row)
    own, none = np.diag(1.0 / error), np.zeros(len(rows))
    change = _solved([own, relations], [none, -off])
    spacing, uneven = _spacing(parts, rows, zeros)
    even = _solved([own, relations, spacing], [none, -off, -uneven])
    feet = error == FOOT_ERROR_MM
    tests = np.concatenate([relations @ even + off, (even / error)[feet]])
    if len(tests) > 2 and np.abs(tests).max() < CONTRADICTED:
        change = even
    if np.abs(change).max(initial=0.0) > FURTHEST_MM:
        return list(parts)
    return [
        replace(part, signal=part.signal + moved)
        for part, moved in zip(parts, of_row @ change, strict=True)
    ]


def _solved(sides: Sequence[Array], given: Sequence[Array]) -> Array:
    return np.asarray(np.linalg.lstsq(np.concatenate(sides), np.concatenate(given), rcond=None)[0])


def _spacing(
    parts: Sequence[SegmentSignal], rows: Sequence[int], zeros: Mapping[int, ZeroLine]
) -> tuple[Array, Array]:
    """How unevenly rows of leads are spaced, in standard errors: by row's change, and now."""
    leads = sorted({p.segment.row for p in parts if not p.segment.rhythm})
    above = range(max(0, len(leads) - 2))
    side = np.zeros((len(above), len(rows)))
    for k in above:
        for row, share in zip(leads[k : k + 3], (1.0, -2.0, 1.0), strict=True):
            side[k, rows.index(row)] = share
    heights = np.array([zeros[row].y_mm for row in rows])
    return side / SPACING_ERROR_MM, side @ heights / SPACING_ERROR_MM


def _relations(parts: Sequence[SegmentSignal], of_row: Array) -> tuple[Array, Array]:
    """What should be zero of leads shown together, in standard errors: by row's change, and now."""
    from scipy.linalg import null_space

    sides, off = [np.zeros((0, of_row.shape[1]))], [np.zeros(0)]
    for shown, signals in _together(parts):
        sums = null_space(made_of([parts[k].segment.lead for k in shown]).T)
        values = signals @ sums
        values = values[np.isfinite(values).all(axis=1)]
        if sums.shape[1] == 0 or len(values) < LEAST_S * DEFAULT_FS_HZ:
            continue
        level = np.median(values, axis=0)
        spread = np.median(np.abs(values - level), axis=0)
        mv_per_mm = float(np.abs(of_row[shown]).sum(axis=1).mean())
        error = np.hypot(RELATION_ERROR_MM * mv_per_mm, SPREAD_SHARE * spread)
        sides.append((sums / error).T @ of_row[shown])
        off.append(level / error)
    return np.concatenate(sides), np.concatenate(off)


def _together(parts: Sequence[SegmentSignal]) -> list[tuple[list[int], Array]]:
    """Which segments are shown at the same time, and their signals (n, segments) there."""
    first = [round(p.segment.start_s * DEFAULT_FS_HZ) for p in parts]
    last = [start + len(p.signal) for start, p in zip(first, parts, strict=True)]
    found = []
    for start, stop in pairwise(sorted({*first, *last})):
        there = [k for k in range(len(parts)) if first[k] <= start and last[k] >= stop]
        signals = {k: parts[k].signal[start - first[k] : stop - first[k]] for k in there}
        shown = [k for k in there if np.isfinite(signals[k]).mean() > LEAST_SHARE]
        if shown:
            found.append((shown, np.column_stack([signals[k] for k in shown])))
    return found
