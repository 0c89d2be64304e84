"""Writes words into a mask, with the fonts that matplotlib ships or a plotter's strokes."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ecg4u.paper.style import PLOTTER, Anchor

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

Pixels = npt.NDArray[np.uint8]
Box = tuple[float, float, float, float]
CAPITAL_OF_EM = 0.72
SMALLEST_FONT_PX = 5


def write(
    mask: Pixels,
    words: str,
    at: tuple[float, float],
    height: float,
    *,
    font: str = "DejaVuSans",
    anchor: Anchor = "ls",
    stretch: float = 1.0,
    tracking: float = 0.0,
) -> Box:
    """Write ``words`` in place; capitals are ``height`` px high.

    Parameters
    ----------
    at
        px position of the baseline's left (``"ls"``), middle (``"ms"``) or right end (``"rs"``).
    stretch
        Width of the letters against the font's own.
    tracking
        Extra px between letters.

    Returns
    -------
    tuple
        x0, y0, x1, y1 of the ink in px, as it would be on a boundless page.
    """
    picture, baseline = _picture(words, round(height, 1), font, round(tracking))
    if stretch != 1.0:
        import cv2

        width = max(1, round(picture.shape[1] * stretch))
        size = width, picture.shape[0]
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    share = {"ls": 0.0, "ms": 0.5, "rs": 1.0}[anchor]
    x = round(at[0] - share * picture.shape[1])
    y = round(at[1]) - baseline
    _lay(mask, picture, x, y)
    return float(x), float(y), float(x + picture.shape[1] - 1), float(y + picture.shape[0] - 1)


def width_of(words: str, height: float, font: str) -> int:
    """How wide `write` writes words, px."""
    return int(_picture(words, round(height, 1), font, 0)[0].shape[1])


def _lay(mask: Pixels, picture: Pixels, x: int, y: int) -> None:
    top, left = max(0, y), max(0, x)
    bottom = min(mask.shape[0], y + picture.shape[0])
    right = min(mask.shape[1], x + picture.shape[1])
    if bottom > top and right > left:
        part = mask[top:bottom, left:right]
        np.maximum(part, picture[top - y : bottom - y, left - x : right - x], out=part)


@lru_cache(maxsize=256)
def _picture(words: str, height: float, font: str, tracking: int) -> tuple[Pixels, int]:
    """The words cut to their ink, and the row of the baseline in it."""
    drawn, baseline = (_stroked if font == PLOTTER else _typeset)(words, height, font, tracking)
    rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
    if len(rows) == 0:
        return np.zeros((1, 1), np.uint8), 0
    cut = drawn[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].copy()
    cut.setflags(write=False)
    return cut, baseline - int(rows[0])


def _typeset(words: str, height: float, font: str, tracking: int) -> tuple[Pixels, int]:
    from PIL import Image, ImageDraw

    face = _face(font, max(SMALLEST_FONT_PX, height / CAPITAL_OF_EM))
    pieces = list(words) if tracking else [words]
    width = sum(face.getlength(piece) + tracking for piece in pieces) + height
    picture = Image.new("L", (int(width) + 4, int(height * 3) + 6))
    pen = ImageDraw.Draw(picture)
    baseline, x = int(height * 2) + 2, 2 + height / 3
    for piece in pieces:
        pen.text((x, baseline), piece, fill=255, font=face, anchor="ls")
        x += face.getlength(piece) + tracking
    return np.asarray(picture), baseline


def _stroked(words: str, height: float, font: str, tracking: int) -> tuple[Pixels, int]:
    """Letters of one pen width, as a plotter draws them."""
    import cv2

    face, over = cv2.FONT_HERSHEY_SIMPLEX, 3
    scale = height * over / 21.0
    pen = max(1, round(height * over / 9))
    (width, tall), drop = cv2.getTextSize(words, face, scale, pen)
    canvas = np.zeros((tall + drop + 6 * over + 4 * pen, width + 6 * over + 4 * pen), np.uint8)
    baseline = tall + 3 * over + pen
    cv2.putText(canvas, words, (3 * over, baseline), face, scale, 255, pen, cv2.LINE_AA)
    size = max(1, canvas.shape[1] // over), max(1, canvas.shape[0] // over)
    fine = cv2.resize(canvas, size, interpolation=cv2.INTER_AREA)
    return np.asarray(fine, np.uint8), round(baseline / over)


@lru_cache(maxsize=64)
def _face(name: str, size: float) -> FreeTypeFont:
    from PIL import ImageFont

    return ImageFont.truetype(f"{_font_folder()}/{name}.ttf", size)


@lru_cache(maxsize=1)
def _font_folder() -> str:
    from importlib.util import find_spec
    from pathlib import Path

    spec = find_spec("matplotlib")
    assert spec is not None
    assert spec.origin is not None
    return str(Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf")
