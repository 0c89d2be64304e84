"""The measures of digitization; most live in `ecg4u.compare`, which users have too."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ecg4u.compare import LeadScore, moved, resample, score_lead
from ecg4u.digitize.rows.beats import MIN_RR_S, find_beats, steepness

__all__ = [
    "LeadScore",
    "kaggle_db",
    "kaggle_ratio",
    "moved",
    "qrs_ratios",
    "resample",
    "score_lead",
]

KAGGLE_CAP = 384.0
MM_PER_S = 25.0
QRS_REACH_S = 0.08
"""A QRS complex, from its steepest place to either side; bundle branch blocks take 160 ms."""
LEAST_QRS_MV = 0.15
"""Lower ones are not counted: a tenth of them is less than a pen's width."""
LEAST_READ = 0.5
"""Share of a complex's samples that must have been read."""


def kaggle_ratio(scores: list[LeadScore]) -> float:
    """Signal over noise of one page, capped, from its leads' scores."""
    signal = sum(score.kaggle_signal for score in scores)
    noise = sum(score.kaggle_noise for score in scores)
    return float(min(signal / noise, KAGGLE_CAP)) if noise > 0 else KAGGLE_CAP


def kaggle_db(ratios: list[float]) -> float:
    """The Kaggle score of several pages: 10 log10 of the mean of their capped ratios."""
    return float(10 * np.log10(np.mean(ratios))) if ratios else float("nan")


def qrs_ratios(
    reference: npt.NDArray[np.float64], estimate: npt.NDArray[np.float64], fs: float
) -> npt.NDArray[np.float64]:
    """Height (max - min) of each QRS complex as read, over its true height; 0 if it was not read.

    ``reference`` and ``estimate`` are one lead, (n,) mV; complexes of the reference count where it
    is known and at least `LEAST_QRS_MV` high.
    """
    steep = steepness([reference], fs / MM_PER_S)
    if steep is None and np.isfinite(reference).any():
        first, last = np.flatnonzero(np.isfinite(reference))[[0, -1]]
        return qrs_ratios(reference[first : last + 1], estimate[first : last + 1], fs)
    reach, found = round(QRS_REACH_S * fs), []
    for beat in () if steep is None else find_beats(steep, apart=round(MIN_RR_S * fs)):
        true = reference[max(0, beat - reach) : beat + reach + 1]
        read = estimate[max(0, beat - reach) : beat + reach + 1]
        if not np.isfinite(true).all() or np.ptp(true) < LEAST_QRS_MV:
            continue
        known = read[np.isfinite(read)]
        enough = len(known) >= LEAST_READ * len(read)
        found.append(float(np.ptp(known) / np.ptp(true)) if enough else 0.0)
    return np.array(found)
