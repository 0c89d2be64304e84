"""Single rules and constants of the digitizer, each where it decides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from test_trace import PX, page

from ecg4u.digitize.layout.arrangement import find_layout
from ecg4u.digitize.page.sheet import cropped, largest_part, paper_mask, warp_image
from ecg4u.digitize.rows.stroke import FINE, Edges, Runs, centre_line, filled_strokes
from ecg4u.digitize.rows.trace import RowPath, trace_rows
from ecg4u.digitize.signals.signal import SegmentSignal, in_time
from ecg4u.digitize.types import Label, Layout, RowSegment

cv2 = pytest.importorskip("cv2")


def beats_mv(times_s: list[float], length_s: float) -> np.ndarray:
    t = np.arange(round(length_s * 500)) / 500
    return sum(np.exp(-0.5 * ((t - at) / 0.012) ** 2) for at in times_s)  # type: ignore[return-value]


def part(lead: str, row: int, start_s: float, signal: np.ndarray, rhythm: bool) -> SegmentSignal:
    segment = RowSegment(lead, row, 0.0, 1.0, start_s, "label", 0.9, rhythm)
    return SegmentSignal(segment, signal, np.ones(len(signal)), np.zeros((len(signal), 2)))


TIMES = [0.4, 1.3, 1.9, 3.0, 3.7, 4.6, 5.2, 6.4, 7.0, 8.1, 8.7, 9.6]
OTHER = [0.85, 1.6, 2.4, 3.35, 4.15, 4.95, 5.7, 6.05, 7.6, 7.85, 8.4, 9.2]


def starts(second: list[float], strip: list[float]) -> tuple[list[float], tuple[str, ...]]:
    """When a first and a second column and the strip begin, as decided, and what is said."""
    parts = [
        part("I", 0, 0.0, beats_mv(TIMES, 5.0), False),
        part("V1", 0, 5.0, beats_mv(second, 5.0), False),
        part("II", 2, 0.0, beats_mv(strip, 10.0), True),
    ]
    layout = in_time(Layout("1x2+1", tuple(p.segment for p in parts), 1.0), parts)
    return [segment.start_s for segment in layout.segments], layout.warnings


def test_the_rhythm_strip_tells_which_seconds_the_columns_show() -> None:
    later = [t - 5.0 for t in TIMES]
    assert starts(later, TIMES) == ([0.0, 5.0, 0.0], ())
    assert starts(TIMES, TIMES) == ([0.0, 0.0, 0.0], ())


def test_a_strip_of_another_time_follows_the_columns() -> None:
    found, said = starts([t - 5.0 for t in TIMES], OTHER)
    assert found == [0.0, 5.0, 10.0]
    assert [text.code for text in said] == ["strip_after_columns"]


def test_a_row_out_of_time_that_no_name_calls_a_strip_leaves_the_names_in_doubt() -> None:
    parts = [
        part("I", 0, 0.0, beats_mv(TIMES, 5.0), False),
        part("V1", 0, 5.0, beats_mv([t - 5.0 for t in TIMES], 5.0), False),
        part("II", 2, 0.0, beats_mv(OTHER, 10.0), True),
    ]
    segments = [
        replace(p.segment, named_by="layout" if p.segment.rhythm else "label") for p in parts
    ]
    layout = in_time(Layout("1x2+1", tuple(segments), 1.0), parts)
    assert [doubt.code for doubt in layout.doubts] == ["strip_after_columns"]


def test_paper_without_grid_belongs_to_the_page_and_a_table_of_another_colour_does_not() -> None:
    image = np.full((60, 120, 3), (250, 235, 232), np.uint8)  # pale pink paper
    image[:, 80:] = (235, 205, 150)  # wood beside it
    y, x = np.mgrid[0:60, 0:120].astype(float)
    gridded = np.zeros((60, 120), dtype=bool)
    gridded[5:55, 10:50] = True
    paper = paper_mask(image, np.stack([x, y], axis=-1), gridded)
    assert paper[30, 65]
    assert not paper[30, 100]


def test_a_wave_narrower_than_the_pen_keeps_its_height() -> None:
    """A pen of 6 px draws a spike that is 2 px wide: only its rounded tip shows how high it is."""
    pen, n = 6.0, 80 * FINE
    x = np.arange(n) / FINE
    truth = 60.0 - 25.0 * np.exp(-0.5 * ((x - 40.0) / 1.5) ** 2)
    offset = np.linspace(-pen / 2, pen / 2, 61)
    sag = np.sqrt((pen / 2) ** 2 - offset**2)
    moved = np.array([np.interp(x + o, x, truth) for o in offset])
    top = (moved - sag[:, None]).min(axis=0)
    bottom = (moved + sag[:, None]).max(axis=0)
    found = centre_line(top, bottom, pen)
    assert np.abs(found - truth)[4 * FINE : -4 * FINE].max() < 0.5


def test_a_narrow_gap_that_the_path_leaps_over_is_a_lost_stroke_and_a_level_one_a_gap() -> None:
    pen = 4.0
    path = np.where(np.arange(40) < 20, 100.0, 160.0)
    top = np.repeat(path - pen / 2, FINE)
    top[18 * FINE : 22 * FINE] = np.nan
    upright = filled_strokes(Edges(top, top + pen, np.ones(len(top))), path, pen)
    assert (upright.top[18 * FINE : 22 * FINE] == 98).all()
    assert (upright.bottom[18 * FINE : 22 * FINE] == 162).all()
    level = np.where(np.isnan(top), np.nan, 98.0)
    gap = filled_strokes(Edges(level, level + pen, np.ones(len(top))), np.full(40, 100.0), pen)
    assert np.array_equal(np.isnan(gap.top), np.isnan(level))


def paths(rows: int = 3) -> list[RowPath]:
    """Three rows as the tracer finds them."""
    from ecg4u.digitize.types import InkMap

    ink, _ = page(rows)
    wide = np.tile(ink, (1, 2))
    blank = np.zeros_like(wide)
    return list(trace_rows(InkMap(wide, blank, blank, blank), PX))


def named(names: dict[str, tuple[float, float]]) -> tuple[Label, ...]:
    return tuple(Label(n, 0.97, (x, y - 12.0, x + 40.0, y + 12.0)) for n, (x, y) in names.items())


def test_names_where_a_layout_has_none_speak_against_it() -> None:
    """Three rows in four columns, named so; read as one column, nine names would be left over."""
    found = paths()
    first, last = found[0].extent
    step = (last - first) / 4
    order = [["I", "aVR", "V1", "V4"], ["II", "aVL", "V2", "V5"], ["III", "aVF", "V3", "V6"]]
    names = {
        name: (first + column * step + 20.0, found[row].baseline - 60.0)
        for row, line in enumerate(order)
        for column, name in enumerate(line)
    }
    layout = find_layout(found, [], named(names), PX, 25.0)
    assert layout.name == "3x4"
    assert [s.lead for s in layout.segments if s.row == 0] == order[0]


def grid_of(rows: int, columns: int, step: float = 10.0) -> np.ndarray:
    """Source places (px) of the nodes of a flat page, ``step`` px per mm."""
    y, x = np.mgrid[0:rows, 0:columns].astype(float)
    return step * np.stack([x, y], axis=-1)


def test_of_two_parts_that_with_most_of_the_grid_is_the_page_holes_and_all() -> None:
    mask = np.zeros((30, 60), np.uint8)
    mask[2:28, 2:20] = 1
    mask[10:15, 8:12] = 0
    mask[2:28, 25:58] = 1
    within = np.zeros_like(mask)
    within[5:9, 4:16] = 1
    within[5:7, 30:34] = 1
    part = largest_part(mask, within)
    assert part[12, 10]
    assert part[2:28, 2:20].all()
    assert part.sum() == 26 * 18


def test_a_page_is_cut_by_whole_5_mm_and_keeps_all_of_its_paper() -> None:
    paper = np.zeros((50, 70), bool)
    paper[7:21, 13:30] = True
    nodes, kept = cropped(grid_of(50, 70), paper)
    assert nodes[0, 0].tolist() == [100.0, 50.0]
    assert nodes[-1, -1].tolist() == [300.0, 210.0]
    assert kept.sum() == paper.sum()
    paper[2:4, 3:5] = True
    assert cropped(grid_of(50, 70), paper)[0][0, 0].tolist() == [0.0, 0.0]


def test_paper_lies_on_the_picture_and_is_not_much_darker_than_its_grid() -> None:
    image = np.full((60, 120, 3), 240, np.uint8)
    image[:, 60:80] = 140  # a shade
    image[:, 90:] = 90  # the table
    nodes = grid_of(60, 130, 1.0) - (5.0, 0.0)
    gridded = np.zeros((60, 130), bool)
    gridded[5:55, 8:50] = True
    paper = paper_mask(image, nodes, gridded)
    assert paper[30, 5]
    assert not paper[:, :5].any()
    assert not paper[30, 75]
    assert not paper[30, 100]


def test_a_thread_of_paper_colour_does_not_join_what_lies_beside_the_page() -> None:
    image = np.full((60, 120, 3), 240, np.uint8)
    image[:, 60:80] = 60
    image[28:31, 60:80] = 240  # three px wide
    gridded = np.zeros((60, 120), bool)
    gridded[5:55, 5:50] = True
    paper = paper_mask(image, grid_of(60, 120, 1.0), gridded)
    assert paper[30, 55]
    assert not paper[:, 84:].any()


def test_a_line_of_words_at_the_edge_is_on_the_page() -> None:
    image = np.full((60, 120, 3), 60, np.uint8)
    image[5:40, 5:80] = 240
    image[35:38, 20:60] = 90
    gridded = np.zeros((60, 120), bool)
    gridded[5:34, 5:80] = True
    paper = paper_mask(image, grid_of(60, 120, 1.0), gridded)
    assert paper[35:38, 20:60].all()
    assert not paper[42:].any()


def test_a_strip_of_bare_paper_beside_the_grid_belongs_to_the_page() -> None:
    image = np.full((60, 120, 3), 60, np.uint8)
    image[5:40, 5:50] = image[20:27, 50:80] = image[40:60, 20:27] = 240
    gridded = np.zeros((60, 120), bool)
    gridded[5:40, 5:50] = True
    paper = paper_mask(image, grid_of(60, 120, 1.0), gridded)
    assert paper[23, 75]
    assert paper[55, 23]
    assert not paper[50, 75]


def test_paper_ends_with_the_picture() -> None:
    image = np.full((60, 120, 3), 240, np.uint8)
    gridded = np.zeros((70, 140), bool)
    gridded[5:40, 5:50] = True
    paper = paper_mask(image, grid_of(70, 140, 1.0), gridded)
    assert paper[:60, :120].all()
    assert paper.sum() == 60 * 120


def test_a_flat_page_is_drawn_as_it_is() -> None:
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.integers(0, 255, (420, 330, 3), np.uint8), (0, 0), 2.0)
    nodes = grid_of(42, 33)
    drawn, valid = warp_image(image, nodes, np.ones((42, 33), bool))
    assert drawn.shape == (411, 321, 3)
    assert valid.all()
    assert np.abs(drawn.astype(int) - image[:411, :321]).max() <= 1


def test_what_lies_off_the_picture_is_drawn_in_the_papers_colour() -> None:
    image = np.full((300, 300, 3), (200, 180, 160), np.uint8)
    image[:40, :40] = 20
    paper = np.ones((25, 25), bool)
    paper[:, 20:] = False
    drawn, valid = warp_image(image, grid_of(25, 25) - 50.4, paper)
    assert not valid[:49].any()
    assert not valid[:, :49].any()
    assert valid[51, 51]
    assert valid[60:180, 60:180].all()
    assert not valid[:, 200:].any()
    assert (drawn[~valid] == (200, 180, 160)).all()
    assert (drawn[70, 70] == 20).all()
    near = warp_image(image, grid_of(25, 25) - 0.4, np.ones((25, 25), bool))[1]
    assert near.all()
    off = warp_image(image, grid_of(25, 25) - 0.6, np.ones((25, 25), bool))[1]
    assert not off[0].any()
    assert not off[:, 0].any()
    assert off[1:, 1:].all()
    ending = image[:241, :241]
    assert warp_image(ending, grid_of(25, 25) + 0.4, np.ones((25, 25), bool))[1].all()
    off = warp_image(ending, grid_of(25, 25) + 0.6, np.ones((25, 25), bool))[1]
    assert not off[-1].any()
    assert not off[:, -1].any()
    assert off[:-1, :-1].all()


def test_runs_of_a_mask_know_their_ends() -> None:
    mask = np.zeros((2, 8), bool)
    mask[1, [1, 2, 3, 6]] = True
    found = Runs(mask)

    def around(at: int) -> list[int]:
        return [int(end[0]) for end in found.around(np.array([1]), np.array([at]))]

    def within(start: int, stop: int, runs: Runs = found) -> list[int]:
        ends = runs.within(np.array([1]), np.array([start]), np.array([stop]))
        return [int(end[0]) for end in ends]

    assert [around(at) for at in (0, 1, 2, 3, 4, 6)] == [
        [0, 0],
        [1, 3],
        [1, 3],
        [1, 3],
        [4, 4],
        [6, 6],
    ]
    assert [within(0, 7), within(2, 5), within(3, 7)] == [[1, 6], [2, 3], [3, 6]]
    for runs in (found, Runs(np.zeros((2, 8), bool))):
        first, last = within(4, 4, runs)  # none: crossed over
        assert first > 4 > last
    assert [within(7, 7), within(0, 0)] == [[8, 6], [1, -1]]


@pytest.mark.parametrize(("lighter", "paper"), [(35, True), (60, False)])
def test_a_shade_of_the_paper_is_paper_and_a_darker_thing_is_not(lighter: int, paper: bool) -> None:
    """How much lighter the grid's paper is, of 255 (CIE L)."""
    lab = np.full((60, 120, 3), (220, 128, 128), np.uint8)
    lab[:, 60:] = (220 - lighter, 128, 128)
    gridded = np.zeros((60, 120), bool)
    gridded[5:55, 5:50] = True
    image = cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)
    found = paper_mask(image, grid_of(60, 120, 1.0), gridded)
    assert found[30, 30]
    assert found[30, 90] == paper


@pytest.mark.parametrize(("a", "b", "paper"), [(7, 8, True), (-7, 8, True), (13, 14, False)])
def test_paper_has_the_colour_of_its_gridded_part(a: int, b: int, paper: bool) -> None:
    lab = np.full((60, 120, 3), (200, 128, 128), np.uint8)
    lab[:, 60:] = (200, 128 + a, 128 + b)
    gridded = np.zeros((60, 120), bool)
    gridded[5:55, 5:50] = True
    image = cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)
    assert paper_mask(image, grid_of(60, 120, 1.0), gridded)[30, 90] == paper


def test_bare_paper_beside_a_coloured_grid_belongs_to_the_page() -> None:
    """Between its lines the gridded part is white, too."""
    image = np.full((300, 600, 3), 250, np.uint8)
    image[:, 400:] = (150, 110, 60)  # the table
    image[40:260:5, 20:250] = image[40:260, 20:250:5] = (220, 110, 130)
    gridded = np.zeros((60, 120), bool)
    gridded[8:52, 4:50] = True
    paper = paper_mask(image, grid_of(60, 120, 5.0), gridded)
    assert paper[2:58, 2:78].all()
    assert not paper[:, 82:].any()


def test_print_and_traces_on_the_paper_are_paper() -> None:
    image = np.full((60, 120, 3), 240, np.uint8)
    image[10:13, 60:90] = image[20:50, 70:72] = 20
    gridded = np.zeros((60, 120), bool)
    gridded[5:55, 5:50] = True
    assert paper_mask(image, grid_of(60, 120, 1.0), gridded).all()
