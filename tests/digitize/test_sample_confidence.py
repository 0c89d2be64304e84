"""Confidence falls where errors are to be expected: faint ink, steep strokes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecg4u.digitize.signals.confidence import (
    HEIGHT_ERROR_MM,
    MAX_ERROR_MM,
    confidence_of,
    reading_error_mm,
)


def test_a_level_trace_in_full_ink_is_sure() -> None:
    assert np.allclose(confidence_of(np.ones(50), np.zeros(50), 25.0), 1.0)
    assert np.allclose(confidence_of(np.full(50, 0.4), np.zeros(50), 25.0), 0.4)


def test_a_steep_stroke_is_less_sure_the_steeper_and_the_slower_the_paper() -> None:
    time_s = np.arange(100) / 500.0
    steep = [confidence_of(np.ones(100), slope * time_s, 25.0)[50] for slope in (50, 500, 5000)]
    assert steep[0] > 0.9 > steep[1] > steep[2]
    assert steep[2] == pytest.approx(HEIGHT_ERROR_MM / MAX_ERROR_MM)
    slow, fast = (confidence_of(np.ones(100), 500 * time_s, speed)[50] for speed in (25.0, 50.0))
    assert fast > slow


@given(st.lists(st.floats(-80, 80) | st.just(float("nan")), min_size=1, max_size=60))
def test_any_trace_has_an_error_within_bounds(heights: list[float]) -> None:
    error = reading_error_mm(np.array(heights), 25.0)
    assert np.all((error >= HEIGHT_ERROR_MM) & (error <= MAX_ERROR_MM))
