"""Do the leads tell of the same beats? QRS complexes cut short, and spikes that no beat explains.

On 300 recordings of the train split, cut as a page shows them, 0.6 % of 3,900 leads are told of for
a QRS complex and 0.1 % for a spike.

A beat is seen by all leads at once. Where those shown at the same time repeat themselves from one
beat to the next and one of them does not, its stroke was lost under print or another trace, or
something was taken for a stroke.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ecg4u.digitize.rows.beats import MIN_RR_S, find_beats, steepness, usual_height
from ecg4u.digitize.signals.signal import SegmentSignal
from ecg4u.digitize.types import USUAL_SPEED_MM_PER_S
from ecg4u.messages import Message, message
from ecg4u.record import DEFAULT_FS_HZ

Floats = npt.NDArray[np.float64]

FEWEST_OTHERS = 2
"""One other lead cannot tell which of the two is wrong."""
REACH_S = 0.06
"""How far from its steepest place a QRS complex is looked at: half a wide one."""
STEEP = 0.2
"""Of the usual steepness of beats, from which the other leads show something, too."""
LEAST_MV = 0.3
"""Lower QRS complexes vary by their noise."""
CUT = 0.6
"""Of a lead's tallest QRS complex, below which another is cut short ..."""
ALIKE = 0.75
"""... if those of all other leads are at least so tall at that beat; set by the rates above."""
SPIKE_S, SPIKE_BESIDE_S = 0.03, 0.12
"""Half the longest spike, and how far from a beat one is looked for; chosen by eye."""
SPIKE = 0.5
"""Of a lead's tallest QRS complex, what stands out between beats as a spike."""
KNOWN = 0.9
"""Share of a lead's time that another must show to speak of it; chosen by eye."""


def faults(parts: Sequence[SegmentSignal]) -> list[tuple[Message, ...]]:
    """For each segment, what of it the leads shown at the same time contradict."""
    spans = [_span(part) for part in parts]
    return [
        _faults_of(
            part,
            [
                _cut_to(other, spans[j], spans[i])
                for j, other in enumerate(parts)
                if j != i and other.segment.row != part.segment.row and _covers(spans[j], spans[i])
            ],
            spans[i],
        )
        for i, part in enumerate(parts)
    ]


def _span(part: SegmentSignal) -> tuple[int, int]:
    first = round(part.segment.start_s * DEFAULT_FS_HZ)
    return first, first + len(part.signal)


def _covers(other: tuple[int, int], span: tuple[int, int]) -> bool:
    shared = min(other[1], span[1]) - max(other[0], span[0])
    return shared >= KNOWN * (span[1] - span[0])


def _cut_to(other: SegmentSignal, own: tuple[int, int], span: tuple[int, int]) -> Floats:
    """Another segment's samples over a span, NaN where it shows none."""
    cut = np.full(span[1] - span[0], np.nan)
    first, last = max(own[0], span[0]), min(own[1], span[1])
    cut[first - span[0] : last - span[0]] = other.signal[first - own[0] : last - own[0]]
    return cut


def _faults_of(
    part: SegmentSignal, others: Sequence[Floats], span: tuple[int, int]
) -> tuple[Message, ...]:
    others = [other for other in others if np.isfinite(other).mean() >= KNOWN]
    if len(others) < FEWEST_OTHERS:
        return ()
    steep = steepness(others, DEFAULT_FS_HZ / USUAL_SPEED_MM_PER_S)
    if steep is None:
        return ()
    beats = _beats(steep)
    own = _heights(part.signal, beats)
    if len(beats) < 2 or not np.isfinite(own).any() or np.nanmax(own) < LEAST_MV:
        return ()
    usual = np.nan_to_num([_heights(other, beats) for other in others])
    alike = np.all(usual >= ALIKE * usual.max(axis=1, keepdims=True), axis=0)
    with np.errstate(invalid="ignore"):
        cut = alike & (own < CUT * np.nanmax(own[alike], initial=0.0))
    reasons = []
    if cut.any():
        at = (span[0] + beats[cut][0]) / DEFAULT_FS_HZ
        reasons.append(message("qrs_cut_short", at_s=at))
    spike = _spike(part.signal, beats, steep, float(np.nanmax(own)))
    if spike is not None:
        reasons.append(message("spike", at_s=(span[0] + spike) / DEFAULT_FS_HZ))
    return tuple(reasons)


def _beats(steep: Floats) -> npt.NDArray[np.intp]:
    """Those that are looked at: not at the ends, where they may be cut."""
    peaks = find_beats(steep, apart=round(MIN_RR_S * DEFAULT_FS_HZ))
    reach = round(REACH_S * DEFAULT_FS_HZ)
    return np.asarray(peaks[(peaks >= reach) & (peaks < len(steep) - reach)])


def _heights(signal: Floats, beats: npt.NDArray[np.intp]) -> Floats:
    """Peak to peak (mV) of the QRS complex at each beat, NaN where it is not wholly known."""
    reach = round(REACH_S * DEFAULT_FS_HZ)
    windows = [signal[b - reach : b + reach + 1] for b in beats]
    return np.array([np.ptp(w) if np.isfinite(w).all() else np.nan for w in windows])


def _spike(signal: Floats, beats: npt.NDArray[np.intp], steep: Floats, tall: float) -> int | None:
    """Where a narrow wave as tall as a QRS complex stands between beats, if anywhere."""
    from scipy.ndimage import median_filter

    known = np.isfinite(signal)
    at = np.arange(len(signal))
    whole = np.interp(at, at[known], signal[known])
    off = np.abs(whole - median_filter(whole, 2 * round(SPIKE_S * DEFAULT_FS_HZ) + 1))
    off[~known] = 0.0
    beside = round(SPIKE_BESIDE_S * DEFAULT_FS_HZ)
    for beat in beats:
        off[max(0, beat - beside) : beat + beside + 1] = 0.0
    off[steep > STEEP * usual_height(steep)] = 0.0
    place = int(off.argmax())
    return place if off[place] > max(LEAST_MV, SPIKE * tall) else None
