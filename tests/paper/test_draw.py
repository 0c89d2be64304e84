"""The drawer's truth: what it says it drew is what stands on the page."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg4u.paper import LAYOUTS, PageStyle, draw_page, layout, part_of
from ecg4u.paper.style import Note
from ecg4u.record import CABRERA, LEADS, ECGRecord
from training.looks import random_layout, random_style

FS_HZ = 250.0
BARE = PageStyle(labels=False, footer=(), pulse="none")


def waves(seconds: float = 10.0, scale: float = 0.4) -> ECGRecord:
    """Slow sines, another frequency in each lead: no stroke is steep."""
    t = np.arange(round(seconds * FS_HZ)) / FS_HZ
    signal = [scale * np.sin(2 * np.pi * (0.4 + 0.05 * k) * t + k) for k in range(12)]
    return ECGRecord(np.column_stack(signal), FS_HZ)


def column_centres(mask: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Ink-weighted middle of each column of the mask."""
    ink = mask[:, columns].astype(float)
    return (ink * np.arange(len(mask))[:, None]).sum(axis=0) / ink.sum(axis=0)


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_every_layout_draws_its_leads(name: str) -> None:
    page = draw_page(waves(), LAYOUTS[name], PageStyle(px_per_mm=4))
    assert [s.lead for s in page.segments] == [s.lead for r in LAYOUTS[name].rows for s in r]
    assert {s.lead for s in page.segments} == set(LEADS)
    assert [label.name for label in page.labels] == [s.lead for s in page.segments]
    for segment in page.segments:
        x, y = np.round(segment.xy[len(segment.xy) // 2]).astype(int)
        assert page.trace[y - 1 : y + 2, x].max() > 100


@settings(max_examples=25, deadline=None)
@given(
    px_per_mm=st.floats(3.0, 20.0),
    gain=st.sampled_from([5.0, 10.0, 20.0]),
    chest=st.sampled_from([None, 5.0]),
    speed=st.sampled_from([25.0, 50.0]),
    width=st.floats(0.2, 0.7),
)
def test_millivolts_come_back_from_the_mask(
    px_per_mm: float, gain: float, chest: float | None, speed: float, width: float
) -> None:
    """A column's ink lies about the curve to a tenth of a pixel, whatever the scale."""
    style = replace(
        BARE,
        px_per_mm=px_per_mm,
        gain_mm_per_mv=gain,
        chest_gain_mm_per_mv=chest,
        speed_mm_per_s=speed,
        trace_width=width,
        row_pitch=30.0,
    )
    plan = layout(2, 1, order=("II", "V2"), duration_s=3.0)
    record = waves(3.0)
    page = draw_page(record, plan, style)
    for segment in page.segments:
        columns = np.arange(int(segment.xy[0, 0]) + 6, int(segment.xy[-1, 0]) - 6)
        band = slice(round(segment.zero_y - 15 * px_per_mm), round(segment.zero_y + 15 * px_per_mm))
        found = column_centres(page.trace[band], columns) + band.start
        exact = np.interp(columns, segment.xy[:, 0], segment.xy[:, 1])
        assert np.abs(np.median(found - exact)) < 0.1
        assert np.abs(found - exact).max() < 0.5
        mv = (segment.zero_y - segment.xy[:, 1]) / px_per_mm / style.gain(segment.lead)
        np.testing.assert_allclose(mv, record.lead(segment.lead)[: len(mv)], atol=1e-9)
        seconds = (segment.xy[:, 0] - segment.xy[0, 0]) / px_per_mm / speed
        np.testing.assert_allclose(seconds, np.arange(len(mv)) / FS_HZ, atol=1e-9)


def test_line_width_is_the_width_asked_for() -> None:
    flat = ECGRecord(np.zeros((2500, 12)), FS_HZ)
    for width in (0.2, 0.4, 0.7):
        style = replace(BARE, trace_width=width)
        page = draw_page(flat, LAYOUTS["12x1"], style)
        x = int(page.segments[0].xy[500, 0])
        near = slice(int(page.segments[0].zero_y) - 20, int(page.segments[0].zero_y) + 20)
        drawn_mm = page.trace[near, x].astype(float).sum() / 255 / style.px_per_mm
        assert drawn_mm == pytest.approx(width, abs=0.1)


def test_columns_go_on_in_time_and_strips_show_all() -> None:
    page = draw_page(waves(), LAYOUTS["3x4+1"], BARE)
    starts = {s.lead: s.start_s for s in page.segments if s.row < 3}
    assert [starts[lead] for lead in ("I", "aVR", "V1", "V4")] == [0.0, 2.5, 5.0, 7.5]
    strip = page.segments[-1]
    assert (strip.lead, strip.start_s, len(strip.mv)) == ("II", 0.0, 2500)


def test_what_the_record_lacks_stays_empty() -> None:
    signal = waves().p_signal.copy()
    signal[500:, LEADS.index("I")] = np.nan
    page = draw_page(ECGRecord(signal, FS_HZ), LAYOUTS["12x1"], replace(BARE, row_pitch=30.0))
    first = page.segments[0]
    assert np.isnan(first.xy[500:, 1]).all()
    assert np.isfinite(first.xy[:500]).all()
    gap = slice(int(first.xy[520, 0]), int(first.xy[-1, 0]))
    band = slice(int(first.zero_y) - 100, int(first.zero_y) + 100)
    assert page.trace[band, gap].max() == 0
    short = draw_page(waves(4.0), LAYOUTS["12x1"], BARE)
    assert np.isnan(short.segments[3].mv[1000:]).all()


@pytest.mark.parametrize("pulse", ["left", "right", "both", "columns"])
def test_pulse_is_one_millivolt_and_apart_from_curves(pulse: str) -> None:
    style = replace(BARE, pulse=pulse, row_pitch=40.0, gain_mm_per_mv=10.0, px_per_mm=8.0)
    page = draw_page(ECGRecord(np.zeros((2500, 12)), FS_HZ), LAYOUTS["3x4+1"], style)
    band = slice(round(page.segments[0].zero_y) - 150, round(page.segments[0].zero_y) + 50)
    rows = np.flatnonzero((page.pulse[band] > 127).any(axis=1))
    height_mm = (rows[-1] - rows[0]) / style.px_per_mm
    assert height_mm == pytest.approx(10.0 + style.trace_width, abs=0.3)
    both = (page.pulse > 127) & (page.trace > 127)
    assert both.mean() < 1e-4


def test_masks_hold_their_own_ink_only() -> None:
    """With nothing crossing, no pixel is claimed twice, and all ink is claimed."""
    flat = ECGRecord(np.zeros((2500, 12)), FS_HZ)
    style = PageStyle(grid="none", header=("Name",), label_offset=(2.0, -6.0))
    page = draw_page(flat, LAYOUTS["3x4+1"], style)
    claimed = [mask > 0 for mask in (page.trace, page.text, page.pulse)]
    for one, other in pairwise(claimed):
        assert not (one & other).any()
    inked = (page.image != np.array(style.paper)).any(axis=2)
    assert not (inked & ~np.any(claimed, axis=0)).any()
    for mask in claimed:
        assert inked[mask].mean() > 0.95


def test_label_boxes_hold_the_label_ink() -> None:
    flat = ECGRecord(np.zeros((2500, 12)), FS_HZ)
    page = draw_page(flat, LAYOUTS["3x4+1"], replace(PageStyle(), footer=()))
    outside = page.text.copy()
    for label in page.labels:
        x0, y0, x1, y1 = (int(v) for v in label.box)
        assert outside[y0 : y1 + 1, x0 : x1 + 1].max() > 100
        outside[y0 : y1 + 1, x0 : x1 + 1] = 0
    assert outside.max() == 0


@pytest.mark.parametrize("grid", ["1mm", "5mm", "fine", "dots", "dotted"])
def test_grid_lines_stand_where_the_geometry_says(grid: str) -> None:
    style = replace(BARE, grid=grid, grid_offset=(1.3, 2.7), px_per_mm=10.0)
    page = draw_page(ECGRecord(np.full((2500, 12), np.nan), FS_HZ), LAYOUTS["3x4"], style)
    dark = 255.0 - page.background.astype(float).mean(axis=2)
    step = 10 if grid in ("fine", "dots", "dotted") else 50
    for axis, origin in ((0, page.grid_origin[0]), (1, page.grid_origin[1])):
        profile = dark.mean(axis=axis)
        phase = [profile[k::step].mean() for k in range(step)]
        assert abs((int(np.argmax(phase)) - origin + step / 2) % step - step / 2) <= 1


def test_random_styles_draw_and_are_repeatable() -> None:
    for seed in range(8):
        pages = []
        for _ in range(2):
            rng = np.random.default_rng(seed)
            plan = random_layout(rng)
            pages.append(draw_page(waves(), plan, random_style(rng, px_per_mm=4.0)))
        assert np.array_equal(pages[0].image, pages[1].image)
        assert pages[0].trace.any()


def test_layout_rules() -> None:
    assert LAYOUTS["3x4+1-cabrera"].leads[:2] == ("aVL", "II")
    assert [row[0].lead for row in LAYOUTS["12x1-cabrera"].rows] == list(CABRERA)
    assert len(part_of(LAYOUTS["12x1"], first_row=3, rows=4).rows) == 4
    with pytest.raises(ValueError, match="rows"):
        part_of(LAYOUTS["3x4"], first_row=2, rows=2)
    with pytest.raises(ValueError, match="no such layout"):
        layout(3, 4, order=("I", "V7"))


def test_lines_of_words_are_told_with_their_boxes() -> None:
    note = Note("Gain 10 mm/mV", 60, 12)
    style = replace(BARE, header=("Name:",), footer=("25 mm/s", "40 Hz"), notes=(note,))
    flat = ECGRecord(np.zeros((2500, 12)), FS_HZ)
    page = draw_page(flat, LAYOUTS["3x4"], style)
    assert [line.words for line in page.lines] == ["Name:", "25 mm/s", "40 Hz", "Gain 10 mm/mV"]
    inked = page.text.copy()
    for line in page.lines:
        x0, y0, x1, y1 = (round(v) for v in line.box)
        assert (inked[y0 : y1 + 1, x0 : x1 + 1] > 128).any(axis=1).mean() > 0.9
        inked[y0 : y1 + 1, x0 : x1 + 1] = 0
    assert not inked.any()
