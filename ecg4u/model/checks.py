"""Is this an ECG that may be classified? Measurable checks on what the network would see.

The limit on the QRS contrast and `EINTHOVEN_RESIDUAL` (passed by 0.2 %) were set on 500 recordings
of the training split, full leads and 3x4; the limits on the beats' likeness and on the signs of
leads on 800 others (full / 3x4+1): likeness under `MIN_LIKENESS` 0 / 0, chest leads called reversed
3 / 4, all leads upside down 1 / 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ecg4u.messages import message
from ecg4u.model.prepare import Float32Array, ModelInput
from ecg4u.record import DOUBTFUL_KEY, LEADS, Doubtful, ECGRecord

MIN_LEAD_S, MIN_LONGEST_S = 1.0, 2.0
"""A lead shorter than a beat says nothing, nor does a record in which none shows two; by eye."""
MIN_LEADS = 10
"""Of 1,009 windows, 7 % get another answer without V1, 11 % without V1 to V3, 15 % without V1 to V4
(out of fold; a 3x4 page, which shows a quarter of most leads, changes more)."""
FLAT_MV, MAX_SPREAD_MV = 0.04, 9.0
"""A lead that spans less is flat; where the middle one spans more, the gain is wrong by far."""
USUAL_SPREAD_MV = (0.25, 4.5)
"""What the middle one of the leads spans: 0.30 to 4.20 mV in 3,576 training windows."""
QRS_CONTRAST = 3.5
"""98th percentile over median of the slope of all leads: at most 2.1 in 40 draws of white and brown
noise and sines; at least 5.3 in 500 training recordings, full or 3x4."""
MIN_RATE_PER_MIN, MAX_RATE_PER_MIN, REFRACTORY_S = 12.0, 330.0, 0.16
"""Peaks per minute outside which there is no rhythm of a heart, and how near together two count as
one; by eye, with room for T waves taken for beats."""
EINTHOVEN_RESIDUAL, EINTHOVEN_MIN_S = 0.5, 1.0
"""Share of the leads that the relations leave unexplained, over at least so long; see above."""
MIN_LIKENESS = 0.72
"""Bursts of noise reach 0.43 (most of 20), twelve unrelated rows of spikes 0, a square wave 0.72
in 18 of 20."""
PAGE_DOUBTS: dict[Doubtful, str] = {
    "scale": message("page_scale_uncertain"),
    "names": message("page_names_uncertain"),
    "columns": message("page_columns_uncertain"),
}
TURNED = 0.3
"""A lead whose highest and lowest value sum to this share of its span points one way."""


@dataclass(frozen=True)
class SignalCheck:
    """What the checks found; ``unreadable`` and ``doubts`` are sentences for the reader."""

    unreadable: tuple[str, ...]
    doubts: tuple[str, ...]


def page_doubts(record: ECGRecord) -> tuple[str, ...]:
    """What was uncertain when a record was read from its page, in words."""
    doubtful = record.provenance.details.get(DOUBTFUL_KEY, ())
    return tuple(words for kind, words in PAGE_DOUBTS.items() if kind in doubtful)


def check(model_input: ModelInput, alike: Float32Array | None = None) -> SignalCheck:
    """Look for what makes a record unreadable, or its classes doubtful.

    ``alike`` is `ecg4u.model.beats.likeness` of its windows, if that is at hand.
    """
    leads, known = model_input.leads, model_input.masks > 0
    seconds = known.sum(axis=1) / model_input.fs
    shown = np.flatnonzero(seconds >= MIN_LEAD_S)
    if not len(shown) or seconds.max() < MIN_LONGEST_S:
        return SignalCheck((message("too_little_signal", seconds=float(seconds.max())),), ())
    ends = {LEADS[lead]: _ends(leads[lead][known[lead]]) for lead in shown}
    spread = {lead: high - low for lead, (low, high) in ends.items()}
    flat = [lead for lead, value in spread.items() if value < FLAT_MV]
    if len(flat) > len(shown) / 2:
        return SignalCheck((message("most_leads_flat", flat=len(flat), shown=len(shown)),), ())
    middle = float(np.median(list(spread.values())))
    if middle > MAX_SPREAD_MV:
        return SignalCheck((message("span_impossible", millivolts=middle),), ())
    unreadable = _beat_problem(model_input, alike)
    doubts = _doubts(model_input, ends, flat)
    low, high = USUAL_SPREAD_MV
    if not low <= middle <= high:
        doubts += (message("span_unusual", millivolts=middle, low=low, high=high),)
    return SignalCheck((unreadable,) if unreadable else (), doubts)


def _ends(values: Float32Array) -> tuple[float, float]:
    """Its 0.5th and 99.5th percentile."""
    below, share = divmod(0.005 * (len(values) - 1), 1)
    low, high = int(below), len(values) - 1 - int(below)
    near = (low, min(low + 1, high), max(high - 1, low), high)
    least, next_least, next_most, most = np.partition(values, near)[list(near)].tolist()
    return least + share * (next_least - least), most - share * (most - next_most)


def qrs_slope(model_input: ModelInput) -> Float32Array:
    """(m,) root mean square of the slope over the leads shown, mV per sample, smoothed 60 ms.

    Samples at which no lead is known are left out, so ``m`` can be less than ``n - 1``.
    """
    leads, known = model_input.leads, model_input.masks > 0
    both = known[:, 1:] & known[:, :-1]
    slope = np.where(both, np.diff(leads, axis=1), 0.0)
    count = both.sum(axis=0)
    energy = (slope**2).sum(axis=0)[count > 0] / count[count > 0]
    kernel = np.ones(round(0.06 * model_input.fs))
    return np.sqrt(np.convolve(energy, kernel / len(kernel), mode="same")).astype(np.float32)


def _beat_problem(model_input: ModelInput, alike: Float32Array | None) -> str | None:
    slope = qrs_slope(model_input)
    high, middle = np.percentile(slope, 98), np.median(slope)
    if high < QRS_CONTRAST * middle or high == 0:
        return message("no_qrs")
    rate = _rate(slope, float(high) / 2, model_input.fs)
    if not MIN_RATE_PER_MIN <= rate <= MAX_RATE_PER_MIN:
        return message("no_heart_rate", rate=rate)
    alike = beat_likeness(model_input) if alike is None else alike
    alike = alike[np.isfinite(alike)]
    if not len(alike) or np.median(alike) < MIN_LIKENESS:
        return message("beats_unlike")
    return None


def beat_likeness(model_input: ModelInput) -> Float32Array:
    """`ecg4u.model.beats.likeness` of each 10-s window; NaN where no beat is found."""
    import torch

    from ecg4u.model.beats import lay_over, likeness

    with torch.inference_mode():
        found = likeness(lay_over(torch.from_numpy(model_input.windows())))
    return np.asarray(found, dtype=np.float32)


def _rate(slope: Float32Array, level: float, fs: float) -> float:
    """Upward crossings of ``level`` per minute, a refractory time apart."""
    crossings = np.flatnonzero((slope[1:] >= level) & (slope[:-1] < level))
    beats, last = 0, -REFRACTORY_S * fs
    for at in crossings.tolist():
        if at - last >= REFRACTORY_S * fs:
            beats, last = beats + 1, at
    return beats / (len(slope) / fs) * 60.0


def _doubts(
    model_input: ModelInput, ends: Mapping[str, tuple[float, float]], flat: list[str]
) -> tuple[str, ...]:
    found = []
    if len(ends) < MIN_LEADS:
        found.append(message("few_leads", count=len(ends)))
    if flat:
        found.append(message("leads_flat", leads=flat))
    if einthoven_residual(model_input) > EINTHOVEN_RESIDUAL:
        found.append(message("einthoven_contradicted"))
    elif goldberger_residual(model_input) > EINTHOVEN_RESIDUAL:
        found.append(message("goldberger_contradicted"))
    turned = _turned(ends)
    return tuple(found + ([turned] if turned else []))


def einthoven_residual(model_input: ModelInput) -> float:
    """RMS of II - I - III over that of the three leads, where all are known; 0 if under 1 s."""
    leads, known = model_input.leads, model_input.masks > 0
    together = known[0] & known[1] & known[2]
    if together.sum() < EINTHOVEN_MIN_S * model_input.fs:
        return 0.0
    one, two, three = (lead[together] - np.median(lead[together]) for lead in leads[:3])
    scale = np.sqrt(np.mean(one**2 + two**2 + three**2))
    return float(np.sqrt(np.mean((two - one - three) ** 2)) / scale) if scale > 0 else 0.0


def goldberger_residual(model_input: ModelInput) -> float:
    """RMS of aVR + (I + II) / 2 and its two likes over that of aVR, aVL, aVF; as Einthoven's."""
    known = (model_input.masks[:6] > 0).all(axis=0)
    if known.sum() < EINTHOVEN_MIN_S * model_input.fs:
        return 0.0
    limb = model_input.leads[:6, known]
    one, two, three, *augmented = limb - np.median(limb, axis=1, keepdims=True)
    made = np.stack([-(one + two) / 2, (one - three) / 2, (two + three) / 2])
    scale = np.sqrt(np.mean(np.square(augmented)))
    return float(np.sqrt(np.mean((augmented - made) ** 2)) / scale) if scale > 0 else 0.0


def _turned(ends: Mapping[str, tuple[float, float]]) -> str | None:
    """What the signs of the leads say of swapped electrodes or a page misread, if anything."""
    skew = {name: _skew(*ends.get(name, (0.0, 0.0))) for name in ("I", "II", "aVR", "V1", "V6")}
    if skew["I"] < -0.5 and skew["aVR"] > TURNED and skew["V6"] > TURNED:
        return message("arm_leads_swapped")
    if max(skew["I"], skew["II"], skew["V6"]) < -TURNED:
        return message("upside_down")
    if skew["V1"] > TURNED and skew["V6"] < -TURNED:
        return message("chest_signs_reversed")
    return None


def _skew(low: float, high: float) -> float:
    """Highest plus lowest value over the span."""
    return (high + low) / max(high - low, 1e-6)
