"""What the network sees: twelve leads in millivolts at 100 Hz, and twelve masks.

Millivolts are kept (no z-score, or the ST level is lost); each lead's median over what is known is
its zero, which removes an offset and keeps the ST segment. The same code prepares training data.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ecg4u.errors import UnreadableInputError
from ecg4u.record import ECGRecord

MODEL_FS_HZ, WINDOW_S = 100.0, 10.0
WINDOW_SAMPLES = round(MODEL_FS_HZ * WINDOW_S)
"""What the weights were trained on: most of their recordings are 10 s long."""
CLIP_MV = 5.0
"""Beyond this a sample is an artifact: training windows span 4.2 mV at most in the middle lead."""
CUTOFF_HZ, FILTER_LOBES = 40.0, 6
"""Below the 50 Hz that 100 samples a second can hold, with room for the filter to fall; lobes of
its sinc on either side."""
BLOCK = 2**16
"""Samples filtered at a time, so that a long record needs little room."""
MAX_DURATION_S = 48 * 3600.0
"""Two days, the longest that Holter recorders usually record."""

Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class ModelInput:
    """A record as the network sees it.

    ``channels`` is (24, n) float32: twelve leads in mV, then twelve masks (1 known, 0 not). Values
    under a zero mask are 0. ``n`` is at least 1000 (10 s at 100 Hz): a shorter record is padded
    at its end with mask 0.
    """

    channels: Float32Array
    fs: float = MODEL_FS_HZ

    @property
    def leads(self) -> Float32Array:
        """(12, n) mV."""
        return self.channels[:12]

    @property
    def masks(self) -> Float32Array:
        """(12, n): 1 where the lead is known."""
        return self.channels[12:]

    def starts(self) -> tuple[int, ...]:
        """First samples of the 10-s windows; the last one ends where the record ends."""
        last = self.channels.shape[1] - WINDOW_SAMPLES
        starts = list(range(0, last + 1, WINDOW_SAMPLES))
        if starts[-1] != last:
            starts.append(last)
        return tuple(starts)

    def windows(self) -> Float32Array:
        """(k, 24, 1000): the 10-s windows, each lead's median its zero in each window."""
        cut = np.stack([self.channels[:, s : s + WINDOW_SAMPLES] for s in self.starts()])
        if len(cut) > 1:
            leads = np.where(cut[:, 12:] > 0, cut[:, :12], np.nan)
            cut[:, :12] = _centred(leads)
        return cut


def prepare(record: ECGRecord) -> ModelInput:
    """Bring a record of any length and rate to the network's form.

    Raises
    ------
    UnreadableInputError
        If the sampling rate or the length is beyond what a record can be.
    """
    if record.fs < 2 * CUTOFF_HZ or record.duration_s > MAX_DURATION_S:
        raise UnreadableInputError(
            f"{record.fs:g} Hz for {record.duration_s:.1f} s cannot be classified.",
            stage="model",
            hint=f"Give at least {2 * CUTOFF_HZ:.0f} Hz and at most {MAX_DURATION_S / 3600:.0f} h.",
        )
    leads = resample(record.p_signal.T, record.fs)
    return from_leads(leads)


def from_leads(leads: npt.NDArray[np.floating]) -> ModelInput:
    """(12, n) mV at 100 Hz, NaN where unknown -> `ModelInput`."""
    padding = max(0, WINDOW_SAMPLES - leads.shape[1])
    leads = np.pad(leads, ((0, 0), (0, padding)), constant_values=np.nan)
    masks = np.isfinite(leads).astype(np.float32)
    return ModelInput(np.concatenate([_centred(leads), masks]).astype(np.float32))


def resample(signal: npt.NDArray[np.floating], fs: float) -> npt.NDArray[np.float64]:
    """(leads, n) at ``fs`` -> (leads, m) at 100 Hz through a 40-Hz low-pass; NaN stays NaN.

    Unknown stretches are bridged before the filter, so that they do not spread, and restored after.
    """
    import torch

    step = fs / MODEL_FS_HZ
    whole = step.is_integer()
    times = np.arange(max(1, int(signal.shape[1] * MODEL_FS_HZ / fs + 0.5))) * step
    nearest = np.clip(np.rint(times).astype(int), 0, signal.shape[1] - 1)
    grid = np.arange(signal.shape[1])
    taps = torch.from_numpy(_low_pass(fs).astype(np.float32))
    half = len(taps) // 2
    out = np.full((len(signal), len(times)), np.nan)
    for lead, values in enumerate(map(np.ascontiguousarray, signal)):
        known = np.isfinite(values)
        if not known.any():
            continue
        bridged = values if known.all() else np.interp(grid, grid[known], values[known])
        row = torch.from_numpy(bridged.astype(np.float32))[None]
        padded = torch.nn.functional.pad(row, (half, half), mode="replicate")[0]
        around = padded.unfold(0, len(taps), int(step) if whole else 1)
        smooth = torch.cat([part @ taps for part in around.split(BLOCK)]).numpy()
        read = smooth[: len(times)] if whole else np.interp(times, grid, smooth)
        out[lead] = np.where(known[nearest], read, np.nan)
    return out


def _low_pass(fs: float) -> npt.NDArray[np.float64]:
    """A Hamming-windowed sinc with its half-amplitude point at `CUTOFF_HZ`."""
    half = int(np.ceil(FILTER_LOBES * fs / (2 * CUTOFF_HZ)))
    t = np.arange(-half, half + 1)
    taps = np.sinc(2 * CUTOFF_HZ / fs * t) * np.hamming(2 * half + 1)
    return taps / taps.sum()


def _centred(leads: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Subtract each lead's median, clip, and put 0 where unknown; (..., n) with NaN in."""
    known = np.isfinite(leads)
    some = known.any(axis=-1, keepdims=True)
    median = np.nanmedian(np.where(some, leads, 0.0), axis=-1, keepdims=True)
    return np.where(known, np.clip(leads - median, -CLIP_MV, CLIP_MV), 0.0)
