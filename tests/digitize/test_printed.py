"""What a page prints of its scale: grammar, what the calibration makes of it, and the reader."""

from __future__ import annotations

import pytest

from ecg4u.digitize.calibration import Pulse, calibrate
from ecg4u.digitize.printed import Line, PrintedScale, scale_of


def line(text: str, sure: float = 0.99) -> Line:
    return Line(text, (sure,) * len(text))


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
        ("1.25 mm/s", None, None, None),
        ("7 mm/mv", None, None, None),
        ("10 mm/mvolt", None, 10, None),
        ("25 mm/second", None, None, None),
        ("25 mmol/l", None, None, None),
        ("10:25 mm/s", None, None, None),
    ],
)
def test_only_scales_are_taken(
    text: str, speed: float | None, gain: float | None, chest: float | None
) -> None:
    found = scale_of([line("name: smith"), line(text)])
    assert (found.speed_mm_per_s, found.gain_mm_per_mv) == (speed, gain)
    assert found.chest_gain_mm_per_mv == chest


def test_what_is_read_with_doubt_is_not_said() -> None:
    assert scale_of([line("25mm/s", 0.9)]) == PrintedScale()
    assert scale_of([line("25mm/s", 0.99)]).probability == pytest.approx(0.99**6)


def test_two_statements_that_differ_cancel() -> None:
    found = scale_of([line("25mm/s 10mm/mv"), line("50mm/s 10mm/mv")])
    assert (found.speed_mm_per_s, found.gain_mm_per_mv) == (None, 10)


def test_print_stands_in_for_a_missing_pulse() -> None:
    found = calibrate((), 10.0, printed=PrintedScale(50.0, 5.0, None, 0.9))
    assert (found.gain_mm_per_mv, found.gain_from) == (5.0, "text")
    assert (found.speed_mm_per_s, found.speed_from) == (50.0, "text")
    assert found.warnings == ()


def test_a_pulse_against_the_print_is_reported() -> None:
    found = calibrate((pulse(10),), 10.0, printed=PrintedScale(25.0, 5.0, None, 0.9))
    assert (found.gain_mm_per_mv, found.gain_from) == (10.0, "pulse")
    assert any("prints 5 mm/mV" in warning for warning in found.warnings)


def test_what_the_user_says_is_used_and_print_that_differs_is_reported() -> None:
    found = calibrate(
        (pulse(10),),
        10.0,
        gain_mm_per_mv=20.0,
        speed_mm_per_s=25.0,
        printed=PrintedScale(50.0, 10.0, None, 0.9),
    )
    assert (found.gain_mm_per_mv, found.speed_mm_per_s) == (20.0, 25.0)
    assert len([w for w in found.warnings if "prints" in w]) == 2
    assert any("pulse on the page says 10 mm/mV" in w for w in found.warnings)


def test_a_gain_of_the_chest_leads_is_taken_from_the_print() -> None:
    found = calibrate((pulse(10),), 10.0, printed=PrintedScale(None, 10.0, 5.0, 0.9))
    assert found.gain_for("I") == 10.0
    assert found.gain_for("V3") == 5.0
    assert found.gain_from_for("V3") == "text"
