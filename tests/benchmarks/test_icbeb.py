"""ICBEB-2018's own recordings: which are held out, and what is counted."""

from __future__ import annotations

import numpy as np

from benchmarks.icbeb import SOURCE, table
from ecg4u.record import CLASSES
from training.dataset import Data
from training.evaluate import Predictions


def made(splits: list[str], sources: list[str]) -> Data:
    n = len(splits)
    text = np.full(n, "", dtype="<U12")
    flags = np.zeros((n, len(CLASSES)), np.float32)
    flags[np.arange(n), np.arange(n) % 2] = 1
    return Data(
        signals=np.zeros((n, 12, 1000), np.int16), owner=np.arange(n, dtype=np.int32),
        name=np.array([f"{i}" for i in range(n)]), source=np.array(sources),
        split=np.array(splits), patient=text, sex=text, age=np.zeros(n, np.float32),
        reference=flags, targets=flags, auxiliary=np.zeros((n, 0), np.float32),
        auxiliary_names=(), statements=text, sized=np.ones(n, bool), file=text,
    )  # fmt: skip


def test_the_mean_is_over_classes_with_a_positive() -> None:
    data = made(["train"] * 4, [SOURCE] * 4)
    logits = np.full((4, len(CLASSES)), -5.0)
    logits[[0, 1, 3], [0, 0, 1]] = 5.0
    card = {
        "calibration": {name: {"scale": 1.0, "bias": 0.0} for name in CLASSES},
        "thresholds": dict.fromkeys(CLASSES, 0.5),
    }
    rows = table(data, Predictions(np.arange(4), logits), card)
    assert rows[2].startswith("| Normal | 2 | 0.500 | 0.500 | 1 | 1 | 1 |")
    assert rows[3].startswith("| AF | 2 | 0.750 | 0.667 | 1 | 1 | 0 |")
    assert rows[-1].startswith("| **mean** | 4 | | 0.583 [")
