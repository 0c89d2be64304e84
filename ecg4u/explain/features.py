"""Measured features of an ECG: each a value with unit and uncertainty, or None with a reason."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ecg4u.explain.global_features import global_features, nothing_measured
from ecg4u.explain.lead_features import lead_features, nothing
from ecg4u.explain.limits import P_PRESENT
from ecg4u.explain.measure import METHOD_SD_MS, Measured, joint
from ecg4u.explain.result import Features
from ecg4u.explain.signals import FS_HZ
from ecg4u.record import LEADS

NO_BEATS = "no QRS complexes found"


def features(measured: Measured) -> Features:
    """All features of what was measured."""
    if measured.median is None:
        leads = {lead: nothing(lead, NO_BEATS) for lead in LEADS}
        return Features(nothing_measured(NO_BEATS), leads, (), ())

    waves_ms = {name: joint(measured, name) for name in METHOD_SD_MS}
    waves_s = {name: None if at is None else at / 1000 for name, (at, _, _) in waves_ms.items()}
    leads = {lead: lead_features(measured, lead, waves_s) for lead in LEADS}
    rr = tuple(float(v) for v in np.diff(measured.beats.r) / FS_HZ)
    found = global_features(measured, leads)
    kinds = measured.kinds
    if found["p_presence"].value is not None and found["p_presence"].value < P_PRESENT:
        # Without P waves "early" means nothing: fibrillation is irregular throughout.
        kinds = tuple(replace(b, kind="usual") if b.kind == "PAC" else b for b in kinds)
        found["pac"] = replace(found["pac"], value=0.0)
    return Features(found, leads, kinds, rr, waves_s)
