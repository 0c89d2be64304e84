"""Ink map of a rectified page: what is darker than its paper and not grid.

`stroke_ink` finds the ink by rules. `joined_ink` lets the trace network tell trace from writing in
it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ecg4u.digitize.page.darkness import ink_and_paper
from ecg4u.digitize.types import FloatArray, InkMap

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

BACKGROUND_MM = 3.0
"""Breadth of the darkest thing that is ink, not paper: letters and blunt pens are narrower, creases
and stains broader. Of 2, 3, 4 and 6 mm the best by SNR over the dev half of the benchmark."""
PIECE_MM = 6.0
LINE_X_MM = 96.0
LINE_Y_MM = 84.0
LINE_PERCENTILE = 35
LINES_APART_MM, USUAL_LINES = 5.0, 17
"""Thick lines stand so far apart; so many beside one another tell how dark they usually are."""
BROADEST_LINE_MM = 1.2
DARKER_LINE, DARKER_BY = 1.25, 0.02
"""How much darker than usual a line may be, and by what in addition; by eye."""
PAPER_REACH_MM = 50.0
GRID_EXCESS = 1.2
MIN_CONTRAST = 0.08
STROKE_REACH_MM = 18.0
SOFT_MM = 0.08
LEAST_OVER_GRID = 0.6
NEAR_PX = 5
GATE = (0.1, 0.4)
WRITING = (0.3, 0.6)
UNSURE = 0.6
MUCH_UNKNOWN = (1.4, 2.0)
"""Unknown ink, as a share of that which the network takes for trace, from which it is not kept in
full, and from which not at all: so much is a grid that the rules did not find. Eighteen photographs
and scans have up to 1.3, creases, desk and all; two drawn pages (of 60, seeds 90000 on) that were
misread along grid lines had 2.6 and 3.0, straight print included."""
SEEN = 0.002
"""Share of the page that the network must take for trace: a page that it does not understand is
read by the rules. A page's traces take some 0.01."""
SURELY = (0.5, 0.8)
STROKE = 0.3
DESK_MM = 4.0
DESK_DARKNESS = 0.3
HAZE_MM = 3.6
HAZE_CELLS = 9


@dataclass(frozen=True)
class Straight:
    """Straight strokes of one direction: how they are told from others, in px down and along.

    ``stroke_px`` is the shortest stretch that counts, ``least_px`` the least length in all,
    ``share`` how much of a stroke must look like print, ``share_in_line`` of one that stands
    below or above another such, ``reach_px`` how far its rim reaches.
    """

    stroke_px: tuple[int, int]
    least_px: int
    share: float
    share_in_line: float
    reach_px: tuple[int, int]


UPRIGHT = Straight((10, 1), 12, 0.7, 0.3, (3, 3))
LEVEL = Straight((1, 50), 800, 0.9, 0.9, (5, 3))
LINE = Straight((120, 1), 200, 0.6, 0.5, (3, 5))
"""A line down the page, told even where strokes of traces run into it: those are never so long in
one column of pixels."""
IN_LINE_PX = 4.0
ALIKE_PX, FEWEST_ALIKE, ALIKE_SHARE = 2, 6, 0.6
"""How far strokes of one size may differ, how many make a kind, and how much of it is print."""
CORNER_PX = 260
PLATEAU_PX = 18
COVERED = 0.9
PULSE_ODDS = 3.0
"""A pulse taken for print is the gain lost; print taken for a pulse does less harm."""
CROSSED_PX = (3, 15)
"""A trace that goes on beyond so broad a line goes on below it."""
BENT_PX = 2.5
"""A stroke that takes up so much more room across than its width is no straight one."""
LEAN, LEAN_PX = 0.02, 2.5
"""How far from the upright, as a share of its height and in px, print is not."""
CROSSING_PX = 150
"""Longer lines may be as broad as what they cross."""


def darkness(image: np.ndarray, px_per_mm: float) -> FloatArray:
    """How much darker each pixel is than its paper, (H, W) in 0..1, free of shading.

    It is that of `page.darkness.ink_channel`, in which coloured grids vanish and ink does not.
    """
    import cv2

    value, paper = ink_and_paper(image, BACKGROUND_MM * px_per_mm, cv2.MORPH_ELLIPSE)
    ratio = cv2.divide(value, np.maximum(paper, 1), dtype=cv2.CV_32F)
    dark = np.subtract(1.0, ratio, out=ratio)
    return np.clip(dark, 0.0, 1.0, out=dark)


def grid_darkness(
    dark: FloatArray, px_per_mm: float, valid: np.ndarray | None = None
) -> FloatArray:
    """How dark what runs straight along the page's axes for several centimetres is, (H, W).

    ``dark`` is `darkness`; ``valid`` (H, W) is False beyond the paper, which then does not count.
    """
    import cv2

    share = _paper_share(dark, px_per_mm, valid)
    capped = np.minimum(dark, np.float32(0.6))
    capped *= share
    across = _line_darkness(capped, share, px_per_mm, LINE_X_MM, down=False)
    down = _line_darkness(capped, share, px_per_mm, LINE_Y_MM, down=True)
    base = _paper_darkness(capped, share, px_per_mm)
    for line in (across, down):
        np.minimum(base, line, out=base)
    for line in (across, down):
        cv2.addWeighted(line, GRID_EXCESS, base, -0.5 * GRID_EXCESS, 0.0, dst=line)
        np.clip(line, 0.0, 1.0, out=line)
    base = np.multiply(down, across, out=base)
    down += across
    down -= base
    return down


def _paper_share(dark: FloatArray, px_per_mm: float, valid: np.ndarray | None) -> FloatArray:
    """1 on paper, 0 beyond it and on the dark areas, broader than any line, that desks leave."""
    import cv2

    size = (-(-dark.shape[1] // 4), -(-dark.shape[0] // 4))
    small = cv2.resize(dark, size, interpolation=cv2.INTER_AREA)
    side = np.ones((int(DESK_MM * px_per_mm / 4) | 1,) * 2, np.uint8)
    desk = cv2.morphologyEx((small > DESK_DARKNESS).astype(np.uint8), cv2.MORPH_OPEN, side)
    desk = cv2.dilate(desk, np.ones((3, 3), np.uint8))
    paper = 1 - cv2.resize(desk, dark.shape[::-1], interpolation=cv2.INTER_NEAREST)
    return np.asarray(paper if valid is None else paper * valid, np.float32)


def _line_darkness(
    capped: FloatArray, share: FloatArray, px_per_mm: float, reach_mm: float, *, down: bool
) -> FloatArray:
    """How dark the line down each column, or else along each row, is, (H, W).

    A line is there in nearly every piece of its column; the QRS complexes of the rows, one below
    the other, are not: a low percentile over pieces of `PIECE_MM` tells them apart. It is asked of
    either side, for the grid may end here.
    """
    import cv2
    from scipy.ndimage import percentile_filter

    height, width = capped.shape
    pieces = max(1, round((height if down else width) / (PIECE_MM * px_per_mm)))
    size = (width, pieces) if down else (pieces, height)
    covered, total = (
        cv2.resize(values, size, interpolation=cv2.INTER_AREA) for values in (share, capped)
    )
    if not down:
        covered, total = covered.T, total.T
    mean = total / np.maximum(covered, 0.05)
    known = covered > 0.5
    usual = (mean * known).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, mean, usual)
    window = min(pieces, round(reach_mm / PIECE_MM)) | 1
    before, after = (
        percentile_filter(
            mean, LINE_PERCENTILE, size=(window, 1), mode="nearest", origin=(origin, 0)
        )
        for origin in (window // 2, -(window // 2))
    )
    low = _as_dark_as_others(np.maximum(before, after), px_per_mm).astype(np.float32)
    low = low if down else np.ascontiguousarray(low.T)
    return np.asarray(cv2.resize(low, (width, height), interpolation=cv2.INTER_LINEAR))


def _as_dark_as_others(lines: Floats, px_per_mm: float) -> Floats:
    """Lines (pieces, across) no darker than is usual of the darkest every `LINES_APART_MM`.

    What is darker is strokes that stand in one line: QRS complexes of several rows, one below the
    other, or a level stretch of a trace. A crease is broader than they are.
    """
    from scipy.ndimage import grey_opening, median_filter

    cell = round(LINES_APART_MM * px_per_mm)
    count = -(-lines.shape[1] // cell)
    padded = np.pad(lines, ((0, 0), (0, count * cell - lines.shape[1])), mode="edge")
    darkest = padded.reshape(len(lines), count, cell).max(axis=2)
    usual = np.repeat(median_filter(darkest, (1, USUAL_LINES), mode="nearest"), cell, axis=1)
    most = DARKER_LINE * usual[:, : lines.shape[1]] + DARKER_BY
    broad = grey_opening(lines, (1, round(BROADEST_LINE_MM * px_per_mm)))
    return np.asarray(np.minimum(lines, np.maximum(most, broad)))


def _paper_darkness(capped: FloatArray, share: FloatArray, px_per_mm: float) -> FloatArray:
    """Mean darkness over several centimetres, (H, W)."""
    import cv2

    size = (max(1, capped.shape[1] // 8), max(1, capped.shape[0] // 8))
    length = int(PAPER_REACH_MM * px_per_mm / 8) | 1
    total, covered = (
        cv2.blur(cv2.resize(values, size, interpolation=cv2.INTER_AREA), (length, length))
        for values in (capped, share)
    )
    mean = total / np.maximum(covered, 0.05)
    return np.asarray(cv2.resize(mean, capped.shape[::-1], interpolation=cv2.INTER_LINEAR))


def _stroke_darkness(ink: FloatArray, px_per_mm: float) -> FloatArray:
    """How dark a full stroke is hereabouts, (H, W).

    Read off the ridges of wide pieces of ink, so that bold print does not make a faint trace
    vanish; smoothed over `STROKE_REACH_MM`, so that fading and shadows are followed.
    """
    import cv2

    rough = max(float(np.percentile(ink, 99.3)), MIN_CONTRAST)
    mask = (ink > 0.25 * rough).astype(np.uint8)
    _, label, stats, _ = cv2.connectedComponentsWithStats(mask)
    wide = stats[:, cv2.CC_STAT_WIDTH] > 5.0 * px_per_mm
    wide[0] = False
    column_max = cv2.dilate(ink, np.ones((3, 1), np.uint8))
    ridge = wide[label] & (ink >= column_max)
    if ridge.sum() < 200:
        return np.full_like(ink, rough)
    usual = float(np.percentile(ink[ridge], 40))
    small = (-(-ink.shape[0] // 8), -(-ink.shape[1] // 8))
    weight = cv2.resize(ridge.astype(np.float32), small[::-1], interpolation=cv2.INTER_AREA)
    total = cv2.resize(
        np.where(ridge, ink, 0).astype(np.float32), small[::-1], interpolation=cv2.INTER_AREA
    )
    sigma = STROKE_REACH_MM * px_per_mm / 8
    prior = 0.05 * float(weight.mean()) + 1e-9
    total = cv2.GaussianBlur(total, (0, 0), sigma) + prior * usual
    weight = cv2.GaussianBlur(weight, (0, 0), sigma) + prior
    local = cv2.resize(0.9 * total / weight, ink.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.clip(local, max(MIN_CONTRAST, 0.45 * usual), 1.3 * usual + MIN_CONTRAST)


def _soft(ink: FloatArray, px_per_mm: float) -> FloatArray:
    import cv2

    return np.asarray(cv2.GaussianBlur(ink, (0, 0), SOFT_MM * px_per_mm))


def stroke_ink(image: np.ndarray, px_per_mm: float, valid: np.ndarray | None = None) -> FloatArray:
    """All ink that is not grid, letters too, (H, W) in 0..1 of a full stroke's darkness.

    Ink is opaque: where a stroke lies on a grid line the page is as dark as beside it, not darker
    by the line, so what is left over the line counts in full.
    """
    ink = darkness(image, px_per_mm)
    grid = grid_darkness(ink, px_per_mm, valid)
    ink -= grid
    np.maximum(ink, 0.0, out=ink)
    stroke = _stroke_darkness(_soft(ink, px_per_mm), px_per_mm)
    over_grid = np.subtract(stroke, grid, out=grid)
    np.maximum(over_grid, LEAST_OVER_GRID * stroke, out=over_grid)
    ink *= stroke
    ink /= over_grid
    trace = _soft(ink, px_per_mm)
    trace /= stroke
    np.clip(trace, 0.0, 1.0, out=trace)
    haze = _haze(trace, px_per_mm)
    trace -= haze
    np.maximum(trace, 0.0, out=trace)
    trace /= np.subtract(1.0, haze, out=haze)
    return trace


def _haze(trace: FloatArray, px_per_mm: float) -> FloatArray:
    """Ink that lies all over several millimetres, (H, W) in 0..0.9: a stain, not strokes."""
    import cv2

    cell = HAZE_MM * px_per_mm / HAZE_CELLS
    size = (max(1, round(trace.shape[1] / cell)), max(1, round(trace.shape[0] / cell)))
    small = cv2.resize(trace, size, interpolation=cv2.INTER_AREA)
    middle = cv2.medianBlur(np.round(255 * small).astype(np.uint8), HAZE_CELLS)
    haze = cv2.resize(middle, trace.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.minimum(haze.astype(np.float32) / 255, np.float32(0.9))


def joined_ink(
    strokes: FloatArray,
    seen: InkMap,
    boxes: Sequence[tuple[float, float, float, float]] = (),
) -> InkMap:
    """Ink map of `stroke_ink` and the trace network together.

    The network says which ink is trace, which is writing, which a separator or another straight
    line of print; the strokes, whose edges are sharper, say where it stands. Where a trace crosses
    print it stays trace. Straight print may be a pulse's, too: its shape will tell. Ink that the
    network knows nothing of, such as a stain, is kept at `UNSURE`, unless there is so much of it
    (`MUCH_UNKNOWN`) that it is a grid.
    """
    import cv2

    likely = np.maximum(seen.trace, seen.pulse)
    ink = strokes * _kept(strokes, likely, seen)
    straight = _straight(strokes, seen, UPRIGHT) | _straight(strokes, seen, LEVEL)
    line = _straight(strokes, seen, LINE)
    trace = ink * np.where(line, 0.0, np.where(straight, _surely(likely), np.float32(1)))
    straight |= line
    crossing = cv2.morphologyEx(trace, cv2.MORPH_CLOSE, np.ones(CROSSED_PX, np.uint8))
    np.minimum(ink, crossing, out=trace, where=straight)
    straight_ink = np.where(straight, strokes, np.float32(0))
    return InkMap(
        trace,
        _with_boxes(seen.text, boxes),
        np.maximum(seen.pulse, straight_ink),
        np.maximum(seen.separator, straight_ink),
        seen.look,
    )


def _kept(strokes: FloatArray, likely: FloatArray, seen: InkMap) -> FloatArray:
    """How much of a stroke's ink is trace, by what the network says around it."""
    import cv2

    near = cv2.dilate(likely, np.ones((NEAR_PX, NEAR_PX), np.uint8))
    gate = np.clip((near - GATE[0]) / (GATE[1] - GATE[0]), 0.0, 1.0)
    writing = np.clip((seen.text - WRITING[0]) / (WRITING[1] - WRITING[0]), 0.0, 1.0)
    own = float((strokes * gate).sum())
    unknown = float((strokes * (1.0 - gate) * (1.0 - writing) * (1.0 - seen.separator)).sum())
    less, none = MUCH_UNKNOWN
    share = unknown / own if own > SEEN * strokes.size else 0.0
    unsure = UNSURE * np.clip((none - share) / (none - less), 0.0, 1.0)
    return np.asarray(np.maximum(gate, np.float32(unsure) * (1.0 - writing)))


def _straight(strokes: FloatArray, seen: InkMap, kind: Straight) -> Mask:
    """Where strokes of one direction are straight print, (H, W).

    Each stroke is one thing from end to end, a separator or a side of a QRS complex: what the
    network says of most of it goes for all of it.
    """
    import cv2

    stretch, rim = np.ones(kind.stroke_px, np.uint8), np.ones(kind.reach_px, np.uint8)
    ink = cv2.morphologyEx((strokes > STROKE).astype(np.uint8), cv2.MORPH_OPEN, stretch)
    count, label, stats, _ = cv2.connectedComponentsWithStats(ink)
    inked = ink > 0
    rival = np.maximum(seen.trace[inked], PULSE_ODDS * seen.pulse[inked])
    line = seen.separator[inked] > rival
    area = np.maximum(stats[:, cv2.CC_STAT_AREA], 1)
    votes = np.bincount(label[inked], line, count) / area
    sides = stats[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]]
    length = sides.max(axis=1)
    bent = sides.min(axis=1) > area / length + BENT_PX
    long = (length >= kind.least_px) & ~(bent & (length < CROSSING_PX))
    long[0] = False
    found = long & (votes > kind.share)
    middle = stats[:, cv2.CC_STAT_LEFT] + stats[:, cv2.CC_STAT_WIDTH] / 2
    in_line = np.abs(middle[:, None] - middle[found]).min(axis=1, initial=np.inf) < IN_LINE_PX
    found |= long & in_line & (votes > kind.share_in_line)
    found |= long & (_shared_vote(votes, sides, long) > ALIKE_SHARE)
    for k in np.flatnonzero(found & (length < CORNER_PX)):
        found[k] = not _turns(strokes, stats[k]) and not _leans(label, stats[k], int(k))
    return np.asarray(cv2.dilate(found[label].view(np.uint8), rim), dtype=bool)


def _shared_vote(votes: Floats, sides: npt.NDArray[np.int32], counted: Mask) -> Floats:
    """The mean vote of all strokes of one size, 0 where these are few: ticks are all alike."""
    shared = np.zeros(len(votes))
    for k in np.flatnonzero(counted):
        alike = counted & (np.abs(sides - sides[k]).max(axis=1) <= ALIKE_PX)
        if alike.sum() >= FEWEST_ALIKE:
            shared[k] = votes[alike].mean()
    return shared


def _turns(strokes: FloatArray, stats: npt.NDArray[np.int32]) -> bool:
    """Whether a level stroke begins at an upright one's upper end, as a pulse's plateau does."""
    x0, top, width = int(stats[0]), int(stats[1]), int(stats[2])
    band = strokes[max(0, top - 4) : top + 6]
    left = band[:, max(0, x0 - PLATEAU_PX) : max(0, x0 - 2)]
    right = band[:, x0 + width + 2 : x0 + width + PLATEAU_PX]
    return any(
        side.shape[1] > PLATEAU_PX / 2 and bool((side.max(axis=0) > STROKE).mean() > COVERED)
        for side in (left, right)
    )


def _leans(label: npt.NDArray[np.int32], stats: npt.NDArray[np.int32], k: int) -> bool:
    """Whether an upright stroke leans, as the sides of waves do: `LEAN` of its height and more."""
    x0, y0, width, height = (int(side) for side in stats[:4])
    if width > height:
        return False
    inside = label[y0 : y0 + height, x0 : x0 + width] == k
    middles = (inside * np.arange(width)).sum(axis=1) / np.maximum(inside.sum(axis=1), 1)
    third = height // 3
    apart = abs(float(np.median(middles[:third]) - np.median(middles[-third:])))
    return apart * height / (height - third) > max(LEAN * height, LEAN_PX)


def _surely(likely: FloatArray) -> FloatArray:
    return np.asarray(np.clip((likely - SURELY[0]) / (SURELY[1] - SURELY[0]), 0.0, 1.0))


def _with_boxes(text: FloatArray, boxes: Sequence[tuple[float, float, float, float]]) -> FloatArray:
    text = text.copy()
    for x0, y0, x1, y1 in boxes:
        text[max(0, int(y0)) : int(y1) + 1, max(0, int(x0)) : int(x1) + 1] = 1.0
    return text
