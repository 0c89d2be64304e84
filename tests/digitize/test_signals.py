"""From curves on the page to signals in mV, each rule where it decides."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecg4u.digitize.rows.stroke import FINE, fine_columns
from ecg4u.digitize.rows.trace import RowPath
from ecg4u.digitize.scale.pulses import Pulse
from ecg4u.digitize.signals.signal import (
    SegmentSignal,
    assemble,
    in_time,
    mark_separators,
    segment_signal,
    zero_level,
)
from ecg4u.digitize.types import Calibration, Layout, RowSegment
from ecg4u.record import LEADS

PX, WIDTH, LEVEL, PEN = 10.0, 1250, 300.0, 4.0
CALIBRATION = Calibration()  # 25 mm/s, 10 mm/mV: 100 px per mV, 250 px per s


def path(fine: np.ndarray | None = None, **marks: np.ndarray) -> RowPath:
    """A row (WIDTH,) at `LEVEL`, or at these heights (`FINE` a px)."""
    fine = np.full(FINE * WIDTH, LEVEL) if fine is None else fine
    y = fine[FINE // 2 :: FINE]
    ink = np.isfinite(y) * 1.0
    return RowPath(LEVEL, y, y - PEN / 2, y + PEN / 2, y, ink, fine, **marks)


def segment(x0: float = 0.0, x1: float = WIDTH, lead: str = "I") -> RowSegment:
    return RowSegment(lead, 0, x0, x1, 0.0, "label", 0.9)


def measured(row: RowPath, x1: float = WIDTH, pulse: Pulse | None = None) -> SegmentSignal:
    return segment_signal(row, segment(x1=x1), pulse, CALIBRATION, PX)


def test_heights_become_millivolts_against_the_commonest_level() -> None:
    fine = np.full(FINE * WIDTH, LEVEL)
    fine[FINE * 500 : FINE * 560] = LEVEL - 50
    found = measured(path(fine))
    t = np.arange(len(found.signal)) / 500
    assert len(found.signal) == 2500
    assert np.abs(found.signal[t < 1.98]).max() < 1e-6
    assert found.signal[(t > 2.03) & (t < 2.2)] == pytest.approx(0.5)


@pytest.mark.parametrize("tall", [-1.0, 1.0])
def test_the_commonest_level_lies_in_the_middle_of_a_wandering_row(tall: float) -> None:
    y = LEVEL + np.tile([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 0.0], 200)
    y[::9] += 80.0 * tall
    assert zero_level(path(np.repeat(y, FINE)[: FINE * WIDTH]), None) == pytest.approx(LEVEL, abs=1)


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_a_second_level_beside_the_commonest_does_not_shift_it(side: float) -> None:
    """As between T and P waves and between P waves and complexes."""
    y = np.concatenate([LEVEL + np.linspace(-1, 1, 600), np.full(300, LEVEL + 5.5 * side)])
    assert zero_level(path(np.repeat(y, FINE)), None) == pytest.approx(LEVEL, abs=0.1)


def test_a_pulses_strokes_are_no_signal_and_its_foot_is_0_mv() -> None:
    fine = np.full(FINE * WIDTH, LEVEL)
    for stroke in (400, 450):
        fine[FINE * (stroke - 2) : FINE * (stroke + 3)] = LEVEL - 60
    pulse = Pulse(0, 400.0, 450.0, base=LEVEL - 10, top=LEVEL - 110, side="left")
    found = measured(path(fine), pulse=pulse)
    assert found.signal[:-1] == pytest.approx(-0.1, abs=1e-3)
    assert found.confidence[800] <= 0.3 < found.confidence[400]


def test_waves_a_third_of_a_millimetre_broad_keep_most_of_their_height() -> None:
    """Smoothing is for edges: a pacemaker's spike or a notch is not flattened."""
    x = fine_columns(WIDTH)
    found = measured(path(LEVEL - 50.0 * np.exp(-0.5 * ((x - 600) / 1.5) ** 2))).signal
    assert np.nanmax(found) == pytest.approx(0.5, abs=0.05)


def test_the_unevenness_of_edges_is_smoothed_and_tips_keep_their_height() -> None:
    rng = np.random.default_rng(0)
    x = fine_columns(WIDTH)
    wave = 100.0 * np.exp(-0.5 * ((x - 600) / 8.0) ** 2)
    found = measured(path(LEVEL - wave + rng.normal(0, 2.0, len(x))))
    assert np.std(found.signal[:1000]) < 0.6 * 0.02
    assert np.nanmax(found.signal) == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize(("gap_px", "bridged"), [(6, True), (12, False)])
def test_a_short_gap_is_bridged_with_little_confidence(gap_px: int, bridged: bool) -> None:
    fine = np.full(FINE * WIDTH, LEVEL)
    fine[FINE * 600 : FINE * (600 + gap_px)] = np.nan
    found = measured(path(fine))
    middle = round((600 + gap_px / 2) / 250 * 500)
    assert np.isfinite(found.signal[middle]) == bridged
    assert found.confidence[middle] == pytest.approx(0.3 if bridged else 0.0, abs=0.05)


def test_before_the_first_ink_and_after_the_last_nothing_is_known() -> None:
    """However little is missing: a QRS complex may hide there."""
    fine = np.full(FINE * WIDTH, LEVEL)
    fine[: FINE * 5] = fine[-FINE * 5 :] = np.nan
    found = measured(path(fine))
    known = np.flatnonzero(np.isfinite(found.signal))
    assert known.tolist() == list(range(known[0], known[-1] + 1))
    assert (known[0], known[-1]) == (10, 2488)
    assert (found.confidence[:10] == 0).all()


def test_a_separator_at_the_end_of_a_lead_is_no_signal_and_one_amid_it_may_be() -> None:
    fine = np.full(FINE * WIDTH, LEVEL)
    marked = np.zeros(WIDTH, bool)
    for first in (8, 600):
        fine[FINE * first : FINE * (first + 4)] = LEVEL - 30
        marked[first : first + 4] = True
    found = measured(path(fine, marked=marked)).signal
    assert np.nanmax(np.abs(found[:600])) < 0.02
    assert np.nanmax(found[1150:1250]) > 0.2


@pytest.mark.parametrize("column_s", [1.25, 2.5, 5.0])
@pytest.mark.parametrize(("seen", "all_of_them"), [((0, 1), True), ((0,), False)])
def test_separators_seen_at_most_columns_stand_at_all(
    seen: tuple, all_of_them: bool, column_s: float
) -> None:
    edge = 625
    rows = []
    for row in range(3):
        marked = np.zeros(WIDTH, bool)
        marked[edge : edge + 4] = row in seen
        rows.append(path(marked=marked))
    segments = tuple(
        RowSegment("I", row, float(edge * k), float(edge * (k + 1)), column_s * k, "label", 0.9)
        for row in range(3)
        for k in range(2)
    )
    third = mark_separators(rows, Layout("3x2", segments, 1.0), PX)[2].marked
    assert third is not None
    assert third[edge : edge + 4].all() == all_of_them
    assert not third[: edge - 10].any()


def test_where_waves_of_two_rows_meet_hardly_any_confidence_is_left() -> None:
    collided = np.zeros(WIDTH, bool)
    collided[500:600] = True
    found = measured(path(collided=collided))
    assert found.confidence[1100] == pytest.approx(0.05)
    assert found.confidence[900] > 0.5


def test_an_end_that_leaps_away_is_unknown() -> None:
    fine = np.full(FINE * WIDTH, LEVEL)
    fine[-FINE * 4 :] = LEVEL - 60
    found = measured(path(fine)).signal
    assert np.isfinite(found[:2480]).all()
    assert np.isnan(found[-6:]).all()


def test_an_end_that_leaps_away_is_unknown_on_a_short_stretch_too() -> None:
    fine = np.full(FINE * WIDTH, LEVEL)
    fine[FINE * 31 : FINE * 36] = LEVEL - 60
    found = measured(path(fine), x1=35.0).signal
    assert len(found) == 70
    assert np.isfinite(found[:58]).all()
    assert np.isnan(found[-6:]).all()


def test_a_wave_that_comes_back_to_rest_before_the_end_is_kept() -> None:
    x = fine_columns(WIDTH)
    fine = LEVEL - 60.0 * np.exp(-0.5 * ((x - (WIDTH - 13)) / 2.0) ** 2)
    assert np.isfinite(measured(path(fine)).signal[:-1]).all()


def test_waves_that_meet_at_the_very_end_have_no_confidence_there() -> None:
    collided = np.zeros(WIDTH, bool)
    collided[-2:] = True
    assert measured(path(collided=collided)).confidence[-2] <= 0.05


def part(lead: str, start_s: float, signal: np.ndarray, rhythm: bool = False) -> SegmentSignal:
    here = RowSegment(lead, 0, 0.0, 1.0, start_s, "label", 0.9, rhythm)
    return SegmentSignal(here, signal, np.ones(len(signal)), np.zeros((len(signal), 2)))


def starts_of(signal: np.ndarray) -> list[float]:
    """Seconds at which two columns and their strip begin, cut from ten seconds of one signal."""
    parts = [
        part("I", 0.0, signal[:2500]),
        part("V1", 5.0, signal[2500:]),
        part("II", 0.0, signal, rhythm=True),
    ]
    layout = in_time(Layout("1x2+1", tuple(p.segment for p in parts), 1.0), parts)
    return [s.start_s for s in layout.segments]


def test_columns_of_small_beats_go_on_in_time_too() -> None:
    times = np.array([0.4, 1.3, 1.9, 3.0, 3.7, 4.6, 5.2, 6.4, 7.0, 8.1, 8.7, 9.6])
    t = np.arange(5000) / 500
    small = 0.05 * np.exp(-0.5 * ((t[:, None] - times) / 0.012) ** 2).sum(axis=1)
    assert starts_of(small) == [0.0, 5.0, 0.0]


def test_a_strip_that_begins_before_its_columns_is_of_their_time() -> None:
    times = np.array([0.4, 1.3, 1.9, 3.0, 3.7, 4.6, 5.2, 6.4, 7.0, 8.1, 8.7, 9.6])
    t = np.arange(5000) / 500
    beats = np.exp(-0.5 * ((t[:, None] - times) / 0.012) ** 2).sum(axis=1)
    parts = [
        part("I", 2.0, beats[500:2500]),
        part("V1", 6.0, beats[2500:]),
        part("II", 1.0, beats, rhythm=True),
    ]
    layout = Layout("1x2+1", tuple(p.segment for p in parts), 1.0)
    assert in_time(layout, parts) == layout


def test_a_rhythm_as_regular_as_its_columns_leaves_them_in_their_order() -> None:
    t = np.arange(5000) / 500
    beats = np.exp(-0.5 * ((t[:, None] - np.arange(0.4, 10)) / 0.012) ** 2).sum(axis=1)
    assert starts_of(beats) == [0.0, 5.0, 0.0]


def test_a_later_column_alone_stays_where_it_is() -> None:
    """The columns before it were not named."""
    t = np.arange(5000) / 500
    beats = np.exp(-0.5 * ((t[:, None] - np.arange(0.4, 10)) / 0.012) ** 2).sum(axis=1)
    parts = [part("V1", 5.0, beats[2500:]), part("II", 0.0, beats, rhythm=True)]
    layout = Layout("1x2+1", tuple(p.segment for p in parts), 1.0)
    assert in_time(layout, parts) == layout


@given(st.integers(-25, 25))
def test_columns_that_repeat_the_same_seconds_may_begin_a_little_off(slip: int) -> None:
    times = np.array([0.4, 1.3, 1.9, 3.0, 3.7, 4.5, 5.2, 6.4, 7.0, 8.1, 8.7, 9.6])
    t = np.arange(-50, 5050) / 500
    beats = np.exp(-0.5 * ((t[:, None] - times) / 0.012) ** 2).sum(axis=1)
    parts = [
        part("I", 0.0, beats[50:2550]),
        part("V1", 5.0, beats[50 + slip : 2550 + slip]),
        part("II", 0.0, beats[50:5050], rhythm=True),
    ]
    layout = in_time(Layout("1x2+1", tuple(p.segment for p in parts), 1.0), parts)
    assert [s.start_s for s in layout.segments] == [0.0, 0.0, 0.0]


def test_a_lead_shown_twice_is_averaged_where_both_agree() -> None:
    wave = np.sin(np.arange(1000) / 30)
    signal, confidence = assemble(
        [part("II", 0.0, wave + 0.02), part("II", 0.0, wave - 0.02, rhythm=True)], Calibration()
    )
    assert signal.shape == (1000, 12)
    assert np.ptp(signal[:, 1] - wave) < 1e-9
    assert np.isnan(signal[:, 0]).all()
    assert (confidence[:, 1] == 1).all()


def test_of_two_copies_that_differ_the_surer_is_kept() -> None:
    wave, other = np.sin(np.arange(1000) / 30), np.cos(np.arange(1000) / 11)
    sure, doubtful = part("II", 0.0, wave), part("II", 0.0, other, rhythm=True)
    doubtful.confidence[:] = 0.5
    assert assemble([sure, doubtful], Calibration())[0][:, 1] == pytest.approx(wave)
    doubtful.confidence[:] = 0.9
    assert assemble([sure, doubtful], Calibration())[0][:, 1] == pytest.approx(other)


def test_beside_ink_that_no_trace_explains_hardly_any_confidence_is_left() -> None:
    cut = np.zeros(WIDTH, bool)
    cut[500:550] = True
    found = measured(path(unexplained=cut))
    t = np.arange(len(found.signal)) / 500
    assert found.confidence[(t > 2.02) & (t < 2.18)].max() <= 0.1
    assert found.confidence[t < 1.9].min() > 0.5


def test_an_end_that_leaps_away_is_unknown_as_far_as_it_is_not_back_at_rest() -> None:
    fine = np.full(FINE * WIDTH, LEVEL)
    fine[-FINE * 2 :] = LEVEL - 60
    fine[-FINE * 4 : -FINE * 2] = LEVEL - 20
    found = measured(path(fine)).signal
    assert np.isfinite(found[:2490]).all()
    assert np.isnan(found[-7:]).all()


@pytest.mark.parametrize("turn", [1, -1])
def test_an_end_beside_a_wave_that_is_over_is_kept(turn: int) -> None:
    """What the end is held against lies within a millimetre of it."""
    fine = np.full(FINE * WIDTH, LEVEL)
    fine[-FINE * 40 : -FINE * 10] = LEVEL - 60
    assert np.isfinite(measured(path(fine[::turn])).signal[2:-2]).all()


def test_a_chest_lead_of_another_gain_and_an_inverted_lead() -> None:
    fine = np.full(FINE * WIDTH, LEVEL)
    fine[FINE * 500 : FINE * 560] = LEVEL - 50
    half = Calibration(chest_gain_mm_per_mv=5.0)
    chest = segment_signal(path(fine), segment(lead="V1"), None, half, PX).signal
    assert chest[1060] == pytest.approx(1.0)
    down = RowSegment("aVR", 0, 0.0, WIDTH, 0.0, "label", 0.9, inverted=True)
    assert segment_signal(path(fine), down, None, half, PX).signal[1060] == pytest.approx(-0.5)


def test_a_segment_lasts_from_its_left_to_its_right_end() -> None:
    x = fine_columns(WIDTH)
    found = segment_signal(
        path(LEVEL - 0.1 * x), segment(x0=100.4, x1=1100.4), None, CALIBRATION, PX
    )
    assert len(found.signal) == len(found.confidence) == 2000
    assert found.xy[0, 0] == pytest.approx(101.0)
    times = np.arange(2000) / 500.0  # 25 px of height a second: 0.25 mV
    assert np.ptp((found.signal - 0.25 * times)[5:-5]) < 1e-6


def test_a_segment_without_ink_is_unknown_throughout() -> None:
    found = measured(path(np.full(FINE * WIDTH, np.nan)))
    assert len(found.signal) == 2500
    assert np.isnan(found.signal).all()
    assert (found.confidence == 0).all()


@pytest.mark.parametrize(("first", "taken_out"), [(10, True), (16, False)])
def test_a_separator_is_no_signal_up_to_1_4_mm_from_the_end(first: int, taken_out: bool) -> None:
    fine = np.full(FINE * WIDTH, LEVEL)
    marked = np.zeros(WIDTH, bool)
    for at in (first, WIDTH - first - 4):
        fine[FINE * at : FINE * (at + 4)] = LEVEL - 30
        marked[at : at + 4] = True
    found = measured(path(fine, marked=marked)).signal
    for half in (found[:1000], found[1000:]):
        assert (np.nanmax(np.abs(half)) < 0.02) == taken_out


@pytest.mark.parametrize(("step_px", "sharp"), [(25, True), (15, False)])
def test_a_leap_that_no_pen_draws_is_not_smoothed(step_px: float, sharp: bool) -> None:
    fine = np.full(FINE * WIDTH, LEVEL)
    fine[FINE * 700 :] = LEVEL - step_px
    found = measured(path(fine)).signal
    either = np.minimum(np.abs(found), np.abs(found - step_px / 100))
    assert (either[1390:1399].max() < 1e-9) == sharp


def test_a_lone_separator_says_nothing_of_other_columns() -> None:
    marked = np.zeros(WIDTH, bool)
    marked[625:629] = True
    layout = Layout("1x2", (segment(x1=625.0), replace_start(segment(x0=625.0), 2.5)), 1.0)
    (row,) = mark_separators([path(marked=marked)], layout, PX)
    assert row.marked is not None
    assert np.array_equal(row.marked, marked)


@pytest.mark.parametrize(("seen", "strays", "parted"), [(5, 0, True), (2, 0, False), (5, 8, False)])
def test_separators_are_believed_where_they_are_seen_oftener_than_by_chance(
    seen: int, strays: int, parted: bool
) -> None:
    rows = []
    for row in range(3):
        marked = np.zeros(WIDTH, bool)
        for column in range(1, 4):
            marked[300 * column - 2 : 300 * column + 2] = 3 * row + column <= seen
        for k in range(strays):
            marked[150 * k + 60 : 150 * k + 64] = True
        rows.append(path(marked=marked))
    segments = tuple(
        RowSegment("I", row, 300.0 * k, 300.0 * (k + 1), 2.5 * k, "label", 0.9)
        for row in range(3)
        for k in range(4)
    )
    last = mark_separators(rows, Layout("3x4", segments, 1.0), PX)[2].marked
    assert last is not None
    assert bool(last[898:902].all()) == parted


@pytest.mark.parametrize(("seen", "parted"), [(3, True), (2, False)])
def test_separators_in_three_of_seven_rows_stand_in_all(seen: int, parted: bool) -> None:
    """What else is taken for one is rare here; in two rows it may still be chance."""
    rows = []
    for row in range(7):
        marked = np.zeros(WIDTH, bool)
        marked[623:627] = row < seen
        rows.append(path(marked=marked))
    segments = tuple(
        RowSegment("I", row, 625.0 * k, 625.0 * (k + 1), 5.0 * k, "label", 0.9)
        for row in range(7)
        for k in range(2)
    )
    last = mark_separators(rows, Layout("7x2", segments, 1.0), PX)[6].marked
    assert last is not None
    assert bool(last[623:627].all()) == parted


def replace_start(found: RowSegment, start_s: float) -> RowSegment:
    return RowSegment(found.lead, found.row, found.x0, found.x1, start_s, "label", 0.9)


EDGE = 625


def third_row(shifts: list[int], width: int) -> np.ndarray | None:
    """What is marked in the third of three rows, of which the first two show strokes so wide (px)
    at these places beside the edge of their columns."""
    rows = []
    for row in range(3):
        marked = np.zeros(WIDTH, bool)
        for shift in shifts:
            marked[EDGE + shift : EDGE + shift + width] = row < 2
        rows.append(path(marked=marked))
    segments = tuple(
        RowSegment("I", row, float(EDGE * k), float(EDGE * (k + 1)), 2.5 * k, "label", 0.9)
        for row in range(3)
        for k in range(2)
    )
    return mark_separators(rows, Layout("3x2", segments, 1.0), PX)[2].marked


@pytest.mark.parametrize(("shift", "seen"), [(10, True), (-12, True), (17, False), (-19, False)])
def test_a_separator_is_looked_for_near_a_columns_edge(shift: int, seen: bool) -> None:
    """Marked in the third row as wide as the others', and three pixels on either side."""
    third = third_row([shift], 4)
    if not seen:
        assert third is None or not third.any()
        return
    assert third is not None
    assert np.flatnonzero(third).tolist() == list(range(EDGE + shift - 3, EDGE + shift + 7))


@pytest.mark.parametrize(("further", "nearer"), [(-11, 2), (-5, 0)])
def test_of_two_strokes_the_one_nearer_to_the_edge_is_the_separator(
    further: int, nearer: int
) -> None:
    third = third_row([further, nearer], 3)
    assert third is not None
    first = EDGE + nearer - 3
    assert np.flatnonzero(third).tolist() == list(range(first, first + 9))


@pytest.mark.parametrize(("leap_px", "kept"), [(36, True), (46, False)])
def test_an_end_that_leaps_four_millimetres_is_another_things_ink(leap_px: int, kept: bool) -> None:
    fine = np.full(FINE * WIDTH, LEVEL)
    fine[-FINE * 4 :] = LEVEL - leap_px
    found = measured(path(fine)).signal
    assert np.isfinite(found[-6:-2]).all() == kept


@pytest.mark.parametrize(("apart_mv", "averaged"), [(0.04, True), (0.18, False)])
def test_copies_agree_within_a_millimetre(apart_mv: float, averaged: bool) -> None:
    wave = np.sin(np.arange(1000) / 30)
    other = wave + apart_mv * np.where(np.arange(1000) % 100 < 50, 1, -1)
    strip = part("II", 0.0, other, rhythm=True)
    found = assemble([part("II", 0.0, wave), strip], Calibration())[0][:, 1]
    assert np.ptp(found - (wave + other) / 2) < 1e-9 if averaged else found == pytest.approx(other)


@pytest.mark.parametrize(("n", "averaged"), [(150, True), (90, False)])
def test_copies_that_share_a_fifth_of_a_second_are_compared(n: int, averaged: bool) -> None:
    wave = np.sin(np.arange(1000) / 30)
    parts = [part("II", 0.0, 1.04 * wave[:n]), part("II", 0.0, wave, rhythm=True)]
    found = assemble(parts, Calibration())[0][:n, 1]
    assert (np.abs(found - wave[:n]).max() > 1e-3) == averaged


def test_a_lead_stands_at_its_seconds_and_is_unknown_elsewhere() -> None:
    wave = np.sin(np.arange(1000) / 30)
    signal, confidence = assemble([part("I", 0.0, wave), part("V1", 2.5, wave)], Calibration())
    assert signal.shape == (2250, 12)
    v1 = LEADS.index("V1")
    assert np.isnan(signal[:1250, v1]).all()
    assert signal[1250:, v1] == pytest.approx(wave)
    assert (confidence[:1250, v1] == 0).all()
    assert (confidence[1250:, v1] == 1).all()


def test_two_copies_a_constant_apart_agree_at_the_level_of_the_strip() -> None:
    wave = np.sin(np.arange(1000) / 30)
    copies = [part("II", 0.0, wave), part("II", 0.0, wave + 0.5, rhythm=True)]
    found = assemble(copies, Calibration())[0][:, 1]
    assert found == pytest.approx(wave + 0.5)
