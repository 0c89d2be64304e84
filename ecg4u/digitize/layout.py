"""Which lead stands where: rows and columns from the traces, names from labels and convention.

Every geometry that the number of rows allows is tried (columns, rhythm strips, conventional,
Cabrera or free order); the names that were read vote for the cells they stand beside, and the best
explanation wins. A cell whose name was not read takes it from the layout and says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ecg4u.digitize.calibration import Pulse, inner_pulses
from ecg4u.digitize.result import Label, Layout, NamedBy, RowSegment
from ecg4u.digitize.trace import RowPath
from ecg4u.record import DEFAULT_FS_HZ, LEADS

Array = npt.NDArray[np.float64]

CABRERA = ("aVL", "I", "aVR", "II", "aVF", "III", "V1", "V2", "V3", "V4", "V5", "V6")
COLUMN_S = {1: 10.0, 2: 5.0, 3: 10.0 / 3, 4: 2.5}
MISREAD = 0.03
PRIOR_STANDARD = 4.0
PRIOR_CABRERA = 1.0
LABEL_BEFORE_MM = 14.0
LABEL_AFTER_MM = 18.0
ROW_REACH_MM = 16.0
NOMINAL_TOLERANCE = 0.02
"""A row this near to its nominal 10 s is taken to be 10 s; its ends are known to about 0.3 mm."""
PITCH_TOLERANCE = 0.05
OVERSTEP = 0.18
"""How far ink goes on beyond a trace's end, in pens; measured on the dev half of the benchmark."""
END_ERROR_PX = 0.7
PULSE_END_ERROR_PX = 2.0
"""How soon behind its pulse a signal begins differs from machine to machine."""
MAX_PULSE_GAP_PEN = 20.0
SURE = 0.8
MIN_INNER_PULSES = 0.5
UNLABELLED_COST = 1.2
MAX_WEAK = 0.34
UNUSUAL_ORDER_COST = 6.0
"""An order that no machine prints by default needs several names read to be believed."""
SURE_SCORE = math.log((SURE + MISREAD) / (MISREAD * 2))
"""Score of a label that is read with the probability `SURE`."""
RHYTHM_PRIOR = {"II": 1.5, "V1": 1.0, "V5": 0.5, "aVR": -2.0, "aVL": -2.0, "aVF": -2.0}
STROKE_NAME_WEIGHT = 0.35
"""A lone upright stroke is often no name: separators, pulses and QRS complexes look like I."""
GUESS_TOLERANCE = 0.08


@dataclass(frozen=True)
class _Geometry:
    """A way to divide the page: ``columns`` in the first ``rows`` rows, rhythm strips below."""

    rows: int
    columns: int
    rhythm: int

    @property
    def cells(self) -> int:
        return self.rows * self.columns

    @property
    def name(self) -> str:
        strips = f"+{self.rhythm}" if self.rhythm else ""
        return f"{self.rows}x{self.columns}{strips}"


@dataclass(frozen=True, eq=False)
class _Columns:
    """Where columns start and end on the page (px), and at what second each begins; (columns,)."""

    starts: Array
    ends: Array
    begin_s: Array


GEOMETRIES = (
    *(_Geometry(3, 4, n) for n in range(4)),
    *(_Geometry(6, 2, n) for n in range(3)),
    _Geometry(12, 1, 0),
    *(_Geometry(4, 3, n) for n in range(2)),
)
GEOMETRY_PRIOR = {"3x4": 1.0, "3x4+1": 2.0, "3x4+2": 0.5, "3x4+3": 1.0, "6x2": 1.5, "6x2+1": 1.0}
PARTIAL = tuple(_Geometry(rows, 1, 0) for rows in range(1, 12))


def _standard(geometry: _Geometry, order: Sequence[str]) -> list[str]:
    """Names cell by cell (row-major) when leads run down the columns in the given order."""
    names = []
    for row in range(geometry.rows):
        for column in range(geometry.columns):
            index = column * geometry.rows + row
            names.append(order[index] if index < len(order) else "")
    return names


def signal_span(paths: Sequence[RowPath], pulses: Sequence[Pulse]) -> list[tuple[float, float]]:
    """Where the signal of each row begins and ends (px).

    A pulse's inner stroke is where the signal begins or ends; without one it is the trace's own
    end, which the ink oversteps a little.
    """
    pen = float(np.median([np.nanmedian(p.bottom - p.top) for p in paths]))
    left = [p.x1 for p in pulses if p.side == "left"]
    right = [p.x0 for p in pulses if p.side == "right"]
    apart = [start for p in pulses if (start := _after_gap(paths[p.row], p, pen)) is not None]
    if len(apart) > len(left) / 2:
        left = [start + OVERSTEP * pen for start in apart]
    spans = []
    for path in paths:
        x0, x1 = path.extent[0] + OVERSTEP * pen, path.extent[1] - OVERSTEP * pen
        if left:
            x0 = max(x0, float(np.median(left)))
        if right:
            x1 = min(x1, float(np.median(right)))
        spans.append((x0, x1))
    return spans


def _after_gap(path: RowPath, pulse: Pulse, pen: float) -> float | None:
    """Where a row goes on after bare paper behind its pulse (px); None where it goes on at once."""
    first = int(np.ceil(pulse.x1 + 2 * pen))
    last = int(pulse.x1 + MAX_PULSE_GAP_PEN * pen)
    known = np.isfinite(path.centre[first : last + 1])
    if pulse.side != "left" or not known.any() or known[0]:
        return None
    return float(first + int(np.argmax(known)))


def _boundaries(
    geometry: _Geometry,
    spans: Sequence[tuple[float, float]],
    pulses: Sequence[Pulse],
    labels: Sequence[Label],
    px_per_mm: float,
    speed: float,
) -> Array:
    """Column edges (columns + 1,) in px.

    Columns are equally wide; how wide, the row's length says, unless the names that were read
    stand at another regular distance (a page cut off at the right, say). A row about as long as
    usual is as long as usual, and where it stands, the end says that the rows agree on best; the
    last sample is drawn one period before the end.
    """
    rows = spans[: geometry.rows]
    x0 = float(np.median([s[0] for s in rows]))
    x1 = float(np.median([s[1] for s in rows]))
    nominal = COLUMN_S[geometry.columns] * geometry.columns * speed * px_per_mm
    if abs((x1 - x0) / nominal - 1) < NOMINAL_TOLERANCE:
        left = [p.x1 for p in pulses if p.side == "left"]
        right = [p.x0 for p in pulses if p.side == "right"]
        trust_left = 1.0 / _variance(left or [s[0] for s in rows], bool(left))
        trust_right = 1.0 / _variance(right or [s[1] for s in rows], bool(right))
        drawn = nominal - speed * px_per_mm / DEFAULT_FS_HZ
        x0 = (x0 * trust_left + (x1 - drawn) * trust_right) / (trust_left + trust_right)
        x1 = x0 + nominal
    width = (x1 - x0) / geometry.columns
    pitch = _label_pitch(geometry.columns, labels)
    if pitch is not None and abs(pitch / width - 1) > PITCH_TOLERANCE:
        usual = nominal / geometry.columns
        width = usual if abs(pitch / usual - 1) < PITCH_TOLERANCE else pitch
    return np.asarray(x0 + width * np.arange(geometry.columns + 1), dtype=np.float64)


def _variance(ends: Sequence[float], at_pulses: bool) -> float:
    """Of the median of where the rows begin, or end (px squared)."""
    deviation = np.median(np.abs(np.asarray(ends) - np.median(ends)))
    least = PULSE_END_ERROR_PX if at_pulses else END_ERROR_PX
    return float(2.2 * deviation**2 / len(ends) + least**2)


def _label_pitch(columns: int, labels: Sequence[Label]) -> float | None:
    """Distance (px) between the columns of names, from names that stand in the same rows."""
    if columns < 2:
        return None
    order = {name: LEADS.index(name) * columns // len(LEADS) for name in LEADS}
    sure = [label for label in labels if label.probability > SURE]
    steps = []
    for a in sure:
        for b in sure:
            apart = order[b.name] - order[a.name]
            level = abs(a.centre[1] - b.centre[1]) < 0.6 * (a.box[3] - a.box[1])
            if apart > 0 and level and b.box[0] > a.box[0]:
                steps.append((b.box[0] - a.box[0]) / apart)
    return float(np.median(steps)) if len(steps) >= 3 else None


def _cell_of(
    label: Label, edges: Array, baselines: Sequence[float], px_per_mm: float
) -> tuple[int, list[tuple[int, float]]] | None:
    """Column of a label and the rows it may name, each with a log-likelihood."""
    x = label.box[0]
    starts = edges[:-1]
    offset = (x - starts) / px_per_mm
    fits = np.flatnonzero((offset > -LABEL_BEFORE_MM) & (offset < LABEL_AFTER_MM))
    if len(fits) == 0:
        return None
    column = int(fits[np.argmin(np.abs(offset[fits]))])
    y = label.centre[1]
    rows = []
    for row, baseline in enumerate(baselines):
        distance = abs(y - baseline) / px_per_mm
        if distance < ROW_REACH_MM:
            rows.append((row, -distance / 6.0))
    return (column, rows) if rows else None


def _label_scores(
    geometry: _Geometry,
    edges: Array,
    baselines: Sequence[float],
    labels: Sequence[Label],
    px_per_mm: float,
    below: bool,
) -> Array:
    """Log-odds of each name in each cell and strip, ((cells + rhythm), 12)."""
    scores = np.zeros((geometry.cells + geometry.rhythm, len(LEADS)))
    for label in labels:
        placed = _cell_of(label, edges, baselines, px_per_mm)
        if placed is None:
            continue
        column, rows = placed
        y = label.centre[1]
        preferred = [r for r, _ in rows if (baselines[r] <= y) == below] or [r for r, _ in rows]
        row = min(preferred, key=lambda r: abs(baselines[r] - y))
        if row < geometry.rows:
            cell = row * geometry.columns + column
        elif row < geometry.rows + geometry.rhythm and column == 0:
            cell = geometry.cells + row - geometry.rows
        else:
            continue
        probability = min(label.probability, 0.995)
        gain = math.log((probability + MISREAD) / (MISREAD * 2))
        gain *= STROKE_NAME_WEIGHT if label.name == "I" else 1.0
        scores[cell, LEADS.index(label.name)] += max(gain, 0.0)
    return scores


def _assign(scores: Array) -> tuple[list[str], float]:
    """One name per cell, each name once, with the largest sum of scores."""
    from scipy.optimize import linear_sum_assignment

    cells, names = linear_sum_assignment(-scores)
    chosen = [""] * scores.shape[0]
    for cell, name in zip(cells, names, strict=True):
        chosen[cell] = LEADS[name]
    return chosen, float(scores[cells, names].sum())


def _explanations(geometry: _Geometry, scores: Array) -> list[tuple[float, list[str]]]:
    """Possible namings of the cells with their total score."""
    cell_scores = scores[: geometry.cells]
    total = []
    orders = ((LEADS, PRIOR_STANDARD), (CABRERA, PRIOR_CABRERA))
    for order, prior in orders if geometry.cells == len(LEADS) else ():
        names = _standard(geometry, order)
        total.append((prior + _agreement(cell_scores, names), names))
    names, free = _assign(cell_scores)
    unread = [cell for cell, name in enumerate(names) if cell_scores[cell].max() <= 0.5]
    if geometry.cells != len(LEADS) or len(unread) > 1:
        for cell in unread:
            names[cell] = ""
    if len(unread) < geometry.cells:
        unusual = UNUSUAL_ORDER_COST if geometry.cells == len(LEADS) else 0.0
        total.append((free - unusual - UNLABELLED_COST * len(unread), names))
    return total


def _agreement(scores: Array, names: Sequence[str]) -> float:
    """Score of given names: what agrees counts for, a stronger other name counts against."""
    labelled = int((scores.max(axis=1) > 0.5).sum())
    value = 0.0
    for cell, name in enumerate(names):
        own = scores[cell, LEADS.index(name)] if name in LEADS else 0.0
        value += own - 0.8 * max(0.0, float(scores[cell].max()) - own)
        if labelled >= 3 and scores[cell].max() <= 0.5:
            value -= UNLABELLED_COST
    return value


def find_layout(
    paths: Sequence[RowPath],
    pulses: Sequence[Pulse],
    labels: Sequence[Label],
    px_per_mm: float,
    speed_mm_per_s: float,
) -> Layout:
    """Decide the layout of a page.

    Parameters
    ----------
    paths : rows of the page, top to bottom.
    pulses : calibration pulses; what they cover is no signal.
    labels : lead names read on the page, with their probabilities.
    px_per_mm, speed_mm_per_s : scale of the rectified page.
    """
    spans = signal_span(paths, pulses)
    baselines = [path.baseline for path in paths]
    best: tuple[float, _Geometry, list[str], Array, Array] | None = None
    options = [g for g in (*GEOMETRIES, *PARTIAL) if g.rows + g.rhythm == len(paths)]
    for geometry in options:
        edges = _boundaries(geometry, spans, pulses, labels, px_per_mm, speed_mm_per_s)
        for below in (True, False):
            scores = _label_scores(geometry, edges, baselines, labels, px_per_mm, below)
            for value, names in _explanations(geometry, scores):
                value += GEOMETRY_PRIOR.get(geometry.name, 0.0)
                if best is None or value > best[0]:
                    best = (value, geometry, names, scores, edges)
    if best is None:
        return Layout("unknown", (), 0.0, ("The arrangement of the leads was not recognised.",))
    _, geometry, names, scores, edges = best
    warnings = _doubts(geometry, names, scores, edges, px_per_mm, speed_mm_per_s)
    if warnings is None:
        return Layout(geometry.name, (), 0.0, ("The names of the leads could not be read.",))
    columns = _columns(geometry, edges, paths, spans, px_per_mm, speed_mm_per_s)
    built = _build(geometry, names, scores, columns, spans, speed_mm_per_s, px_per_mm)
    return replace(built, warnings=warnings)


def _columns(
    geometry: _Geometry,
    edges: Array,
    paths: Sequence[RowPath],
    spans: Sequence[tuple[float, float]],
    px_per_mm: float,
    speed: float,
) -> _Columns:
    """The columns between their edges; those that begin with pulses of their own begin behind."""
    px_per_s = speed * px_per_mm
    rows = paths[: geometry.rows]
    own = [inner_pulses(tuple(rows), (float(edge),), px_per_mm) for edge in edges[1:-1]]
    if not own or min(len(found) for found in own) < max(2.0, MIN_INNER_PULSES * len(rows)):
        return _Columns(edges[:-1], edges[1:], (edges[:-1] - edges[0]) / px_per_s)
    first = float(np.median([x0 for x0, _ in spans[: geometry.rows]]))
    last = float(np.median([x1 for _, x1 in spans[: geometry.rows]]))
    starts = np.array([first, *(np.median([p.x1 for p in found]) for found in own)], np.float64)
    ends = np.array([*(np.median([p.x0 for p in found]) for found in own), last], np.float64)
    width = float(np.median(ends - starts)) / px_per_s
    usual = COLUMN_S[geometry.columns]
    width = usual if abs(width / usual - 1) < PITCH_TOLERANCE else width
    return _Columns(starts, ends, width * np.arange(geometry.columns, dtype=np.float64))


def _clip(
    x0: float, x1: float, span: tuple[float, float], slack: float = 8.0
) -> tuple[float, float]:
    """A cell cut to where its row has signal; ends within ``slack`` px are left as they are."""
    return (
        x0 if span[0] - x0 < slack else span[0],
        x1 if x1 - span[1] < slack else span[1],
    )


def _doubts(
    geometry: _Geometry,
    names: Sequence[str],
    scores: Array,
    edges: Array,
    px_per_mm: float,
    speed: float,
) -> tuple[str, ...] | None:
    """What is doubtful about the names; None where they would be mere guesses."""
    read = [n for cell, n in enumerate(names) if n and _named_by(scores[cell], n)[0] == "label"]
    nominal = COLUMN_S[geometry.columns] * speed * px_per_mm
    if not read and abs((edges[1] - edges[0]) / nominal - 1) > GUESS_TOLERANCE:
        return None
    doubts = []
    for cell, name in enumerate(names):
        rival = int(scores[cell].argmax())
        own = scores[cell, LEADS.index(name)] if name else 0.0
        if name and scores[cell, rival] > own + 1.0:
            doubts.append(f"A name that reads {LEADS[rival]} stands where {name} is expected.")
    usual = any(list(names) == _standard(geometry, order) for order in (LEADS, CABRERA))
    weak = [n for cell, n in enumerate(names) if n in read and _weak(scores[cell], n)]
    if not usual and len(weak) > MAX_WEAK * len(read):
        doubts.append(
            f"The leads stand in no usual order, and the names {', '.join(weak)} were read with "
            "doubt: they may be wrong."
        )
    if len(read) < len([n for n in names if n]) / 3:
        doubts.append(
            f"Only {len(read)} lead names could be read; the others follow the usual order."
        )
    return tuple(doubts)


def _weak(scores: Array, name: str) -> bool:
    """Whether a name was read with doubt; of a lone I, which always is, nothing is said."""
    return name != "I" and float(scores[LEADS.index(name)]) < SURE_SCORE


def _named_by(scores: Array, name: str) -> tuple[NamedBy, float]:
    own = float(scores[LEADS.index(name)])
    rival = float(np.delete(scores, LEADS.index(name)).max())
    if own > 0.5 and own > rival:
        return "label", 1.0 - 0.5 * math.exp(-own)
    return "layout", 0.5


def _build(
    geometry: _Geometry,
    names: list[str],
    scores: Array,
    columns: _Columns,
    spans: Sequence[tuple[float, float]],
    speed: float,
    px_per_mm: float,
) -> Layout:
    segments = []
    px_per_s = speed * px_per_mm
    for cell, name in enumerate(names):
        if not name:
            continue
        row, column = divmod(cell, geometry.columns)
        named_by, probability = _named_by(scores[cell], name)
        x0, x1 = _clip(columns.starts[column], columns.ends[column], spans[row])
        if x1 <= x0:
            continue
        start = (x0 - columns.starts[column]) / px_per_s + columns.begin_s[column]
        segments.append(RowSegment(name, row, float(x0), float(x1), start, named_by, probability))
    for strip in range(geometry.rhythm):
        row = geometry.rows + strip
        strip_scores = scores[geometry.cells + strip]
        if strip_scores.max() > 0.5:
            usual = np.array([RHYTHM_PRIOR.get(lead, 0.0) for lead in LEADS])
            name = LEADS[int((strip_scores + usual).argmax())]
        else:
            name = "II" if geometry.rhythm == 1 else ("V1", "II", "V5")[strip]
        named_by, probability = _named_by(strip_scores, name)
        x0, x1 = _clip(columns.starts[0], columns.ends[-1], spans[row])
        start = (x0 - columns.starts[0]) / px_per_s
        segments.append(
            RowSegment(name, row, float(x0), float(x1), start, named_by, probability, rhythm=True)
        )
    confidence = float(np.mean([s.probability for s in segments])) if segments else 0.0
    return Layout(geometry.name, tuple(segments), confidence)
