"""Pages that are in memory already: pixels of NumPy or OpenCV, and Pillow images."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeGuard, Union, cast

import numpy as np

from ecg4u.io.files import Source, unreadable
from ecg4u.io.pages import MAX_PIXELS, Page, Pixels, read_page, to_rgb

if TYPE_CHECKING:
    from PIL.Image import Image

PageSource: TypeAlias = Union[str, Path, bytes, Page, Pixels, "Image"]
"""Path or bytes of an image or PDF file, a `Page`, (H, W) or (H, W, 3) uint8, or a PIL image."""


def as_page(source: PageSource, *, page: int = 1) -> Page:
    """The page that ``source`` is or holds; ``page`` numbers those of a file from 1.

    An array is RGB (OpenCV reads BGR: give ``image[..., ::-1]``) or grey.

    Raises
    ------
    UnreadableInputError
        If it cannot be read, is larger than 80 megapixels or is an array of another kind.
    WrongTypeError
        If it is none of these.
    """
    if isinstance(source, Page):
        return source
    if isinstance(source, np.ndarray):
        return _of_array(source)
    if _is_pillow(source):
        _check_area(source.width * source.height)
        return _of_array(to_rgb(source))
    return read_page(cast(Source, source), page=page)


def _is_pillow(source: object) -> TypeGuard[Image]:
    # An image exists only where its package has been imported: nothing is imported to find out.
    pillow = sys.modules.get("PIL.Image")
    return pillow is not None and isinstance(source, pillow.Image)


def _of_array(image: Pixels) -> Page:
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or image.shape[2:] not in ((), (3,)):
        raise unreadable(
            f"An array of shape {image.shape} and type {image.dtype} is not a picture of a page.",
            "Give (H, W, 3) RGB or (H, W) grey pixels as uint8; "
            "samples of a signal belong in ecg4u.ECGRecord(samples_mv, fs).",
        )
    _check_area(image.shape[0] * image.shape[1])
    pixels = np.repeat(image[:, :, None], 3, axis=2) if image.ndim == 2 else np.array(image)
    return Page(pixels, hashlib.sha256(pixels.tobytes()).hexdigest(), format="pixels")


def _check_area(pixels: int) -> None:
    if pixels > MAX_PIXELS:
        raise unreadable(
            f"The page is larger than {MAX_PIXELS // 1_000_000} megapixels.",
            "Scale it to 300 dpi.",
        )
