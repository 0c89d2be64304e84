"""The traces drawn over the page they were read from, to be checked by eye."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from ecg4u.digitize.result import Digitization
from ecg4u.digitize.sidecar.redraw import hand_drawn, measured, zero_of
from ecg4u.digitize.types import Grade, Trace
from ecg4u.paper.draw import runs

Pixels = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

COLOURS: Mapping[Grade, Colour] = MappingProxyType(
    {
        "good": (0, 90, 160),
        "fair": (200, 120, 0),
        "poor": (200, 30, 90),
        "missing": (200, 30, 90),
    }
)
"""Blue, orange and crimson: apart in lightness and hue for the colour-blind too."""
MARKS: Mapping[Grade, str] = MappingProxyType(
    {"good": "", "fair": " ~", "poor": " !", "missing": " !"}
)
"""What the colour says, once more in the name."""
HAND = (0, 0, 0)
FADE = 0.45
LEGEND = "blue good   orange ~ fair   crimson ! poor   black: by hand   ? name not read"


def overlay(digitization: Digitization) -> Pixels:
    """The page, faded, with each trace in the colour of its grade; (H, W, 3) RGB.

    Each stretch bears its lead's name (``?``: not read from the page) and grade; what a person
    drew is black. A legend is added below.
    """
    image = digitization.page.image
    canvas = (255 - FADE * (255 - image.astype(np.float32))).astype(np.uint8)
    width = max(1, round(max(image.shape[:2]) / 1100))
    for trace in digitization.traces:
        _line(canvas, trace.xy_source, COLOURS[trace.grade], width)
    _by_hand(canvas, digitization, width)
    for trace in digitization.traces:
        _name(canvas, trace, width)
    return np.concatenate([canvas, _legend(canvas.shape[1], width)])


def _line(canvas: Pixels, xy: npt.NDArray[np.float64], colour: Colour, width: int) -> None:
    import cv2

    for run in runs(xy):
        points = np.round(run * 8).astype(np.int32).reshape(-1, 1, 2)
        cv2.polylines(canvas, [points], False, colour, width, cv2.LINE_AA, 3)


def _by_hand(canvas: Pixels, digitization: Digitization, width: int) -> None:
    sidecar = digitization.basis
    if sidecar is None or not sidecar.redraw:
        return
    for piece in sidecar.pieces:
        touched = hand_drawn(piece, sidecar)
        if piece.lead is None or not touched.any():
            continue
        height, _ = measured(piece, sidecar.redraw, sidecar)
        page = np.column_stack([piece.x_mm, zero_of(piece, sidecar) - height])
        page[~touched] = np.nan
        _line(canvas, sidecar.mesh.to_source(page), HAND, 2 * width)


def _name(canvas: Pixels, trace: Trace, width: int) -> None:
    import cv2

    known = trace.xy_source[np.isfinite(trace.xy_source[:, 1])]
    if len(known) == 0:
        return
    inferred = trace.named_by in ("layout", "physiology")
    text = trace.lead + ("?" if inferred else "") + MARKS[trace.grade]
    size = max(canvas.shape[:2]) / 2200
    x, y = known[0] + (4 * width, -14 * width)
    (wide, high), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 2 * width)
    x = float(np.clip(x, 2, max(2, canvas.shape[1] - wide - 2)))
    place = (int(x), int(np.clip(y, high + 2, canvas.shape[0] - 2)))
    for colour, thick in (((255, 255, 255), 5 * width), (COLOURS[trace.grade], 2 * width)):
        cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, colour, thick, cv2.LINE_AA)


def _legend(wide: int, width: int) -> Pixels:
    import cv2

    strip = np.full((24 * width, wide, 3), 255, np.uint8)
    size = wide / 2200
    place = (6 * width, 16 * width)
    cv2.putText(
        strip, LEGEND, place, cv2.FONT_HERSHEY_SIMPLEX, size, (40, 40, 40), width, cv2.LINE_AA
    )
    return strip


def overlay_png(digitization: Digitization) -> bytes:
    """`overlay` as PNG."""
    import cv2

    _, data = cv2.imencode(".png", overlay(digitization)[:, :, ::-1])
    return bytes(data.tobytes())
