"""P, QRS and T waves: how likely each sample belongs to one, and where waves begin and end."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ecg4u.explain.signals import FS_HZ, resample
from ecg4u.explain.wavenet import WAVE_FS_HZ, build, lead_inputs
from ecg4u.runs import runs_of

WEIGHTS = Path(__file__).parent / "weights" / "waves.safetensors"
CHUNK = 4096
"""Longest stretch (250-Hz samples) given to the network at once; the overlap is `OVERLAP`."""
OVERLAP = 512

FloatArray = npt.NDArray[np.float64]


@cache
def _network() -> Any:
    from safetensors.torch import load_file

    network = build()
    network.load_state_dict(load_file(WEIGHTS))
    return network.eval()


def wave_probabilities(signal: FloatArray) -> FloatArray:
    """How likely each sample of each lead lies in a P, QRS or T wave.

    Parameters
    ----------
    signal : (n, 12) float64
        Millivolts at 500 Hz, NaN where not known.

    Returns
    -------
    (n, 12, 3) float64, NaN where the signal is.
    """
    slow = resample(signal, FS_HZ, WAVE_FS_HZ)
    out = np.full((len(slow), signal.shape[1], 3), np.nan)
    shown = np.flatnonzero(np.isfinite(slow).any(axis=0))
    if len(shown) and len(slow) > 1:
        out[:, shown] = _in_chunks(lead_inputs(slow)[shown]).transpose(2, 0, 1)
    # One 250-Hz sample is the mean of two at 500 Hz: it stands half a 500-Hz sample later.
    at = np.clip((np.arange(len(signal)) - 0.5) / 2, 0, len(slow) - 1)
    low = np.floor(at).astype(int)
    share = (at - low)[:, None, None]
    fast = out[low] * (1 - share) + out[np.minimum(low + 1, len(slow) - 1)] * share
    fast[~np.isfinite(signal)] = np.nan
    return fast


def _in_chunks(inputs: FloatArray) -> FloatArray:
    """(leads, 2, n) network inputs to (leads, 3, n) probabilities."""
    import torch

    n = inputs.shape[2]
    result = np.zeros((inputs.shape[0], 3, n))
    starts = range(0, max(n - OVERLAP, 1), CHUNK - OVERLAP)
    for start in starts:
        part = inputs[:, :, start : start + CHUNK]
        length = part.shape[2]
        padded = np.zeros((*part.shape[:2], -(-length // 16) * 16), dtype=np.float32)
        padded[:, :, :length] = part
        with torch.inference_mode():
            logits = _network()(torch.from_numpy(padded))
            share = torch.softmax(logits, dim=1)[:, 1:, :length].double().numpy()
        skip = OVERLAP // 2 if start else 0
        result[:, :, start + skip : start + length] = share[:, :, skip:]
    return result


@dataclass(frozen=True)
class Wave:
    """A wave found in a probability curve; positions in (fractional) samples."""

    onset: float
    offset: float


def over_leads(probability: FloatArray, wave: int) -> FloatArray:
    """The probability (n,) of a wave, the mean of the leads (n, 12, 3) that are known."""
    with np.errstate(invalid="ignore", divide="ignore"):
        known = np.isfinite(probability[:, :, wave])
        return np.where(known, probability[:, :, wave], 0).sum(axis=1) / known.sum(axis=1)


def find_waves(
    probability: FloatArray, *, threshold: float = 0.5, min_length: float = 10
) -> list[Wave]:
    """Stretches of a probability curve above ``threshold``, edges interpolated between samples."""
    curve = np.where(np.isfinite(probability), probability, 0.0)
    found = []
    for run in runs_of(curve >= threshold):
        start, end = run.start, run.stop
        onset, offset = float(start), float(end - 1)
        if start > 0:
            before = curve[start - 1]
            onset -= float((curve[start] - threshold) / max(curve[start] - before, 1e-9))
        if end < len(curve):
            after = curve[end]
            offset += float((curve[end - 1] - threshold) / max(curve[end - 1] - after, 1e-9))
        if offset - onset >= min_length:
            found.append(Wave(onset, offset))
    return found
