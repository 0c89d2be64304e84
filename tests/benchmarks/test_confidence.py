"""Confidence against error, on made-up samples."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.confidence import Samples, curve, joined, samples_of, told_apart


def _samples(confidence: list[float], error: list[float]) -> Samples:
    return Samples(np.array(confidence), np.array(error), np.zeros(len(error)), 1)


def test_a_confidence_that_knows_tells_every_wrong_sample() -> None:
    samples = _samples([0.2, 0.3, 0.9, 1.0], [0.5, 0.2, 0.01, 0.0])
    assert told_apart(samples, -samples.confidence) == 1.0
    assert told_apart(samples, samples.confidence) == 0.0


def test_a_constant_confidence_tells_nothing() -> None:
    samples = _samples([1.0, 1.0, 1.0], [0.5, 0.0, 0.01])
    assert told_apart(samples, -samples.confidence) == 0.5


def test_bins_hold_every_sample_once() -> None:
    samples = _samples([0.0, 0.2, 0.7, 1.0], [0.3, 0.1, 0.2, 0.0])
    assert sum(row[2] for row in curve(samples)) == 4
    assert joined([samples, samples]).pages == 2


def test_a_forgiven_shift_is_no_error_and_a_spike_is() -> None:
    t = np.arange(5000) / 500
    truth = np.tile((np.sin(9 * t) + np.sin(23 * t) * t)[:, None] * 0.1, (1, 12))
    read = np.roll(truth, 20, axis=0) + 0.2
    read[:20] = np.nan
    read[3000] += 1.0
    samples = samples_of(truth, read, np.ones_like(read))
    assert np.percentile(samples.error_mv, 99) < 0.01
    assert samples.error_mv.max() == pytest.approx(1.0, abs=0.02)
    assert samples.steepness[samples.error_mv.argmax()] > 0.9
