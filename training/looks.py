"""A sampler of the looks and layouts of pages that are met in practice."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import numpy as np

from ecg4u.paper.layouts import LAYOUTS, PageLayout, layout, part_of
from ecg4u.paper.style import (
    FONTS,
    PLOTTER,
    Anchor,
    Casing,
    Colour,
    Grid,
    Note,
    PageStyle,
    Separators,
)
from ecg4u.record import LEADS

_GRID_HUES = MappingProxyType(
    {
        "pink": (238, 120, 160),
        "red": (225, 60, 60),
        "orange": (240, 140, 70),
        "green": (70, 165, 95),
        "blue": (90, 135, 205),
        "grey": (125, 125, 125),
        "brown": (160, 120, 95),
        "black": (25, 25, 25),
    }
)
_HUE_ODDS = (0.26, 0.18, 0.10, 0.07, 0.06, 0.11, 0.06, 0.16)
_PAPERS: tuple[Colour, ...] = (
    (255, 255, 255),
    (255, 250, 246),
    (250, 246, 238),
    (255, 235, 238),
    (252, 222, 226),
    (240, 240, 236),
    (246, 230, 212),
)
WORDS = (
    "Vent. rate 82 BPM",
    "PR interval 160 ms",
    "QRS duration 92 ms",
    "QT/QTc 382/457 ms",
    "P-R-T axes 52 -41 23",
    "Normal sinus rhythm",
    "Abnormal ECG",
    "Atrial fibrillation",
    "Left axis deviation",
    "Unconfirmed",
    "Nonspecific ST and T wave abnormality",
    "*** Poor data quality ***",
    "ID: 004512873",
    "Male 61 yr",
    "Female, 74 years",
    "12-FEB-2009 14:21:07",
    "Room: ER 4",
    "Technician: KL",
    "Test ind: chest pain",
    "HR 74/min",
    "P 104 ms",
    "QTc 411 ms",
    "Referred by:",
    "Confirmed by:",
    "Sinus tachycardia",
    "Borderline ECG",
    "Height 168 cm  Weight 72 kg",
    "Page 1 of 1",
    "Limb: 10 mm/mV Chest: 10 mm/mV",
    "F 50 Hz 0.15-150 Hz",
    "40 Hz",
    "25mm/s 10mm/mV 100Hz 8.0.1 12SL v239",
    "MAC55 009C",
    "LOC 2",
    "Speed: 25 mm/sec",
    "Dept: Cardiology",
    "Name:",
    "Date of birth:",
    "BP 132/84 mmHg",
    "I II III V1",
)


def _mixed(colour: Colour, paper: Colour, share: float) -> Colour:
    mixed = [round(c * share + p * (1 - share)) for c, p in zip(colour, paper, strict=True)]
    return mixed[0], mixed[1], mixed[2]


def random_style(rng: np.random.Generator, *, px_per_mm: float = 10.0) -> PageStyle:
    """A page's look, widely sampled: colours, grid, calibration, names, separators, words."""
    style = _random_grid(PageStyle(px_per_mm=px_per_mm), rng)
    style = _random_scale(style, rng)
    style = _random_ink(style, rng)
    style = _random_labels(style, rng)
    return _random_words(style, rng)


def _random_grid(style: PageStyle, rng: np.random.Generator) -> PageStyle:
    hue = list(_GRID_HUES)[int(rng.choice(len(_GRID_HUES), p=_HUE_ODDS))]
    paper = _PAPERS[int(rng.integers(len(_PAPERS)))]
    if hue in ("black", "grey", "blue", "green"):
        paper = _mixed((255, 255, 255), paper, 0.7)
    base = _GRID_HUES[hue]
    red, green, blue = (int(np.clip(c + rng.normal(0, 14), 0, 235)) for c in base)
    colour = red, green, blue
    coarse = rng.uniform(0.75, 1.0) if hue == "black" else rng.uniform(0.25, 1.0)
    fine = coarse * rng.uniform(0.35, 1.0)
    kinds: tuple[Grid, ...] = ("1mm", "5mm", "fine", "dots", "dotted", "none")
    framed = rng.random() < 0.2
    left, top, right, bottom = map(float, rng.uniform((2, 8, 2, 2), (8, 30, 8, 8)) * framed)
    coarse_width = float(rng.uniform(0.1, 0.45))
    offset_x, offset_y = map(float, rng.uniform(0, 5, 2))
    return replace(
        style,
        paper=paper,
        grid=kinds[int(rng.choice(6, p=(0.56, 0.12, 0.06, 0.08, 0.12, 0.06)))],
        grid_offset=(offset_x, offset_y),
        grid_inset=(left, top, right, bottom),
        grid_frame=bool(framed and rng.random() < 0.7),
        coarse_colour=_mixed(colour, paper, float(coarse)),
        fine_colour=_mixed(colour, paper, float(fine)),
        coarse_width=coarse_width,
        fine_width=float(rng.uniform(0.06, min(0.25, coarse_width))),
    )


def _random_scale(style: PageStyle, rng: np.random.Generator) -> PageStyle:
    gain = float(rng.choice((5.0, 10.0, 20.0), p=(0.1, 0.8, 0.1)))
    chest = gain / 2 if gain > 5 and rng.random() < 0.1 else None
    left, top, right, bottom = map(float, rng.uniform((6, 8, 2, 4), (22, 40, 20, 25)))
    return replace(
        style,
        gain_mm_per_mv=gain,
        chest_gain_mm_per_mv=chest,
        speed_mm_per_s=50.0 if rng.random() < 0.12 else 25.0,
        margin=(left, top, right, bottom),
        row_pitch=float(rng.uniform(11, 38) if rng.random() < 0.85 else rng.uniform(8, 14)),
        column_gap=float(rng.uniform(4, 18)) if rng.random() < 0.2 else 0.0,
        joined=bool(rng.random() < 0.35),
        pulse=("left", "right", "both", "columns", "none")[
            int(rng.choice(5, p=(0.5, 0.12, 0.03, 0.08, 0.27)))
        ],
        pulse_s=0.2 if rng.random() < 0.7 else float(rng.uniform(0.08, 0.2)),
        pulse_foot=float(rng.uniform(0.0, 2.0)),
    )


def _random_ink(style: PageStyle, rng: np.random.Generator) -> PageStyle:
    dark = rng.integers(0, 70)
    tint = rng.integers(-10, 26, 3) if rng.random() < 0.6 else np.array((0, 0, 70))
    colour = np.clip(dark + tint, 0, 150)
    separators: tuple[Separators, ...] = ("none", "ticks", "tall", "dotted")
    width = float(rng.choice((rng.uniform(0.12, 0.35), rng.uniform(0.3, 0.8))))
    return replace(
        style,
        trace_colour=(int(colour[0]), int(colour[1]), int(colour[2])),
        trace_width=width,
        separator_width=width,
        separators=separators[int(rng.choice(4, p=(0.45, 0.3, 0.1, 0.15)))],
    )


def _random_labels(style: PageStyle, rng: np.random.Generator) -> PageStyle:
    height = float(rng.uniform(1.6, 4.2))
    place = rng.choice(("above", "below", "start", "margin"), p=(0.45, 0.3, 0.17, 0.08))
    anchor: Anchor = "ls"
    if place == "above":
        offset = (rng.uniform(-1, 5), -rng.uniform(1.5, max(3.0, style.row_pitch * 0.45)))
    elif place == "below":
        offset = (rng.uniform(-1, 4), height + rng.uniform(0.5, max(1.5, style.row_pitch * 0.3)))
    elif place == "start":
        offset, anchor = (rng.uniform(-1, 1), height / 2 + rng.normal(0, 1)), "ms"
    else:
        offset, anchor = (-rng.uniform(0.5, 2), height / 2), "rs"
    font = PLOTTER if rng.random() < 0.12 else FONTS[int(rng.integers(len(FONTS)))]
    casings: tuple[Casing, ...] = ("standard", "upper", "lower")
    return replace(
        style,
        labels=bool(rng.random() > 0.04),
        label_height=height,
        label_offset=(float(offset[0]), float(offset[1])),
        label_anchor=anchor,
        label_font=font,
        label_casing=casings[int(rng.choice(3, p=(0.8, 0.17, 0.03)))],
        label_stretch=float(rng.uniform(0.7, 1.2)),
        label_tracking=float(rng.uniform(0, 1.2)) if rng.random() < 0.2 else 0.0,
    )


def _random_words(style: PageStyle, rng: np.random.Generator) -> PageStyle:
    usual = (style.speed_mm_per_s, style.gain("I"), style.gain("V1")) == (25.0, 10.0, 10.0)
    words = WORDS if usual else tuple(w for w in WORDS if "mm/" not in w)

    def pick(most: int) -> tuple[str, ...]:
        return tuple(str(w) for w in rng.choice(words, int(rng.integers(0, most + 1))))

    height = float(rng.uniform(1.6, 3.6))
    font = FONTS[int(rng.integers(len(FONTS)))]
    notes = tuple(
        Note(words, float(rng.uniform(5, 220)), float(rng.uniform(4, 150)), height, font)
        for words in pick(2)
    ) + tuple(
        Note(words, float(x), 4.0 + 1.5 * height * line, height, font)
        for x in rng.uniform(60, 200, 2)
        for line, words in enumerate(pick(4))
    )
    chest = style.chest_gain_mm_per_mv
    gain = f"{style.gain_mm_per_mv:g}{f'-{chest:g}' if chest else ''}"
    scale: tuple[str, ...] = (f"{style.speed_mm_per_s:g} mm/s", f"{gain} mm/mV")
    if rng.random() < 0.3:
        scale = (f"{style.speed_mm_per_s:g}mm/s {gain}mm/mV", *pick(2))
    return replace(
        style,
        header=pick(4),
        footer=scale if rng.random() < 0.75 else (),
        notes=notes if rng.random() < 0.6 else (),
        text_font=font,
        text_height=height,
    )


def random_layout(rng: np.random.Generator) -> PageLayout:
    """A layout: mostly the named ones, some in an unusual order, some only part of a page."""
    names = list(LAYOUTS)
    odds = np.array([4.0 if name.startswith("3x4") else 1.5 for name in names])
    chosen = LAYOUTS[names[int(rng.choice(len(names), p=odds / odds.sum()))]]
    if rng.random() < 0.12:
        rows, columns = ((3, 4), (6, 2), (12, 1), (4, 3))[int(rng.integers(4))]
        order = [str(lead) for lead in rng.permutation(LEADS)]
        strips = [str(lead) for lead in rng.choice(LEADS, int(rng.integers(0, 4)), replace=False)]
        chosen = layout(rows, columns, order=order, rhythm=strips, name="shuffled")
    if rng.random() < 0.12 and len(chosen.rows) > 2:
        keep = int(rng.integers(2, len(chosen.rows)))
        chosen = part_of(
            chosen, first_row=int(rng.integers(len(chosen.rows) - keep + 1)), rows=keep
        )
    return chosen
