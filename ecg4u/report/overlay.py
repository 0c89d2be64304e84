"""The page as it was given, with the traces that were read drawn over it."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ecg4u.report.markup import Markup, join, number, tag
from ecg4u.runs import runs_of

if TYPE_CHECKING:
    from ecg4u.digitize.result import Digitization
    from ecg4u.digitize.types import Trace

MAX_SIDE_PX = 1800
WEBP_QUALITY = 72
NAME_WIDTH = 30
"""Room for a lead's name, in stroke widths."""
TRACE_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#a0408a")
"""Okabe and Ito's blue, vermilion, green and (darkened) purple, in turn along rows and columns."""


def page_overlay(digitization: Digitization) -> Markup:
    """An SVG of the page's image and the traces over it, in source pixels.

    The image is scaled down to at most `MAX_SIDE_PX` and held in the SVG as WebP.
    """
    height, width = digitization.page.image.shape[:2]
    scale = min(1.0, MAX_SIDE_PX / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    stroke = max(size) / 900
    lines = join(
        _trace(trace, scale, TRACE_COLOURS[i % len(TRACE_COLOURS)], stroke)
        for i, trace in enumerate(_alternating(digitization.traces))
    )
    return tag(
        "svg",
        tag("title", "The page with the traces read from it drawn over it"),
        tag(
            "image",
            attrs={
                "href": data_uri(digitization.page.image, size),
                "width": size[0],
                "height": size[1],
            },
        ),
        tag("g", lines, cls="read"),
        attrs={
            "class": "page",
            "viewBox": f"0 0 {size[0]} {size[1]}",
            "role": "img",
            "xmlns": "http://www.w3.org/2000/svg",
        },
    )


def _alternating(traces: tuple[Trace, ...]) -> list[Trace]:
    return sorted(traces, key=lambda trace: (trace.row, trace.start_s))


def _trace(trace: Trace, scale: float, colour: str, stroke: float) -> Markup:
    points = np.asarray(trace.xy_source, dtype=np.float64) * scale
    finite = np.asarray(np.isfinite(points).all(axis=1))
    if not finite.any():
        return Markup("")
    # Below the trace: pages print their own names above it.
    shown = points[finite]
    first = shown[0]
    foot = float(shown[shown[:, 0] <= first[0] + NAME_WIDTH * stroke, 1].max())
    return tag(
        "g",
        tag(
            "path",
            attrs={"d": "".join(_line(points[run]) for run in runs_of(finite)), "stroke": colour},
        ),
        tag(
            "text",
            trace.lead,
            attrs={
                "x": float(first[0]),
                "y": foot + 13 * stroke,
                "fill": colour,
                "font-size": 11 * stroke,
            },
        ),
        attrs={"stroke-width": stroke},
    )


def _line(points: npt.NDArray[np.float64]) -> str:
    """Path data of a run of points in px, to a tenth, without points that move less than that."""
    tenths = np.round(points * 10).astype(int)
    keep = np.ones(len(tenths), dtype=bool)
    keep[1:] = np.abs(np.diff(tenths, axis=0)).sum(axis=1) >= 3
    keep[-1] = True
    tenths = tenths[keep]
    head = f"M{number(tenths[0, 0] / 10, 1)} {number(tenths[0, 1] / 10, 1)}"
    steps = np.diff(tenths, axis=0)
    return head + "".join(
        f"l{number(dx / 10, 1)} {number(dy / 10, 1)}" for dx, dy in steps if dx or dy
    )


def data_uri(image: npt.NDArray[np.uint8], size: tuple[int, int]) -> str:
    """``image`` (H, W, 3) resized to ``size`` (width, height) as a WebP data URI."""
    from PIL import Image

    picture = Image.fromarray(np.ascontiguousarray(image))
    if picture.size != size:
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    picture.save(stream, format="WEBP", quality=WEBP_QUALITY, method=0)
    return "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
