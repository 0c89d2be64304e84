"""Rows followed column by column, for pages on which each lead stands at a height of its own.

Narrow paper has no room for four rows: the recorder sets each lead where it fits, and a trace that
ends at one height goes on with the next lead at another. A row that is followed across the whole
page then jumps to its neighbour's trace.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
import numpy.typing as npt

from ecg4u.digitize.rows.stroke import FINE
from ecg4u.digitize.rows.trace import RowPath, trace_rows
from ecg4u.digitize.types import InkMap

Array = npt.NDArray[np.float64]

NARROWEST_MM = 30.0
MOST_ROWS = 8


def rows_by_column(
    ink: InkMap, starts: Sequence[float], px_per_mm: float
) -> tuple[RowPath, ...] | None:
    """The rows of a page whose columns begin at ``starts`` (px), each column followed by itself.

    The columns with most rows tell how many there are; in a column with fewer, each row is the one
    that stands nearest, and what was not found is a gap. None where there is nothing to part.
    """
    edges = [0, *(round(x) for x in sorted(starts)[1:]), ink.trace.shape[1]]
    if len(edges) < 3 or min(np.diff(edges)) < NARROWEST_MM * px_per_mm:
        return None
    columns = [trace_rows(ink.between(x0, x1), px_per_mm) for x0, x1 in pairwise(edges)]
    most = max(len(rows) for rows in columns)
    if not 1 < most <= MOST_ROWS:
        return None
    whole = [[row.baseline for row in rows] for rows in columns if len(rows) == most]
    heights = np.median(whole, axis=0)
    placed = [_placed(rows, heights) for rows in columns]
    widths = np.diff(edges).tolist()
    return tuple(
        _joined([rows[k] for rows in placed], widths, float(heights[k])) for k in range(most)
    )


def _placed(rows: Sequence[RowPath], heights: Array) -> list[RowPath | None]:
    """The rows of a column in the places, from top to bottom, that they are nearest to."""
    at = np.array([row.baseline for row in rows])
    best = min(
        combinations(range(len(heights)), len(rows)),
        key=lambda places: float(np.abs(at - heights[list(places)]).sum()),
    )
    found: list[RowPath | None] = [None] * len(heights)
    for place, row in zip(best, rows, strict=True):
        found[place] = row
    return found


def _joined(parts: Sequence[RowPath | None], widths: Sequence[int], baseline: float) -> RowPath:
    """One row of its stretches in the columns, bare where one is missing."""

    def whole(name: str, bare: float, times: int = 1) -> Array:
        return np.concatenate(
            [
                np.full(width * times, bare) if part is None else getattr(part, name)
                for part, width in zip(parts, widths, strict=True)
            ]
        )

    offsets = np.cumsum([0, *widths])
    known = [(int(x), part) for x, part in zip(offsets, parts, strict=False) if part is not None]
    (left, first), (right, last) = known[0], known[-1]
    return replace(
        first,
        baseline=baseline,
        edges_x=(left + first.ends[0], right + last.ends[1]),
        y=whole("y", baseline),
        top=whole("top", np.nan),
        bottom=whole("bottom", np.nan),
        centre=whole("centre", np.nan),
        ink=whole("ink", 0.0),
        fine=whole("fine", np.nan, FINE),
        collided=whole("collided", 0.0).astype(bool),
        unexplained=whole("unexplained", 0.0).astype(bool),
        marked=whole("marked", 0.0).astype(bool),
        ruled=whole("ruled", 0.0).astype(bool),
    )
