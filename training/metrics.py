"""AUROC, average precision, F1 and their thresholds, in numpy; NaN labels are left out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]


def _known(labels: Floats, scores: Floats) -> tuple[npt.NDArray[np.bool_], Floats]:
    known = np.isfinite(labels)
    return labels[known] > 0.5, scores[known]


def auroc(labels: Floats, scores: Floats) -> float:
    """Probability that a positive outranks a negative (ties count half); NaN without both."""
    positive, scores = _known(labels, scores)
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        return float("nan")
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    rank = np.cumsum(counts) - (counts - 1) / 2
    u = rank[inverse][positive].sum() - n_positive * (n_positive + 1) / 2
    return float(u / (n_positive * n_negative))


def average_precision(labels: Floats, scores: Floats) -> float:
    """Area under the precision-recall steps; NaN without positives."""
    positive, scores = _known(labels, scores)
    if not positive.any():
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(positive[order])
    last = np.append(np.diff(scores[order]) != 0, True)
    precision = (hits / np.arange(1, len(hits) + 1))[last]
    recall = hits[last] / hits[-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def counts(labels: Floats, scores: Floats, threshold: float) -> tuple[int, int, int, int]:
    """True positives, false positives, false negatives, true negatives."""
    positive, scores = _known(labels, scores)
    said = scores >= threshold
    return (
        int((said & positive).sum()),
        int((said & ~positive).sum()),
        int((~said & positive).sum()),
        int((~said & ~positive).sum()),
    )


def f1(labels: Floats, scores: Floats, threshold: float) -> float:
    """Harmonic mean of precision and sensitivity; 0 where nothing is found."""
    tp, fp, fn, _ = counts(labels, scores, threshold)
    return 2 * tp / (2 * tp + fp + fn) if tp else 0.0


def sensitivity(labels: Floats, scores: Floats, threshold: float) -> float:
    """Share of the positives that are found; NaN without positives."""
    tp, _, fn, _ = counts(labels, scores, threshold)
    return tp / (tp + fn) if tp + fn else float("nan")


def specificity(labels: Floats, scores: Floats, threshold: float) -> float:
    """Share of the negatives that are left alone; NaN without negatives."""
    _, fp, _, tn = counts(labels, scores, threshold)
    return tn / (tn + fp) if tn + fp else float("nan")


def calibration_error(labels: Floats, probabilities: Floats, bins: int = 10) -> float:
    """Expected calibration error over equally wide bins (Guo et al. 2017)."""
    positive, probabilities = _known(labels, probabilities)
    bin_of = np.minimum((probabilities * bins).astype(int), bins - 1)
    error = 0.0
    for b in np.unique(bin_of):
        inside = bin_of == b
        error += abs(positive[inside].mean() - probabilities[inside].mean()) * inside.mean()
    return float(error)


def wilson(hits: int, n: int) -> tuple[float, float]:
    """95 % interval of a proportion (Wilson 1927); NaN for n = 0."""
    if n == 0:
        return float("nan"), float("nan")
    z, p = 1.959964, hits / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return float(centre - half), float(centre + half)


def bootstrap(
    measure: Callable[[npt.NDArray[np.int64]], float], n: int, *, repeats: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """95 % percentile interval of ``measure(rows)`` over resampled rows."""
    rng = np.random.default_rng(seed)
    values = [measure(rng.integers(0, n, n)) for _ in range(repeats)]
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)
