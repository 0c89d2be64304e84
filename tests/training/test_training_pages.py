"""Training crops: truth and picture agree, and the same seed gives the same crops."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from training.pages import Crop, PageSampler


def crops(records: Path, count: int, seed: int = 0) -> list[Crop]:
    sampler = PageSampler(records, seed=seed, sizes=(256, 320), crops_per_page=6)
    return list(itertools.islice(sampler, count))


def test_shapes_and_repeatability(records: Path) -> None:
    one, other = crops(records, 8), crops(records, 8)
    for a, b in zip(one, other, strict=True):
        size = a.image.shape[0]
        assert size in (256, 288, 320)
        assert a.image.shape == (size, size, 3)
        for mask in (a.trace, a.text, a.pulse, a.separator, a.marks):
            assert mask.shape == (size, size)
            assert mask.dtype == np.uint8
        assert np.array_equal(a.image, b.image)
    assert not np.array_equal(one[0].image, crops(records, 1, seed=1)[0].image)


def test_curves_lie_in_the_trace_mask(records: Path) -> None:
    on, total = 0, 0
    for crop in crops(records, 24):
        size = len(crop.trace)
        for curve in crop.curves:
            inside = curve[((curve > 2) & (curve < size - 3)).all(axis=1)]
            x, y = np.round(inside).astype(int).T
            on += int((crop.trace[y, x] > 60).sum())
            total += len(x)
    assert total > 2000
    assert on / total > 0.98


def test_traces_are_seen_as_well_as_claimed(records: Path) -> None:
    """Over many crops the ink is darker than its surroundings, as the masks say."""
    darker = []
    for crop in crops(records, 36, seed=5):
        grey = crop.image.mean(axis=2)
        ink = crop.trace > 200
        if ink.sum() > 100:
            darker.append(grey[crop.trace == 0].mean() - grey[ink].mean())
    assert len(darker) > 10
    assert np.median(darker) > 40


def test_only_the_split_is_used(records: Path) -> None:
    assert PageSampler(records, split="valid").records == [("a.h5", "r2")]
    with pytest.raises(ValueError, match="split"):
        PageSampler(records, split="nothing")


def test_pulses_and_straight_print_are_in_many_crops(records: Path) -> None:
    """Rare as they are on a page, crops are taken where they stand."""
    taken = crops(records, 120, seed=7)
    assert sum((crop.pulse > 127).any() for crop in taken) > 20
    assert sum((crop.separator > 127).any() for crop in taken) > 20
