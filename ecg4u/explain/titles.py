"""What features are called in sentences and tables."""

from __future__ import annotations

from collections.abc import Mapping

FEATURES: Mapping[str, str] = {
    "beats": "Beats",
    "rate": "Rate",
    "rr_range": "RR range (longest minus shortest)",
    "rr_irregularity": "RR irregularity (RMSSD / mean)",
    "rr_change": "Beat-to-beat RR change (median, share of RR)",
    "pvc": "Premature ventricular beats",
    "pac": "Premature atrial beats",
    "p_correlation": "Beat-to-beat correlation before the QRS",
    "p_probability": "P-wave delineation (wave network)",
    "p_presence": "P waves present (combined score, 0 to 1)",
    "pr": "PR interval",
    "p_duration": "P duration",
    "qrs": "QRS duration",
    "qt": "QT interval",
    "qtc_bazett": "QTc (Bazett)",
    "qtc_fridericia": "QTc (Fridericia)",
    "axis": "QRS axis",
    "p_axis": "P axis",
    "q": "Q",
    "r": "R",
    "s": "S",
    "r_prime": "R′",
    "p": "P",
    "t": "T",
    "j": "J point",
    "st60": "ST at J + 60 ms",
    "st_slope": "ST slope",
    "s_ms": "S duration",
    "r_peak_time": "R-peak time",
    "notches": "R notches",
    "slurred": "R slurred",
    "rsr": "rSR′",
    "terminal": "Terminal QRS (last 40 ms)",
    "qrs_area": "QRS area",
    "p_area": "P area",
    "nk_beats": "Beats (NeuroKit2)",
    "nk_agreement": "Beats, agreement with NeuroKit2",
    "nk_rr_cvsd": "RR irregularity, RMSSD / mean (NeuroKit2)",
    "nk_rr_cvnn": "RR variation, SD / mean (NeuroKit2)",
    "nk_rr_sampen": "RR sample entropy (NeuroKit2)",
    "nk_rr_shannon": "RR Shannon entropy (NeuroKit2)",
    "nk_p_share": "Beats with a P wave (NeuroKit2)",
    "nk_quality": "Signal quality (NeuroKit2)",
}

NOTES: Mapping[str, str] = {
    "p_probability": "low if the P waves have no clear onset and end",
    "p_presence": "from correlation (most weight), delineation and RR regularity",
}
"""What a reader must know to understand a value that another one seems to contradict."""
