"""Which ink is a row, where a row ends and what beside it is marked: each rule at its limit."""

from __future__ import annotations

import numpy as np
import pytest

from ecg4u.digitize.rows.follow import MAX_REACH_MM, follow
from ecg4u.digitize.rows.trace import RowPath, find_rows, local_height, trace_rows
from ecg4u.digitize.types import InkMap

cv2 = pytest.importorskip("cv2")
PX = 10.0
WIDTH = 900


def beats(height_px: float = 100.0, width_px: float = 6.0, every: int = 150) -> np.ndarray:
    """Heights above the baseline (WIDTH,)."""
    x = np.arange(WIDTH)
    return height_px * np.exp(-0.5 * (((x - 75) % every - every / 2) / width_px) ** 2)


def page(
    heights: list[np.ndarray], height: int, ends: list[tuple[int, int]] | None = None
) -> np.ndarray:
    """Ink of traces at these heights, each from 40 px to 40 px before the end or as said."""
    ink = np.zeros((height, WIDTH), np.float32)
    for y, (first, last) in zip(heights, ends or [(40, 860)] * len(heights), strict=True):
        points = np.column_stack([np.arange(WIDTH), y])[first:last]
        cv2.polylines(ink, [np.round(points * 16).astype(np.int32)], False, 1.0, 4, cv2.LINE_AA, 4)
    return np.clip(ink, 0, 1)


def rows_of(ink: np.ndarray, separator: np.ndarray | None = None) -> tuple[RowPath, ...]:
    blank = np.zeros_like(ink)
    return trace_rows(InkMap(ink, blank, blank, blank if separator is None else separator), PX)


def lines(*at: tuple[int, int, int], height: int = 400) -> np.ndarray:
    """Ink of level lines 4 px thick: (height, first, last) px."""
    ink = np.zeros((height, WIDTH), np.float32)
    for y, first, last in at:
        ink[y - 2 : y + 2, first:last] = 1.0
    return ink


def test_rows_are_at_least_6_mm_apart() -> None:
    assert find_rows(lines((100, 40, 860), (175, 40, 860), (250, 40, 860)), PX) == pytest.approx(
        [100, 175, 250], abs=2
    )
    assert len(find_rows(lines((100, 40, 860), (140, 40, 600)), PX)) == 1


@pytest.mark.parametrize(("length_mm", "rows"), [(18, 2), (13, 1)])
def test_a_row_is_longer_than_15_mm(length_mm: int, rows: int) -> None:
    ink = lines((100, 40, 160), (250, 40, 40 + 10 * length_mm))
    assert len(find_rows(ink, PX)) == rows - 1
    ink = lines((100, 40, 240), (250, 40, 40 + 10 * length_mm))
    assert len(find_rows(ink, PX)) == rows


@pytest.mark.parametrize(("piece_mm", "rows"), [(8, 1), (4, 0)])
def test_pieces_of_more_than_6_mm_make_a_row(piece_mm: int, rows: int) -> None:
    pieces = [(100, x, x + 10 * piece_mm) for x in range(40, 780, 10 * piece_mm + 30)]
    assert len(find_rows(lines(*pieces), PX)) == rows


def test_ink_more_than_3_mm_off_makes_a_short_row_no_longer() -> None:
    for below in (165, 35):
        found = find_rows(lines((100, 40, 170), (below, 40, 860)), PX)
        assert found == pytest.approx([below], abs=2)


def test_a_comb_of_upright_strokes_is_no_row() -> None:
    """Marks of millimetres and bar codes, however fine their strokes are."""
    ink = lines((250, 40, 860))
    for x in range(40, 860, 10):
        ink[100:120, x : x + 2] = 1.0
    assert find_rows(ink, PX) == pytest.approx([250], abs=2)


def test_an_empty_page_has_no_row() -> None:
    assert len(find_rows(np.zeros((400, WIDTH), np.float32), PX)) == 0


@pytest.mark.parametrize(("share", "rows"), [(0.65, 3), (0.45, 2)])
def test_a_row_is_at_least_half_as_long_as_the_longest(share: float, rows: int) -> None:
    heights = [200.0 * (k + 1) - beats() for k in range(3)]
    ink = page(heights, 800, [(40, 860), (40, 860), (40, 40 + round(820 * share))])
    assert len(rows_of(ink)) == rows


def test_a_stretch_less_than_half_as_long_as_a_row_does_not_shorten_it() -> None:
    ink = page([200.0 - beats(), 400.0 - beats()], 600, [(40, 860), (40, 410)])
    (row,) = rows_of(ink)
    assert row.extent == pytest.approx((40, 859), abs=4)


@pytest.mark.parametrize(("height_px", "rows"), [(16.0, 3), (5.0, 2)])
def test_a_row_has_waves_of_a_millimetre(height_px: float, rows: int) -> None:
    heights = [200.0 - beats(), 400.0 - beats(height_px), 600.0 - beats()]
    assert len(rows_of(page(heights, 800))) == rows


@pytest.mark.parametrize(("dark", "rows"), [(0.85, 3), (0.6, 2)])
def test_a_row_is_about_as_dark_as_the_darkest(dark: float, rows: int) -> None:
    heights = [200.0 * (k + 1) - beats() for k in range(3)]
    ink = page(heights, 800)
    ink[500:] *= dark
    assert len(rows_of(ink)) == rows


@pytest.mark.parametrize(("further", "kept"), [(3, True), (2, False)])
def test_where_three_rows_go_on_the_others_only_end_sooner(further: int, kept: bool) -> None:
    """Rhythm strips may be short; what one or two rows show beyond the rest is print."""
    n = 7
    heights = [190.0 * (k + 1) - beats(60.0) for k in range(n)]
    ends = [(40, 860 if k < further else 620) for k in range(n)]
    found = rows_of(page(heights, 190 * (n + 1), ends))
    assert len(found) == n
    last = [row.extent[1] for row in found]
    assert last[further:] == pytest.approx([619] * (n - further), abs=6)
    for end in last[:further]:
        assert abs(end - 859) < 6 if kept else abs(end - 659) < 12


@pytest.mark.parametrize(("block_px", "belongs"), [(60, True), (25, False)])
def test_a_piece_beyond_a_gap_belongs_to_a_row_from_4_mm_on(block_px: int, belongs: bool) -> None:
    heights = [200.0 - beats(), 400.0 - beats()]
    ink = page(heights, 600)
    ink[:300, 40 : 200 - block_px] = 0.0
    ink[:300, 200:235] = 0.0
    first = rows_of(ink)[0].extent[0]
    assert first == (200 - block_px if belongs else 235)


@pytest.mark.parametrize(("gap_px", "joined"), [(300, True), (480, False)])
def test_a_row_is_no_longer_itself_beyond_4_cm(gap_px: int, joined: bool) -> None:
    heights = [200.0 - beats()]
    ink = page(heights, 400, [(20, 890)])
    ink[:, 120 : 120 + gap_px] = 0.0
    (row,) = rows_of(ink)
    assert row.extent[0] == pytest.approx(20 if joined else 120 + gap_px, abs=8)


def wave(at: float, height: float, width: float = 14.0) -> np.ndarray:
    return height * np.exp(-0.5 * ((np.arange(WIDTH) - at) / width) ** 2)


def test_waves_of_5_mm_that_touch_are_marked_and_a_millimetre_apart_they_are_not() -> None:
    for apart, met in ((3.0, True), (14.0, False)):
        height = (120.0 - apart) / 2
        heights = [150.0 - beats(30.0) + wave(450, height), 270.0 - beats(30.0) - wave(450, height)]
        first, second = rows_of(page(heights, 420))
        for row in (first, second):
            assert row.collided is not None
            assert row.collided.any() == met
            assert not row.collided[:400].any()


@pytest.mark.parametrize(
    ("y0", "y1", "marked", "ruled"),
    [
        (195, 209, True, False),  # across, 1.4 mm
        (199, 203, False, False),  # 0.4 mm across
        (150, 250, True, True),
        (215, 250, False, True),  # beside, 3.5 mm
        (215, 240, False, False),  # beside, 2.5 mm
        (225, 330, False, True),
        (290, 380, False, False),  # 9 mm away
    ],
)
def test_a_separator_across_a_row_marks_it_and_one_beside_rules_it(
    y0: int, y1: int, marked: bool, ruled: bool
) -> None:
    heights = [200.0 - beats(60.0), 600.0 - beats(60.0)]
    ink, separator = page(heights, 800), np.zeros((800, WIDTH), np.float32)
    separator[y0:y1, 525:529] = 1.0
    first, second = rows_of(ink, separator)
    for row, across, beside in ((first, marked, ruled), (second, False, False)):
        assert row.marked is not None
        assert row.ruled is not None
        assert np.flatnonzero(row.marked).tolist() == (list(range(525, 529)) if across else [])
        assert np.flatnonzero(row.ruled).tolist() == (list(range(525, 529)) if beside else [])


def test_a_speck_at_a_trace_is_no_ink_that_was_missed() -> None:
    ink = page([200.0 - beats(60.0)], 400)
    ink[200:209, 520:524] = ink[206:209, 520:560] = 1.0
    (row,) = rows_of(ink)
    assert row.unexplained is not None
    assert not row.unexplained.any()


@pytest.mark.parametrize(("off_px", "followed"), [(10, False), (25, True)])
def test_a_stroke_within_a_millimetre_of_writing_is_no_wave(off_px: int, followed: bool) -> None:
    """What of a letter was taken for a trace stands beside what was taken for writing."""
    ink = page([200.0 - beats()], 400)
    stroke = np.array([[519, 192], [525, 110], [531, 192]], np.int32)
    cv2.polylines(ink, [stroke], False, 1.0, 4, cv2.LINE_AA)
    blank, text = np.zeros_like(ink), np.zeros_like(ink)
    for x in (525 - off_px, 525 + off_px):
        text[108:192, x - 2 : x + 2] = 1.0
    (row,) = trace_rows(InkMap(ink, text, blank, blank), PX)
    assert (row.centre[510:540].min() < 120) == followed


def test_ink_away_from_a_trace_is_none_of_its_business() -> None:
    ink = page([200.0 - beats(60.0)], 400)
    ink[260:300, 520:524] = 1.0
    (row,) = rows_of(ink)
    assert row.unexplained is not None
    assert not row.unexplained.any()


def test_a_rows_own_height_follows_its_wander_and_not_its_waves() -> None:
    x = np.arange(WIDTH)
    drift = 30.0 * np.sin(2 * np.pi * x / 900)
    centre = 200.0 + drift - beats(60.0, 5.0)
    centre[300:340] = np.nan
    flat = np.zeros(WIDTH)
    row = RowPath(200.0, centre, flat, flat, centre, flat, np.repeat(centre, 3))
    found = local_height(row, PX)
    assert np.abs(found - 200.0 - drift)[100:-100].max() < 20
    nothing = RowPath(200.0, flat, flat, flat, flat * np.nan, flat, np.repeat(flat, 3))
    assert (local_height(nothing, PX) == 0).all()


def test_a_small_blot_on_a_row_is_taken_out() -> None:
    """3 mm, much broader than the pen: the trace goes on below it."""
    ink = page([200.0 - beats(), 400.0 - beats()], 600)
    clean = rows_of(ink)[0].centre
    ink[170:202, 520:552] = 1.0
    found = rows_of(ink)[0].centre
    inside = np.isfinite(found[515:557])
    assert np.abs(found - clean)[515:557][inside].max(initial=0) < 5
    assert np.abs(found - clean)[560:700].max() < 2


@pytest.mark.parametrize(("side_px", "blot"), [(15, False), (21, True)])
def test_a_blot_is_broader_than_1_8_mm(side_px: int, blot: bool) -> None:
    ink = page([200.0 - beats(), 400.0 - beats()], 600)
    first, top = 525 - side_px // 2, 200 - side_px // 2
    ink[top : top + side_px, first : first + side_px] = 1.0
    assert np.isnan(rows_of(ink)[0].centre[520:530]).all() == blot


@pytest.mark.parametrize("grey", [0.3, 0.5])
def test_a_row_climbs_the_strokes_of_a_narrow_peak_not_the_grey_between(grey: float) -> None:
    y = 200.0 - beats(100.0, 4.0)
    heights = np.arange(400)[:, None]
    between = np.where((heights > y) & (heights < 196), grey, 0.0)
    (row,) = rows_of(np.maximum(page([y], 400), between).astype(np.float32))
    assert np.abs(row.y - y)[60:840].mean() < 3.5


def test_a_bold_pen_is_no_blot() -> None:
    y = 200.0 - beats()
    ink = np.zeros((400, WIDTH), np.float32)
    points = np.round(np.column_stack([np.arange(WIDTH), y])[40:860] * 16).astype(np.int32)
    cv2.polylines(ink, [points], False, 1.0, 9, cv2.LINE_AA, 4)
    (row,) = rows_of(ink)
    known = np.isfinite(row.centre[60:840])
    assert known.mean() > 0.99
    assert np.abs(row.centre - y)[60:840].max() < 6
    assert row.fine.shape == (3 * WIDTH,)
    assert np.nanmedian(row.bottom - row.top) == pytest.approx(10, abs=2)


@pytest.mark.parametrize(("rule", "end"), [(300, 420), (100, 360)])
def test_two_paths_along_one_trace_are_one_row(rule: int, end: int) -> None:
    """A rule below or above a row may lead a second path onto it for most of its length."""
    ink = page([200.0 - beats()], 500)
    ink[rule - 2 : rule + 2, 40:end] = 1.0
    found = rows_of(ink)
    assert [abs(row.baseline - 200) < 12 for row in found] == [True]


@pytest.mark.parametrize("own", [False, True])
def test_a_row_is_followed_on_a_tall_page_as_on_one_cut_around_it(own: bool) -> None:
    wave = beats(60.0)
    tall, cut = page([1500 - wave], 3000), page([600 - wave], 1200)
    if own:  # each row's own ink, two rows of which the first has none
        tall, cut = (np.stack([np.zeros_like(ink), ink]) for ink in (tall, cut))
    rows = 2 if own else 1
    on_tall = follow(tall, np.full(rows, 1500.0), 5.0)[-1]
    on_cut = follow(cut, np.full(rows, 600.0), 5.0)[-1]
    assert np.array_equal(on_tall - 900, on_cut)
    assert np.abs(on_cut - (600 - wave))[60:840].mean() < 2


def test_a_row_goes_no_further_from_its_baseline_than_it_may() -> None:
    ink = lines((100, 40, 860), height=1200)
    assert follow(ink, np.array([900.0]), 5.0).min() >= 900 - MAX_REACH_MM * 5
