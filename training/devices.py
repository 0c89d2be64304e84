"""Thirty kinds of recorder, described by what their pages show.

Each is a layout and a look: where names, pulses, separators, heading and printed scale stand, what
the grid is like. They are put together from what is seen on pages of many makers; none is a copy
of one maker's page. A new device is an entry here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ecg4u.paper.layouts import LAYOUTS, PageLayout, layout
from ecg4u.paper.style import Note, PageStyle, Rule

RED = {"fine_colour": (250, 205, 205), "coarse_colour": (235, 150, 150), "paper": (255, 250, 248)}
STRONG_RED = {
    "fine_colour": (245, 170, 170),
    "coarse_colour": (225, 90, 90),
    "paper": (255, 255, 255),
}
ORANGE = {"fine_colour": (250, 215, 185), "coarse_colour": (240, 170, 110)}
GREEN = {
    "fine_colour": (205, 230, 210),
    "coarse_colour": (140, 195, 155),
    "paper": (253, 255, 252),
}
GREY = {
    "fine_colour": (228, 228, 228),
    "coarse_colour": (185, 185, 185),
    "paper": (255, 255, 255),
}
BLUE = {"fine_colour": (215, 225, 245), "coarse_colour": (150, 175, 220), "paper": (255, 255, 255)}
HALF_DOTS = {
    "grid": "dots",
    "dot_step": 0.5,
    "coarse_dotted": True,
    "fine_colour": (238, 150, 150),
    "coarse_colour": (230, 120, 120),
    "paper": (255, 255, 255),
}
MEASURED = (
    Note("Vent. rate 76 BPM", 20, 6, 2.4),
    Note("PR interval 152 ms", 20, 10, 2.4),
    Note("QRS duration 94 ms", 20, 14, 2.4),
    Note("QT/QTc 388/436 ms", 75, 6, 2.4),
    Note("P-R-T axes 48 12 37", 75, 10, 2.4),
    Note("Normal sinus rhythm", 140, 6, 2.8),
    Note("Unconfirmed", 140, 11, 2.8),
)


@dataclass(frozen=True)
class Device:
    """One kind of recorder: its pages' layout and what their look fixes."""

    name: str
    layout: PageLayout
    fixed: dict[str, Any] = field(default_factory=dict)

    def style(self, rng: np.random.Generator) -> PageStyle:
        """The look of one page: what the device fixes, and what differs from page to page."""
        style = PageStyle(
            grid_offset=(float(rng.uniform(0, 5)), float(rng.uniform(0, 5))),
            row_pitch=float(rng.uniform(22, 30)),
            trace_width=float(rng.uniform(0.2, 0.4)),
        )
        style = replace(style, **self.fixed)
        left, top, right, bottom = style.margin
        return replace(
            style,
            margin=(left + float(rng.uniform(0, 4)), top + float(rng.uniform(0, 4)), right, bottom),
        )


def _device(name: str, page: str | PageLayout, *looks: dict[str, Any], **fixed: Any) -> Device:
    merged: dict[str, Any] = {}
    for look in (*looks, fixed):
        merged |= look
    return Device(name, LAYOUTS[page] if isinstance(page, str) else page, merged)


def _heading(y: float) -> tuple[Rule, ...]:
    return (Rule(5, y, 270, y, 0.3),)


DEVICES: tuple[Device, ...] = (
    _device(
        "measurements over pink paper",
        "3x4+1",
        RED,
        notes=MEASURED,
        margin=(12, 28, 8, 10),
        footer=("25mm/s 10mm/mV 150Hz",),
    ),
    _device(
        "the same without strip", "3x4", RED, notes=MEASURED, margin=(12, 28, 8, 10), joined=True
    ),
    _device(
        "three strips",
        "3x4+3",
        ORANGE,
        row_pitch=21.0,
        label_offset=(0.5, -5.5),
        footer=("25 mm/s", "10 mm/mV", "0.05-150 Hz"),
    ),
    _device(
        "half-mm dots, full separators, heading rule",
        "3x4+1",
        HALF_DOTS,
        separators="full",
        separator_reach=4.0,
        rules=_heading(16),
        notes=MEASURED,
        margin=(14, 32, 8, 10),
        label_font="DejaVuSans-Bold",
    ),
    _device(
        "half-mm dots, no strip, ends marked",
        "3x4",
        HALF_DOTS,
        separators="full",
        separator_reach=6.0,
        separator_ends=True,
        margin=(14, 30, 8, 10),
    ),
    _device(
        "ticks above and below the column ends",
        "3x4+1",
        STRONG_RED,
        separators="outer",
        separator_reach=2.5,
        separator_gap=1.2,
        joined=True,
        label_offset=(2.0, -5.0),
    ),
    _device(
        "thick ticks on the line, names below",
        "3x4+1",
        RED,
        separators="ticks",
        separator_width=0.7,
        separator_reach=2.5,
        label_offset=(0.8, 6.0),
    ),
    _device(
        "6x2, pulse in the middle of nothing",
        "6x2",
        RED,
        row_pitch=21.0,
        footer=("25 mm/sec", "10.0 mm/mV"),
    ),
    _device(
        "6x2 with a strip, pulses at the right",
        "6x2+1",
        ORANGE,
        pulse="right",
        row_pitch=20.0,
    ),
    _device(
        "6x2, the same five seconds twice",
        "6x2+1-simultaneous",
        GREEN,
        row_pitch=20.0,
        label_casing="upper",
    ),
    _device(
        "50 mm/s, 6x2",
        layout(6, 2, duration_s=5.0, name="6x2-5s"),
        GREEN,
        speed_mm_per_s=50.0,
        row_pitch=21.0,
        footer=("50 mm/s", "10 mm/mV"),
    ),
    _device("12x1", "12x1", RED, row_pitch=14.0, label_offset=(0.5, -3.0), label_height=2.2),
    _device(
        "12x1 at 5 mm/mV",
        "12x1",
        GREY,
        row_pitch=13.0,
        gain_mm_per_mv=5.0,
        label_offset=(-1.0, 1.0),
        label_anchor="rs",
        label_height=2.2,
        footer=("25 mm/s", "5 mm/mV"),
    ),
    _device("4x3", "4x3", RED, footer=("25 mm/s  10 mm/mV",)),
    _device("4x3 with a strip", "4x3+1", BLUE, trace_colour=(25, 25, 120)),
    _device("Cabrera, 6x2", "6x2-cabrera", ORANGE, row_pitch=21.0),
    _device("Cabrera with a strip", "3x4+1-cabrera", STRONG_RED),
    _device("Cabrera, 12x1", "12x1-cabrera", GREEN, row_pitch=14.0, label_offset=(0.5, -3.0)),
    _device(
        "bars before the names",
        "3x4",
        GREY,
        separators="bar",
        label_offset=(1.5, -6.0),
        notes=(Note("x1.0", 20, 8, 2.4), Note("25mm/sec", 40, 8, 2.4)),
        footer=(),
    ),
    _device(
        "pulses before every column",
        "3x4+1",
        RED,
        pulse="columns",
        row_pitch=24.0,
        label_offset=(0.5, -8.0),
    ),
    _device("one pulse, first row", "3x4+1", RED, pulse_rows="first", label_casing="upper"),
    _device(
        "no pulse, scale printed",
        "3x4+1",
        GREY,
        pulse="none",
        notes=(Note("Speed: 25 mm/sec Limb: 10 mm/mV Chest: 10.0 mm/mV", 20, 8, 2.4),),
        footer=(),
    ),
    _device("no pulse, no print", "3x4+1", RED, pulse="none", footer=()),
    _device(
        "chest leads at half the gain",
        "3x4+1",
        RED,
        chest_gain_mm_per_mv=5.0,
        pulse="columns",
        footer=("25 mm/s", "10-5 mm/mV"),
    ),
    _device("5-mm lines only", "3x4+1", STRONG_RED, grid="5mm"),
    _device("dotted mm lines", "3x4", ORANGE, grid="dotted"),
    _device("grey screen print, blue trace", "3x4+1", GREY, trace_colour=(30, 30, 160)),
    _device("gaps between columns", "3x4+1", RED, column_gap=8.0, label_offset=(0.0, -7.0)),
    _device(
        "20 mm/mV",
        "3x4+1",
        RED,
        gain_mm_per_mv=20.0,
        row_pitch=34.0,
        footer=("25 mm/s", "20 mm/mV"),
    ),
    _device(
        "frame and watermark",
        "3x4+1",
        RED,
        grid_frame=True,
        grid_inset=(4.0, 20.0, 4.0, 4.0),
        watermark="COPY",
        margin=(14, 30, 10, 12),
    ),
)
