"""Limb leads shown together mend each other's reading errors, and only those."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg4u.digitize.signals.confidence import reading_error_mm
from ecg4u.digitize.signals.einthoven import reconciled
from ecg4u.digitize.signals.signal import COLLIDED_CONFIDENCE
from ecg4u.io import read_record
from ecg4u.record import EINTHOVEN, LEADS

RECORD = sorted((Path(__file__).parents[2] / "data" / "records").glob("*.hea"))[0]


@pytest.fixture(scope="module")
def true():
    """A real recording whose limb leads are made of its I and II."""
    signal = np.array(read_record(RECORD).p_signal)[:5000]
    for lead, parts in EINTHOVEN.items():
        signal[:, LEADS.index(lead)] = sum(f * signal[:, LEADS.index(n)] for n, f in parts.items())
    return signal


def rms(values):
    return float(np.sqrt(np.nanmean(values**2)))


@pytest.mark.parametrize("shown", [("I", "II", "III"), LEADS[:6], ("II", "aVR", "aVL", "aVF")])
def test_independent_errors_shrink_as_least_squares_says(true, shown):
    noise = np.random.default_rng(0).normal(0, 0.005, true.shape)
    read = true + noise
    columns = [LEADS.index(lead) for lead in shown]
    read[:, [k for k in range(12) if k not in columns]] = np.nan
    better = reconciled(read)
    left = rms((better - true)[:, columns]) / rms(noise[:, columns])
    assert left == pytest.approx(np.sqrt(2 / len(shown)), abs=0.05)


def test_what_is_right_stays(true):
    assert np.allclose(reconciled(true), true, atol=1e-9)


def _misread(true: np.ndarray) -> np.ndarray:
    """The truth but for a wave of 0.8 mV in lead III."""
    read = true.copy()
    read[1000:1200, LEADS.index("III")] += 0.8 * np.hanning(200)
    return read


def test_leads_that_contradict_each_other_are_left_alone(true):
    read = _misread(true)
    assert np.abs(reconciled(read) - read)[1050:1150].max() < 0.02


def test_a_guess_does_not_change_the_leads_that_it_follows_from(true):
    read, sure = _misread(true), np.ones(true.shape)
    sure[1000:1200, LEADS.index("III")] = COLLIDED_CONFIDENCE
    found = reconciled(read, sure)
    assert np.abs(found - true)[1050:1150, LEADS.index("III")].max() < 0.02
    others = [LEADS.index(lead) for lead in ("I", "II", "aVR", "aVL", "aVF")]
    assert np.abs(found - read)[1050:1150, others].max() < 0.02


def test_of_three_leads_that_contradict_each_other_none_is_touched(true):
    read = _misread(true)
    read[:, 3:6] = np.nan
    assert np.nanmax(np.abs(reconciled(read) - read)[1050:1150]) < 0.02


def test_of_three_leads_the_one_that_is_a_guess_follows_from_the_others(true):
    read, sure = _misread(true), np.ones(true.shape)
    read[:, 3:6] = np.nan
    sure[1000:1200, LEADS.index("III")] = COLLIDED_CONFIDENCE
    assert np.nanmax(np.abs(reconciled(read, sure) - true)[1050:1150]) < 0.02


def test_levels_and_chest_leads_and_gaps_stay(true):
    read = true + np.arange(12) * 0.1
    read[200:300] = np.nan
    better = reconciled(read)
    assert np.allclose(better, read, atol=1e-9, equal_nan=True)
    assert np.array_equal(better[:, 6:], read[:, 6:], equal_nan=True)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_any_pattern_of_gaps(n, seed, missing):
    rng = np.random.default_rng(seed)
    read = rng.normal(0, 1, (n, 12))
    read[rng.random(read.shape) < missing] = np.nan
    better = reconciled(read)
    assert np.array_equal(np.isnan(better), np.isnan(read))


@pytest.mark.parametrize(("errors", "share"), [(2.0, 1.0), (3.75, 0.5), (6.0, 0.0)])
def test_a_contradiction_is_mended_up_to_two_and_a_half_reading_errors_and_none_over_five(
    errors, share
):
    read = np.full((1000, 12), np.nan)
    read[:, :3] = 0.0
    sigma_mv = float(reading_error_mm(np.zeros((1000, 3)), 25.0)[500, 0]) / 10
    off = np.sqrt(3) * errors * sigma_mv  # shared by three leads alike
    read[400:600, LEADS.index("III")] = off
    moved = (reconciled(read) - read)[500, :3]
    assert moved == pytest.approx(share * off / 3 * np.array([-1, 1, -1]), rel=0.1, abs=1e-4)


def test_a_contradiction_is_shared_by_the_squares_of_the_reading_errors():
    """A steep lead is read less well than a level one, and is moved the more."""
    ramp = np.interp(np.arange(1000), [494, 506], [0.0, 1.0])
    read = np.full((1000, 12), np.nan)
    read[:, :3] = np.column_stack([np.zeros(1000), ramp, ramp])
    read[490:510, LEADS.index("III")] += 0.01
    error = reading_error_mm(10 * read[:, :3], 25.0)[500]
    assert error[1] > 1.3 * error[0]
    moved = np.abs(reconciled(read) - read)[500, :3]
    assert moved == pytest.approx(0.01 * error**2 / (error**2).sum(), rel=0.02)
