"""What an ECG page is: its layouts, a drawer that knows exactly what it drew, and a camera."""

from ecg4u.paper.camera import Camera, Photo, photograph, random_camera
from ecg4u.paper.draw import DrawnPage, DrawnSegment, Labelled, draw_page
from ecg4u.paper.layouts import LAYOUTS, PageLayout, Segment, layout, part_of
from ecg4u.paper.style import Note, PageStyle, Rule

__all__ = [
    "LAYOUTS",
    "Camera",
    "DrawnPage",
    "DrawnSegment",
    "Labelled",
    "Note",
    "PageLayout",
    "PageStyle",
    "Photo",
    "Rule",
    "Segment",
    "draw_page",
    "layout",
    "part_of",
    "photograph",
    "random_camera",
]
