"""How likely each lead was read badly: a sum of curves over what can be measured without the truth.

Learned by ``training.train_trust`` from drawn pages, where the truth is known: a lead counts as
misread if its signal-to-noise ratio is below `MISREAD_DB`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ecg4u.digitize.page.rectified import PX_PER_MM
from ecg4u.digitize.rows.beats import MIN_RR_S, find_beats, steepness
from ecg4u.digitize.signals.quality import hidden_waves, stretches, turns_of
from ecg4u.digitize.signals.signal import (
    COLLIDED_CONFIDENCE,
    UNEXPLAINED_CONFIDENCE,
    SegmentSignal,
)
from ecg4u.digitize.types import USUAL_SPEED_MM_PER_S
from ecg4u.record import DEFAULT_FS_HZ

Floats = npt.NDArray[np.float64]

MISREAD_DB = 12.0
OF_ONE = (
    "steepest step, log of the lead's height",
    "height, log mV",
    "lowest over highest beat",
    "least correlation of a beat with the median beat",
    "most turns within 0.2 s",
    "turns per second",
    "roughness, log",
    "share not found",
    "mean doubt",
    "doubt of the most doubtful tenth",
    "doubt, weighed by steepness",
    "share under other traces",
    "waves under other traces",
    "places beside ink that no trace explains",
    "overlap with other rows, mm",
    "step at the ends, of the steepest",
    "contradicted by other leads",
    "length, s",
)
"""What is measured of one lead."""
OF_PAGE = (
    "rows",
    "px per mm of the picture, log",
    "roughness, log, of the page",
    "mean doubt, of the page",
    "share under other traces, of the page",
    "overlap with other rows, mm, of the page",
)
"""What is measured of the page; "of the page" is the median of its leads."""
MEASURES = OF_ONE + OF_PAGE
POOLED = tuple(OF_ONE.index(name.removesuffix(", of the page")) for name in OF_PAGE[2:])
EDGE_S, TURN_MV, TURNS_S = 0.06, 0.05, 0.2
BEAT_S = 0.12
"""A beat is looked at so far around its steepest place."""
MOST_WAVES = 8
SHORTEST_S = 0.3
TINY = 1e-4
WEIGHTS = Path(__file__).parents[1] / "weights" / "trust.json"


def measures_of(
    parts: Sequence[SegmentSignal],
    contradicted: Sequence[Sequence[str]],
    source_px_per_mm: float,
) -> Floats:
    """Measures (n, `MEASURES`) of a page's leads, NaN where one cannot be taken.

    Parameters
    ----------
    parts : the leads' signals.
    contradicted : for each, what the other leads say against it (`agreement.faults`).
    source_px_per_mm : resolution of the picture.
    """
    heights = [_extent(part) for part in parts]
    spans = [(p.segment.start_s, p.end_s) for p in parts]
    overlaps = [_overlap(i, parts, heights, spans) for i in range(len(parts))]
    own = np.array(
        [
            _of_one(part, over, bool(against))
            for part, over, against in zip(parts, overlaps, contradicted, strict=True)
        ]
    ).reshape(len(parts), len(OF_ONE))
    known = own[np.isfinite(own[:, 0])]
    pooled = np.median(known[:, POOLED], axis=0) if len(known) else np.full(len(POOLED), np.nan)
    page = [len({part.segment.row for part in parts}), np.log(source_px_per_mm), *pooled]
    return np.hstack([own, np.tile(np.asarray(page, np.float64), (len(parts), 1))])


def _overlap(
    place: int,
    parts: Sequence[SegmentSignal],
    heights: Sequence[tuple[float, float]],
    spans: Sequence[tuple[float, float]],
) -> float:
    """How far (mm) a trace reaches into the heights of another row that is shown beside it."""
    (low, high), (first, last) = heights[place], spans[place]
    beside = [
        min(high, heights[j][1]) - max(low, heights[j][0])
        for j, other in enumerate(parts)
        if other.segment.row != parts[place].segment.row
        and min(last, spans[j][1]) > max(first, spans[j][0])
    ]
    return max([0.0, *beside])


def _extent(part: SegmentSignal) -> tuple[float, float]:
    """From where to where down the page (mm) a trace stands, its odd spikes left out."""
    y = part.xy[:, 1][np.isfinite(part.xy[:, 1])] / PX_PER_MM
    if len(y) == 0:
        return 0.0, 0.0
    low, high = np.percentile(y, (1, 99))
    return float(low), float(high)


def _of_one(part: SegmentSignal, overlap_mm: float, contradicted: bool) -> list[float]:
    """`OF_ONE` of a lead; all NaN where hardly anything of it was found."""
    known = np.isfinite(part.signal)
    n = len(known)
    if known.sum() < SHORTEST_S * DEFAULT_FS_HZ:
        return [np.nan] * len(OF_ONE)
    signal = np.interp(np.arange(n), np.flatnonzero(known), part.signal[known])
    doubt = np.where(known, 1.0 - part.confidence, 1.0)
    height = max(float(np.ptp(np.percentile(signal[known], (0.5, 99.5)))), TINY)
    steps = np.abs(np.diff(signal, prepend=signal[0]))
    steepest, power = max(float(steps.max()), TINY), steps**2
    turns = turns_of(signal, TURN_MV)
    often = np.convolve(turns, np.ones(round(TURNS_S * DEFAULT_FS_HZ)), "same")
    hidden = known & (part.confidence <= COLLIDED_CONFIDENCE)
    cut = known & (part.confidence <= UNEXPLAINED_CONFIDENCE) & ~hidden
    edge = round(EDGE_S * DEFAULT_FS_HZ)
    spread, alike = _beats(signal)
    return [
        np.log(steepest / height),
        np.log(height),
        spread,
        alike,
        float(often.max()),
        float(turns.sum() * DEFAULT_FS_HZ / n),
        np.log(np.median(np.abs(np.diff(signal, 2))) / height + TINY),
        1.0 - float(known.mean()),
        float(doubt[known].mean()),
        float(np.percentile(doubt[known], 90)),
        float((power * doubt).sum() / max(power.sum(), TINY**2)),
        float(hidden.mean()),
        float(min(hidden_waves(part), MOST_WAVES)),
        float(min(stretches(cut), MOST_WAVES)),
        overlap_mm,
        float(np.maximum(steps[:edge].max(), steps[-edge:].max())) / steepest,
        float(contradicted),
        n / DEFAULT_FS_HZ,
    ]


def _beats(signal: Floats) -> tuple[float, float]:
    """How low the lowest beat is against the highest, and how unlike the median one; NaN of one."""
    side = round(BEAT_S * DEFAULT_FS_HZ)
    steep = steepness([signal], DEFAULT_FS_HZ / USUAL_SPEED_MM_PER_S)
    if steep is None:
        return np.nan, np.nan
    places = find_beats(steep, apart=round(MIN_RR_S * DEFAULT_FS_HZ))
    windows = [signal[p - side : p + side] for p in places if side <= p <= len(signal) - side]
    if len(windows) < 2:
        return np.nan, np.nan
    beats = np.stack(windows)
    sizes = np.maximum(np.ptp(beats, axis=1), TINY)
    beats = beats - beats.mean(axis=1, keepdims=True)
    usual = np.median(beats, axis=0)
    products = beats @ usual
    lengths = np.linalg.norm(beats, axis=1) * np.linalg.norm(usual)
    alike = np.asarray(products / np.maximum(lengths, TINY), np.float64)
    return float(sizes.min() / sizes.max()), float(alike.min())


Curve = tuple[Floats, Floats]
"""Knots of a measure, and the log odds there."""


def misread(measures: Floats) -> Floats:
    """Probability (n,) that each lead was read worse than `MISREAD_DB`; a measure of NaN is usual.

    A lead of which hardly anything was found is misread for certain.
    """
    return np.where(np.isfinite(measures[:, 0]), chance(measures, *_model()), 1.0)


def chance(measures: Floats, curves: Sequence[Curve], bias: float) -> Floats:
    """Probability (n,) by the sum of a curve over each measure (n, `MEASURES`) and a bias."""
    odds = np.full(len(measures), bias)
    for values, curve in zip(measures.T, curves, strict=True):
        odds += along(values, *curve)
    return np.asarray(1.0 / (1.0 + np.exp(-odds)))


def along(values: Floats, knots: Floats, heights: Floats) -> Floats:
    """A curve (n,) at values: straight between knots, level beyond; NaN is as the middle knot."""
    known = np.where(np.isfinite(values), values, np.median(knots))
    return np.asarray(np.interp(known, knots, heights), np.float64)


@lru_cache(maxsize=1)
def _model() -> tuple[list[Curve], float]:
    given = json.loads(WEIGHTS.read_text())
    of = {row["measure"]: row for row in given["measures"]}
    curves = [
        (np.array(of[name]["knots"], np.float64), np.array(of[name]["log_odds"], np.float64))
        for name in MEASURES
    ]
    return curves, float(given["bias"])
