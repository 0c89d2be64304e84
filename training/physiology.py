"""Rare findings made from common recordings, by moving or lifting what is measured of them.

An early atrial beat: one beat with its P wave comes early and is followed by a pause. A long PR:
every P wave comes earlier, the diastole before it is shortened. Both are monotone warps of time
between the waves. ST deviation: a plateau from the J point into the T wave in contiguous leads, by
more than the criteria of the 4th Universal Definition of MI (0.1 mV up, 0.05 mV down). The labels
change with the signal; what the change makes doubtful becomes not known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ecg4u.model.beats import find_beats
from ecg4u.model.prepare import MODEL_FS_HZ
from ecg4u.record import CLASSES, LEADS

Floats = npt.NDArray[np.float64]

P_ONSET_S, PR_SEGMENT_S = 0.25, (0.075, 0.055)
"""Before the R peak: where a P wave has not begun, and two ends of the PR segment."""
T_END_S, T_PEAK_S = 0.38, 0.28
"""After the R peak: where most T waves are over; where diastole is cut for an early beat."""
MAX_IRREGULARITY = 0.12
MIN_BEATS = 5
CONTIGUOUS = (
    ("V1", "V2", "V3", "V4"),
    ("V2", "V3", "V4", "V5"),
    ("I", "aVL", "V5", "V6"),
    ("II", "III", "aVF"),
)
RECIPROCAL = {("II", "III", "aVF"): ("I", "aVL"), ("I", "aVL", "V5", "V6"): ("III", "aVF")}


@dataclass(frozen=True)
class Physiology:
    """Share of the recordings of a batch that are changed each way."""

    early_beat: float = 0.04
    long_pr: float = 0.04
    st: float = 0.03


def changed(
    leads: Tensor, masks: Tensor, targets: Tensor, rng: np.random.Generator, options: Physiology
) -> tuple[Tensor, Tensor, Tensor]:
    """(n, 12, t) leads and masks, (n, classes) targets -> the same, some of them changed."""
    draws = rng.random(len(leads))
    ends = np.cumsum([options.early_beat, options.long_pr, options.st])
    if not (draws < ends[-1]).any():
        return leads, masks, targets
    leads, masks, targets = leads.clone(), masks.clone(), targets.clone()
    at, real = find_beats(leads, masks)
    for row in np.flatnonzero(draws < ends[-1]).tolist():
        beats = at[row][real[row]].cpu().numpy() / MODEL_FS_HZ
        target = targets[row]
        if not _plain_sinus(beats, target):
            continue
        if draws[row] < ends[1]:
            early = draws[row] < ends[0]
            knots = early_beat(beats, rng) if early else long_pr(beats, rng)
            if knots is None:
                continue
            leads[row], masks[row] = warped(leads[row], masks[row], *knots)
            target[CLASSES.index("PAC" if early else "I-AVB")] = 1
            target[CLASSES.index("Normal")] = torch.nan
        else:
            up = bool(rng.random() < 0.5)
            leads[row] += torch.from_numpy(st_shift(beats, leads.shape[2], up, rng)).to(leads)
            target[CLASSES.index("STE" if up else "STD")] = 1
            target[CLASSES.index("STD" if up else "STE")] = torch.nan
            target[CLASSES.index("Normal")] = 0
        target[len(CLASSES) :] = torch.nan
    return leads, masks, targets


def _plain_sinus(beats: Floats, target: Tensor) -> bool:
    """Enough regular beats and none of the classes that a change would contradict."""
    if len(beats) < MIN_BEATS:
        return False
    contradicting = ("AF", "PVC", "PAC", "I-AVB", "LBBB", "STD", "STE")
    if any(target[CLASSES.index(name)] != 0 for name in contradicting):
        return False
    interval = np.diff(beats)
    return bool(interval.std() < MAX_IRREGULARITY * interval.mean())


def early_beat(beats: Floats, rng: np.random.Generator) -> tuple[Floats, Floats] | None:
    """Knots (new time, old time) that bring one beat early and put a pause after it."""
    which = int(rng.integers(1, len(beats) - 1))
    interval = beats[which] - beats[which - 1]
    free = interval - T_PEAK_S - P_ONSET_S
    wanted = rng.uniform(0.2, 0.42) * interval
    earlier = min(wanted, free - 0.02)
    if earlier < 0.15 * interval:
        return None
    pause = earlier + (0 if rng.random() < 0.5 else rng.uniform(-0.5, 0.3) * earlier)
    before, after = beats[which - 1] + T_PEAK_S, beats[which] - P_ONSET_S
    rest = beats[which] + T_END_S
    nxt = max(beats[which + 1] - P_ONSET_S, rest + 0.02)
    old = np.array([0.0, before, after, rest, nxt])
    new = np.array([0.0, before, after - earlier, rest - earlier, nxt - earlier + pause])
    return new, old


def long_pr(beats: Floats, rng: np.random.Generator) -> tuple[Floats, Floats] | None:
    """Knots that take every P wave 0.1 to 0.18 s further from its R peak."""
    free = np.diff(beats).min() - T_END_S - P_ONSET_S - 0.02
    longer = min(rng.uniform(0.1, 0.18), free)
    if longer < 0.09:
        return None
    new, old = [0.0], [0.0]
    for number, beat in enumerate(beats):
        end = beats[number - 1] + T_END_S if number else 0.0
        start = beat - P_ONSET_S
        if start - longer <= end:
            continue
        segment = beat - PR_SEGMENT_S[0], beat - PR_SEGMENT_S[1]
        old += [end, start, segment[0], segment[1]] if number else [start, *segment]
        moved = [start - longer, segment[0] - longer, segment[1]]
        new += [end, *moved] if number else moved
    return np.array(new), np.array(old)


def warped(leads: Tensor, masks: Tensor, new: Floats, old: Floats) -> tuple[Tensor, Tensor]:
    """(12, t) leads and masks with time moved from ``old`` to ``new``; 1:1 after the last knot."""
    samples = leads.shape[1]
    t = np.arange(samples) / MODEL_FS_HZ
    source = np.where(t <= new[-1], np.interp(t, new, old), t + old[-1] - new[-1])
    position = torch.from_numpy(source * MODEL_FS_HZ).to(leads)
    low = position.floor().clamp(0, samples - 2).long()
    part = (position - low).clamp(0, 1)
    value = leads[:, low] * (1 - part) + leads[:, low + 1] * part
    mask = masks[:, low] * masks[:, low + 1] * (position <= samples - 1)
    return value, mask


def st_shift(
    beats: Floats, samples: int, up: bool, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """(12, samples) mV to add: a plateau from J + 10 ms that ends in the T wave, in each beat."""
    group = CONTIGUOUS[rng.integers(len(CONTIGUOUS))]
    size = rng.uniform(0.12, 0.35) if up else -rng.uniform(0.08, 0.25)
    t = np.arange(samples) / MODEL_FS_HZ
    shape = np.zeros(samples)
    end = T_PEAK_S + rng.uniform(-0.04, 0.06)
    for beat in beats:
        shape += np.interp(t - beat, [0.03, 0.06, end - 0.08, end + 0.06], [0, 1, 0.8, 0])
    added = np.zeros((len(LEADS), samples), dtype=np.float32)
    for lead in group:
        added[LEADS.index(lead)] = size * rng.uniform(0.7, 1.2) * shape
    for lead in RECIPROCAL.get(group, ()) if up else ():
        added[LEADS.index(lead)] = -0.5 * size * shape
    return added
