"""The pen: curves and calibration pulses, where their ink lies and how dark it is."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ecg4u.paper.style import Colour, PageStyle
from ecg4u.runs import runs_of

Pixels = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]

SHIFT_BITS = 4
PULSE_ROOM_MM = 8.0
"""Room that a calibration pulse takes beside a row."""
FADE_LEVELS = 8
FAINTEST = 0.12
DROOP_SHARE = 0.25
PALE_PX = 3
"""How much wider than the stroke its paleness is drawn."""


class Pen:
    """Draws on a raster ``over`` times finer than the page and remembers how fast it moved."""

    def __init__(self, shape: tuple[int, int], style: PageStyle) -> None:
        self.style = style
        self.shape = shape
        self.over = 1 if style.px_per_mm >= 18 else 2 if style.px_per_mm >= 7 else 4
        fine = shape[0] * self.over, shape[1] * self.over
        colours = [style.trace_colour, *([style.second_colour] if style.second_colour else [])]
        self.colours: list[Colour] = colours
        self.curves = [np.zeros(fine, np.uint8) for _ in colours]
        self.pulses = np.zeros(fine, np.uint8)
        self.strokes: list[list[Points]] = [[] for _ in range(FADE_LEVELS)]

    def line(self, mask: Pixels, points_px: Points) -> None:
        """A polyline, (n, 2) in page px."""
        import cv2

        fine = (points_px + 0.5) * self.over - 0.5
        fixed = np.round(fine * (1 << SHIFT_BITS)).astype(np.int32).reshape(-1, 1, 2)
        width = self.style.trace_width * self.style.px_per_mm * self.over
        cv2.polylines(mask, [fixed], False, 255, max(1, round(width)), cv2.LINE_AA, SHIFT_BITS)

    def curve(self, row: int, points_px: Points) -> None:
        """A stretch of a row's curve, (n, 2) in page px."""
        pitch = self.style.head_pitch * self.style.px_per_mm
        if pitch > 0:
            points_px = np.column_stack(
                [points_px[:, 0], np.round(points_px[:, 1] / pitch) * pitch]
            )
        self.line(self.curves[row % len(self.curves)], points_px)
        if self.style.speed_fade > 0 and len(points_px) > 1:
            self._remember(points_px)

    def _remember(self, points_px: Points) -> None:
        """Sort the pieces of a curve by how much ink they get."""
        step = np.diff(points_px, axis=0)
        stretch = np.hypot(step[:, 0], step[:, 1]) / np.maximum(np.abs(step[:, 0]), 1e-6)
        stretch = np.convolve(np.pad(stretch, 1, mode="edge"), np.full(3, 1 / 3), "valid")
        dark = np.maximum(FAINTEST, stretch**-self.style.speed_fade)
        level = np.clip((dark * FADE_LEVELS).astype(int), 0, FADE_LEVELS - 1)
        ends = np.flatnonzero(np.diff(level)) + 1
        for a, b in pairwise([0, *ends, len(level)]):
            self.strokes[int(level[a])].append(points_px[a : b + 1])

    def calibrate(self, x: float, zero: float, gain: float) -> None:
        """1 mV from ``x`` mm on, with feet; scaled down to the room there is at 50 mm/s."""
        style = self.style
        width = min(style.pulse_s * style.speed_mm_per_s, PULSE_ROOM_MM - 2.2)
        foot = min(style.pulse_foot, (PULSE_ROOM_MM - 0.5 - width) / 2)
        zero -= style.pulse_lift
        rise, fall, top = x + 0.2 + foot, x + 0.2 + foot + width, zero - gain
        corners = [(rise, zero), (rise, top), (fall, top), (fall, zero)]
        if style.pulse_shape == "stairs":
            middle = (rise + fall) / 2
            corners[2:3] = [(middle, top), (middle, zero - gain / 2), (fall, zero - gain / 2)]
        elif style.pulse_shape == "droop":
            lost = DROOP_SHARE * gain * (1 - np.exp(-np.linspace(0, 2, 12)))
            along = np.linspace(rise, fall, 12)
            corners[1:] = list(zip(along, top + lost, strict=True))
            back = np.linspace(fall, fall + max(foot, 0.3), 8)
            under = lost[-1] * np.exp(-np.linspace(0, 2, 8))
            corners += list(zip(back, zero + under, strict=True))
        if foot > 0.1:
            corners = [(x + 0.2, zero), *corners]
            end = x + PULSE_ROOM_MM if style.pulse_joined else fall + foot
            corners.append((end, zero))
        self.line(self.pulses, np.array(corners) * style.px_per_mm)

    def masks(self) -> tuple[list[Pixels], Pixels]:
        """The curves, a mask for each colour, and the pulses, at the page's resolution."""
        return [self._page(mask) for mask in self.curves], self._page(self.pulses)

    def _page(self, mask: Pixels) -> Pixels:
        import cv2

        if self.over == 1:
            return mask
        size = self.shape[1], self.shape[0]
        return np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_AREA), np.uint8)

    def hold(self) -> npt.NDArray[np.float32] | None:
        """How much of the curves' ink the paper took, (H, W) in 0..1; None: all of it."""
        import cv2

        style = self.style
        if not style.speed_fade and not style.dot_depth:
            return None
        held = np.full(self.shape, 255, np.uint8)
        width = round(style.trace_width * style.px_per_mm) + PALE_PX
        for level, pieces in enumerate(self.strokes):
            shade = round(255 * (level + 1) / FADE_LEVELS)
            fixed = [np.round(piece * (1 << SHIFT_BITS)).astype(np.int32) for piece in pieces]
            cv2.polylines(held, fixed, False, shade, width, cv2.LINE_8, SHIFT_BITS)
        out = held.astype(np.float32) / np.float32(255)
        if style.dot_depth:
            across, down = (self._dots(n) for n in (self.shape[1], self.shape[0]))
            out = out * (1 - np.float32(style.dot_depth) * (1 - down[:, None] * across[None]))
        return out

    def _dots(self, count: int) -> npt.NDArray[np.float32]:
        period = max(self.style.head_pitch, 0.125) * self.style.px_per_mm
        wave = 0.5 + 0.5 * np.cos(2 * np.pi * np.arange(count) / period)
        return wave.astype(np.float32)


def runs(xy: Points) -> list[Points]:
    """The stretches of a polyline without NaN."""
    return [xy[run] for run in runs_of(np.asarray(np.isfinite(xy).all(axis=1)))]
