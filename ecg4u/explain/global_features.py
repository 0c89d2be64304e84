"""Features of the whole ECG: rate, rhythm, P waves, intervals, axes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ecg4u.explain.beats import cut, linked
from ecg4u.explain.limits import P_PRESENT
from ecg4u.explain.measure import (
    INTERVAL_SD_MS,
    METHOD_SD_MS,
    P_WINDOW_S,
    Measured,
    joint,
    usual_changes,
)
from ecg4u.explain.result import Feature, LeadFeatures
from ecg4u.explain.signals import FS_HZ
from ecg4u.explain.titles import FEATURES as FEATURE_TITLES

P_WEIGHTS: Mapping[str, float] = {"correlation": 7.8, "probability": 2.3, "change": -5.3}
P_BIAS = -0.9
"""Of the logistic model of P waves (`p_features`)."""
MIN_BEATS_FOR_RHYTHM = 5
MIN_BEATS_FOR_P = 3
"""Four intervals are the fewest that tell a rhythm, and two pairs of beats those that tell a P wave
that repeats."""
LEAST_PR_MS = 70.0
"""No shorter PR is known, not even in pre-excitation: what is marked is not the P wave alone."""

BOUNDARIES_IN_WORDS: Mapping[str, str] = {
    "P on": "P onset", "P off": "P offset",
    "QRS on": "QRS onset", "QRS off": "QRS offset",
    "T off": "T offset",
}  # fmt: skip

FloatArray = npt.NDArray[np.float64]


def global_features(measured: Measured, leads: Mapping[str, LeadFeatures]) -> dict[str, Feature]:
    """Each global feature by its name."""
    rhythm = rhythm_features(measured)
    present = rhythm["p_presence"].value
    intervals = interval_features(measured, rhythm["rate"].value, present)
    axes = {
        "axis": _axis("axis", leads, "qrs_area"),
        "p_axis": _axis("p_axis", leads, "p_area")
        if present is not None and present >= P_PRESENT
        else Feature.unknown("p_axis", "no P waves found", "deg"),
    }
    found = rhythm | intervals | axes
    return {key: replace(value, name=FEATURE_TITLES[key]) for key, value in found.items()}


UNITS: Mapping[str, str] = {
    "rate": "/min", "rr_range": "s", "rr_irregularity": "", "rr_change": "", "pvc": "", "pac": "",
    "p_correlation": "", "p_probability": "", "p_presence": "", "qrs": "ms", "qt": "ms",
    "pr": "ms", "p_duration": "ms", "qtc_bazett": "ms", "qtc_fridericia": "ms",
    "axis": "deg", "p_axis": "deg",
}  # fmt: skip


def nothing_measured(reason: str) -> dict[str, Feature]:
    """All global features as unknown for one reason."""
    unknown = {k: Feature.unknown(FEATURE_TITLES[k], reason, unit) for k, unit in UNITS.items()}
    return {"beats": Feature(FEATURE_TITLES["beats"], 0.0)} | unknown


def rhythm_features(measured: Measured) -> dict[str, Feature]:
    """Rate, RR irregularity, P presence and the counts of ectopic beats."""
    beats = measured.beats
    rr = np.diff(beats.r) / FS_HZ
    known = rr[linked(measured.signal, beats.r)]
    known = known if len(known) else rr
    out: dict[str, Feature] = {"beats": Feature("beats", float(len(beats)))}
    if len(rr) == 0:
        reason = "only one beat is shown"
        for name in ("rate", "rr_irregularity", "rr_change", "rr_range"):
            out[name] = Feature.unknown(name, reason, UNITS[name])
    else:
        mean = float(known.mean())
        error = 60 / mean**2 * float(known.std()) / np.sqrt(len(known))
        out["rate"] = Feature("rate", 60 / mean, "/min", float(error))
        out["rr_range"] = Feature("rr_range", float(np.ptp(known)), "s", 0.01)
        change = usual_irregularity(measured, rr)
        out["rr_change"] = (
            Feature.unknown("rr_change", "fewer than five beats are shown")
            if len(beats) < MIN_BEATS_FOR_RHYTHM
            else Feature.unknown("rr_change", "too few successive beats of one shape")
            if change is None
            else Feature("rr_change", change)
        )
        out["rr_irregularity"] = (
            Feature("rr_irregularity", irregularity(known), "")
            if len(beats) >= MIN_BEATS_FOR_RHYTHM
            else Feature.unknown("rr_irregularity", "fewer than five beats are shown")
        )
    out["pvc"] = Feature("pvc", float(sum(b.kind == "PVC" for b in measured.kinds)))
    out["pac"] = Feature("pac", float(sum(b.kind == "PAC" for b in measured.kinds)))
    out |= p_features(measured, rr)
    return out


def irregularity(rr: FloatArray) -> float:
    """RMSSD of the RR intervals over their mean."""
    return float(np.sqrt(np.mean(np.diff(rr) ** 2)) / rr.mean()) if len(rr) > 1 else 0.0


def p_features(measured: Measured, rr: FloatArray) -> dict[str, Feature]:
    """Whether the same P wave stands before every usual beat.

    ``p_correlation`` is the beat-to-beat correlation of the window 280 to 70 ms before R,
    ``p_probability`` the wave network's opinion; ``p_presence`` joins both with the RR
    irregularity by a logistic model fitted on the validation split (AF against the rest, n = 412).
    """
    correlation = p_correlation(measured)
    if correlation is None:
        reason = "too few complete beats to compare"
        return {
            name: Feature.unknown(name, reason)
            for name in ("p_correlation", "p_probability", "p_presence")
        }
    probability = p_probability(measured)
    score = (
        P_BIAS
        + P_WEIGHTS["correlation"] * correlation
        + P_WEIGHTS["probability"] * probability
        + P_WEIGHTS["change"] * min(usual_irregularity(measured, rr) or 0.0, 0.3)
    )
    return {
        "p_correlation": Feature("p_correlation", correlation),
        "p_probability": Feature("p_probability", probability),
        "p_presence": Feature("p_presence", float(1 / (1 + np.exp(-score)))),
    }


def usual_irregularity(measured: Measured, rr: FloatArray) -> float | None:
    """Median relative change between successive RR intervals of usual beats; None if too few."""
    usual = np.array([b.kind in ("usual", "PAC") for b in measured.kinds], dtype=bool)
    changes = usual_changes(rr, usual)
    return float(np.median(changes)) if len(changes) >= 2 else None


def p_correlation(measured: Measured) -> float | None:
    """Mean correlation between successive usual beats before the QRS, pooled over leads."""
    usual = np.flatnonzero([b.kind in ("usual", "PAC") for b in measured.kinds])
    if len(usual) < MIN_BEATS_FOR_P:
        return None
    parts = cut(measured.signal, measured.beats.r[usual], P_WINDOW_S[0], -P_WINDOW_S[1])
    steps = np.linspace(-1, 1, parts.shape[1])
    centred = parts - parts.mean(axis=1, keepdims=True)
    slope = (centred * steps[None, :, None]).sum(axis=1) / (steps**2).sum()
    flat = centred - slope[:, None] * steps[None, :, None]
    scores = []
    for lag in (1, 2):
        a, b = flat[:-lag], flat[lag:]
        both = np.isfinite(a).all(axis=1) & np.isfinite(b).all(axis=1)
        a, b = (np.where(both[:, None], part, 0.0) for part in (a, b))
        product = (a * b).sum(axis=(1, 2))
        scale = np.sqrt((a**2).sum(axis=(1, 2)) * (b**2).sum(axis=(1, 2)))
        scores += (product[scale > 0] / scale[scale > 0]).tolist()
    return float(np.mean(scores)) if len(scores) >= 2 else None


def p_probability(measured: Measured) -> float:
    """Highest beat-averaged P probability before the QRS, median over the leads shown."""
    median = measured.median
    if median is None:
        return 0.0
    stop = median.centre - round(0.03 * FS_HZ)
    curves = median.probability[:stop, median.counts > 0, 0]
    curves = curves[:, np.isfinite(curves).any(axis=0)]
    return float(np.median(np.nanmax(curves, axis=0))) if curves.size else 0.0


def interval_features(
    measured: Measured, rate: float | None, present: float | None
) -> dict[str, Feature]:
    """PR, QRS width, QT and QTc from the joint wave boundaries of the median beat."""
    at = {name: joint(measured, name) for name in METHOD_SD_MS}
    out = {
        "qrs": _interval("qrs", at, "QRS on", "QRS off"),
        "qt": _interval("qt", at, "QRS on", "T off"),
    }
    if present is not None and present < P_PRESENT:
        out["pr"] = Feature.unknown("pr", "no P waves found before the QRS", "ms")
        out["p_duration"] = Feature.unknown("p_duration", "no P waves found", "ms")
    else:
        out["pr"] = _interval("pr", at, "P on", "QRS on")
        if (out["pr"].value or LEAST_PR_MS) < LEAST_PR_MS:
            out["pr"] = Feature.unknown(
                "pr", "the P wave could not be separated from the QRS", "ms"
            )
        out["p_duration"] = _interval("p_duration", at, "P on", "P off")
    qt = out["qt"]
    for name, power in (("qtc_bazett", 1 / 2), ("qtc_fridericia", 1 / 3)):
        if qt.value is None or rate is None:
            out[name] = Feature.unknown(name, qt.reason or "no rate", "ms")
        else:
            factor = (60 / rate) ** -power
            out[name] = Feature(name, qt.value * factor, "ms", (qt.uncertainty or 0) * factor)
    return out


def _interval(
    name: str, at: Mapping[str, tuple[float | None, float, int]], first: str, last: str
) -> Feature:
    (start, start_sd, n), (end, end_sd, m) = at[first], at[last]
    if start is None or end is None:
        lacking = BOUNDARIES_IN_WORDS[first if start is None else last]
        return Feature.unknown(name, f"{lacking} could not be delineated in the median beat", "ms")
    spread = np.hypot(start_sd / np.sqrt(n), end_sd / np.sqrt(m))
    method = INTERVAL_SD_MS.get(name, np.hypot(METHOD_SD_MS[first], METHOD_SD_MS[last]))
    return Feature(name, end - start, "ms", float(np.hypot(spread, method)))


def _axis(name: str, leads: Mapping[str, LeadFeatures], area: str) -> Feature:
    """Frontal axis from the net area in two limb leads (I and aVF where shown)."""
    one, foot = leads["I"].value(area), leads["aVF"].value(area)
    two, three = leads["II"].value(area), leads["III"].value(area)
    if one is not None and foot is not None:
        x, y = one, 2 / np.sqrt(3) * foot
    elif one is not None and two is not None:
        x, y = one, (2 * two - one) / np.sqrt(3)
    elif two is not None and three is not None:
        x, y = two - three, (two + three) / np.sqrt(3)
    else:
        return Feature.unknown(name, "no two limb leads show a complete beat", "deg")
    if np.hypot(x, y) < 1.0:
        return Feature.unknown(name, "net deflection near zero in the limb leads", "deg")
    return Feature(name, float(np.degrees(np.arctan2(y, x))), "deg", 5.0)
