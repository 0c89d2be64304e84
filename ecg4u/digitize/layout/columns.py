"""Where the columns of leads begin and end: from rows' ends, pulses, gaps, breaks and names.

Numbers below that name no measurement were chosen by eye.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ecg4u.digitize.rows.trace import RowPath
from ecg4u.digitize.scale.pulses import INNER_REACH_MM, Pulse, inner_pulses
from ecg4u.digitize.types import Label
from ecg4u.record import CABRERA, LEADS

Array = npt.NDArray[np.float64]

NOMINAL_TOLERANCE = 0.02
"""A row this near to its nominal 10 s is taken to be 10 s; its ends are known to about 0.3 mm."""
MIN_STEPS = 3
"""Distances of names that tell how wide columns are."""
PITCH_TOLERANCE = 0.05
"""How far names may put a column's width off the usual one, as a share, to tell of the same."""
NEIGHBOURS_TOLERANCE = 0.3
"""The same of names that are told to be neighbours by nothing else: with gaps between columns they
are up to a fifth further apart, and where a name between them was not read twice as far."""
OVERSTEP = 0.39
"""How far ink goes on beyond a trace's end, in pens; measured on the dev half of the benchmark."""
END_ERROR_PX = 1.0
"""Least error of where rows end, however well they agree."""
PULSE_GAP_PX = 15.0
"""How uncertain a pulse leaves where the signal begins, or ends, that does not meet it: up to 5 mm
of foot or bare paper stand between, as machines differ."""
CLEAR_PX2 = 4.0
"""Variance up to which rows' ends agree on where they stand; by eye."""
STROKE_ERROR_PX = 0.2
"""Least error of where a pulse's stroke stands."""
PERIODS_PX = (0.5, 2.5)
"""Sampling periods of recordings that pages are mostly drawn from, 500 and 100 Hz at 25 mm/s. A
pulse drawn from samples falls within one, so that its stroke leans by it, and the first sample of
the signal stands one before the middle of that stroke (21 clean pages at 500 Hz, two at 100)."""
BEFORE_STROKE_PX = 0.18
"""How much further before it than that; measured on the dev half of the benchmark."""
APART_PX = 5.0
"""Rows that begin so far behind their pulses begin where their ink does."""
AT_ONCE = 0.8
"""Share of the makers whose signal begins right at its pulse; by eye."""
MAX_PULSE_GAP_PEN = 20.0
"""Longest bare stretch between a pulse and the signal behind it, in pens."""
PEN_PERCENTILE = 10.0
"""Of how thick rows are: a trace with noise is thicker than its pen nearly everywhere; by eye."""
MAX_FOOT_PEN = 8.0
"""Longest foot of a pulse before such a stretch, in pens: up to 3 mm."""
MIN_INNER_PULSES = 0.5
"""Share of the rows that must show a pulse between two columns."""
MIN_WITH_PULSE = 0.4
"""Share of the rows with a pulse from which the others begin and end where these do."""
MIN_GAPPED_ROWS = 2
GAPPED_ROWS = 0.6
"""Share of the rows, at least two, that must be bare at a gap between columns."""
MIN_GAP_MM = 2.0
"""Shorter gaps are holes of a trace."""
MAX_PULSE_MM = 8.0
"""Gaps no further apart are the two sides of a pulse."""
PULSE_GAP_MM = 1.0
PULSE_FOOT_MM = 3.0
"""Bare paper of at least `PULSE_GAP_MM` so near an inner pulse belongs to it."""
MAX_GAP_OFF_MM = 15.0
"""How far a gap may lie from the edge that it is for."""
SAME_ROW = 0.6
"""Names whose middles are less than so many heights apart stand in one row."""
LEAST_PITCH_MM = 20.0
"""Names nearer than that are of one column."""
PITCH_COST = 25.0
"""Of log odds, for the natural log by which names stand at another pitch than columns."""
GAP_AT_EDGE = 1.5
GAP_INSIDE = 3.0
"""Log odds that gaps at the columns' edges speak for a layout, and gaps elsewhere against it."""
MOST_BESIDE = 0.25
"""How much of a row on either side of a place is compared, at most."""
FEWEST_EDGES = 3
"""Columns between so many edges are 5 s long: their halves hold enough beats to compare."""
MIN_SHAPE_MM = 10.0
"""A shorter stretch of a row is not compared."""
SHAPE_QUANTILES = np.linspace(0.01, 0.99, 50)
SHAPE_NOISE_MM = 0.1
"""Added to heights, so that two flat stretches are alike."""
USUAL_CONTRAST = 0.15
CHANGE_WEIGHT = 8.0
MOST_CHANGE = 4.0
"""How a contrast of heights at and off the edges, beyond the usual one, becomes log odds."""
COLUMN_S = {1: 10.0, 2: 5.0, 3: 10.0 / 3, 4: 2.5}
"""Seconds of a column, by the number of columns."""
SURE = 0.8
"""Probability of a name from which its place counts."""
SAME_LENGTH = 0.008
"""Share by which rows' lengths may differ to be the same."""
NAMES_OFF_MM = 3.0
MOST_OFF_MM = 12.0
MIN_NAMES = 3
"""So many names must stand off the edges, by more than the first and less than the second."""
NAME_OFFSET_MM = (0.0, 2.5)
USUAL_NAME_OFFSET_MM, FAR_NAME_OFFSET_MM = 1.5, 5.5
"""How far right of a column's start its name begins: at least and at most, and usually; and at most
where columns were nowhere near their names."""
SEPARATOR_OFF_MM, SEPARATOR_SLACK_MM = 4.0, 0.4
"""How far off separators are looked for, and how unevenly they may stand."""
SEPARATOR_AGREES_MM = 0.5
"""Separators stand at most 0.3 mm off where columns begin (22 pages with truth, several makers):
where they are further off, the rows' ends were misread, though they seemed known."""
RULED_ROWS = 0.6
"""Share of the rows that must show a separator at each inner edge."""
MIN_RULED = 0.4
"""Share of the edges of rows that must show a separator for it to tell rows from strips; by eye."""
RULED_ODDS = 3.0
"""Log odds against a rhythm strip that separators part as they part the rows above it; by eye."""
BREAK_SIDE_MM = 0.6
FULL_BREAK_MM = 1.0
MIN_BREAK, CLEARER_BREAK = 0.5, 0.25
"""Least share of `FULL_BREAK_MM` by which a row's level jumps over `BREAK_SIDE_MM` at a break, and
by how much more rows must break off at another width than the usual one."""


@dataclass(frozen=True, eq=False)
class Columns:
    """Where columns start and end on the page (px), and at what second each begins; (columns,)."""

    starts: Array
    ends: Array
    begin_s: Array


def signal_span(paths: Sequence[RowPath], pulses: Sequence[Pulse]) -> list[tuple[float, float]]:
    """Where the signal of each row begins and ends (px).

    A pulse's inner stroke is where the signal begins or ends; without one it is the trace's own
    end, which the ink oversteps a little.
    """
    pen = _pen(paths)
    before = _period_px(pulses) + BEFORE_STROKE_PX
    left = {p.row: p.x1 - before for p in pulses if p.side == "left"}
    right = {p.row: p.x0 for p in pulses if p.side == "right"}
    apart = starts_apart(paths, pulses)
    left = {row: x - 0.5 + OVERSTEP * pen for row, x in apart.items()} or left
    spans = []
    for row, path in enumerate(paths):
        x0, x1 = path.ends[0] + OVERSTEP * pen, path.ends[1] - OVERSTEP * pen
        spans.append(
            (
                max(x0, _end_at(left, row, len(paths), x0)),
                min(x1, _end_at(right, row, len(paths), x1)),
            )
        )
    return spans


def _pen(paths: Sequence[RowPath]) -> float:
    thickness = np.concatenate([path.bottom - path.top for path in paths])
    return float(np.nanpercentile(thickness, PEN_PERCENTILE))


def _period_px(pulses: Sequence[Pulse]) -> float:
    """From one sample to the next, as the lean of the pulses' strokes tells."""
    leans = [pulse.lean for pulse in pulses if pulse.lean]
    usual = float(np.median(leans)) if leans else 0.0
    return min(PERIODS_PX, key=lambda period: abs(period - usual))


def _end_at(pulses: Mapping[int, float], row: int, rows: int, own: float) -> float:
    """Where the pulses end a row's signal: below one another, but a lone one ends its own row."""
    usual = float(np.median(list(pulses.values()))) if pulses else own
    return usual if row in pulses or len(pulses) >= MIN_WITH_PULSE * rows else own


def starts_apart(paths: Sequence[RowPath], pulses: Sequence[Pulse]) -> dict[int, float]:
    """Where rows go on after bare paper behind their pulses (px), by row.

    Empty where they go on at once: where fewer than half of the rows, or one of several, seem to
    leave such a gap, it is a hole in a trace.
    """
    pen = _pen(paths)
    left = [pulse for pulse in pulses if pulse.side == "left"]
    for foot, gap in ((pen, 1.0), (MAX_FOOT_PEN * pen, APART_PX)):
        found = {p.row: x for p in left if (x := _after_gap(paths[p.row], p, pen, foot, gap))}
        if foot > pen and found:  # behind a longer foot all go on at one place
            usual = float(np.median(list(found.values())))
            found = {row: x for row, x in found.items() if abs(x - usual) < pen}
        if 2 * len(found) >= len(left) and (len(found) > 1 or len(left) == 1):
            return found
    return {}


def _after_gap(
    path: RowPath, pulse: Pulse, pen: float, most_foot: float, least_gap: float
) -> float | None:
    """Where a row goes on after bare paper behind its pulse (px); None where it goes on at once."""
    first = int(np.ceil(pulse.x1 + 2 * pen))
    last = int(pulse.x1 + MAX_PULSE_GAP_PEN * pen)
    known = np.isfinite(path.centre[first : last + 1])
    foot = 0 if known.all() else int(np.argmin(known))
    if not known[foot:].any() or known[foot] or foot > most_foot:
        return None
    gap = int(np.argmax(known[foot:]))
    return float(first + foot + gap) if gap >= least_gap else None


def boundaries(
    columns: int,
    rows: Sequence[RowPath],
    spans: Sequence[tuple[float, float]],
    pulses: Sequence[Pulse],
    labels: Sequence[Label],
    px_per_mm: float,
    speed: float,
) -> Array:
    """Edges (columns + 1,) in px of the columns of ``rows``; ``spans`` and labels are theirs.

    Columns are equally wide; how wide, the row's length says, unless the names that were read
    stand at another regular distance (a page cut off at the right, say). A row about as long as
    usual is as long as usual, unless both its ends stand clear of all else; and where it stands,
    the end says that the rows agree on best; the last sample is drawn one period before the end.
    Where the rows' ends leave it open, separators decide, then names, which also tell if a mark on
    the left has made the rows too long.
    """
    x0 = float(np.median([s[0] for s in spans]))
    x1 = float(np.median([s[1] for s in spans]))
    nominal = COLUMN_S[columns] * columns * speed * px_per_mm
    length = x1 - x0
    at_left, at_right = ([span[side] for span in spans] for side in (0, 1))
    beside = [p.x1 for p in pulses if p.side == "left"]
    left = [x for x in beside if x0 < x + APART_PX]
    clear = max(_variance(ends, END_ERROR_PX) for ends in (at_left, at_right)) < CLEAR_PX2
    off_nominal = abs(length / nominal - 1)
    own = bool(clear and beside and not left) and SAME_LENGTH < off_nominal < NOMINAL_TOLERANCE
    if off_nominal < NOMINAL_TOLERANCE and not own:
        right = [p.x0 for p in pulses if p.side == "right"]
        drawn = nominal - _period_px(pulses)
        x0 = _start(
            (x0, _variance(left or at_left, PULSE_GAP_PX if left else END_ERROR_PX)),
            (x1 - drawn, _variance(right or at_right, PULSE_GAP_PX if right else END_ERROR_PX)),
            _variance(left, STROKE_ERROR_PX) if left else None,
        )
        x1 = x0 + nominal
    width = (x1 - x0) / columns
    pitch = _label_pitch(columns, labels, nominal / columns)
    if pitch is not None and abs(pitch / width - 1) > PITCH_TOLERANCE:
        usual = nominal / columns
        width = usual if abs(pitch / usual - 1) < PITCH_TOLERANCE else pitch
    edges = np.asarray(x0 + width * np.arange(columns + 1), dtype=np.float64)
    usual = nominal / columns
    known = own or off_nominal < SAME_LENGTH
    off = _off_separators(edges, rows, px_per_mm)
    if off is not None and not (known and abs(off) <= SEPARATOR_AGREES_MM * px_per_mm):
        return edges + off
    if known or pitch is None or abs(pitch / usual - 1) > PITCH_TOLERANCE:
        return edges
    by_right = np.asarray(x1 - nominal + usual * np.arange(columns + 1), dtype=np.float64)
    if _fit_names(by_right, labels, px_per_mm) and not _fit_names(edges, labels, px_per_mm):
        edges = by_right
    about_usual = off_nominal < NOMINAL_TOLERANCE
    return _at_names(edges, rows, labels, (usual, pitch), px_per_mm, about_usual=about_usual)


def _beside_names(
    starts: Array, labels: Sequence[Label], px_per_mm: float
) -> tuple[Array, Array, Array]:
    """Where each surely read name begins (px), the place among ``starts`` (px) of columns that is
    nearest to it, and how far right of there the name begins (mm); (names,) each."""
    at = np.array([label.box[0] for label in labels if label.probability > SURE])
    apart = (at[:, None] - starts) / px_per_mm
    column = np.abs(apart).argmin(axis=1)
    return at, column, apart[np.arange(len(at)), column]


def _fit_names(edges: Array, labels: Sequence[Label], px_per_mm: float) -> bool:
    """Whether the names stand where these columns begin."""
    *_, off = _beside_names(edges[1:-1], labels, px_per_mm)
    near = off[np.abs(off) < MOST_OFF_MM]
    return len(near) >= MIN_NAMES and abs(float(np.median(near))) < NAMES_OFF_MM


def _start(
    by_left: tuple[float, float], by_right: tuple[float, float], of_stroke: float | None
) -> float:
    """Where rows begin (px), of where either end puts it and how uncertainly (px squared).

    ``of_stroke`` is how uncertain the left end is if the signal begins right at a pulse's stroke.
    Whether it does, the right end confirms or contradicts; no signal begins before its pulse has
    ended: such a row is shorter than usual.
    """
    (left, of_left), (right, of_right) = by_left, by_right
    mean = (left / of_left + right / of_right) / (1 / of_left + 1 / of_right)
    if of_stroke is None:
        return mean
    if right < left:
        return left

    def likely(variance: float) -> float:
        return float(np.exp(-((left - right) ** 2) / (2 * variance)) / np.sqrt(variance))

    yes, no = AT_ONCE * likely(of_stroke + of_right), (1 - AT_ONCE) * likely(of_left + of_right)
    return (yes * left + no * mean) / (yes + no)


def _off_separators(edges: Array, rows: Sequence[RowPath], px_per_mm: float) -> float | None:
    """How far (px) beyond the columns' edges separators part them; None where most rows show
    none."""
    seen = _ruled(rows, px_per_mm).mean(axis=0)
    reach = int(SEPARATOR_OFF_MM * px_per_mm)
    shifts = np.arange(-reach, reach + 1)
    at = np.clip(np.round(edges[1:-1, None] + shifts).astype(int), 0, len(seen) - 1)
    share = seen[at].min(axis=0, initial=1.0)
    if len(at) == 0 or share.max() < RULED_ROWS:
        return None
    return float(np.median(shifts[share >= share.max()]))


def _ruled(rows: Sequence[RowPath], px_per_mm: float) -> Array:
    """1 where a separator stands across, above or below each row, else 0; (rows, W)."""
    from scipy.ndimage import maximum_filter1d

    seen = [np.zeros(len(row.y)) if row.ruled is None else row.ruled for row in rows]
    slack = int(SEPARATOR_SLACK_MM * px_per_mm) | 1
    return np.asarray(maximum_filter1d(np.array(seen, np.float64), slack, axis=1))


def ruled_evidence(
    rows: Sequence[RowPath], strips: Sequence[RowPath], edges: Array, px_per_mm: float
) -> float:
    """What separators say for these columns: they part the rows of leads, not a rhythm strip."""
    if len(edges) < FEWEST_EDGES or not strips:
        return 0.0
    at = np.round(edges[1:-1]).astype(int)
    at = at[(at >= 0) & (at < len(rows[0].y))]
    if not len(at):
        return 0.0
    parted = _ruled([*rows, *strips], px_per_mm)[:, at].mean(axis=1)
    alike = parted[len(rows) :] >= parted[: len(rows)].mean()
    return -RULED_ODDS * float(alike.sum()) if parted[: len(rows)].mean() > MIN_RULED else 0.0


def _at_names(
    edges: Array,
    rows: Sequence[RowPath],
    labels: Sequence[Label],
    widths: Sequence[float],
    px_per_mm: float,
    *,
    about_usual: bool,
) -> Array:
    """Columns of one of ``widths``, the usual one first, that begin shortly before their names,
    where rows break off.

    For rows that are no 10 s long though their names stand at about the usual distance: a pulse
    half in the picture, or unread, or a page cut off at the right tell nothing of where columns
    begin. Names further off tell it only of rows so long that all columns have room behind them: on
    some pages names stand over the middle of their columns. Edges that fit the names stay if rows
    break off there as clearly.
    """
    at, column, off = _beside_names(edges[1:-1], labels, px_per_mm)
    beside = np.abs(off) < MOST_OFF_MM
    near = beside.sum() >= MIN_NAMES
    if not near:
        if about_usual:
            return edges
        at, column, off = _beside_names(edges[:-1], labels, px_per_mm)
        column = column - 1
        alike = np.abs(off[:, None] - off) < NAMES_OFF_MM
        if alike.sum(axis=1).max(initial=0) < MIN_NAMES:
            return edges
        beside = alike[alike.sum(axis=1).argmax()]
        first = float(np.median(at[beside] - widths[0] * (column[beside] + 1)))
        end = float(np.median([row.ends[1] for row in rows]))
        if first + widths[0] * (len(edges) - 1) > end + FAR_NAME_OFFSET_MM * px_per_mm:
            return edges
    breaks = np.mean([_breaks(row, px_per_mm) for row in rows], axis=0)

    def broken(starts: Array, width: float) -> Array:
        columns = starts[:, None] + width * np.arange(1, len(edges) - 1)
        where = np.clip(np.round(columns).astype(int), 0, len(breaks) - 1)
        return np.asarray(breaks[where].mean(axis=1))

    now = float(broken(edges[:1], edges[1] - edges[0])[0])
    most = NAME_OFFSET_MM[1] if near else FAR_NAME_OFFSET_MM
    low, high = (int(mm * px_per_mm) for mm in (NAME_OFFSET_MM[0], most))
    found = []
    for width in widths:
        names = float(np.median(at[beside] - width * (column[beside] + 1)))
        starts = np.asarray(names - np.arange(low, high + 1), dtype=np.float64)
        each = broken(starts, width)
        place = float(np.median(starts[each > each.max() - 1e-9]))
        usual = names - USUAL_NAME_OFFSET_MM * px_per_mm
        found.append((float(each.max()), place if each.max() > MIN_BREAK else usual, width))
    clearest = max(found, key=lambda one: one[0])
    best, start, width = clearest if clearest[0] > found[0][0] + CLEARER_BREAK else found[0]
    as_wide = abs((edges[1] - edges[0]) / widths[0] - 1) < SAME_LENGTH
    fit = as_wide and _fit_names(edges, labels, px_per_mm)
    if fit and now > best - MIN_BREAK:
        return edges
    return np.asarray(start + width * np.arange(len(edges)), dtype=np.float64)


def _breaks(row: RowPath, px_per_mm: float) -> Array:
    """How much a row's trace breaks off at each column of px, 0 to 1: a jump, a gap or a tick."""
    from scipy.ndimage import median_filter

    known = np.isfinite(row.centre)
    columns = np.arange(len(row.centre))
    level = np.interp(columns, columns[known], row.centre[known])
    size = max(3, int(BREAK_SIDE_MM * px_per_mm))
    level = median_filter(level, size)
    jump = np.abs(np.roll(level, -size) - np.roll(level, size)) / (FULL_BREAK_MM * px_per_mm)
    return np.asarray(np.where(known, np.clip(jump, 0.0, 1.0), 1.0))


def _variance(ends: Sequence[float], least: float) -> float:
    """Of the median of where the rows begin, or end; ``least`` is the standard deviation (px) that
    remains however well they agree.
    """
    deviation = np.median(np.abs(np.asarray(ends) - np.median(ends)))
    return float(2.2 * deviation**2 / len(ends) + least**2)


def _label_pitch(columns: int, labels: Sequence[Label], usual: float) -> float | None:
    """Distance (px) between the columns of names, from names that stand in the same rows.

    Which columns two names are of depends on the order of the leads: by the right one, all pairs
    tell the same distance. Where by none they do, the leads stand in an order of their own, and
    neighbours in a row tell it, if they stand about ``usual`` px apart.
    """
    if columns < 2:
        return None
    orders = [_steps(labels, _columns_of(order, columns)) for order in (LEADS, CABRERA)]
    found = [steps for steps in orders if len(steps) >= MIN_STEPS]
    agreed = [float(np.median(np.abs(steps / np.median(steps) - 1))) for steps in found]
    if not found:
        return None
    if min(agreed) <= PITCH_TOLERANCE:
        return float(np.median(found[int(np.argmin(agreed))]))
    near = _steps(labels)
    apart = float(np.median(near)) if len(near) >= MIN_STEPS else 0.0
    return apart if abs(apart / usual - 1) < NEIGHBOURS_TOLERANCE else None


def _columns_of(order: Sequence[str], columns: int) -> dict[str, int]:
    return {name: order.index(name) * columns // len(order) for name in order}


def _steps(labels: Sequence[Label], column: Mapping[str, int] | None = None) -> Array:
    """Distance (px) of columns by each pair of names in one row, given the columns of names; or by
    each name and the next one in its row."""
    sure = [label for label in labels if label.probability > SURE and label.name in LEADS]
    steps = []
    for a in sure:
        level = SAME_ROW * (a.box[3] - a.box[1])
        right = [b for b in sure if b.box[0] > a.box[0] and abs(a.centre[1] - b.centre[1]) < level]
        apart = [b.box[0] - a.box[0] for b in right]
        if column is None:
            steps += [min(apart)] if apart else []
            continue
        by = [column[b.name] - column[a.name] for b in right]
        steps += [distance / n for distance, n in zip(apart, by, strict=True) if n > 0]
    return np.array(steps)


def place_columns(
    edges: Array,
    rows: Sequence[RowPath],
    spans: Sequence[tuple[float, float]],
    pulses: Sequence[Pulse],
    px_per_mm: float,
    speed: float,
) -> Columns:
    """The columns between their edges, or between what parts them: pulses of their own, or gaps.

    A column a little longer than usual begins with the foot of the pulse before it.
    """
    px_per_s = speed * px_per_mm
    repeated = _behind_repeated(edges, spans, pulses, px_per_mm, px_per_s)
    if repeated is not None:
        return repeated
    between = _inner_pulses(rows, edges, px_per_mm) or _gaps(rows, edges, px_per_mm)
    if not between:
        return Columns(edges[:-1], edges[1:], (edges[:-1] - edges[0]) / px_per_s)
    first = float(np.median([x0 for x0, _ in spans]))
    last = float(np.median([x1 for _, x1 in spans]))
    starts = np.array([first, *(x1 for _, x1 in between)], np.float64)
    ends = np.array([*(x0 for x0, _ in between), last], np.float64)
    width = float(np.median(ends - starts)) / px_per_s
    usual = COLUMN_S[len(starts)]
    foot = (ends - starts) - usual * px_per_s
    starts += np.where((foot > 0) & (foot < PULSE_FOOT_MM * px_per_mm), foot, 0.0)
    width = usual if abs(width / usual - 1) < PITCH_TOLERANCE else width
    return Columns(starts, ends, width * np.arange(len(starts), dtype=np.float64))


def _behind_repeated(
    edges: Array,
    spans: Sequence[tuple[float, float]],
    pulses: Sequence[Pulse],
    px_per_mm: float,
    px_per_s: float,
) -> Columns | None:
    """Several columns that each begin as far behind their pulse as the first; None where not each
    has one before it. No column is longer than usual: what is more of the last is the pulse's foot,
    of others paper is left beside them."""
    first, last = (float(np.median(ends)) for ends in zip(*spans, strict=True))
    at_left = [pulse.x1 for pulse in pulses if pulse.side == "left"]
    if not at_left or len(edges) < 3:
        return None
    starts, ends = [first], []
    for edge in edges[1:-1]:
        near = [
            (pulse.x0, pulse.x1)
            for pulse in pulses
            if pulse.side == "inner"
            and INNER_REACH_MM[0] <= (pulse.x0 - edge) / px_per_mm <= INNER_REACH_MM[1]
        ]
        if not near:
            return None
        x0, x1 = np.median(near, axis=0)
        ends.append(float(x0))
        starts.append(first + float(x1 - np.median(at_left)))
    usual = COLUMN_S[len(starts)]
    begins = np.array(starts)
    foot = last - begins[-1] - usual * px_per_s
    begins += foot if 0 < foot < PULSE_FOOT_MM * px_per_mm else 0.0
    return Columns(
        begins,
        np.minimum([*ends, last], begins + usual * px_per_s),
        usual * np.arange(len(starts), dtype=np.float64),
    )


def _inner_pulses(
    rows: Sequence[RowPath], edges: Array, px_per_mm: float
) -> list[tuple[float, float]]:
    """Where the pulses between the columns begin and end (px); none if they are not in each.

    With the bare paper on either side of a pulse that stands by itself.
    """
    between: list[tuple[float, float]] = []
    beside, reach = _bare(rows, px_per_mm, PULSE_GAP_MM), PULSE_FOOT_MM * px_per_mm
    for edge in edges[1:-1]:
        found = inner_pulses(tuple(rows), (float(edge),), px_per_mm)
        if len(found) < max(2.0, MIN_INNER_PULSES * len(rows)):
            return []
        x0, x1 = (
            float(np.median(ends)) for ends in zip(*((p.x0, p.x1) for p in found), strict=True)
        )
        gaps = [gap for gap in beside if gap[0] < x1 + reach and gap[1] > x0 - reach]
        between.append((min([x0, *(g[0] for g in gaps)]), max([x1, *(g[1] for g in gaps)])))
    return between


def _gaps(rows: Sequence[RowPath], edges: Array, px_per_mm: float) -> list[tuple[float, float]]:
    """Where the bare paper between the columns begins and ends (px); none if not between all."""
    bare = _bare(rows, px_per_mm)
    between = []
    for edge in edges[1:-1]:
        near = [gap for gap in bare if _parts(gap, edge, px_per_mm)]
        if not near:
            return []
        between.append(min(near, key=lambda gap: abs(sum(gap) / 2 - edge)))
    return between if len(set(between)) == len(between) else []


def _bare(
    rows: Sequence[RowPath], px_per_mm: float, least_mm: float = MIN_GAP_MM
) -> list[tuple[float, float]]:
    """Stretches (px) between ink in which most of several rows have none.

    A pulse that stands by itself between two columns is part of what parts them.
    """
    if len(rows) < MIN_GAPPED_ROWS:
        return []
    bare = np.mean([~np.isfinite(row.centre) for row in rows], axis=0) > GAPPED_ROWS
    turns = np.flatnonzero(np.diff(bare.astype(np.int8)))
    inner = turns[0 if not bare[0] else 1 :]
    found: list[tuple[float, float]] = []
    for x0, x1 in zip(inner[::2] + 1.0, inner[1::2] + 1.0, strict=False):
        if x1 - x0 <= least_mm * px_per_mm:
            continue
        if found and x0 - found[-1][1] < MAX_PULSE_MM * px_per_mm:
            x0 = found.pop()[0]
        found.append((float(x0), float(x1)))
    return found


def _parts(gap: tuple[float, float], edge: float, px_per_mm: float) -> bool:
    """Whether a gap may be what parts the columns at an edge."""
    return abs(sum(gap) / 2 - edge) < MAX_GAP_OFF_MM * px_per_mm


def pitch_cost(columns: int, labels: Sequence[Label], px_per_mm: float, speed: float) -> float:
    """What names that stand at another distance than usual say against so many columns."""
    at = np.sort(
        [label.box[0] for label in labels if label.probability > SURE and label.name != "I"]
    )
    steps = np.diff(at)
    steps = steps[steps > LEAST_PITCH_MM * px_per_mm]
    if len(steps) < 2:
        return 0.0
    usual = COLUMN_S[columns] * speed * px_per_mm
    return float(PITCH_COST * min(abs(np.log(steps / usual)).mean(), 1.0))


def change_evidence(
    rows: Sequence[RowPath], strips: Sequence[RowPath], edges: Array, px_per_mm: float
) -> float:
    """What the traces' shape says for these columns: it changes where one lead follows another.

    It stays the same across the same place of a rhythm strip, and in the middle of a long column.
    """
    width = edges[1] - edges[0]
    side = min(width, MOST_BESIDE * (edges[-1] - edges[0]))
    middles = (edges[:-1] + edges[1:]) / 2 if len(edges) <= FEWEST_EDGES else edges[:0]

    def changes(rows: Sequence[RowPath], places: Array) -> list[float]:
        found = [_change(row, float(x), side, px_per_mm) for row in rows for x in places]
        return [change for change in found if change is not None]

    differ = changes(rows, edges[1:-1])
    same = changes(strips, edges[1:-1]) + changes(rows, middles)
    if not differ or not same:
        return 0.0
    contrast = float(np.mean(differ) - np.mean(same)) - USUAL_CONTRAST
    return float(np.clip(CHANGE_WEIGHT * contrast, -MOST_CHANGE, MOST_CHANGE))


def _change(row: RowPath, x: float, side: float, px_per_mm: float) -> float | None:
    """How far the heights of a trace ``side`` px left and right of a place differ, in their size.

    Mean distance of their quantiles; None where there is hardly a trace.
    """
    quantiles = []
    for first, last in ((x - side, x), (x, x + side)):
        heights = row.centre[max(0, int(first)) : max(0, int(last))]
        heights = heights[np.isfinite(heights)]
        if len(heights) < MIN_SHAPE_MM * px_per_mm:
            return None
        quantiles.append(np.quantile(heights - np.median(heights), SHAPE_QUANTILES))
    size = np.mean(np.abs(quantiles)) + SHAPE_NOISE_MM * px_per_mm
    return float(np.mean(np.abs(quantiles[0] - quantiles[1])) / size)


def gap_evidence(rows: Sequence[RowPath], edges: Array, px_per_mm: float) -> float:
    """What gaps in the rows say for these columns: gaps stand between columns, not in them."""
    inner = [float(edge) for edge in edges[1:-1]]
    fits = [any(_parts(gap, e, px_per_mm) for e in inner) for gap in _bare(rows, px_per_mm)]
    return GAP_AT_EDGE * min(sum(fits), len(inner)) - GAP_INSIDE * (len(fits) - sum(fits))
