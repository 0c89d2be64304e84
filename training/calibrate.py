"""Thresholds, calibration and operating points from the validation split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.metrics import counts, wilson

SCALE_PRIOR, BIAS_PRIOR = 4.0, 0.25
NEWTON_STEPS = 50
Floats = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Calibration:
    """``sigmoid(scale * logit + bias)`` is the probability."""

    scale: float
    bias: float

    def probability(self, logits: Floats) -> npt.NDArray[np.float64]:
        """(n,) logits -> (n,) probabilities."""
        return 1 / (1 + np.exp(-(self.scale * np.asarray(logits, np.float64) + self.bias)))


def platt(labels: Floats, logits: Floats, weight: float = 1.0) -> Calibration:
    """Platt's scaling (1999) with a prior that pulls the scale to 1 and the bias to 0.

    The prior keeps classes with a dozen positives from extreme values. ``weight`` is what one
    row counts (a recording seen in four layouts counts 1/4 each).
    """
    known = np.isfinite(labels)
    y, z = labels[known].astype(np.float64), logits[known].astype(np.float64)
    design = np.stack([z, np.ones_like(z)], axis=1)
    prior, centre = np.diag([SCALE_PRIOR, BIAS_PRIOR]), np.array([1.0, 0.0])
    value = centre.copy()
    for _ in range(NEWTON_STEPS):
        p = 1 / (1 + np.exp(-design @ value))
        slope = weight * design.T @ (p - y) + prior @ (value - centre)
        curve = weight * (design * (p * (1 - p))[:, None]).T @ design + prior
        step = np.linalg.solve(curve, slope)
        value = value - np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-9:
            break
    return Calibration(float(max(value[0], 0.05)), float(value[1]))


def best_f1_threshold(labels: Floats, probabilities: Floats, smooth: float = 0.02) -> float:
    """The threshold of the highest F1, averaged over neighbours so that no one recording sets it.

    F1 is computed on a grid of log-odds and smoothed over +- 0.4; the maximum's plateau centre.
    """
    grid = np.linspace(-4, 3, 141)
    thresholds = 1 / (1 + np.exp(-grid))
    scores = []
    for threshold in thresholds:
        tp, fp, fn, _ = counts(labels, probabilities, threshold)
        scores.append(2 * tp / max(2 * tp + fp + fn, 1))
    kernel = np.hanning(19)
    curve = np.convolve(np.pad(scores, 9, mode="edge"), kernel / kernel.sum(), mode="valid")
    good = np.flatnonzero(curve >= curve.max() - smooth * curve.max())
    peak = int(np.argmax(curve))
    run = [i for i in good if abs(i - peak) <= 20]
    return float(thresholds[int(np.median(run))])


def operating_point(labels: Floats, probabilities: Floats, threshold: float) -> dict[str, object]:
    """Sensitivity and specificity at ``threshold`` with Wilson's 95 % intervals."""
    tp, fp, fn, tn = counts(labels, probabilities, threshold)
    return {
        "sensitivity": tp / (tp + fn) if tp + fn else 0.0,
        "sensitivity_ci95": wilson(tp, tp + fn) if tp + fn else None,
        "specificity": tn / (tn + fp) if tn + fp else 0.0,
        "specificity_ci95": wilson(tn, tn + fp) if tn + fp else None,
        "positives": tp + fn,
        "negatives": tn + fp,
    }
