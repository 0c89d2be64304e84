"""The measures against cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.measure import kaggle_db, kaggle_ratio, qrs_ratios, resample, score_lead

FS = 500.0


def _wave(n: int = 5000, f: float = 1.3) -> np.ndarray:
    t = np.arange(n) / FS
    return np.sin(2 * np.pi * f * t) + 0.4 * np.sin(2 * np.pi * 3.7 * t + 1)


def test_known_noise_gives_known_decibels() -> None:
    reference = _wave()
    noise = np.where(np.arange(len(reference)) % 2, 0.1, -0.1)
    score = score_lead(reference, reference + noise, FS)
    assert score is not None
    assert score.snr_db == pytest.approx(10 * np.log10(np.mean(reference**2) / 0.01), abs=0.02)
    assert score.rmse_mv == pytest.approx(0.1, abs=1e-3)


def test_shift_and_offset_within_the_limits_are_forgiven() -> None:
    reference = _wave()
    moved = np.roll(reference, 100) + 0.5
    moved[:100] = np.nan
    score = score_lead(reference, moved, FS)
    assert score is not None
    assert score.shift_s == pytest.approx(-0.2)
    assert score.offset_mv == pytest.approx(-0.5, abs=1e-6)
    assert score.snr_db > 90
    assert score.snr_unshifted_db < 5


def test_an_offset_beyond_one_millivolt_is_not() -> None:
    score = score_lead(_wave(), _wave() + 1.5, FS)
    assert score is not None
    assert score.rmse_mv == pytest.approx(0.5, abs=0.01)


def test_half_covered_scores_half_of_its_decibels() -> None:
    reference = _wave()
    noisy = reference + np.where(np.arange(len(reference)) % 2, 0.1, -0.1)
    whole = score_lead(reference, noisy, FS)
    noisy[2500:] = np.nan
    half = score_lead(reference, noisy, FS)
    assert whole is not None
    assert half is not None
    assert half.covered == pytest.approx(0.5, abs=0.01)
    assert half.snr_db == pytest.approx(whole.snr_db / 2, rel=0.03)


def test_a_missing_lead_scores_zero_and_an_unshown_one_nothing() -> None:
    empty = np.full(5000, np.nan)
    score = score_lead(_wave(), empty, FS)
    assert score is not None
    assert score.snr_db == 0.0
    assert score_lead(empty, _wave(), FS) is None


def test_kaggle_score_is_capped_and_sums_power_over_leads() -> None:
    reference = _wave()
    perfect = score_lead(reference, reference, FS)
    assert perfect is not None
    assert kaggle_ratio([perfect]) == 384.0
    missing = score_lead(reference, np.full(5000, np.nan), FS)
    assert missing is not None
    assert kaggle_ratio([perfect, missing]) == pytest.approx(2.0, rel=0.01)
    assert kaggle_db([100.0, 0.0]) == pytest.approx(10 * np.log10(50.0))


def test_resampling_keeps_gaps_and_values() -> None:
    signal = np.arange(100.0)
    signal[40:60] = np.nan
    out = resample(signal, 100.0, 50.0)
    assert len(out) == 50
    assert out[10] == pytest.approx(20.0)
    assert np.isnan(out[25])


def test_qrs_complexes_are_compared_beat_by_beat() -> None:
    time = np.arange(5000) / FS
    true = np.exp(-(((time % 1.0) - 0.5) ** 2) / 0.0002)
    true[4500:] = np.nan
    read = true.copy()
    read[150:350] *= 0.7  # the first is cut short, the third is not read
    read[1150:1350] = np.nan
    assert qrs_ratios(true, read, FS) == pytest.approx([0.7, 1, 0, 1, 1, 1, 1, 1, 1], abs=0.01)
    assert len(qrs_ratios(0.1 * true, read, FS)) == 0  # too low to be measured
