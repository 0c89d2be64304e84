"""Files that are made to hang, to fill memory, to reach other files or to break a parser.

    python tests/hostile_files.py FOLDER

writes some 400 of them, the same each time, and some 40 MB in all: nothing of it is kept in git.
`KINDS` names the makers; each yields pairs of a file name and the file's bytes (or, for what is no
file, a function that makes it at a path).
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import struct
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Content = bytes | Callable[[Path], None]
Made = Iterator[tuple[str, Content]]

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
SIDE_PX = 8900
"""A square of 79 megapixels, just below the limit."""


def write_all(folder: Path, kinds: Sequence[str] | None = None) -> dict[str, list[Path]]:
    """Write each kind into a folder of its own; returns what to hand to a reader, by kind.

    A kind whose folder is there already is not made again.
    """
    written: dict[str, list[Path]] = {}
    for kind in kinds or KINDS:
        if (folder / kind).exists():
            written[kind] = sorted(p for p in (folder / kind).iterdir() if _is_input(p))
            continue
        (folder / kind).mkdir(parents=True)
        for name, content in KINDS[kind]():
            path = folder / kind / name
            if callable(content):
                content(path)
            else:
                path.write_bytes(content)
            if _is_input(path):
                written.setdefault(kind, []).append(path)
    return written


def _is_input(path: Path) -> bool:
    return path.suffix not in (".dat", ".hidden")


# PDF


def pdf(objects: list[bytes], *, n_pages_claimed: int | None = None) -> bytes:
    """A PDF of these objects, numbered from 1; the first is the catalog."""
    out, places = io.BytesIO(), []
    out.write(b"%PDF-1.7\n")
    for number, body in enumerate(objects, start=1):
        places.append(out.tell())
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, body))
    start = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    for place in places:
        out.write(b"%010d 00000 n \n" % place)
    out.write(b"trailer\n<</Size %d/Root 1 0 R>>\n" % (len(objects) + 1))
    out.write(b"startxref\n%d\n%%%%EOF\n" % start)
    return out.getvalue()


def stream(entries: bytes, data: bytes, *, times: int = 1) -> bytes:
    """A stream object, packed ``times`` times."""
    for _ in range(times):
        data = zlib.compress(data, 9)
    packing = b"/Filter[%s]" % (b"/FlateDecode " * times) if times else b""
    return b"<<%s/Length %d%s>>stream\n%s\nendstream" % (entries, len(data), packing, data)


def one_page(content: bytes, resources: bytes, *more: bytes, box: bytes = b"0 0 595 842") -> bytes:
    """Objects 1 to 4 are catalog, pages, page and content; ``more`` begins with object 5."""
    return pdf(
        [
            b"<</Type/Catalog/Pages 2 0 R>>",
            b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
            b"<</Type/Page/Parent 2 0 R/MediaBox[%s]/Resources<<%s>>/Contents 4 0 R>>"
            % (box, resources),
            stream(b"", content),
            *more,
        ]
    )


def form(content: bytes, resources: bytes) -> bytes:
    """A form XObject."""
    entries = b"/Type/XObject/Subtype/Form/BBox[0 0 999 999]/Resources<<%s>>" % resources
    return stream(entries, content)


def picture(side: int = SIDE_PX, extra: bytes = b"", *, times: int = 2) -> bytes:
    """An image XObject, white, of ``side`` squared pixels in some bytes."""
    entries = b"/Type/XObject/Subtype/Image/Width %d/Height %d/BitsPerComponent 8" % (side, side)
    return stream(entries + b"/ColorSpace/DeviceGray" + extra, bytes(side * side), times=times)


def pdfs() -> Made:
    """Programs that never end and pictures without end."""
    calls = b"/X Do " * 20
    yield (
        "form_calls_itself.pdf",
        one_page(calls, b"/XObject<</X 5 0 R>>", form(calls, b"/XObject<</X 5 0 R>>")),
    )
    yield (
        "forms_call_each_other.pdf",
        one_page(
            calls,
            b"/XObject<</X 5 0 R>>",
            form(calls, b"/XObject<</X 6 0 R>>"),
            form(calls, b"/XObject<</X 5 0 R>>"),
        ),
    )
    for depth, width in ((12, 8), (28, 2), (200, 2), (6, 40)):
        forms = [
            form(b"/X Do " * width, b"/XObject<</X %d 0 R>>" % (6 + level))
            for level in range(depth)
        ]
        last = form(b"0 0 9 9 re f", b"")
        yield (
            f"forms_{width}_to_{depth}.pdf",
            one_page(calls, b"/XObject<</X 5 0 R>>", *forms, last),
        )
    big = picture()
    many = b" ".join(b"/I%d %d 0 R" % (n, 5 + n) for n in range(200))
    draws = b" ".join(b"/I%d Do" % n for n in range(200))
    yield "many_pictures.pdf", one_page(draws, b"/XObject<<%s>>" % many, *[big] * 200)
    yield "one_picture_often.pdf", one_page(b"/I Do " * 5000, b"/XObject<</I 5 0 R>>", big)
    yield "huge_picture.pdf", one_page(b"/I Do", b"/XObject<</I 5 0 R>>", picture(20000))
    masked = picture(100, b"/SMask 6 0 R")
    yield "soft_mask.pdf", one_page(b"/I Do", b"/XObject<</I 5 0 R>>", masked, picture(20000))
    masks = [picture(100, b"/SMask %d 0 R" % (105 + n)) for n in range(100)]
    few = b" ".join(b"/I%d %d 0 R" % (n, 5 + n) for n in range(100))
    draws = b" ".join(b"/I%d Do" % n for n in range(100))
    yield "soft_masks.pdf", one_page(draws, b"/XObject<<%s>>" % few, *masks, *[big] * 100)
    tiling = stream(
        b"/PatternType 1/PaintType 1/TilingType 1/BBox[0 0 9 9]/XStep 9/YStep 9"
        b"/Resources<</XObject<</I 6 0 R>>>>",
        b"/I Do",
    )
    paint = b"/Pattern cs /P scn 0 0 595 842 re f"
    yield "pattern_of_picture.pdf", one_page(paint, b"/Pattern<</P 5 0 R>>", tiling, picture(20000))
    small_steps = stream(
        b"/PatternType 1/PaintType 1/TilingType 1/BBox[0 0 1 1]/XStep .0001/YStep .0001"
        b"/Resources<<>>",
        b"0 0 1 1 re f",
    )
    yield "pattern_of_small_steps.pdf", one_page(paint, b"/Pattern<</P 5 0 R>>", small_steps)
    glyph = stream(b"", b"1000 0 0 0 750 750 d1 /I Do")
    type3 = (
        b"<</Type/Font/Subtype/Type3/FontBBox[0 0 750 750]/FontMatrix[.001 0 0 .001 0 0]"
        b"/CharProcs<</a 6 0 R>>/Encoding<</Type/Encoding/Differences[97/a]>>/FirstChar 97"
        b"/LastChar 97/Widths[1000]/Resources<</XObject<</I 7 0 R>>>>>>"
    )
    text = b"BT /F 400 Tf 9 9 Td (" + b"a" * 2000 + b") Tj ET"
    yield "type3_font.pdf", one_page(text, b"/Font<</F 5 0 R>>", type3, glyph, picture(20000))
    for name, count in (("shading", 1), ("shadings", 4000)):
        shading = b"<</ShadingType 1/ColorSpace/DeviceRGB/Function 6 0 R/Domain[0 595 0 842]>>"
        program = b"{ " + b"dup sin exch cos mul abs sqrt dup " * 600 + b" }"
        function = stream(
            b"/FunctionType 4/Domain[0 595 0 842]/Range[0 1 0 1 0 1]", program, times=0
        )
        yield (
            f"function_{name}.pdf",
            one_page(b"/S sh " * count, b"/Shading<</S 5 0 R>>", shading, function),
        )
    for count in (1001, 200_000):
        pages = b"<</Type/Pages/Kids[%s]/Count %d>>" % (b"3 0 R " * count, count)
        page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]>>"
        yield f"pages_{count}.pdf", pdf([b"<</Type/Catalog/Pages 2 0 R>>", pages, page])
    tree = b"<</Type/Pages/Kids[2 0 R 2 0 R]/Count 1000000000>>"
    yield "pages_in_a_circle.pdf", pdf([b"<</Type/Catalog/Pages 2 0 R>>", tree])
    for box in (b"0 0 99999 99999", b"0 0 1e30 1e30", b"0 0 nan inf", b"0 0 0 0", b"9 9 -9 -9"):
        name = box.decode().replace(" ", "_")
        yield f"box_{name}.pdf", one_page(b"0 0 9 9 re f", b"", box=box)
    for times in (2, 3, 4):
        packed = stream(b"", b"0 0 m 9 9 l S " * 3_000_000, times=times)
        yield (
            f"content_packed_{times}.pdf",
            pdf(
                [
                    b"<</Type/Catalog/Pages 2 0 R>>",
                    b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
                    b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R>>",
                    packed,
                ]
            ),
        )
    inline = b"q BI /W 8900 /H 8900 /BPC 8 /CS /G /F /Fl ID " + zlib.compress(bytes(SIDE_PX**2), 9)
    yield "inline_pictures.pdf", one_page((inline + b" EI Q ") * 40, b"")
    note = b"<</Type/Annot/Subtype/Stamp/Rect[0 0 595 842]/AP<</N 6 0 R>>/F 4>>"
    shown = stream(
        b"/Type/XObject/Subtype/Form/BBox[0 0 595 842]/Resources<</XObject<</I 7 0 R>>>>", b"/I Do"
    )
    yield (
        "annotation.pdf",
        pdf(
            [
                b"<</Type/Catalog/Pages 2 0 R>>",
                b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
                b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Annots[5 0 R]>>",
                stream(b"", b"0 0 9 9 re f"),
                note,
                shown,
                picture(20000),
            ]
        ),
    )
    yield (
        "hidden_size.pdf",
        one_page(
            b"/I Do",
            b"/XObject<</I 5 0 R>>",
            picture(20000).replace(b"/Width 20000", b"/#57idth 20000"),
        ),
    )
    yield (
        "indirect_size.pdf",
        one_page(
            b"/I Do",
            b"/XObject<</I 5 0 R>>",
            picture(20000).replace(b"/Width 20000", b"/Width 6 0 R"),
            b"20000",
        ),
    )
    yield (
        "script.pdf",
        one_page(b"", b"").replace(
            b"/Pages 2 0 R", b"/Pages 2 0 R/OpenAction<</S/JavaScript/JS(while(true){})>>"
        ),
    )
    yield "dashes.pdf", one_page(b"[.00001 .00001] 0 d 0 0 m 595 842 l S " * 20, b"")
    yield "path.pdf", one_page(b"0 0 m " + b"9 9 l 500 700 l " * 2_000_000 + b"f", b"")
    yield "saves.pdf", one_page(b"q " * 5_000_000, b"")
    yield "deep_arrays.pdf", one_page(b"[" * 1_000_000, b"")
    yield "deep_dictionaries.pdf", pdf([b"<</A" * 200_000])


# Images


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """One chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    width: int, height: int, rows: bytes, *extra: bytes, depth: int = 8, colour: int = 0
) -> bytes:
    """A PNG that claims a size."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            png_chunk(b"IHDR", header),
            *extra,
            png_chunk(b"IDAT", zlib.compress(rows, 9)),
            png_chunk(b"IEND", b""),
        )
    )


def saved(
    format_: str, size: tuple[int, int] = (60, 40), mode: str = "RGB", **options: Any
) -> bytes:
    """A small picture in some format."""
    from PIL import Image

    pixels = np.random.default_rng(1).integers(0, 255, (size[1], size[0], 4), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels, "RGBA").convert(mode).save(buffer, format_, **options)
    return buffer.getvalue()


def images() -> Made:
    """Sizes that are not there, text without end, frames without end."""
    for side in (30_000, 65_535, 2**31 - 1):
        yield f"claims_{side}.png", png(side, side, bytes(1000))
    yield "claims_nothing.png", png(0, 0, b"")
    yield "white_79_mp.png", png(SIDE_PX, SIDE_PX, bytes((SIDE_PX + 1) * SIDE_PX))
    row = bytes(1 + 8 * SIDE_PX)
    yield "deep_rgba_79_mp.png", png(SIDE_PX, SIDE_PX, row * SIDE_PX, depth=16, colour=6)
    yield "long_and_thin.png", png(79_000_000, 1, bytes(79_000_001))
    yield "thin_and_long.png", png(1, 79_000_000, bytes(2 * 79_000_000))
    text = png_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(300_000_000), 9))
    yield "text_bomb.png", png(9, 9, bytes(90), *[text] * 20)
    profile = png_chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(300_000_000), 9))
    yield "profile_bomb.png", png(9, 9, bytes(90), profile)
    yield "rows_beyond_its_size.png", png(9, 9, bytes(300_000_000))
    yield "animated.png", png(99, 99, bytes(9900), png_chunk(b"acTL", struct.pack(">II", 10**9, 0)))
    baseline = saved("JPEG", (64, 64))
    yield (
        "jpeg_claims_65500.jpg",
        baseline.replace(b"\x08\x00\x40\x00\x40", b"\x08\xff\xdc\xff\xdc"),
    )
    for n_scans in (300, 3000):
        yield f"progressive_{n_scans}_scans.jpg", progressive(SIDE_PX, n_scans)
    yield (
        "comment_bomb.jpg",
        baseline[:2] + (b"\xff\xfe\xff\xff" + bytes(65533)) * 300 + baseline[2:],
    )
    for directories in (2000, 180_000):
        yield f"{directories}_directories.tif", tiff_of_many(directories)
    yield "directories_in_a_circle.tif", tiff_circle()
    for code in (5, 8, 32773):
        yield f"strip_bomb_{code}.tif", tiff_strip(code)
    for name, value in (("width", 0x0100), ("height", 0x0101)):
        yield f"huge_{name}.tif", tiff_strip(1, **{name: 2**31 - 1 + 0 * value})
    for side in (20_000, 2**31 - 1, -1):
        header = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0)
        start = b"BM" + struct.pack("<IHHI", 54, 0, 0, 54)
        yield f"claims_{side}.bmp", start + header + bytes(100)
    yield "line_ends.bmp", bmp_of_runs(65_500, 1220, b"\x01\x00\x00\x00" * 1220)
    yield "runs_of_one.bmp", bmp_of_runs(SIDE_PX, SIDE_PX, b"\x01\x00" * 12_000_000)
    webp = saved("WEBP")
    yield "webp_claims.webp", webp.replace(webp[26:30], b"\xff\x3f\xff\x3f")
    yield "webp_all_white.webp", saved_white("WEBP", 16_000, 4900)
    yield "jpeg_all_white.jpg", saved_white("JPEG", SIDE_PX, SIDE_PX)
    yield "heic_claims.heic", heic_that_claims(60_000)
    yield "heic_of_nothing.heic", b"\0\0\0\x18ftypheic\0\0\0\0heicmif1" + bytes(200)
    yield "filled.jpg", baseline[:2] + b"\xff" * 20_000_000 + baseline[2:]
    yield from (
        ("empty.png", b""),
        ("text.png", b"hello\n" * 100),
        ("script.png", b"#!/bin/sh\nrm -rf /\n"),
        ("eps.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n{1 pop} loop\n"),
        (
            "svg.png",
            b'<svg xmlns="http://www.w3.org/2000/svg"><use href="file:///etc/passwd"/></svg>',
        ),
        ("zip.png", b"PK\x03\x04" + bytes(100)),
        ("psd.png", b"8BPS\0\1" + bytes(100)),
        ("gif.png", b"GIF89a" + bytes(100)),
        ("jp2.png", b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(100)),
        ("fits.png", b"SIMPLE  =                    T" + bytes(3000)),
    )


def bmp_of_runs(width: int, height: int, runs: bytes) -> bytes:
    """A BMP whose rows are run-length encoded; Pillow decodes them in Python."""
    palette, start = bytes(1024), 54 + 1024
    header = struct.pack("<IHHI", start + len(runs), 0, 0, start)
    header += struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(runs), 0, 0, 256, 0)
    return b"BM" + header + palette + runs


def saved_white(format_: str, width: int, height: int) -> bytes:
    """A white picture, well packed."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "white").save(buffer, format_, quality=1)
    return buffer.getvalue()


def progressive(side: int, n_scans: int) -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("L", (side, side), "white").save(buffer, "JPEG", quality=1, progressive=True)
    data = buffer.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * n_scans + b"\xff\xd9"


def tiff_directory(entries: list[tuple[int, int, int, int]], following: int) -> bytes:
    """One directory: tag, type, count, value of each entry."""
    body = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    return struct.pack("<H", len(entries)) + body + struct.pack("<I", following)


def tiff_entries(width: int, height: int, code: int, at: int, n_bytes: int) -> list[Any]:
    """What an image of grey bytes in one strip needs."""
    return [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 1, 8),
        (259, 3, 1, code),
        (262, 3, 1, 1),
        (273, 4, 1, at),
        (277, 3, 1, 1),
        (278, 4, 1, height),
        (279, 4, 1, n_bytes),
    ]


def tiff_of_many(count: int) -> bytes:
    """Directory after directory, each of one pixel."""
    size = 2 + 12 * 9 + 4
    out = bytearray(b"II*\0" + struct.pack("<I", 8))
    for number in range(count):
        following = 8 + size * (number + 1) if number + 1 < count else 0
        out += tiff_directory(tiff_entries(1, 1, 1, 8, 1), following)
    return bytes(out)


def tiff_circle() -> bytes:
    """A directory that comes after itself."""
    return b"II*\0" + struct.pack("<I", 8) + tiff_directory(tiff_entries(1, 1, 1, 8, 1), 8)


def tiff_strip(code: int, width: int = SIDE_PX, height: int = SIDE_PX) -> bytes:
    """One strip of 79 megapixels in few bytes."""
    data = {
        1: bytes(100),
        5: b"\x80\x00" * 5000,
        8: zlib.compress(bytes(SIDE_PX * SIDE_PX), 9),
        32773: b"\x81\xff" * (SIDE_PX * SIDE_PX // 128 + 1),
    }[code]
    entries = tiff_entries(width, height, code, 8 + 2 + 12 * 9 + 4, len(data))
    return b"II*\0" + struct.pack("<I", 8) + tiff_directory(entries, 0) + data


def heic_that_claims(side: int) -> bytes:
    """A real HEIC file whose size was changed."""
    import pi_heif

    try:
        from PIL import Image

        pi_heif.register_heif_opener()
        buffer = io.BytesIO()
        Image.new("RGB", (64, 64)).save(buffer, "HEIF")
        data = buffer.getvalue()
    except Exception:  # pi_heif reads only
        data = b"\0\0\0\x18ftypheic\0\0\0\0heicmif1\0\0\0\x0cispe" + struct.pack(">II", 64, 64)
    return data.replace(struct.pack(">II", 64, 64), struct.pack(">II", side, side))


# Records


def hdf5(fill: Callable[[Any], None]) -> bytes:
    """An HDF5 file."""
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        fill(file)
    return buffer.getvalue()


def own(file: Any, **attributes: Any) -> None:
    """The attributes of a record that ecg4u wrote."""
    stated = {"schema": "ecg4u-record-1", "fs": 500.0, "sig_name": list(LEADS), "units": "mV"}
    for name, value in {**stated, **attributes}.items():
        if value is not None:
            file.attrs[name] = value


SECRET = "secret.hidden"
"""Another person's record, beside those that try to reach it."""


def hdf5s() -> Made:
    """Links into other files, sizes that unfold, attributes without end."""
    import h5py

    signal = np.zeros((500, 12), np.float32)

    def secret(file: Any) -> None:
        own(file)
        file["p_signal"] = signal + 7.125
        file["confidence"] = np.ones((500, 12), np.float32)
        file["fs"] = np.array([500.0])

    yield SECRET, hdf5(secret)
    for kind, link in (
        ("external", h5py.ExternalLink(SECRET, "p_signal")),
        ("relative", h5py.ExternalLink("./../hdf5/" + SECRET, "p_signal")),
        ("soft", h5py.SoftLink("/other")),
    ):
        for target in ("p_signal", "confidence", "fs"):

            def linked(file: Any, target: str = target, link: Any = link) -> None:
                own(file, fs=None if target == "fs" else 500.0)
                file["other"] = signal
                if target != "p_signal":
                    file["p_signal"] = signal
                file[target] = link

            yield f"{kind}_{target}.h5", hdf5(linked)

    def linked_group(file: Any) -> None:
        file["records"] = h5py.ExternalLink(SECRET, "/")

    yield "external_group.h5", hdf5(linked_group)

    def virtual(file: Any) -> None:
        layout = h5py.VirtualLayout((500, 12), "f4")
        layout[:] = h5py.VirtualSource(SECRET, "p_signal", (500, 12))
        own(file)
        file.create_virtual_dataset("p_signal", layout)

    yield "virtual.h5", hdf5(virtual)

    def outside(file: Any) -> None:
        own(file)
        file.create_dataset("p_signal", (500, 12), "f4", external=[(SECRET, 0, 24_000)])

    yield "external_storage.h5", hdf5(outside)
    for rows in (1_900_000, 4_000_000, 80_000_000, 10**12):

        def claims(file: Any, rows: int = rows) -> None:
            own(file)
            for name in ("p_signal", "confidence"):
                file.create_dataset(
                    name, (rows, 12), "f4", chunks=(10_000, 12), compression="gzip", fillvalue=0
                )

        yield f"claims_{rows}.h5", hdf5(claims)

    def many_leads(file: Any) -> None:
        for lead in LEADS:
            file.create_dataset(lead, (20_000_000,), "f8", chunks=(20_000_000,), compression="gzip")
            file[lead].attrs["fs"] = 500.0

    yield "many_long_leads.h5", hdf5(many_leads)

    def small_chunks(file: Any) -> None:
        own(file)
        file.create_dataset("p_signal", (1_900_000, 12), "f4", chunks=(1, 1), fillvalue=0)

    yield "small_chunks.h5", hdf5(small_chunks)

    def packed_twice(file: Any) -> None:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((4000, 12))
        for _ in range(3):
            plist.set_deflate(9)
        space = h5py.h5s.create_simple((4000, 12))
        h5py.h5d.create(file.id, b"p_signal", h5py.h5t.IEEE_F32LE, space, plist)
        own(file)
        bomb = bytes(1_000_000_000)
        for _ in range(3):
            bomb = zlib.compress(bomb, 9)
        file["p_signal"].id.write_direct_chunk((0, 0), bomb)

    yield "packed_thrice.h5", hdf5(packed_twice)

    def packed(file: Any) -> None:
        own(file)
        data = file.create_dataset("p_signal", (4000, 12), "f4", chunks=(4000, 12), compression=9)
        data.id.write_direct_chunk((0, 0), zlib.compress(bytes(3_000_000_000), 9))

    yield "chunk_beyond_its_size.h5", hdf5(packed)

    def shared_text(file: Any) -> None:
        own(file)
        file["p_signal"] = signal
        file.attrs["sig_name"] = ["x" * 60_000] * 4000

    with contextlib.suppress(OSError, RuntimeError):  # too large for some versions of the library
        yield "shared_text.h5", hdf5(shared_text)
    for name, value in (
        ("fs", 1e300), ("fs", 1e-300), ("fs", 0.0), ("fs", -1.0), ("fs", np.nan), ("fs", np.inf),
        ("fs", "fast"), ("fs", 1e9), ("age", np.nan), ("age", 1e300), ("age", -1.0), ("age", "old"),
        ("sex", "\ud800"), ("units", "furlong"), ("sig_name", ["I"] * 12), ("sig_name", "I"),
        ("provenance", json.dumps({"kind": "digital", "source_sha256": "\ud800", "inferred": [],
                                   "details": {}})),
        ("provenance", "[" * 100_000), ("schema", "ecg4u-record-2"),
    ):  # fmt: skip

        def stated(file: Any, name: str = name, value: Any = value) -> None:
            own(file)
            file["p_signal"] = signal
            file.attrs[name] = value

        try:
            data = hdf5(stated)
        except (OSError, ValueError, UnicodeError):
            continue
        word = "".join(c if c.isalnum() else "-" for c in str(value))[:12]
        yield f"{name}_{word}.h5", data
    for amplitude in (1e300, 3e38, np.inf, np.nan, 20_000.0):

        def loud(file: Any, amplitude: float = amplitude) -> None:
            own(file)
            file["p_signal"] = np.full((500, 12), amplitude)

        yield f"amplitude_{amplitude:g}.h5", hdf5(loud)

    def deep(file: Any) -> None:
        group = file
        for _ in range(500):
            group = group.create_group("g")
        group["I"] = np.zeros(500)

    yield "deep.h5", hdf5(deep)

    def wide(file: Any) -> None:
        for number in range(30_000):
            file.create_group(f"g{number}")

    yield "wide.h5", hdf5(wide)

    def circle(file: Any) -> None:
        file["a"] = h5py.SoftLink("/")
        file.create_group("b")["up"] = file["/"]

    yield "circle.h5", hdf5(circle)
    whole = hdf5(secret)
    chance = random.Random(5)
    for number in range(25):
        data = bytearray(whole)
        for _ in range(19):
            data[chance.randrange(len(data))] = chance.randrange(256)
        yield f"flipped_{number}.h5", bytes(data)


def wfdbs() -> Made:
    """Headers that claim, point elsewhere, or are read otherwise by another parser."""
    line = "{dat} {fmt} {gain} 16 0 0 0 0 {lead}"

    def header(first: str, lines: list[str]) -> bytes:
        return ("\n".join([first, *lines]) + "\n").encode()

    def lines(**changes: str) -> list[str]:
        values = {"dat": "x.dat", "fmt": "16", "gain": "1000", "lead": "", **changes}
        return [line.format(**{**values, "lead": lead}) for lead in LEADS]

    yield "x.dat", bytes(24 * 500)
    yield "big.dat", lambda path: _sparse(path, 400_000_000)
    yield "fifo.dat", _fifo
    yield "secret_record.hidden", b"1234567890" * 1000
    firsts = {
        "no_count": "r 12 500",
        "count_0": "r 12 500 0",
        "count_minus": "r 12 500 -5",
        "count_huge": "r 12 500 99999999999",
        "count_too_many": "r 12 500 1000000",
        "fs_0": "r 12 0 500",
        "fs_huge": "r 12 1e300 500",
        "fs_tiny": "r 12 1e-300 500",
        "fs_ghz": "r 12 1e9 500",
        "fs_nan": "r 12 nan 500",
        "channels_huge": "r 1000000 500 500",
        "channels_minus": "r -12 500 500",
        "segments": "r/100000 12 500 500",
        "segments_minus": "r/-1 12 500 500",
        "words": "a b c d",
        "name_elsewhere": "../../etc/passwd 12 500 500",
    }
    for name, first in firsts.items():
        yield f"{name}.hea", header(first, lines())
    changes: dict[str, dict[str, str]] = {
        "outside": {"dat": "../secret_record.hidden"},
        "absolute": {"dat": "/etc/passwd"},
        "url": {"dat": "https://example.org/x.dat"},
        "chained_url": {"dat": "simplecache::https://example.org/x"},
        "cloud": {"dat": "s3://bucket/x.dat"},
        "stdin": {"dat": "-"},
        "none": {"dat": "~"},
        "fifo": {"dat": "fifo.dat"},
        "device": {"dat": "/dev/zero"},
        "folder": {"dat": "."},
        "pattern": {"dat": "*.dat"},
        "itself": {"dat": "itself.hea"},
        "skew": {"fmt": "16:2000000000"},
        "skew_minus": {"fmt": "16:-5"},
        "frames": {"fmt": "16x100000"},
        "frames_0": {"fmt": "16x0"},
        "offset": {"fmt": "16+4000000000"},
        "offset_minus": {"fmt": "16+-4"},
        "format_0": {"fmt": "0"},
        "format_8": {"fmt": "8"},
        "format_80": {"fmt": "80"},
        "format_160": {"fmt": "160"},
        "format_212": {"fmt": "212"},
        "format_310": {"fmt": "310"},
        "format_311": {"fmt": "311"},
        "format_516": {"fmt": "516"},
        "format_9999": {"fmt": "9999"},
        "gain_tiny": {"gain": "1e-308"},
        "gain_huge": {"gain": "1e308"},
        "gain_0": {"gain": "0"},
        "gain_nan": {"gain": "nan"},
        "gain_minus": {"gain": "-1000"},
        "baseline_huge": {"gain": "1000(99999999999999999999)/mV"},
        "unit_long": {"gain": "1000/" + "_" * 16_000},
    }
    for name, change in changes.items():
        yield f"{name}.hea", header("r 12 500 500", lines(**change))
    yield "big_no_count.hea", header("r 12 500", lines(dat="big.dat", fmt="8"))
    yield "mixed_formats.hea", header("r 12 500 500", [*lines()[:6], *lines(fmt="24")[6:]])
    hidden = [" # not a comment to all: ../secret_record.hidden 16 1000 16 0 0 0 0 I"]
    yield "blank_before_comment.hea", header("r 12 500 500", [*hidden, *lines()])
    for code in ("\u00e9#", "\u00a0#", "\x0c#", "\x1c#", "\x85#", "\u2028"):
        odd = [f"{code} x.dat 16 1000 16 0 0 0 0 I"]
        name = "_".join(f"{ord(c):x}" for c in code)
        yield f"line_{name}.hea", header("r 12 500 500", [*odd, *lines()[1:]])
    yield "long_line.hea", header("r 12 500 500", ["x" * 150_000])
    yield "underscores.hea", header("r 12 500 500", ["_" * 16_000 + " 16"] * 12)
    yield "many_lines.hea", header("r 12 500 500", ["x.dat 16"] * 20_000)
    yield "empty.hea", b""
    yield "nul.hea", b"\0" * 5000
    claims = {
        "kind": "digital",
        "source_sha256": "\ud800Doe",
        "inferred": ["John Doe"],
        "details": {},
    }
    yield "surrogates.hea", header("r 12 500 500", [*lines(), "# ecg4u: " + json.dumps(claims)])


def _sparse(path: Path, size: int) -> None:
    with open(path, "wb") as file:
        file.truncate(size)


def _fifo(path: Path) -> None:
    if not path.exists():
        os.mkfifo(path)


def csvs() -> Made:
    """Lines, columns and labels without end, and numbers that are none."""
    header = "time_s," + ",".join(f"{lead}_mV" for lead in LEADS)
    row = ",".join(["{t}"] + ["0.1"] * 12)

    def table(
        first: str = header, step: str | float = 0.002, value: str = "0.1", n: int = 600
    ) -> bytes:
        rows = [
            ",".join([f"{k * step:.12g}" if isinstance(step, float) else step] + [value] * 12)
            for k in range(n)
        ]
        return "\n".join([first, *rows]).encode()

    yield "forty_million_lines.csv", b"I\n" + b"0\n" * 40_000_000
    yield "two_million_lines.csv", b"I\n" + b"0\n" * 2_100_000
    yield "one_line.csv", b"I," * 4_000_000
    yield "blank_lines.csv", header.encode() + b"\n" * 40_000_000
    yield "wide.csv", (",".join(["I"] * 30_000) + "\n").encode() * 20
    yield "label_underscores.csv", table("t,I" + "_" * 16_000)
    yield "label_blanks.csv", table("elapsed" + " " * 16_000 + "x,I")
    yield "label_brackets.csv", table("t," + "ecg_" * 4000 + ",I" + "[" * 16_000)
    yield "unit_row.csv", (header + "\n" + ",".join(["_" * 16_000] * 13)).encode()
    yield "quotes.csv", b'I,"' + b"x" * 3_000_000
    yield "quotes_on_lines.csv", b'I,II\n"' + b"0,0\n" * 3_000_000
    yield "nul.csv", b"I\n" + bytes(3_000_000)
    yield "utf16.csv", ("\ufeff" + header + "\n" + "0\n" * 1000).encode("utf-16")
    yield "utf16_odd.csv", b"\xff\xfeI\0\n\0\xd8"
    yield "surrogates.csv", header.encode() + b"\n\xed\xa0\x80,1\n"
    for step in (1e-300, 1e-12, 1e-9, 0.0, -0.002, 1e3, 1e300):
        yield f"step_{step:g}.csv", table(step=step)
    for value in ("1e300", "-1e300", "inf", "nan", "1e-320", "9" * 5000, "0x1p1000", "1_0", "=1+1"):
        yield f"value_{value[:6]}.csv", table(value=value)
    yield "no_time.csv", table("I,II", "x")
    yield "no_rows.csv", header.encode()
    yield "one_row.csv", (header + "\n" + row.format(t=0)).encode()


def edfs() -> Made:
    """EDF headers that claim."""

    def edf(n_signals: int = 12, n_records: str = "10", seconds: str = "1", samples: str = "500",
            *, data: int = 12 * 5000, **fields: str) -> bytes:  # fmt: skip
        def column(value: str, width: int) -> bytes:
            return b"".join([value.ljust(width)[:width].encode()] * n_signals)

        labels = b"".join(LEADS[k % 12].ljust(16).encode() for k in range(n_signals))
        size = fields.get("header", str(256 * (n_signals + 1)))
        top = [("0", 8), (fields.get("patient", "X X X X"), 80), ("Startdate X X X X", 80),
               ("01.01.01", 8), ("00.00.00", 8), (size, 8), ("EDF+C", 44), (n_records, 8),
               (seconds, 8), (fields.get("n", str(n_signals)), 4)]  # fmt: skip
        head = b"".join(text.ljust(width)[:width].encode() for text, width in top)
        rest = (labels, column("", 80), column(fields.get("unit", "mV"), 8),
                column(fields.get("least", "-32"), 8), column(fields.get("most", "32"), 8),
                column(fields.get("digital", "-32768"), 8), column("32767", 8), column("", 80),
                column(samples, 8), column("", 32))  # fmt: skip
        return head + b"".join(rest) + bytes(2 * data)

    yield "plain.edf", edf()
    for name, changes in {
        "records_huge": {"n_records": "99999999"},
        "records_minus": {"n_records": "-1"},
        "records_word": {"n_records": "many"},
        "records_0": {"n_records": "0"},
        "samples_huge": {"samples": "99999999"},
        "samples_0": {"samples": "0"},
        "samples_minus": {"samples": "-5"},
        "seconds_0": {"seconds": "0"},
        "seconds_tiny": {"seconds": "1e-300"},
        "seconds_ghz": {"seconds": "5e-7"},
        "seconds_huge": {"seconds": "9999999"},
        "seconds_nan": {"seconds": "nan"},
        "physical_huge": {"least": "-1e300", "most": "1e300"},
        "physical_nan": {"least": "nan", "most": "nan"},
        "physical_same": {"least": "5", "most": "5"},
        "physical_wide": {"least": "-9999999", "most": "9999999"},
        "digital_same": {"digital": "32767"},
        "header_huge": {"header": "99999999"},
        "header_minus": {"header": "-1"},
        "signals_word": {"n": "x"},
        "signals_9999": {"n": "9999"},
        "unit_odd": {"unit": "\u00b5"},
    }.items():
        try:
            yield f"{name}.edf", edf(**changes)  # type: ignore[arg-type]
        except UnicodeError:
            continue
    yield "wide.edf", edf(n_signals=999, samples="1", data=9990)
    yield "cut.edf", edf()[:1000]
    yield "head_only.edf", edf()[:256]


def dicoms() -> Made:
    """DICOM waveforms that claim."""
    import tempfile

    import pydicom

    from ecg4u.io import write_record
    from ecg4u.record import ECGRecord

    with tempfile.TemporaryDirectory() as folder:
        (path,) = write_record(ECGRecord(np.zeros((500, 12))), Path(folder) / "x.dcm", "dicom")
        plain = path.read_bytes()
    yield "plain.dcm", plain

    def changed(change: Callable[[Any], None]) -> bytes:
        dataset = pydicom.dcmread(io.BytesIO(plain))
        change(dataset)
        buffer = io.BytesIO()
        dataset.save_as(buffer)
        return buffer.getvalue()

    def group(name: str, value: Any) -> Callable[[Any], None]:
        return lambda dataset: setattr(dataset.WaveformSequence[0], name, value)

    def channel(name: str, value: Any) -> Callable[[Any], None]:
        def change(dataset: Any) -> None:
            for definition in dataset.WaveformSequence[0].ChannelDefinitionSequence:
                setattr(definition, name, value)

        return change

    changes = {
        "samples_huge": group("NumberOfWaveformSamples", 4_000_000_000),
        "samples_0": group("NumberOfWaveformSamples", 0),
        "channels_huge": group("NumberOfWaveformChannels", 65_000),
        "channels_0": group("NumberOfWaveformChannels", 0),
        "fs_huge": group("SamplingFrequency", "1e300"),
        "fs_ghz": group("SamplingFrequency", "1e9"),
        "fs_0": group("SamplingFrequency", "0"),
        "fs_minus": group("SamplingFrequency", "-5"),
        "fs_tiny": group("SamplingFrequency", "1e-300"),
        "bits_64": group("WaveformBitsAllocated", 64),
        "bits_0": group("WaveformBitsAllocated", 0),
        "kind": group("WaveformSampleInterpretation", "ZZ"),
        "sensitivity_huge": channel("ChannelSensitivity", "1e300"),
        "sensitivity_tiny": channel("ChannelSensitivity", "1e-300"),
        "sensitivity_0": channel("ChannelSensitivity", "0"),
        "baseline_huge": channel("ChannelBaseline", "1e300"),
        "correction": channel("ChannelSensitivityCorrectionFactor", "1e305"),
    }
    for name, change in changes.items():
        try:
            yield f"{name}.dcm", changed(change)
        except Exception:  # pydicom may refuse to write it
            continue
    start = plain[:132]
    deep = b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + b"\x00\x54\x00\x01SQ\0\0\xff\xff\xff\xff"
    yield "deep.dcm", plain + b"\x00\x54\x00\x01SQ\0\0\xff\xff\xff\xff" + deep * 50_000
    yield "length_huge.dcm", plain[:400] + b"\x10\x00\x10\x00OB\0\0\xfe\xff\xff\xff"
    yield (
        "deflated.dcm",
        start + plain[132:].replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99"[:20]),
    )
    yield "cut.dcm", plain[: len(plain) // 2]
    yield "start_only.dcm", start


def oddities() -> Made:
    """What is no file, or has no proper name."""
    yield "fifo.png", _fifo
    yield "fifo.csv", _fifo
    yield "folder.png", lambda path: path.mkdir(exist_ok=True)
    yield "loop.png", lambda path: path.is_symlink() or path.symlink_to(path.name)
    yield "nowhere.png", lambda path: path.is_symlink() or path.symlink_to("not there")
    yield "device.png", lambda path: path.is_symlink() or path.symlink_to("/dev/zero")
    yield "random.png", lambda path: path.is_symlink() or path.symlink_to("/dev/urandom")
    yield "memory.h5", lambda path: path.is_symlink() or path.symlink_to("/proc/self/mem")
    yield "=cmd.png", b"text"
    yield "-o.png", b"text"
    yield "@sum.csv", b"I,II\n"
    yield "new\nline.png", b"text"
    yield os.fsdecode(b"not utf8 \xff\xfe.png"), b"text"
    yield "sparse.tif", lambda path: _sparse(path, 250_000_000)


def damaged() -> Made:
    """Good files of each kind with a few bytes changed, cut out or put in."""
    import tempfile

    from ecg4u.io import write_record
    from ecg4u.record import ECGRecord

    seeds = {
        "png": saved("PNG"),
        "jpg": saved("JPEG"),
        "tif": saved("TIFF", compression="tiff_lzw"),
        "bmp": saved("BMP"),
        "webp": saved("WEBP"),
        "pdf": saved("PDF"),
    }
    signal = np.outer(np.sin(np.arange(400) / 20.0), np.linspace(0.2, 1.0, 12))
    with tempfile.TemporaryDirectory() as folder:
        for format_ in ("hdf5", "csv", "edf", "dicom"):
            path = write_record(ECGRecord(signal), Path(folder) / "x", format_)[0]
            seeds[path.suffix[1:]] = path.read_bytes()
    chance = random.Random(20)
    for suffix, seed in seeds.items():
        for number in range(10):
            data = bytearray(seed)
            for _ in range(chance.randint(1, 12)):
                at = chance.randrange(len(data))
                data[at : at + chance.randint(0, 4)] = chance.randbytes(chance.randint(0, 4))
            yield f"{number}.{suffix}", bytes(data)


KINDS: dict[str, Callable[[], Made]] = {
    "pdf": pdfs,
    "image": images,
    "hdf5": hdf5s,
    "wfdb": wfdbs,
    "csv": csvs,
    "edf": edfs,
    "dicom": dicoms,
    "odd": oddities,
    "damaged": damaged,
}


if __name__ == "__main__":
    counts = {kind: len(paths) for kind, paths in write_all(Path(sys.argv[1])).items()}
    print(counts, sum(counts.values()))
