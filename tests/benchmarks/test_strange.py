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
