"""P waves marked one by one, to tell whether atria and ventricles beat apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ecg4u.explain.signals import FS_HZ
from ecg4u.explain.waves import find_waves

if TYPE_CHECKING:
    from ecg4u.explain.measure import Measured

THRESHOLD = 0.35
"""Of the P probability averaged over the leads that run through (as for the median beat)."""
MIN_STRIP_S = 5.0
"""A shorter strip shows too few beats of a slow rhythm."""
MIN_BEATS, MIN_P = 3, 5
STEADY = 0.12
"""Spread of PP and of RR (median absolute deviation over the median) of two steady pacemakers."""
MORE_P = 1.2
"""P waves for each QRS; fewer fits conduction with some P waves overlooked, or AV dissociation."""
PR_SPREAD_MS = 80.0
"""Range of the PR intervals (10th to 90th percentile) that no conducted rhythm has."""
SLOW_PER_MIN = 60.0

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Atrium:
    """Atrial rate and how the P waves stand to the QRS complexes."""

    rate_per_min: float
    p_per_qrs: float
    shortest_pr_ms: float
    longest_pr_ms: float
    pp_spread: float
    rr_spread: float
    ventricular_rate_per_min: float

    @property
    def dissociated(self) -> bool:
        """Whether a slow ventricular rhythm goes its own way beneath a faster atrial one."""
        return (
            self.ventricular_rate_per_min < SLOW_PER_MIN
            and self.p_per_qrs >= MORE_P
            and self.longest_pr_ms - self.shortest_pr_ms >= PR_SPREAD_MS
            and max(self.pp_spread, self.rr_spread) <= STEADY
        )


def atrium(measured: Measured) -> Atrium | None:
    """The P waves of the longest stretch shown; None where too little of them can be seen."""
    known = np.isfinite(measured.signal)
    share = known.mean(axis=0)
    leads = np.flatnonzero(share >= 0.95 * share.max(initial=0.0))
    rows = np.flatnonzero(known[:, leads].all(axis=1)) if len(leads) else np.zeros(0, int)
    if len(rows) < MIN_STRIP_S * FS_HZ or len(measured.beats) < MIN_BEATS:
        return None
    waves = measured.probability[:, leads, 0]
    curve = np.where(np.isfinite(waves), waves, 0.0).mean(axis=1)
    middles = [(w.onset + w.offset) / 2 for w in find_waves(curve, threshold=THRESHOLD)]
    p = np.array(middles)
    r = measured.beats.r.astype(float)
    inside = (r >= rows[0]) & (r <= rows[-1])
    r = r[inside]
    if len(p) < MIN_P or len(r) < MIN_BEATS:
        return None
    pp, rr = np.diff(p) / FS_HZ, np.diff(r) / FS_HZ
    # A P wave hidden in a QRS or a T wave leaves a gap of two cycles: it is counted as two.
    cycle = float(np.median(pp))
    cycle = float(np.median(pp / np.maximum(np.round(pp / cycle), 1)))
    phases = pp / np.maximum(np.round(pp / cycle), 1)
    after = [x - p[p < x][-1] for x in r if (p < x).any()]
    pr_ms = 1000 * np.array(after) / FS_HZ
    low, high = np.percentile(pr_ms, [10, 90]) if len(pr_ms) else (0.0, 0.0)
    return Atrium(
        60 / cycle,
        float(np.median(rr)) / cycle,
        float(low),
        float(high),
        _spread(phases),
        _spread(rr),
        60 / float(np.median(rr)),
    )


def _spread(values: FloatArray) -> float:
    middle = float(np.median(values))
    return float(np.median(np.abs(values - middle))) / middle if middle > 0 else 0.0
