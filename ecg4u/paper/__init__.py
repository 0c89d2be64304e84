"""What an ECG page is: its layouts, a drawer that knows exactly what it drew, and a camera."""

from ecg4u.paper.draw import DrawnPage, DrawnSegment, Labelled, draw_page
from ecg4u.paper.layouts import LAYOUTS, PageLayout, Segment, layout, part_of
from ecg4u.paper.style import Note, PageStyle, random_layout, random_style

__all__ = [
    "LAYOUTS",
    "DrawnPage",
    "DrawnSegment",
    "Labelled",
    "Note",
    "PageLayout",
    "PageStyle",
    "Segment",
    "draw_page",
    "layout",
    "part_of",
    "random_layout",
    "random_style",
]
