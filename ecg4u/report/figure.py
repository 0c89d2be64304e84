"""The twelve signals on ECG paper, as SVG in millimetres: 25 mm/s, 10 mm/mV."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ecg4u.record import LEADS
from ecg4u.report.markup import Markup, join, number, tag
from ecg4u.runs import runs_of

if TYPE_CHECKING:
    from ecg4u.digitize.result import Digitization
    from ecg4u.record import ECGRecord

MM_PER_S = 25.0
MM_PER_MV = 10.0
LEFT_MM = 15.0
"""Room for the calibration pulse and the row's first name."""
RIGHT_MM = 5.0
TOP_MM = 5.0
MAX_SHOWN_S = 30.0
"""Longer recordings are cut here in the figure, which says so."""
MAX_REACH_MM = 50.0
"""No trace claims more room than this above or below its baseline."""
TOUCHING_MM = 2.5
"""Strips of one row may overlap by this before they are moved apart."""
NAME_EM_MM = 5.0
"""Height of a lead's name on a phone, where it is largest; `NAME_RISE` of it are capitals."""
NAME_RISE, NAME_ADVANCE = 0.75, 0.7
"""Height of a capital and width of a bold letter, as shares of the height of the type."""
NAME_CLEAR_MM = 0.8
"""Between a name and the trace."""
NAME_AT_MM = (1.2, -6.5)
"""Where a name stands as long as no wave is there: right of its panel's edge, over 0 mV."""
NAME_SHIFTS_MM = (0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0)
"""How far a name may move along its row where it finds no place at the beginning."""
RHYTHM_SHARE = 0.75
"""A lead known over more of the record than this has a strip of its own."""

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Strip:
    """One lead's stretch of the record."""

    lead: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Panel:
    """A strip with its place on the paper, in mm."""

    strip: Strip
    x: float
    baseline: float
    top: float
    bottom: float

    def x_at(self, time_s: float) -> float:
        """Where a time of the record stands, in mm, kept inside the panel."""
        inside = min(max(time_s, self.strip.start_s), self.strip.end_s)
        return self.x + (inside - self.strip.start_s) * MM_PER_S


@dataclass(frozen=True)
class Paper:
    """The panels of a figure and its size in mm."""

    panels: tuple[Panel, ...]
    baselines: tuple[float, ...]
    width: float
    height: float
    shown_s: float
    origin_s: float

    def covering(self, lead: str | None, start_s: float, end_s: float) -> list[Panel]:
        """The panels that show some of ``lead`` (any lead if None) between the two times."""
        return [
            panel
            for panel in self.panels
            if lead in (None, panel.strip.lead)
            and panel.strip.start_s < end_s
            and start_s < panel.strip.end_s
        ]


def arrange(record: ECGRecord, digitization: Digitization | None = None) -> list[list[Strip]]:
    """Rows of strips: as on the page where there was one, else by what the record shows.

    Leads that are known throughout stand in rows of their own; leads known for a part only stand
    side by side in columns of equal start, in the conventional order.
    """
    shown_s = min(record.duration_s, MAX_SHOWN_S)
    if digitization is not None and digitization.traces:
        return _rows_of_page(digitization, shown_s)
    extents = {lead: _extent(record, lead) for lead in LEADS}
    known = {lead: extent for lead, extent in extents.items() if extent is not None}
    long = [lead for lead, (a, b) in known.items() if b - a >= RHYTHM_SHARE * record.duration_s]
    short = [lead for lead in known if lead not in long]
    if len(short) < len(long) or not short:
        return [
            [Strip(lead, max(known[lead][0], 0.0), min(known[lead][1], shown_s))] for lead in known
        ]
    step = float(np.median([known[lead][1] - known[lead][0] for lead in short]))
    columns: dict[int, list[Strip]] = {}
    for lead in short:
        start, end = known[lead]
        columns.setdefault(round(start / step), []).append(Strip(lead, start, end))
    n_rows = max(len(column) for column in columns.values())
    rows = [
        [column[i] for _, column in sorted(columns.items()) if i < len(column)]
        for i in range(n_rows)
    ]
    return rows + [[Strip(lead, known[lead][0], min(known[lead][1], shown_s))] for lead in long]


def _rows_of_page(digitization: Digitization, shown_s: float) -> list[list[Strip]]:
    rows: dict[int, list[tuple[float, Strip]]] = {}
    for trace in digitization.traces:
        end = min(trace.start_s + len(trace.signal) / digitization.record.fs, shown_s)
        across = trace.xy[np.isfinite(trace.xy).all(axis=1), 0]
        if end > trace.start_s and len(across):
            strip = Strip(trace.lead, trace.start_s, end)
            rows.setdefault(trace.row, []).append((float(across[0]), strip))
    return [[strip for _, strip in sorted(rows[row], key=_first_of)] for row in sorted(rows)]


def _first_of(pair: tuple[float, Strip]) -> float:
    return pair[0]


def _extent(record: ECGRecord, lead: str) -> tuple[float, float] | None:
    known = np.flatnonzero(np.isfinite(record.lead(lead)))
    if not len(known):
        return None
    return float(known[0] / record.fs), float((known[-1] + 1) / record.fs)


def lay_out(record: ECGRecord, rows: Sequence[Sequence[Strip]]) -> Paper:
    """Give each strip its place: baselines on 5-mm lines, as far apart as the traces need."""
    reaches = [_reach(record, row) for row in rows]
    baselines: list[float] = []
    below = TOP_MM
    for up, down in reaches:
        baselines.append(float(5 * np.ceil((below + up) / 5)))
        below = baselines[-1] + down
    height = float(5 * np.ceil((below + 5) / 5))
    origin = min((strip.start_s for row in rows for strip in row), default=0.0)
    panels: list[Panel] = []
    for row, baseline, (up, down) in zip(rows, baselines, reaches, strict=True):
        places = _places(row, origin)
        panels += [
            Panel(strip, x, baseline, baseline - up - 0.5, baseline + down + 0.5)
            for strip, x in zip(row, places, strict=True)
        ]
    right = max((panel.x_at(panel.strip.end_s) for panel in panels), default=LEFT_MM)
    shown = max((strip.end_s for row in rows for strip in row), default=0.0)
    return Paper(
        tuple(panels),
        tuple(baselines),
        float(np.ceil(right + RIGHT_MM)),
        height,
        shown - origin,
        origin,
    )


def _places(row: Sequence[Strip], origin_s: float) -> list[float]:
    """Where each strip of a row begins, in mm: by its time, or after the last where times overlap.

    On some pages all columns show the same seconds.
    """
    places: list[float] = []
    edge = -np.inf
    for strip in row:
        by_time = LEFT_MM + (strip.start_s - origin_s) * MM_PER_S
        places.append(by_time if by_time >= edge - TOUCHING_MM else float(edge))
        edge = places[-1] + (strip.end_s - strip.start_s) * MM_PER_S
    return places


def _reach(record: ECGRecord, row: Sequence[Strip]) -> tuple[float, float]:
    """Room in mm that a row needs above and below its baseline; names and pulse need 10 above."""
    up, down = 10.0, 5.0
    for strip in row:
        values = _samples(record, strip)
        values = values[np.isfinite(values)]
        if len(values):
            up = max(up, float(values.max()) * MM_PER_MV + 1)
            down = max(down, float(-values.min()) * MM_PER_MV + 1)
    return min(up, MAX_REACH_MM), min(down, MAX_REACH_MM)


def _samples(record: ECGRecord, strip: Strip) -> FloatArray:
    return record.lead(strip.lead)[_first(record, strip) : round(strip.end_s * record.fs)]


def _first(record: ECGRecord, strip: Strip) -> int:
    return round(strip.start_s * record.fs)


def grid(paper: Paper) -> Markup:
    """1-mm and 5-mm lines as two paths."""
    return join(
        tag("path", attrs={"class": name, "d": _lines(paper, step)})
        for name, step in (("mm1", 1), ("mm5", 5))
    )


def _lines(paper: Paper, step: int) -> str:
    skip = 5 if step == 1 else None
    across = [x for x in range(0, int(paper.width) + 1, step) if not skip or x % skip]
    down = [y for y in range(0, int(paper.height) + 1, step) if not skip or y % skip]
    return "".join(f"M{x} 0V{number(paper.height)}" for x in across) + "".join(
        f"M0 {y}H{number(paper.width)}" for y in down
    )


def pulses(paper: Paper) -> Markup:
    """A 1-mV, 0.2-s calibration pulse at the head of each row."""
    top = number(MM_PER_MV)
    return join(
        tag(
            "path",
            attrs={"class": "pulse", "d": f"M3 {number(y)}h2.5v-{top}h5v{top}h2.5"},
        )
        for y in paper.baselines
    )


def traces(record: ECGRecord, paper: Paper) -> Markup:
    """Each panel's trace and name."""
    return join(
        tag(
            "g",
            tag("path", attrs={"class": "trace", "d": trace_path(record, panel)}),
            _separator(panel),
            _name(record, panel, paper),
            attrs={
                "class": "panel",
                "data-lead": panel.strip.lead,
                "data-t0": number(panel.strip.start_s, 3),
                "data-t1": number(panel.strip.end_s, 3),
                "data-x": panel.x,
                "data-top": panel.top,
                "data-bottom": panel.bottom,
            },
        )
        for panel in paper.panels
    )


def _name(record: ECGRecord, panel: Panel, paper: Paper) -> Markup:
    x, foot = name_place(record, panel)
    return tag(
        "text",
        panel.strip.lead,
        _own_seconds(panel, paper),
        attrs={"class": "lead", "x": round(x, 2), "y": round(foot, 2)},
    )


def name_place(record: ECGRecord, panel: Panel) -> tuple[float, float]:
    """Where the name of a lead begins, and its foot, in mm: clear of the trace if there is room.

    That is at the usual height, perhaps further along the row, else above or below the waves.
    """
    right, usual = panel.x + NAME_AT_MM[0], panel.baseline + NAME_AT_MM[1]
    rise = NAME_RISE * NAME_EM_MM
    elsewhere: list[tuple[float, float]] = []
    for x in (right + shift for shift in NAME_SHIFTS_MM):
        high, low = _taken(record, panel, x)
        above, below = high - NAME_CLEAR_MM, low + NAME_CLEAR_MM + rise
        if usual <= above or usual >= below:
            return x, usual
        inside = (foot for foot in (above, below) if panel.top + rise <= foot <= panel.bottom)
        elsewhere += [(x, foot) for foot in inside]
    return elsewhere[0] if elsewhere else (right, usual)


def _taken(record: ECGRecord, panel: Panel, x: float) -> tuple[float, float]:
    """Highest and lowest point in mm of the trace where a name that begins at ``x`` would stand."""
    width = NAME_ADVANCE * NAME_EM_MM * len(panel.strip.lead)
    around = (x - NAME_CLEAR_MM, x + width + NAME_CLEAR_MM)
    first, last = (panel.strip.start_s + (edge - panel.x) / MM_PER_S for edge in around)
    values = _samples(record, Strip(panel.strip.lead, max(first, panel.strip.start_s), last))
    values = values[np.isfinite(values)]
    if not len(values):
        return panel.baseline, panel.baseline
    levels = panel.baseline - MM_PER_MV * values
    return float(levels.min()), float(levels.max())


def _own_seconds(panel: Panel, paper: Paper) -> Markup | None:
    """Where its seconds are not those under the figure: the second at which the panel begins."""
    by_time = LEFT_MM + (panel.strip.start_s - paper.origin_s) * MM_PER_S
    if abs(panel.x - by_time) <= TOUCHING_MM:
        return None
    return tag("tspan", f" from {number(panel.strip.start_s, 1)} s", cls="own-seconds")


def _separator(panel: Panel) -> Markup | None:
    """The short upright stroke where one lead gives way to the next in a row."""
    if panel.x <= LEFT_MM + 0.1:
        return None
    d = f"M{number(panel.x)} {number(panel.baseline - 5)}v2.5M{number(panel.x)} " + (
        f"{number(panel.baseline + 2.5)}v2.5"
    )
    return tag("path", attrs={"class": "separator", "d": d})


def trace_path(record: ECGRecord, panel: Panel) -> str:
    """SVG path data of one trace in mm; NaN and samples far outside the panel are gaps.

    Every second sample and every turning point is kept: no peak loses height.
    """
    values = _samples(record, panel.strip)
    y = panel.baseline - np.clip(values * MM_PER_MV, -MAX_REACH_MM, MAX_REACH_MM)
    offset = _first(record, panel.strip) / record.fs - panel.strip.start_s
    x = panel.x + (np.arange(len(values)) / record.fs + offset) * MM_PER_S
    parts: list[str] = []
    for run in runs_of(np.isfinite(y)):
        keep = _worth_keeping(y[run])
        points = np.round(np.stack([x[run][keep], y[run][keep]], axis=1) * 100).astype(int)
        steps = np.diff(points, axis=0)
        start = f"M{number(points[0, 0] / 100)} {number(points[0, 1] / 100)}"
        tail = "".join(f"{_coordinate(dx)}{_pair(dy)}" for dx, dy in steps)
        parts.append(f"{start}l{tail.strip()}" if tail else f"{start}h.01")
    return "".join(parts)


def _worth_keeping(y: FloatArray) -> npt.NDArray[np.bool_]:
    keep = np.arange(len(y)) % 2 == 0
    if len(y) > 2:
        rise = np.diff(y)
        keep[1:-1] |= rise[:-1] * rise[1:] < 0
    keep[-1] = True
    return keep


def _coordinate(hundredths: int) -> str:
    """Hundredths of a mm as path data that needs no separator before it: ``.08``, ``-1.2``."""
    text = number(hundredths / 100)
    return " " + text.replace("0.", ".", 1) if abs(hundredths) < 100 else " " + text


def _pair(hundredths: int) -> str:
    text = _coordinate(hundredths).strip()
    return text if text.startswith("-") else " " + text
