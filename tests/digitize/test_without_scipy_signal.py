"""What stands in for `scipy.signal`, which costs a second of every start, gives the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import signal

from ecg4u.digitize.rows.peaks import find_peaks
from ecg4u.digitize.signals.parabolas import smoothed

PAGE = Path(__file__).parents[2] / "data" / "pages" / "A00347.png"


@pytest.mark.parametrize("seed", range(40))
def test_the_same_peaks(seed: int) -> None:
    chance = np.random.default_rng(seed)
    profile = np.convolve(chance.normal(size=400), np.ones(1 + seed % 9), "same")
    if seed % 2:
        profile = np.round(profile)  # stretches of equal values
    options = {
        "distance": int(chance.integers(1, 30)),
        "height": float(chance.normal()),
        "prominence": float(chance.uniform(0, 3)),
    }
    expected, _ = signal.find_peaks(profile, **options)
    assert find_peaks(profile, **options).tolist() == expected.tolist()


@pytest.mark.parametrize("points", [5, 9, 21])
@pytest.mark.parametrize("n", [21, 22, 500])
def test_the_same_curve(points: int, n: int) -> None:
    y = np.random.default_rng(n).normal(size=n).cumsum()
    assert smoothed(y, points, 2).tobytes() == signal.savgol_filter(y, points, 2).tobytes()


def test_a_page_is_read_without_it() -> None:
    told = (
        "import sys, ecg4u; ecg4u.digitize(sys.argv[1]); "
        "print([m for m in ('scipy.signal', 'scipy.stats', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", told, str(PAGE)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
