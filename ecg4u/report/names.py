"""The words of the report for classes, verdicts, grades and stages."""

from __future__ import annotations

from ecg4u.record import CLASSES
from ecg4u.words import class_title

CLASS_TITLES = {name: class_title(name) for name in CLASSES}
"""The classes as the reading calls them, at the head of a line."""

SECTIONS = ("Rate", "Rhythm", "Axis", "Intervals", "QRS", "ST-T", "Conclusion")
"""The standard order of an ECG reading."""

SCALE_SOURCES = {
    "pulse": "read from the calibration pulse",
    "text": "printed on the page",
    "layout": "inferred from the page's layout",
    "user": "given by the user",
    "assumed": "assumed: not found on the page",
}

GRID_SOURCES = {
    "grid": "measured from the grid",
    "pulse": "from the calibration pulses: the paper shows no grid",
    "dpi": "from the file's resolution",
    "none": "not found",
}

DISCLAIMER = (
    "Research and teaching aid, not a medical device. It can be wrong and misses findings: "
    "read the tracing yourself."
)
