"""What an ECG page is: its layouts, and a drawer that knows exactly what it drew."""

from ecg4u.paper.draw import DrawnPage, DrawnSegment, Labelled, PageStyle, draw_page
from ecg4u.paper.layouts import LAYOUTS, PageLayout, Segment, layout

__all__ = [
    "LAYOUTS",
    "DrawnPage",
    "DrawnSegment",
    "Labelled",
    "PageLayout",
    "PageStyle",
    "Segment",
    "draw_page",
    "layout",
]
