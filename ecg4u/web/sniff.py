"""Whether bytes may be a page, by their first few; the worker finds out the rest."""

from __future__ import annotations

_STARTS = (
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"II*\x00",
    b"MM\x00*",
    b"II+\x00",
    b"MM\x00+",
    b"BM",
    b"%PDF-",
)
_HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")


def is_page(data: bytes) -> bool:
    """True if ``data`` begins as a PNG, JPEG, TIFF, BMP, WebP, HEIC or PDF file does."""
    if data.startswith(_STARTS) or b"%PDF-" in data[:1024]:
        return True
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return True
    return data[4:8] == b"ftyp" and data[8:12] in _HEIC_BRANDS
