"""Looks that once went wrong, drawn from a real recording and read whole."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from ecg4u.compare import score_lead
from ecg4u.digitize import Digitization, digitize_page
from ecg4u.digitize.layout.columns import change_evidence
from ecg4u.digitize.layout.doubts import grid_doubts
from ecg4u.digitize.page.rectified import Grid
from ecg4u.digitize.rectify import rectify
from ecg4u.digitize.rows.ink import stroke_ink
from ecg4u.digitize.sidecar.model import Sidecar
from ecg4u.io import Page, read_record
from ecg4u.paper import LAYOUTS, PageStyle, draw_page
from ecg4u.paper.surface import Wear, wear_page
from ecg4u.record import LEADS, ECGRecord

DATA = Path(__file__).parents[2] / "data"
BLACK = {"fine_colour": (90, 90, 90), "coarse_colour": (60, 60, 60), "trace_colour": (0, 0, 0)}


@cache
def record() -> ECGRecord:
    return read_record(DATA / "records" / "ptbxl_00427")


def page(layout: str, style: PageStyle) -> Page:
    return Page(draw_page(record(), LAYOUTS[layout], style).image, "0" * 64)


def rows_of(result: Digitization) -> list[list[str]]:
    rows: dict[int, list[str]] = {}
    for trace in result.traces:
        rows.setdefault(trace.row, []).append(trace.lead)
    return [rows[row] for row in sorted(rows)]


def printed(layout: str) -> list[list[str]]:
    return [[segment.lead for segment in row] for row in LAYOUTS[layout].rows]


def correlation(result: Digitization, lead: str, seconds: tuple[float, float]) -> float:
    """Of the digitized lead with the recording, at the best of a few shifts."""
    fs = record().fs
    first, last = (round(s * fs) for s in seconds)
    k = LEADS.index(lead)
    true = record().p_signal[first:last, k]
    at = np.arange(first, last) / fs * result.record.fs

    def shifted(by_s: float) -> float:
        places = np.round(at + by_s * result.record.fs).astype(int)
        places = places.clip(0, len(result.record.p_signal) - 1)
        found = result.record.p_signal[places, k]
        known = np.isfinite(found) & np.isfinite(true)
        assert known.mean() > 0.9
        return float(np.corrcoef(found[known], true[known])[0, 1])

    return max(shifted(by) for by in np.arange(-0.02, 0.021, 0.004))


@pytest.mark.parametrize("px_per_mm", [8.7, 11.7])
def test_five_millimetre_lines_alone_are_not_taken_for_three(px_per_mm: float) -> None:
    style = PageStyle(px_per_mm=px_per_mm, grid="5mm", coarse_width=0.25, **BLACK)
    drawn = page("3x4+1", style)
    binary = np.where(drawn.image.min(axis=2) > 128, 255, 0).astype(np.uint8)
    grid = rectify(replace(drawn, image=np.repeat(binary[..., None], 3, axis=2))).grid
    assert np.mean(grid.source_px_per_mm) == pytest.approx(px_per_mm, rel=0.01)


def test_waves_of_a_thick_pen_are_no_blots() -> None:
    result = digitize_page(page("6x2+1", PageStyle(px_per_mm=8.0, trace_width=0.75)))
    assert rows_of(result) == printed("6x2+1")
    assert min(correlation(result, lead, (0.1, 4.9)) for lead in ("I", "II", "aVF")) > 0.9


@pytest.fixture(scope="module")
def over_traces() -> Digitization:
    style = PageStyle(px_per_mm=8.0, row_pitch=22.0, label_offset=(0.5, 1.2), label_height=3.2)
    return digitize_page(page("3x4", replace(style, joined=True, separators="ticks")))


def test_names_printed_over_the_traces_are_read(over_traces: Digitization) -> None:
    assert rows_of(over_traces) == printed("3x4")
    assert sum(trace.named_by == "label" for trace in over_traces.traces) >= 7


def test_unnamed_rows_show_by_their_shape_where_leads_change() -> None:
    style = PageStyle(px_per_mm=8.0, labels=False)
    for layout in ("3x4+3", "6x2"):
        result = digitize_page(page(layout, style))
        assert result.layout.name == layout
        assert rows_of(result)[:3] == printed(layout)[:3]


def test_level_rows_say_nothing_of_columns() -> None:
    assert change_evidence([], [], np.linspace(0, 2500, 5), 10.0) == 0.0


def test_pulses_apart_from_the_traces_part_the_columns() -> None:
    style = PageStyle(px_per_mm=8.0, column_gap=4.0, pulse="columns", pulse_s=0.1, pulse_foot=1.5)
    result = digitize_page(page("3x4", style))
    assert rows_of(result) == printed("3x4")
    assert correlation(result, "V4", (7.6, 9.9)) > 0.9
    assert correlation(result, "aVL", (2.6, 4.9)) > 0.9


def test_the_foot_of_a_pulse_before_a_column_is_no_signal() -> None:
    style = PageStyle(px_per_mm=8.0, column_gap=9.0, pulse="columns", pulse_foot=1.5)
    drawn = draw_page(record(), LAYOUTS["3x4"], style)
    result = digitize_page(Page(drawn.image, "0" * 64))
    ends = {s.lead: float(np.nanmin(s.xy[:, 0])) for s in drawn.segments}
    for trace in result.traces:
        known = trace.xy_source[np.isfinite(trace.xy_source).all(axis=1)]
        assert abs(known[0, 0] - ends[trace.lead]) < 0.6 * style.px_per_mm, trace.lead


def test_waves_that_run_into_each_other_are_said_to() -> None:
    close = digitize_page(page("3x4", PageStyle(px_per_mm=8.0, row_pitch=22.0)))
    apart = digitize_page(page("3x4", PageStyle(px_per_mm=8.0, row_pitch=45.0)))
    said = [w for w in close.warnings if w.code == "waves_collide"]
    assert len(said) == 1
    assert "V2" in said[0].leads
    grades = {trace.lead: trace.grade for trace in close.traces}
    assert grades["V2"] != "good"
    assert grades["V6"] == "good"
    assert not any(w.code == "waves_collide" for w in apart.warnings)


def test_the_dark_desk_below_a_short_page_is_no_grid_line() -> None:
    drawn = draw_page(record(), LAYOUTS["3x4"], PageStyle(row_pitch=16.0))
    desk = np.full((60, drawn.image.shape[1], 3), 60, np.uint8)
    alone, beside = (
        stroke_ink(image, 10.0)[: len(drawn.image)]
        for image in (drawn.image, np.concatenate([drawn.image, desk]))
    )
    trace = drawn.trace > 128
    assert beside[trace].mean() > 0.95 * alone[trace].mean()


def test_rows_of_twenty_seconds_are_rows_of_ten_at_twice_the_speed() -> None:
    style = PageStyle(px_per_mm=6.0, speed_mm_per_s=50.0, footer=(), pulse="none")
    drawn = page("3x4", style)
    result = digitize_page(drawn)
    assert result.calibration.speed_mm_per_s == 50.0
    assert result.calibration.speed_from == "layout"
    told = [w.parameters for w in result.warnings if w.code == "speed_from_rows"]
    assert told == [{"speed": 50.0}]
    assert rows_of(result) == printed("3x4")
    assert correlation(result, "V4", (7.6, 9.9)) > 0.9
    assert result.basis is not None
    again = digitize_page(drawn, sidecar=Sidecar.from_json(result.basis.to_json()))
    assert again.record.p_signal.tobytes() == result.record.p_signal.tobytes()
    told = digitize_page(drawn, speed_mm_per_s=25.0)
    assert told.calibration.speed_mm_per_s == 25.0


def test_pulses_before_the_chest_leads_tell_their_gain() -> None:
    style = PageStyle(chest_gain_mm_per_mv=5.0, pulse="columns", footer=("25 mm/s",))
    result = digitize_page(page("3x4+1", style))
    assert result.calibration.gain_for("I") == 10.0
    assert result.calibration.gain_for("V4") == 5.0
    assert result.calibration.gain_from_for("V4") == "pulse"
    true = record().p_signal[int(7.6 * record().fs) : int(9.9 * record().fs), LEADS.index("V4")]
    found = result.record.lead("V4")[3800:4950]
    assert np.nanmax(found) - np.nanmin(found) == pytest.approx(np.ptp(true), rel=0.1)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, ""),
        ({"source_px_per_mm": (8.9, 11.3)}, "oblong"),
        ({"confidence": 0.33}, "hard to see"),
        ({"confidence": 0.33, "scale_from": "dpi"}, ""),
    ],
)
def test_a_grid_that_looks_little_like_one_is_doubted(change: dict[str, object], said: str) -> None:
    grid = Grid(1.0, "grid", 0.97, 0.02, (9.0, 9.1), 0.0)
    found = grid_doubts(replace(grid, **change))
    assert bool(found) == bool(said)
    assert said in "".join(found)


def test_worn_waves_of_a_broad_pen_are_followed_to_their_tips() -> None:
    drawn = draw_page(
        record(), LAYOUTS["3x4+1"], PageStyle(px_per_mm=8.0, row_pitch=30.0, trace_width=0.85)
    )
    worn, _ = wear_page(drawn, Wear(breaks=0.6), np.random.default_rng(1))
    score = score_lead(
        record().lead("II"), digitize_page(Page(worn, "0" * 64)).record.lead("II"), 500.0
    )
    assert score is not None
    assert score.snr_db > 11
