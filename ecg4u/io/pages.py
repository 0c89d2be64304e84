"""Pages in: an image or PDF file becomes upright 8-bit RGB pixels, or one typed error.

A file's pixel size is checked before anything is decoded: a 100-KB PNG can claim 900 megapixels.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import math
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ecg4u.arguments import check_whole
from ecg4u.errors import ECG4UError, MissingDependencyError
from ecg4u.io.files import STAGE, Source, read_bytes, unreadable
from ecg4u.limits import opening, reading

if TYPE_CHECKING:
    from PIL.Image import Image

Pixels = npt.NDArray[np.uint8]

MAX_FILE_BYTES = 300_000_000
MAX_PIXELS = 80_000_000
MAX_WEBP_PIXELS = 52_000_000
"""Its decoder holds a picture four times over, four bytes a pixel each."""
MAX_SIDE_PX = 65_500
"""What a JPEG can hold: 5.5 m at 300 dpi. Decoders take memory for each row."""
MAX_TOTAL_PIXELS = 480_000_000
"""Of all pages that one `read_pages` call returns (1.4 GB): 55 A4 pages at 300 dpi."""
MAX_PDF_PIXELS_PER_PAGE = 2 * MAX_PIXELS
"""Of all pictures in a PDF, its pages' mean: a scan, and masks or layers over it."""
MAX_SCANNED_PIXELS = 20 * MAX_PIXELS
"""Over all scans of a JPEG."""
MAX_PAGES = 1000
_BAND_PIXELS = 1_000_000
"""Converted at once: each step of a conversion makes a copy, of 0.3 GB for the largest page."""
PILLOW_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP")
DPI_RANGE = (20.0, 4800.0)
SAME_DPI = 0.01
DEFAULT_DPIS = (72.0, 96.0)
"""What cameras and programs write when they know nothing: no statement about the scale."""

_HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
_SIDES = (b"Width", b"Height")
_MAX_DICTIONARY_BYTES = 4096
_START_OF_SCAN = b"\xff\xda"
_START_OF_JPEG, _END_OF_JPEG = b"\xff\xd8", b"\xff\xd9"
_END_REACH = 1024
"""Bytes at the end of a JPEG in which its end mark is looked for: some cameras add their own."""
_NOT_DECODED = 128
"""The grey that a JPEG decoder leaves where data are missing."""
_KNOWN = "PNG, JPEG, TIFF, BMP, WebP, HEIC and PDF"


@dataclass(frozen=True, eq=False)
class Page:
    """One page as pixels.

    Parameters
    ----------
    image : (H, W, 3) uint8
        RGB, turned as EXIF says, transparency over white. Read-only.
    sha256 : str
        Hash of the whole file, in hex.
    number : int
        This page, from 1.
    n_pages : int
        Pages in the file.
    format : str
        ``"PNG"``, ``"JPEG"``, ``"TIFF"``, ``"BMP"``, ``"WEBP"``, ``"HEIC"`` or ``"PDF"``.
    dpi : float or None
        Pixels per inch as stated in the file (for a PDF: as rendered). None if the file states
        nothing, different values for x and y, or only a program's default (72, 96).
    """

    image: Pixels
    sha256: str
    number: int = 1
    n_pages: int = 1
    format: str = "PNG"
    dpi: float | None = None

    def __post_init__(self) -> None:
        if self.image.ndim != 3 or self.image.shape[2] != 3 or self.image.dtype != np.uint8:
            raise ValueError("image must be (H, W, 3) uint8")
        self.image.setflags(write=False)


@reading()
def read_pages(source: Source, *, pdf_dpi: float = 300.0) -> list[Page]:
    """All pages of an image or PDF file (a path, or the file's bytes).

    Raises
    ------
    UnreadableInputError
        For every failure: missing, empty, truncated, too large, encrypted, not an image ...
    MissingDependencyError
        For HEIC without the extra ``ecg4u[heic]``.
    """
    data = read_bytes(source, max_bytes=MAX_FILE_BYTES)
    pages: list[Page] = []
    budget = MAX_TOTAL_PIXELS
    for page in _iterate(data, pdf_dpi, None):
        budget -= page.image.shape[0] * page.image.shape[1]
        if budget < 0:
            raise unreadable(
                f"The file's pages together exceed {MAX_TOTAL_PIXELS // 1_000_000} megapixels.",
                "Read its pages one by one, or split the file.",
            )
        pages.append(page)
    return pages


@reading()
def read_page(source: Source, *, page: int = 1, pdf_dpi: float = 300.0) -> Page:
    """Page number ``page`` (from 1) of a file; the other pages are not decoded.

    Raises as `read_pages` does, also when the file has no such page.
    """
    check_whole("page", page, "Pages are counted from 1.")
    data = read_bytes(source, max_bytes=MAX_FILE_BYTES)
    for found in _iterate(data, pdf_dpi, page):
        return found
    raise _no_such_page()


@reading()
def count_pages(source: Source) -> int:
    """Number of pages in a file, from its structure alone. Raises as `read_pages` does."""
    data = read_bytes(source, max_bytes=MAX_FILE_BYTES)
    if _is_pdf(data):
        with _typed("PDF"), opening():
            document = _open_pdf(data)
            try:
                return _checked_count(len(document))
            finally:
                document.close()
    if _is_heic(data):
        return 1
    with _typed("image"), opening(), _open_image(data) as image:
        return len(_page_frames(image))


def _iterate(data: bytes, pdf_dpi: float, only: int | None) -> Iterator[Page]:
    if only is not None and only < 1:
        raise _no_such_page()
    if _is_pdf(data):
        return _pdf_pages(data, pdf_dpi, only)
    if _is_heic(data):
        return _heic_pages(data, only)
    return _image_pages(data, only)


def _is_pdf(data: bytes) -> bool:
    return b"%PDF-" in data[:1024]


def _is_heic(data: bytes) -> bool:
    return data[4:8] == b"ftyp" and data[8:12] in _HEIC_BRANDS


class _typed:
    """Turn whatever a decoder raises into the one typed error (Pillow alone raises OSError,
    SyntaxError, KeyError, struct.error, OverflowError, ValueError, MemoryError ...)."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, ECG4UError | MemoryError):
            raise unreadable(
                f"The {self.what} is damaged or cut short.", "Export, scan or download it again."
            ) from None


# Pillow's formats


def _open_image(data: bytes) -> Image:
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data), formats=PILLOW_FORMATS)
    except UnidentifiedImageError:
        raise unreadable(
            "The file is not an image or PDF that can be read.", f"Known formats: {_KNOWN}."
        ) from None
    except Image.DecompressionBombError:
        raise _too_large() from None
    return image


def _page_frames(image: Image) -> list[int]:
    """Frame numbers that are pages: every full image of a TIFF, else the first frame."""
    if image.format != "TIFF":
        return [0]
    frames = [index for index in range(_count_frames(image)) if not _is_thumbnail(image, index)]
    return frames or [0]


def _count_frames(image: Image) -> int:
    """Frames of a TIFF, one by one and no further than is read: 180,000 of them take a minute."""
    count = 1
    with contextlib.suppress(EOFError):
        while count <= MAX_PAGES:
            image.seek(count)
            count += 1
    return _checked_count(count)


def _is_thumbnail(image: Image, index: int) -> bool:
    new_subfile_type = 254
    image.seek(index)
    tags = getattr(image, "tag_v2", {})
    return bool(int(tags.get(new_subfile_type, 0)) & 1)


def _image_pages(data: bytes, only: int | None) -> Iterator[Page]:
    digest = hashlib.sha256(data).hexdigest()
    open_ended = data.startswith(_START_OF_JPEG) and _END_OF_JPEG not in data[-_END_REACH:]
    if open_ended:
        data += _END_OF_JPEG
    with _typed("image"), contextlib.ExitStack() as opened:
        with opening():
            image = opened.enter_context(_open_image(data))
            frames = _page_frames(image)
        name = "JPEG" if image.format == "MPO" else str(image.format)
        for number, frame in enumerate(frames, start=1):
            if only not in (None, number):
                continue
            if name == "TIFF":
                image.seek(frame)
            _check_pixels(*image.size)
            if name == "WEBP" and image.width * image.height > MAX_WEBP_PIXELS:
                raise _too_large(MAX_WEBP_PIXELS)
            if name == "JPEG":
                _check_scans(data, *image.size)
            dpi, size = _stated_dpi(image), _squared_size(image)
            with opening():
                image.load()
            if open_ended:
                _check_whole(image)
            if size != image.size:
                _check_pixels(*size)
            square = image if size == image.size else image.convert("RGB").resize(size)
            pixels = to_rgb(_turn_as_exif_says(square))
            yield Page(pixels, digest, number, len(frames), name, dpi)


def _check_whole(image: Image) -> None:
    """Refuse a JPEG without an end mark whose last pixel was not decoded."""
    last = image.width - 1, image.height - 1
    if image.convert("RGB").getpixel(last) == (_NOT_DECODED,) * 3:
        raise ValueError("cut short")


def _turn_as_exif_says(image: Image) -> Image:
    from PIL import ImageOps

    with contextlib.suppress(Exception):  # damaged EXIF: the pixels are still good as stored
        ImageOps.exif_transpose(image, in_place=True)
    return image


def _stated_dpi(image: Image) -> float | None:
    x, y = _both_dpi(image)
    if abs(x - y) > SAME_DPI * x or any(abs(x - default) < 0.5 for default in DEFAULT_DPIS):
        return None
    return x if x > 0 else None


def _both_dpi(image: Image) -> tuple[float, float]:
    """The resolution that the file states along x and y, 0 where it states none."""
    try:
        x, y = (float(value) for value in image.info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return 0.0, 0.0
    low, high = DPI_RANGE
    return (x, y) if low <= x <= high and low <= y <= high else (0.0, 0.0)


def _squared_size(image: Image) -> tuple[int, int]:
    """Width and height (px) at which its pixels are square: those of a fax are not."""
    x, y = _both_dpi(image)
    if x == 0 or abs(x - y) <= SAME_DPI * x:
        return image.size
    finest = max(x, y)
    return round(image.width * finest / x), round(image.height * finest / y)


def to_rgb(image: Image) -> Pixels:
    """(H, W, 3) uint8 of any Pillow mode: deep grey scaled down, transparency over white."""
    rgb = np.empty((image.height, image.width, 3), np.uint8)
    full = _full_scale(image) if _is_deep_grey(image) else None
    for rows, band in _bands(image):
        rgb[rows] = _band_to_rgb(band) if full is None else _to_8_bits(band, full)[:, :, None]
    return rgb


def _bands(image: Image) -> Iterator[tuple[slice, Image]]:
    """Rows of ``image`` and their part of it, from top to bottom."""
    height = max(1, _BAND_PIXELS // max(1, image.width))
    for top in range(0, image.height, height):
        bottom = min(top + height, image.height)
        yield slice(top, bottom), image.crop((0, top, image.width, bottom))


def _band_to_rgb(band: Image) -> Pixels:
    from PIL import Image

    if band.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in band.info:
        rgba = band.convert("RGBA")
        band = Image.new("RGB", rgba.size, "white")
        band.paste(rgba, mask=rgba)
    return np.asarray(band if band.mode == "RGB" else band.convert("RGB"))


def _is_deep_grey(image: Image) -> bool:
    return image.mode.startswith(("I", "F"))


def _full_scale(image: Image) -> float:
    """White, by the depth in use: the first of 8, 10, 12, 14, 16 ... bits that holds the top."""
    top = max((float(_finite(band).max(initial=0.0)) for _, band in _bands(image)), default=0.0)
    if image.mode.startswith("F") and top <= 1.0:
        return 1.0
    return next((2.0**b - 1 for b in (8, 10, 12, 14, 16, 24, 32) if top < 2.0**b), top)


def _to_8_bits(grey: Image, full: float) -> Pixels:
    return np.clip(np.rint(_finite(grey) * (255.0 / full)), 0, 255).astype(np.uint8)


def _finite(grey: Image) -> npt.NDArray[np.float32]:
    values = np.asarray(grey).astype(np.float32)
    return np.nan_to_num(values, copy=False, nan=0.0, posinf=0.0, neginf=0.0)


# HEIC and PDF


def _heic_pages(data: bytes, only: int | None) -> Iterator[Page]:
    try:
        import pi_heif
    except ImportError:
        raise MissingDependencyError(
            "HEIC images need the package pi-heif.", stage=STAGE, hint="pip install pi-heif"
        ) from None
    if only not in (None, 1):
        raise _no_such_page()
    with _typed("image"):
        container = pi_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=True)
        _check_pixels(*container.size)
        image = container.to_pillow()
        digest = hashlib.sha256(data).hexdigest()
        yield Page(to_rgb(image), digest, 1, 1, "HEIC", _stated_dpi(image))


def _open_pdf(data: bytes):  # type: ignore[no-untyped-def]
    import pypdfium2

    try:
        return pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise unreadable(
                "The PDF is protected by a password.", "Save it without a password."
            ) from None
        raise


def _pdf_pages(data: bytes, dpi: float, only: int | None) -> Iterator[Page]:
    if not (math.isfinite(dpi) and 20.0 <= dpi <= 2400.0):
        raise unreadable("The resolution for a PDF must be from 20 to 2400 dpi.", "Use 300.")
    with _typed("PDF"):
        digest = hashlib.sha256(data).hexdigest()
        with opening():
            document = _open_pdf(data)
        try:
            with opening():
                n_pages = _checked_count(len(document))
                _check_pictures(data, n_pages)
            for number in range(1, n_pages + 1) if only is None else [only]:
                if number > n_pages:
                    raise _no_such_page()
                with opening():
                    pixels = _render(document[number - 1], dpi)
                yield Page(pixels, digest, number, n_pages, "PDF", dpi)
        finally:
            document.close()


def _check_pictures(data: bytes, n_pages: int) -> None:
    """Refuse a PDF by the sizes of all its pictures, wherever they are drawn: in forms, patterns,
    masks, fonts, annotations. A picture is a stream, whose dictionary always stands in clear."""
    total = 0
    for start in re.finditer(rb"stream\r?\n", data):
        words = data[max(0, start.start() - _MAX_DICTIONARY_BYTES) : start.start()]
        words = words[words.rfind(b" obj") + 1 :]
        if b"#" in words:
            words = re.sub(rb"#([0-9A-Fa-f]{2})", lambda m: bytes([int(m[1], 16)]), words)
        if not re.search(rb"/Subtype\s*/Image\b", words):
            continue
        sides = [re.search(rb"/%s\s+(\d{1,10})\b(?!\s+\d+\s+R)" % s, words) for s in _SIDES]
        if None in sides:
            continue  # a size that stands elsewhere: the limits of reading must do
        width, height = (int(side[1]) for side in sides if side)
        _check_pixels(width, height)
        total += width * height
    if total > MAX_PDF_PIXELS_PER_PAGE * n_pages:
        raise _too_large()


def _render(page, dpi: float) -> Pixels:  # type: ignore[no-untyped-def]
    from pypdfium2.raw import FPDF_PAGEOBJ_IMAGE

    scale = dpi / 72.0
    width, height = page.get_size()
    _check_pixels(math.ceil(width * scale), math.ceil(height * scale))
    for picture in page.get_objects(filter=[FPDF_PAGEOBJ_IMAGE], max_depth=8):
        _check_pixels(*picture.get_px_size())
    bitmap = page.render(scale=scale, rev_byteorder=True)
    pixels = np.array(bitmap.to_numpy()[:, :, :3])
    bitmap.close()
    page.close()
    return pixels


def _check_pixels(width: float, height: float) -> None:
    if not (width >= 1 and height >= 1):
        raise unreadable("The page has zero width or height.", "Export or scan it again.")
    if width * height > MAX_PIXELS:
        raise _too_large()
    if max(width, height) > MAX_SIDE_PX:
        raise unreadable(f"A side of the page is longer than {MAX_SIDE_PX} pixels.", "Crop it.")


def _check_scans(data: bytes, width: float, height: float) -> None:
    """Each scan of a progressive JPEG passes over the whole picture; cameras write ten."""
    if data.count(_START_OF_SCAN) * width * height > MAX_SCANNED_PIXELS:
        raise unreadable("The JPEG has far too many scans.", "Export it again.")


def _checked_count(n_pages: int) -> int:
    if n_pages < 1:
        raise unreadable("The file has no pages.", "Export it again.")
    if n_pages > MAX_PAGES:
        raise unreadable(f"The file has more than {MAX_PAGES} pages.", "Split it.")
    return n_pages


def _too_large(most: int = MAX_PIXELS) -> ECG4UError:
    return unreadable(
        f"The page is larger than {most // 1_000_000} megapixels.",
        "Export or scan it at 300 dpi.",
    )


def _no_such_page() -> ECG4UError:
    return unreadable("The file has no page with that number.", "Pages are counted from 1.")


def is_page_name(path: str | Path) -> bool:
    """Whether the name ends as a page's does; says nothing about the content."""
    return Path(path).suffix.lower() in PAGE_SUFFIXES


PAGE_SUFFIXES = frozenset(
    [".png", ".jpg", ".jpeg", ".jpe", ".tif", ".tiff", ".bmp", ".webp", ".heic", ".heif", ".pdf"]
)
