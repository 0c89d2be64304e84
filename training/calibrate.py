"""Thresholds, calibration and operating points from the validation split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.metrics import counts, wilson

SCALE_PRIOR, BIAS_PRIOR = 4.0, 0.25
NEWTON_STEPS = 50
LEAST_PROBABILITY = 1e-6
Floats = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Calibration:
    """``sigmoid(scale * logit + bias)`` is the probability."""

    scale: float
    bias: float

    def probability(self, logits: Floats) -> npt.NDArray[np.float64]:
        """(n,) logits -> (n,) probabilities."""
        return 1 / (1 + np.exp(-(self.scale * np.asarray(logits, np.float64) + self.bias)))


def platt(labels: Floats, logits: Floats, weight: float | Floats = 1.0) -> Calibration:
    """Platt's scaling (1999) with a prior that pulls the scale to 1 and the bias to 0.

    The prior keeps classes with a dozen positives from extreme values. ``weight`` is what one
    row counts, or each of them (a recording seen in four layouts counts 1/4 each).
    """
    known = np.isfinite(labels)
    counted = np.broadcast_to(weight, labels.shape)[known]
    y, z = labels[known].astype(np.float64), logits[known].astype(np.float64)
    design = np.stack([z, np.ones_like(z)], axis=1)
    prior, centre = np.diag([SCALE_PRIOR, BIAS_PRIOR]), np.array([1.0, 0.0])
    value = centre.copy()
    for _ in range(NEWTON_STEPS):
        p = 1 / (1 + np.exp(-design @ value))
        slope = design.T @ (counted * (p - y)) + prior @ (value - centre)
        curve = (design * (counted * p * (1 - p))[:, None]).T @ design + prior
        step = np.linalg.solve(curve, slope)
        value = value - np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-9:
            break
    return Calibration(float(max(value[0], 0.05)), float(value[1]))


def robust_threshold(labels: Floats, probabilities: Floats) -> float:
    """The mean, in log-odds, of two estimates of the threshold with the highest F1.

    `softened_f1_threshold` goes by the labels, which are few; `expected_f1_threshold` by the
    calibrated probabilities of all recordings. Over 60 random halves of the validation split
    (threshold from one half, F1 on the other, three networks) the macro F1 was .624 for the mean,
    .622 and .612 for the two alone, .612 for the maximum of a smoothed F1 curve, .527 for 0.5.
    """
    pair = softened_f1_threshold(labels, probabilities), expected_f1_threshold(probabilities)
    middle = float(np.mean([np.log(t / (1 - t)) for t in pair]))
    return 1 / (1 + float(np.exp(-middle)))


def softened_f1_threshold(labels: Floats, probabilities: Floats, width: float = 0.6) -> float:
    """Maximum of F1 with every score blurred by a normal of ``width`` in log-odds."""
    from scipy.special import ndtr

    known = np.isfinite(labels)
    y = labels[known] > 0.5
    odds = _log_odds(probabilities[known])
    grid = np.linspace(-5, 3, 161)
    share = ndtr((odds[None] - grid[:, None]) / width)
    hits = share[:, y].sum(axis=1)
    best = grid[np.argmax(2 * hits / (share.sum(axis=1) + y.sum()))]
    return float(1 / (1 + np.exp(-best)))


def expected_f1_threshold(probabilities: Floats) -> float:
    """Maximum of F1 as the probabilities themselves foretell it (cf. Lipton et al. 2014)."""
    p = np.sort(np.asarray(probabilities, np.float64))[::-1]
    score = 2 * np.cumsum(p) / (np.arange(1, len(p) + 1) + p.sum())
    last = int(np.argmax(score))
    middle = (p[last] + p[min(last + 1, len(p) - 1)]) / 2
    return float(np.clip(middle, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY))


def _log_odds(probabilities: Floats) -> npt.NDArray[np.float64]:
    p = np.clip(probabilities, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY).astype(np.float64)
    return np.log(p / (1 - p))


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


RULE_OUT_SENSITIVITIES = (0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6)
RULE_OUT_SPECIFICITY = 0.8


def rule_out(labels: Floats, probabilities: Floats, threshold: float) -> dict[str, float]:
    """The point under which a class is unlikely: at most ``threshold``, which rules it in.

    The highest of `RULE_OUT_SENSITIVITIES` that leaves `RULE_OUT_SPECIFICITY`, or else the lowest.
    """
    known = np.isfinite(labels)
    y, p = labels[known] > 0.5, probabilities[known]
    found = {"threshold": threshold, "sensitivity": 0.0, "specificity": 0.0}
    if not 0 < y.sum() < len(y):
        return found
    for wanted in RULE_OUT_SENSITIVITIES:
        at = min(float(np.quantile(p[y], 1 - wanted, method="lower")), threshold)
        found = {
            "threshold": at,
            "sensitivity": float((p[y] >= at).mean()),
            "specificity": float((p[~y] < at).mean()),
        }
        if found["specificity"] >= RULE_OUT_SPECIFICITY:
            break
    return found
