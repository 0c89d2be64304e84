"""Rows are followed past what is no trace: stains, shadows, lines of print."""

from __future__ import annotations

import numpy as np
import pytest

from ecg4u.digitize.rows import row_network
from ecg4u.digitize.rows.stroke import Edges, pen_width
from ecg4u.digitize.rows.trace import RowPath, trace_rows
from ecg4u.digitize.types import InkMap

cv2 = pytest.importorskip("cv2")
PX = 10.0
WIDTH, PITCH = 1500, 260


def curve(beat_px: float = 120.0) -> np.ndarray:
    """Heights above the baseline, (WIDTH,) px: a beat every 30 mm."""
    x = np.arange(WIDTH)
    return beat_px * np.exp(-0.5 * (((x - 150) % 300 - 150) / 6.0) ** 2)


def page(rows: int = 3) -> tuple[np.ndarray, list[np.ndarray]]:
    """Ink (H, W) of some rows, and the true height of each (WIDTH,)."""
    truth = [PITCH * (row + 1) - curve() for row in range(rows)]
    return drawn(truth, (PITCH * (rows + 1), WIDTH)), truth


def found_rows(ink: np.ndarray, separator: np.ndarray | None = None) -> tuple[RowPath, ...]:
    blank = np.zeros_like(ink)
    return trace_rows(InkMap(ink, blank, blank, blank if separator is None else separator), PX)


def traced(ink: np.ndarray) -> list[np.ndarray]:
    return [row.centre for row in found_rows(ink)]


def drawn(heights: list[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """Ink (H, W) of traces at these heights (W,), each from 60 px to 60 px before the end."""
    ink = np.zeros(size, np.float32)
    for y in heights:
        points = np.column_stack([np.arange(size[1]), y])[60:-60]
        cv2.polylines(ink, [np.round(points * 16).astype(np.int32)], False, 1.0, 4, cv2.LINE_AA, 4)
    return np.clip(ink, 0, 1)


def worst_mm(centre: np.ndarray, truth: np.ndarray, inside: slice) -> float:
    known = np.isfinite(centre[inside])
    assert known.mean() > 0.8
    return float(np.abs(centre[inside] - truth[inside])[known].max()) / PX


def test_a_dark_blot_across_a_row_is_a_gap_not_a_wave() -> None:
    ink, truth = page()
    cv2.ellipse(ink, (700, PITCH * 2 - 30), (70, 50), 20, 0, 360, 1.0, -1)
    rows = traced(ink)
    assert len(rows) == 3
    for centre, y in zip(rows, truth, strict=True):
        assert worst_mm(centre, y, slice(80, -80)) < 1.5


def test_pale_flecks_above_a_level_row_are_no_spike() -> None:
    ink, truth = page()
    for x in (815, 835, 855):
        ink[PITCH - 110 : PITCH - 85, x : x + 10] = 0.72
    rows = traced(ink)
    assert worst_mm(rows[0], truth[0], slice(780, 870)) < 0.5


def test_print_below_the_rows_takes_no_wave_of_theirs() -> None:
    ink, truth = page()
    for left in (*range(300, 520, 25), *range(1000, 1120, 25)):
        corner = (left, PITCH * 3 + 160)
        cv2.rectangle(ink, corner, (corner[0] + 14, corner[1] + 22), 1.0, 3)
    rows = traced(ink)
    assert len(rows) == 3
    assert worst_mm(rows[2], truth[2], slice(80, -80)) < 1.5


@pytest.mark.parametrize("off", [60, 80])
@pytest.mark.parametrize(("dash", "gap"), [(80, 40), (150, 60)])
def test_a_dashed_line_below_a_row_does_not_lead_it_away(off: int, dash: int, gap: int) -> None:
    ink, truth = page()
    for left in range(420, 1100, dash + gap):
        ink[PITCH * 3 + off : PITCH * 3 + off + 8, left : left + dash] = 0.75
    rows = traced(ink)
    assert len(rows) == 3
    assert worst_mm(rows[2], truth[2], slice(80, -80)) < 0.5


def test_rows_last_from_the_first_ink_to_the_last() -> None:
    ink, truth = page()
    for row, y in zip(found_rows(ink), truth, strict=True):
        assert abs(row.extent[0] - 60) < 5
        assert abs(row.extent[1] - (WIDTH - 61)) < 5
        assert abs(np.median(row.y - y)) < 0.9


def test_a_speck_before_a_row_is_no_part_of_it() -> None:
    ink, truth = page()
    ink[PITCH - 2 : PITCH + 2, 20:22] = 1.0
    rows = found_rows(ink)
    assert abs(rows[0].extent[0] - 60) < 5
    assert worst_mm(rows[0].centre, truth[0], slice(80, -80)) < 0.5


def test_a_stretch_beyond_a_gap_belongs_to_its_row() -> None:
    ink, _ = page()
    ink[: PITCH + 130, 160:220] = 0.0
    assert abs(found_rows(ink)[0].extent[0] - 60) < 5


def test_where_a_separator_stands_across_a_row_or_beside_it_is_marked() -> None:
    ink, _ = page()
    separator = np.zeros_like(ink)
    separator[PITCH - 60 : PITCH + 60, 700:704] = 1.0
    separator[2 * PITCH + 20 : 2 * PITCH + 70, 1000:1004] = 1.0
    first, second, third = found_rows(ink, separator)
    assert first.marked is not None
    assert np.flatnonzero(first.marked).tolist() == [700, 701, 702, 703]
    assert first.ruled is not None
    assert np.flatnonzero(first.ruled).tolist() == [700, 701, 702, 703]
    assert second.marked is not None
    assert not second.marked.any()
    assert second.ruled is not None
    assert np.flatnonzero(second.ruled).tolist() == [1000, 1001, 1002, 1003]
    assert third.ruled is not None
    assert not third.ruled.any()


def meeting(height: float) -> tuple[np.ndarray, list[np.ndarray]]:
    """Two rows; at 700 px a wave of the upper one runs down to one of the lower one."""
    x = np.arange(WIDTH)
    wave = height * np.exp(-0.5 * ((x - 700) / 16.0) ** 2)
    truth = [PITCH - curve() + wave, 2 * PITCH - curve() - wave]
    return drawn(truth, (3 * PITCH, WIDTH)), truth


def test_where_waves_of_two_rows_meet_they_are_marked() -> None:
    for row in found_rows(meeting(131)[0]):
        assert row.collided is not None
        met = np.flatnonzero(row.collided)
        assert 690 < met[0] <= 700 <= met[-1] < 710
    for row in found_rows(page()[0]):
        assert row.collided is not None
        assert not row.collided.any()


def test_rows_that_meet_are_followed_each_in_its_own_ink(monkeypatch: pytest.MonkeyPatch) -> None:
    """The row network says whose ink is whose; here a stand-in that knows."""
    ink, truth = meeting(150)
    shape = len(ink) // 2, WIDTH // 2
    own = [drawn([y], ink.shape) for y in truth]

    def known(look: np.ndarray, heights: np.ndarray) -> list[tuple[np.ndarray, int]]:
        assert look.shape[1:] == shape
        assert heights.shape == (2, shape[1])
        small = (cv2.resize(o, shape[::-1], interpolation=cv2.INTER_AREA) for o in own)
        tops = (2, 132)
        parts = [2 * share[top : top + 256] for share, top in zip(small, tops, strict=True)]
        for part in parts:
            part[:, 150:160] *= 0.1  # hardly anybody's, but then its own
        return [(np.clip(part, 0, 1), top) for part, top in zip(parts, tops, strict=True)]

    monkeypatch.setattr(row_network, "own_share", known)
    blank = np.zeros_like(ink)
    look = np.zeros((7, *shape), np.float32)
    rows = trace_rows(InkMap(ink, blank, blank, blank, look), PX)
    assert len(rows) == 2
    for row, y in zip(rows, truth, strict=True):
        assert abs(row.baseline - np.median(y)) < 10
        assert worst_mm(row.centre, y, slice(660, 740)) < 1.5
        assert worst_mm(row.centre, y, slice(80, -80)) < 1.5
        assert np.isfinite(row.centre[300:320]).all()
    for row, y in zip(found_rows(ink), truth, strict=True):
        assert worst_mm(row.centre, y, slice(660, 740)) > 2.0


def test_rows_of_broken_lines_are_not_left_for_their_neighbours() -> None:
    """Gaps of 2 mm every 5 mm in rows that stand closer than their waves are tall."""
    beat = 120 * np.exp(-0.5 * (((np.arange(WIDTH) - 150) % 200 - 100) / 5.0) ** 2)
    truth = [90 * (row + 1.5) - beat for row in range(5)]
    ink = drawn(truth, (585, WIDTH))
    for row, y in enumerate(truth):
        for x in range(70 + 17 * row, WIDTH - 60, 50):
            if np.ptp(y[x - 2 : x + 24]) < 8:
                ink[int(y[x]) - 8 : int(y[x]) + 9, x : x + 22] = 0.0
    rows = traced(ink)
    assert len(rows) == 5
    for centre, y in zip(rows, truth, strict=True):
        assert np.nanmax(np.abs(centre - y)[80:-80]) < 0.5 * PX


def test_rows_of_two_centimetres_are_rows() -> None:
    x = np.arange(340)
    wave = 100 * np.exp(-0.5 * ((x - 170) / 6.0) ** 2)
    heights = [PITCH * (row + 1) - wave for row in range(3)]
    assert len(traced(drawn(heights, (4 * PITCH, 340)))) == 3


def test_a_dash_under_a_row_is_no_row_of_its_own() -> None:
    ink, _ = page(1)
    ink[PITCH + 88 : PITCH + 92, 500:720] = 1.0
    rows = found_rows(ink)
    assert len(rows) == 1
    assert abs(rows[0].baseline - PITCH) < 10


def test_ink_that_goes_on_from_a_trace_and_is_of_no_row_is_marked() -> None:
    ink, _ = page()
    assert not any(row.unexplained is not None and row.unexplained.any() for row in found_rows(ink))
    for side in (-1, 1):
        y = 2 * PITCH + side * np.arange(60)
        ink[y, 300:304] = 1.0
        ink[y[40:], 300:340] = 1.0
    marked = [row.unexplained for row in found_rows(ink)]
    assert all(mark is not None for mark in marked)
    where = [np.flatnonzero(mark) for mark in marked if mark is not None]
    assert [len(at) > 0 for at in where] == [False, True, False]
    assert 290 < where[1].min() <= where[1].max() < 340


@pytest.mark.parametrize("share_cut", [0.0, 0.2])
def test_the_pen_is_as_broad_as_most_of_a_trace(share_cut: float) -> None:
    bottom = np.full(3000, 108.0) + np.random.default_rng(0).normal(0, 0.2, 3000)
    bottom[: round(share_cut * 3000)] = 102.0
    edges = Edges(np.full(3000, 100.0), bottom, np.ones(3000))
    assert pen_width(edges, PX) == pytest.approx(8.0, abs=1.0)


def test_a_row_keeps_its_ends_where_the_row_network_sees_none_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Pulses stand at a row's ends: ink of the row that is no trace, so nobody's to the network."""
    ink, truth = meeting(150)
    own = [drawn([y], ink.shape) for y in truth]

    def inner(look: np.ndarray, heights: np.ndarray) -> list[tuple[np.ndarray, int]]:
        shares = [cv2.resize(o, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for o in own]
        for share in shares:
            share[:, :100] = share[:, -100:] = 0.0
        return [(np.clip(2 * share, 0, 1), 0) for share in shares]

    whole = found_rows(ink)
    monkeypatch.setattr(row_network, "own_share", inner)
    blank = np.zeros_like(ink)
    look = np.zeros((7, len(ink) // 2, WIDTH // 2), np.float32)
    rows = trace_rows(InkMap(ink, blank, blank, blank, look), PX)
    assert len(rows) == len(whole) == 2
    for row, seen, y in zip(rows, whole, truth, strict=True):
        assert row.extent == seen.extent
        assert seen.extent[0] < 80 < WIDTH - 80 < seen.extent[1]
        for end in (slice(80, 190), slice(-190, -80)):
            assert worst_mm(row.centre, y, end) < 1.0
            np.testing.assert_array_equal(row.top[end], seen.top[end])
        assert worst_mm(row.centre, y, slice(660, 740)) < 1.5


def test_a_stretch_far_before_a_row_is_no_part_of_it_and_takes_nothing_of_it() -> None:
    ink, _ = page(1)
    ink[:, 170:640] = 0.0
    (row,) = found_rows(ink)
    assert abs(row.extent[0] - 640) < 10
    assert abs(row.extent[1] - (WIDTH - 61)) < 5


def test_a_row_goes_on_over_its_gaps_and_not_along_a_neighbour() -> None:
    """Three of its four columns' ends stand over bare paper, and a dense neighbour is near."""
    truth = [PITCH - curve(), PITCH + 110 - curve(30.0)]
    ink = drawn(truth, (2 * PITCH, WIDTH))
    gaps = [slice(x, x + 65) for x in (420, 790, 1120)]
    for gap in gaps:
        ink[: PITCH + 40, gap] = 0.0
    upper, lower = traced(ink)
    assert all(np.isnan(upper[gap][5:-5]).all() for gap in gaps)
    inked = np.ones(WIDTH, bool)
    for gap in gaps:
        inked[gap.start - 5 : gap.stop + 5] = False
    assert np.nanmax(np.abs(upper - truth[0])[inked][80:-80]) / PX < 1.5
    assert worst_mm(lower, truth[1], slice(80, -80)) < 1.5


def test_a_bold_row_does_not_remove_fainter_rows() -> None:
    ink, _ = page(4)
    ink[: int(3.5 * PITCH)] *= 0.6
    assert len(traced(ink)) == 4


def test_half_a_pulse_at_the_beginning_of_a_row_is_followed() -> None:
    """Its upright was taken for a separator: the row leaps to what is left of the plateau."""
    ink, truth = page(2)
    ink[:, :85] = 0.0
    for y in truth:
        top = int(y[85]) - 100
        ink[top - 2 : top + 2, 55:85] = 1.0
    for row, y in zip(found_rows(ink), truth, strict=True):
        assert np.abs(row.y[60:82] - (y[85] - 100)).max() < 0.5 * PX


@pytest.mark.parametrize("shift", [0.0, 0.25, 0.5, 0.75])
def test_ends_of_rows_are_told_finer_than_a_pixel(shift: float) -> None:
    fine, first, last = 8, 100.0 + shift, 1400.0 + shift
    ink = np.zeros((PITCH * 2 * fine, WIDTH * fine), np.uint8)
    for row in (1, 2):
        points = fine * np.column_stack([np.arange(WIDTH), PITCH * row - 100 - curve()])
        cv2.polylines(ink, [np.round(points).astype(np.int32)], False, 255, 4 * fine)
    ink[:, : round((first + 0.5) * fine)] = 0
    ink[:, round((last + 0.5) * fine) :] = 0
    ink = (ink / 255).astype(np.float32)
    rows = found_rows(cv2.resize(ink, (WIDTH, PITCH * 2), interpolation=cv2.INTER_AREA))
    assert len(rows) == 2
    for row in rows:
        assert row.ends == pytest.approx((first, last), abs=0.15)
