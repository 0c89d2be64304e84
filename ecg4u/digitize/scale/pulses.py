"""Calibration pulses: found on the rows, known by their shape, measured to parts of a pixel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ecg4u.digitize.rows.stroke import fine_columns
from ecg4u.digitize.rows.trace import RowPath
from ecg4u.digitize.scale.decision import PULSE_S
from ecg4u.digitize.scale.pulse_shapes import INK_SHARE, PulseShape, find_plateaus
from ecg4u.digitize.types import InkMap

Array = npt.NDArray[np.float64]

PULSE_MV = 1.0
"""Height of a calibration pulse, by convention."""
LONE_END_MM, LONE_TOLERANCE = 6.0, 0.1
"""A pulse on one row alone stands this near to the row's end, and is so exactly 0.2 s wide, or what
it is may be a wave; by eye."""
STANDARD_GAINS_MM_PER_MV = (5.0, 10.0, 20.0)
"""Half, usual and double sensitivity: what pulses of pages with a grid are taken for."""
GAIN_TOLERANCE = 0.09
"""Share by which a pulse, or a printed gain, may differ from the gain it stands for: a pen's width
(0.5 mm) at 5 mm/mV; by eye."""
SEARCH_MM = 32.0
"""How far from a row's end its pulse is looked for: a pulse with the level before and after it; by
eye."""
PLATEAU_MM = (1.8, 11.5)
"""Lengths of a pulse's top: 0.2 s at 12.5 to 50 mm/s (2.5 to 10 mm), and a pen's width."""
FLATNESS_MM = 0.35
"""How far a pulse's top may wander: less than the pen's usual width; by eye."""
PIECE_MM, CUT_MM = 0.8, 2.5
"""Least length of a piece of a plateau, and what may be missing between two."""
BESIDE_FOOT_MM, FOOT_OFF_MM = 1.2, 0.35
"""How near the foot of a pulse begins, and how far its height may be from a standard gain's."""
INNER_REACH_MM = (-12.0, 14.0)
"""How far before and after the edge of a column a pulse between columns is looked for; by eye."""
BESIDE_MM = 2.5
"""How much of a row beside a pulse shows that its trace begins at the pulse's foot; by eye."""
MIN_SHAPED = 2
"""Pulses of one shape, on as many rows, that are believed by their shape alone."""
DARK_INK, SEEN_PULSE = 0.8, 0.6
"""From here what is left of a dark grid is no ink; and what the trace network takes for a pulse
counts. On two drawn pages with black grids, pulses are found at 0.5 to 0.8 of the latter."""
AGAIN, AGAIN_BARE, AGAIN_ROWS = 0.8, 0.15, 0.5
"""Least share of ink in strokes and plateau, and most between them, of a pulse that is repeated,
and least share of the rows that show it; by eye."""
MIN_CUT = 0.5
"""Share of the rows that must show what is left of a pulse that the picture's edge cuts."""
SQUARE_MM, ON_LINE_MM = 5.0, 0.4
"""Between thick lines of the grid, and how near one a stroke along it was followed; by eye."""
GAP_PX = 5
"""Gaps that grid lines leave in the strokes of pulses: half a millimetre; by eye."""
MAX_FOOT_MM = 3.0
"""How far a row's trace may begin above or below the foot of its pulse."""
STROKE_REACH_MM, STROKE_MIDDLE = 1.2, 0.5
"""How far beside where a pulse's stroke was found its ink is looked for, and the share of its
height, around the middle, that is looked at: foot and plateau are left out."""
LEAST_STROKE_INK = 0.3
"""Lighter than that, of full ink, there is no stroke; by eye."""
STROKE_PERCENTILE, STROKE_SLACK = 25, 1.15
"""Of the widths of all pulses' strokes, and how much wider one may be: something runs into those
that are wider still."""


@dataclass(frozen=True)
class Pulse:
    """A calibration pulse in rectified px: its strokes, its foot and its plateau.

    ``side`` is the end of its row at which it stands, or ``"inner"``. ``lean`` is how far from its
    foot to its plateau a stroke leans inwards, 0 where unknown; of a pulse that is ``cut`` by the
    picture's edge the outer stroke is not seen.
    """

    row: int
    x0: float
    x1: float
    base: float
    top: float
    side: str
    lean: float = 0.0
    cut: bool = False

    def height_mm(self, px_per_mm: float) -> float:
        """Height of the plateau over the foot."""
        return (self.base - self.top) / px_per_mm

    def width_mm(self, px_per_mm: float) -> float:
        """Distance between the two vertical strokes; NaN where one is not seen."""
        return float("nan") if self.cut else (self.x1 - self.x0) / px_per_mm

    @property
    def middle(self) -> slice:
        """The rows of px in which its strokes run clear of foot and plateau."""
        off = (1.0 - STROKE_MIDDLE) / 2 * (self.base - self.top)
        return slice(max(0, round(self.top + off)), round(self.base - off))


def _plateaus(path: RowPath, lo: int, hi: int, px_per_mm: float) -> list[tuple[int, int]]:
    """Level stretches of the row between columns ``lo`` and ``hi``, as [start, stop)."""
    height = path.bottom - path.top
    pen = float(np.nanmedian(height))
    with np.errstate(invalid="ignore"):
        thin = np.isfinite(height) & (height < 2.0 * pen + 0.2 * px_per_mm)
    stretches: list[tuple[int, int]] = []
    x = lo
    while x < hi:
        if not thin[x]:
            x += 1
            continue
        start = x
        level = path.centre[x]
        while x < hi and thin[x] and abs(path.centre[x] - level) < FLATNESS_MM * px_per_mm:
            x += 1
        if x - start >= PIECE_MM * px_per_mm:
            stretches.append((start, x))
        x = max(x, start + 1)
    low, high = (mm * px_per_mm for mm in PLATEAU_MM)
    return [(a, b) for a, b in _joined(stretches, path, px_per_mm) if low <= b - a <= high]


def _joined(
    stretches: Sequence[tuple[int, int]], path: RowPath, px_per_mm: float
) -> list[tuple[int, int]]:
    """Level stretches of one height that something, a name or a grid line, cuts in two."""
    joined: list[tuple[int, int]] = []
    for start, stop in stretches:
        if joined and start - joined[-1][1] < CUT_MM * px_per_mm:
            before, here = (
                float(np.nanmedian(path.centre[a:b])) for a, b in (joined[-1], (start, stop))
            )
            if abs(before - here) < FLATNESS_MM * px_per_mm / 2:
                joined[-1] = (joined[-1][0], stop)
                continue
        joined.append((start, stop))
    return joined


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
    top = float(np.nanmedian(path.centre[start:stop]))
    left = _stroke(path, start, -1, top, px_per_mm)
    right = _stroke(path, stop - 1, 1, top, px_per_mm)
    if left is None or right is None:
        return None
    pen = float(np.nanmedian(path.bottom - path.top))
    bases = [left[1] - pen / 2, right[1] - pen / 2]
    fits = [standard_gain((base - top) / px_per_mm) for base in bases]
    errors = [
        abs((base - top) / px_per_mm / fit - 1) if fit else 1.0
        for base, fit in zip(bases, fits, strict=True)
    ]
    best = int(np.argmin(errors))
    gain = fits[best]
    base = bases[best] if gain is None else top + gain * PULSE_MV * px_per_mm
    x0, x1 = (_crossing(path, x, (base + top) / 2, px_per_mm) for x in (left[0], right[0]))
    return Pulse(row, x0, x1, base, top, side)


def _over_its_foot(
    path: RowPath,
    row: int,
    plateau: tuple[int, int],
    level: Sequence[tuple[int, int]],
    side: str,
    px_per_mm: float,
) -> Pulse | None:
    """A pulse by the level ink right beside its plateau, a gain below: strokes are often broken."""
    start, stop = plateau
    top = float(np.nanmedian(path.centre[start:stop]))
    reach = BESIDE_FOOT_MM * px_per_mm
    x0, x1 = float(start), float(stop)
    gains: list[float] = []
    for first, last in level:
        foot = float(np.nanmedian(path.centre[first:last]))
        gain = standard_gain((foot - top) / px_per_mm)
        if gain is None or abs((foot - top) / px_per_mm - gain) > FOOT_OFF_MM:
            continue
        if 0 <= start - last <= reach:
            x0, gains = (start + last) / 2, [*gains, gain]
        elif 0 <= first - stop <= reach:
            x1, gains = (first + stop) / 2, [*gains, gain]
    if not gains:
        return None
    base = top + max(gains) * PULSE_MV * px_per_mm
    x0, x1 = (_crossing(path, x, (base + top) / 2, px_per_mm) for x in (x0, x1))
    return Pulse(row, x0, x1, base, top, side)


def _taller(px_per_mm: float, *pulses: Pulse | None) -> Pulse | None:
    """The taller of two measures of one pulse: a broken stroke makes it shorter, never taller."""
    known = [pulse for pulse in pulses if pulse is not None]
    usual = [pulse for pulse in known if standard_gain((pulse.base - pulse.top) / px_per_mm)]
    return max(usual or known, key=lambda pulse: pulse.base - pulse.top, default=None)


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


def standard_gain(height_mm: float) -> float | None:
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
            level = _plateaus(path, lo, hi, px_per_mm)[::order]
            found = [
                _taller(
                    px_per_mm,
                    _over_its_foot(path, row, (start, stop), level, side, px_per_mm),
                    _pulse_at(path, row, start, stop, side, px_per_mm),
                )
                for start, stop in level
            ]
            good = [
                p
                for p in found
                if p and standard_gain(p.height_mm(px_per_mm)) and _is_own(p.base, row, paths)
            ]
            if good:
                pulses.append(good[0])
    return _of_each_side(pulses, paths, px_per_mm) or tuple(
        pulse for pulse in pulses if _stands_alone(pulse, paths[pulse.row], px_per_mm)
    )


def end_pulses(ink: InkMap, paths: tuple[RowPath, ...], px_per_mm: float) -> tuple[Pulse, ...]:
    """Calibration pulses at the rows' ends: followed, or known by their shape alone if more rows
    show these alike.

    A followed row may begin along lines of the grid, which make steps of a standard height, too.
    """
    followed = find_pulses(paths, px_per_mm)
    if _alike(followed, px_per_mm) >= len(paths):
        return followed
    shaped = shaped_pulses(ink, paths, px_per_mm)
    return max((followed, shaped), key=lambda pulses: _alike(pulses, px_per_mm))


def _alike(pulses: Sequence[Pulse], px_per_mm: float) -> int:
    """How many pulses are as tall as each other at one end of the rows."""
    kinds = Counter((pulse.side, standard_gain(pulse.height_mm(px_per_mm))) for pulse in pulses)
    return max(kinds.values(), default=0)


def may_be_grid(pulses: Sequence[Pulse], px_per_mm: float) -> bool:
    """Whether one row alone shows a pulse, or all their outer strokes and tops lie along 5-mm lines
    of a rectified grid, on which these are at whole squares.
    """
    if not pulses:
        return False
    square = SQUARE_MM * px_per_mm
    outer = [pulse.x0 if pulse.side == "left" else pulse.x1 for pulse in pulses]
    at = np.array([*outer, *(pulse.top for pulse in pulses)])
    off = np.abs(at - square * np.round(at / square))
    return len(pulses) == 1 or bool((off < ON_LINE_MM * px_per_mm).all())


def _of_each_side(
    pulses: Sequence[Pulse], paths: tuple[RowPath, ...], px_per_mm: float
) -> tuple[Pulse, ...]:
    """The pulses that stand below one another at the left end of the rows, and at the right."""
    found: list[Pulse] = []
    for side in ("left", "right"):
        own = tuple(pulse for pulse in pulses if pulse.side == side)
        group = _consistent(own, len(paths), px_per_mm)
        found += _completed(group, paths, px_per_mm) if len(group) >= 2 else group
    return tuple(found)


def _stands_alone(pulse: Pulse, path: RowPath, px_per_mm: float) -> bool:
    """Whether a pulse that no other row repeats is one: as wide as 0.2 s, at the very end.

    Some machines draw one pulse, before the first row; no wave has its upright strokes, its level
    top, and its exact proportions.
    """
    end = pulse.x0 - path.extent[0] if pulse.side == "left" else path.extent[1] - pulse.x1
    widths = [speed * PULSE_S * px_per_mm for speed in (25.0, 50.0)]
    off = min(abs((pulse.x1 - pulse.x0) / width - 1) for width in widths)
    return end < LONE_END_MM * px_per_mm and off < LONE_TOLERANCE


def cut_pulses(paths: tuple[RowPath, ...], px_per_mm: float) -> tuple[Pulse, ...]:
    """Pulses that the picture's edge cuts: plateau and inner stroke, the same on most rows."""
    found: list[Pulse] = []
    for side in ("left", "right"):
        halves = [_cut_pulse(path, row, side, px_per_mm) for row, path in enumerate(paths)]
        seen = [pulse for pulse in halves if pulse and _is_own(pulse.base, pulse.row, paths)]
        at = [pulse.x1 if side == "left" else pulse.x0 for pulse in seen]
        middle = float(np.median(at)) if at else 0.0
        below = [p for p, x in zip(seen, at, strict=True) if abs(x - middle) < px_per_mm]
        if len(below) >= max(MIN_SHAPED, MIN_CUT * len(paths)):
            found += below
    return tuple(found)


def _cut_pulse(path: RowPath, row: int, side: str, px_per_mm: float) -> Pulse | None:
    """What is left of a pulse at the end of a row: level up to a stroke, and then at its foot.

    A wave that begins a row alike comes back to where it began.
    """
    first, last = path.extent
    outer, inwards = (first, 1) if side == "left" else (last, -1)
    centre = path.centre[outer::inwards]
    off = np.abs(centre - np.nanmedian(centre[: int(PIECE_MM * px_per_mm)]))
    level = int(np.argmin(off < FLATNESS_MM * px_per_mm))
    if not PIECE_MM <= level / px_per_mm <= PLATEAU_MM[1]:
        return None
    top = float(np.median(centre[:level]))
    stroke = _stroke(path, outer + inwards * (level - 1), inwards, top, px_per_mm)
    begins = centre[level + int(px_per_mm) : level + int((1 + BESIDE_MM) * px_per_mm)]
    begins = begins[np.isfinite(begins)]
    if stroke is None or len(begins) == 0:
        return None
    pen = float(np.nanmedian(path.bottom - path.top))
    gain = standard_gain((stroke[1] - pen / 2 - top) / px_per_mm)
    if gain is None:
        return None
    base = top + gain * PULSE_MV * px_per_mm
    if abs(base - float(np.median(begins))) > MAX_FOOT_MM * px_per_mm:
        return None
    inner = _crossing(path, stroke[0], (base + top) / 2, px_per_mm)
    x0, x1 = sorted((float(outer), inner))
    return Pulse(row, x0, x1, base, top, side, cut=True)


def shaped_pulses(ink: InkMap, paths: tuple[RowPath, ...], px_per_mm: float) -> tuple[Pulse, ...]:
    """Pulses known by their shape alone, in two rows or more.

    They may be narrow, drawn with a thick pen, or stand apart from the row that was followed. Of
    several ways to tell ink from the grid that counts by which most are alike.
    """
    import cv2

    whole = np.maximum(ink.trace, ink.pulse)
    closed = whole
    for side in ((GAP_PX, 1), (1, GAP_PX)):
        closed = np.asarray(cv2.morphologyEx(closed, cv2.MORPH_CLOSE, np.ones(side, np.uint8)))
    groups = [
        _at_ends(find_plateaus(seen, least), paths, px_per_mm)
        for seen, least in (
            (whole, INK_SHARE),
            (closed, INK_SHARE),
            (whole, DARK_INK),
            (ink.pulse, SEEN_PULSE),
        )
    ]
    most = max(groups, key=lambda group: _alike(group, px_per_mm))
    return _completed(most, paths, px_per_mm) if len(most) >= MIN_SHAPED else ()


def repeated(pulses: Sequence[Pulse], ink: InkMap, px_per_mm: float) -> tuple[Pulse, ...]:
    """The pulses at the rows' left end again further along: some machines draw one before each
    column. They may stand by themselves, where no row is followed."""
    from scipy.ndimage import maximum_filter1d, uniform_filter1d

    first = [pulse for pulse in pulses if pulse.side == "left" and not pulse.cut]
    if len(first) < MIN_SHAPED:
        return ()
    inked = np.maximum(ink.trace, ink.pulse) > LEAST_STROKE_INK
    width = round(float(np.median([pulse.x1 - pulse.x0 for pulse in first])))
    slack = int(FLATNESS_MM * px_per_mm)

    def likeness(pulse: Pulse) -> Array:
        """How much each place of a row looks like the left stroke of such a pulse, 0 to 1."""
        middle = inked[pulse.middle].astype(float)
        top = max(0, round(pulse.top) - slack)
        plateau = uniform_filter1d(inked[top : top + 2 * slack + 1].any(axis=0) * 1.0, width)
        strokes = maximum_filter1d(middle, slack, axis=1).mean(axis=0)
        bare = uniform_filter1d(middle.mean(axis=0), max(1, width - 2 * slack)) < AGAIN_BARE
        half = width // 2
        both = np.minimum(strokes[: -2 * half], strokes[2 * half :])
        return np.asarray(np.minimum(both, plateau[half:-half]) * bare[half:-half])

    like = np.array([likeness(pulse) for pulse in first])
    seen = maximum_filter1d(like, 2 * slack + 1, axis=1) > AGAIN
    shared = (seen.mean(axis=0) >= AGAIN_ROWS) & (seen.sum(axis=0) >= MIN_SHAPED)
    shared[: int(max(pulse.x1 for pulse in first) + SEARCH_MM * px_per_mm)] = False
    places = np.flatnonzero(shared)
    found = []
    for run in np.split(places, np.flatnonzero(np.diff(places) > width) + 1):
        if len(run):
            x = int(run[like[:, run].sum(axis=0).argmax()])
            found += [
                replace(pulse, x0=float(x), x1=x + pulse.x1 - pulse.x0, side="inner", lean=0.0)
                for pulse, here in zip(first, seen[:, x], strict=True)
                if here
            ]
    return tuple(found)


def sharpened(pulses: Sequence[Pulse], ink: InkMap, px_per_mm: float) -> tuple[Pulse, ...]:
    """The pulses, their strokes where their ink stands, to parts of a pixel, and how they lean.

    Rows are followed from left to right: where an upright line stands, their curve tells only to
    about a tenth of a millimetre. Strokes are measured by their inner edge: inside a pulse the
    paper is bare, outside the trace, a name or a separator may run into them.
    """
    whole = np.maximum(ink.trace, ink.pulse)
    reach = round(STROKE_REACH_MM * px_per_mm)

    def stroke(pulse: Pulse, near: float, inwards: int) -> _Upright | None:
        first = max(0, round(near) - reach)
        return _upright(whole[pulse.middle, first : round(near) + reach + 1][:, ::-inwards])

    strokes = [(stroke(p, p.x0, 1), stroke(p, p.x1, -1)) for p in pulses]
    widths = [found.width for pair in strokes for found in pair if found is not None]
    usual = float(np.percentile(widths, STROKE_PERCENTILE)) if widths else 0.0

    def half(found: _Upright) -> float:
        return (found.width if found.width < STROKE_SLACK * usual else usual) / 2

    sharp = []
    for pulse, (left, right) in zip(pulses, strokes, strict=True):
        x0, x1 = pulse.x0, pulse.x1
        if left is not None:
            x0 = round(x0) + reach - left.edge - half(left)
        if right is not None:
            x1 = max(0, round(x1) - reach) + right.edge + half(right)
        lean = (left.lean + right.lean) / 2 if left is not None and right is not None else 0.0
        sharp.append(replace(pulse, x0=x0, x1=x1, lean=lean))
    return tuple(sharp)


@dataclass(frozen=True)
class _Upright:
    """An upright stroke in px: its inner edge, its width, and how far it leans inwards."""

    edge: float
    width: float
    lean: float


def _upright(band: npt.NDArray[np.float32]) -> _Upright | None:
    """The stroke in the middle half of a pulse's height, (rows, columns) of ink from inside out.

    Row by row from half its darkness to half its darkness, the median of the rows; None where
    fewer than half of the rows show a stroke.
    """
    spans = np.full((len(band), 2), np.nan)
    for span, row in zip(spans, band.astype(float), strict=True):
        darkest = int(row.argmax()) if len(row) else 0
        light = np.flatnonzero(row < row[darkest] / 2) if len(row) else row
        before, after = light[light < darkest], light[light > darkest]
        if not len(before) or not len(after) or row[darkest] < LEAST_STROKE_INK:
            continue
        for side, (outside, step) in enumerate(((int(before[-1]), 1), (int(after[0]), -1))):
            rise = row[outside + step] - row[outside]
            span[side] = outside + step * (row[darkest] / 2 - row[outside]) / rise
    half = len(spans) // 2
    upper, lower = spans[:half], spans[half:]
    if min(np.isfinite(part[:, 0]).sum() for part in (upper, lower)) < max(1, half / 2):
        return None
    edge, width = np.nanmedian(spans[:, 0]), np.nanmedian(spans[:, 1] - spans[:, 0])
    lean = np.nanmedian(lower[:, 0]) - np.nanmedian(upper[:, 0])
    return _Upright(float(edge), float(width), float(lean) * 2 / STROKE_MIDDLE)


def _at_ends(
    shapes: Sequence[PulseShape], paths: tuple[RowPath, ...], px_per_mm: float
) -> tuple[Pulse, ...]:
    """The shapes that are pulses of a standard height at the rows' ends, one a row."""
    first = min(path.extent[0] for path in paths) + SEARCH_MM * px_per_mm
    last = max(path.extent[1] for path in paths) - SEARCH_MM * px_per_mm
    ends = []
    for shape in shapes:
        row = int(np.argmin([abs(shape.base - path.baseline) for path in paths]))
        gain = standard_gain(shape.height / px_per_mm)
        side = "left" if shape.left < first else "right"
        at_end = shape.left < first or shape.right > last
        if gain is not None and at_end:
            base = shape.top + gain * PULSE_MV * px_per_mm
            ends.append(Pulse(row, shape.left, shape.right, base, shape.top, side))
    group = _consistent(tuple(ends), len(paths), px_per_mm)
    rows = {pulse.row: pulse for pulse in group}
    return tuple(rows[row] for row in sorted(rows))


def _is_own(base: float, row: int, paths: tuple[RowPath, ...]) -> bool:
    """Whether a pulse's foot stands nearer to this row than to any other that was followed."""
    away = [abs(base - path.baseline) for path in paths]
    return away[row] <= min(away)


def _completed(
    pulses: tuple[Pulse, ...], paths: tuple[RowPath, ...], px_per_mm: float
) -> tuple[Pulse, ...]:
    """The pulses, with those of rows whose strokes a grid line hides in part or altogether.

    Where most rows have a pulse, a row's plateau below or above theirs is its pulse too, if its
    trace begins at the foot of a pulse as tall as theirs rather than at the foot that was found.
    """
    gains = [standard_gain(pulse.height_mm(px_per_mm)) or 0.0 for pulse in pulses]
    usual = max(gains, key=lambda gain: (gains.count(gain), gain))
    model = [p for p, gain in zip(pulses, gains, strict=True) if gain == usual]
    side = model[0].side
    x0, x1 = (float(np.median([getattr(p, name) for p in model])) for name in ("x0", "x1"))
    by_row = {pulse.row: pulse for pulse in pulses}
    inner = slice(int(x0 + px_per_mm), int(x1 - px_per_mm) + 1)
    beside = x1 if side == "left" else x0 - BESIDE_MM * px_per_mm
    outer = slice(int(beside + px_per_mm / 2), int(beside + BESIDE_MM * px_per_mm))
    for row, path in enumerate(paths):
        found = by_row.get(row)
        if found in model:
            continue
        plateau, begins = path.centre[inner], path.centre[outer]
        plateau, begins = plateau[np.isfinite(plateau)], begins[np.isfinite(begins)]
        if len(plateau) < max(1.0, 0.8 * (inner.stop - inner.start)) or len(begins) == 0:
            continue
        top, beginning = float(np.median(plateau)), float(np.median(begins))
        base = top + usual * PULSE_MV * px_per_mm
        off = abs(base - beginning)
        if not _is_own(base, row, paths):
            continue
        if np.ptp(plateau) > 2 * FLATNESS_MM * px_per_mm or off > MAX_FOOT_MM * px_per_mm:
            continue
        if found is None or off < abs(found.base - beginning):
            by_row[row] = Pulse(row, x0, x1, base, top, side)
    return tuple(by_row[row] for row in sorted(by_row))


def inner_pulses(
    paths: tuple[RowPath, ...], edges: tuple[float, ...], px_per_mm: float
) -> tuple[Pulse, ...]:
    """Calibration pulses near the inner column edges (px), in two rows or more."""
    found = []
    for row, path in enumerate(paths):
        for edge in edges:
            lo, hi = (int(edge + mm * px_per_mm) for mm in INNER_REACH_MM)
            for start, stop in _plateaus(path, max(lo, 0), min(hi, len(path.top)), px_per_mm):
                pulse = _pulse_at(path, row, start, stop, "left", px_per_mm)
                if pulse is not None and standard_gain(pulse.height_mm(px_per_mm)):
                    found.append(pulse)
    return _consistent(tuple(found), len(paths), px_per_mm)


def _consistent(pulses: tuple[Pulse, ...], n_rows: int, px_per_mm: float) -> tuple[Pulse, ...]:
    """Pulses stand below one another; a shape or height met once on a page of several rows is a
    wave."""
    best: list[Pulse] = []
    for anchor in pulses:
        group = [
            p for p in pulses if p.side == anchor.side and abs(p.x0 - anchor.x0) < 3.0 * px_per_mm
        ]
        if len(group) > len(best):
            best = group
    needed = 1 if n_rows <= 2 else 2
    return tuple(best) if _alike(best, px_per_mm) >= needed else ()
