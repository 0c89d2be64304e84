"""Pages that claim more than can be read: refused for the claim, before anything is decoded."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hostile_files import one_page, pdf, progressive, stream, tiff_of_many

from ecg4u.errors import UnreadableInputError
from ecg4u.io import count_pages, read_page, read_pages

N_PICTURES = 3
QUICK_S = 2.0


def claimed(side: int, extra: bytes = b"") -> bytes:
    """A picture that says it has so many pixels on each side, and holds next to none."""
    size = b"/Width %d/Height %d/BitsPerComponent 8/ColorSpace/DeviceGray" % (side, side)
    return stream(b"/Type/XObject/Subtype/Image" + size + extra, bytes(100))


def named(first: int, count: int = N_PICTURES) -> bytes:
    return b"/XObject<<%s>>" % b"".join(b"/I%d %d 0 R" % (n, first + n) for n in range(count))


DRAWN = b" ".join(b"/I%d Do" % n for n in range(N_PICTURES))


def on_the_page(side: int) -> bytes:
    return one_page(DRAWN, named(5), *[claimed(side)] * N_PICTURES)


def in_soft_masks(side: int) -> bytes:
    masked = [claimed(9, b"/SMask %d 0 R" % (5 + N_PICTURES + n)) for n in range(N_PICTURES)]
    return one_page(DRAWN, named(5), *masked, *[claimed(side)] * N_PICTURES)


def in_a_pattern(side: int) -> bytes:
    tile = b"/PatternType 1/PaintType 1/TilingType 1/BBox[0 0 9 9]/XStep 9/YStep 9"
    pattern = stream(tile + b"/Resources<<%s>>" % named(6), DRAWN)
    paint = b"/Pattern cs /P scn 0 0 595 842 re f"
    return one_page(paint, b"/Pattern<</P 5 0 R>>", pattern, *[claimed(side)] * N_PICTURES)


def in_a_font(side: int) -> bytes:
    font = (
        b"<</Type/Font/Subtype/Type3/FontBBox[0 0 750 750]/FontMatrix[.001 0 0 .001 0 0]"
        b"/CharProcs<</a 6 0 R>>/Encoding<</Type/Encoding/Differences[97/a]>>/FirstChar 97"
        b"/LastChar 97/Widths[1000]/Resources<<%s>>>>" % named(7)
    )
    glyph = stream(b"", b"1000 0 0 0 750 750 d1 " + DRAWN)
    text = b"BT /F 40 Tf 9 9 Td (a) Tj ET"
    return one_page(text, b"/Font<</F 5 0 R>>", font, glyph, *[claimed(side)] * N_PICTURES)


def in_an_annotation(side: int) -> bytes:
    form = b"/Type/XObject/Subtype/Form/BBox[0 0 595 842]/Resources<<%s>>" % named(7)
    return pdf(
        [
            b"<</Type/Catalog/Pages 2 0 R>>",
            b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Annots[5 0 R]>>",
            stream(b"", b"0 0 9 9 re f"),
            b"<</Type/Annot/Subtype/Stamp/Rect[0 0 595 842]/AP<</N 6 0 R>>/F 4>>",
            stream(form, DRAWN),
            *[claimed(side)] * N_PICTURES,
        ]
    )


def under_another_spelling(side: int) -> bytes:
    return on_the_page(side).replace(b"/Width", b"/#57idth").replace(b"/Image", b"/Im#61ge")


PLACES = (
    *(on_the_page, in_soft_masks, in_a_pattern, in_a_font),
    *(in_an_annotation, under_another_spelling),
)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
def test_pictures_of_a_pdf_are_summed_wherever_they_hide(place: Callable[[int], bytes]) -> None:
    begun = time.process_time()
    with pytest.raises(UnreadableInputError, match="larger than"):
        read_pages(place(8000))  # 64 megapixels each, 192 together
    assert time.process_time() - begun < QUICK_S
    assert read_page(place(20), pdf_dpi=36).image.shape == (421, 298, 3)


def test_a_pdf_of_more_pages_than_are_read() -> None:
    def of(count: int) -> bytes:
        pages = b"<</Type/Pages/Kids[%s]/Count %d>>" % (b"3 0 R " * count, count)
        page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]>>"
        return pdf([b"<</Type/Catalog/Pages 2 0 R>>", pages, page])

    assert count_pages(of(1000)) == 1000
    with pytest.raises(UnreadableInputError, match="more than 1000 pages"):
        count_pages(of(1001))


def test_directories_of_a_tiff_are_counted_no_further_than_they_are_read() -> None:
    data = tiff_of_many(60_000)
    begun = time.process_time()
    for look in (count_pages, read_pages):
        with pytest.raises(UnreadableInputError, match="more than 1000 pages"):
            look(data)
    assert time.process_time() - begun < QUICK_S


def test_scans_of_a_jpeg_are_counted_before_they_are_decoded() -> None:
    data = progressive(2000, 500)  # 4 megapixels, passed over 500 times
    begun = time.process_time()
    with pytest.raises(UnreadableInputError, match="too many scans"):
        read_pages(data)
    assert time.process_time() - begun < QUICK_S
    assert read_page(progressive(200, 20)).image.shape == (200, 200, 3)
