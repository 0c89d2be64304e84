"""From ink to the curve that a pen drew: each rule of edges, pens and lost strokes at its limit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ecg4u.digitize.rows.stroke import (
    FINE,
    Edges,
    FineInk,
    centre_line,
    filled_strokes,
    fine_columns,
    pen_width,
)

pytest.importorskip("cv2")
PX, HEIGHT, WIDTH = 10.0, 60, 8


def ink(**rows: float) -> FineInk:
    """Ink that is the same in every column: ``r10_13=0.5`` is half dark in rows 10 to 13."""
    page = np.zeros((HEIGHT, WIDTH), np.float32)
    for name, dark in rows.items():
        first, last = (int(part) for part in name[1:].split("_"))
        page[first : last + 1] = dark
    return FineInk(page)


def edges_at(found: FineInk, y: float, snap: int) -> list[float]:
    """Top, bottom and strength midway, looked for from height ``y``."""
    edges = found.edges(np.full(WIDTH, y), snap)
    middle = FINE * WIDTH // 2
    return [float(v[middle]) for v in (edges.top, edges.bottom, edges.strength)]


def test_the_curve_is_measured_at_three_places_a_pixel() -> None:
    assert fine_columns(2) == pytest.approx(np.array([-1, 0, 1, 2, 3, 4]) / 3)


def test_an_edge_stands_where_the_ink_is_half_dark() -> None:
    soft = ink(r9_9=0.25, r10_13=1.0, r14_14=0.75)
    assert edges_at(soft, 11.0, 0) == pytest.approx([10 - 2 / 3, 14 + 1 / 3, 1.0])


def test_ink_at_the_very_edge_of_the_page_ends_there() -> None:
    assert edges_at(ink(r0_3=1.0), 2.0, 0) == pytest.approx([0.0, 3.5, 1.0])
    low, high, _ = edges_at(ink(r56_59=0.8), 57.0, 0)
    assert (low, high) == pytest.approx((56 - 0.3 / 0.8, 59.0))


def test_the_strength_of_ink_is_at_most_1_at_a_sharp_end_too() -> None:
    page = np.zeros((HEIGHT, WIDTH), np.float32)
    page[20:24, 3:] = 1.0
    strength = FineInk(page).edges(np.full(WIDTH, 22.0), 0).strength
    assert np.nanmax(strength) == 1.0


def test_ink_is_not_looked_for_off_the_page_nor_at_its_other_end() -> None:
    assert edges_at(ink(r58_59=1.0), 58.0, 5)[:2] == pytest.approx([57.5, 59.0])
    assert edges_at(ink(r0_1=1.0), 1.0, 5)[:2] == pytest.approx([0.0, 1.5])
    assert np.isnan(edges_at(ink(r57_59=1.0), 1.0, 5)[0])
    assert np.isnan(edges_at(ink(r0_2=1.0), 58.0, 5)[0])


@pytest.mark.parametrize(
    ("y", "snap", "top"),
    [(26, 5, None), (26, 6, 19.5), (13, 6, None), (13, 7, 19.5), (20, 0, 19.5)],
)
def test_ink_is_looked_for_so_far_from_the_path_and_no_further(
    y: float, snap: int, top: float | None
) -> None:
    found = edges_at(ink(r20_20=1.0), y, snap)[0]
    assert np.isnan(found) if top is None else found == pytest.approx(top)


def test_the_nearest_ink_is_the_paths() -> None:
    two = ink(r10_12=1.0, r24_26=1.0)
    assert edges_at(two, 17.0, 8)[0] == pytest.approx(9.5)
    assert edges_at(two, 19.0, 8)[0] == pytest.approx(23.5)


@pytest.mark.parametrize(
    ("between", "joined"), [({"r13_16": 0.3}, True), ({"r13_16": 0.1}, False), ({}, False)]
)
def test_strokes_with_grey_between_are_one_and_with_paper_two(
    between: dict[str, float], joined: bool
) -> None:
    two = ink(r10_12=1.0, r17_19=1.0, **between)
    assert edges_at(two, 11.0, 0)[1] > 19 if joined else edges_at(two, 11.0, 0)[1] < 13


def test_a_slit_of_two_pixels_in_a_stroke_is_a_grid_line_taken_out() -> None:
    assert edges_at(ink(r10_12=1.0, r15_17=1.0), 11.0, 0)[1] == pytest.approx(17.5)


def test_grey_alone_is_no_trace_and_a_strength_is_that_of_the_ink() -> None:
    assert np.isnan(edges_at(ink(r10_13=0.4), 11.0, 2)[0])
    assert edges_at(ink(r10_13=0.6), 11.0, 2)[2] == pytest.approx(0.6)


def strokes(n: int, rise: float, width: int = 5) -> float | None:
    """Width found of ``n`` upright strokes, each ``rise`` px high."""
    page = np.zeros((80, 20 * (n + 1)), np.float32)
    path = np.full(page.shape[1], 30.0)
    for k in range(n):
        first = 20 * (k + 1) - width // 2
        page[28 : 34 + round(rise), first : first + width] = 1.0
        path[20 * (k + 1) + 1 :] += rise if k % 2 == 0 else -rise
    return FineInk(page).stroke_width(path, PX)


@pytest.mark.parametrize(
    ("n", "rise", "width"), [(12, 30.0, 5.5), (11, 30.0, None), (12, 7.0, 5.5), (12, 5.0, None)]
)
def test_a_dozen_strokes_steeper_than_0_6_mm_tell_the_pen(
    n: int, rise: float, width: float | None
) -> None:
    assert strokes(n, rise) == width


def pen_of(*shares: tuple[float, float], stroke: float | None = None) -> float:
    """The pen of a trace that is so thick in such a share of its columns."""
    thickness = np.concatenate([np.full(round(1000 * share), thick) for thick, share in shares])
    zero = np.zeros(len(thickness))
    return pen_width(Edges(zero, thickness, zero + 1), PX, stroke)


def test_the_pen_is_the_tenth_that_is_thinnest_but_not_far_under_the_commonest() -> None:
    assert pen_of((5.6, 0.2), (6.0, 0.8)) == pytest.approx(5.6)
    assert pen_of((3.0, 0.2), (6.0, 0.8)) == pytest.approx(5.4)
    assert pen_of((5.6, 0.05), (6.0, 0.95)) == pytest.approx(6.0)
    assert pen_of((4.0, 0.04), (6.0, 0.5), (9.0, 0.2), (14.0, 0.26)) == pytest.approx(6.0)


def test_of_a_few_columns_too_the_commonest_thickness_is_found() -> None:
    thickness = np.array([14.0, 6.0, 9.0, 6.0, 11.0, 6.0, 8.0])
    zero = np.zeros(7)
    assert pen_width(Edges(zero, thickness, zero + 1), PX) == pytest.approx(6.0)


def test_steep_strokes_may_say_that_the_pen_is_finer() -> None:
    assert pen_of((6.0, 1.0), stroke=4.0) == pytest.approx(4.0)
    assert pen_of((6.0, 1.0), stroke=9.0) == pytest.approx(6.0)


def test_a_pen_is_0_1_to_1_2_mm() -> None:
    assert pen_of((0.4, 1.0)) == pytest.approx(1.0)
    assert pen_of((20.0, 1.0)) == pytest.approx(12.0)
    nothing = np.full(9, np.nan)
    assert pen_width(Edges(nothing, nothing, nothing), PX) == pytest.approx(1.0)


def over_gap(width_px: int, leap: float, pen: float = 4.0) -> tuple[Edges, slice]:
    """A level trace that goes on ``leap`` px higher after a gap; darker before it than after."""
    n = 60
    first = 30 - width_px // 2
    path = np.where(np.arange(n) < 30, 100.0, 100.0 - leap)
    top = np.repeat(path - pen / 2, FINE)
    gap = slice(FINE * first, FINE * (first + width_px))
    top[gap] = np.nan
    strength = np.where(np.arange(FINE * n) < FINE * 30, 0.9, 0.7)
    return filled_strokes(Edges(top, top + pen, strength), path, pen), gap


@pytest.mark.parametrize(
    ("width_px", "leap", "filled"), [(5, 40, True), (7, 40, False), (4, 14, True), (4, 10, False)]
)
def test_a_lost_stroke_is_narrower_than_one_and_a_half_pens_and_higher_than_three(
    width_px: int, leap: float, filled: bool
) -> None:
    edges, gap = over_gap(width_px, leap)
    assert np.isfinite(edges.top[gap]).all() == filled
    if filled:
        assert edges.top[gap] == pytest.approx(98.0 - leap)
        assert edges.bottom[gap] == pytest.approx(102.0)
        assert edges.strength[gap] == pytest.approx(0.7)
        before = slice(0, gap.start)
        assert edges.top[before] == pytest.approx(98.0)


def test_a_trace_that_ends_has_no_lost_stroke_beyond() -> None:
    top = np.where(np.arange(FINE * 20) < FINE * 15, 50.0, np.nan)
    path = np.where(np.arange(20) < 15, 52.0, 5.0)
    edges = filled_strokes(Edges(top, top + 4, top * 0 + 1), path, 4.0)
    assert np.isnan(edges.top[FINE * 15 :]).all()


def bump(at: float, height: float, width: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: height * np.exp(-0.5 * ((x - at) / width) ** 2)


SHAPES = {
    "level": [],
    "an R wave": [bump(40, 30, 3)],
    "a narrow R wave": [bump(40, 25, 1.5)],
    "an S wave": [bump(40, -30, 3)],
    "a narrow S wave": [bump(40, -25, 1.5)],
    "R and S": [bump(38, 25, 2.0), bump(45, -25, 2.0)],
    "Q and R": [bump(33, -12, 2.5), bump(41, 30, 2.5)],
    "narrow Q, R and S": [bump(34, -10, 1.5), bump(40, 28, 1.5), bump(46, -12, 1.5)],
    "two close R waves": [bump(33, 20, 2.0), bump(47, 16, 2.0)],
    "a slope": [lambda x: 0.8 * (x - 40)],
}


def off_by(parts: list[Callable[[np.ndarray], np.ndarray]]) -> np.ndarray:
    """How far (px) the curve found lies from one drawn with a pen of 6 px, its start hidden."""
    pen, n = 6.0, 80 * FINE
    x = fine_columns(80)
    wide = np.arange(-60, FINE * 140) / FINE
    truth = 60.0 - sum((part(wide) for part in parts), np.zeros(len(wide)))
    offset = np.linspace(-pen / 2, pen / 2, 61)
    sag = np.sqrt((pen / 2) ** 2 - offset**2)[:, None]
    moved = np.array([np.interp(x + o, wide, truth) for o in offset])
    top, bottom = (moved - sag).min(axis=0), (moved + sag).max(axis=0)
    top[:9] = bottom[:9] = np.nan
    found = centre_line(top, bottom, pen)
    assert np.isnan(found[:9]).all()
    inside = slice(9 + 4 * FINE, n - 4 * FINE)
    return np.abs(found - np.interp(x, wide, truth))[inside]


@pytest.mark.parametrize("shape", SHAPES)
def test_the_curve_comes_back_from_the_edges_of_its_stroke(shape: str) -> None:
    off = off_by(SHAPES[shape])
    assert off.max() < 0.7
    assert off.mean() < 0.08


def test_a_notch_that_the_pen_nearly_fills_is_seen_between_its_two_tips() -> None:
    off = off_by([bump(36, 20, 1.5), bump(44, 28, 1.5)])
    assert off.max() < 6
    assert off.mean() < 0.2
