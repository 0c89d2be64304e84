"""Macro figures with bootstrap intervals for groups of recordings: source, sex, age, layout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ecg4u.record import CLASSES
from training.dataset import Data
from training.metrics import Floats, auroc, bootstrap, f1

REPEATS = 300
AGES = {"under 50": (0, 50), "50 to 69": (50, 70), "70 to 89": (70, 90)}
"""PTB-XL gives 300 for every age over 89; those recordings are in none of these groups."""


def groups_of(
    source: npt.NDArray[np.str_], sex: npt.NDArray[np.str_], age: npt.NDArray[np.floating]
) -> dict[str, npt.NDArray[np.bool_]]:
    """Which recordings are in which group; unknown sex or age is in none."""
    found = {name: source == name for name in sorted(set(source.tolist()))}
    found |= {"women": sex == "F", "men": sex == "M"}
    return found | {name: (age >= low) & (age < high) for name, (low, high) in AGES.items()}


def macro_with_interval(
    labels: Floats,
    probabilities: Floats,
    thresholds: Mapping[str, float],
    repeats: int = REPEATS,
) -> dict[str, Any]:
    """Macro AUROC and F1 over the classes with a positive here, save STE; with 95 % intervals.

    ``labels`` are (n, 9); ``probabilities`` (n, len(thresholds)) in the order of ``thresholds``.
    """
    columns = [
        (CLASSES.index(name), column, threshold)
        for column, (name, threshold) in enumerate(thresholds.items())
        if name != "STE" and np.nansum(labels[:, CLASSES.index(name)]) > 0
    ]
    found: dict[str, Any] = {"recordings": len(labels), "classes": len(columns)}
    if not columns:
        return found

    def area(rows: npt.NDArray[np.int64]) -> float:
        return _mean([auroc(labels[rows, y], probabilities[rows, p]) for y, p, _ in columns])

    def score(rows: npt.NDArray[np.int64]) -> float:
        with_positives = [c for c in columns if np.nansum(labels[rows, c[0]]) > 0]
        return _mean([f1(labels[rows, y], probabilities[rows, p], t) for y, p, t in with_positives])

    everything = np.arange(len(labels))
    for key, measure in (("macro_auroc", area), ("macro_f1", score)):
        found[key] = measure(everything)
        found[f"{key}_ci95"] = bootstrap(measure, len(labels), repeats=repeats)
    return found


def by_group(
    data: Data,
    recordings: npt.NDArray[np.int64],
    probabilities: Floats,
    thresholds: Mapping[str, float],
) -> dict[str, dict[str, Any]]:
    """`macro_with_interval` of each group of ``recordings`` (rows of the data set)."""
    each = groups_of(data.source[recordings], data.sex[recordings], data.age[recordings])
    labels = data.reference[recordings]
    return {
        name: macro_with_interval(labels[keep], probabilities[keep], thresholds)
        for name, keep in each.items()
        if keep.any()
    }


def _mean(values: list[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")
