"""Calibration: the 1-mV pulse, and from it the gain; paper speed; where the signal begins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ecg4u.digitize.result import Calibration
from ecg4u.digitize.stroke import fine_columns
from ecg4u.digitize.trace import RowPath

Array = npt.NDArray[np.float64]

PULSE_MV = 1.0
STANDARD_GAINS_MM_PER_MV = (5.0, 10.0, 20.0)
GAIN_TOLERANCE = 0.09
SEARCH_MM = 32.0
PLATEAU_MM = (1.8, 11.5)
FLATNESS_MM = 0.35


@dataclass(frozen=True)
class Pulse:
    """A calibration pulse in rectified px: its outer edges, its foot and its plateau."""

    row: int
    x0: float
    x1: float
    base: float
    top: float
    side: str

    def height_mm(self, px_per_mm: float) -> float:
        """Height of the plateau over the foot."""
        return (self.base - self.top) / px_per_mm

    def width_mm(self, px_per_mm: float) -> float:
        """Distance between the two vertical strokes."""
        return (self.x1 - self.x0) / px_per_mm


def _plateaus(path: RowPath, lo: int, hi: int, px_per_mm: float) -> list[tuple[int, int]]:
    """Level stretches of the row between columns ``lo`` and ``hi``, as [start, stop)."""
    height = path.bottom - path.top
    pen = float(np.nanmedian(height))
    with np.errstate(invalid="ignore"):
        thin = np.isfinite(height) & (height < 2.0 * pen + 0.2 * px_per_mm)
    stretches = []
    x = lo
    while x < hi:
        if not thin[x]:
            x += 1
            continue
        start = x
        level = path.centre[x]
        while x < hi and thin[x] and abs(path.centre[x] - level) < FLATNESS_MM * px_per_mm:
            x += 1
        if PLATEAU_MM[0] * px_per_mm <= x - start <= PLATEAU_MM[1] * px_per_mm:
            stretches.append((start, x))
        x = max(x, start + 1)
    return stretches


def _stroke(
    path: RowPath, x: int, step: int, top: float, px_per_mm: float
) -> tuple[float, float] | None:
    """The vertical stroke beside a plateau's end: its x and how low it reaches."""
    reach = int(1.2 * px_per_mm)
    best: tuple[float, float] | None = None
    for i in range(0, reach):
        column = x + step * i
        if not 0 <= column < len(path.top) or not np.isfinite(path.bottom[column]):
            continue
        if path.top[column] > top + 1.5 * px_per_mm and best is not None:
            break
        depth = path.bottom[column] - top
        if depth > 3.5 * px_per_mm and (best is None or path.bottom[column] > best[1]):
            best = (float(column), float(path.bottom[column]))
    return best


def _pulse_at(
    path: RowPath, row: int, start: int, stop: int, side: str, px_per_mm: float
) -> Pulse | None:
    top = float(np.median(path.centre[start:stop]))
    left = _stroke(path, start, -1, top, px_per_mm)
    right = _stroke(path, stop - 1, 1, top, px_per_mm)
    if left is None or right is None:
        return None
    pen = float(np.nanmedian(path.bottom - path.top))
    bases = [left[1] - pen / 2, right[1] - pen / 2]
    fits = [_standard_gain((base - top) / px_per_mm) for base in bases]
    errors = [
        abs((base - top) / px_per_mm / fit - 1) if fit else 1.0
        for base, fit in zip(bases, fits, strict=True)
    ]
    base = bases[int(np.argmin(errors))]
    x0, x1 = (_crossing(path, x, (base + top) / 2, px_per_mm) for x in (left[0], right[0]))
    return Pulse(row, x0, x1, base, top, side)


def _crossing(path: RowPath, near: float, level: float, px_per_mm: float) -> float:
    """Where the curve crosses a level (px) nearest to column ``near``; ``near`` if nowhere."""
    columns = fine_columns(len(path.centre))
    above = path.fine < level
    known = np.isfinite(path.fine)
    crossed = np.flatnonzero((above[1:] != above[:-1]) & known[1:] & known[:-1])
    crossed = crossed[np.abs(columns[crossed] - near) < px_per_mm]
    if len(crossed) == 0:
        return near
    k = int(crossed[np.argmin(np.abs(columns[crossed] - near))])
    share = (level - path.fine[k]) / (path.fine[k + 1] - path.fine[k])
    return float(columns[k] + share * (columns[k + 1] - columns[k]))


def _standard_gain(height_mm: float) -> float | None:
    for gain in STANDARD_GAINS_MM_PER_MV:
        if abs(height_mm / (gain * PULSE_MV) - 1) <= GAIN_TOLERANCE:
            return gain
    return None


def find_pulses(paths: tuple[RowPath, ...], px_per_mm: float) -> tuple[Pulse, ...]:
    """Calibration pulses at either end of the rows.

    Only pulses of a standard height are taken, and of several in a row the outermost.
    """
    pulses = []
    for row, path in enumerate(paths):
        x0, x1 = path.extent
        search = int(SEARCH_MM * px_per_mm)
        ends = (
            ("left", max(x0, 0), min(x0 + search, x1), 1),
            ("right", max(x0, x1 - search), x1 + 1, -1),
        )
        for side, lo, hi, order in ends:
            found = [
                _pulse_at(path, row, start, stop, side, px_per_mm)
                for start, stop in _plateaus(path, lo, hi, px_per_mm)[::order]
            ]
            good = [p for p in found if p and _standard_gain(p.height_mm(px_per_mm))]
            if good:
                pulses.append(good[0])
    return _consistent(tuple(pulses), len(paths), px_per_mm)


def inner_pulses(
    paths: tuple[RowPath, ...], edges: tuple[float, ...], px_per_mm: float
) -> tuple[Pulse, ...]:
    """Calibration pulses just after the inner column edges (px), in two rows or more."""
    found = []
    for row, path in enumerate(paths):
        for edge in edges:
            lo, hi = int(edge - 4 * px_per_mm), int(edge + 14 * px_per_mm)
            for start, stop in _plateaus(path, max(lo, 0), min(hi, len(path.top)), px_per_mm):
                pulse = _pulse_at(path, row, start, stop, "left", px_per_mm)
                if pulse is not None and _standard_gain(pulse.height_mm(px_per_mm)):
                    found.append(pulse)
    return _consistent(tuple(found), len(paths), px_per_mm)


def _consistent(pulses: tuple[Pulse, ...], n_rows: int, px_per_mm: float) -> tuple[Pulse, ...]:
    """Pulses stand below one another; a shape met once on a page of several rows is a wave."""
    best: list[Pulse] = []
    for anchor in pulses:
        group = [
            p for p in pulses if p.side == anchor.side and abs(p.x0 - anchor.x0) < 3.0 * px_per_mm
        ]
        if len(group) > len(best):
            best = group
    needed = 1 if n_rows <= 2 else 2
    return tuple(best) if len(best) >= needed else ()


def calibrate(
    pulses: tuple[Pulse, ...],
    px_per_mm: float,
    *,
    gain_mm_per_mv: float | None = None,
    speed_mm_per_s: float | None = None,
) -> Calibration:
    """Gain and speed, each with where it comes from.

    A given value wins, but a pulse that contradicts it is reported. Without pulse 10 mm/mV is
    assumed; paper speed is not read from the page, so 25 mm/s is assumed unless given.
    """
    warnings: list[str] = []
    gain, gain_from = 10.0, "assumed"
    speed, speed_from = 25.0, "assumed"
    height = width = None
    if pulses:
        height = float(np.median([p.height_mm(px_per_mm) for p in pulses]))
        width = float(np.median([p.width_mm(px_per_mm) for p in pulses]))
        gains = {_standard_gain(p.height_mm(px_per_mm)) for p in pulses}
        gain = _standard_gain(height) or height
        gain_from = "pulse"
        if len(gains) > 1:
            warnings.append(
                "The calibration pulses of the rows differ in height: the gain may be mixed. "
                f"{gain:g} mm/mV was used for all leads."
            )
    if gain_mm_per_mv is not None:
        if gain_from == "pulse" and abs(gain_mm_per_mv / gain - 1) > GAIN_TOLERANCE:
            warnings.append(
                f"The pulse on the page says {gain:g} mm/mV; the given {gain_mm_per_mv:g} was used."
            )
        gain, gain_from = gain_mm_per_mv, "user"
    if speed_mm_per_s is not None:
        speed, speed_from = speed_mm_per_s, "user"
    if gain_from == "assumed":
        warnings.append("No calibration pulse was found: 10 mm/mV is assumed.")
    if speed_from == "assumed":
        warnings.append("Paper speed is not read from the page: 25 mm/s is assumed.")
    return Calibration(gain, speed, gain_from, speed_from, height, width, tuple(warnings))
