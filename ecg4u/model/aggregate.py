"""From the windows of a long record to one answer per class."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ecg4u.record import CLASSES

EPISODIC = ("AF", "PAC", "PVC")
"""Classes that a single beat or episode makes true: the highest window counts."""


def over_windows(
    log_odds: npt.NDArray[np.floating], classes: tuple[str, ...] = CLASSES
) -> npt.NDArray[np.float64]:
    """(windows, classes) -> (classes,): the maximum for `EPISODIC`, the mean for the others."""
    values = np.asarray(log_odds, dtype=np.float64)
    episodic = np.isin(classes, EPISODIC)
    return np.where(episodic, values.max(axis=0), values.mean(axis=0))
