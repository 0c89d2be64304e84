"""Which lead stands where: rows and columns from the traces, names from labels and convention.

Every geometry that the number of rows allows is tried (columns, rhythm strips, conventional,
Cabrera or free order); the names that were read vote for the cells they stand beside, and the best
explanation wins. A cell whose name was not read takes it from the layout and says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ecg4u.digitize.layout.columns import (
    COLUMN_S,
    SURE,
    Columns,
    boundaries,
    change_evidence,
    gap_evidence,
    pitch_cost,
    place_columns,
    ruled_evidence,
    signal_span,
)
from ecg4u.digitize.layout.orders import MOST_SWAPPED
from ecg4u.digitize.rows.beats import likeness, steepness
from ecg4u.digitize.rows.trace import RowPath, local_height
from ecg4u.digitize.scale.pulses import Pulse
from ecg4u.digitize.signals.physiology import STRIP_PRIOR, STRIP_RARE
from ecg4u.digitize.text.names import NAMES
from ecg4u.digitize.types import Label, Layout, NamedBy, RowSegment
from ecg4u.messages import message
from ecg4u.record import CABRERA, LEADS, LIMB_LEADS

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Params:
    """Numbers of the decision which lead stands where.

    What speaks for or against an arrangement is in natural log odds and summed; lengths in mm are
    on paper. Weights and costs were chosen by eye, so that the development pages come out right and
    the drawn pages of `ecg4u.paper` with every layout; no measurement stands behind one alone.
    """

    most_strips: int = 3
    """Rhythm strips under the columns; no maker known prints more."""
    standard: float = 4.0
    cabrera: float = 1.0
    """For the usual order of leads, and for Cabrera's, against a free order."""
    partial: float = -3.0
    """For an order some rows of which are out of sight."""
    free: float = -3.0
    """For an order that no machine prints by default, all such orders together: one page for a
    thousand of the usual order."""
    misread: float = 0.03
    """How often a name is read wrongly, added to its probability: by an earlier reader alone, 0.034
    of drawn words and 0.063 of the windows about names of drawn pages; by the one that ships, alone
    too, 0.033 and 0.070 (``weights/names.json``)."""
    overstated: float = 4.0
    """By how much the odds of a name that was read are overstated: of 49 read at 0.5 to 0.97 on 26
    pages of strange looks (seeds 84000 on) 30 were right, of 183 read at more 174; measured with
    the reader alone, before a network found the names."""
    most_probable: float = 0.995
    """No name counts for more than one read with this probability."""
    stroke_weight: float = 0.35
    """What an I counts of what another name does: separators and pulses look like it."""
    read: float = 0.5
    """Log odds from which a cell's name was read."""
    stronger: float = 1.0
    """By how much another name must be likelier in a cell for a doubt."""
    fewest_labelled: int = 2
    """Names from which a page is one that prints names, and cells without one are unusual."""
    fewest_of_partial: int = 3
    """Names that must be read for some rows to be taken for a part of the page."""
    any_leads: int = 3
    """Pages of up to so many rows, each of one lead, show whichever leads were chosen."""
    unlabelled: float = 1.2
    """Against each cell without a name on a page that prints names."""
    strip_unlabelled: float = 4.0
    """Against each rhythm strip without a name where those of most leads were read: more than
    `no_trace`, so that the shadow of the page's edge is no strip."""
    most_read: int = 9
    """Names of leads that are most of them."""
    unplaced: float = 0.8
    """Share of a name's log odds that speaks against an arrangement with no place for it."""
    before_mm: float = 14.0
    after_mm: float = 18.0
    """How far before or after its column's beginning a name may start."""
    furthest_mm: float = 28.0
    """How far over or under its trace a name may stand: just over the usual pitch of rows."""
    far_per_mm: float = 0.1
    """Against each mm between the names and their traces."""
    spread_mm: float = 6.0
    """How far names of one page may be off their common place over or under the traces."""
    wandered: float = 0.5
    """What a name counts that stands at its trace's usual height, from which it has wandered."""
    ahead_mm: float = 6.0
    """How far beyond its own middle a name's trace is looked for: many stand before its
    beginning."""
    near_mm: int = 4
    most_places: int = 4
    """Of the places within so many mm the best is tried, and so many in all."""
    no_trace: float = 3.0
    beating: float = 10.0
    in_step: float = 0.4
    fewest_kept: int = 2
    """Against each outer row that is left out as no trace; against one that has a pulse or beats
    with the others, as far as its steepness and theirs correlate so well; and the fewest that must
    be left."""
    unnamed: float = 0.3
    """Probability that a lone row without a name is lead II, as which it is stored."""
    most_weak: float = 0.34
    """Share of the names of an unusual order that may be read with doubt before all are doubted."""
    few_read: float = 1 / 3
    """Share of the names under which too few were read."""
    width_off: float = 0.08
    """Share by which columns may be off their usual width where no name was read."""
    slack_px: float = 8.0
    """A cell that ends this near to where its row's trace ends is left as it is."""


PARAMS = Params()
USUAL_STRIP = "II"
"""What a lone row without a name is stored as."""
OF_THE_TWELVE = np.array([1e-6 * (name in LEADS) for name in NAMES])
"""A cell of which nothing was read holds one of the twelve leads."""
STRIP_ODDS = np.array([STRIP_PRIOR.get(name, STRIP_RARE) for name in NAMES])
"""Log odds of each of `NAMES` as a rhythm strip."""
SURE_SCORE = math.log((SURE + PARAMS.misread) / (PARAMS.misread * 2))
"""Score of a name that is right with the probability `SURE`."""


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


GEOMETRIES = tuple(
    _Geometry(len(LEADS) // columns, columns, strips)
    for columns in COLUMN_S
    for strips in range(PARAMS.most_strips + 1)
)
GEOMETRY_PRIOR: Mapping[str, float] = {
    "3x4": 1.0,
    "3x4+1": 2.0,
    "3x4+2": 0.5,
    "3x4+3": 1.0,
    "6x2": 1.5,
    "6x2+1": 1.0,
    "4x3+2": -1.0,
    "4x3+3": -1.0,
}
"""Log odds of usual layouts against others, by how often makers print them; chosen by eye."""
PARTIAL = tuple(
    _Geometry(rows, columns, strips)
    for columns in COLUMN_S
    for rows in range(1, len(LEADS) // columns)
    for strips in range(PARAMS.most_strips + 1 if columns > 1 else 1)
)
"""Pages of which some rows are not in the picture, or were not found."""


def _standard(geometry: _Geometry, order: Sequence[str], first_row: int = 0) -> list[str]:
    """Names cell by cell (row-major) when leads run down the columns in the given order.

    Of a partial page: if its first row were row ``first_row`` of the whole page.
    """
    whole = len(LEADS) // geometry.columns
    return [
        order[column * whole + first_row + row]
        for row in range(geometry.rows)
        for column in range(geometry.columns)
    ]


def _label_offset(labels: Sequence[Label], edges: Array, px_per_mm: float) -> float:
    """How far (px) into their columns names stand on pages that print them over the middle.

    Over the middle of a row of one lead none stand: such names are those of a later column.
    """
    if len(edges) <= 2:
        return 0.0
    before, after = PARAMS.before_mm * px_per_mm, PARAMS.after_mm * px_per_mm
    at = np.array([label.box[0] for label in labels if label.probability > SURE])
    offsets = (at - edges[0] + before) % (edges[1] - edges[0]) - before
    usual = float(np.median(offsets)) if len(offsets) >= PARAMS.fewest_of_partial else 0.0
    return usual if usual > after else 0.0


def _column_of(label: Label, starts: Array, px_per_mm: float) -> int | None:
    """Column at whose beginning a label stands."""
    offset = (label.box[0] - starts) / px_per_mm
    fits = np.flatnonzero((offset > -PARAMS.before_mm) & (offset < PARAMS.after_mm))
    return int(fits[np.argmin(np.abs(offset[fits]))]) if len(fits) else None


@dataclass(frozen=True, eq=False)
class _Names:
    """The names read on a page, and how far each stands from the trace of each row.

    ``gain`` (n,) is what each counts for, ``below`` (n, rows, 2) how far under the row it stands,
    in mm: under its own height hereabouts, as columns can have heights of their own, and under its
    usual height, as names stay where they are when a trace wanders.
    """

    labels: tuple[Label, ...]
    gain: Array
    below: Array

    @classmethod
    def on(cls, labels: Sequence[Label], paths: Sequence[RowPath], px_per_mm: float) -> _Names:
        heights = np.array([local_height(path, px_per_mm) for path in paths])
        width = heights.shape[1]
        at = np.array(
            [round(label.centre[0] + PARAMS.ahead_mm * px_per_mm) for label in labels], int
        )
        here = heights[:, np.clip(at, 0, width - 1)].T
        usual = np.broadcast_to(np.median(heights, axis=1), here.shape)
        y = np.array([label.centre[1] for label in labels])
        return cls(
            tuple(labels),
            np.array([_weight(label) for label in labels]),
            (y[:, None, None] - np.stack([here, usual], axis=-1)) / px_per_mm,
        )

    def places(self) -> list[float]:
        """How far under their traces the names may all be printed, mm; the likeliest first.

        On one page names stand at one height over or under their traces.
        """
        tried = np.arange(-PARAMS.furthest_mm, PARAMS.furthest_mm + 1.0)
        if not len(self.labels):
            return [0.0]
        fits = [float((self.gain * self._fit(mm).max(axis=1)).sum()) for mm in tried]
        best = [
            (fit - PARAMS.far_per_mm * abs(mm), float(mm))
            for k, (fit, mm) in enumerate(zip(fits, tried, strict=True))
            if fit >= max(fits[max(0, k - PARAMS.near_mm) : k + PARAMS.near_mm + 1])
        ]
        return [mm for _, mm in sorted(best, reverse=True)[: PARAMS.most_places]]

    def rows(self, below_mm: float) -> tuple[npt.NDArray[np.intp], Array]:
        """The row that each names if names stand there, and how well it fits, 0 to 1."""
        fit = self._fit(below_mm)
        row = fit.argmax(axis=1)
        return row, fit[np.arange(len(row)), row]

    def _fit(self, below_mm: float) -> Array:
        fit = np.clip(1.0 - ((self.below - below_mm) / PARAMS.spread_mm) ** 2, 0.0, 1.0)
        return np.asarray(np.maximum(fit[..., 0], PARAMS.wandered * fit[..., 1]))


def _label_scores(
    geometry: _Geometry, edges: Array, names: _Names, below_mm: float, px_per_mm: float
) -> tuple[Array, float]:
    """Log-odds of each of `NAMES` in each cell and strip, ((cells + rhythm), 20).

    And what speaks against it all: names where the layout has none, or far from their traces.
    """
    scores = np.zeros((geometry.cells + geometry.rhythm, len(NAMES)))
    starts = edges[:-1] + _label_offset(names.labels, edges, px_per_mm)
    rows, fits = names.rows(below_mm)
    against = PARAMS.far_per_mm * abs(below_mm)
    for label, row, fit, gain in zip(names.labels, rows, fits, names.gain, strict=True):
        if not edges[0] < label.centre[0] + PARAMS.before_mm * px_per_mm:
            continue
        column = _column_of(label, starts, px_per_mm)
        if fit <= 0 or column is None or (row >= geometry.rows and column > 0):
            against += PARAMS.unplaced * gain if label.probability > SURE else 0.0
            continue
        against += PARAMS.unplaced * (1.0 - fit) * gain
        strip = geometry.cells + row - geometry.rows
        cell = row * geometry.columns + column if row < geometry.rows else strip
        scores[cell, NAMES.index(label.name)] += min(1.0, 2.0 * fit) * gain
    return scores, float(against)


def _weight(label: Label) -> float:
    """Log-odds that a label speaks for its name."""
    doubt = PARAMS.overstated * (1.0 - label.probability)
    probability = min(label.probability / (label.probability + doubt), PARAMS.most_probable)
    gain = math.log((probability + PARAMS.misread) / (PARAMS.misread * 2))
    return max(gain, 0.0) * (PARAMS.stroke_weight if label.name == "I" else 1.0)


def _assign(scores: Array) -> list[str]:
    """One name per cell, each name once, with the largest sum of scores."""
    from scipy.optimize import linear_sum_assignment

    cells, names = linear_sum_assignment(-(scores + OF_THE_TWELVE))
    chosen = [""] * scores.shape[0]
    for cell, name in zip(cells, names, strict=True):
        chosen[cell] = NAMES[name]
    return chosen


def _explanations(geometry: _Geometry, scores: Array) -> list[tuple[float, list[str]]]:
    """Possible namings of the cells with their total score."""
    cell_scores = scores[: geometry.cells]
    total = []
    read = int((cell_scores.max(axis=1) > PARAMS.read).sum())
    whole = geometry.cells == len(LEADS)
    orders = ((LEADS, PARAMS.standard), (CABRERA, PARAMS.cabrera))
    enough = PARAMS.fewest_labelled if geometry.columns == 1 else PARAMS.fewest_of_partial
    for order, prior in orders if whole or read >= enough else ():
        any_leads = geometry.columns == 1 and geometry.rows <= PARAMS.any_leads
        prior = prior if whole else PARAMS.partial + (0.0 if any_leads else prior)
        for first in range(len(LEADS) // geometry.columns - geometry.rows + 1):
            names = _standard(geometry, order, first)
            total.append((prior + _agreement(cell_scores, names), names))
    names = _assign(cell_scores)
    own = [cell_scores[cell, NAMES.index(name)] for cell, name in enumerate(names)]
    unread = [cell for cell, score in enumerate(own) if score <= PARAMS.read]
    blank = [cell for cell in unread if not whole or cell_scores[cell].max() <= PARAMS.read]
    if not whole or len(blank) > 1:
        for cell in blank:
            names[cell] = ""
        if whole:
            _fill(names, blank)
    least = 1 if whole or geometry.columns == 1 else PARAMS.fewest_of_partial
    if geometry.cells - len(blank) >= least:
        unusual = PARAMS.free if geometry.columns > 1 or whole else 0.0
        unusual -= _log_orders(geometry, names)
        total.append((unusual + _agreement(cell_scores, names), names))
    rare = STRIP_ODDS - STRIP_PRIOR[USUAL_STRIP]
    strip_scores = scores[geometry.cells :]
    best = np.where(strip_scores > PARAMS.read, strip_scores + rare, 0.0).max(axis=1, initial=0.0)
    blank_strips = int((strip_scores.max(axis=1) <= PARAMS.read).sum()) if len(best) else 0
    unnamed = blank_strips if read >= PARAMS.fewest_of_partial else 0
    each = PARAMS.strip_unlabelled if read >= PARAMS.most_read else PARAMS.unlabelled
    strips = float(best.sum()) - each * unnamed
    return [(value + strips, names) for value, names in total]


def _log_orders(geometry: _Geometry, names: Sequence[str]) -> float:
    """How many orders so many of the twelve leads can stand in, as natural logarithm.

    As unlikely is any one of them, and the best of them fits a few misread names better than the
    usual order does. Nothing where other leads merely take the place of some of the twelve.
    """
    for first in range(len(LEADS) // geometry.columns - geometry.rows + 1):
        usual = _standard(geometry, LEADS, first)
        if all(a == b or a not in LEADS for a, b in zip(names, usual, strict=True)):
            return 0.0
    left = len(LEADS) - sum(name in LEADS for name in names)
    return math.lgamma(len(LEADS) + 1) - math.lgamma(left + 1)


def _fill(names: list[str], blank: Sequence[int]) -> None:
    """Give a few cells without a name the limb leads that are left: signals tell their order."""
    left = [lead for lead in LEADS if lead not in names]
    if len(left) == len(blank) <= MOST_SWAPPED and set(left) <= set(LIMB_LEADS):
        for cell, lead in zip(blank, left, strict=True):
            names[cell] = lead


def _agreement(scores: Array, names: Sequence[str]) -> float:
    """Score of given names: what agrees counts for, a stronger other name counts against."""
    labelled = int((scores.max(axis=1) > PARAMS.read).sum())
    value = 0.0
    for cell, name in enumerate(names):
        own = scores[cell, NAMES.index(name)] if name else 0.0
        value += own - PARAMS.unplaced * max(0.0, float(scores[cell].max()) - own)
        if labelled >= PARAMS.fewest_labelled and scores[cell].max() <= PARAMS.read:
            value -= PARAMS.unlabelled
    return value


def find_layout(
    paths: Sequence[RowPath],
    pulses: Sequence[Pulse],
    labels: Sequence[Label],
    px_per_mm: float,
    speed_mm_per_s: float,
    *,
    known_scale: bool = False,
) -> Layout:
    """Decide the layout of a page.

    Parameters
    ----------
    paths : rows of the page, top to bottom.
    pulses : calibration pulses; what they cover is no signal.
    labels : lead names read on the page, with their probabilities.
    px_per_mm, speed_mm_per_s : scale of the rectified page.
    known_scale : whether gain or speed is printed or given, or a pulse is there: a page with a
        single row is then an ECG, though its name was not read.
    """
    page = labels, px_per_mm, speed_mm_per_s, known_scale
    whole = _explained(paths, pulses, *page)
    if whole.shows_all and not whole.doubts and all(s.named_by == "label" for s in whole.segments):
        return whole
    found = [(whole.log_odds if whole.segments else -math.inf, whole)]
    for kept in _without_outer_rows(len(paths)):
        row_of = {row: place for place, row in enumerate(kept)}
        left = [replace(p, row=row_of[p.row]) for p in pulses if p.row in row_of]
        layout = _explained([paths[row] for row in kept], left, *page)
        if layout.segments:
            segments = tuple(replace(s, row=kept[s.row]) for s in layout.segments)
            cost = _cost_of_leaving(paths, kept, {p.row for p in pulses}, px_per_mm)
            found.append((layout.log_odds - cost, replace(layout, segments=segments)))
    return max(found, key=lambda one: one[0])[1]


def _cost_of_leaving(
    paths: Sequence[RowPath], kept: Sequence[int], with_pulse: Set[int], px_per_mm: float
) -> float:
    """What speaks against taking the rows that are not kept for print: pulses and beats."""
    usual = steepness([paths[row].centre for row in kept], px_per_mm)
    cost = 0.0
    for row in set(range(len(paths))) - set(kept):
        own = steepness([paths[row].centre], px_per_mm)
        alike = 0.0 if own is None or usual is None else likeness(own, usual)
        a_trace = row in with_pulse or alike > PARAMS.in_step
        cost += PARAMS.beating if a_trace else PARAMS.no_trace
    return cost


def _without_outer_rows(rows: int) -> list[list[int]]:
    """Rows without the first, the last or both: a heading's rule or a line of words is no trace."""
    every = list(range(rows))
    return [
        kept for kept in (every[1:], every[:-1], every[1:-1]) if len(kept) >= PARAMS.fewest_kept
    ]


def _explained(
    paths: Sequence[RowPath],
    pulses: Sequence[Pulse],
    labels: Sequence[Label],
    px_per_mm: float,
    speed_mm_per_s: float,
    known_scale: bool,
) -> Layout:
    """The likeliest arrangement in which every row is a trace."""
    spans = signal_span(paths, pulses)
    read = _Names.on(labels, paths, px_per_mm)
    places = read.places()
    best: tuple[float, _Geometry, list[str], Array, Array] | None = None
    options = [g for g in (*GEOMETRIES, *PARTIAL) if g.rows + g.rhythm == len(paths)]
    for geometry in options:
        rows = paths[: geometry.rows]
        edges = boundaries(
            geometry.columns,
            rows,
            spans[: geometry.rows],
            pulses,
            labels,
            px_per_mm,
            speed_mm_per_s,
        )
        known = gap_evidence(rows, edges, px_per_mm)
        known += change_evidence(rows, paths[geometry.rows :], edges, px_per_mm)
        known += ruled_evidence(rows, paths[geometry.rows :], edges, px_per_mm)
        known -= pitch_cost(geometry.columns, labels, px_per_mm, speed_mm_per_s)
        for below_mm in places:
            scores, against = _label_scores(geometry, edges, read, below_mm, px_per_mm)
            for value, names in _explanations(geometry, scores):
                value += GEOMETRY_PRIOR.get(geometry.name, 0.0) + known - against
                if best is None or value > best[0]:
                    best = (value, geometry, names, scores, edges)
    if len(paths) == 1 and known_scale and (best is None or not _read_names(best[2], best[3])):
        return _unnamed_row(spans[0])
    if best is None:
        return Layout("unknown", (), 0.0, ("The arrangement of the leads was not recognized.",))
    value, geometry, names, scores, edges = best
    upper = slice(0, geometry.rows)
    columns = place_columns(edges, paths[upper], spans[upper], pulses, px_per_mm, speed_mm_per_s)
    if _guessed(names, scores, columns, speed_mm_per_s * px_per_mm):
        return Layout(geometry.name, (), 0.0, ("The names of the leads could not be read.",))
    built = _build(geometry, names, scores, columns, spans, speed_mm_per_s, px_per_mm)
    whole = geometry.cells == len(LEADS)
    part = () if whole else (message("part_of_page", layout=geometry.name),)
    all_read = all(segment.named_by == "label" for segment in built.segments)
    return replace(
        built,
        warnings=(*(part if all_read else ()), *_notes(geometry, names, scores)),
        doubts=(*(() if all_read else part), *_doubts(geometry, names, scores)),
        log_odds=value,
    )


def _clip(x0: float, x1: float, span: tuple[float, float]) -> tuple[float, float]:
    """A cell cut to where its row has signal, if that is further off than the slack."""
    return (
        x0 if span[0] - x0 < PARAMS.slack_px else span[0],
        x1 if x1 - span[1] < PARAMS.slack_px else span[1],
    )


def _unnamed_row(span: tuple[float, float]) -> Layout:
    """A single row whose name was not read, as a strip of the lead that strips mostly show."""
    segment = RowSegment(USUAL_STRIP, 0, *span, 0.0, "layout", PARAMS.unnamed, rhythm=True)
    doubt = message("only_row_unnamed", lead=USUAL_STRIP)
    return Layout("1x1", (segment,), PARAMS.unnamed, doubts=(doubt,))


def _read_names(names: Sequence[str], scores: Array) -> list[str]:
    """The names of cells that were read in them."""
    return [n for cell, n in enumerate(names) if n and _named_by(scores[cell], n)[0] == "label"]


def _guessed(names: Sequence[str], scores: Array, columns: Columns, px_per_s: float) -> bool:
    """Whether names would be mere guesses: none was read, and the columns are of no usual width."""
    usual = COLUMN_S[len(columns.starts)] * px_per_s
    off = abs(float(np.median(columns.ends - columns.starts)) / usual - 1)
    return not _read_names(names, scores) and off > PARAMS.width_off


def _notes(geometry: _Geometry, names: Sequence[str], scores: Array) -> tuple[str, ...]:
    """What a reader should know of the leads shown."""
    shown = (*names, *_strip_names(scores[geometry.cells :]))
    others = [name for name in shown if name and name not in LEADS]
    return (message("other_leads", names=others),) if others else ()


def _doubts(geometry: _Geometry, names: Sequence[str], scores: Array) -> tuple[str, ...]:
    """What is doubtful about the names."""
    doubts = []
    for cell, name in enumerate(names):
        rival = int(scores[cell].argmax())
        own = scores[cell, NAMES.index(name)] if name else 0.0
        if name and scores[cell, rival] > own + PARAMS.stronger:
            doubts.append(message("name_unexpected", read=NAMES[rival], lead=name))
    read = _read_names(names, scores)
    usual = any(list(names) == _standard(geometry, order) for order in (LEADS, CABRERA))
    weak = [n for cell, n in enumerate(names) if n in read and _weak(scores[cell], n)]
    guessed = [name for name in names if name and name not in read]
    if not usual and all(names) and guessed:
        doubts.append(message("order_unusual", names=[*guessed, *weak]))
    elif not usual and len(weak) > PARAMS.most_weak * len(read):
        doubts.append(message("order_unusual", names=weak))
    if not all(names):
        doubts.append(message("traces_unnamed", count=sum(not name for name in names)))
    if len(read) < PARAMS.few_read * len([n for n in names if n]):
        doubts.append(message("few_names_read", count=len(read)))
    strips = scores[geometry.cells :]
    if len(read) >= PARAMS.most_read:
        doubts += [
            message("strip_unnamed", lead=lead)
            for lead, own in zip(_strip_names(strips), strips, strict=True)
            if own.max() <= PARAMS.read
        ]
    return tuple(doubts)


def _weak(scores: Array, name: str) -> bool:
    """Whether a name was read with doubt; of a lone I, which always is, nothing is said."""
    return name != "I" and float(scores[NAMES.index(name)]) < SURE_SCORE


def _named_by(scores: Array, name: str) -> tuple[NamedBy, float]:
    own = float(scores[NAMES.index(name)])
    rival = float(np.delete(scores, NAMES.index(name)).max())
    if own > PARAMS.read and own > rival:
        return "label", 1.0 - 0.5 * math.exp(-own)
    return "layout", 0.5


def _strip_names(scores: Array) -> list[str]:
    """Names of the rhythm strips (strips, 12); an unread one is the next usual one not yet read."""
    read = [
        NAMES[int((own + STRIP_ODDS).argmax())] if own.max() > PARAMS.read else "" for own in scores
    ]
    order = ("II",) if len(read) == 1 else ("V1", "II", "V5")
    left = [name for name in order if name not in read]
    return [name or left.pop(0) for name in read]


def _build(
    geometry: _Geometry,
    names: list[str],
    scores: Array,
    columns: Columns,
    spans: Sequence[tuple[float, float]],
    speed: float,
    px_per_mm: float,
) -> Layout:
    segments = []
    px_per_s = speed * px_per_mm
    for cell, name in enumerate(names):
        if name not in LEADS:
            continue
        row, column = divmod(cell, geometry.columns)
        named_by, probability = _named_by(scores[cell], name)
        x0, x1 = _clip(columns.starts[column], columns.ends[column], spans[row])
        if x1 <= x0:
            continue
        start = (x0 - columns.starts[column]) / px_per_s + columns.begin_s[column]
        segments.append(RowSegment(name, row, float(x0), float(x1), start, named_by, probability))
    for strip, name in enumerate(_strip_names(scores[geometry.cells :])):
        if name not in LEADS:
            continue
        row = geometry.rows + strip
        named_by, probability = _named_by(scores[geometry.cells + strip], name)
        x0, x1 = _clip(columns.starts[0], columns.ends[-1], spans[row])
        start = (x0 - columns.starts[0]) / px_per_s
        segments.append(
            RowSegment(name, row, float(x0), float(x1), start, named_by, probability, rhythm=True)
        )
    confidence = float(np.mean([s.probability for s in segments])) if segments else 0.0
    return Layout(geometry.name, tuple(segments), confidence)
