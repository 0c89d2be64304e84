"""How well a digitized record matches its original: the scores of two challenges and plain ones.

Definitions
-----------
*Challenge SNR* (Reyna et al., PhysioNet Challenge 2024): per lead the estimate is shifted in time
(at most 0.5 s) and in voltage (at most 1 mV) to fit the reference best; noise = reference -
estimate over the samples finite in both; SNR = 10 log10(mean reference^2 / mean noise^2), times
the share of the reference's finite samples that the estimate covers. A missing lead scores 0.

*Kaggle SNR* (PhysioNet - Digitization of ECG Images, 2025-26): per lead a time shift of at most
0.2 s and the mean difference are removed; per page the summed signal power over the summed noise
power of the twelve leads, capped at 384; the score is 10 log10 of the mean over pages. The
competition takes no gaps, so samples left unknown are filled from their neighbours for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ecg4u.record import ECGRecord

Array = npt.NDArray[np.float64]
MAX_SHIFT_S = 0.5
MAX_OFFSET_MV = 1.0
KAGGLE_MAX_SHIFT_S = 0.2
SNR_CEILING_DB = 100.0


@dataclass(frozen=True)
class LeadScore:
    """Scores of one lead; ``covered`` is the share of the reference that the estimate covers."""

    snr_db: float
    snr_unshifted_db: float
    r: float
    rmse_mv: float
    covered: float
    shift_s: float
    offset_mv: float
    kaggle_signal: float
    kaggle_noise: float


def resample(signal: Array, fs: float, fs_new: float) -> Array:
    """Resample (n,) with NaN gaps to ``fs_new`` by linear interpolation inside finite runs."""
    if fs == fs_new:
        return signal
    times = np.arange(int(round(len(signal) * fs_new / fs))) / fs_new * fs
    finite = np.isfinite(signal)
    if not finite.any():
        return np.full(len(times), np.nan)
    values = np.interp(times, np.flatnonzero(finite), signal[finite])
    nearest = np.clip(np.round(times).astype(int), 0, len(signal) - 1)
    return np.where(finite[nearest], values, np.nan)


def moved(estimate: Array, shift: int, n: int) -> Array:
    """``estimate`` moved by ``shift`` samples, cut or padded with NaN to ``n``."""
    out = np.full(n, np.nan)
    start, stop = max(0, shift), min(n, len(estimate) + shift)
    if stop > start:
        out[start:stop] = estimate[start - shift : stop - shift]
    return out


def _residuals(reference: Array, estimate: Array, max_shift: int) -> tuple[Array, Array, Array]:
    """Sum of squared differences, of differences, and counts, for each shift -max..max."""
    from scipy.signal import correlate

    n = max(len(reference), len(estimate))
    ref = np.zeros(n + 2 * max_shift)
    est = np.zeros_like(ref)
    ref_ok, est_ok = np.zeros_like(ref), np.zeros_like(ref)
    window = slice(max_shift, max_shift + len(reference))
    ref_ok[window] = np.isfinite(reference)
    ref[window] = np.nan_to_num(reference)
    window = slice(max_shift, max_shift + len(estimate))
    est_ok[window] = np.isfinite(estimate)
    est[window] = np.nan_to_num(estimate)

    def at_shifts(a: Array, b: Array) -> Array:
        full = correlate(a, b, mode="full", method="fft")
        middle = len(b) - 1
        return full[middle - max_shift : middle + max_shift + 1]

    count = at_shifts(ref_ok, est_ok)
    difference = at_shifts(ref, est_ok) - at_shifts(ref_ok, est)
    squares = at_shifts(ref**2, est_ok) - 2 * at_shifts(ref, est) + at_shifts(ref_ok, est**2)
    return squares, difference, count


def _best_shift(
    reference: Array, estimate: Array, max_shift: int, max_offset: float
) -> tuple[int, float]:
    squares, difference, count = _residuals(reference, estimate, max_shift)
    enough = count >= 0.5 * count.max() if count.max() > 0 else np.zeros_like(count, bool)
    if not enough.any():
        return 0, 0.0
    safe = np.maximum(count, 1.0)
    offset = np.clip(difference / safe, -max_offset, max_offset)
    noise = (squares - 2 * offset * difference + offset**2 * count) / safe
    noise[~enough] = np.inf
    best = int(np.argmin(noise))
    return best - max_shift, float(offset[best])


def _filled(estimate: Array) -> Array:
    """Gaps filled by a straight line, the ends with the nearest known value; 0 if none is known."""
    known = np.flatnonzero(np.isfinite(estimate))
    if len(known) == 0:
        return np.zeros_like(estimate)
    return np.interp(np.arange(len(estimate)), known, estimate[known])


def _db(signal: float, noise: float) -> float:
    if signal <= 0:
        return 0.0
    if noise <= 0:
        return SNR_CEILING_DB
    return float(min(10 * np.log10(signal / noise), SNR_CEILING_DB))


def score_lead(reference: Array, estimate: Array, fs: float) -> LeadScore | None:
    """Score one lead, both (n,) in mV at ``fs``; None where the reference is not shown at all."""
    shown = np.isfinite(reference)
    if not shown.any():
        return None
    power = float(np.mean(reference[shown] ** 2))
    kaggle_signal = float(np.sum(reference[shown] ** 2))
    if not np.isfinite(estimate).any():
        return LeadScore(
            0.0, 0.0, 0.0, float(np.sqrt(power)), 0.0, 0.0, 0.0, kaggle_signal, kaggle_signal
        )
    n = len(reference)
    shift, offset = _best_shift(reference, estimate, int(MAX_SHIFT_S * fs), MAX_OFFSET_MV)
    fitted = moved(estimate, shift, n) + offset
    plain = moved(estimate, 0, n)

    def snr(candidate: Array) -> tuple[float, float, float]:
        both = shown & np.isfinite(candidate)
        if not both.any():
            return 0.0, 0.0, float(np.sqrt(power))
        noise = float(np.mean((reference[both] - candidate[both]) ** 2))
        covered = float(both.sum() / shown.sum())
        signal = float(np.mean(reference[both] ** 2))
        return _db(signal, noise) * covered, covered, float(np.sqrt(noise))

    snr_db, covered, rmse = snr(fitted)
    unshifted, _, _ = snr(plain)
    both = shown & np.isfinite(fitted)
    r = float(np.corrcoef(reference[both], fitted[both])[0, 1]) if both.sum() > 2 else 0.0
    k_shift, k_offset = _best_shift(reference, estimate, int(KAGGLE_MAX_SHIFT_S * fs), np.inf)
    k_fitted = _filled(moved(estimate, k_shift, n) + k_offset)
    k_noise = float(np.sum((reference[shown] - k_fitted[shown]) ** 2))
    return LeadScore(
        snr_db,
        unshifted,
        r if np.isfinite(r) else 0.0,
        rmse,
        covered,
        shift / fs,
        offset,
        kaggle_signal,
        k_noise,
    )


def _within(reference: Array, estimate: Array) -> Array:
    """``reference`` with NaN outside the stretch from the first to the last known sample."""
    known = np.flatnonzero(np.isfinite(estimate))
    if not len(known):
        return reference
    out = np.full_like(reference, np.nan)
    stretch = slice(known[0], known[-1] + 1)
    out[stretch] = reference[stretch]
    return out


def compare_records(reference: ECGRecord, estimate: ECGRecord) -> dict[str, LeadScore | None]:
    """Score every lead of ``estimate`` against ``reference``, at the rate of the reference.

    A page shows a quarter of most leads: each is scored from the first to the last second that
    ``estimate`` shows of it, and gaps in between count. None for a lead that the reference does not
    show; a lead that the estimate lacks is scored over the whole reference, as 0 dB.
    """
    scores: dict[str, LeadScore | None] = {}
    for name in reference.sig_name:
        read = resample(estimate.lead(name), estimate.fs, reference.fs)
        scores[name] = score_lead(_within(reference.lead(name), read), read, reference.fs)
    return scores
