"""A digitization as plain values, for ``result.json``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ecg4u.digitize.signals.quality import einthoven_residuals, worst
from ecg4u.digitize.types import told
from ecg4u.messages import as_data

if TYPE_CHECKING:
    from ecg4u.digitize.result import Digitization


def describe(result: Digitization) -> dict[str, Any]:
    """Page, grid, calibration, layout, leads with coverage and quality, warnings, timings."""
    import numpy as np

    page, grid, calibration = result.page, result.rectified.grid, result.calibration
    coverage = result.record.coverage()
    confidence = result.record.confidence
    residuals = einthoven_residuals(result.record.p_signal)
    leads = {}
    for column, name in enumerate(result.record.sig_name):
        traces = [t for t in result.traces if t.lead == name]
        known = np.isfinite(result.record.p_signal[:, column])
        mean = None
        if confidence is not None and known.any():
            mean = round(float(confidence[known, column].mean()), 3)
        reasons = sorted({reason for t in traces for reason in t.reasons})
        leads[name] = {
            "coverage": round(coverage[name], 4),
            "confidence": mean,
            "misread": max((t.misread for t in traces), default=None),
            "grade": worst([t.grade for t in traces]),
            "named_by": traces[0].named_by if traces else None,
            "einthoven_residual_mv": _rounded(residuals.get(name)),
            "reasons": reasons,
            "messages": as_data(reasons),
            "segments": [
                {
                    "row": t.row,
                    "start_s": round(t.start_s, 3),
                    "duration_s": round(len(t.signal) / result.record.fs, 3),
                    "rhythm": t.rhythm,
                }
                for t in traces
            ],
        }
    return {
        "page": {
            "width": int(page.image.shape[1]),
            "height": int(page.image.shape[0]),
            "number": page.number,
            "n_pages": page.n_pages,
            "format": page.format,
        },
        "grid": {
            **{k: v for k, v in asdict(grid).items() if k != "pulse" or v is not None},
            "confidence": told(grid.confidence),
            "residual_mm": told(grid.residual_mm),
            "source_px_per_mm": tuple(told(value) for value in grid.source_px_per_mm),
            "turned_deg": told(grid.turned_deg),
        },
        "calibration": {
            "gain_mm_per_mv": calibration.gain_mm_per_mv,
            "gain_from": calibration.gain_from,
            "chest_gain_mm_per_mv": calibration.gain_for("V1"),
            "chest_gain_from": calibration.gain_from_for("V1"),
            "speed_mm_per_s": calibration.speed_mm_per_s,
            "speed_from": calibration.speed_from,
            "pulse_height_mm": calibration.pulse_height_mm,
            "pulse_width_mm": calibration.pulse_width_mm,
        },
        "layout": {
            "name": result.layout.name,
            "confidence": round(told(result.layout.confidence), 3),
        },
        "leads": leads,
        "einthoven_residual_mv": {name: _rounded(value) for name, value in residuals.items()},
        "grade": result.grade,
        "grade_reasons": list(result.grade_reasons),
        "grade_messages": as_data(result.grade_reasons),
        "corrections": list(result.corrections),
        "warnings": list(result.warnings),
        "messages": as_data(result.warnings),
    }


def _rounded(millivolts: float | None) -> float | None:
    return None if millivolts is None else round(millivolts, 4)
