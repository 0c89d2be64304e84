"""Do the names fit the heart? Misnamed leads, swapped electrodes, a strip named wrongly.

The six limb leads are two signals seen from six sides (Einthoven 1913, Goldberger 1942): over an
average beat, which needs no two leads to stand under one another, only the right names make them
fit. Neighbouring chest leads look alike, so a wrong order makes a longer way from V1 to V6. A
rhythm strip repeats one of the short leads. Thresholds were set on recordings of the training
split, cut as a page shows them; see docs/sidecar.md for the rates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import permutations

import numpy as np
import numpy.typing as npt

from ecg4u.digitize.rows.beats import MIN_RR_S, find_beats, steepness
from ecg4u.digitize.signals.einthoven import made_of
from ecg4u.digitize.signals.signal import SAME_COLUMN_S, SegmentSignal
from ecg4u.digitize.types import USUAL_SPEED_MM_PER_S, Layout
from ecg4u.messages import message
from ecg4u.record import CABRERA, CHEST_LEADS, DEFAULT_FS_HZ, LIMB_LEADS

Floats = npt.NDArray[np.float64]

BEFORE_S, AFTER_S = 0.1, 0.3
"""What of a beat is compared: the QRS complex and most of the ST segment."""
MIN_STRIP_BEATS = 4
"""Fewer beats of a strip do not reach into every column of 2.5 s."""
USUAL_BEAT_R = 0.85
"""Correlation of a beat's steepness with the usual one's below which it is another; by eye."""
EDGE_S = 0.3
"""How far from a lead's ends a beat is surely its own: 7.5 mm, the most that columns were cut off
on real pages."""
MIN_BEAT_MV = 0.15
"""Peak to peak of the largest limb lead below which an average beat says nothing."""

LIMB_MISFIT = 0.06
"""Share of the limb leads' power that Einthoven's laws may leave unexplained."""
LIMB_GAIN = 2.5
"""How many times better other names must explain the limb leads to be believed."""
CHEST_DETOUR = 1.5
"""Longest way from V1 to V6, over the shortest order's, that is believed."""
CHEST_REVERSED_R = -0.5
"""V6 looks like the left side's leads, V1 does not; from this difference on, they are reversed."""
STRIP_PRIOR = {"II": 1.5, "V1": 1.0, "V5": 0.5}
STRIP_RARE = -1.0
"""Log odds of the leads that machines print as rhythm strips, and of all others."""
STRIP_SPREAD, STRIP_MOST = 0.08, 5.0
"""How far from 1 the correlation of a lead's two copies usually is, and what it counts at most."""
STRIP_SAME = 0.9
"""Correlation from which they are surely copies: of other leads few are so alike; by eye."""
STRIP_MISREAD = 0.02
"""Share of strips' names that are misread however sure; chosen by eye."""
STRIP_CLEARLY = 1.0
"""Log odds by which another lead must be likelier than the name."""
ARM_R = -0.75
"""Correlation of lead I with V6 below which the arms' electrodes may be exchanged."""
CABRERA_LIMBS = CABRERA[:6]
INVERTED_R = 0.8
"""Correlation of aVR with I + II from which it is -aVR; that of aVR is near -1."""
FLAT_SHARE = 0.12
"""Of the lower of the two others, below which one of I, II and III is flat."""


def check_physiology(parts: Sequence[SegmentSignal]) -> tuple[str, ...]:
    """Warnings about names, electrodes and times that do not fit the signals.

    Where columns were cut a little off, a beat at a lead's end is its neighbour's: names that fit
    the beats within are right.
    """
    beats = average_beats(parts)
    limb = misnamed_limb_leads(beats)
    if limb and _named_misfit(average_beats(parts, edge_s=EDGE_S)) < LIMB_MISFIT:
        limb = ()
    limb = limb or swapped_electrodes(beats)
    trusted = beats if not limb else {k: v for k, v in beats.items() if k in CHEST_LEADS}
    return (*limb, *misplaced_chest_leads(trusted), *misnamed_strips(parts))


def average_beats(parts: Sequence[SegmentSignal], *, edge_s: float = 0.0) -> dict[str, Floats]:
    """The average usual beat of each lead, (n,) mV without its mean, aligned across the leads.

    The rhythm strip tells where the beats are; without one, the leads of each column do. Beats
    nearer than ``edge_s`` to the ends of a lead are left out where it has others.
    """
    strips = [
        part
        for part in parts
        if part.segment.rhythm
        and part.segment.start_s < SAME_COLUMN_S
        and _size(part) > MIN_BEAT_MV
    ]
    short = [part for part in parts if not part.segment.rhythm]
    times = _beat_times(strips[:1]) if strips else np.zeros(0)
    beats = {}
    for column in _columns(short):
        at = times if len(times) >= MIN_STRIP_BEATS else _beat_times(column)
        for part in column:
            inside = _inside(at, part, edge_s)
            beat = _average(part, inside if len(inside) else at)
            if beat is not None and part.segment.lead not in beats:
                beats[part.segment.lead] = beat
    return beats


def _size(part: SegmentSignal) -> float:
    """Peak to peak in mV, the odd spike left out."""
    known = part.signal[np.isfinite(part.signal)]
    return float(np.ptp(np.percentile(known, (0.5, 99.5)))) if len(known) else 0.0


def _columns(parts: Sequence[SegmentSignal]) -> list[list[SegmentSignal]]:
    """Parts that begin at the same time."""
    columns: list[list[SegmentSignal]] = []
    for part in sorted(parts, key=lambda p: p.segment.start_s):
        if columns and part.segment.start_s - columns[-1][0].segment.start_s < SAME_COLUMN_S:
            columns[-1].append(part)
        else:
            columns.append([part])
    return columns


def _beat_times(parts: Sequence[SegmentSignal]) -> Floats:
    """Seconds of the page at which the usual beats of some simultaneous parts are steepest."""
    n = min(len(part.signal) for part in parts)
    energy = steepness([part.signal[:n] for part in parts], DEFAULT_FS_HZ / USUAL_SPEED_MM_PER_S)
    if energy is None:
        return np.zeros(0)
    peaks = find_beats(energy, apart=int(MIN_RR_S * DEFAULT_FS_HZ))
    before, after = (int(s * DEFAULT_FS_HZ) for s in (BEFORE_S, AFTER_S))
    peaks = peaks[(peaks >= before) & (peaks + after <= len(energy))]
    if len(peaks) > 2:
        shapes = np.stack([energy[p - before : p + after] for p in peaks])
        usual = np.median(shapes, axis=0)
        alike = np.array([np.corrcoef(shape, usual)[0, 1] for shape in shapes])
        peaks = peaks[alike > USUAL_BEAT_R]
    return np.asarray(parts[0].segment.start_s + peaks / DEFAULT_FS_HZ)


def _inside(times_s: Floats, part: SegmentSignal, edge_s: float) -> Floats:
    """The times of beats that lie wholly in a part and off its ends."""
    first = part.segment.start_s + edge_s + BEFORE_S
    last = part.end_s - edge_s - AFTER_S
    return times_s[(times_s >= first) & (times_s <= last)]


def _average(part: SegmentSignal, times_s: Floats) -> Floats | None:
    before, after = (int(s * DEFAULT_FS_HZ) for s in (BEFORE_S, AFTER_S))
    windows = []
    for time_s in times_s:
        at = int(round((time_s - part.segment.start_s) * DEFAULT_FS_HZ))
        if at - before >= 0 and at + after <= len(part.signal):
            window = part.signal[at - before : at + after]
            if np.isfinite(window).all():
                windows.append(window - window.mean())
    return np.median(windows, axis=0) if windows else None


@cache
def _outside(leads: tuple[str, ...]) -> Floats:
    """Projection (k, k) onto what limb leads of these names cannot show."""
    sides = made_of(leads)
    return np.asarray(np.eye(len(leads)) - sides @ np.linalg.pinv(sides))


def limb_misfit(beats: Mapping[str, Floats], names: Sequence[str], traces: Sequence[str]) -> float:
    """Share of power that Einthoven's laws leave unexplained where ``traces`` bear ``names``."""
    together = np.stack([beats[trace] for trace in traces])
    usual = np.arange(len(names))[None]
    return float(_misfits(together @ together.T, tuple(names), usual)[0])


def _named_misfit(beats: Mapping[str, Floats]) -> float:
    """`limb_misfit` of the limb leads there are, as they are named."""
    names = [lead for lead in LIMB_LEADS if lead in beats]
    return limb_misfit(beats, names, names) if names else 0.0


def _misfits(gram: Floats, names: tuple[str, ...], orders: npt.NDArray[np.int64]) -> Floats:
    """Misfit (k,) where each of ``orders`` (k, n) says which trace bears which name.

    ``gram`` holds the products of the traces.
    """
    chosen = gram[orders[:, :, None], orders[:, None, :]]
    total = np.trace(chosen, axis1=1, axis2=2)
    outside = (chosen * _outside(names)).sum(axis=(1, 2))
    return np.asarray(np.where(total > 0, outside / np.where(total > 0, total, 1.0), 0.0))


@cache
def _limb_orders(limb: int, chest: int) -> npt.NDArray[np.int64]:
    """Every order of the limb leads' traces, and each chest lead's trace in place of each."""
    orders = [list(order) for order in permutations(range(limb))]
    usual = list(range(limb))
    for place in range(limb):
        for other in range(limb, limb + chest):
            orders.append([*usual[:place], other, *usual[place + 1 :]])
    return np.array(orders)


def misnamed_limb_leads(beats: Mapping[str, Floats]) -> tuple[str, ...]:
    """A warning where other names make the limb leads fit Einthoven's laws far better.

    Any order of the limb leads is tried, and any exchange of one with a chest lead. Four limb
    leads are the fewest that can tell.
    """
    names = tuple(lead for lead in LIMB_LEADS if lead in beats)
    if len(names) < 4 or max(np.ptp(beats[lead]) for lead in names) < MIN_BEAT_MV:
        return ()
    chest = [lead for lead in CHEST_LEADS if lead in beats]
    traces = (*names, *chest)
    orders = _limb_orders(len(names), len(chest))
    together = np.stack([beats[lead] for lead in traces])
    misfits = _misfits(together @ together.T, names, orders)
    named, best = float(misfits[0]), int(np.argmin(misfits))
    if named < LIMB_MISFIT or misfits[best] * LIMB_GAIN > named:
        return ()
    order = [traces[i] for i in orders[best]]
    moved = [(name, trace) for name, trace in zip(names, order, strict=True) if name != trace]
    which = ", ".join(f"the lead labelled {trace} fits as {name}" for name, trace in moved)
    return (message("limb_names_swapped", which=which),)


def swapped_electrodes(beats: Mapping[str, Floats]) -> tuple[str, ...]:
    """Warnings of exchanged arm electrodes and of an arm electrode on the right leg.

    Exchanged arms turn lead I over: it then runs against V6, and aVR is upright. An arm electrode
    exchanged with the right leg's leaves one of I, II, III flat.
    """
    found = []
    if all(lead in beats for lead in ("I", "aVR", "V6")):
        against = _r(beats["I"], beats["V6"])
        upright = float(beats["aVR"].max() + beats["aVR"].min()) > 0
        large = np.ptp(beats["I"]) > MIN_BEAT_MV
        if against < ARM_R and upright and large:
            found.append(message("arm_electrodes_swapped"))
    sizes = {lead: float(np.ptp(beats[lead])) for lead in ("I", "II", "III") if lead in beats}
    if len(sizes) == 3:
        flat = min(sizes, key=lambda lead: sizes[lead])
        others = [size for lead, size in sizes.items() if lead != flat]
        if sizes[flat] < FLAT_SHARE * min(others) and min(others) > 3 * MIN_BEAT_MV:
            found.append(message("electrode_on_wrong_limb", lead=flat))
    return tuple(found)


def _r(a: Floats, b: Floats) -> float:
    power = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / power if power > 0 else 0.0


@cache
def _orders(n: int) -> npt.NDArray[np.int64]:
    """Orders of ``n`` leads, (k, n), each and its reverse once."""
    return np.array([order for order in permutations(range(n)) if order[0] < order[-1]])


def chest_detour(beats: Mapping[str, Floats]) -> tuple[float, tuple[str, ...]]:
    """Way from V1 to V6 over that of the shortest order, and that order."""
    names = [lead for lead in CHEST_LEADS if lead in beats]
    shapes = np.stack([beats[lead] for lead in names])
    steps = np.linalg.norm(shapes[:, None] - shapes[None], axis=2)
    orders = _orders(len(names))
    ways = steps[orders[:, :-1], orders[:, 1:]].sum(axis=1)
    best = int(np.argmin(ways))
    named = float(np.trace(steps, 1))
    order = tuple(names[i] for i in orders[best])
    return named / max(float(ways[best]), 1e-9), order


def misplaced_chest_leads(beats: Mapping[str, Floats]) -> tuple[str, ...]:
    """A warning where the chest leads in another order follow each other far more smoothly."""
    names = [lead for lead in CHEST_LEADS if lead in beats]
    if len(names) < len(CHEST_LEADS):
        return ()
    if "I" in beats and "II" in beats:
        left = beats["I"] + beats["II"]
        if _r(beats["V6"], left) - _r(beats["V1"], left) < CHEST_REVERSED_R:
            return (message("chest_leads_reversed"),)
    detour, order = chest_detour(beats)
    if detour < CHEST_DETOUR:
        return ()
    return (message("chest_leads_disordered", order=list(order)),)


def upright(layout: Layout, parts: Sequence[SegmentSignal]) -> Layout:
    """The layout with aVR marked as inverted where it is, and a warning.

    In Cabrera's order many machines print -aVR, which runs with I and II instead of against them;
    aVR never does, with whatever electrodes exchanged.
    """
    beats = average_beats(parts)
    order = [s.lead for s in sorted(layout.segments, key=lambda s: (s.x0, s.row)) if not s.rhythm]
    limbs = tuple(lead for lead in order if lead in LIMB_LEADS)
    if limbs != CABRERA_LIMBS or any(lead not in beats for lead in ("I", "II", "aVR")):
        return layout
    if _r(beats["aVR"], beats["I"] + beats["II"]) < INVERTED_R:
        return layout
    turned = tuple(replace(s, inverted=s.lead == "aVR") for s in layout.segments)
    warning = message("avr_inverted")
    return replace(layout, segments=turned, warnings=(*layout.warnings, warning))


def misnamed_strips(parts: Sequence[SegmentSignal]) -> tuple[str, ...]:
    """A warning for each rhythm strip that repeats another lead than the one it is named after."""
    return tuple(
        message("strip_like", lead=part.segment.lead, like=lead)
        for part in parts
        if (lead := repeated_lead(part, parts)) is not None
    )


def rename_strips(layout: Layout, parts: Sequence[SegmentSignal]) -> Layout:
    """The layout with each rhythm strip named after the lead that it repeats, and a doubt.

    A strip shows what the short leads show at the same time; that is surer than one small label.
    Nor is one in doubt for want of a label.
    """
    segments, doubts = list(layout.segments), list(layout.doubts)
    for place, part in enumerate(parts):
        if part.segment.rhythm and _surely_repeats(part, parts):
            unnamed = message("strip_unnamed", lead=part.segment.lead)
            doubts = [doubt for doubt in doubts if doubt != unnamed]
        lead = repeated_lead(part, parts)
        if lead is not None:
            segments[place] = replace(part.segment, lead=lead, named_by="layout")
            doubts.append(message("strip_renamed", read=part.segment.lead, lead=lead))
    return replace(layout, segments=tuple(segments), doubts=tuple(doubts))


def repeated_lead(strip: SegmentSignal, parts: Sequence[SegmentSignal]) -> str | None:
    """The lead that a rhythm strip likelier repeats than the one it is named after.

    How like the strip is to each lead that is shown at the same time, how surely its name was read
    and which leads machines print as strips are weighed together.
    """
    if not strip.segment.rhythm:
        return None
    alike = {
        part.segment.lead: r
        for part in parts
        if not part.segment.rhythm and (r := _overlap_r(strip, part)) is not None
    }
    own = strip.segment.lead
    if own not in alike:
        return None
    odds = {
        lead: STRIP_PRIOR.get(lead, STRIP_RARE) - min((1.0 - r) / STRIP_SPREAD, STRIP_MOST)
        for lead, r in alike.items()
    }
    if strip.segment.named_by == "label":
        odds[own] += float(-np.log(2.0 * max(1.0 - strip.segment.probability, STRIP_MISREAD)))
    best = max(odds, key=lambda lead: odds[lead])
    return best if odds[best] > odds[own] + STRIP_CLEARLY else None


def _surely_repeats(strip: SegmentSignal, parts: Sequence[SegmentSignal]) -> bool:
    """Whether a strip is, beyond doubt, the lead after which it is named."""
    own = [p for p in parts if not p.segment.rhythm and p.segment.lead == strip.segment.lead]
    return any((_overlap_r(strip, part) or 0.0) > STRIP_SAME for part in own)


def _overlap_r(strip: SegmentSignal, part: SegmentSignal) -> float | None:
    """Correlation of a part with what a strip shows at the same time; None if they share little."""
    offset = int(round((part.segment.start_s - strip.segment.start_s) * DEFAULT_FS_HZ))
    first = max(0, offset)
    last = min(len(strip.signal), offset + len(part.signal))
    if last - first < DEFAULT_FS_HZ:
        return None
    a, b = strip.signal[first:last], part.signal[first - offset : last - offset]
    known = np.isfinite(a) & np.isfinite(b)
    if known.sum() < DEFAULT_FS_HZ:
        return None
    return _r(a[known] - a[known].mean(), b[known] - b[known].mean())
