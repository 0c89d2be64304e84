"""What makes a reading doubtful: two ECGs in one picture, names that stand off their columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ecg4u.digitize.page.rectified import Grid
from ecg4u.digitize.rows.trace import RowPath
from ecg4u.digitize.scale.pulses import inner_pulses
from ecg4u.digitize.types import Label, Layout
from ecg4u.errors import PoorQualityError
from ecg4u.messages import message

COLUMN_REACH, IN_THE_MIDDLE = 0.7, 0.18
"""How far from its column's beginning a name still belongs to it, and how far from the column's
middle one stands that is printed there, as some machines do; shares of the column's width."""
COLUMN_DOUBT_MM = 3.0
"""Where names begin this far from their columns, in the middle, the columns are doubted; by eye."""
SAME_COLUMN_S = 0.5
"""Leads that begin nearer together than this are of one column: the shortest lasts 2.5 s."""
USUAL_COLUMNS_S = (2.5, 3.0, 10 / 3)
USUAL_LENGTH = 0.12
"""Seconds of a column on pages of three or more, and the share by which one may differ; by eye."""
NEVER_TWICE = ("aVR", "aVL", "aVF", "V2", "V3", "V4", "V6")
"""Leads that are hardly ever rhythm strips."""
SURE_TWICE = 0.9
TWICE_APART_MM = 20.0
MIN_TWICE = 4
"""How sure both readings of a name must be, how far apart they stand, and how many such names make
a picture one of two ECGs; by eye."""
CLEAR_GRID = 0.6
"""Confidence from which a grid is clear: 0.69 and more on the 60 pages in hand, 0.3 where stripes
of the traces were taken for lines."""
SQUARE = 0.12
"""How much wider than high a grid's squares may look: up to 0.06 on photographs in hand."""


def refuse_two_ecgs(labels: Sequence[Label], px_per_mm: float) -> None:
    """Refuse a page on which names that no rhythm strip repeats stand twice."""
    twice = set()
    sure = [x for x in labels if x.name in NEVER_TWICE and x.probability > SURE_TWICE]
    for first in sure:
        for second in sure:
            apart = np.hypot(*np.subtract(first.centre, second.centre)) / px_per_mm
            if first.name == second.name and apart > TWICE_APART_MM:
                twice.add(first.name)
    if len(twice) >= MIN_TWICE:
        raise PoorQualityError(
            "The image seems to show two ECGs: the same lead names appear twice.",
            stage="labels",
            hint="Crop the image to one ECG at a time.",
        )


def grid_doubts(grid: Grid) -> tuple[str, ...]:
    """A warning where what was taken for the grid looks little like one."""
    across, down = grid.source_px_per_mm
    if grid.scale_from != "grid":
        return ()
    if abs(np.log(across / down)) > SQUARE:
        return (message("grid_oblong"),)
    if grid.confidence < CLEAR_GRID:
        return (message("grid_faint"),)
    return ()


def _length_doubts(layout: Layout) -> tuple[str, ...]:
    """A warning where columns follow each other in another time than pages show."""
    starts = sorted({round(s.start_s, 1) for s in layout.segments if not s.rhythm})
    columns = [b for a, b in zip([-1.0, *starts], starts, strict=False) if b - a > SAME_COLUMN_S]
    if len(columns) < 3:
        return ()
    seconds = float(np.median(np.diff(columns)))
    if any(abs(seconds / usual - 1) < USUAL_LENGTH for usual in USUAL_COLUMNS_S):
        return ()
    return (message("columns_unusual", seconds=seconds),)


def column_doubts(
    paths: tuple[RowPath, ...], layout: Layout, labels: Sequence[Label], px_per_mm: float
) -> tuple[str, ...]:
    """Warnings where the columns' edges do not fit the names or hold pulses of their own."""
    doubts = list(_length_doubts(layout))
    inner = [s for s in layout.segments if s.start_s > 0.5 and not s.rhythm]
    edges = tuple(sorted({round(s.x0) * 1.0 for s in inner}))
    own = inner_pulses(paths, edges, px_per_mm)
    left_in = [p for p in own for s in inner if s.row == p.row and s.x0 < p.x0 < p.x1 < s.x1]
    if left_in:
        doubts.append(message("columns_with_pulses"))
    beside = [
        ((label.box[0] - s.x0) / px_per_mm, (s.x1 - s.x0) / px_per_mm)
        for s in inner
        for label in labels
        if label.name == s.lead
    ]
    offsets = [
        off
        for off, width in beside
        if abs(off) < COLUMN_REACH * width and abs(off / width - 0.5) > IN_THE_MIDDLE
    ]
    if not own and len(offsets) >= 3 and abs(np.median(offsets)) > COLUMN_DOUBT_MM:
        doubts.append(message("names_off_columns", distance_mm=float(np.median(offsets))))
    return tuple(doubts)
