"""Columns that begin with calibration pulses of their own."""

from __future__ import annotations

import numpy as np
import pytest

from ecg4u.digitize.pipeline import digitize_page
from ecg4u.io import Page
from ecg4u.paper import LAYOUTS, PageStyle, draw_page
from ecg4u.record import LEADS, ECGRecord

pytest.importorskip("cv2")


def record() -> ECGRecord:
    """Ten seconds of a plain rhythm, its size and sign another in each lead."""
    t = np.arange(5000) / 500.0
    beat = np.zeros_like(t)
    for at in np.arange(0.5, 10.0, 0.83):
        for size, after, width in ((1.0, 0.0, 0.012), (-0.2, 0.04, 0.012), (0.25, 0.28, 0.05)):
            beat += size * np.exp(-0.5 * ((t - at - after) / width) ** 2)
    sizes = (0.7, 1.1, 0.4, -0.9, 0.15, 0.75, -0.8, -0.5, 0.3, 0.9, 1.2, 1.0)
    return ECGRecord(np.outer(beat, sizes), 500.0)


def test_pulses_between_columns_are_no_signal() -> None:
    truth = record()
    page = draw_page(truth, LAYOUTS["6x2"], PageStyle(px_per_mm=8.0, pulse="columns"))
    read = digitize_page(Page(page.image, "0" * 64))
    assert read.layout.name == "6x2"
    assert not any("pulses of their own" in warning for warning in read.warnings)
    for lead in ("V1", "V4", "V6"):
        found = read.record.lead(lead)
        shown = np.flatnonzero(np.isfinite(found))
        assert 2450 <= shown[0] <= 2600
        within = truth.p_signal[2500:, LEADS.index(lead)]
        assert abs(np.nanmax(found) - within.max()) < 0.15
        assert abs(np.nanmin(found) - within.min()) < 0.15
