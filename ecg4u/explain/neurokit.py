"""A second opinion by NeuroKit2, on the lead that shows most: beats, RR, P waves, signal quality.

NeuroKit2 reads one lead at a time. Its functions raise on short, flat or beatless signals, and on
stretches of 2.5 s its delineation works by ``prominence`` alone; each feature here is therefore a
value, or unknown with a reason. `benchmarks/neurokit.py` holds them against our own features.

Importing NeuroKit2 takes longer than a whole explanation, so that these features are measured only
when they are asked for.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ecg4u.explain.result import Feature
from ecg4u.explain.signals import FS_HZ
from ecg4u.explain.titles import FEATURES as FEATURE_TITLES
from ecg4u.messages import Message, message
from ecg4u.record import LEADS
from ecg4u.runs import runs_of

LEAST_S = 5.0
"""In less NeuroKit2's detector has too few beats to set its threshold by."""
LEAST_BEATS = 5
"""Fewer beats give fewer than four RR intervals: no measure of irregularity rests on that."""
RR_SYMBOLS = 6
"""Bins of the RR intervals for their Shannon entropy (NeuroKit2's ``symbolize``)."""
AGREE_S = 0.075
"""Two detections within this time are the same beat: half the 150 ms that ANSI/AAMI EC57 allows,
since both look at the same signal."""

UNITS: Mapping[str, str] = {
    "nk_beats": "", "nk_agreement": "", "nk_rr_cvsd": "", "nk_rr_cvnn": "", "nk_rr_sampen": "",
    "nk_rr_shannon": "bit", "nk_p_share": "", "nk_quality": "",
}  # fmt: skip

FloatArray = npt.NDArray[np.float64]


def neurokit_features(signal: FloatArray, r: FloatArray) -> dict[str, Feature]:
    """NeuroKit2's features of (n, 12) mV at 500 Hz; ``r`` are our R peaks in samples."""
    found = longest_stretch(signal)
    if found is None:
        return _unknown(UNITS, f"no lead shows {LEAST_S:g} s without a gap")
    column, part = found
    lead = np.ascontiguousarray(signal[part, column])
    if np.ptp(lead) == 0:
        return _unknown(UNITS, "the lead is flat")
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return _measured(lead, r[(r >= part.start) & (r < part.stop)] - part.start, LEADS[column])


def longest_stretch(signal: FloatArray) -> tuple[int, slice] | None:
    """The lead that shows most without a gap, II where others show as much; None if too short."""
    best: tuple[int, int, slice] | None = None
    for column in sorted(range(signal.shape[1]), key=lambda c: LEADS[c] != "II"):
        for run in runs_of(np.isfinite(signal[:, column])):
            if best is None or run.stop - run.start > best[0]:
                best = run.stop - run.start, column, run
    if best is None or best[0] < LEAST_S * FS_HZ:
        return None
    return best[1], best[2]


def _measured(lead: FloatArray, ours: FloatArray, name: str) -> dict[str, Feature]:
    import neurokit2 as nk

    rate = round(FS_HZ)
    try:
        clean = nk.ecg_clean(lead, sampling_rate=rate)
        peaks = np.asarray(nk.ecg_peaks(clean, sampling_rate=rate)[1]["ECG_R_Peaks"])
    except (ValueError, IndexError, ZeroDivisionError):
        return _unknown(UNITS, f"NeuroKit2 finds no beats in lead {name}")
    out = {"nk_beats": _feature("nk_beats", len(peaks))}
    out["nk_agreement"] = _feature("nk_agreement", agreement(ours, peaks))
    if len(peaks) < LEAST_BEATS:
        rest = [key for key in UNITS if key not in out]
        return out | _unknown(rest, f"NeuroKit2 finds fewer than five beats in lead {name}")
    time = nk.hrv_time({"ECG_R_Peaks": peaks}, sampling_rate=rate).iloc[0]
    rr_ms = np.diff(peaks) * 1000 / FS_HZ
    out["nk_rr_cvsd"] = _feature("nk_rr_cvsd", time["HRV_CVSD"])
    out["nk_rr_cvnn"] = _feature("nk_rr_cvnn", time["HRV_CVNN"])
    out["nk_rr_sampen"] = _tried("nk_rr_sampen", lambda: nk.entropy_sample(rr_ms)[0])
    out["nk_rr_shannon"] = _tried(
        "nk_rr_shannon", lambda: nk.entropy_shannon(rr_ms, symbolize=RR_SYMBOLS)[0]
    )
    out["nk_p_share"] = _tried("nk_p_share", lambda: _p_share(clean, peaks, rate))
    out["nk_quality"] = _tried(
        "nk_quality", lambda: nk.ecg_quality(clean, rpeaks=peaks, sampling_rate=rate).mean()
    )
    return out


def _p_share(clean: FloatArray, peaks: npt.NDArray[np.int64], rate: int) -> float:
    import neurokit2 as nk

    _, waves = nk.ecg_delineate(clean, peaks, sampling_rate=rate, method="prominence")
    return float(np.isfinite(np.asarray(waves["ECG_P_Peaks"], dtype=float)).mean())


def agreement(ours: FloatArray, theirs: npt.NDArray[np.integer]) -> float:
    """F1 of two lists of R peaks (samples): 1 where each has the beats of the other."""
    if len(ours) == 0 or len(theirs) == 0:
        return float(len(ours) == len(theirs))
    near = np.abs(ours[:, None] - theirs[None]) <= AGREE_S * FS_HZ
    return 2 * min(near.any(axis=0).sum(), near.any(axis=1).sum()) / (len(ours) + len(theirs))


def disagreement(features: Mapping[str, Feature]) -> tuple[Message, ...]:
    """A message where NeuroKit2 was asked and finds other beats than our own detector."""
    if "nk_beats" not in features:
        return ()
    same, count = features["nk_agreement"].value, features["nk_beats"].value
    if same is None or count is None or same == 1.0:
        return ()
    return (message("beats_differ", count=count, percent=100 * same),)


def _tried(key: str, measure: Any) -> Feature:
    try:
        return _feature(key, measure())
    except (ValueError, IndexError, ZeroDivisionError, TypeError):
        return Feature.unknown(FEATURE_TITLES[key], "NeuroKit2 cannot measure it here", UNITS[key])


def _feature(key: str, value: float) -> Feature:
    if not np.isfinite(value):
        return Feature.unknown(FEATURE_TITLES[key], "NeuroKit2 cannot measure it here", UNITS[key])
    return Feature(FEATURE_TITLES[key], float(value), UNITS[key])


def _unknown(keys: Any, reason: str) -> dict[str, Feature]:
    return {key: Feature.unknown(FEATURE_TITLES[key], reason, UNITS[key]) for key in keys}
