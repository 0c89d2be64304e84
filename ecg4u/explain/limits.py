"""Clinical limits that criteria, findings and reading share, each in one place."""

from __future__ import annotations

from collections.abc import Mapping

RATE_PER_MIN = (50, 100)
"""Sinus bradycardia begins below 50 per minute (ACC/AHA/HRS 2018), tachycardia above 100."""
PR_MS = (120, 200)
WIDE_QRS_MS, BORDERLINE_QRS_MS = 120, 110
AXIS_DEG = (-30, 90)
"""Of adults; AHA/ACCF/HRS 2009 (JACC 53:976)."""
P_AXIS_DEG = (-15, 90)
"""Sinus P waves: 0 to 75 degrees, with 15 for measurement error."""
QTC_MS: Mapping[str, float] = {"F": 460.0, "M": 450.0}
"""From which QTc is prolonged, by sex; AHA/ACCF/HRS 2009 (JACC 53:982)."""
P_PRESENT = 0.5
"""P-wave score (`ecg4u.explain.global_features`) below which there are no consistent P waves."""
POOR_P = 0.3
"""P waves whose beat-to-beat correlation is lower are doubtful; chosen by eye."""
IRREGULAR = 0.08
"""Median successive RR change over median RR; chosen on the validation split, not published."""
INVERTED_T_MV = -0.1
"""AHA/ACCF/HRS 2009 (JACC 53:982)."""
UPRIGHT_T = ("I", "II", "V3", "V4", "V5", "V6")
"""Leads in which the T wave of an adult is upright (AHA/ACCF/HRS 2009, JACC 53:982)."""


def axis_deviation(degrees: float) -> str:
    """Where a frontal QRS axis deviates to: left, right or extreme; "" where it does not."""
    low, high = AXIS_DEG
    if low <= degrees <= high:
        return ""
    return "right" if degrees > high else "left" if degrees >= -90 else "extreme"
