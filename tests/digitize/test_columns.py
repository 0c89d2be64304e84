"""Where columns stand and what they hold, decided from rows and names alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecg4u.digitize.gridless import row_stretch
from ecg4u.digitize.layout.arrangement import _cost_of_leaving, find_layout
from ecg4u.digitize.layout.columns import ruled_evidence, starts_apart
from ecg4u.digitize.layout.doubts import column_doubts
from ecg4u.digitize.page.rectified import PulseScale
from ecg4u.digitize.rows.stroke import FINE
from ecg4u.digitize.rows.trace import RowPath
from ecg4u.digitize.scale.pulses import Pulse
from ecg4u.digitize.signals.signal import segment_signal
from ecg4u.digitize.types import Calibration, Label, Layout, RowSegment
from ecg4u.messages import Message
from ecg4u.record import LEADS

PX_PER_MM = 10.0
COLUMN_PX = 625
LEFT = 100
PITCH = 250
STANDARD = [["I", "aVR", "V1", "V4"], ["II", "aVL", "V2", "V5"], ["III", "aVF", "V3", "V6"]]


def row(baseline: float, ink: Sequence[tuple[int, int]], width: int = 3000) -> RowPath:
    """A level trace that runs from x0 to x1 for each pair."""
    centre = np.full(width, np.nan)
    for x0, x1 in ink:
        centre[x0:x1] = baseline
    fine = np.repeat(centre, FINE)
    return RowPath(
        baseline, centre, centre - 2, centre + 2, centre, np.isfinite(centre) * 1.0, fine
    )


def rows(n: int, ink: Sequence[tuple[int, int]] = ((LEFT, LEFT + 4 * COLUMN_PX),)) -> list[RowPath]:
    return [row(200.0 + PITCH * k, ink) for k in range(n)]


def label(name: str, x: float, row: int, probability: float = 0.99) -> Label:
    """A name printed just above the start of a lead."""
    y = 200.0 + PITCH * row - 60.0
    return Label(name, probability, (x, y, x + 40, y + 25))


def labels(
    names: Sequence[Sequence[str]], pitch: float = COLUMN_PX, x: float = LEFT + 15
) -> list[Label]:
    return [
        label(name, x + pitch * column, k)
        for k, line in enumerate(names)
        for column, name in enumerate(line)
        if name
    ]


def decided(paths: Sequence[RowPath], names: Sequence[Label]) -> Layout:
    return find_layout(paths, (), names, PX_PER_MM, 25.0)


def grid(layout: Layout) -> list[list[str]]:
    """Names row by row."""
    found: dict[int, list[str]] = {}
    for segment in layout.segments:
        found.setdefault(segment.row, []).append(segment.lead)
    return [found.get(k, []) for k in range(max(found) + 1)]


def test_an_unusual_order_in_columns_is_no_row_of_one_lead() -> None:
    order = [["V3", "V1", "aVR"], ["aVL", "V4", "I"], ["V5", "V2", "V6"], ["II", "III", "aVF"]]
    layout = decided(rows(7), labels([*order, ["aVF"], ["V1"], ["I"]], pitch=2500 / 3))
    assert layout.name == "4x3+3"
    assert grid(layout)[:4] == order


@pytest.mark.parametrize("first", [0, 1])
def test_rows_out_of_the_picture(first: int) -> None:
    shown = STANDARD[first : first + 2]
    layout = decided(rows(4), labels([*shown, ["II"], ["V1"]]))
    assert layout.name == "2x4+2"
    assert grid(layout) == [*shown, ["II"], ["V1"]]


def test_a_name_that_was_not_read_is_known_from_the_rows_in_the_picture() -> None:
    shown = [["II", "aVL", "", "V5"], ["III", "", "V3", "V6"]]
    layout = decided(rows(3), labels([*shown, ["II"]]))
    assert grid(layout)[:2] == STANDARD[1:]
    assert {s.lead for s in layout.segments if s.named_by == "layout"} == {"V2", "aVF"}


@given(st.integers(0, 3), st.sets(st.integers(0, 11), min_size=1, max_size=4))
def test_a_few_misread_names_move_no_lead(strips: int, cells: set[int]) -> None:
    wrong = [list(line) for line in STANDARD]
    for cell in cells:
        wrong[cell // 4][cell % 4] = LEADS[(LEADS.index(wrong[cell // 4][cell % 4]) + 5) % 12]
    layout = decided(rows(3 + strips), labels([*wrong, *[["II"]] * strips]))
    assert grid(layout)[:3] == STANDARD


def test_names_in_cabreras_order_tell_how_wide_the_columns_are() -> None:
    read = [["", "II", "V1", "V4"], ["", "", "", ""], ["", "III", "V3", "V6"]]
    layout = decided(rows(3), labels(read))
    starts = {s.lead: s.x0 for s in layout.segments}
    assert starts["V1"] == pytest.approx(LEFT + 2 * COLUMN_PX, abs=10)
    assert grid(layout)[1] == ["I", "aVF", "V2", "V5"]


def test_names_in_the_middle_of_rows_are_those_of_a_later_column() -> None:
    read = [label(name, LEFT + 2 * COLUMN_PX + 60, k) for k, name in enumerate(("V1", "V2", "V3"))]
    assert [line[0] for line in grid(decided(rows(3), read))] == ["I", "II", "III"]


def test_columns_narrower_than_usual_are_told_by_their_gaps_and_names() -> None:
    ink = [(40, 641), (649, 1257), (1265, 1873), (1881, 2380)]
    names = [
        label(n, x0, k)
        for k, line in enumerate(STANDARD)
        for n, (x0, _) in zip(line, ink, strict=True)
    ]
    found = decided(rows(3, ink), names)
    starts = [segment.x0 for segment in found.segments if segment.row == 1]
    assert starts[1:] == pytest.approx([645, 1261, 1877], abs=5)


def test_names_may_stand_over_the_middle_of_their_columns() -> None:
    layout = decided(rows(4), labels([*STANDARD, ["II"]], x=LEFT + 220))
    assert grid(layout)[:3] == STANDARD
    assert all(segment.named_by == "label" for segment in layout.segments)


def test_paper_between_the_columns_belongs_to_none() -> None:
    gap = 90
    ink = [
        (LEFT + k * (COLUMN_PX + gap), LEFT + k * (COLUMN_PX + gap) + COLUMN_PX) for k in range(4)
    ]
    paths = [*rows(3, ink), row(950.0, [(LEFT, LEFT + 4 * COLUMN_PX)])]
    layout = decided(paths, labels([*STANDARD, ["II"]], pitch=COLUMN_PX + gap))
    inner = [s for s in layout.segments if not s.rhythm]
    assert grid(layout)[:3] == STANDARD
    for segment, (x0, x1) in zip(inner, ink * 3, strict=True):
        assert abs(segment.x0 - x0) < 5
        assert abs(segment.x1 - x1) < 5
    assert sorted({round(s.start_s, 1) for s in inner}) == [0.0, 2.5, 5.0, 7.5]


def test_columns_of_the_usual_width_with_paper_between_need_no_names() -> None:
    gap = 75
    ink = [
        (LEFT + k * (COLUMN_PX + gap), LEFT + k * (COLUMN_PX + gap) + COLUMN_PX) for k in range(4)
    ]
    assert grid(decided(rows(3, ink), [])) == STANDARD


def test_columns_begin_at_their_names_where_a_row_is_no_ten_seconds_long() -> None:
    for ink in ((LEFT - 70, LEFT + 4 * COLUMN_PX), (LEFT, LEFT + 4 * COLUMN_PX - 100)):
        layout = decided(rows(4, [ink]), labels([*STANDARD, ["II"]]))
        starts = sorted({round(s.x0) for s in layout.segments if not s.rhythm and s.row == 0})
        assert abs(starts[0] - LEFT) < 15
        assert np.abs(np.diff(starts) - COLUMN_PX).max() <= 1


def test_names_tell_which_end_of_a_row_that_is_too_long_is_its_own() -> None:
    """A line drawn by hand that runs into the rows' left ends makes them 16 mm longer."""
    start = LEFT + 160
    names = labels([*STANDARD, ["II"]], x=start - 20)
    layout = decided(rows(4, [(LEFT, start + 4 * COLUMN_PX)]), names)
    starts = sorted({round(s.x0) for s in layout.segments if not s.rhythm and s.row == 0})
    assert np.abs(starts - (start + COLUMN_PX * np.arange(4))).max() < 3


def test_names_tell_where_columns_begin_however_far_before_them_the_row_does() -> None:
    """Both ends run on along a line of the grid."""
    names = labels([*STANDARD, ["II"]], x=LEFT + 235)
    layout = decided(rows(4, [(LEFT, LEFT + 2800)]), names)
    starts = sorted({round(s.x0) for s in layout.segments if not s.rhythm and s.row == 0})
    assert np.abs(starts - (LEFT + 220 + COLUMN_PX * np.arange(4))).max() < 15


@pytest.mark.parametrize("long", [2300, 2430, 2540, 2580])
def test_names_over_the_middle_of_columns_move_no_row(long: int) -> None:
    names = labels([*STANDARD, ["II"]], x=LEFT + 215)
    layout = decided(rows(4, [(LEFT, LEFT + long)]), names)
    starts = sorted({round(s.x0) for s in layout.segments if not s.rhythm and s.row == 0})
    assert np.abs(starts - (LEFT + COLUMN_PX * np.arange(4))).max() < 60


def test_in_an_order_of_their_own_names_tell_how_wide_columns_are_by_their_neighbours() -> None:
    own = [["V3", "III", "V4", "V5"], ["aVF", "V6", "I", "V2"], ["aVL", "V1", "II", "aVR"]]
    doubtful = [replace(n, probability=0.78) if n.name == "II" else n for n in labels(own)]
    assert grid(decided(rows(3), doubtful)) == own


def test_a_row_without_a_name_under_named_ones_is_the_edge_of_the_page() -> None:
    names = labels([*STANDARD, ["II"]])
    assert grid(decided(rows(5), names)) == [*STANDARD, ["II"]]


def test_a_rhythm_strip_without_a_name_under_named_leads_is_in_doubt() -> None:
    pulses = tuple(
        Pulse(k, 40.0, 90.0, 200.0 + PITCH * k, 100.0 + PITCH * k, "left") for k in range(4)
    )
    layout = find_layout(rows(4), pulses, labels(STANDARD), PX_PER_MM, 25.0)
    assert layout.name == "3x4+1"
    assert [doubt.code for doubt in layout.doubts if isinstance(doubt, Message)] == [
        "strip_unnamed"
    ]
    named = find_layout(rows(4), pulses, labels([*STANDARD, ["II"]]), PX_PER_MM, 25.0)
    assert named.doubts == ()


def test_the_end_of_a_lead_that_leaps_is_unknown() -> None:
    path = row(200.0, [(LEFT, LEFT + COLUMN_PX)])
    path.fine[FINE * LEFT : FINE * (LEFT + 4)] = 120.0
    segment = RowSegment("I", 0, LEFT, LEFT + COLUMN_PX, 0.0, "label", 1.0)
    part = segment_signal(path, segment, None, Calibration(), PX_PER_MM)
    known = np.flatnonzero(np.isfinite(part.signal))
    assert 0 < known[0] * 2 <= 20
    assert np.abs(part.signal[known]).max() < 0.01
    assert not part.confidence[: known[0]].any()


def test_columns_of_an_unusual_length_are_doubted() -> None:
    def doubts(speed: float) -> list[str]:
        paths = tuple(rows(4))
        names = labels([*STANDARD, ["II"]])
        layout = find_layout(paths, (), names, PX_PER_MM, speed)
        found = column_doubts(paths, layout, names, PX_PER_MM)
        return [text for text in found if "s each" in text]

    assert not doubts(25.0)
    assert doubts(50.0)


def test_a_lone_row_without_a_name_is_read_where_the_page_states_its_scale() -> None:
    assert decided(rows(1), []).segments == ()
    lone = find_layout(rows(1), (), [], PX_PER_MM, 25.0, known_scale=True)
    assert [(s.lead, s.named_by, s.rhythm) for s in lone.segments] == [("II", "layout", True)]
    assert "not read" in lone.doubts[0]


def test_leads_of_the_right_side_are_none_of_the_twelve() -> None:
    right = [["I", "aVR", "V1", "V4R"], ["II", "aVL", "V2", "V5R"], ["III", "aVF", "V3R", "V6R"]]
    found = decided(rows(3), labels(right))
    assert grid(found) == [["I", "aVR", "V1"], ["II", "aVL", "V2"], ["III", "aVF"]]
    assert any("V4R" in text and "left out" in text for text in found.warnings)


def test_names_far_above_their_traces_are_theirs() -> None:
    names = [
        replace(one, box=(one.box[0], one.box[1] - 120, one.box[2], one.box[3] - 120))
        for one in labels(STANDARD)
    ]
    assert grid(decided(rows(3), names)) == STANDARD


def test_a_heading_taken_for_a_row_holds_no_leads() -> None:
    heading = row(5.0, ((LEFT, LEFT + 4 * COLUMN_PX),))
    found = decided([heading, *rows(4)], labels([*STANDARD, ["II"]]))
    assert grid(found) == [[], *STANDARD, ["II"]]


def test_separators_say_where_columns_begin_where_the_rows_ends_do_not() -> None:
    paths = rows(3)
    ruled = np.zeros(len(paths[0].y), bool)
    for column in (1, 2, 3):
        at = LEFT - 8 + column * COLUMN_PX
        ruled[at - 2 : at + 3] = True
    bare = decided(paths, labels(STANDARD))
    marked = decided([replace(path, ruled=ruled) for path in paths], labels(STANDARD))
    assert marked.column_starts[1] - bare.column_starts[1] == pytest.approx(-8, abs=1)
    near = [replace(path, ruled=np.roll(ruled, 6)) for path in paths]
    assert decided(near, labels(STANDARD)).column_starts == bare.column_starts


def test_separators_where_columns_begin_count_more_than_names_that_stand_off_them() -> None:
    paths = [ruled(path) for path in rows(4, [(LEFT - 15, LEFT + 4 * COLUMN_PX + 15)])]
    found = decided(paths, labels([*STANDARD, ["II"]], x=LEFT - 62))
    starts = LEFT + COLUMN_PX * np.arange(4)
    assert np.abs(np.array(found.column_starts) - starts)[1:].max() < 16


def ruled(path: RowPath) -> RowPath:
    """The row with a separator at each edge between its columns."""
    marks = np.zeros(len(path.y), bool)
    for edge in (LEFT + COLUMN_PX * k for k in (1, 2, 3)):
        marks[edge - 1 : edge + 2] = True
    return replace(path, ruled=marks)


def test_separators_through_a_row_as_through_those_above_speak_against_a_rhythm_strip() -> None:
    edges = LEFT + COLUMN_PX * np.arange(5.0)
    bare = rows(3)
    parted = [ruled(path) for path in bare]
    assert ruled_evidence(bare[:2], bare[2:], edges, PX_PER_MM) == 0
    assert ruled_evidence(parted[:2], bare[2:], edges, PX_PER_MM) == 0
    assert ruled_evidence(parted[:2], parted[2:], edges, PX_PER_MM) < -1


def test_a_strip_under_rows_parted_by_separators_stays_one() -> None:
    paths = [*(ruled(path) for path in rows(3)), rows(4)[3]]
    assert decided(paths, labels([*STANDARD, ["II"]])).name == "3x4+1"


def test_a_page_of_which_rows_are_out_of_sight_is_doubted_unless_every_name_was_read() -> None:
    def codes(names: Sequence[Sequence[str]]) -> list[str]:
        return [doubt.code for doubt in decided(rows(2), labels(names)).doubts]

    assert "part_of_page" not in codes(STANDARD[:2])
    assert "part_of_page" in codes([STANDARD[0], ["II", "aVL", "V2", ""]])


def beating(baseline: float) -> RowPath:
    """A row with a QRS complex every 20 mm."""
    path = row(baseline, ((LEFT, LEFT + 4 * COLUMN_PX),))
    at = np.arange(len(path.y))
    centre = path.centre - 80.0 * np.exp(-0.5 * (((at - 150) % 200 - 100) / 3.0) ** 2)
    return replace(path, centre=centre, fine=np.repeat(centre, FINE))


def test_a_row_that_beats_or_has_a_pulse_as_the_others_do_is_hardly_taken_for_print() -> None:
    every = [beating(200.0 + PITCH * k) for k in range(3)]
    cost = _cost_of_leaving([*every, beating(950.0)], [0, 1, 2], set(), PX_PER_MM)
    level = [*every, rows(4)[3]]
    assert cost > 2 * _cost_of_leaving(level, [0, 1, 2], set(), PX_PER_MM)
    assert cost == _cost_of_leaving(level, [0, 1, 2], {0, 1, 2, 3}, PX_PER_MM)


def test_a_name_stays_where_it_is_when_its_trace_wanders() -> None:
    paths = rows(3)
    far = paths[1].centre.copy()
    far[LEFT : LEFT + COLUMN_PX] -= 330.0 * np.linspace(1.0, 0.0, COLUMN_PX)
    paths[1] = replace(paths[1], centre=far, fine=np.repeat(far, FINE))
    found = {s.lead: s.named_by for s in decided(paths, labels(STANDARD)).segments}
    assert found["II"] == "label"


def test_limb_leads_that_are_left_fill_the_cells_whose_names_were_not_read() -> None:
    order = ["V1", "I", "V2", "", "V3", ""], ["V4", "aVR", "V5", "aVL", "V6", "aVF"]
    names = labels(list(zip(*order, strict=True)), pitch=2 * COLUMN_PX)
    found = decided(rows(6), names)
    assert [line[0] for line in grid(found)] == ["V1", "I", "V2", "II", "V3", "III"]
    doubt = next(doubt for doubt in found.doubts if doubt.code == "order_unusual")
    assert set(doubt.parameters["names"]) >= {"II", "III"}


def behind_pulses(
    gaps: Sequence[bool], seconds: float = 10.0
) -> tuple[list[RowPath], tuple[Pulse, ...]]:
    """Rows that begin 20 px behind their pulses, over bare paper or, where there is no gap, ink."""
    end = 170 + round(seconds * 250)
    paths = [
        row(200.0 + PITCH * k, ((100, 150), (170, end)) if gap else ((100, end),))
        for k, gap in enumerate(gaps)
    ]
    pulses = tuple(
        Pulse(k, 100.0, 150.0, 200.0 + PITCH * k, 100.0 + PITCH * k, "left")
        for k in range(len(gaps))
    )
    return paths, pulses


@pytest.mark.parametrize(
    ("gaps", "apart"),
    [
        ((True, True, True), 3),
        ((True, False, True, False), 2),
        ((True, False), 0),
        ((True, False, False), 0),
        ((True,), 1),
    ],
)
def test_rows_stand_apart_from_their_pulses_if_half_of_them_do(
    gaps: tuple[bool, ...], apart: int
) -> None:
    assert len(starts_apart(*behind_pulses(gaps))) == apart


def test_rows_that_run_into_a_pulse_behind_them_do_not_tell_the_scale() -> None:
    """Its foot, up to 5 mm long, looks like their end."""
    paths, pulses = behind_pulses((True, True, True), 9.93)
    end = paths[0].extent[1]
    behind = [replace(p, x0=end - 2.0, x1=end + 48.0, side="right") for p in pulses]
    scale = PulseScale(10.0, 25.0, 3, 0.003)
    assert row_stretch(paths, pulses, scale, PX_PER_MM) is not None
    assert row_stretch(paths, (*pulses, *behind), scale, PX_PER_MM) is None


@pytest.mark.parametrize(
    ("seconds", "uncertainty", "corrected"),
    [
        (9.76, 0.011, True),
        (9.76, 0.003, False),
        (9.93, 0.003, True),
        (9.5, 0.05, False),
    ],
)
def test_rows_correct_the_pulses_scale_as_far_as_the_pulses_leave_it_open(
    seconds: float, uncertainty: float, corrected: bool
) -> None:
    paths, pulses = behind_pulses((True, True, True), seconds)
    ratio = row_stretch(paths, pulses, PulseScale(10.0, 25.0, 3, uncertainty), PX_PER_MM)
    if corrected:
        assert ratio == pytest.approx(seconds / 10.0, abs=0.002)
    else:
        assert ratio is None


def test_in_an_order_of_their_own_columns_with_gaps_are_told_by_neighbouring_names() -> None:
    order = [["V2", "III", "I", "II"], ["aVF", "aVR", "V1", "aVL"], ["V4", "V3", "V5", "V6"]]
    pitch = COLUMN_PX + 105
    ink = [(LEFT + pitch * k, LEFT + pitch * k + COLUMN_PX) for k in range(4)]
    names = [name for name in labels(order, pitch=pitch) if name.name != "V4"]
    layout = decided(rows(3, ink), names)
    assert layout.name == "3x4"
    read = [[name for name in line if name != "V4"] for line in order]
    assert [[n for n in line if n != "V4"] for line in grid(layout)] == read


def test_two_rows_show_whichever_leads_are_named() -> None:
    layout = decided(rows(2), labels([["V1"], ["V5"]]))
    assert grid(layout) == [["V1"], ["V5"]]


def test_names_some_millimetres_behind_breaks_tell_where_columns_begin() -> None:
    """Print at the left has made the rows too long; names begin 4.4 mm behind their columns."""
    start = LEFT + 250
    ink = [(LEFT, start + COLUMN_PX)]
    ink += [(start + COLUMN_PX * k + 12, start + COLUMN_PX * (k + 1)) for k in (1, 2, 3)]
    layout = decided(rows(3, ink), labels(STANDARD, x=start + 44))
    starts = sorted({round(s.x0) for s in layout.segments})
    assert np.abs(starts - (start + COLUMN_PX * np.arange(4))).max() < 20


@pytest.mark.parametrize(
    ("x", "doubted"), [(15, False), (60, True), (170, True), (220, False), (312, False)]
)
def test_names_off_their_columns_are_in_doubt_but_not_those_over_the_middle(
    x: int, doubted: bool
) -> None:
    paths = tuple(rows(3))
    segments = tuple(
        RowSegment(name, k, LEFT + COLUMN_PX * c, LEFT + COLUMN_PX * (c + 1), 2.5 * c, "label", 0.9)
        for k, line in enumerate(STANDARD)
        for c, name in enumerate(line)
    )
    doubts = column_doubts(paths, Layout("3x4", segments, 0.9), labels(STANDARD, x=LEFT + x), 10.0)
    assert bool(doubts) == doubted
