"""QRS complexes across all leads, which of them look alike, and their 12-lead median.

A page shows different leads at different times, so every step works with whatever leads are known
at a moment: the rhythm strip, where there is one, ties the columns together.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ecg4u.explain.signals import FS_HZ
from ecg4u.explain.waves import find_waves, over_leads

MIN_QRS_S = 0.03
"""Shorter marks are spikes: half of what the narrowest complexes last."""
MIN_RR_S = 0.2
"""Two complexes nearer together are one: 300 beats per minute, the limit of detectors since Pan and
Tompkins 1985, who took the refractory time of the ventricles for it."""
BEFORE_S = 0.5
AFTER_S = 0.7
"""Span of the median beat around the R peak."""
SHAPE_BEFORE_S = 0.08
SHAPE_AFTER_S = 0.12
MAX_SHIFT_S = 0.024
"""Span around the R peak over which shapes are compared, and by how much they may be moved for it;
by eye."""
ALIKE = 0.85
"""Beats correlating at least so much share a shape (checked on MIT-BIH beats)."""

SAME_WIDTH_S = 0.02
"""Of groups that differ by no more in width the larger is the usual one, else the narrower."""
FAINT, FAINT_BESIDE = 0.12, 0.22
"""A complex less steep than this share of the median one is noise in a pause; or a P wave, if also
less steep than the second share of a complex in the same leads (of two in complete AV block 0.13
and 0.20). Of 2,020 annotated complexes of LUDB none is fainter than 0.30 of the median one."""
EDGE_S = 0.3
"""Nearer to a lead's end than this a complex may be cut off; by eye."""
THROUGHOUT = 0.85
"""A lead known over this share of all complexes runs through the record."""

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class QRSList:
    """Complexes in the order of time, positions in 500-Hz samples.

    ``usual`` marks those of the dominant shape; ``similarity`` is the correlation with its median
    (NaN where no lead is shared).
    """

    r: FloatArray
    onset: FloatArray
    offset: FloatArray
    similarity: FloatArray
    usual: BoolArray

    def __len__(self) -> int:
        return len(self.r)


def find_beats(signal: FloatArray, probability: FloatArray) -> QRSList:
    """The QRS complexes of (n, 12) mV at 500 Hz, given the waves' probabilities (n, 12, 3)."""
    together = over_leads(probability, 1)
    kept: list[tuple[float, float]] = []
    for wave in find_waves(together, threshold=0.4, min_length=MIN_QRS_S * FS_HZ):
        if kept and wave.onset - kept[-1][0] < MIN_RR_S * FS_HZ:
            kept[-1] = (kept[-1][0], max(wave.offset, kept[-1][1]))
        else:
            kept.append((wave.onset, wave.offset))
    if not kept:
        empty = np.zeros(0)
        return QRSList(empty, empty, empty, empty, np.zeros(0, dtype=bool))
    edges = np.array(kept)
    edges = edges[~_faint(signal, edges)]
    # A stroke that parts two leads of a row is as steep as a QRS; the rhythm strip knows better.
    through = anchors(signal, edges)
    edges = edges[~_faint(signal[:, through], edges)]
    anchored = np.where(through, signal, np.nan)
    r = _r_peaks(anchored, edges)
    shapes, masks = _shapes(signal, r)
    alike = _alike(shapes, masks)
    usual = _dominant(alike, edges[:, 1] - edges[:, 0])
    similarity = _to_usual(alike, usual)
    real = ~_cut_off(signal, r, usual)
    return QRSList(r[real], edges[real, 0], edges[real, 1], similarity[real], usual[real])


def speed(signal: FloatArray) -> FloatArray:
    """Root mean square over the leads shown of the change from sample to sample, (n,) mV."""
    moved = np.abs(np.diff(signal, axis=0, prepend=signal[:1]))
    known = np.isfinite(moved)
    total = np.where(known, moved, 0.0) ** 2
    return np.sqrt(total.sum(axis=1) / np.maximum(known.sum(axis=1), 1))


def steepness(energy: FloatArray, onset: FloatArray, offset: FloatArray) -> FloatArray:
    """The largest `speed` within each complex."""
    return np.array(
        [
            energy[max(int(a), 0) : int(b) + 2].max(initial=0.0)
            for a, b in zip(onset, offset, strict=True)
        ]
    )


def _faint(signal: FloatArray, edges: FloatArray) -> BoolArray:
    """Complexes too faint to be any, against all of them and against those in the same leads."""
    steep = steepness(speed(signal), edges[:, 0], edges[:, 1])
    middles = np.clip(edges.mean(axis=1).astype(int), 0, len(signal) - 1)
    shown = np.isfinite(signal[middles])
    beside = [steep[(shown == own).all(axis=1)].max() for own in shown]
    usual = float(np.median(steep))
    little = (steep < FAINT_BESIDE * usual) & (steep < FAINT_BESIDE * np.array(beside))
    return np.asarray((steep < FAINT * usual) | little)


def _cut_off(signal: FloatArray, r: FloatArray, usual: BoolArray) -> BoolArray:
    """Strange complexes at either end that are too near the next: a T wave cut in two looks so."""
    shown = np.flatnonzero(np.isfinite(signal).any(axis=1))
    doubtful = np.zeros(len(r), dtype=bool)
    if len(r) < 4:
        return doubtful
    rr = np.diff(r)
    for at, gap, edge in ((0, rr[0], r[0] - shown[0]), (-1, rr[-1], shown[-1] - r[-1])):
        near_edge = edge < EDGE_S * FS_HZ
        doubtful[at] = not usual[at] and near_edge and gap < 0.75 * np.median(rr)
    return doubtful


def anchors(signal: FloatArray, edges: FloatArray) -> BoolArray:
    """Leads that show (nearly) every complex: the rhythm strips of a page, or all; (12,) bool.

    One lead's R peak is not another's: beats in different columns of a page are aligned by the
    leads that run through all of them. Without such a lead every lead counts.
    """
    inside = np.zeros(len(signal), dtype=bool)
    for onset, offset in edges:
        inside[max(int(onset), 0) : int(offset) + 1] = True
    share = np.isfinite(signal[inside]).mean(axis=0)
    through = share >= THROUGHOUT
    return through if through.any() else np.ones(signal.shape[1], dtype=bool)


def linked(signal: FloatArray, r: FloatArray) -> BoolArray:
    """Whether some lead shows both of two successive complexes and most between; (beats - 1,).

    Where one column of a page gives way to the next and no lead runs through, it is not known
    that the second begins where the first ends.
    """
    at = np.clip(np.rint(r).astype(int), 0, max(len(signal) - 1, 0))
    out = np.zeros(max(len(r) - 1, 0), dtype=bool)
    for i, (a, b) in enumerate(pairwise(at)):
        known = np.isfinite(signal[a : b + 1])
        out[i] = bool((known[0] & known[-1] & (known.mean(axis=0) > 0.5)).any())
    return out


def _r_peaks(signal: FloatArray, edges: FloatArray) -> FloatArray:
    """The moment of the largest joint deflection in each complex, by parabolic interpolation.

    Deflections are from the line between its ends: it may begin on a P wave and end on a shifted
    ST segment.
    """
    peaks = np.empty(len(edges))
    for i, (onset, offset) in enumerate(edges):
        a, b = max(int(onset), 0), min(int(np.ceil(offset)) + 1, len(signal))
        part = signal[a:b]
        part = part[:, np.isfinite(part).all(axis=0)]
        if part.shape[1] == 0 or len(part) < 3:
            peaks[i] = (onset + offset) / 2
            continue
        along = np.linspace(0.0, 1.0, len(part))[:, None]
        line = part[0] + along * (part[-1] - part[0])
        size = np.sqrt(((part - line) ** 2).sum(axis=1))
        top = int(np.argmax(size))
        shift = 0.0
        if 0 < top < len(size) - 1:
            left, middle, right = size[top - 1 : top + 2]
            curve = left - 2 * middle + right
            shift = 0.5 * (left - right) / curve if curve < 0 else 0.0
        peaks[i] = a + top + shift
    return peaks


def cut(signal: FloatArray, centre: FloatArray, before_s: float, after_s: float) -> FloatArray:
    """(beats, samples, leads) around (fractional) centres; NaN outside what is known."""
    steps = np.arange(-round(before_s * FS_HZ), round(after_s * FS_HZ) + 1)
    at = np.asarray(centre)[:, None] + steps[None]
    low = np.floor(at).astype(int)
    share = (at - low)[..., None]
    inside = ((low >= 0) & (low + 1 < len(signal)))[..., None]
    if signal.ndim == 3:
        share, inside = share[..., None], inside[..., None]
    low = np.clip(low, 0, max(len(signal) - 2, 0))
    high = np.minimum(low + 1, len(signal) - 1)
    return np.where(inside, signal[low] * (1 - share) + signal[high] * share, np.nan)


def _shapes(signal: FloatArray, r: FloatArray) -> tuple[FloatArray, BoolArray]:
    """QRS shapes at 250 Hz, with room for shifts, (beats, samples, leads); known (beats, leads)."""
    parts = cut(signal, r, SHAPE_BEFORE_S + MAX_SHIFT_S, SHAPE_AFTER_S + MAX_SHIFT_S)[:, ::2]
    known = np.asarray(np.isfinite(parts).all(axis=1))
    return np.where(known[:, None], parts, 0.0), known


def _alike(shapes: FloatArray, known: BoolArray) -> FloatArray:
    """Correlation of every pair of beats over the leads both have, best over small shifts.

    NaN where two beats share no lead.
    """
    room = round(MAX_SHIFT_S * FS_HZ / 2)
    length = shapes.shape[1] - 2 * room
    count = len(shapes)
    mask = known.astype(float)

    def centred(shift: int) -> FloatArray:
        part = shapes[:, room + shift : room + shift + length]
        return (part - part.mean(axis=1, keepdims=True)) * known[:, None]

    still = centred(0)
    flat = still.reshape(count, -1)
    power = (still**2).sum(axis=1)
    best = np.full((count, count), -1.0)
    for shift in range(-room, room + 1):
        moved = centred(shift)
        product = flat @ moved.reshape(count, -1).T
        scale = np.sqrt((power @ mask.T) * (mask @ (moved**2).sum(axis=1).T))
        best = np.maximum(best, product / np.maximum(scale, 1e-9))
    best = np.maximum(best, best.T)
    best[(mask @ mask.T) == 0] = np.nan
    return best


def _dominant(alike: FloatArray, width: FloatArray) -> BoolArray:
    """The largest group of like beats; of two that are about as large, the narrower one."""
    with np.errstate(invalid="ignore"):
        near = alike >= ALIKE
    counts = near.sum(axis=1)
    large = np.flatnonzero(counts >= max(0.8 * counts.max(), counts.max() - 1))
    narrowness = [float(np.median(width[near[i]])) if near[i].any() else np.inf for i in large]
    narrow = min(narrowness)
    fit = [i for i, w in zip(large, narrowness, strict=True) if w <= narrow + SAME_WIDTH_S * FS_HZ]
    seed = max(fit, key=lambda i: (counts[i], np.nansum(alike[i])))
    chosen = near[seed].copy()
    # Beats that share no lead with the first (other columns of a page without a rhythm strip)
    # join the group of their own column.
    for i in np.flatnonzero(np.isnan(alike[seed])):
        column = np.flatnonzero(np.isnan(alike[seed]) & np.isfinite(alike[i]))
        if chosen[i] or not len(column):
            continue
        groups = near[np.ix_(column, column)]
        widths = np.array([np.median(width[column[g]]) if g.any() else np.inf for g in groups])
        # A usual beat is as wide in every column: in bigeminy the ectopic ones may be the more.
        fit = widths < np.median(width[chosen]) + SAME_WIDTH_S * FS_HZ
        size = groups.sum(axis=1) * np.where(fit.any(), fit, True)
        chosen[column[groups[int(np.argmax(size))]]] = True
    if not chosen.any():
        chosen[:] = True
    return chosen


def _to_usual(alike: FloatArray, usual: BoolArray) -> FloatArray:
    others = alike[:, usual].copy()
    own = np.flatnonzero(usual)
    others[own, np.arange(len(own))] = np.nan
    return _nanmedian(others.T)


@dataclass(frozen=True, eq=False)
class MedianBeat:
    """The usual beat of each lead at 500 Hz, R peak at index ``centre``.

    ``signal`` (m, 12) mV, NaN for leads without a whole beat; ``probability`` (m, 12, 3);
    ``counts`` beats per lead; ``noise`` standard error of the median in mV per lead.
    """

    signal: FloatArray
    probability: FloatArray
    counts: npt.NDArray[np.int64]
    noise: FloatArray
    centre: int
    chosen: npt.NDArray[np.int64]


def median_beat(
    signal: FloatArray, probability: FloatArray, beats: QRSList, chosen: BoolArray
) -> MedianBeat:
    """Median of the ``chosen`` beats of ``beats``, aligned to each other and freed of wander."""
    index = np.flatnonzero(chosen)
    edges = np.stack([beats.onset, beats.offset], axis=1)
    r = _aligned(np.where(anchors(signal, edges), signal, np.nan), beats.r[index])
    level = _wander(signal, r)
    parts = cut(signal - level, r, BEFORE_S, AFTER_S)
    waves = cut(probability, r, BEFORE_S, AFTER_S)
    core = slice(round((BEFORE_S - 0.1) * FS_HZ), round((BEFORE_S + 0.1) * FS_HZ))
    whole = np.asarray(np.isfinite(parts[:, core]).all(axis=1))
    parts = np.where(whole[:, None], parts, np.nan)
    counts = whole.sum(axis=0)
    middle = _nanmedian(parts)
    spread = _nanmedian(np.abs(parts - middle[None]))
    with np.errstate(invalid="ignore", divide="ignore"):
        noise = 1.4826 * np.nanmean(np.where(counts > 0, spread, 0), axis=0) / np.sqrt(counts)
    return MedianBeat(
        middle,
        _nanmean(np.where(whole[:, None, :, None], waves, np.nan)),
        counts,
        np.where(counts > 1, noise, np.nan),
        round(BEFORE_S * FS_HZ),
        index,
    )


def _aligned(signal: FloatArray, r: FloatArray) -> FloatArray:
    """Shift each beat by up to 40 ms so that it fits the median of all best."""
    for _ in range(2):
        wide = cut(signal, r, 0.12, 0.14)
        complete = np.asarray(np.isfinite(wide).all(axis=1))
        wide = np.where(complete[:, None], wide, np.nan)
        pattern = _nanmedian(wide)
        shifts = np.arange(-20, 21)
        rise = np.diff(pattern, axis=0)[20:-20]
        scores = np.empty((len(r), len(shifts)))
        slopes = np.diff(wide, axis=1)
        for j, shift in enumerate(shifts):
            moved = slopes[:, 20 + shift : slopes.shape[1] - 20 + shift]
            scores[:, j] = np.nansum(moved * rise[None], axis=(1, 2))
        best = np.argmax(scores, axis=1)
        move = shifts[best].astype(float)
        inner = (best > 0) & (best < len(shifts) - 1)
        rows = np.flatnonzero(inner)
        left, mid, right = (scores[rows, best[rows] + k] for k in (-1, 0, 1))
        curve = left - 2 * mid + right
        move[rows] += np.where(curve < 0, 0.5 * (left - right) / np.minimum(curve, -1e-12), 0.0)
        move[~scores.any(axis=1)] = 0
        r = r + move - np.median(move)
    return r


def _wander(signal: FloatArray, r: FloatArray) -> FloatArray:
    """Baseline as a polyline through the level 110 to 70 ms before each R peak."""
    level = np.zeros_like(signal)
    knots = cut(signal, r, 0.11, -0.07)
    heights = _nanmedian(knots.transpose(1, 0, 2)) if len(r) else np.zeros((0, signal.shape[1]))
    where = r - 0.09 * FS_HZ
    steps = np.arange(len(signal))
    for lead in range(signal.shape[1]):
        good = np.isfinite(heights[:, lead])
        if good.any():
            level[:, lead] = np.interp(steps, where[good], heights[good, lead])
    return level


def _nanmedian(values: FloatArray) -> FloatArray:
    """Median over axis 0, NaN where nothing is known, without numpy's warning."""
    result = np.full(values.shape[1:], np.nan)
    some = np.isfinite(values).any(axis=0)
    if some.any():
        result[some] = np.nanmedian(values[:, some], axis=0)
    return result


def _nanmean(values: FloatArray) -> FloatArray:
    known = np.isfinite(values)
    count = known.sum(axis=0)
    return np.where(
        count > 0, np.where(known, values, 0.0).sum(axis=0) / np.maximum(count, 1), np.nan
    )
