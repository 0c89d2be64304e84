"""Calibration pulses found by their shape alone, on a page of unknown scale.

A pulse is a plateau on two upright strokes that stand on a trace: nothing inside, nothing beside,
nothing above, open below, and a row going on from its foot. Frames are closed below, letters and
bar codes stand on no trace, and the strokes of a QRS complex are neither upright nor apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ecg4u.digitize.types import FloatArray

Floats = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8]
Bits = npt.NDArray[np.bool_]

HEIGHT_SHARE = (0.011, 0.16)
"""Heights looked for, of the picture's long side: 5 mm of 450 mm to 20 mm of 125 mm."""
WIDTH_OVER_HEIGHT = (0.12, 2.4)
"""Of a pulse: 0.2 s at 12.5 mm/s and 20 mm/mV gives 0.125, at 50 mm/s and 5 mm/mV 2."""
INK_SHARE = 0.4
"""Of the usual darkness of strokes, from which a pixel is ink."""
FAINTEST = 0.06
LEAST_INK_PX = 100
"""Darkness (0 to 1) under which a pixel is paper, and how many must be darker for a page to hold
strokes at all; by eye."""
COVERED = 0.96
"""Least share of a plateau's columns that holds ink."""
MOST_STROKES = 3000
"""Upright strokes beyond which a page is hatched and has no pulses to be found among them: of four
noisy pages the worst has 444, and the time to compare them grows with their square."""
BROKEN_SHARE = 0.3
"""Of the least height looked for, the widest gap in an upright line that is filled; by eye."""
CLEAR = 0.025
"""Largest share of ink where a pulse has none."""
BESIDE = 0.2
"""How far beside a pulse its surroundings are bare, of its width."""
OPEN_BELOW = 0.35
"""Largest share of a pulse's width that is closed at its foot: else it is a box; by eye."""
LEVEL = 0.05
"""Largest difference between the ends of two strokes of one pulse, of its height."""
STRAIGHT_PEN = 0.3
"""How far, in widths of the pen, a pulse's strokes may be from straight lines; by eye."""
MAX_TILT = 0.03
"""Of strokes against the upright and of plateaus against the level, once the page is turned."""
ROW_WIDTHS, ROW_REACH = 10.0, 0.8
"""How far along, in pulse widths, and up and down, in heights, a row is looked for beside it."""
ROW_COVERED = 0.75
"""Least share of that stretch's columns that hold ink; by eye."""
MAX_TURN_DEG, TURN_STEPS_DEG = 12.0, (0.5, 0.1)
"""How far a page without grid may be turned, and how finely that is told; by eye."""


@dataclass(frozen=True)
class PulseShape:
    """A pulse by the middle of its lines, in px; ``leans`` is how far its lines run off the axes.

    ``side`` tells on which side of it the row lies on: ``"left"`` pulses have it on their right.
    """

    left: float
    right: float
    top: float
    base: float
    leans: float
    side: str

    @property
    def height(self) -> float:
        """From the foot to the plateau."""
        return self.base - self.top

    @property
    def width(self) -> float:
        """From stroke to stroke."""
        return self.right - self.left


@dataclass(frozen=True)
class _Stroke:
    x0: int
    x1: int
    top: int
    bottom: int

    @property
    def height(self) -> int:
        return self.bottom - self.top


def turn_of(ink: FloatArray) -> float:
    """How far (degrees, clockwise) the lines of a page of ink lean, up to `MAX_TURN_DEG`.

    Turned back by it, the ink lies in fewest rows and columns: feet and plateaus, upright strokes
    and print share its direction, the waves lean to both sides. (The direction of edges would not
    do: in black and white they are steps, which lie along the picture's own rows and columns.)
    """
    import cv2

    small = cv2.resize(ink, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    height, width = small.shape

    def sharpness(degrees: float) -> float:
        back = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
        turned = cv2.warpAffine(small, back, (width, height))
        return float(sum(np.square(np.diff(turned.sum(axis=axis))).sum() for axis in (0, 1)))

    turn, reach = 0.0, MAX_TURN_DEG
    for step in TURN_STEPS_DEG:
        tried = np.clip(
            turn + np.arange(-reach, reach + step / 2, step), -MAX_TURN_DEG, MAX_TURN_DEG
        )
        turn, reach = float(max(sorted(tried, key=abs), key=sharpness)), step
    return turn


def find_shapes(ink: FloatArray) -> tuple[PulseShape, ...]:
    """Pulses on an upright page, given how dark it is, (H, W) in 0..1, paper 0."""
    import cv2

    usual = usual_darkness(ink)
    if usual is None:
        return ()
    bits = ink > max(FAINTEST, INK_SHARE * usual)
    strokes = _strokes(bits)
    pen = _pen(bits)
    total = cv2.integral(bits.astype(np.uint8))
    columns = np.cumsum(np.pad(bits, ((1, 0), (0, 0))), axis=0, dtype=np.int32)
    found = []
    for i, left in enumerate(strokes):
        for right in strokes[i + 1 :]:
            if right.x0 - left.x1 > WIDTH_OVER_HEIGHT[1] * left.height:
                break
            if not _pair(left, right, pen):
                continue
            side = _standing(total, columns, left, right, pen)
            if side is not None:
                shape = _measured(ink, left, right, pen, side)
                if shape is not None:
                    found.append(shape)
    return tuple(found)


def usual_darkness(ink: FloatArray) -> float | None:
    """How dark full strokes are; None on a page without any."""
    strong = ink[ink > FAINTEST]
    return float(np.percentile(strong, 90)) if strong.size >= LEAST_INK_PX else None


def find_plateaus(ink: FloatArray, least: float = INK_SHARE) -> tuple[PulseShape, ...]:
    """Plateaus on two like strokes with bare paper under them, at fewer demands than `find_shapes`.

    For pages on which other things tell pulses from the like: a known scale, rows, that several
    are alike. ``ink`` as there; what is lighter than ``least`` does not count. On which side of
    its row one stands is not looked at: all are called ``"left"``.
    """
    bits = ink > least
    strokes, pen = _strokes(_mended(bits)), _pen(bits)
    if len(strokes) > MOST_STROKES:
        return ()
    edge = int(np.ceil(0.5 * pen))
    found = []
    for i, left in enumerate(strokes):
        for right in strokes[i + 1 :]:
            if right.x0 - left.x1 > WIDTH_OVER_HEIGHT[1] * left.height:
                break
            if not _pair(left, right, pen):
                continue
            top, bottom = max(left.top, right.top), min(left.bottom, right.bottom)
            between = bits[:, left.x1 + 1 : right.x0]
            plateau = between[max(0, top - edge) : top + 2 * edge].any(axis=0)
            under = between[top + 3 * edge : bottom - 3 * edge, edge:-edge]
            below = between[bottom - 2 * edge : bottom + edge].any(axis=0)
            bare = under.size > 0 and under.mean() <= CLEAR and below.mean() <= OPEN_BELOW
            if not bare or plateau.mean() < COVERED:
                continue
            x0, x1 = (left.x0 + left.x1) / 2, (right.x0 + right.x1) / 2
            y0, y1 = top + pen / 2 - 0.5, bottom - pen / 2 - 0.5
            found.append(PulseShape(x0, x1, y0, y1, 0.0, "left"))
    return tuple(found)


def _mended(bits: Bits) -> Bits:
    """Ink with the short gaps of upright lines filled: a fax breaks them."""
    import cv2

    gap = int(BROKEN_SHARE * HEIGHT_SHARE[0] * max(bits.shape)) | 1
    closing = cv2.MORPH_CLOSE, np.ones((gap, 1), np.uint8)
    return np.asarray(cv2.morphologyEx(bits.astype(np.uint8), *closing), bool)


def _strokes(bits: Bits) -> list[_Stroke]:
    """Upright strokes of a pulse's height, from left to right."""
    import cv2

    long_side = max(bits.shape)
    low, high = (int(share * long_side) for share in HEIGHT_SHARE)
    upright = cv2.morphologyEx(
        bits.astype(np.uint8), cv2.MORPH_OPEN, np.ones((max(low, 8), 1), np.uint8)
    )
    _, _, stats, _ = cv2.connectedComponentsWithStats(upright, connectivity=8)
    strokes = [
        _Stroke(x, x + w - 1, y, y + h)
        for x, y, w, h, _ in stats[1:].tolist()
        if low <= h <= high and w < 0.35 * h
    ]
    return sorted(strokes, key=lambda stroke: stroke.x0)


def _pen(bits: Bits) -> float:
    """Thickness of lines, in px: their area over their length, whichever way they run."""
    down = int((bits[1:] & ~bits[:-1]).sum())
    across = int((bits[:, 1:] & ~bits[:, :-1]).sum())
    return float(bits.sum()) / max(down + across, 1)


def _pair(left: _Stroke, right: _Stroke, pen: float) -> bool:
    """Whether two strokes are alike and as far apart as a pulse's."""
    height = min(left.height, right.height)
    apart = (right.x0 + right.x1 - left.x0 - left.x1) / 2
    slack = max(LEVEL * height, 1.5)
    return (
        abs(left.top - right.top) <= slack
        and abs(left.bottom - right.bottom) <= slack
        and WIDTH_OVER_HEIGHT[0] * height < apart < WIDTH_OVER_HEIGHT[1] * height
        and right.x0 - left.x1 > 2 * pen
    )


def _standing(
    total: npt.NDArray[np.int32],
    columns: npt.NDArray[np.int32],
    left: _Stroke,
    right: _Stroke,
    pen: float,
) -> str | None:
    """On which side of its row a plateau on two strokes stands; None if it is no pulse.

    ``total`` is the ink's integral image, ``columns`` its sums down the columns, each with a row
    of zeros first.
    """
    height, width = total.shape[0] - 1, total.shape[1] - 1
    edge = int(np.ceil(pen)) + 1
    top, bottom = max(left.top, right.top), min(left.bottom, right.bottom)
    tall, wide = bottom - top, right.x0 - left.x1

    def share(x0: float, x1: float, y0: float, y1: float) -> float:
        a, b = (int(np.clip(x, 0, width)) for x in (x0, x1))
        c, d = (int(np.clip(y, 0, height)) for y in (y0, y1))
        area = (b - a) * (d - c)
        return float(total[d, b] - total[c, b] - total[d, a] + total[c, a]) / area if area else 0.0

    def covered(x0: float, x1: float, y0: float, y1: float) -> float:
        a, b = (int(np.clip(x, 0, width)) for x in (x0, x1))
        c, d = (int(np.clip(y, 0, height)) for y in (y0, y1))
        return float((columns[d, a:b] > columns[c, a:b]).mean()) if b > a else 0.0

    beside = max(BESIDE * wide, 2.0)
    inner = left.x1 + edge, right.x0 - edge + 1
    outer = top - edge, bottom - 2 * edge - 0.12 * tall
    bare = (
        share(*inner, top + 2 * edge, bottom - 2 * edge) <= CLEAR
        and share(left.x0 - edge - beside, left.x0 - edge, *outer) <= CLEAR
        and share(right.x1 + edge, right.x1 + edge + beside, *outer) <= CLEAR
        and share(left.x0, right.x1, top - edge - 0.12 * tall, top - edge) <= CLEAR
    )
    if not bare or covered(*inner, top - edge, top + 2 * edge) < COVERED:
        return None
    if covered(*inner, bottom - 2 * edge, bottom + edge) > OPEN_BELOW:
        return None
    band = bottom - ROW_REACH * tall, bottom + ROW_REACH * tall
    length = ROW_WIDTHS * max(wide, 0.4 * tall)
    after = covered(right.x1 + 0.6 * wide, right.x1 + length, *band)
    before = covered(left.x0 - length, left.x0 - 0.6 * wide, *band)
    if max(after, before) < ROW_COVERED:
        return None
    return "left" if after >= before else "right"


def _measured(
    ink: FloatArray, left: _Stroke, right: _Stroke, pen: float, side: str
) -> PulseShape | None:
    """The lines of a pulse to parts of a pixel; None where they are not straight and square."""
    top, bottom = max(left.top, right.top), min(left.bottom, right.bottom)
    reach = int(np.ceil(pen)) + 2
    rows = slice(top + (bottom - top) // 5, bottom - (bottom - top) // 5)
    uprights = [_line(ink[rows, _around(s.x0, s.x1, reach)].T) for s in (left, right)]
    between = slice(left.x1 + reach, right.x0 - reach + 1)
    if between.stop - between.start < 3 or rows.stop - rows.start < 5:
        return None
    first = max(0, top - reach)
    plateau = _line(ink[first : top + 2 * reach, between])
    lines = [line for line in (plateau, *uprights) if line is not None]
    if plateau is None or len(lines) < 3:
        return None
    tilts = [slope for _, slope, _ in lines]
    if max(map(abs, tilts)) > MAX_TILT or max(off for _, _, off in lines) > STRAIGHT_PEN * pen:
        return None
    y_top = first + plateau[0]
    bases = []
    for stroke in (left, right):
        ends = _ends(ink[:, _around(stroke.x0, stroke.x1, 0)], stroke, reach)
        if ends is None:
            return None
        bases.append(ends[0] + ends[1] - y_top)
    if abs(bases[0] - bases[1]) > max(LEVEL * (bottom - top), 1.5):
        return None
    xs = [
        max(0, s.x0 - reach) + line[0]
        for s, line in zip((left, right), uprights, strict=True)
        if line is not None
    ]
    leans = float(np.mean([tilts[0], -tilts[1], -tilts[2]]))
    return PulseShape(xs[0], xs[1], y_top, float(np.mean(bases)), leans, side)


def _around(first: int, last: int, reach: int) -> slice:
    return slice(max(0, first - reach), last + reach + 1)


def _line(band: FloatArray) -> tuple[float, float, float] | None:
    """Middle, slope and unevenness (RMS) of a line that runs along a band, (across, along)."""
    weight = band.sum(axis=0)
    known = weight > 0.3 * np.median(weight)
    if known.sum() < 3 or known.mean() < 0.9:
        return None
    at = np.arange(len(weight))[known]
    centre = ((np.arange(len(band))[:, None] * band).sum(axis=0)[known]) / weight[known]
    slope, start = np.polyfit(at - at.mean(), centre, 1)
    off = float(np.sqrt(np.mean((centre - start - slope * (at - at.mean())) ** 2)))
    return float(start), float(slope), off


def _ends(band: FloatArray, stroke: _Stroke, reach: int) -> tuple[float, float] | None:
    """Where a stroke begins and ends: half its darkness, between pixels."""
    dark = band.max(axis=1)
    half = 0.5 * float(np.median(dark[stroke.top + reach : stroke.bottom - reach]))
    ends = []
    for near, step in ((stroke.top + reach, -1), (stroke.bottom - 1 - reach, 1)):
        y = near
        while 0 <= y + step < len(dark) and dark[y + step] >= half:
            y += step
        if not 0 <= y + step < len(dark) or abs(y - near) > 4 * reach:
            return None
        share = (dark[y] - half) / max(float(dark[y] - dark[y + step]), 1e-6)
        ends.append(y + step * float(share))
    return ends[0], ends[1]


def agreeing(shapes: Sequence[PulseShape], *, within: float) -> tuple[PulseShape, ...]:
    """The largest set of pulses of one height and width (each to ``within``) in one column."""
    best: list[PulseShape] = []
    for model in shapes:
        like = [
            shape
            for shape in shapes
            if abs(shape.height / model.height - 1) < within
            and abs(shape.width - model.width) < max(within * model.width, 1.0)
            and abs(shape.left - model.left) < 0.4 * model.width
        ]
        if len(like) > len(best):
            best = like
    return tuple(best)
