"""Grades and reasons: how far a digitized page can be trusted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ecg4u.digitize.rows.peaks import find_peaks
from ecg4u.digitize.signals.signal import COLLIDED_CONFIDENCE, SegmentSignal
from ecg4u.digitize.types import Grade
from ecg4u.messages import Message, message
from ecg4u.record import DEFAULT_FS_HZ, EINTHOVEN, LEADS
from ecg4u.runs import runs_of

Array = npt.NDArray[np.float64]

GOOD_COVERAGE = 0.95
FAIR_COVERAGE = 0.75
GOOD_CONFIDENCE = 0.75
LIKELY_MISREAD = 0.1
"""Of the leads graded good by it 2.5 % are under 12 dB, out of fold (136 drawn pages)."""
MOSTLY_MISREAD = 0.5
"""More often misread than not."""
MIN_HIDDEN_WAVES = 2
HIDDEN_SAMPLES = 5
"""A stretch where waves collide is at least a millimetre long (`trace.WAVE_MM`), 10 samples at 50
mm/s; a steep stroke that crosses a grid line is pale for one or two."""
JAGGED_S, TURN_MV, JAGGED_TURNS = 0.2, 0.1, 8
"""So many turns of so much in so short a time: 1 % of the leads read on 25 pages with truth, all of
them under 12 dB; 2 % of true leads, noisy ones."""
EINTHOVEN_LIMIT_MV = 0.1
EINTHOVEN_LIMIT_SHARE = 0.7
GRADES: tuple[Grade, ...] = ("good", "fair", "poor", "missing")


def grade_segment(
    part: SegmentSignal, contradicted: Sequence[Message] = (), misread: float = 0.0
) -> tuple[Grade, tuple[Message, ...]]:
    """Grade of one segment, with reasons where it is not good.

    From its coverage, how smooth it is, what the other leads say against it (``contradicted``, of
    `agreement.faults`), and how likely it was ``misread`` (`trust`). Doubtful ink and waves that
    collide are reasons only where they make that likely.
    """
    known = np.isfinite(part.signal)
    coverage = float(known.mean())
    confidence = float(part.confidence[known].mean()) if known.any() else 0.0
    reasons = []
    if coverage < GOOD_COVERAGE:
        reasons.append(message("trace_incomplete", share=coverage))
    at = jagged_at(part.signal)
    if at is not None:
        reasons.append(message("trace_jagged", at_s=part.segment.start_s + at))
    reasons += contradicted
    if misread > LIKELY_MISREAD:
        reasons.append(message("trace_misread", probability=misread))
        if confidence < GOOD_CONFIDENCE:
            reasons.append(message("trace_doubtful", confidence=confidence))
        if hidden_waves(part) >= MIN_HIDDEN_WAVES:
            reasons.append(message("trace_collides"))
    if coverage < 0.3:
        return "missing" if coverage == 0 else "poor", tuple(reasons)
    if coverage < FAIR_COVERAGE or confidence < 0.5 or misread > MOSTLY_MISREAD:
        return "poor", tuple(reasons)
    return ("good", ()) if not reasons else ("fair", tuple(reasons))


def jagged_at(signal: Array) -> float | None:
    """Where (s) a signal turns so often as no heart's does, if anywhere."""
    known = np.isfinite(signal)
    width = round(JAGGED_S * DEFAULT_FS_HZ)
    if known.sum() < width:
        return None
    at = np.arange(len(signal))
    turns = turns_of(np.interp(at, at[known], signal[known]), TURN_MV)
    often = np.convolve(turns, np.ones(width), mode="same")
    return float(often.argmax() / DEFAULT_FS_HZ) if often.max() >= JAGGED_TURNS else None


def turns_of(signal: Array, least_mv: float) -> Array:
    """1 where a signal (n,) without gaps turns by at least so much, up or down, else 0; (n,)."""
    turns = np.zeros(len(signal))
    for side in (signal, -signal):
        turns[find_peaks(side, prominence=least_mv)] = 1.0
    return turns


def hidden_waves(part: SegmentSignal) -> int:
    """How many waves of a segment cannot be told from those of another trace."""
    hidden = np.isfinite(part.signal) & (part.confidence <= COLLIDED_CONFIDENCE)
    return stretches(hidden, HIDDEN_SAMPLES)


def stretches(mask: npt.NDArray[np.bool_], least: int = 1) -> int:
    """In how many stretches of at least so many samples a mask (n,) is true."""
    return sum(run.stop - run.start >= least for run in runs_of(mask))


def check_hidden_waves(parts: Sequence[SegmentSignal]) -> tuple[str, ...]:
    """A warning where the waves of several leads run into each other."""
    leads = {p.segment.lead for p in parts if hidden_waves(p) >= MIN_HIDDEN_WAVES}
    if not leads:
        return ()
    return (message("waves_collide", leads=[lead for lead in LEADS if lead in leads]),)


def einthoven_residuals(signal: Array) -> dict[str, float]:
    """RMS in mV of each limb lead against its combination of I and II, offset removed.

    Only leads shown at the same time as what they are made of (or, for the augmented leads of a
    3x4 page, their sum) can be checked; the others are absent from the result.
    """
    residuals = {}
    for name, parts in EINTHOVEN.items():
        made = np.asarray(
            sum(factor * signal[:, LEADS.index(lead)] for lead, factor in parts.items())
        )
        both = signal[:, LEADS.index(name)] - made
        both = both[np.isfinite(both)]
        if len(both) > 200:
            residuals[name] = float(np.std(both))
    augmented = signal[:, [LEADS.index(n) for n in ("aVR", "aVL", "aVF")]].sum(axis=1)
    augmented = augmented[np.isfinite(augmented)]
    if len(augmented) > 200:
        residuals["aVR+aVL+aVF"] = float(np.std(augmented))
    return residuals


def check_einthoven(signal: Array) -> tuple[str, ...]:
    """A warning where the limb leads contradict each other."""
    scale = np.nanstd(signal[:, :6]) if np.isfinite(signal[:, :6]).any() else 0.0
    limit = max(EINTHOVEN_LIMIT_MV, EINTHOVEN_LIMIT_SHARE * float(scale))
    broken = {k: v for k, v in einthoven_residuals(signal).items() if v > limit}
    if not broken:
        return ()
    which = ", ".join(f"{name} by {residual:.2f} mV" for name, residual in broken.items())
    return (message("limb_leads_contradict", which=which),)


def check_names(parts: Sequence[SegmentSignal]) -> tuple[str, ...]:
    """A warning where a lead stands twice among the columns: one of its names may be wrong."""
    counts = Counter(part.segment.lead for part in parts if not part.segment.rhythm)
    twice = [lead for lead in LEADS if counts[lead] > 1]
    return (message("name_twice", names=twice),) if twice else ()


def worst(grades: Sequence[Grade]) -> Grade:
    """Grade of a page: the median segment's, but at best fair where one is poor or missing."""
    if not grades:
        return "missing"
    order = sorted(GRADES.index(g) for g in grades)
    middle = order[len(order) // 2]
    return GRADES[max(middle, 1 if order[-1] >= 2 else 0)]
