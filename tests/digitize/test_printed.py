"""What a page prints of its scale: grammar, what the calibration makes of it, and the reader."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ecg4u.digitize.rectify import rectify
from ecg4u.digitize.scale.calibration import calibrate
from ecg4u.digitize.scale.pulses import Pulse
from ecg4u.digitize.text.printed import (
    Line,
    PrintedScale,
    line_boxes,
    read_printed_scale,
    scale_of,
)
from ecg4u.io import Page, read_record
from ecg4u.paper import LAYOUTS, PageStyle, draw_page

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


def test_a_line_goes_on_behind_a_stroke_that_was_not_found() -> None:
    """ "10 mm/mV" without its slash, among many short marks of the same height."""
    letters = [(0, 0, 8, 17), (10, 0, 10, 17), (30, 7, 8, 10), (40, 7, 18, 10), (60, 7, 18, 10)]
    letters += [(92, 7, 18, 10), (110, 0, 14, 17)]
    specks = [(x, y, 10, 10) for x in range(0, 130, 12) for y in range(25, 55, 12)]
    pieces = np.array([(x, y, w, h, w * h) for x, y, w, h in letters + specks], np.int32)
    assert (0.0, 0.0, 124.0, 17.0) in line_boxes(pieces)
