"""What a page prints of its scale: grammar, what the calibration makes of it, and the reader."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ecg4u.digitize.page.rectified import Grid, RectifiedPage
from ecg4u.digitize.rectify import rectify
from ecg4u.digitize.scale.calibration import calibrate
from ecg4u.digitize.scale.pulses import Pulse
from ecg4u.digitize.text.labels import find_units
from ecg4u.digitize.text.printed import (
    Line,
    PrintedScale,
    read_printed_scale,
    scale_of,
    with_number,
)
from ecg4u.io import Page, read_record
from ecg4u.paper import LAYOUTS, PageStyle, draw_page
from ecg4u.paper.text import write

DATA = Path(__file__).parents[2] / "data"


def line(text: str, sure: float = 0.99, *others: str) -> tuple[Line, ...]:
    """Three readings of a line."""
    texts = [text, *others, text, text][:3]
    return tuple(Line(one, (sure,) * len(one)) for one in texts)


def pulse(gain: float) -> Pulse:
    return Pulse(0, 100.0, 150.0, 400.0, 400.0 - 10 * gain, "left")


@pytest.mark.parametrize(
    ("text", "speed", "gain", "chest"),
    [
        ("25mm/s 10mm/mv", 25, 10, None),
        ("speed: 50 mm/sec limb: 10 mm/mv chest: 5 mm/mv", 50, 10, 5),
        ("12.5 mm/s", 12.5, None, None),
        ("l: 20.0 mm/mv c: 10.0 mm/mv", None, 20, 10),
        ("125 mm/s", None, None, None),
        ("5 mm/s 10 mm/mv", None, 10, None),
        ("1.25 mm/s", None, None, None),
        ("7 mm/mv", None, None, None),
        ("10 mm/mvolt", None, 10, None),
        ("25 mm/second", None, None, None),
        ("25 mmol/l", None, None, None),
        ("10:25 mm/s", None, None, None),
        ("25mm/s 5mm/mv", 25, 5, None),
        ("che8t: 5 mm/mv", None, None, None),
        ("avf: 5 mm/mv", None, None, None),
        ("gain: 5 mm/mv", None, 5, None),
        ("25 mm/s 10-5 mm/mv", 25, 10, 5),
        ("10/5 mm/mv", None, 10, 5),
        ("10-3 mm/mv", None, None, None),
        ("15-10-5 mm/mv", None, None, None),
    ],
)
def test_only_scales_are_taken(
    text: str, speed: float | None, gain: float | None, chest: float | None
) -> None:
    found = scale_of([line("name: smith"), line(text)])
    assert (found.speed_mm_per_s, found.gain_mm_per_mv) == (speed, gain)
    assert found.chest_gain_mm_per_mv == chest


def test_what_is_read_with_doubt_is_not_said() -> None:
    assert scale_of([line("25mm/s", 0.85)]) == PrintedScale()
    assert scale_of([line("25mm/s", 0.99)]).probability == pytest.approx(0.99**6)


def test_readings_must_agree() -> None:
    assert scale_of([line("25mm/s", 0.99, "50mm/s")]) == PrintedScale()
    assert scale_of([line("25mm/s", 0.99, "26mm/s")]).speed_mm_per_s == 25
    assert scale_of([line("25mm/s", 0.99, "z", "y")]) == PrintedScale()


def test_two_statements_that_differ_cancel() -> None:
    found = scale_of([line("25mm/s 10mm/mv"), line("50mm/s 10mm/mv")])
    assert (found.speed_mm_per_s, found.gain_mm_per_mv) == (None, 10)


@pytest.mark.parametrize(("speed", "gain"), [(25.0, 10.0), (50.0, 5.0), (25.0, 20.0)])
def test_the_footer_of_a_drawn_page_is_read_or_left(speed: float, gain: float) -> None:
    record = read_record(DATA / "records" / "ptbxl_00427")
    footer = (f"{speed:g} mm/s", f"{gain:g} mm/mV")
    style = PageStyle(px_per_mm=8.0, gain_mm_per_mv=gain, speed_mm_per_s=speed, footer=footer)
    found = read_printed_scale(rectify(Page(draw_page(record, LAYOUTS["3x4"], style).image, "0")))
    assert found.speed_mm_per_s in (speed, None)
    assert found.gain_mm_per_mv in (gain, None)
    assert speed != 25.0 or found.speed_mm_per_s == speed


def test_a_gain_of_the_chest_leads_behind_that_of_the_limb_leads_is_read() -> None:
    record = read_record(DATA / "records" / "ptbxl_00427")
    footer = ("25 mm/s", "10-5 mm/mV")
    style = PageStyle(px_per_mm=8.0, chest_gain_mm_per_mv=5.0, footer=footer)
    found = read_printed_scale(rectify(Page(draw_page(record, LAYOUTS["3x4"], style).image, "0")))
    assert (found.gain_mm_per_mv, found.chest_gain_mm_per_mv) == (10.0, 5.0)


def test_a_page_without_print_says_nothing() -> None:
    record = read_record(DATA / "records" / "ptbxl_00427")
    style = PageStyle(px_per_mm=8.0, footer=())
    page = Page(draw_page(record, LAYOUTS["3x4"], style).image, "0" * 64)
    assert read_printed_scale(rectify(page)) == PrintedScale()


def test_print_stands_in_for_a_missing_pulse() -> None:
    found = calibrate((), 10.0, printed=PrintedScale(50.0, 5.0, None, 0.9))
    assert (found.gain_mm_per_mv, found.gain_from) == (5.0, "text")
    assert (found.speed_mm_per_s, found.speed_from) == (50.0, "text")
    assert found.warnings == ()


def test_a_pulse_against_the_print_is_reported() -> None:
    found = calibrate((pulse(10),), 10.0, printed=PrintedScale(25.0, 5.0, None, 0.9))
    assert (found.gain_mm_per_mv, found.gain_from) == (10.0, "pulse")
    (said,) = (w for w in found.warnings if w.code == "printed_gain_not_pulse")
    assert said.parameters["value"] == 5


def test_what_the_user_says_is_used_and_print_that_differs_is_reported() -> None:
    found = calibrate(
        (pulse(10),),
        10.0,
        gain_mm_per_mv=20.0,
        speed_mm_per_s=25.0,
        printed=PrintedScale(50.0, 10.0, None, 0.9),
    )
    assert (found.gain_mm_per_mv, found.speed_mm_per_s) == (20.0, 25.0)
    told = {"printed_gain_not_given", "printed_speed_not_given"}
    assert told < {w.code for w in found.warnings}
    assert any(w.code == "pulse_not_used" and w.parameters["value"] == 10 for w in found.warnings)


def test_a_gain_of_the_chest_leads_is_taken_from_the_print() -> None:
    found = calibrate((pulse(10),), 10.0, printed=PrintedScale(None, 10.0, 5.0, 0.9))
    assert found.gain_for("I") == 10.0
    assert found.gain_for("V3") == 5.0
    assert found.gain_from_for("V3") == "text"


def test_pulses_of_different_heights_give_no_gain_between_them() -> None:
    found = calibrate((pulse(10), pulse(5)), 10.0)
    assert found.gain_mm_per_mv == 10.0
    assert any("differ in height" in warning for warning in found.doubts)
    assert calibrate((pulse(10), pulse(5), pulse(5)), 10.0).gain_mm_per_mv == 5.0


def test_wide_pulses_tell_of_a_fast_paper() -> None:
    wide = Pulse(0, 100.0, 200.0, 400.0, 300.0, "left")
    found = calibrate((wide,), 10.0)
    assert (found.speed_mm_per_s, found.speed_from) == (50.0, "pulse")
    assert [w.parameters["speed"] for w in found.warnings if w.code == "speed_from_pulses"] == [50]
    printed = calibrate((wide,), 10.0, printed=PrintedScale(25.0, None, None, 0.9))
    assert printed.speed_mm_per_s == 25.0
    assert calibrate((pulse(10),), 10.0).speed_from == "assumed"


@pytest.mark.parametrize("grid", [(240, 190, 190), (60, 60, 60)])
def test_units_are_found_on_a_pale_grid_and_on_a_dark_one(grid: tuple[int, int, int]) -> None:
    page = np.full((600, 1200, 3), 240, np.uint8)
    page[::50] = page[:, ::50] = grid
    mask = np.zeros(page.shape[:2], np.uint8)
    boxes = [write(mask, "25 mm/s", (205, 330), 28), write(mask, "10 mm/mV", (705, 430), 28)]
    write(mask, "Sinus rhythm", (500, 130), 28)
    page = np.where(mask[..., None] > 100, np.uint8(20), page)
    nodes = np.zeros((61, 121, 2))
    flat = Grid(5.0, "grid", 1.0, 0.0, (10.0, 10.0), 0.0)
    rectified = RectifiedPage(page, np.ones(page.shape[:2], bool), nodes, flat)
    found = [place for place in find_units(rectified) if place.probability > 0.9]
    assert sorted(int(place.likely[:2].argmax()) for place in found) == [0, 1]
    for place in found:
        x0, y0, x1, y1 = boxes[int(place.likely[:2].argmax())]
        assert place.box[2] == pytest.approx(x1, abs=15)
        assert (place.box[1], place.box[3]) == pytest.approx((y0, y1), abs=8)
        assert place.box[0] > x0 + 20
    assert read_printed_scale(rectified) == PrintedScale(
        25.0, 10.0, None, pytest.approx(1.0, abs=0.5)
    )


def test_a_window_reaches_from_before_the_number_to_behind_the_unit() -> None:
    x0, y0, x1, y1 = with_number((500.0, 100.0, 600.0, 130.0))
    assert x0 < 350
    assert 600 < x1 < 650
    assert (y0, y1) == (100.0, 130.0)
