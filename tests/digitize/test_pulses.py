"""Calibration pulses on rows as they are followed: lone ones, broken ones, at either end."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from ecg4u.digitize.layout.columns import (
    OVERSTEP,
    boundaries,
    place_columns,
    signal_span,
    starts_apart,
)
from ecg4u.digitize.rows.stroke import FINE
from ecg4u.digitize.rows.trace import RowPath
from ecg4u.digitize.scale.calibration import calibrate, with_chest_gain
from ecg4u.digitize.scale.pulse_shapes import find_plateaus
from ecg4u.digitize.scale.pulses import (
    Pulse,
    cut_pulses,
    end_pulses,
    find_pulses,
    may_be_grid,
    repeated,
    sharpened,
)
from ecg4u.digitize.types import Calibration, InkMap, Layout, RowSegment

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


@pytest.mark.parametrize(
    ("cut", "side", "at"), [((0, 14), "left", 14), ((WIDTH - 14, WIDTH), "right", WIDTH - 14)]
)
def test_a_pulse_cut_by_the_edge_tells_gain_and_end_but_no_width(
    cut: tuple[int, int], side: str, at: int
) -> None:
    paths = rows([[cut]] * 3)
    assert find_pulses(paths, PX_PER_MM) == ()
    pulses = cut_pulses(paths, PX_PER_MM)
    assert [pulse.side for pulse in pulses] == [side] * 3
    for span in signal_span(paths, pulses):
        assert span[0 if side == "left" else 1] == pytest.approx(at, abs=3)
    calibration = calibrate(pulses, PX_PER_MM)
    assert (calibration.gain_mm_per_mv, calibration.gain_from) == (10.0, "pulse")
    assert calibration.pulse_width_mm is None
    assert calibration.doubts == ()
    doubled = tuple(replace(pulse, top=pulse.base - 200) for pulse in pulses)
    doubts = calibrate(doubled, PX_PER_MM).doubts
    assert [doubt.code for doubt in doubts] == ["gain_from_cut_pulses"]


def test_waves_that_begin_the_rows_are_no_cut_pulses() -> None:
    """S waves of 10 mm in every row, 1.4 mm behind the picture's edge."""
    paths = rows([[]] * 3)
    for path in paths:
        path.centre[:40] = path.baseline
        path.centre[14:24] = path.baseline + 100.0 - np.abs(np.arange(-5, 5)) * 20.0
        path.bottom[:40], path.top[:40] = path.centre[:40] + 2, path.centre[:40] - 2
        path.bottom[14:18] = path.baseline + 102.0
    assert cut_pulses(paths, PX_PER_MM) == ()


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


def inked(strokes: list[tuple[float, float]], lean: float = 0.0) -> InkMap:
    """Pulses between pairs of strokes (px), 100 px high, one below the other, pen 4 px.

    ``lean`` is how far a stroke leans inwards from its foot to its plateau.
    """
    ink = np.zeros((200 * len(strokes) + 100, 400), np.uint8)
    for k, (left, right) in enumerate(strokes):
        foot, top = 200.0 * (k + 1), 200.0 * (k + 1) - 100
        half = lean / 2
        corners = [(left - half, foot), (left + half, top), (right - half, top)]
        points = np.array([*corners, (right + half, foot)])
        cv2.polylines(ink, [np.round(points * 16).astype(np.int32)], False, 255, 4, cv2.LINE_AA, 4)
    none = np.zeros(ink.shape, np.float32)
    return InkMap((ink / 255).astype(np.float32), none, none, none)


@pytest.mark.parametrize("lean", [0.0, 2.5])
def test_strokes_of_pulses_are_measured_to_parts_of_a_pixel(lean: float) -> None:
    strokes = [(100.0, 150.0), (100.4, 150.3), (99.7, 150.6)]
    ink = inked(strokes, lean)
    ink.trace[420:580, 153:160] = 1.0  # a name, or the trace, runs into one of them
    found = [
        Pulse(k, 101.0, 152.0, 200.0 * (k + 1), 200.0 * (k + 1) - 100, "left") for k in range(3)
    ]
    sharp = sharpened(found, ink, PX_PER_MM)
    for pulse, (left, right) in zip(sharp, strokes, strict=True):
        assert pulse.x0 == pytest.approx(left, abs=0.25)
        assert pulse.x1 == pytest.approx(right, abs=0.35)
        assert pulse.lean == pytest.approx(lean, abs=0.5)


def test_a_pulse_without_ink_stays_where_it_was_found() -> None:
    pulse = Pulse(0, 101.0, 152.0, 200.0, 100.0, "left")
    assert sharpened([pulse], inked([]), PX_PER_MM) == (pulse,)


def begins(gap_px: float, lean: float = 0.5, pulses_at: float = 80.0) -> float:
    """Where rows begin of which ink ends 10 s and so far behind their pulses' strokes."""
    last = round(pulses_at + gap_px + 2500.0)
    paths = [row(300.0 * (k + 1), [(30, 80)]) for k in range(4)]
    for path in paths:
        path.centre[last:] = np.nan
    pulses = [
        Pulse(k, 30.0, pulses_at, p.baseline, p.baseline - 100, "left", lean)
        for k, p in enumerate(paths)
    ]
    spans = signal_span(paths, pulses)
    return float(boundaries(4, paths, spans, pulses, [], PX_PER_MM, 25.0)[0])


def test_a_signal_that_begins_at_its_pulse_begins_exactly_there() -> None:
    for off in (-1.0, 0.0, 1.0):  # the other end is not known to a pixel
        assert begins(off) == pytest.approx(begins(0.0), abs=0.3)
    assert begins(0.0) == pytest.approx(80 - 0.68, abs=0.3)


def test_a_signal_that_begins_behind_its_pulse_begins_where_the_other_end_says() -> None:
    overstep = OVERSTEP * 4  # of a pen of 4 px, which is taken off though this ink has none
    for gap in (8.0, 18.0):
        assert begins(gap) == pytest.approx(80 + gap - overstep, abs=0.3)


def test_no_signal_begins_before_its_pulse_has_ended() -> None:
    """A row that ends early is short; where it begins, its pulse says."""
    assert begins(-20.0) == pytest.approx(begins(0.0), abs=0.3)


def test_the_lean_of_a_pulse_tells_how_far_apart_samples_were_drawn() -> None:
    assert begins(-0.5, lean=0.5) - begins(-2.5, lean=2.4) == pytest.approx(2.0, abs=0.3)


def test_rows_that_begin_behind_bare_paper_begin_where_their_ink_does() -> None:
    """Both ends of the ink then count alike; a short foot belongs to the pulse."""
    paths = [row(300.0 * (k + 1), [(30, 80)]) for k in range(4)]
    for path in paths:
        path.centre[88:110] = path.centre[2596:] = np.nan
    pulses = [
        Pulse(k, 30.0, 79.0, p.baseline, p.baseline - 100, "left", 0.5) for k, p in enumerate(paths)
    ]
    spans = signal_span(paths, pulses)
    assert [start for start, _ in spans] == pytest.approx([110.7] * 4, abs=0.5)
    edges = boundaries(4, paths, spans, pulses, [], PX_PER_MM, 25.0)
    assert edges[0] == pytest.approx((110.7 + 2595 - 2500) / 2, abs=1.5)
    for path in paths:
        path.centre[2571:] = np.nan
    spans = signal_span(paths, pulses)
    edges = boundaries(4, paths, spans, pulses, [], PX_PER_MM, 25.0)
    assert (edges[0], edges[4]) == pytest.approx((110.7, 2569.5), abs=1)  # no 10 s, clearly


def test_a_long_foot_belongs_to_the_pulse_where_all_rows_go_on_at_one_place() -> None:
    paths = [row(300.0 * (k + 1), [(30, 80)]) for k in range(4)]
    pulses = [
        Pulse(k, 30.0, 79.0, p.baseline, p.baseline - 100, "left", 0.5) for k, p in enumerate(paths)
    ]
    for path in paths:
        path.centre[98:110] = np.nan
    assert starts_apart(paths, pulses) == dict.fromkeys(range(4), 110.0)
    for path in paths:  # a hole, as a grid line leaves it
        path.centre[98:108] = path.centre[200:210]
    assert starts_apart(paths, pulses) == {}
    for k, path in enumerate(paths):  # holes of four traces
        path.centre[98:110] = path.centre[200:212]
        path.centre[98 + 13 * k : 110 + 13 * k] = np.nan
    assert starts_apart(paths, pulses) == {}


def repeating(feet: int) -> tuple[InkMap, tuple[Pulse, ...]]:
    """Four rows of pulses at 60, 960 and 1860 px, of which those beyond the first ``feet`` rows
    stand at the left alone; what is found there."""
    ink = np.zeros((1500, 2800), np.float32)
    for k in range(4):
        base = 300 * (k + 1)
        for x in (60, 960, 1860)[: 3 if k < feet else 1]:
            for stroke in (x, x + 50):
                ink[base - 100 : base + 2, stroke - 2 : stroke + 2] = 1.0
            ink[base - 102 : base - 98, x : x + 50] = 1.0
        ink[base - 100 : base + 2, 400:404] = ink[base - 100 : base + 2, 450:454] = 1.0  # two waves
    none = np.zeros_like(ink)
    left = [Pulse(k, 60.0, 110.0, 300.0 * k + 300, 300.0 * k + 200, "left") for k in range(4)]
    return InkMap(ink, none, none, none), tuple(left)


def test_a_pulse_before_each_column_is_found_again() -> None:
    ink, left = repeating(feet=4)
    found = repeated(left, ink, PX_PER_MM)
    assert [(pulse.row, pulse.side) for pulse in found] == [(k, "inner") for k in range(4)] * 2
    assert [pulse.x0 for pulse in found] == pytest.approx([960] * 4 + [1860] * 4, abs=2)
    assert repeated(left, repeating(feet=1)[0], PX_PER_MM) == ()


def test_columns_begin_as_far_behind_their_pulses_as_the_first() -> None:
    """10 mm apart from one another, and no longer than 10 / 3 s."""
    ink, left = repeating(feet=4)
    pulses = (*repeated(left, ink, PX_PER_MM), *left)
    paths, edges = rows([[]] * 4), np.array([130.0, 1000.0, 1900.0, 2780.0])
    columns = place_columns(edges, paths, [(130.0, 2763.0)] * 4, pulses, PX_PER_MM, 25.0)
    assert columns.starts == pytest.approx([130, 1030, 1930], abs=3)
    assert columns.ends == pytest.approx([960, 1860, 2763], abs=5)
    assert columns.begin_s == pytest.approx([0, 10 / 3, 20 / 3])
    feet = place_columns(edges, paths, [(130.0, 2780.0)] * 4, pulses, PX_PER_MM, 25.0)
    assert feet.starts == pytest.approx(columns.starts + 17, abs=1)
    lone = place_columns(edges[[0, -1]], paths, [(130.0, 2780.0)] * 4, pulses, PX_PER_MM, 25.0)
    assert (lone.starts[0], lone.ends[0]) == (130.0, 2780.0)


def test_a_hatched_page_has_no_pulses_to_be_found() -> None:
    """Pulses stay pulses among a few others; among thousands of strokes none is told apart."""
    ink = np.zeros((2000, 2800), np.float32)
    for y in (100, 300, 500):
        ink[y : y + 80, 100:103] = ink[y : y + 80, 140:143] = ink[y : y + 3, 100:143] = 1.0
    assert len(find_plateaus(ink)) == 3
    for y in range(700, 1950, 50):
        ink[y : y + 36, 200:2750:20] = 1.0
    assert find_plateaus(ink) == ()


def ink_with_pulses(heights: list[float], grid: float) -> np.ndarray:
    """Traces with a pulse of 10 mm each, and lines of a grid every 5 mm as dark as ``grid``."""
    ink = np.zeros((1400, WIDTH), np.float32)
    ink[::50] = ink[:, ::50] = grid
    for y in heights:
        for at in (slice(120, 2500), slice(180, 230)):
            level = round(y) if at.start == 120 else round(y) - 100
            ink[level - 2 : level + 2, at] = 1.0
        ink[round(y) - 2 : round(y) + 2, 184:227] = 0.0
        for x in (180, 227):
            ink[round(y) - 102 : round(y) + 2, x : x + 4] = 1.0
    return ink


def test_pulses_that_more_rows_show_by_their_shape_are_believed() -> None:
    """One row was followed along the grid before its pulse, as if a pulse stood there."""
    paths = rows([[(5, 55)], [], [], []])
    seen = ink_with_pulses([path.baseline for path in paths], grid=0.5)
    empty = np.zeros_like(seen)
    pulses = end_pulses(InkMap(seen, empty, empty, empty), paths, PX_PER_MM)
    assert [pulse.row for pulse in pulses] == [0, 1, 2, 3]
    assert [pulse.x0 for pulse in pulses] == pytest.approx([182] * 4, abs=4)


def test_heights_met_once_each_are_no_pulses() -> None:
    paths = rows([[(50, 80)], [], [(50, 80)], []])
    (high,) = (path for path in paths if path.baseline == 900.0)
    high.centre[50:80] = 850.0
    high.top[50:80], high.bottom[50:80] = 848.0, 852.0
    assert find_pulses(paths, PX_PER_MM) == ()


@pytest.mark.parametrize(
    ("x0", "top", "grid"), [(100.0, 250.0, True), (102.0, 248.0, True), (117.0, 250.0, False)]
)
def test_pulses_along_thick_lines_may_be_grid(x0: float, top: float, grid: bool) -> None:
    pulses = [
        Pulse(row, x0, x0 + 46, top + 300 * row + 50, top + 300 * row, "left") for row in (0, 1)
    ]
    assert may_be_grid(pulses, PX_PER_MM) == grid
    assert may_be_grid(pulses[:1], PX_PER_MM)
    assert not may_be_grid([], PX_PER_MM)
