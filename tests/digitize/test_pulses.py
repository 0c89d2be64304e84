"""Calibration pulses on rows as they are followed: lone ones, broken ones, at either end."""

from __future__ import annotations

import numpy as np
import pytest

from ecg4u.digitize.layout.columns import signal_span
from ecg4u.digitize.rows.stroke import FINE
from ecg4u.digitize.rows.trace import RowPath
from ecg4u.digitize.scale.calibration import find_pulses

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
