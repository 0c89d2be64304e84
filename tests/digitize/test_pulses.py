"""Calibration pulses on rows as they are followed: lone ones, broken ones, at either end."""

from __future__ import annotations

import numpy as np
import pytest

from ecg4u.digitize.layout.columns import signal_span
from ecg4u.digitize.rows.stroke import FINE
from ecg4u.digitize.rows.trace import RowPath
from ecg4u.digitize.scale.calibration import Pulse, calibrate, find_pulses, with_chest_gain
from ecg4u.digitize.types import Calibration, Layout, RowSegment

WIDTH, PEN, PX_PER_MM = 2600, 4.0, 10.0
LEFT, RIGHT = (60, 110), (2480, 2530)


def row(baseline: float, pulses: list[tuple[int, int]], *, strokes: bool = True) -> RowPath:
    """A level trace with pulses of 10 mm; ``strokes``: their upright lines are seen."""
    x = np.arange(WIDTH)
    centre = baseline + 3.0 * np.sin(x / 9.0)
    top, bottom = centre - PEN / 2, centre + PEN / 2
    for start, stop in pulses:
        beside = (x > start - 40) & (x < stop + 40)
        centre[beside] = baseline
        centre[start:stop] = baseline - 100.0
        top, bottom = centre - PEN / 2, centre + PEN / 2
    for edge in (edge for pulse in pulses for edge in pulse):
        near = slice(edge - 2, edge + 2)
        if strokes:
            top[near], bottom[near] = baseline - 102.0, baseline + 2.0
        else:
            bottom[near] = baseline - 52.0
    return RowPath(baseline, centre, top, bottom, centre, np.ones(WIDTH), np.repeat(centre, FINE))


def rows(pulses: list[list[tuple[int, int]]], *, strokes: bool = True) -> tuple[RowPath, ...]:
    return tuple(row(300.0 * (k + 1), own, strokes=strokes) for k, own in enumerate(pulses))


def test_pulses_at_both_ends_are_no_signal() -> None:
    paths = rows([[LEFT, RIGHT]] * 3)
    pulses = find_pulses(paths, PX_PER_MM)
    assert sorted(p.side for p in pulses) == ["left"] * 3 + ["right"] * 3
    for start, stop in signal_span(paths, pulses):
        assert start == pytest.approx(LEFT[1], abs=3)
        assert stop == pytest.approx(RIGHT[0], abs=3)


def test_a_pulse_whose_strokes_are_broken_is_measured_from_its_foot() -> None:
    pulses = find_pulses(rows([[LEFT]] * 3, strokes=False), PX_PER_MM)
    assert [round(p.height_mm(PX_PER_MM)) for p in pulses] == [10, 10, 10]


def test_a_lone_pulse_before_the_first_row_shortens_that_row_alone() -> None:
    paths = rows([[(5, 55)], [], [], []])
    pulses = find_pulses(paths, PX_PER_MM)
    assert [(p.row, p.side) for p in pulses] == [(0, "left")]
    starts = [start for start, _ in signal_span(paths, pulses)]
    assert starts[0] == pytest.approx(55, abs=3)
    assert max(starts[1:]) < 3


def test_a_level_wave_met_once_is_no_pulse() -> None:
    assert find_pulses(rows([[(200, 280)], [], [], []]), PX_PER_MM) == ()


def shown(*rows_of: tuple[str, ...]) -> Layout:
    """A layout with these leads side by side in each row; one lead alone is a rhythm strip."""
    width = WIDTH / 4
    segments = [
        RowSegment(lead, row, k * width, (k + 1) * width, 2.5 * k, "label", 0.9, len(leads) == 1)
        for row, leads in enumerate(rows_of)
        for k, lead in enumerate(leads)
    ]
    return Layout("", tuple(segments), 1.0)


LEADS_3X4 = (("I", "aVR", "V1", "V4"), ("II", "aVL", "V2", "V5"), ("III", "aVF", "V3", "V6"))


def calibrated(heights_mm: list[float], side: str, layout: Layout) -> Calibration:
    """What pulses of these heights, one at an end of each row, say of the gain."""
    pulses = tuple(
        Pulse(row, 60.0, 110.0, 300.0, 300.0 - PX_PER_MM * height, side)
        for row, height in enumerate(heights_mm)
    )
    found = calibrate(pulses, PX_PER_MM)
    return with_chest_gain(found, pulses, (), layout, PX_PER_MM)


def test_pulses_behind_chest_leads_tell_their_gain_alone() -> None:
    found = calibrated([5.0, 5.0, 5.0, 10.0], "right", shown(*LEADS_3X4, ("II",)))
    assert (found.gain_for("I"), found.gain_for("V4")) == (10.0, 5.0)
    assert not found.doubts


def test_pulses_before_limb_leads_that_differ_leave_the_gain_in_doubt() -> None:
    found = calibrated([10.0, 10.0, 5.0], "left", shown(*LEADS_3X4))
    assert (found.gain_for("I"), found.gain_for("V4")) == (10.0, 10.0)
    assert [doubt.code for doubt in found.doubts] == ["pulses_differ"]


def test_one_pulse_of_a_chest_lead_does_not_change_the_gain_of_all() -> None:
    found = calibrated([10.0, 10.0, 10.0, 5.0], "left", shown(*LEADS_3X4, ("V1",)))
    assert found.gain_for("V4") == 10.0
    assert [doubt.code for doubt in found.doubts] == ["pulses_differ"]
