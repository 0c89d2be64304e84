"""Printed straight lines that are no curve: separators between leads, frames, boxes, rules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from ecg4u.paper.pen import PULSE_ROOM_MM, SHIFT_BITS
from ecg4u.paper.style import PageStyle, Rule

Pixels = npt.NDArray[np.uint8]
DOT_MM = 0.4
DOUBLE_MM = 1.0
BAR_GAP_MM = 0.6


def draw_rules(mask: Pixels, rules: Sequence[Rule], px_per_mm: float) -> None:
    """Draw straight lines (mm) into the mask, in place."""
    import cv2

    for rule in rules:
        ends = np.array([(rule.x0, rule.y0), (rule.x1, rule.y1)]) * px_per_mm * (1 << SHIFT_BITS)
        low, high = (tuple(int(v) for v in end) for end in np.round(ends))
        width = max(1, round(rule.width * px_per_mm))
        cv2.line(mask, low, high, 255, width, cv2.LINE_AA, SHIFT_BITS)


def separators(
    rows: Sequence[tuple[float, Sequence[float], float]], style: PageStyle
) -> Iterator[Rule]:
    """The separators of a page.

    ``rows`` holds each row's baseline, where its leads begin, and where the last one ends, in mm.
    """
    if style.separators == "none":
        return
    if style.separators == "full":
        yield from _full(rows, style)
        return
    for zero, starts, end in rows:
        for x in _places(starts, end, style):
            yield from _one(x, zero, style)


def _places(starts: Sequence[float], end: float, style: PageStyle) -> list[float]:
    if style.separators == "bar":
        return [x + style.label_offset[0] - BAR_GAP_MM for x in starts]
    before = PULSE_ROOM_MM if style.pulse == "columns" else style.column_gap / 2
    inner = [x - before for x in starts[1:]]
    return [starts[0], *inner, end] if style.separator_ends else inner


def _one(x: float, zero: float, style: PageStyle) -> Iterator[Rule]:
    reach, gap, width = style.separator_reach, style.separator_gap, style.separator_width
    kind = style.separators
    if kind == "ticks":
        yield Rule(x, zero - reach, x, zero + reach, width)
    elif kind == "double":
        for side in (-DOUBLE_MM / 2, DOUBLE_MM / 2):
            yield Rule(x + side, zero - reach, x + side, zero + reach, width)
    elif kind == "outer":
        yield Rule(x, zero - gap - reach, x, zero - gap, width)
        yield Rule(x, zero + gap, x, zero + gap + reach, width)
    elif kind == "tall":
        half = 0.4 * style.row_pitch
        yield Rule(x, zero - half, x, zero + half, width)
    elif kind == "dotted":
        half = 0.3 * style.row_pitch
        for y in np.arange(zero - half, zero + half, 2 * style.separator_gap):
            yield Rule(x, y - DOT_MM, x, y + DOT_MM, width)
    else:
        foot = zero + style.label_offset[1]
        yield Rule(x, foot + 0.3, x, foot - 1.2 * style.label_height, width)


def _full(rows: Sequence[tuple[float, Sequence[float], float]], style: PageStyle) -> Iterator[Rule]:
    """Lines through all neighbouring rows that are parted at the same places."""
    spans: dict[tuple[float, ...], list[float]] = {}
    for zero, starts, end in rows:
        spans.setdefault(tuple(_places(starts, end, style)), []).append(zero)
    reach = style.separator_reach
    for places, zeros in spans.items():
        for x in places:
            yield Rule(x, min(zeros) - reach, x, max(zeros) + reach, style.separator_width)
