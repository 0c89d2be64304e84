"""Records brought to one sampling frequency, with NaN kept where nothing is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from ecg4u.record import ECGRecord

FS_HZ = 500.0
"""Everything is measured at this sampling frequency."""

FloatArray = npt.NDArray[np.float64]


def resample(signal: FloatArray, fs: float, to_fs: float) -> FloatArray:
    """(n, leads) at ``fs`` to ``to_fs`` Hz by averaging (when slower) and linear interpolation.

    A sample between a known and an unknown one is unknown.
    """
    if fs == to_fs:
        return np.array(signal)
    factor = int(fs // to_fs)
    if factor > 1:
        rows = len(signal) // factor
        if rows == 0:
            return np.full((1, signal.shape[1]), np.nan)
        signal = signal[: rows * factor].reshape(rows, factor, -1).mean(axis=1)
        fs, offset = fs / factor, (factor - 1) / (2 * fs)
    else:
        offset = 0.0
    n = max(round(len(signal) / fs * to_fs), 1)
    at = np.clip((np.arange(n) / to_fs - offset) * fs, 0, len(signal) - 1)
    low = np.floor(at).astype(int)
    share = (at - low)[:, None]
    high = np.minimum(low + 1, len(signal) - 1)
    blended = signal[low] * (1 - share) + signal[high] * share
    return np.where(share == 0, signal[low], blended)


def at_500_hz(record: ECGRecord) -> FloatArray:
    """The record's signal (n, 12) in mV at 500 Hz; infinite values count as unknown."""
    signal = np.where(np.isfinite(record.p_signal), record.p_signal, np.nan)
    return resample(signal, record.fs, FS_HZ)
