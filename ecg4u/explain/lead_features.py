"""Features of one lead, from its median beat."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ecg4u.explain.measure import METHOD_SD_MV, NO_LEAD, Measured
from ecg4u.explain.morphology import (
    Deflection,
    QRSShape,
    STShape,
    pq_level,
    qrs_shape,
    slurred,
    st_shape,
)
from ecg4u.explain.result import Feature, LeadFeatures
from ecg4u.explain.signals import FS_HZ
from ecg4u.explain.titles import FEATURES as FEATURE_TITLES
from ecg4u.record import LEADS

UNITS: Mapping[str, str] = {
    "q": "mV", "r": "mV", "s": "mV", "r_prime": "mV", "p": "mV", "t": "mV", "j": "mV",
    "st60": "mV", "st_slope": "mV/s", "s_ms": "ms", "r_peak_time": "ms",
    "terminal": "mV", "notches": "", "slurred": "", "rsr": "",
    "qrs_area": "mV ms", "p_area": "mV ms",
}  # fmt: skip


def lead_features(
    measured: Measured, lead: str, waves_s: Mapping[str, float | None]
) -> LeadFeatures:
    """Amplitudes, times and ST level of ``lead``; ``waves_s`` are the joint wave boundaries."""
    median = measured.median
    column = LEADS.index(lead)
    count = 0 if median is None else int(median.counts[column])
    if median is None or count == 0:
        return nothing(lead, NO_LEAD)
    onset, offset = waves_s["QRS on"], waves_s["QRS off"]
    if onset is None or offset is None:
        return nothing(lead, "QRS onset and offset not found", count)
    start, end = (median.centre + value * FS_HZ for value in (onset, offset))
    beat = median.signal[:, column] - pq_level(median.signal[:, column], start)
    shape = qrs_shape(beat, start, end)
    if shape is None:
        return nothing(lead, "the QRS is incomplete", count)
    t_off = waves_s["T off"]
    st = st_shape(beat, end, None if t_off is None else median.centre + t_off * FS_HZ)
    noise = float(np.nan_to_num(median.noise[column], nan=METHOD_SD_MV))
    values = _qrs_values(shape, beat, start, end) | _st_values(st) | _p_values(measured, column)
    found = {name: _feature(name, value, noise) for name, value in values.items()}
    return LeadFeatures(lead, count, found)


def nothing(lead: str, reason: str, count: int = 0) -> LeadFeatures:
    unknown = {
        name: Feature.unknown(FEATURE_TITLES[name], reason, unit) for name, unit in UNITS.items()
    }
    return LeadFeatures(lead, count, unknown)


def _feature(name: str, value: float | None, noise: float) -> Feature:
    unit = UNITS[name]
    if value is None or not np.isfinite(value):
        return Feature.unknown(FEATURE_TITLES[name], "not present in this lead", unit)
    sd = {"mV": float(np.hypot(noise, METHOD_SD_MV)), "ms": 10.0, "mV/s": 0.4}.get(unit)
    return Feature(FEATURE_TITLES[name], float(value), unit, sd)


def _mv(turn: Deflection | None) -> float | None:
    return None if turn is None else turn.mv


def _qrs_values(
    shape: QRSShape, beat: np.ndarray, start: float, end: float
) -> dict[str, float | None]:
    last_r = shape.r_prime or shape.r
    return {
        "q": _mv(shape.q),
        "r": _mv(shape.r),
        "s": _mv(shape.s),
        "r_prime": _mv(shape.r_prime),
        "r_peak_time": None if last_r is None else last_r.time_ms,
        "s_ms": shape.s_ms,
        "notches": float(shape.notches),
        "slurred": float(slurred(beat, start, end)),
        "rsr": float(shape.r_prime is not None),
        "terminal": shape.terminal_mv,
        "qrs_area": shape.area_mv_ms,
    }


def _st_values(st: STShape | None) -> dict[str, float | None]:
    if st is None:
        return {"j": None, "st60": None, "st_slope": None, "t": None}
    return {"j": st.j_mv, "st60": st.st60_mv, "st_slope": st.slope_mv_s, "t": st.t_mv}


def _p_values(measured: Measured, column: int) -> dict[str, float | None]:
    on, off = measured.waves["P on"][column], measured.waves["P off"][column]
    median = measured.median
    if median is None or not (np.isfinite(on) and np.isfinite(off)):
        return {"p": None, "p_area": None}
    part = median.signal[max(round(on), 0) : round(off) + 1, column]
    if len(part) < 4 or not np.isfinite(part).all():
        return {"p": None, "p_area": None}
    part = part - np.linspace(part[0], part[-1], len(part))
    return {
        "p": float(part[np.argmax(np.abs(part))]),
        "p_area": float(part.sum() * 1000 / FS_HZ),
    }
