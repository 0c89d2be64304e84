"""Predictions of a network on a split, per recording, on full leads or as a page shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ecg4u.model.aggregate import over_windows
from ecg4u.model.prepare import WINDOW_SAMPLES
from ecg4u.record import CLASSES
from training.augment import STANDARD_COLUMNS, TWO_COLUMNS, centred, column_mask
from training.dataset import Data
from training.metrics import auroc

LAYOUTS: Mapping[str, npt.NDArray[np.float32]] = {
    "full": np.ones((12, WINDOW_SAMPLES), dtype=np.float32),
    "3x4+1": column_mask(STANDARD_COLUMNS, ("II",), WINDOW_SAMPLES),
    "3x4": column_mask(STANDARD_COLUMNS, (), WINDOW_SAMPLES),
    "6x2": column_mask(TWO_COLUMNS, (), WINDOW_SAMPLES),
}


@dataclass(frozen=True, eq=False)
class Predictions:
    """Per recording: its row in the data set, its logits (n, classes)."""

    recordings: npt.NDArray[np.int64]
    logits: npt.NDArray[np.float64]


def predict(
    network: nn.Module,
    data: Data,
    split: str,
    layout: str,
    *,
    classes: tuple[str, ...] = CLASSES,
    device: str = "cpu",
    batch: int = 64,
) -> Predictions:
    """Logits of every recording of ``split`` seen through a layout's mask."""
    windows = data.windows(split)
    page = torch.from_numpy(LAYOUTS[layout]).to(device)
    network.eval()
    parts = []
    with torch.inference_mode():
        for start in range(0, len(windows), batch):
            leads, masks = data.batch(windows[start : start + batch])
            x = centred(leads.to(device), masks.to(device) * page)
            parts.append(network(x)[:, : len(classes)].float().cpu().numpy())
    logits = np.concatenate(parts)
    owner = data.owner[windows]
    recordings = np.unique(owner)
    each = [over_windows(logits[owner == r], classes) for r in recordings]
    return Predictions(recordings.astype(np.int64), np.stack(each))


def macro(values: Mapping[str, float]) -> float:
    """Mean over the classes other than STE (too rare to steer by; alone, it is all there is)."""
    kept = [v for n, v in values.items() if (n != "STE" or len(values) == 1) and np.isfinite(v)]
    return float(np.mean(kept)) if kept else float("nan")


def aurocs(
    labels: npt.NDArray[np.float32], predictions: Predictions, classes: tuple[str, ...] = CLASSES
) -> dict[str, float]:
    """AUROC by class name; ``labels`` has a row for each recording of the data set."""
    rows = labels[predictions.recordings]
    return {
        name: auroc(rows[:, CLASSES.index(name)], predictions.logits[:, column])
        for column, name in enumerate(classes)
    }
