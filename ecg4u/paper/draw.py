"""Draws a record on ECG paper and keeps the exact truth of what was drawn.

Positions are in mm from the page's upper left corner while a page is laid out and in px in the
result; a pixel's centre has whole-number coordinates, and px = mm * px_per_mm. Lines are drawn
on a finer raster with sub-pixel ends and averaged down.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ecg4u.paper.layouts import PageLayout, Segment
from ecg4u.paper.lines import draw_rules, separators
from ecg4u.paper.pen import PULSE_ROOM_MM, Pen, runs
from ecg4u.paper.style import Colour, Note, PageStyle
from ecg4u.paper.text import Box, write
from ecg4u.record import ECGRecord

__all__ = [
    "DrawnPage", "DrawnSegment", "Labelled", "PageStyle", "Printed", "draw_page", "page_size_mm",
]  # fmt: skip

Pixels = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]

WATERMARK_SHARE = 0.12
WATERMARK_MM = 18.0


@dataclass(frozen=True, eq=False)
class DrawnSegment:
    """Truth of one segment.

    ``xy`` (n, 2) px is the curve's exact middle, one point a sample, NaN where the record is;
    ``mv`` (n,) its samples; ``box`` x0, y0, x1, y1 px encloses the ink.
    """

    lead: str
    row: int
    start_s: float
    zero_y: float
    xy: Points
    mv: npt.NDArray[np.float64]
    box: Box


@dataclass(frozen=True)
class Labelled:
    """A lead's name (in its standard casing) and its box, x0, y0, x1, y1 in px."""

    name: str
    box: Box


@dataclass(frozen=True)
class Printed:
    """A printed line: its words, its box, x0, y0, x1, y1 in px, its font, its capitals' height."""

    words: str
    box: Box
    font: str
    height_px: float


@dataclass(frozen=True, eq=False)
class DrawnPage:
    """A page and the truth about it; the masks are (H, W) uint8, 255 where the ink is full.

    ``separator`` holds straight print: separators, ticks, frames, rules; ``text`` all other print:
    names and words. The masks say where ink was meant to lie; ``inks`` are the layers that lie
    there, each with its colour, paler where the pen was fast. ``lines`` are its words other than
    names. ``background`` is the page before
    any ink but the grid's. ``grid_origin`` is the px position of a crossing of two 5-mm lines.
    """

    image: Pixels
    trace: Pixels
    text: Pixels
    pulse: Pixels
    separator: Pixels
    inks: tuple[tuple[Pixels, Colour], ...]
    background: Pixels
    segments: tuple[DrawnSegment, ...]
    labels: tuple[Labelled, ...]
    lines: tuple[Printed, ...]
    px_per_mm: float
    grid_origin: tuple[float, float]
    style: PageStyle = field(default_factory=PageStyle)


def page_size_mm(layout: PageLayout, style: PageStyle) -> tuple[float, float]:
    """Width and height that the layout needs, in whole 5-mm squares."""
    left, top, right, bottom = style.margin
    columns = max(len(row) for row in layout.rows)
    pulses = {"none": 0, "both": 2, "columns": columns}.get(style.pulse, 1)
    width = left + pulses * PULSE_ROOM_MM + layout.duration_s * style.speed_mm_per_s + right
    width += (columns - 1) * style.column_gap
    height = top + len(layout.rows) * style.row_pitch + bottom
    return float(np.ceil(width / 5) * 5), float(np.ceil(height / 5) * 5)


def draw_page(record: ECGRecord, layout: PageLayout, style: PageStyle | None = None) -> DrawnPage:
    """Draw ``record`` in ``layout``.

    Stretches that the record does not have (NaN, or beyond its end) stay empty.

    Returns
    -------
    DrawnPage
        The same bytes for the same input.
    """
    style = style or PageStyle()
    width_mm, height_mm = page_size_mm(layout, style)
    scale = style.px_per_mm
    shape = round(height_mm * scale), round(width_mm * scale)
    pen = Pen(shape, style)
    text, rules = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    segments, labels, places = [], [], []
    for row, content in enumerate(layout.rows):
        zero = style.margin[1] + (row + 0.5) * style.row_pitch
        starts = _starts(content, style)
        places.append((zero, starts, starts[-1] + content[-1].duration_s * style.speed_mm_per_s))
        for part, x in zip(content, starts, strict=True):
            segments.append(_segment(pen, record, part, row, (x, zero)))
            if style.labels:
                labels.append(_label(text, part.lead, (x, zero), style))
        if _has_pulse(row, len(layout.rows), style):
            _calibrate(pen, content, zero)
        if style.joined:
            _join(pen, segments[-len(content) :])
    draw_rules(rules, [*separators(places, style), *style.rules], scale)
    lines = _write_words(text, style, height_mm)
    background = _paper(shape, style)
    image = background.copy()
    inks, trace, pulse = _inks(pen, text, rules)
    for mask, colour in inks:
        lay_ink(image, mask, colour)
    origin = style.grid_offset[0] * scale, style.grid_offset[1] * scale
    truth = trace, text, pulse, rules
    what = tuple(segments), tuple(labels), lines
    return DrawnPage(image, *truth, inks, background, *what, scale, origin, style)


def _has_pulse(row: int, rows: int, style: PageStyle) -> bool:
    return {"every": True, "first": row == 0, "last": row + 1 == rows}[style.pulse_rows]


def _inks(
    pen: Pen, text: Pixels, lines: Pixels
) -> tuple[tuple[tuple[Pixels, Colour], ...], Pixels, Pixels]:
    """Layers of ink in the order in which they lie, and the masks of curves and pulses."""
    style = pen.style
    curves, pulse = pen.masks()
    hold = pen.hold()
    main = style.trace_colour
    inks = [
        (pulse, style.pulse_colour or main),
        (lines, style.separator_colour or main),
        (text, style.text_colour or main),
    ]
    for mask, colour in zip(curves, pen.colours, strict=True):
        held = mask if hold is None else np.round(mask * hold).astype(np.uint8)
        inks.append((held, colour))
    trace = curves[0] if len(curves) == 1 else np.maximum(curves[0], curves[1])
    return tuple(inks), trace, pulse


def lay_ink(image: Pixels, mask: Pixels, colour: Colour) -> None:
    """Lay ink of ``colour`` over the (H, W, 3) image where the (H, W) mask says, in place."""
    import cv2

    places = cv2.findNonZero(mask)
    if places is None:
        return
    x, y = places.reshape(-1, 2).T
    share = mask[y, x, None].astype(np.float32) / 255
    mixed = image[y, x] * (1 - share) + np.array(colour, np.float32) * share
    image[y, x] = np.round(mixed).astype(np.uint8)


def _starts(content: tuple[Segment, ...], style: PageStyle) -> list[float]:
    """Where each segment of a row begins, in mm."""
    before = style.pulse in ("left", "both", "columns")
    x = style.margin[0] + (PULSE_ROOM_MM if before else 0.0)
    starts = []
    for part in content:
        starts.append(x)
        x += part.duration_s * style.speed_mm_per_s + style.column_gap
        x += PULSE_ROOM_MM if style.pulse == "columns" else 0.0
    return starts


def _segment(
    pen: Pen, record: ECGRecord, part: Segment, row: int, origin_mm: tuple[float, float]
) -> DrawnSegment:
    """Draw one segment whose baseline starts at ``origin_mm``."""
    style = pen.style
    first, count = round(part.start_s * record.fs), round(part.duration_s * record.fs)
    mv = np.full(count, np.nan)
    shown = record.lead(part.lead)[first : first + count]
    mv[: len(shown)] = shown
    x = origin_mm[0] + np.arange(count) / record.fs * style.speed_mm_per_s
    y = origin_mm[1] - mv * style.gain(part.lead)
    xy = np.column_stack([x, y]) * style.px_per_mm
    for run in runs(xy):
        pen.curve(row, run)
    zero = origin_mm[1] * style.px_per_mm
    box = _box(xy, style.trace_width * style.px_per_mm / 2, zero)
    return DrawnSegment(part.lead, row, part.start_s, zero, xy, mv, box)


def _join(pen: Pen, segments: list[DrawnSegment]) -> None:
    """Keep the pen down from each segment of a row to the next."""
    for before, after in pairwise(segments):
        step = np.vstack([before.xy[-1], after.xy[0]])
        if np.isfinite(step).all() and pen.style.column_gap == 0:
            pen.curve(before.row, step)


def _calibrate(pen: Pen, content: tuple[Segment, ...], zero: float) -> None:
    """The pulses of one row."""
    style = pen.style
    starts = _starts(content, style)
    places: list[tuple[float, Segment]] = []
    if style.pulse in ("left", "both"):
        places.append((starts[0] - PULSE_ROOM_MM, content[0]))
    if style.pulse in ("right", "both"):
        end = starts[-1] + content[-1].duration_s * style.speed_mm_per_s
        places.append((end, content[-1]))
    if style.pulse == "columns":
        places += [(x - PULSE_ROOM_MM, part) for x, part in zip(starts, content, strict=True)]
    for x, part in places:
        pen.calibrate(x, zero, style.gain(part.lead))


def _box(xy: Points, pad: float, zero: float) -> Box:
    known = xy[np.isfinite(xy[:, 1])]
    if len(known) == 0:
        return float(xy[0, 0]), zero, float(xy[-1, 0]), zero
    low, high = known.min(axis=0) - pad, known.max(axis=0) + pad
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def _label(text: Pixels, lead: str, at_mm: tuple[float, float], style: PageStyle) -> Labelled:
    scale = style.px_per_mm
    at = (at_mm[0] + style.label_offset[0]) * scale, (at_mm[1] + style.label_offset[1]) * scale
    box = write(
        text,
        style.printed(lead),
        at,
        style.label_height * scale,
        font=style.label_font,
        anchor=style.label_anchor,
        stretch=style.label_stretch,
        tracking=style.label_tracking * scale,
    )
    return Labelled(lead, box)


def _write_words(text: Pixels, style: PageStyle, height_mm: float) -> tuple[Printed, ...]:
    scale, height = style.px_per_mm, style.text_height
    notes = [Note(w, 4.0, 1.6 * height * (n + 1), height) for n, w in enumerate(style.header)]
    notes += [Note(w, 20.0 + 45.0 * n, height_mm - 3.0, height) for n, w in enumerate(style.footer)]
    notes = [replace(note, font=style.text_font) for note in notes] + list(style.notes)
    lines = []
    for note in notes:
        at, tall = (note.x * scale, note.y * scale), note.height * scale
        box = write(text, note.words, at, tall, font=note.font)
        lines.append(Printed(note.words, box, note.font, tall))
    return tuple(lines)


def _paper(shape: tuple[int, int], style: PageStyle) -> Pixels:
    """Paper with its grid."""
    import cv2

    image = np.empty((*shape, 3), np.uint8)
    image[:] = style.paper
    if style.grid == "none":
        return image
    scale = style.px_per_mm
    left, top, right, bottom = (round(v * scale) for v in style.grid_inset)
    rows = slice(top, max(top + 1, shape[0] - bottom))
    columns = slice(left, max(left + 1, shape[1] - right))
    inside = image[rows, columns]
    start = style.grid_offset[0] * scale - left, style.grid_offset[1] * scale - top
    if style.grid != "5mm":
        step = style.dot_step if style.grid == "dots" else 1.0
        fine = _lattice(inside.shape[:2], start, step, style.fine_width, style)
        ramp = np.linspace(0, 1, 256, dtype=np.float32)[:, None]
        shades = np.array(style.paper) * (1 - ramp) + np.array(style.fine_colour) * ramp
        table = np.round(shades).astype(np.uint8)[None]
        image[rows, columns] = cv2.LUT(cv2.merge([fine, fine, fine]), table)
    if style.grid != "fine":
        coarse = _lattice(inside.shape[:2], start, 5.0, style.coarse_width, style)
        lay_ink(inside, coarse, style.coarse_colour)
    if style.watermark:
        _mark(image, style)
    if style.grid_frame:
        _frame(inside, style)
    return image


def _mark(image: Pixels, style: PageStyle) -> None:
    """A word in large pale letters across the page."""
    mask = np.zeros(image.shape[:2], np.uint8)
    at = 0.5 * image.shape[1], 0.6 * image.shape[0]
    height = WATERMARK_MM * style.px_per_mm
    write(mask, style.watermark, at, height, font=style.text_font, anchor="ms")
    lay_ink(image, np.round(mask * WATERMARK_SHARE).astype(np.uint8), style.trace_colour)


def _frame(inside: Pixels, style: PageStyle) -> None:
    width = max(1, round(style.coarse_width * style.px_per_mm))
    for edge in (inside[:width], inside[-width:], inside[:, :width], inside[:, -width:]):
        edge[:] = style.coarse_colour


def _lattice(
    shape: tuple[int, ...],
    start: tuple[float, float],
    step_mm: float,
    width_mm: float,
    style: PageStyle,
) -> Pixels:
    """Lines along both axes, each pixel inked by the share of it that a line covers."""
    step, width = step_mm * style.px_per_mm, width_mm * style.px_per_mm
    dots = style.grid == "dots" and step_mm < 5.0
    if dots:
        width = max(1.2, 2.0 * width)
    across = _profile(np.arange(shape[1]), start[0], step, width)
    down = _profile(np.arange(shape[0]), start[1], step, width)
    if dots:
        return np.minimum(across[None], down[:, None])
    dotted = style.coarse_dotted if step_mm == 5.0 else style.grid == "dotted"
    if dotted:
        fine_dots = step_mm == 1.0 and style.px_per_mm >= 9
        period = style.px_per_mm / (3 if fine_dots else 2)
        gaps_x = _profile(np.arange(shape[1]), start[0], period, period / 2)
        gaps_y = _profile(np.arange(shape[0]), start[1], period, period / 2)
        lines_x = np.minimum(across[None], gaps_y[:, None])
        return np.maximum(lines_x, np.minimum(down[:, None], gaps_x[None]))
    return np.maximum(across[None], down[:, None])


def _profile(
    at: npt.NDArray[np.int64], start: float, step: float, width: float
) -> npt.NDArray[np.uint8]:
    centre = start + np.round((at - start) / step) * step
    share = np.clip(width / 2 + 0.5 - np.abs(at - centre), 0, min(1.0, width))
    return np.round(255 * share).astype(np.uint8)
