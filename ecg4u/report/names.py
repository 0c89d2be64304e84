"""The words of the report for classes, verdicts, grades and stages."""

from __future__ import annotations

CLASS_TITLES = {
    "Normal": "Normal ECG",
    "AF": "Atrial fibrillation",
    "I-AVB": "First-degree AV block",
    "LBBB": "Left bundle branch block",
    "RBBB": "Right bundle branch block",
    "PAC": "Premature atrial contraction",
    "PVC": "Premature ventricular contraction",
    "STD": "ST depression",
    "STE": "ST elevation",
}

VERDICTS = {
    "ok": "The network is within its usual range on this ECG.",
    "uncertain": "The network is not sure about this ECG.",
    "unreadable": "The network gives no opinion: too little of this ECG could be read.",
}

SECTIONS = ("Rate", "Rhythm", "Axis", "Intervals", "QRS", "ST-T", "Conclusion")
"""The standard order of an ECG reading."""

SCALE_SOURCES = {
    "pulse": "read from the calibration pulse",
    "text": "read from the page's print",
    "layout": "from the page's layout",
    "user": "given by the user",
    "assumed": "assumed: not found on the page",
}

GRID_SOURCES = {
    "grid": "measured from the paper's grid",
    "dpi": "from the file's resolution",
    "none": "not found",
}

DISCLAIMER = (
    "A research and teaching aid, not a medical device. It can be wrong, and says nothing about "
    "findings outside its nine classes. Read the tracing yourself; decide nothing on this alone."
)
