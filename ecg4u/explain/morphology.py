"""Shape of the QRS and ST-T in one lead's median beat: deflections, notches, rSR', ST level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ecg4u.explain.signals import FS_HZ

PQ_SPAN_S = (0.016, 0.004)
"""The isoelectric level is the median from so long to so long before the QRS onset."""
MIN_DEFLECTION_MV = 0.04
MIN_DEFLECTION_SHARE = 0.04
"""A smaller deflection (also against the span of the QRS) is no wave; by eye."""
ST_DELAY_S = 0.06
"""After the J point, where ST is read besides (ST60)."""
SLUR_MAX_SLOPE = 0.25
"""A slurred R has a stretch of its flank less steep than this share of the steepest."""

TERMINAL_S = 0.04
"""The late forces of the QRS: in a bundle branch block those of the ventricle reached last."""

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Deflection:
    """A turning point of the QRS: time in ms after its onset, amplitude in mV."""

    time_ms: float
    mv: float


@dataclass(frozen=True)
class QRSShape:
    """Deflections in order of time; q, r, s as in Wilson's nomenclature."""

    turns: tuple[Deflection, ...]
    q: Deflection | None
    r: Deflection | None
    s: Deflection | None
    r_prime: Deflection | None
    notches: int
    s_ms: float | None
    area_mv_ms: float
    terminal_mv: float
    """Mean of the last `TERMINAL_S` of the QRS."""


def pq_level(beat: FloatArray, onset: float) -> float:
    """Level of one lead just before the QRS, mV; NaN if not known."""
    a = max(round(onset - PQ_SPAN_S[0] * FS_HZ), 0)
    b = max(round(onset - PQ_SPAN_S[1] * FS_HZ) + 1, a + 1)
    part = beat[a:b]
    part = part[np.isfinite(part)]
    return float(np.median(part)) if len(part) else float("nan")


def qrs_shape(beat: FloatArray, onset: float, offset: float) -> QRSShape | None:
    """Deflections of one lead between ``onset`` and ``offset`` (samples); None if not known.

    ``beat`` is (m,) mV at 500 Hz with the PQ level at 0.
    """
    a, b = round(onset), round(offset) + 1
    part = beat[max(a, 0) : b]
    if len(part) < 6 or not np.isfinite(part).all():
        return None
    smooth = np.convolve(np.pad(part, 1, mode="edge"), (0.25, 0.5, 0.25), mode="valid")
    floor = max(MIN_DEFLECTION_MV, MIN_DEFLECTION_SHARE * float(np.ptp(smooth)))
    turns = [Deflection(1000 * i / FS_HZ, float(smooth[i])) for i in _turns(smooth, floor)]
    up = [t for t in turns if t.mv >= floor]
    down = [t for t in turns if t.mv <= -floor]
    waves = _positive_waves(turns, up, floor) or _first_r(smooth, down)
    r = waves[0] if waves else None
    second = waves[1] if len(waves) > 1 else None
    # Without an r the whole complex is a QS, as deep as its deepest place: a notch ends none.
    q = (
        next((t for t in down if t.time_ms < r.time_ms), None)
        if r
        else min(down, key=lambda t: t.mv, default=None)
    )
    s = min(
        (t for t in down if r is not None and t.time_ms > r.time_ms),
        key=lambda t: t.mv,
        default=None,
    )
    peaks = [t for t in turns if r is not None and _is_peak(t, turns)]
    high = max((t.mv for t in up), default=0.0)
    notches = max(sum(t.mv >= 0.4 * high for t in peaks) - 1, 0) if high else 0
    below = smooth < -floor / 2
    after = np.arange(len(smooth)) * 1000 / FS_HZ > (r.time_ms if r else 0)
    s_ms = float((below & after).sum() * 1000 / FS_HZ) if s is not None else None
    area = float(smooth.sum() * 1000 / FS_HZ)
    terminal = float(smooth[-round(TERMINAL_S * FS_HZ) - 1 :].mean())
    return QRSShape(tuple(turns), q, r, s, second, notches, s_ms, area, terminal)


def _turns(values: FloatArray, floor: float) -> list[int]:
    """Indices of alternating extremes that differ by at least ``floor`` from their neighbours."""
    found: list[int] = []
    direction = 0
    low = high = 0
    for i in range(1, len(values)):
        if values[i] > values[high]:
            high = i
        if values[i] < values[low]:
            low = i
        if direction >= 0 and values[high] - values[i] >= floor:
            found.append(high)
            direction, low, high = -1, i, i
        elif direction <= 0 and values[i] - values[low] >= floor:
            found.append(low)
            direction, low, high = 1, i, i
    last = high if direction > 0 else low
    if direction and 0 < last < len(values) - 1:
        found.append(last)
    return [i for i in found if i > 0]


def _first_r(smooth: FloatArray, down: list[Deflection]) -> list[Deflection]:
    """The small r before a deep S, which is no Q wave: it need not reach a share of the S."""
    if not down:
        return []
    first = min(t.time_ms for t in down)
    before = smooth[: round(first * FS_HZ / 1000)]
    if not len(before) or before.max() < MIN_DEFLECTION_MV:
        return []
    at = int(before.argmax())
    return [Deflection(1000 * at / FS_HZ, float(before[at]))] if at else []


def _is_peak(turn: Deflection, turns: list[Deflection]) -> bool:
    at = turns.index(turn)
    around = [turns[i].mv for i in (at - 1, at + 1) if 0 <= i < len(turns)]
    return turn.mv > max(around, default=0.0)


def _positive_waves(
    turns: list[Deflection], up: list[Deflection], floor: float
) -> list[Deflection]:
    """R, R' ...: positive maxima parted by a return towards or below the baseline."""
    waves: list[Deflection] = []
    for turn in up:
        if not _is_peak(turn, turns):
            continue
        if waves:
            between = [t.mv for t in turns if waves[-1].time_ms < t.time_ms < turn.time_ms]
            if min(between, default=turn.mv) > 0.4 * min(waves[-1].mv, turn.mv):
                if turn.mv > waves[-1].mv:
                    waves[-1] = turn
                continue
        waves.append(turn)
    return waves


def slurred(beat: FloatArray, onset: float, offset: float) -> bool:
    """Whether the R wave's upper half has a notch or a flat stretch of 15 ms or more."""
    part = beat[max(round(onset), 0) : round(offset) + 1]
    if len(part) < 10 or not np.isfinite(part).all() or part.max() <= 0:
        return False
    top = np.flatnonzero(part >= 0.5 * part.max())
    part = part[top[0] : top[-1] + 1]
    slope = np.abs(np.gradient(np.convolve(part, np.ones(3) / 3, mode="same")))[2:-2]
    if not len(slope):
        return False
    flat = slope < SLUR_MAX_SLOPE * slope.max()
    return bool(flat.sum() * 1000 / FS_HZ >= 15)


@dataclass(frozen=True)
class STShape:
    """ST segment and T wave of one lead, mV against the PQ level; slope in mV/s."""

    j_mv: float
    st60_mv: float
    slope_mv_s: float
    t_mv: float | None


def st_shape(beat: FloatArray, offset: float, t_off: float | None) -> STShape | None:
    """Level at the J point and 60 ms later, slope between, and the T wave's largest excursion."""
    j, later = round(offset), round(offset + ST_DELAY_S * FS_HZ)
    at_j, at_later = _level(beat, j), _level(beat, later)
    if at_j is None or at_later is None:
        return None
    end = len(beat) if t_off is None else min(round(t_off), len(beat))
    part = beat[round(offset + 0.08 * FS_HZ) : end]
    part = part[np.isfinite(part)]
    t_mv = float(part[np.argmax(np.abs(part))]) if len(part) >= 20 else None
    return STShape(at_j, at_later, (at_later - at_j) / ST_DELAY_S, t_mv)


def _level(beat: FloatArray, at: int) -> float | None:
    part = beat[max(at - 2, 0) : at + 3]
    part = part[np.isfinite(part)]
    return float(part.mean()) if len(part) >= 3 else None
