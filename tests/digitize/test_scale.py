"""What a millimetre is: the joint decision over grid, rows, pulses, print and page size."""

from __future__ import annotations

import pytest

from ecg4u.digitize.page.rectified import ScaleRival
from ecg4u.digitize.scale.decision import CERTAIN, Shown, decide_scale, likely_speed

HALF, TWICE = ScaleRival(1, 0.5, -2.0), ScaleRival(1, 2.0, -3.0)


def test_rows_of_ten_seconds_settle_a_grid_of_half_millimetres() -> None:
    shown = Shown(row_mm=500.0, pulses_mm=[(20.0, 4.2)] * 3)
    decided = decide_scale(shown, [HALF])
    assert decided.rival is HALF
    assert decided.probability > CERTAIN
    assert decided.doubts == ()


def test_pulses_and_rows_of_half_their_size_double_the_grid() -> None:
    assert decide_scale(Shown(127.0, [(5.0, 2.5)] * 4), [TWICE]).rival is TWICE
    assert decide_scale(Shown(250.0, [(10.0, 5.0)] * 4), [TWICE]).rival is None


def test_what_is_printed_counts() -> None:
    fast = Shown(row_mm=500.0, speed_mm_per_s=50.0, gain_mm_per_mv=10.0, pulses_mm=[(10.0, 10.0)])
    assert decide_scale(fast, [HALF]).rival is None


def test_evidence_that_disagrees_is_a_doubt() -> None:
    rows_say_half = Shown(row_mm=500.0, pulses_mm=[(10.0, 5.0)], speed_mm_per_s=25.0)
    decided = decide_scale(rows_say_half, [ScaleRival(1, 0.5, 0.0)])
    assert decided.probability < CERTAIN
    assert "scale is uncertain" in decided.doubts[0]


@pytest.mark.parametrize(
    ("row_mm", "pulses", "speed"),
    [
        (250.0, [(10.0, 5.0)], 25.0),
        (500.0, [], 50.0),
        (None, [(10.0, 10.0)], 50.0),
        (None, [], 25.0),
    ],
)
def test_speed_by_rows_and_pulses(
    row_mm: float | None, pulses: list[tuple[float, float]], speed: float
) -> None:
    assert likely_speed(Shown(row_mm, pulses))[0] == speed


def test_without_rivals_the_grid_is_believed() -> None:
    decided = decide_scale(Shown(row_mm=None), [])
    assert (decided.rival, decided.probability) == (None, 1.0)
