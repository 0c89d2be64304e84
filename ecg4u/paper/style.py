"""How an ECG page looks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ecg4u.record import CHEST_LEADS

Colour = tuple[int, int, int]
Grid = Literal["1mm", "5mm", "fine", "dots", "dotted", "none"]
Pulse = Literal["left", "right", "both", "columns", "none"]
PulseShape = Literal["box", "droop", "stairs"]
PulseRows = Literal["every", "first", "last"]
Separators = Literal["none", "ticks", "tall", "dotted", "full", "outer", "double", "bar"]
Casing = Literal["standard", "upper", "lower"]
Anchor = Literal["ls", "ms", "rs"]

FONTS = (
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSans-Oblique",
    "DejaVuSansMono",
    "DejaVuSansMono-Bold",
    "DejaVuSerif",
    "DejaVuSerif-Bold",
    "STIXGeneral",
    "STIXGeneralBol",
    "STIXGeneralItalic",
    "cmr10",
    "cmss10",
    "cmtt10",
)
"""Fonts that matplotlib ships, by file name; ``"plotter"`` is a drawer's own stroke font."""
PLOTTER = "plotter"


@dataclass(frozen=True)
class Note:
    """A printed line of text; ``x`` and ``y`` (mm from the page's corner) are its lower left."""

    words: str
    x: float
    y: float
    height: float = 3.0
    font: str = "DejaVuSans"


@dataclass(frozen=True)
class Rule:
    """A printed straight line from (x0, y0) to (x1, y1), all in mm from the page's corner."""

    x0: float
    y0: float
    x1: float
    y1: float
    width: float = 0.3


@dataclass(frozen=True)
class PageStyle:
    """How a page looks; lengths in mm, colours RGB.

    ``chest_gain_mm_per_mv`` differs from ``gain_mm_per_mv`` on pages of mixed gain. ``grid`` is
    ``"1mm"`` (1 and 5 mm lines), ``"5mm"``, ``"fine"`` (1 mm lines only), ``"dots"`` (a dot at
    each crossing of lines ``dot_step`` apart), ``"dotted"`` (dotted mm lines) or ``"none"``;
    ``coarse_dotted`` makes dots every half mm of its 5 mm lines.

    ``separators`` stand where one lead of a row ends and the next begins: ``"ticks"`` across the
    baseline, ``"outer"`` above and below it, ``"double"`` ticks, ``"tall"`` over most of the row,
    ``"full"`` through all rows, ``"dotted"`` or a ``"bar"`` before each name.

    ``speed_fade`` makes the stroke paler where the pen moved fast: its darkness goes with this
    power of the stroke's length per mm of paper (1: the same ink for each mm of paper).
    ``head_pitch`` rounds heights to the dots of a printing head, ``dot_depth`` (0..1) is how far
    they stand apart.
    """

    px_per_mm: float = 10.0
    gain_mm_per_mv: float = 10.0
    chest_gain_mm_per_mv: float | None = None
    speed_mm_per_s: float = 25.0
    margin: tuple[float, float, float, float] = (12.0, 15.0, 10.0, 12.0)
    """Left, top, right, bottom."""
    row_pitch: float = 25.0
    column_gap: float = 0.0
    paper: Colour = (255, 250, 246)
    grid: Grid = "1mm"
    grid_offset: tuple[float, float] = (0.0, 0.0)
    grid_inset: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    """Left, top, right, bottom borders that the grid leaves free."""
    grid_frame: bool = False
    fine_colour: Colour = (248, 205, 205)
    coarse_colour: Colour = (238, 160, 160)
    dot_step: float = 1.0
    coarse_dotted: bool = False
    fine_width: float = 0.10
    coarse_width: float = 0.18
    trace_colour: Colour = (20, 20, 25)
    second_colour: Colour | None = None
    """Colour of every second row; None: as the others. So are the next three."""
    pulse_colour: Colour | None = None
    text_colour: Colour | None = None
    separator_colour: Colour | None = None
    trace_width: float = 0.30
    speed_fade: float = 0.0
    head_pitch: float = 0.0
    dot_depth: float = 0.0
    joined: bool = False
    """Whether the pen stays down between the leads of a row."""
    pulse: Pulse = "left"
    pulse_s: float = 0.2
    pulse_foot: float = 1.0
    pulse_shape: PulseShape = "box"
    pulse_rows: PulseRows = "every"
    pulse_lift: float = 0.0
    """How far the pulse's foot stands above the row's baseline."""
    pulse_joined: bool = False
    """Whether the foot runs on into the trace."""
    labels: bool = True
    label_height: float = 3.0
    """Height of a capital."""
    label_offset: tuple[float, float] = (1.0, -7.0)
    """From the start of the segment's baseline to the label's anchor."""
    label_anchor: Anchor = "ls"
    label_font: str = "DejaVuSans"
    label_casing: Casing = "standard"
    label_stretch: float = 1.0
    label_tracking: float = 0.0
    """Width over height against the font's own, and extra space between letters in mm."""
    separators: Separators = "none"
    separator_reach: float = 2.5
    """Half a tick's length, or all of an outer tick's; how far a full one passes the rows."""
    separator_gap: float = 0.75
    """What outer ticks leave free on either side of the baseline; half the step of dots."""
    separator_width: float = 0.3
    separator_ends: bool = False
    """Whether separators stand at the rows' two ends, too."""
    rules: tuple[Rule, ...] = ()
    watermark: str = ""
    header: tuple[str, ...] = ()
    footer: tuple[str, ...] = ("25 mm/s", "10 mm/mV")
    notes: tuple[Note, ...] = ()
    text_font: str = "DejaVuSans"
    text_height: float = 3.0

    def gain(self, lead: str) -> float:
        """mm/mV of a lead."""
        if lead in CHEST_LEADS and self.chest_gain_mm_per_mv is not None:
            return self.chest_gain_mm_per_mv
        return self.gain_mm_per_mv

    def printed(self, lead: str) -> str:
        """A lead's name as this page prints it."""
        if self.label_casing == "upper":
            return lead.upper()
        return lead.lower() if self.label_casing == "lower" and lead[0] in "aV" else lead
