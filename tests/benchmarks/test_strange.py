"""Drawn pages that went wrong once; ``test_trace`` has the kinds that a few strokes can show."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.strange import outcome

ECG = Path(__file__).parents[3] / "shared" / "ecg"


@pytest.mark.shared
def test_rows_of_broken_lines_are_followed_and_not_left_for_their_neighbours() -> None:
    found = outcome(61011, ECG)
    assert (found.boxes, found.misnamed) == (14, 0)


@pytest.mark.shared
def test_a_page_at_50_mm_s_is_read_with_as_much_around_it_as_there_is_room_for() -> None:
    assert not outcome(61002, ECG).refused
