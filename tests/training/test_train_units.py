"""What the finder of a scale's units learns from: units and windows of drawn pages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ecg4u.digitize.text.printed import LINE_PX, SYMBOLS
from training.train_names import OPEN
from training.train_units import CROP_PX, HALVED, Crop, page_crops, units_of


@pytest.fixture(scope="module")
def crops(records: Path) -> list[Crop]:
    """Those of three pages."""
    own = {"records": records, "fonts": Path("nowhere"), "split": "train", "seed": 5}
    return [crop for number in range(3) for crop in page_crops(number, **own)]


@pytest.mark.parametrize(
    ("words", "units"),
    [
        ("25 mm/s 10mm/mV", [(0, 3, 7), (1, 10, 15)]),
        ("Speed: 25 mm/sec", [(0, 10, 16)]),
        ("25 mm / s", [(0, 3, 9)]),
        ("120/80 mmHg 3 mm/sx", []),
    ],
)
def test_units_are_told_in_a_line(words: str, units: list[tuple[int, int, int]]) -> None:
    assert units_of(words) == units


def test_units_lie_on_the_crop_and_hold_ink(crops: list[Crop]) -> None:
    darker = []
    for seen, units, _ in crops:
        assert seen.shape == (3, CROP_PX // HALVED, CROP_PX // HALVED)
        for label, *box in units:
            if label == OPEN:
                continue
            x0, y0, x1, y1 = (round(v) for v in box)
            assert min(x0, y0) > 0
            assert max(x1, y1) < CROP_PX // HALVED
            darker.append(seen[:, y0:y1, x0:x1].mean() > np.median(seen))
    assert len(darker) > 10
    assert np.mean(darker) > 0.9


def test_windows_say_a_number_and_its_unit(crops: list[Crop]) -> None:
    lines = [line for *_, some in crops for line in some]
    assert len(lines) > 5
    for window, said in lines:
        assert window.shape[0] == LINE_PX
        assert window.dtype == np.uint8
        assert set(said) <= set(SYMBOLS)
        assert units_of(said)
