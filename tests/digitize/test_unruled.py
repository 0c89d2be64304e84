"""Pages without a grid: pulses that agree tell the scale; anything less is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from benchmarks.measure import score_lead
from ecg4u.digitize import Sidecar, digitize_page
from ecg4u.digitize.gridless import (
    Stand,
    find_stand,
    interpret,
    length_doubts,
    lengthened,
)
from ecg4u.digitize.page.rectified import PulseScale
from ecg4u.digitize.rectify import rectify
from ecg4u.digitize.types import Layout, RowSegment
from ecg4u.errors import ECG4UError, PoorQualityError
from ecg4u.io import Page, read_record
from ecg4u.options import ReadOptions
from ecg4u.paper import LAYOUTS
from ecg4u.paper.draw import draw_page
from ecg4u.paper.style import PageStyle
from ecg4u.record import ECGRecord

Pixels = npt.NDArray[np.uint8]

RECORD = read_record(Path(__file__).parents[2] / "data" / "records" / "ptbxl_00427")
BARE = PageStyle(px_per_mm=6.0, grid="none", paper=(250, 250, 250), row_pitch=30.0, footer=())


def drawn(layout: str = "3x4+1", turn: float = 0.0, style: PageStyle = BARE) -> Pixels:
    image = draw_page(RECORD, LAYOUTS[layout], style).image
    h, w = image.shape[:2]
    there = cv2.getRotationMatrix2D((w / 2, h / 2), -turn, 1.0)
    return np.asarray(cv2.warpAffine(image, there, (w, h), borderValue=style.paper), np.uint8)


def as_page(image: Pixels) -> Page:
    return Page(np.ascontiguousarray(image), "0" * 64)


@pytest.mark.parametrize(
    ("layout", "gain", "pulse", "turn"),
    [("3x4+1", 10.0, "left", 3.0), ("12x1", 5.0, "right", -2.0), ("6x2", 20.0, "left", 0.0)],
)
def test_pulses_are_measured_on_a_page_that_is_turned(
    layout: str, gain: float, pulse: str, turn: float
) -> None:
    style = replace(BARE, gain_mm_per_mv=gain, pulse=pulse)  # type: ignore[arg-type]
    stand = find_stand(drawn(layout, turn, style))
    assert len(stand.places) >= 3
    assert stand.height == pytest.approx(gain * 6.0, rel=0.01)
    assert stand.width == pytest.approx(5.0 * 6.0, rel=0.01)
    assert stand.turn_deg == pytest.approx(turn, abs=0.3)


def test_pulses_are_found_in_black_and_white_too() -> None:
    grey = drawn("4x3+1", 4.5, replace(BARE, gain_mm_per_mv=5.0))
    stand = find_stand(np.where(grey < 128, np.uint8(0), np.uint8(255)))
    assert stand.turn_deg == pytest.approx(4.5, abs=0.2)
    assert stand.height == pytest.approx(5.0 * 6.0, rel=0.02)


def test_regular_beats_in_even_rows_are_no_grid() -> None:
    """Twelve rows of one rhythm stand in a lattice; their pulses and 10 s say that it is none."""
    beat = RECORD.p_signal[636:1081]  # one of the recording's
    beat = cv2.resize(beat, (12, 285), interpolation=cv2.INTER_LINEAR)
    beat -= np.linspace(beat[0], beat[-1], 285)
    signal = np.tile(beat, (18, 1))[:5000]
    style = replace(BARE, px_per_mm=100 / 25.4, row_pitch=30.0, footer=("25 mm/s", "10 mm/mV"))
    image = draw_page(ECGRecord(signal, 500.0), LAYOUTS["12x1"], style).image
    read = digitize_page(as_page(image))
    assert read.rectified.grid.scale_from == "pulse"
    assert read.calibration.gain_mm_per_mv == 10.0
    assert read.rectified.grid.source_px_per_mm == pytest.approx((100 / 25.4,) * 2, rel=0.01)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_pulses_tell_which_side_is_up(k: int) -> None:
    found = rectify(as_page(np.rot90(drawn(), -k)))
    # 180 and -180 degrees are the same turn.
    assert (found.grid.turned_deg - 90.0 * k + 180) % 360 - 180 == pytest.approx(0.0, abs=0.3)
    assert found.grid.source_px_per_mm == pytest.approx((6.0, 6.0), rel=0.01)


def stand(height: float, width: float) -> Stand:
    return Stand(0.0, height, width, 0.002, 0.003, np.zeros((3, 2)))


@pytest.mark.parametrize(
    ("height", "width", "gain", "speed", "expected"),
    [
        (80, 40, None, None, (10.0, 25.0, True)),
        (40, 40, None, None, (5.0, 25.0, True)),
        (160, 40, None, None, (20.0, 25.0, True)),
        (80, 80, 10.0, None, (10.0, 50.0, True)),
        (80, 40, 20.0, 50.0, (20.0, 50.0, True)),
        (80, 24, 10.0, 25.0, (10.0, 25.0, False)),
    ],
)
def test_what_pulses_say(
    height: float,
    width: float,
    gain: float | None,
    speed: float | None,
    expected: tuple[float, float, bool],
) -> None:
    scale = interpret(stand(height, width), 2200, gain=gain, speed=speed)
    assert scale is not None
    assert scale.settings == expected


@pytest.mark.parametrize(("height", "width"), [(80, 24), (80, 55), (80, 45)])
def test_pulses_of_no_usual_proportion_say_nothing_by_themselves(
    height: float, width: float
) -> None:
    assert interpret(stand(height, width), 2200) is None


def pulse(image: Pixels, x: float, base: float, height: float = 10.0, width: float = 5.0) -> None:
    mm = [(x - 1, base), (x, base), (x, base - height), (x + width, base - height)]
    mm += [(x + width, base), (x + width + 1, base)]
    points = np.round(np.array(mm) * 6.0).astype(np.int32)
    cv2.polylines(image, [points], False, (20, 20, 25), 2, cv2.LINE_AA)


def rows_mm(layout: str = "3x4+1") -> list[float]:
    return [15.0 + 30.0 * (i + 0.5) for i in range(len(LAYOUTS[layout].rows))]


def without_pulses() -> Pixels:
    return drawn(style=replace(BARE, pulse="none", margin=(20.0, 15.0, 10.0, 12.0)))


def one_pulse() -> Pixels:
    image = without_pulses()
    pulse(image, 12.0, rows_mm()[0])
    return image


def boxes() -> Pixels:
    image = without_pulses()
    for base in rows_mm():
        corners = [(round(6 * x), round(6 * y)) for x, y in ((12, base - 10), (17, base))]
        cv2.rectangle(image, corners[0], corners[1], (20, 20, 25), 2)
    return image


def bar_code() -> Pixels:
    image = without_pulses()
    for base in rows_mm():
        for x in np.cumsum(np.random.default_rng(3).uniform(0.6, 2.0, 9)):
            at = round(6 * (3 + x))
            cv2.line(image, (at, round(6 * (base - 10))), (at, round(6 * base)), (20, 20, 25), 2)
    return image


def brackets_in_the_header() -> Pixels:
    image = without_pulses()
    for y in (14.0, 27.0):
        pulse(image, 100.0, y)
    return image[: 6 * 30]


def unlike_pulses() -> Pixels:
    image = without_pulses()
    for base, height in zip(rows_mm(), (10.0, 5.0, 10.0, 5.0), strict=True):
        pulse(image, 12.0, base, height)
    return image


@pytest.mark.parametrize(
    "draw", [without_pulses, one_pulse, boxes, bar_code, brackets_in_the_header, unlike_pulses]
)
def test_what_is_no_pulse_tells_no_scale(draw: object) -> None:
    assert callable(draw)
    with pytest.raises(ECG4UError) as refused:
        rectify(as_page(draw()))
    assert "dpi" in refused.value.hint


def test_pulses_drawn_by_hand_would_be_found() -> None:
    image = without_pulses()
    for base in rows_mm():
        pulse(image, 12.0, base)
    scale = rectify(as_page(image)).grid.pulse
    assert scale is not None
    assert scale.rows == 4
    assert scale.uncertainty < 0.01


def test_narrow_pulses_without_print_are_refused() -> None:
    with pytest.raises(PoorQualityError) as refused:
        rectify(as_page(drawn(style=replace(BARE, pulse_s=0.13))))
    assert "dpi" in refused.value.hint


def test_narrow_pulses_are_read_with_the_settings_given() -> None:
    page = as_page(drawn(style=replace(BARE, pulse_s=0.13)))
    grid = rectify(page, ReadOptions(gain_mm_per_mv=10.0, speed_mm_per_s=25.0)).grid
    assert grid.pulse is not None
    assert not grid.pulse.width_used
    assert "not stretched" in grid.pulse.warning
    assert grid.source_px_per_mm == pytest.approx((6.0, 6.0), rel=0.01)


@pytest.mark.parametrize(("gain", "seconds"), [(10.0, 0.13), (5.0, 0.1)])
def test_narrow_pulses_are_read_where_the_page_prints_its_settings(
    gain: float, seconds: float
) -> None:
    footer = ("25 mm/s", f"{gain:g} mm/mV")
    style = replace(BARE, px_per_mm=8.0, gain_mm_per_mv=gain, pulse_s=seconds, footer=footer)
    grid = rectify(as_page(drawn(style=style))).grid
    assert grid.pulse is not None
    assert grid.pulse.settings == (gain, 25.0, False)
    assert grid.pulse.stated
    assert grid.source_px_per_mm == pytest.approx((8.0, 8.0), rel=0.01)


def a_row(seconds: float) -> Layout:
    return Layout(
        "12x1", (RowSegment("II", 0, 10.0, 10.0 + 250 * seconds, 0.0, "label", 1.0),), 1.0
    )


def test_rows_of_another_length_are_refused_or_said() -> None:
    alone = PulseScale(10.0, 25.0, 3, 0.003)
    assert length_doubts(alone, a_row(10.0), 250.0) == ()
    with pytest.raises(PoorQualityError):
        length_doubts(alone, a_row(5.0), 250.0)
    said = length_doubts(replace(alone, stated=True), a_row(5.0), 250.0)
    assert "last 5.0 s" in said[0]
    with pytest.raises(PoorQualityError):
        length_doubts(replace(alone, stated=True, width_used=False), a_row(5.0), 250.0)


def test_a_longer_page_keeps_its_map() -> None:
    page = as_page(drawn(turn=2.0))
    found = rectify(page)
    longer, _ = lengthened(page, found, (), 1.01)
    assert np.allclose(longer.to_source([[500.0, 300.0]]), found.to_source([[505.0, 300.0]]))
    along, down = longer.grid.source_px_per_mm
    assert along == pytest.approx(1.01 * down, rel=1e-6)


@pytest.mark.slow
def test_a_page_without_a_grid_is_read_by_its_pulses() -> None:
    result = digitize_page(as_page(drawn("3x4+1", 1.5)))
    assert result.rectified.grid.scale_from == "pulse"
    assert result.calibration.gain_from == result.calibration.speed_from == "pulse"
    assert result.warnings[0].code == "pulse_scale"
    score = score_lead(RECORD.lead("II"), result.record.lead("II"), 500.0)
    assert score is not None
    assert score.snr_db > 10
    kept = Sidecar.from_dict(result.sidecar())
    again = digitize_page(as_page(drawn("3x4+1", 1.5)), sidecar=kept)
    assert again.record.p_signal.tobytes() == result.record.p_signal.tobytes()
    assert again.warnings == result.warnings


def test_pulses_amid_what_is_left_of_a_grid_tell_the_scale() -> None:
    """Pale lines run through the pulses, and ticks stand beside them."""
    image = without_pulses()
    for base in rows_mm():
        pulse(image, 12.0, base)
        tick = round(6 * 10.6)
        cv2.line(image, (tick, round(6 * (base - 6))), (tick, round(6 * (base - 2))), (20,) * 3, 2)
    lines = np.full_like(image, 255)
    for x in range(round(6 * 14.5), image.shape[1], 30):
        cv2.line(lines, (x, 0), (x, image.shape[0]), (205,) * 3, 1)
    rectified = rectify(as_page(np.minimum(image, lines)))
    assert rectified.grid.source_px_per_mm == pytest.approx((6.0, 6.0), rel=0.02)


def test_pulses_broken_by_a_fax_tell_the_scale() -> None:
    """Each upright of a pulse has three gaps of half a millimetre."""
    image = without_pulses()
    for base in rows_mm():
        pulse(image, 12.0, base)
        for y in (base - 7.5, base - 4.5, base - 1.5):
            at = round(6 * y)
            image[at : at + 3, (6 * 11) : (6 * 19)] = 255
    rectified = rectify(as_page(image))
    assert rectified.grid.source_px_per_mm == pytest.approx((6.0, 6.0), rel=0.02)
