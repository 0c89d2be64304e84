"""Pages in: every format's pixels, and one typed error for everything that is wrong."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import struct
import subprocess
import sys
import textwrap
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from ecg4u.errors import ECG4UError, UnreadableInputError
from ecg4u.io import count_pages, read_page, read_pages
from ecg4u.io.pages import MAX_PIXELS, MAX_SIDE_PX
from ecg4u.io.pixels import as_page

DATA = Path(__file__).parent / "data"


def picture(height: int = 40, width: int = 60) -> np.ndarray:
    """Smooth colours, so that lossy formats stay close; no two corners alike."""
    y, x = np.mgrid[:height, :width]
    return np.stack([255 * y // height, 255 * x // width, 128 + 0 * x], axis=2).astype(np.uint8)


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def png_of_zeros(width: int, height: int) -> bytes:
    """An honest black PNG of any size, packed without ever holding its pixels."""
    packer, parts = zlib.compressobj(1), []
    row = b"\x00" * (1 + width * 3)
    for _ in range(height):
        parts.append(packer.compress(row))
    body = b"".join(parts) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in ((b"IHDR", header), (b"IDAT", body), (b"IEND", b""))
    )


def pdf(width_pt: float, height_pt: float, content: bytes = b"", trailer: bytes = b"") -> bytes:
    """A one-page PDF, written by hand."""
    parts = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 {width_pt} {height_pt}]/Contents 4 0 R>>".encode(),
        b"<</Length %d>>stream\n%s\nendstream" % (len(content), content),
    ]
    out, offsets = b"%PDF-1.4\n", []
    for number, part in enumerate(parts, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj%s\nendobj\n" % (number, part)
    start = len(out)
    out += b"xref\n0 5\n0000000000 65535 f \n"
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return out + b"trailer<</Size 5/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF" % (trailer, start)


FORMATS = {
    "PNG": {},
    "BMP": {},
    "TIFF": {"compression": "tiff_lzw"},
    "WEBP": {"lossless": True},
    "JPEG": {"quality": 95},
}


@pytest.mark.parametrize("format", FORMATS)
def test_pixels_come_back(format: str) -> None:
    data = encoded(Image.fromarray(picture()), format, **FORMATS[format])
    page = read_page(data)
    error = np.abs(page.image.astype(int) - picture())
    assert error.max() <= (12 if format == "JPEG" else 0)
    assert (page.format, page.number, page.n_pages) == (format, 1, 1)
    assert page.sha256 == hashlib.sha256(data).hexdigest()


def test_the_name_does_not_decide(tmp_path: Path) -> None:
    path = tmp_path / "page.jpg"
    path.write_bytes(encoded(Image.fromarray(picture()), "PNG"))
    assert read_page(path).format == "PNG"
    assert read_page(str(path)).format == "PNG"


def test_heic() -> None:
    pytest.importorskip("pi_heif")
    page = read_page(DATA / "quadrants.heic")
    assert (page.format, page.image.shape) == ("HEIC", (48, 64, 3))
    for (y, x), colour in {(10, 10): (220, 20, 20), (40, 50): (20, 20, 220)}.items():
        assert np.abs(page.image[y, x].astype(int) - colour).max() < 25


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int) -> None:
    upright = Image.fromarray(picture())
    turn = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(turn[orientation]) if orientation in turn else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    page = read_page(encoded(stored, "JPEG", quality=95, exif=exif))
    assert page.image.shape == (40, 60, 3)
    assert np.abs(page.image.astype(int) - picture()).mean() < 3


def test_transparency_lies_over_white() -> None:
    rgba = np.zeros((2, 2, 4), np.uint8)
    rgba[0, 0] = (10, 20, 30, 255)
    rgba[0, 1] = (0, 0, 0, 128)
    image = read_page(encoded(Image.fromarray(rgba), "PNG")).image
    assert image[0, 0].tolist() == [10, 20, 30]
    assert np.abs(image[0, 1].astype(int) - 127).max() <= 1
    assert image[1, 1].tolist() == [255, 255, 255]


def test_transparent_palette_entry_is_white() -> None:
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 200, 10, 10])
    palette.putpixel((0, 0), 0)
    image = read_page(encoded(palette, "PNG", transparency=0)).image
    assert image[0, 0].tolist() == [255, 255, 255]
    assert image[1, 1].tolist() == [200, 10, 10]


@pytest.mark.parametrize(("bits", "format"), [(16, "PNG"), (16, "TIFF"), (12, "TIFF"), (10, "PNG")])
def test_deep_grey_fills_eight_bits(bits: int, format: str) -> None:
    top = 2**bits - 1
    deep = np.array([[0, top // 2, top]], np.uint16)
    image = read_page(encoded(Image.fromarray(deep), format)).image
    assert np.abs(image[0, :, 0].astype(int) - [0, 127, 255]).max() <= 1


def test_one_bit_and_cmyk() -> None:
    bilevel = Image.fromarray(np.eye(4, dtype=np.uint8) * 255).convert("1")
    assert read_page(encoded(bilevel, "TIFF", compression="group4")).image[0, :2, 0].tolist() == [
        255,
        0,
    ]
    cmyk = Image.new("CMYK", (8, 8), (0, 0, 0, 0))
    assert read_page(encoded(cmyk, "JPEG")).image.min() >= 250


def test_dpi_only_where_it_says_something() -> None:
    image = Image.fromarray(picture())
    assert read_page(encoded(image, "PNG", dpi=(300, 300))).dpi == pytest.approx(300, abs=0.1)
    assert read_page(encoded(image, "JPEG", dpi=(72, 72))).dpi is None
    assert read_page(encoded(image, "TIFF", dpi=(204, 98))).dpi is None
    assert read_page(encoded(image, "PNG")).dpi is None


def test_pages_of_a_tiff(tmp_path: Path) -> None:
    frames = [Image.new("L", (20 + n, 10), 60 * n) for n in range(3)]
    path = tmp_path / "three.tif"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    pages = read_pages(path)
    assert [page.image.shape[1] for page in pages] == [20, 21, 22]
    assert [(page.number, page.n_pages) for page in pages] == [(1, 3), (2, 3), (3, 3)]
    assert read_page(path, page=3).image[0, 0, 0] == 120
    assert count_pages(path) == 3
    for wrong in (0, -1, 4):
        with pytest.raises(UnreadableInputError, match="no page"):
            read_page(path, page=wrong)


def test_pages_of_a_pdf(tmp_path: Path) -> None:
    path = tmp_path / "two.pdf"
    images = [Image.new("RGB", (300, 150), colour) for colour in ("red", "blue")]
    images[0].save(path, save_all=True, append_images=images[1:], resolution=100)
    pages = read_pages(path)
    assert len(pages) == 2
    assert np.abs(np.subtract(pages[0].image.shape, (450, 900, 3))).max() <= 1
    assert pages[0].image[200, 400].tolist()[0] > 240
    assert pages[1].image[200, 400].tolist()[2] > 240
    assert pages[0].dpi == 300
    coarse = read_page(path, page=2, pdf_dpi=100).image
    assert np.abs(np.subtract(coarse.shape, (150, 300, 3))).max() <= 1
    assert count_pages(path) == 2


def test_vector_pdf_is_drawn_to_scale() -> None:
    image = read_page(pdf(144, 72, b"0 0 0 rg 72 0 72 72 re f")).image
    assert image.shape == (300, 600, 3)
    assert image[150, 150].tolist() == [255] * 3
    assert image[150, 450].tolist() == [0] * 3


def test_a_locked_pdf_says_so() -> None:
    key = b"<%s>" % (b"5a" * 32)
    lock = b"/ID[<00><00>]/Encrypt<</Filter/Standard/V 1/R 2/O%s/U%s/P -4>>" % (key, key)
    with pytest.raises(UnreadableInputError, match="password"):
        read_pages(pdf(100, 100, trailer=lock))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(pdf(200 * 72, 200 * 72), id="pdf-200-inches"),
        pytest.param(encoded(Image.new("1", (9000, 9000)), "PNG"), id="png-81-MP"),
        pytest.param(
            encoded(Image.new("1", (9000, 9000)), "TIFF", compression="group4"), id="tiff"
        ),
    ],
)
def test_too_large_is_refused_by_its_header(data: bytes) -> None:
    with pytest.raises(UnreadableInputError, match=f"larger than {MAX_PIXELS // 10**6} mega"):
        read_pages(data)


def test_a_webp_is_bounded_more_narrowly() -> None:
    start = encoded(Image.new("RGB", (16, 16)), "WEBP", lossless=False)
    at = start.index(b"\x9d\x01\x2a") + 3
    claims = start[:at] + struct.pack("<HH", 8100, 8100) + start[at + 4 :]
    with pytest.raises(UnreadableInputError, match="larger than 52 mega"):
        read_pages(claims)


def test_a_side_is_bounded() -> None:
    size = (MAX_SIDE_PX, 1)
    assert read_page(encoded(Image.new("1", size), "PNG")).image.shape[:2] == size[::-1]
    with pytest.raises(UnreadableInputError, match="A side"):
        read_pages(encoded(Image.new("1", (1, MAX_SIDE_PX + 1)), "PNG"))


def test_large_picture_in_a_small_pdf_page_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "packed.pdf"
    Image.new("1", (9000, 9000)).save(path, resolution=9000)
    with pytest.raises(UnreadableInputError, match="larger than"):
        read_pages(path)


def test_a_900_megapixel_png_is_refused_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png_of_zeros(30_000, 30_000))
    script = """
        import resource, sys
        from PIL import Image, PngImagePlugin
        from ecg4u.errors import UnreadableInputError
        from ecg4u.io import read_pages
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            read_pages(sys.argv[1])
        except UnreadableInputError as error:
            assert "larger than" in str(error)
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert int(done.stdout) < 100_000  # kilobytes


def test_a_picture_is_converted_without_copies_of_the_whole() -> None:
    script = """
        import resource
        from PIL import Image
        from ecg4u.io.pixels import to_rgb
        image = Image.new("RGBA", (4000, 4000), (9, 9, 9, 128))
        to_rgb(image.crop((0, 0, 9, 9)))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        page = to_rgb(image)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 48_000 + 30_000  # kilobytes: the result, and a little


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "RGBA", "LA", "I;16", "F"])
def test_a_picture_is_converted_alike_everywhere(mode: str) -> None:
    """Also where it is taken in parts: its upper half is that of the whole."""
    values = np.random.default_rng(1).integers(0, 255, (1500, 1700, 4), np.uint8)
    image = Image.fromarray(values, "RGBA")
    if mode in ("I;16", "F"):
        image = Image.fromarray(values[:, :, 0].astype("u2" if mode == "I;16" else "f4"))
    image = image if image.mode == mode else image.convert(mode)
    whole = as_page(image).image
    for box in ((0, 0, 1700, 500), (0, 480, 1700, 980), (0, 1100, 1700, 1500)):
        assert np.array_equal(as_page(image.crop(box)).image, whole[box[1] : box[3]])


def test_the_total_of_all_pages_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ecg4u.io.pages.MAX_TOTAL_PIXELS", 1000)
    frames = [Image.new("L", (20, 30)) for _ in range(3)]
    data = encoded(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    with pytest.raises(UnreadableInputError, match="together"):
        read_pages(data)
    assert read_page(data, page=3).number == 3


def test_what_is_not_a_page(tmp_path: Path) -> None:
    (tmp_path / "doe_folder.png").mkdir()
    (tmp_path / "doe_empty.png").touch()
    (tmp_path / "doe_text.png").write_text("ECG " * 100)
    (tmp_path / "doe_loop.png").symlink_to(tmp_path / "doe_loop.png")
    os.mkfifo(tmp_path / "doe_pipe.png")
    Image.fromarray(picture()).save(tmp_path / "doe_picture.gif")
    Image.fromarray(picture()).save(tmp_path / "doe_picture.eps")
    for path in [*tmp_path.iterdir(), tmp_path / "doe_missing.png", "/dev/zero"]:
        with pytest.raises(UnreadableInputError) as caught:
            read_pages(path)
        assert caught.value.hint
        assert caught.value.stage == "io"
        assert "doe_" not in str(caught.value) + caught.value.hint
    for bad in ("a\x00b.png", "x" * 5000):
        with pytest.raises(UnreadableInputError):
            read_pages(bad)


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object) -> int:
        raise PermissionError(13, "no", "secret-name.png")

    monkeypatch.setattr("ecg4u.io.files.os.open", refuse)
    with pytest.raises(UnreadableInputError, match="no permission to read") as caught:
        read_pages(tmp_path / "page.png")
    assert "secret" not in str(caught.value)


SEEDS = [
    *(encoded(Image.fromarray(picture()), f, **o) for f, o in FORMATS.items()),
    (DATA / "quadrants.heic").read_bytes(),
    pdf(100, 50, b"0 0 50 50 re f"),
]


@pytest.mark.parametrize("data", SEEDS, ids=[*FORMATS, "HEIC", "PDF"])
def test_cut_short_anywhere_is_refused_or_whole(data: bytes) -> None:
    whole = read_page(data).image
    for end in range(0, len(data), max(1, len(data) // 60)):
        with contextlib.suppress(UnreadableInputError):
            assert read_page(data[:end]).image.shape == whole.shape


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=8)), max_size=6),
)
def test_damage_never_escapes_untyped(seed: bytes, damage: list[tuple[float, bytes]]) -> None:
    data = bytearray(seed)
    for position, patch in damage:
        start = int(position * (len(data) - 1))
        data[start : start + len(patch)] = patch
    with contextlib.suppress(ECG4UError):
        for page in read_pages(bytes(data), pdf_dpi=72):
            assert page.image.dtype == np.uint8


def _jpeg(rng: np.random.Generator) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(rng.integers(0, 255, (203, 157, 3), np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()


def test_a_whole_jpeg_without_its_end_mark_is_read_and_one_cut_short_is_not() -> None:
    whole = _jpeg(np.random.default_rng(0))
    assert (read_page(whole[:-2]).image == read_page(whole).image).all()
    for cut in (2_000, len(whole) // 2):
        with pytest.raises(UnreadableInputError, match="cut short"):
            read_page(whole[:-cut])


def test_a_fax_of_unequal_resolution_gets_square_pixels() -> None:
    buffer = io.BytesIO()
    Image.new("L", (400, 120), 255).save(buffer, "TIFF", dpi=(204.0, 98.0))
    page = read_page(buffer.getvalue())
    assert page.image.shape[:2] == (round(120 * 204 / 98), 400)
