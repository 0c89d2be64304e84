"""Rows whose leads stand at heights of their own."""

from __future__ import annotations

import numpy as np

from ecg4u.digitize.rows.by_column import rows_by_column
from ecg4u.digitize.types import InkMap

HEIGHTS = ((100, 250, 420), (60, 330, 460), (180, 300, 400))
COLUMN_PX, PX_PER_MM = 625, 10.0


def drawn(heights: tuple[tuple[int, ...], ...]) -> InkMap:
    """Three columns of level traces, each with a beat every 0.8 s."""
    trace = np.zeros((560, COLUMN_PX * len(heights)), np.float32)
    for column, levels in enumerate(heights):
        for level in levels:
            y = np.full(COLUMN_PX, float(level))
            for beat in range(80, COLUMN_PX, 200):
                y[beat : beat + 5] -= (10, 25, 40, 25, 10)
            for x, at in enumerate(y):
                before = y[max(0, x - 1)]
                first, last = sorted((int(before), int(at)))
                trace[first - 2 : last + 3, column * COLUMN_PX + x] = 1.0
    empty = np.zeros_like(trace)
    return InkMap(trace, empty, empty, empty)


def test_each_lead_is_followed_at_its_own_height() -> None:
    starts = [0.0, COLUMN_PX, 2.0 * COLUMN_PX]
    found = rows_by_column(drawn(HEIGHTS), starts, PX_PER_MM)
    assert found is not None
    assert len(found) == 3
    for row, path in enumerate(found):
        for column, levels in enumerate(HEIGHTS):
            part = path.centre[column * COLUMN_PX + 20 : (column + 1) * COLUMN_PX - 20]
            assert abs(float(np.nanmedian(part)) - levels[row]) < 2


def test_a_lead_that_is_not_found_is_a_gap_in_its_row() -> None:
    heights = (HEIGHTS[0], HEIGHTS[1], (170, 410))
    found = rows_by_column(drawn(heights), [0.0, COLUMN_PX, 2.0 * COLUMN_PX], PX_PER_MM)
    assert found is not None
    missing = [bool(np.isnan(path.centre[2 * COLUMN_PX + 20 :]).all()) for path in found]
    assert missing == [False, True, False]


def test_one_column_cannot_be_parted() -> None:
    assert rows_by_column(drawn(HEIGHTS), [0.0], PX_PER_MM) is None
