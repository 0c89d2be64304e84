"""The simple readers on pages whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.baseline import PRINTED, dark_pixels, medians, naive
from benchmarks.measure import score_lead
from ecg4u.paper.draw import draw_page
from ecg4u.paper.layouts import LAYOUTS
from ecg4u.paper.style import PageStyle
from ecg4u.record import LEADS, ECGRecord


def test_the_median_of_a_column_is_the_middle_of_its_stroke() -> None:
    dark = np.zeros((20, 3), bool)
    dark[4:9, 0] = True
    dark[15, 1] = True
    np.testing.assert_array_equal(medians(dark, 0, 20), [6.0, 15.0, np.nan])
    assert np.isnan(medians(dark, 0, 10)[1])


def test_a_pale_grid_is_not_dark() -> None:
    image = np.full((10, 10, 3), 250, np.uint8)
    image[3] = (250, 120, 120)
    image[6] = 30
    assert dark_pixels(image).any(axis=1).tolist() == [row == 6 for row in range(10)]


def test_a_flat_clean_page_without_writing_is_read_roughly() -> None:
    t = np.arange(5000) / 500
    signal = np.stack([0.4 * np.sin(2 * np.pi * (1 + 0.1 * k) * t) for k in range(12)], axis=1)
    style = PageStyle(labels=False, pulse="none", footer=(), grid="none")
    image = draw_page(ECGRecord(signal, 500.0), LAYOUTS["3x4+1"], style).image
    read = naive(image, LAYOUTS["3x4+1"])
    score = score_lead(signal[:1250, 0], read[:1250, 0], 500.0)
    assert score is not None
    assert score.snr_db > 10


@pytest.mark.parametrize("name", PRINTED)
def test_every_lead_is_printed(name: str) -> None:
    assert set(PRINTED[name].leads) == set(LEADS)


def test_nothing_is_read_off_a_blank_page() -> None:
    assert not np.isfinite(naive(np.full((400, 600, 3), 255, np.uint8), PRINTED["3x4"])).any()
