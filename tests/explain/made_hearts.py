"""Records of beats whose waves are known by design."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ecg4u.record import LEADS, ECGRecord

RECORDS = Path(__file__).parents[2] / "data" / "records"

# Frontal and horizontal projections of P, R, S and T on the leads of a normal heart (mV).
P_MV = dict(zip(LEADS, (0.08, 0.15, 0.07, -0.115, 0.005, 0.11, 0.06, 0.07, 0.08, 0.08, 0.08, 0.08),
                strict=True))  # fmt: skip
R_MV = dict(zip(LEADS, (0.6, 1.0, 0.4, -0.8, 0.1, 0.7, 0.2, 0.5, 0.8, 1.3, 1.2, 0.9), strict=True))
S_MV = dict(zip(LEADS, (-0.1, -0.1, -0.05, 0.1, -0.05, -0.1, -0.9, -1.2, -0.7, -0.4, -0.2, -0.1),
                strict=True))  # fmt: skip
T_MV = dict(zip(LEADS, (0.2, 0.3, 0.1, -0.25, 0.05, 0.2, 0.05, 0.4, 0.4, 0.35, 0.3, 0.2),
                strict=True))  # fmt: skip


def bump(t: np.ndarray, centre: float, width: float) -> np.ndarray:
    """A raised cosine that is 0 outside ``centre`` ± ``width``."""
    x = np.clip((t - centre) / width, -1, 1)
    return 0.5 * (1 + np.cos(np.pi * x))


def train(
    *,
    rr_s: float = 0.8,
    pr_s: float = 0.16,
    half_qrs_s: float = 0.045,
    st_mv: dict[str, float] | None = None,
    p_scale: float = 1.0,
    r_times: np.ndarray | None = None,
    duration_s: float = 10.0,
    fs: float = 500.0,
) -> ECGRecord:
    """Beats of known design: P begins ``pr_s`` before the QRS, ST level as given."""
    t = np.arange(round(duration_s * fs)) / fs
    times = np.arange(0.5, duration_s - 0.3, rr_s) if r_times is None else r_times
    signal = np.zeros((len(t), 12))
    for r in times:
        p = bump(t, r - half_qrs_s - pr_s + 0.05, 0.05) * p_scale
        up, down = bump(t, r, half_qrs_s * 0.6), bump(t, r + half_qrs_s * 0.7, half_qrs_s * 0.4)
        wave = bump(t, r + 0.28, 0.09)
        level = np.clip(np.minimum((t - r - half_qrs_s * 0.5) / 0.02, (r + 0.24 - t) / 0.05), 0, 1)
        for column, lead in enumerate(LEADS):
            signal[:, column] += (
                P_MV[lead] * p + R_MV[lead] * up + S_MV[lead] * down + T_MV[lead] * wave
                + (st_mv or {}).get(lead, 0.0) * level
            )  # fmt: skip
    signal += np.random.default_rng(0).normal(0, 0.004, signal.shape)
    return ECGRecord(signal, fs)


def as_3x4(record: ECGRecord, *, rhythm: tuple[int, ...] = (1,)) -> ECGRecord:
    """The record as a 3x4 page shows it."""
    shown = np.full_like(record.p_signal, np.nan)
    step = record.n_samples // 4
    for column in range(12):
        part = slice(column // 3 * step, (column // 3 + 1) * step)
        if column in rhythm:
            part = slice(None)
        shown[part, column] = record.p_signal[part, column]
    return ECGRecord(shown, record.fs)
