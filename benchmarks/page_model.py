"""Contact sheet of the page model: drawn pages, then the same page under worse and worse cameras.

    python -m benchmarks.page_model ../shared/ecg docs/img/page_model.png
    python -m benchmarks.page_model ../shared/ecg docs/img/page_kinds.png --kinds

With ``--kinds`` one crop of each kind of page with its truth below it: curve black, text green,
pulse blue, straight print red.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from ecg4u.paper.camera import Photo, photograph, random_camera
from ecg4u.paper.draw import draw_page
from training.kinds import KINDS
from training.looks import random_layout, random_style
from training.pages import Crop, PageSampler, coloured

Pixels = npt.NDArray[np.uint8]
TILE = (330, 240)
"""Width and height in px."""
COLUMNS = 4
DRAWN_PX_PER_MM = 6.0
PHOTO_PX_PER_MM = 5.0
KIND_PX = (256, 256)
KINDS_A_LINE = 7
TRIED = 8


def fit(image: Pixels) -> Pixels:
    """The image made to fit a tile, on grey."""
    picture = Image.fromarray(image)
    picture.thumbnail(TILE, Image.Resampling.LANCZOS)
    tile = Image.new("RGB", (TILE[0] + 4, TILE[1] + 4), (120, 120, 120))
    tile.paste(picture, ((tile.width - picture.width) // 2, (tile.height - picture.height) // 2))
    return np.asarray(tile)


def truth(photo: Photo) -> Pixels:
    """A photograph's masks in colour: curve red, text and straight print green, pulse blue."""
    ink = np.stack([photo.trace, np.maximum(photo.text, photo.separator), photo.pulse], axis=-1)
    white = 255 - np.clip(ink.sum(axis=2, keepdims=True, dtype=np.int32), 0, 255)
    return np.maximum(ink, white.astype(np.uint8))


def sheet(records: Path, seed: int, rows: int) -> Pixels:
    """Tiles row by row: drawn pages, then photographs, the last one beside its truth."""
    sampler = PageSampler(records, seed=seed)
    rng = np.random.default_rng(seed)
    pages = [
        draw_page(
            sampler.record(), random_layout(rng), random_style(rng, px_per_mm=DRAWN_PX_PER_MM)
        )
        for _ in range(COLUMNS * rows)
    ]
    tiles = [fit(page.image) for page in pages[: 2 * COLUMNS]]
    photos = []
    severities = np.linspace(0.1, 1.0, COLUMNS * (rows - 2) - 1)
    for page, severity in zip(pages[2 * COLUMNS :], severities, strict=False):
        camera = random_camera(rng, float(severity), px_per_mm=PHOTO_PX_PER_MM)
        photos.append(photograph(page, camera))
    tiles += [fit(photo.image) for photo in photos] + [fit(truth(photos[-1]))]
    lines = [np.hstack(tiles[i : i + COLUMNS]) for i in range(0, len(tiles), COLUMNS)]
    return np.vstack(lines)


def kinds_sheet(records: Path, seed: int) -> Pixels:
    """Crops of every kind of page, each kind alone, above their truth, with the kind's name."""
    tiles = []
    for number, kind in enumerate(KINDS):
        sampler = PageSampler(records, seed=seed + number, sizes=KIND_PX, kinds={kind: 1.0})
        page = sampler.page()
        crops = [sampler.crop(page) for _ in range(TRIED)]
        shown = max(crops, key=lambda crop: _told(crop, kind))
        tiles.append(np.vstack([_title(kind), shown.image, coloured(shown)]))
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % KINDS_A_LINE)
    lines = [
        np.hstack(tiles[first : first + KINDS_A_LINE])
        for first in range(0, len(tiles), KINDS_A_LINE)
    ]
    return np.vstack(lines)


def _told(crop: Crop, kind: str) -> float:
    """How much of what makes the kind a crop shows: its own ink, next to that of the traces."""
    masks = {"separators": crop.separator, "rules": crop.separator, "pulses": crop.pulse}
    masks |= {"words": crop.text, "handwriting": crop.marks}
    ink = masks.get(kind, crop.trace)
    return float((ink > 127).sum()) + 0.2 * float((crop.trace > 127).sum())


def _title(kind: str) -> Pixels:
    strip = Image.new("RGB", (KIND_PX[0], 24), (255, 255, 255))
    ImageDraw.Draw(strip).text((6, 4), kind, fill=(0, 0, 0), font_size=15)
    return np.asarray(strip)


def main() -> None:
    """Write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("records", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rows", type=int, default=6)
    parser.add_argument("--kinds", action="store_true", help="one crop of each kind of page")
    options = parser.parse_args()
    if options.kinds:
        picture = Image.fromarray(kinds_sheet(options.records, options.seed))
    else:
        picture = Image.fromarray(sheet(options.records, options.seed, options.rows))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    picture.quantize(192).save(options.out, optimize=True)


if __name__ == "__main__":
    main()
