"""What features and classes are called in sentences and tables."""

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
    "p_probability": "low where a P wave has no clear borders",
    "p_presence": "from correlation (most weight), delineation and RR regularity",
}
"""What a reader must know to understand a value that another one seems to contradict."""

CLASSES: Mapping[str, str] = {
    "Normal": "a normal ECG",
    "AF": "atrial fibrillation",
    "I-AVB": "first-degree AV block",
    "LBBB": "left bundle branch block",
    "RBBB": "right bundle branch block",
    "PAC": "premature atrial beats",
    "PVC": "premature ventricular beats",
    "STD": "ST depression",
    "STE": "ST elevation",
}


def capital(text: str) -> str:
    """``text`` as the head of a line or sentence."""
    return text[:1].upper() + text[1:]


def inside(title: str) -> str:
    """A title as it stands within a sentence: PR, V1 and P-wave keep their capitals, words not."""
    first = title.split(" ")[0]
    keep = not first[1:].islower() or first[1] == "-"
    return title if keep else title[0].lower() + title[1:]


def listed(words: list[str] | tuple[str, ...]) -> str:
    """Words joined as in a sentence: a, b and c."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def percent(share: float) -> str:
    """A probability in whole percents, never a false 0 or 100 %."""
    if not 0.005 <= share <= 0.995:
        return "under 1 %" if share < 0.5 else "over 99 %"
    return f"{100 * share:.0f} %"


def places_of_time(seconds: list[float], most: int = 5) -> str:
    """Moments for a sentence: at 1.2 s, 4.5 s and 3 more."""
    shown = [f"{value:.1f} s" for value in seconds[:most]]
    if len(seconds) > most:
        shown.append(f"{len(seconds) - most} more")
    return listed(shown)
