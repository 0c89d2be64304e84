"""What a millimetre is: the joint decision over grid, rows, pulses, print and page size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from ecg4u.digitize.page.rectified import ScaleRival
from ecg4u.digitize.scale.beats import Beats, beats_of
from ecg4u.digitize.scale.calibration import calibrate
from ecg4u.digitize.scale.decision import (
    CERTAIN,
    FALSE_GRID,
    ILL_FITTING,
    ODD_ON_LINES,
    ODD_SHARE,
    Shown,
    decide_scale,
    likely_gain,
    likely_speed,
)
from ecg4u.digitize.scale.pulses import Pulse
from ecg4u.digitize.text.printed import PrintedScale

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


def test_what_fits_another_scale_far_better_than_the_grids_is_no_grid() -> None:
    shown = Shown(row_mm=181.0, pulses_mm=[(7.1, 3.6)] * 3)
    assert decide_scale(shown, [HALF, TWICE], false_grid=ILL_FITTING).no_grid > 0.9
    usual = Shown(row_mm=250.0, pulses_mm=[(10.0, 5.0)] * 3)
    assert decide_scale(usual, [HALF, TWICE], false_grid=ILL_FITTING).no_grid < 0.05


@pytest.mark.parametrize("row_mm", [63.0, 125.0, 210.0, 325.0])
def test_rows_of_an_unusual_length_alone_leave_a_grid_that_fits(row_mm: float) -> None:
    decided = decide_scale(Shown(row_mm), [], false_grid=FALSE_GRID)
    assert decided.no_grid < 0.05
    assert decided.probability > CERTAIN


def test_without_rivals_the_grid_is_believed() -> None:
    decided = decide_scale(Shown(row_mm=None), [])
    assert (decided.rival, decided.probability) == (None, 1.0)


def beating(mm_per_s: float, rate_per_min: float) -> list[npt.NDArray[np.float64]]:
    """Three rows of 250 mm with QRS complexes of 80 ms and T waves, at 10 px/mm."""
    mm = np.arange(2500) / 10.0
    since = (mm / mm_per_s + 0.3) % (60.0 / rate_per_min) - 0.4
    beat = np.exp(-0.5 * (since / 0.018) ** 2) + 0.25 * np.exp(-0.5 * ((since - 0.28) / 0.05) ** 2)
    return [500.0 * row - height * 100.0 * beat for row, height in enumerate((0.6, 1.2, 0.9))]


@pytest.mark.parametrize("speed", [25.0, 50.0])
def test_beats_tell_the_speed_where_nothing_else_does(speed: float) -> None:
    beats = beats_of(beating(speed, 72.0), 10.0)
    assert beats is not None
    assert beats.rr_mm == pytest.approx(speed * 60 / 72, rel=0.02)
    assert likely_speed(Shown(None, beats=beats))[0] == speed


@pytest.mark.parametrize(
    ("mm_per_mv", "printed", "doubted"),
    [(10.0, None, False), (25.0, None, True), (4.0, None, True), (25.0, 20.0, False)],
)
def test_beats_of_unusual_height_put_a_gain_in_doubt_that_nothing_states(
    mm_per_mv: float, printed: float | None, doubted: bool
) -> None:
    beats = beats_of([row * mm_per_mv / 10 for row in beating(25.0, 72.0)], 10.0)
    assert beats is not None
    assert beats.height_mm == pytest.approx(0.9 * mm_per_mv, rel=0.1)
    shown = Shown(250.0, beats=beats, gain_mm_per_mv=printed)
    print_ = PrintedScale(gain_mm_per_mv=printed)
    found = calibrate((), 10.0, printed=print_, shown=shown)
    assert ("gain_uncertain" in [doubt.code for doubt in found.doubts]) == doubted


def test_rows_without_beats_tell_nothing() -> None:
    assert beats_of([np.full(2500, 300.0), np.full(2500, np.nan)], 10.0) is None
    assert beats_of([], 10.0) is None


def test_pulses_that_may_be_grid_are_weighed_against_the_beats() -> None:
    """QRS complexes of 9.8 mm; what may be pulses is 5 mm high."""
    shown = Shown(250.0, [(5.0, 4.9)] * 2, beats=Beats(21.5, 2.1, 9.8))
    assert likely_gain(shown)[0] == 5.0
    assert likely_gain(replace(shown, odd_share=ODD_ON_LINES))[0] == 10.0
    low = replace(shown, beats=Beats(21.5, 2.1, 4.0), odd_share=ODD_ON_LINES)
    assert likely_gain(low)[0] == 5.0


def test_an_unusual_gain_by_pulses_that_may_be_grid_is_in_doubt() -> None:
    pulses = (Pulse(0, 100.0, 150.0, 300.0, 250.0, "left"),)
    shown = Shown(250.0, [(5.0, 5.0)], beats=Beats(21.5, 2.1, 4.0), odd_share=ODD_ON_LINES)
    codes = [doubt.code for doubt in calibrate(pulses, 10.0, shown=shown).doubts]
    assert codes == ["gain_from_odd_pulses"]
    sure = replace(shown, odd_share=ODD_SHARE)
    assert calibrate(pulses, 10.0, shown=sure).doubts == ()
