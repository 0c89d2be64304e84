"""Ink and the trace network together: what is straight print leaves, what crosses it stays."""

from __future__ import annotations

import numpy as np

from ecg4u.digitize.rows.ink import joined_ink, stroke_ink
from ecg4u.digitize.types import FloatArray, InkMap

SIDE = 60
ROW, COLUMN = slice(28, 32), slice(40, 43)


def page(value: float = 0.0) -> FloatArray:
    return np.full((SIDE, SIDE), value, np.float32)


def crossed() -> tuple[FloatArray, InkMap]:
    """A level trace, an upright separator through it, and what a good network says of them."""
    strokes, trace, separator = page(), page(0.02), page(0.02)
    strokes[ROW] = 1.0
    strokes[:, COLUMN] = 1.0
    trace[ROW] = 0.95
    separator[:, COLUMN] = 0.95
    return strokes, InkMap(trace, page(), page(), separator)


def test_a_separator_is_no_trace_but_a_trace_that_crosses_it_is() -> None:
    ink = joined_ink(*crossed())
    assert ink.trace[ROW].min() > 0.9
    assert ink.trace[:20, COLUMN].max() < 0.05
    assert ink.trace[40:, COLUMN].max() < 0.05


def test_unknown_ink_is_kept_but_not_trusted() -> None:
    strokes = page()
    strokes[ROW] = 1.0
    kept = joined_ink(strokes, InkMap(page(), page(), page(), page())).trace[ROW]
    assert 0.4 < kept.min() <= kept.max() < 0.8
    gone = joined_ink(strokes, InkMap(page(), page(0.9), page(), page())).trace[ROW]
    assert gone.max() < 0.05


def test_of_much_unknown_ink_beside_a_trace_none_is_kept() -> None:
    """A black grid that the rules left: the network knows the trace, and nothing of the lines."""
    strokes, trace = page(), page()
    strokes[ROW] = trace[ROW] = 1.0
    strokes[::6] = strokes[:, ::6] = 1.0
    ink = joined_ink(strokes, InkMap(trace, page(), page(), page())).trace
    assert ink[ROW].min() > 0.9
    assert ink[48:].max() < 0.05
    one_line = page()
    one_line[ROW] = one_line[50] = 1.0
    assert joined_ink(one_line, InkMap(trace, page(), page(), page())).trace[50].min() > 0.4


def test_a_stroke_is_print_or_not_as_a_whole() -> None:
    """A network that takes the tip of a QRS complex for a separator does not cut it off."""
    strokes, trace, separator = page(), page(0.02), page(0.02)
    strokes[10:50, COLUMN] = 1.0
    trace[18:50, COLUMN] = 0.9
    separator[10:18, COLUMN] = 0.9
    ink = joined_ink(strokes, InkMap(trace, page(), page(), separator))
    assert ink.trace[18:50, COLUMN].min() > 0.9
    assert ink.trace[10:18, COLUMN].min() > 0.4


def test_a_doubtful_tick_below_sure_ones_is_one() -> None:
    strokes, trace, separator = page(), page(0.02), page(0.02)
    for first, said in ((2, 0.9), (20, 0.9)):
        strokes[first : first + 14, COLUMN] = 1.0
        separator[first : first + 14, COLUMN] = said
    strokes[40:54, COLUMN] = strokes[40:54, 10:13] = 1.0
    for columns in (COLUMN, slice(10, 13)):
        separator[40:46, columns] = 0.45
        trace[40:46, columns] = 0.4
        trace[46:54, columns] = 0.5
    ink = joined_ink(strokes, InkMap(trace, page(), page(), separator))
    assert ink.trace[42:52, COLUMN].max() < 0.1
    assert ink.trace[42:52, 10:13].min() > 0.5


def test_a_line_down_the_page_is_no_trace_even_where_the_network_says_so() -> None:
    """A QRS complex leans on a separator; the network takes the separator beside it for trace."""
    tall = 240
    strokes, trace, separator = (np.full((tall, SIDE), 0.02, np.float32) for _ in range(3))
    strokes[:, COLUMN] = 1.0
    separator[:, COLUMN] = 0.9
    for y in range(100, 141):
        x = COLUMN.stop + abs(y - 120) // 5
        strokes[y, x : x + 4] = trace[y, x : x + 4] = 1.0
    separator[90:150, COLUMN] = 0.1
    trace[90:150, COLUMN] = 0.95
    none = np.zeros_like(trace)
    ink = joined_ink(strokes, InkMap(trace, none, none, separator))
    assert ink.trace[:95, COLUMN].max() < 0.05
    assert ink.trace[145:, COLUMN].max() < 0.05
    assert ink.trace[104:116, COLUMN.stop + 3 : COLUMN.stop + 5].max(axis=1).min() > 0.9


def test_ticks_of_one_size_are_judged_together() -> None:
    strokes, separator = page(), page(0.02)
    places = [(first, x) for first in (4, 38) for x in (8, 22, 36, 50)]
    for first, x in places:
        strokes[first : first + 16, x : x + 3] = 1.0
        separator[first : first + 16, x : x + 3] = 0.9
    doubtful = np.s_[38:54, 50:53]
    trace = page(0.02)
    separator[doubtful], trace[doubtful] = 0.3, 0.6
    trace[doubtful] = np.where(np.arange(16)[:, None] < 14, 0.6, 0.02)
    ink = joined_ink(strokes, InkMap(trace, page(), page(), separator))
    assert ink.trace[doubtful].max() < 0.5


def test_a_dark_crease_is_paper_and_the_trace_in_it_stays() -> None:
    image = np.full((400, 600, 3), 240, np.uint8)
    across = np.exp(-0.5 * ((np.arange(600) - 300) / 25.0) ** 2)
    image = (image * (1 - 0.75 * across[None, :, None])).astype(np.uint8)
    image[198:202, 20:580] = 10
    ink = stroke_ink(image, 10.0)
    assert ink[:150].max() < 0.3
    assert ink[250:].max() < 0.3
    assert ink[200, 30:570].min() > 0.5


def test_a_stroke_that_leans_is_the_side_of_a_wave_whatever_the_network_says() -> None:
    kept = []
    for lean in (0, 8):
        strokes, separator = (np.zeros((240, SIDE), np.float32) for _ in range(2))
        for y in range(20, 220):
            x = 30 + round(lean * (y - 120) / 200)
            strokes[y, x : x + 5] = 1.0
            separator[y, x : x + 5] = 0.95
        none = np.zeros_like(strokes)
        ink = joined_ink(strokes, InkMap(none, none, none, separator)).trace
        kept.append(float(ink[30:210].max(axis=1).min()))
    assert kept[0] < 0.05
    assert kept[1] > 0.5


def test_strokes_that_stand_in_one_line_on_a_grid_line_stay() -> None:
    """Pale QRS complexes of four rows, one below the other, all of them on one line of the grid."""
    image = np.full((900, 900, 3), 240, np.uint8)
    image[::50] = image[:, ::50] = 195
    for top in range(60, 860, 200):
        image[top : top + 190, 449:452] = 120
    for x in range(10, 800, 7):
        image[40:50, x : x + 3] = 20  # a row, which tells how dark ink is
    ink = stroke_ink(image, 10.0)
    assert ink[80:95, 450].min() > 0.5
    assert ink[80:140, 100].max() < 0.3
