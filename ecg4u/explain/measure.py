"""What features are read from: beats and their kinds, the median beat, the waves of each lead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ecg4u.explain.beats import (
    MedianBeat,
    QRSList,
    find_beats,
    linked,
    median_beat,
    speed,
    steepness,
)
from ecg4u.explain.limits import WIDE_QRS_MS
from ecg4u.explain.result import Beat
from ecg4u.explain.signals import FS_HZ
from ecg4u.explain.waves import Wave, find_waves, over_leads
from ecg4u.record import LEADS

if TYPE_CHECKING:
    from ecg4u.record import ECGRecord

METHOD_SD_MS: Mapping[str, float] = {
    "P on": 17, "P off": 15, "QRS on": 9, "QRS off": 10, "T off": 21,
}  # fmt: skip
"""Spread of the boundaries against cardiologists on LUDB's validation split."""
INTERVAL_SD_MS: Mapping[str, float] = {"pr": 9.5, "qrs": 8.5, "qt": 9.0}
"""Spread of the joint intervals against cardiologists on LUDB's validation split (n = 34 to 37):
smaller than that of single boundaries, since twelve leads vote."""
METHOD_SD_MV = 0.02
"""Least uncertainty of an amplitude: a fifth of a millimetre at 10 mm/mV; by eye."""
EARLY = 0.85
"""A beat closer to the one before than this share of the usual RR is early."""
WIDER_MS = 25.0
"""An ectopic ventricular beat is this much wider than the usual one, or `WIDE_QRS_MS` wide."""
P_THRESHOLD = 0.35
"""Averaging over beats flattens the P probability (12 of 19 first-degree blocks found on the
validation split, with 0.5 only 7; one false in both)."""
ALIKE_PVC, UNLIKE, SAME = 0.75, 0.4, 0.95
"""Correlations with the usual beat: below the first a beat is of another shape, below the second
quite unlike, from the third on the same; by eye."""
LEAST_WIDTH = 0.6
"""Beside wide usual beats, what is narrower than this share of them is a fragment."""
TALL = 1.4
"""An early wide beat so much taller than the usual ones is ventricular, whatever its shape."""
ON_TIME = 0.95
"""A wide beat that comes on time must be quite unlike the usual one to be ventricular."""
P_WINDOW_S = (0.28, 0.07)
"""Before R, where P waves are compared: a PR of 280 ms, and no QRS yet; by eye."""
FloatArray = npt.NDArray[np.float64]

SEARCHES = 2
"""A gap may be long only beside the beats that the first search found."""
LONG_GAP_S = 1.1
LONG_GAP = 1.35
"""Gaps longer than both (the second times the median RR) are searched for beats."""
SMALL_BEAT = 0.25
"""A beat found in a gap is at least so steep, against the median of those found before."""

NO_LEAD = "the lead does not show a complete beat"


@dataclass(frozen=True, eq=False)
class Measured:
    """The intermediate results that features are read from."""

    signal: FloatArray
    probability: FloatArray
    beats: QRSList
    kinds: tuple[Beat, ...]
    median: MedianBeat | None
    waves: Mapping[str, tuple[float, ...]]
    """Per boundary: one position per lead (samples of the median beat), NaN where not found."""


def measure_record(record: ECGRecord) -> Measured:
    """Beats, waves and the median beat of a record."""
    from ecg4u.explain.signals import at_500_hz
    from ecg4u.explain.waves import wave_probabilities

    signal = at_500_hz(record)
    probability = wave_probabilities(signal)
    for _ in range(SEARCHES):
        probability = searched_back(signal, probability)
    return measure(signal, probability)


def searched_back(signal: FloatArray, probability: FloatArray) -> FloatArray:
    """The wave probabilities, long gaps between beats looked at again by themselves.

    Beside tall ventricular beats small sinus beats are overlooked, since the network sees every
    lead scaled to its tallest waves; within a gap they are the tallest (Pan and Tompkins 1985
    search back likewise, with a lower threshold).
    """
    from ecg4u.explain.waves import wave_probabilities

    beats = find_beats(signal, probability)
    if len(beats) < 3:
        return probability
    rr = np.diff(beats.r)
    long = np.flatnonzero(rr > max(LONG_GAP_S * FS_HZ, LONG_GAP * float(np.median(rr))))
    energy = speed(signal)
    floor = SMALL_BEAT * float(np.median(steepness(energy, beats.onset, beats.offset)))
    out = probability
    for i in long:
        a, b = round(beats.offset[i] + 0.3 * FS_HZ), round(beats.onset[i + 1] - 0.12 * FS_HZ)
        if b - a < 0.25 * FS_HZ:
            continue
        again = wave_probabilities(signal[a:b])
        found = find_waves(over_leads(again, 1), threshold=0.5, min_length=0.04 * FS_HZ)
        edges = np.array([(w.onset, w.offset) for w in found]).reshape(-1, 2)
        if steepness(energy[a:b], edges[:, 0], edges[:, 1]).max(initial=0) >= floor:
            out = out.copy() if out is probability else out
            out[a:b] = again
    return out


def measure(signal: FloatArray, probability: FloatArray) -> Measured:
    """Beats, their kinds and the median beat of (n, 12) mV at 500 Hz."""
    beats = find_beats(signal, probability)
    if not len(beats):
        return Measured(signal, probability, beats, (), None, {})
    kinds = classify_beats(beats, sizes(signal, beats), linked(signal, beats.r))
    chosen = np.array([b.kind == "usual" for b in kinds])
    if not chosen.any():
        chosen = beats.usual if beats.usual.any() else np.ones(len(beats), dtype=bool)
    median = median_beat(signal, probability, beats, chosen)
    return Measured(signal, probability, beats, kinds, median, boundaries(median))


def sizes(signal: FloatArray, beats: QRSList) -> FloatArray:
    """Height of each QRS over that of the usual ones in the same lead, median over its leads."""
    heights = np.full((len(beats), signal.shape[1]), np.nan)
    for i in range(len(beats)):
        part = signal[max(int(beats.onset[i]), 0) : int(beats.offset[i]) + 1]
        whole = np.asarray(np.isfinite(part).all(axis=0))
        if len(part):
            heights[i, whole] = np.ptp(part[:, whole], axis=0)
    out = np.ones(len(beats))
    usual = beats.usual if beats.usual.any() else np.ones(len(beats), dtype=bool)
    for i, row in enumerate(heights):
        ratios = [
            height / np.nanmedian(heights[usual, lead])
            for lead, height in enumerate(row)
            if np.isfinite(height) and np.nanmax(np.append(heights[usual, lead], 0.0)) > 0.1
        ]
        out[i] = float(np.median(ratios)) if ratios else 1.0
    return out


def classify_beats(
    beats: QRSList, size: FloatArray, near: npt.NDArray[np.bool_]
) -> tuple[Beat, ...]:
    """Each beat as usual, premature atrial (early, usual shape) or ventricular (other, wide).

    ``near`` (beats - 1,) says between which beats the time is known (`ecg4u.explain.beats.linked`).
    """
    rr = np.diff(beats.r) / FS_HZ
    width = 1000 * (beats.offset - beats.onset) / FS_HZ
    usual_width = float(np.median(width[beats.usual])) if beats.usual.any() else 100.0
    out: list[Beat] = []
    for i in range(len(beats)):
        around = _usual_rr(rr, beats.usual, i)
        early = float(rr[i - 1] / around) if i > 0 and around and near[i - 1] else None
        pause = float(rr[i] / around) if i < len(rr) and around and near[i] else None
        similarity = float(beats.similarity[i])
        strange = not beats.usual[i] and similarity < ALIKE_PVC
        wider = width[i] >= usual_width + WIDER_MS
        wide = wider or (width[i] >= WIDE_QRS_MS > usual_width)
        if usual_width >= WIDE_QRS_MS:
            other = similarity < UNLIKE and width[i] >= LEAST_WIDTH * usual_width
            wide = wider or (other and early is not None and early < EARLY)
        kind = "usual"
        # After what may be no beat at all "early" means nothing.
        after_unknown = bool(out) and out[-1].kind == "other"
        odd = similarity < UNLIKE or (early is not None and early < ON_TIME)
        broad = width[i] >= WIDE_QRS_MS and similarity < SAME and (wider or size[i] >= TALL)
        if strange and wide and odd and (early is None or early < 1.15):
            kind = "PVC"
        elif broad and early is not None and early < EARLY:
            # One lead may show little of another shape (page columns): the width tells.
            kind = "PVC"
        elif strange or (np.isnan(similarity) and not beats.usual[i]):
            kind = "other"
        elif early is not None and early < EARLY and _lone(rr, i, around) and not after_unknown:
            kind = "PAC"
        out.append(
            Beat(
                float(beats.r[i] / FS_HZ),
                float(beats.onset[i] / FS_HZ),
                float(beats.offset[i] / FS_HZ),
                kind,  # type: ignore[arg-type]
                None if np.isnan(similarity) else similarity,
                early,
                pause,
            )
        )
    return tuple(out)


def _usual_rr(rr: FloatArray, usual: npt.NDArray[np.bool_], i: int) -> float | None:
    """Median RR among the usual beats around beat ``i``, its own neighbours left out.

    Where ectopic beats leave no such pair (bigeminy), half the distance of usual beats around one.
    """
    both = usual[:-1] & usual[1:]
    steps = np.arange(len(rr))
    near = np.abs(steps + 0.5 - i) < 9
    own = np.isin(steps, (i - 1, i))
    for mask in (both & near & ~own, both & ~own):
        if mask.sum() >= 2:
            return float(np.median(rr[mask]))
    around = usual[:-2] & ~usual[1:-1] & usual[2:]
    if around.sum() >= 2:
        return float(np.median((rr[:-1] + rr[1:])[around]) / 2)
    rest = near & ~own
    return float(np.median(rr[rest])) if rest.sum() >= 2 else None


def usual_changes(rr: FloatArray, usual: npt.NDArray[np.bool_]) -> FloatArray:
    """Relative changes between successive intervals of usual beats; ectopic beats do not count.

    Intervals are those from one usual beat to the next with the commonest number of other beats
    between (0, or 1 in bigeminy).
    """
    at = np.flatnonzero(usual)
    times = np.concatenate([[0.0], np.cumsum(rr)])
    gaps, spans = np.diff(at), np.diff(times[at])
    if len(gaps) < 3:
        return np.zeros(0)
    common = int(np.bincount(gaps).argmax())
    pairs = (gaps[:-1] == common) & (gaps[1:] == common)
    return np.abs(np.diff(spans))[pairs] / np.median(spans[gaps == common])


def _lone(rr: FloatArray, i: int, around: float | None) -> bool:
    """Whether the beats beside came in time: this one is early, and not the rhythm faster."""
    if around is None:
        return True
    before = i < 2 or rr[i - 2] > EARLY * around
    after = i >= len(rr) or rr[i] > 0.92 * around
    return bool(before and after)


def boundaries(median: MedianBeat) -> dict[str, tuple[float, ...]]:
    """Wave boundaries of each lead's median beat in (fractional) samples; NaN if not found."""
    names = ("P on", "P off", "QRS on", "QRS off", "T on", "T off")
    found: dict[str, list[float]] = {name: [] for name in names}
    for lead in range(len(LEADS)):
        for name, value in _lead_boundaries(median, lead).items():
            found[name].append(value)
    return {name: tuple(values) for name, values in found.items()}


def _lead_boundaries(median: MedianBeat, lead: int) -> dict[str, float]:
    nan = float("nan")
    out = dict.fromkeys(("P on", "P off", "QRS on", "QRS off", "T on", "T off"), nan)
    centre = median.centre
    p = find_waves(median.probability[:, lead, 0], threshold=P_THRESHOLD)
    qrs, t = (find_waves(median.probability[:, lead, k]) for k in (1, 2))
    own = [w for w in qrs if w.onset - 20 <= centre <= w.offset + 20]
    if not own:
        return out
    ventricle = min(own, key=lambda w: abs((w.onset + w.offset) / 2 - centre))
    out["QRS on"], out["QRS off"] = ventricle.onset, ventricle.offset
    before = [w.offset for w in qrs if w.offset < ventricle.onset - 20]
    atrium = [w for w in p if w.offset <= ventricle.onset + 10]
    atrium = [w for w in atrium if not before or w.onset > before[-1]]
    if atrium:
        last = atrium[-1]
        out["P on"], out["P off"] = last.onset, last.offset
    after = [w for w in t if w.onset >= ventricle.offset - 20]
    nxt = [w.onset for w in qrs if w.onset > ventricle.offset + 60]
    after = [w for w in after if not nxt or w.onset < nxt[0]]
    if after:
        out["T on"], out["T off"] = after[0].onset, _t_end(after, len(median.signal))
    return out


def _t_end(waves: list[Wave], length: int) -> float:
    """End of the first T wave; NaN where the window cuts it off."""
    end = waves[0].offset
    return end if end < length - 2 else float("nan")


def joint(measured: Measured, name: str) -> tuple[float | None, float, int]:
    """A boundary over all leads in ms from the R peak, its spread over leads, number of leads."""
    median = measured.median
    values = np.array(measured.waves.get(name, ()), dtype=float)
    values = values[np.isfinite(values)]
    if median is None or not len(values):
        return None, 0.0, 0
    pick = {"P on": 0.25, "P off": 0.75, "QRS on": 0.25, "QRS off": 0.75, "T on": 0.5, "T off": 0.5}
    middle = float(np.quantile(values, pick[name]))
    spread = 1.4826 * float(np.median(np.abs(values - np.median(values)))) if len(values) > 1 else 0
    return 1000 * (middle - median.centre) / FS_HZ, 1000 * spread / FS_HZ, len(values)
