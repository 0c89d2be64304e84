"""Calibration pulses too narrow for their plateau to be told from a wave's top."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ecg4u.digitize import digitize_page
from ecg4u.io import Page, read_record
from ecg4u.paper import LAYOUTS, PageStyle, draw_page

RECORD = next((Path(__file__).parents[2] / "data" / "records").glob("*.hea"))


@pytest.mark.parametrize(("gain", "seconds"), [(5.0, 0.08), (10.0, 0.07)])
def test_the_gain_is_that_of_narrow_pulses(gain: float, seconds: float) -> None:
    style = PageStyle(
        px_per_mm=8.0, gain_mm_per_mv=gain, pulse_s=seconds, row_pitch=36.0, footer=(), header=()
    )
    drawn = draw_page(read_record(RECORD), LAYOUTS["3x4+1"], style)
    page = Page(drawn.image, "0" * 64, 1, 1, "png", None)
    result = digitize_page(page)
    assert result.calibration.gain_from == "pulse"
    assert result.calibration.gain_mm_per_mv == gain
    truth = next(s for s in drawn.segments if s.lead == "V5")
    found = next(t for t in result.traces if t.lead == "V5" and not t.rhythm)
    assert abs(np.ptp(truth.mv) - np.nanmax(found.signal) + np.nanmin(found.signal)) < 0.15


def test_a_page_without_pulses_has_none() -> None:
    style = PageStyle(px_per_mm=8.0, pulse="none", row_pitch=36.0, footer=(), header=())
    drawn = draw_page(read_record(RECORD), LAYOUTS["3x4+1"], style)
    result = digitize_page(Page(drawn.image, "0" * 64, 1, 1, "png", None))
    assert result.calibration.gain_from == "assumed"
