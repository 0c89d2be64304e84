"""The traces drawn over the page they were read from, to be checked by eye."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ecg4u.digitize.result import Digitization
from ecg4u.paper.draw import runs

COLOURS = ((0, 114, 178), (213, 94, 0), (0, 158, 115), (160, 64, 138))
"""Okabe and Ito's blue, vermilion, green and (darkened) purple."""
FADE = 0.45


def overlay(digitization: Digitization) -> npt.NDArray[np.uint8]:
    """The page, faded, with each trace in colour and its name at its start; (H, W, 3) RGB."""
    import cv2

    image = digitization.page.image
    canvas = (255 - FADE * (255 - image.astype(np.float32))).astype(np.uint8)
    width = max(1, round(max(image.shape[:2]) / 1100))
    for number, trace in enumerate(digitization.traces):
        colour = COLOURS[number % len(COLOURS)]
        for run in runs(trace.xy_source):
            points = np.round(run * 8).astype(np.int32).reshape(-1, 1, 2)
            cv2.polylines(canvas, [points], False, colour, width, cv2.LINE_AA, 3)
        known = trace.xy_source[np.isfinite(trace.xy_source[:, 1])]
        if len(known):
            x, y = known[0] + (4 * width, -14 * width)
            text = trace.lead + ("" if trace.named_by == "label" else "?")
            place = (int(x), int(y))
            size = max(image.shape[:2]) / 2200
            cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, colour, 2 * width)
    return canvas


def overlay_png(digitization: Digitization) -> bytes:
    """`overlay` as PNG."""
    import cv2

    _, data = cv2.imencode(".png", overlay(digitization)[:, :, ::-1])
    return bytes(data.tobytes())
