"""Draws a record on ECG paper and keeps the exact truth of what was drawn.

Positions are in mm from the page's upper left corner while a page is laid out and in px in the
result; a pixel's centre has whole-number coordinates. Lines are drawn with sub-pixel endpoints.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from ecg4u.paper.layouts import PageLayout
from ecg4u.record import CHEST_LEADS, ECGRecord

Pixels = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]
Colour = tuple[int, int, int]

SHIFT_BITS = 4
PULSE_MM = 5.0


@dataclass(frozen=True)
class PageStyle:
    """How a page looks; lengths in mm, colours RGB.

    ``chest_gain_mm_per_mv`` differs from ``gain_mm_per_mv`` on pages of mixed gain. ``grid`` is
    ``"1mm"`` (1 and 5 mm lines), ``"5mm"``, ``"dots"`` or ``"none"``.
    """

    px_per_mm: float = 10.0
    gain_mm_per_mv: float = 10.0
    chest_gain_mm_per_mv: float | None = None
    speed_mm_per_s: float = 25.0
    margin: tuple[float, float, float, float] = (12.0, 15.0, 10.0, 12.0)
    """Left, top, right, bottom."""
    row_pitch: float = 25.0
    paper: Colour = (255, 250, 246)
    grid: Literal["1mm", "5mm", "dots", "none"] = "1mm"
    fine_colour: Colour = (248, 205, 205)
    coarse_colour: Colour = (238, 160, 160)
    fine_width: float = 0.10
    coarse_width: float = 0.18
    trace_colour: Colour = (20, 20, 25)
    trace_width: float = 0.30
    pulse: Literal["left", "right", "none"] = "left"
    labels: bool = True
    label_height: float = 3.0
    label_offset: tuple[float, float] = (1.0, -7.0)
    """From the start of the segment's baseline to the label's lower left corner."""
    separators: Literal["none", "ticks"] = "none"
    header: tuple[str, ...] = ()
    footer: tuple[str, ...] = ("25 mm/s", "10 mm/mV")

    def gain(self, lead: str) -> float:
        """mm/mV of a lead."""
        if lead in CHEST_LEADS and self.chest_gain_mm_per_mv is not None:
            return self.chest_gain_mm_per_mv
        return self.gain_mm_per_mv


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
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class Labelled:
    """A lead name and its box, x0, y0, x1, y1 in px."""

    name: str
    box: tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class DrawnPage:
    """A page and the truth about it; the masks are (H, W) uint8, 255 where the ink is full.

    ``grid_origin`` is the px position of a crossing of two 5-mm lines.
    """

    image: Pixels
    trace: Pixels
    text: Pixels
    pulse: Pixels
    segments: tuple[DrawnSegment, ...]
    labels: tuple[Labelled, ...]
    px_per_mm: float
    grid_origin: tuple[float, float]
    style: PageStyle = field(default_factory=PageStyle)


def page_size_mm(layout: PageLayout, style: PageStyle) -> tuple[float, float]:
    """Width and height that the layout needs, in whole 5-mm squares."""
    left, top, right, bottom = style.margin
    pulse = 0.0 if style.pulse == "none" else PULSE_MM * 1.6
    width = left + pulse + layout.duration_s * style.speed_mm_per_s + right
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
    shape = int(round(height_mm * scale)), int(round(width_mm * scale))
    image = np.empty((*shape, 3), np.uint8)
    image[:] = style.paper
    _draw_grid(image, style)
    trace, text, pulse = (np.zeros(shape, np.uint8) for _ in range(3))
    segments, labels = [], []
    left = style.margin[0] + (PULSE_MM * 1.6 if style.pulse == "left" else 0.0)
    for row, content in enumerate(layout.rows):
        zero = style.margin[1] + (row + 0.5) * style.row_pitch
        x = left
        for place, part in enumerate(content):
            drawn = _draw_segment(
                trace, record, part.lead, row, part.start_s, part.duration_s, (x, zero), style
            )
            segments.append(drawn)
            if style.separators == "ticks" and place:
                _line(trace, np.array([[x, zero - 2.0], [x, zero + 2.0]]) * scale, 0.5 * scale)
            if style.labels:
                at = (x + style.label_offset[0], zero + style.label_offset[1])
                labels.append(Labelled(part.lead, _write(text, part.lead, at, style)))
            x += part.duration_s * style.speed_mm_per_s
        if style.pulse != "none" and content:
            start = left - PULSE_MM * 1.6 if style.pulse == "left" else x + 1.0
            _draw_pulse(pulse, start, zero, style.gain(content[0].lead), style)
    _write_lines(text, style, height_mm)
    for mask in (pulse, text, trace):
        _ink(image, mask, style.trace_colour)
    return DrawnPage(
        image, trace, text, pulse, tuple(segments), tuple(labels), scale, (0.0, 0.0), style
    )


def _ink(image: Pixels, mask: Pixels, colour: Colour) -> None:
    """Lay ink of ``colour`` over the image where the mask says, in place."""
    rows = np.flatnonzero(mask.any(axis=1))
    if len(rows) == 0:
        return
    window = slice(int(rows[0]), int(rows[-1]) + 1)
    share = mask[window, :, None].astype(np.float32) / 255
    mixed = image[window] * (1 - share) + np.array(colour, np.float32) * share
    image[window] = np.round(mixed).astype(np.uint8)


def _line(mask: Pixels, points: Points, width_px: float) -> None:
    """An anti-aliased polyline of any width, in place; points (n, 2) px."""
    import cv2

    fixed = np.round(points * (1 << SHIFT_BITS)).astype(np.int32).reshape(-1, 1, 2)
    whole = max(1, int(round(width_px)))
    cv2.polylines(mask, [fixed], False, 255, whole, cv2.LINE_AA, SHIFT_BITS)


def _draw_grid(image: Pixels, style: PageStyle) -> None:
    height, width = image.shape[:2]
    if style.grid == "none":
        return
    scale = style.px_per_mm
    kinds = [(5, style.coarse_colour, style.coarse_width)]
    if style.grid in ("1mm", "dots"):
        kinds.insert(0, (1, style.fine_colour, style.fine_width))
    for step, colour, line_mm in kinds:
        mask = np.zeros((height, width), np.uint8)
        if style.grid == "dots" and step == 1:
            ys = np.round(np.arange(0, height, scale)).astype(int)
            xs = np.round(np.arange(0, width, scale)).astype(int)
            mask[np.ix_(ys[ys < height], xs[xs < width])] = 255
        else:
            _lattice(mask, step * scale, line_mm * scale)
        _ink(image, mask, colour)


def _lattice(mask: Pixels, step_px: float, width_px: float) -> None:
    """Lines along both axes, each pixel inked by the share of it that a line covers, in place."""
    for axis, length in ((0, mask.shape[0]), (1, mask.shape[1])):
        at = np.arange(length)
        centre = np.round(at / step_px) * step_px
        far = np.abs(at - centre)
        share = np.clip(width_px / 2 + 0.5 - far, 0, min(1.0, width_px))
        profile = np.round(255 * share).astype(np.uint8)
        np.maximum(mask, profile[:, None] if axis == 0 else profile[None], out=mask)


def _draw_segment(
    mask: Pixels,
    record: ECGRecord,
    lead: str,
    row: int,
    start_s: float,
    duration_s: float,
    origin_mm: tuple[float, float],
    style: PageStyle,
) -> DrawnSegment:
    first = int(round(start_s * record.fs))
    count = int(round(duration_s * record.fs))
    mv = np.full(count, np.nan)
    shown = record.lead(lead)[first : first + count]
    mv[: len(shown)] = shown
    x = origin_mm[0] + np.arange(count) / record.fs * style.speed_mm_per_s
    y = origin_mm[1] - mv * style.gain(lead)
    xy = np.column_stack([x, y]) * style.px_per_mm
    for run in _runs(xy):
        _line(mask, run, style.trace_width * style.px_per_mm)
    known = xy[np.isfinite(xy[:, 1])]
    pad = style.trace_width * style.px_per_mm / 2
    if len(known):
        low, high = known.min(axis=0) - pad, known.max(axis=0) + pad
        box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
    else:
        box = (float(xy[0, 0]), origin_mm[1] * style.px_per_mm) * 2
    return DrawnSegment(lead, row, start_s, origin_mm[1] * style.px_per_mm, xy, mv, box)


def _runs(xy: Points) -> list[Points]:
    """Stretches without NaN."""
    known = np.isfinite(xy).all(axis=1)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], known, [False]])))
    return [xy[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _draw_pulse(mask: Pixels, x: float, zero: float, gain: float, style: PageStyle) -> None:
    """1 mV for 0.2 s, with a short foot before it."""
    width = 0.2 * style.speed_mm_per_s
    top = zero - gain
    corners = [(x, zero), (x + 1, zero), (x + 1, top), (x + 1 + width, top), (x + 1 + width, zero)]
    scaled = np.array(corners) * style.px_per_mm
    _line(mask, scaled, style.trace_width * style.px_per_mm)


def _write(
    mask: Pixels, words: str, at_mm: tuple[float, float], style: PageStyle
) -> tuple[float, float, float, float]:
    """Write words with their lower left corner at ``at_mm``, in place; returns their box in px."""
    from PIL import Image, ImageDraw, ImageFont

    size = style.label_height * style.px_per_mm * 1.37
    font = ImageFont.truetype(_font_path(), max(4.0, size))
    picture = Image.new("L", (mask.shape[1], int(size * 2)))
    pen = ImageDraw.Draw(picture)
    x, y = at_mm[0] * style.px_per_mm, at_mm[1] * style.px_per_mm
    pen.text((x, size * 1.5), words, fill=255, font=font, anchor="ls")
    x0, y0, x1, y1 = pen.textbbox((x, size * 1.5), words, font=font, anchor="ls")
    drawn = np.asarray(picture)
    top = int(round(y - size * 1.5))
    lo, hi = max(0, top), min(mask.shape[0], top + drawn.shape[0])
    if hi > lo:
        part = mask[lo:hi]
        np.maximum(part, drawn[lo - top : hi - top], out=part)
    return float(x0), float(y0 + top), float(x1), float(y1 + top)


def _font_path() -> str:
    from importlib.util import find_spec
    from pathlib import Path

    spec = find_spec("matplotlib")
    assert spec is not None
    assert spec.origin is not None
    return str(Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf")


def _write_lines(mask: Pixels, style: PageStyle, height_mm: float) -> None:
    for number, words in enumerate(style.header):
        _write(mask, words, (4.0, 5.0 + 4.5 * number), style)
    for number, words in enumerate(style.footer):
        _write(mask, words, (20.0 + 45.0 * number, height_mm - 3.0), style)
