"""Endless training crops for the trace network, drawn from recordings and worn by the page model.

A crop looks like a patch of a rectified page at 10 px/mm: a page is drawn, worn and lit once, and
many patches are taken from it, each with its own small turn and warp (what rectification leaves),
its own sensor at the photo's native resolution, and resampled to 10 px/mm.

    python -m training.pages ../shared/ecg --sheet crops.png
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ecg4u.paper.camera import light_and_wear, random_camera
from ecg4u.paper.draw import DrawnPage, draw_page, lay_ink
from ecg4u.paper.pen import runs
from ecg4u.paper.sensor import Sensor, random_sensor, sense
from ecg4u.record import LEADS, ECGRecord
from training.kinds import KINDS, recorded, sensed, some_kinds, styled, worn
from training.looks import random_layout, random_style

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Points = npt.NDArray[np.float64]
Box = tuple[float, float, float, float]

CROP_PX_PER_MM = 10.0
NATIVE_PX_PER_MM = (2.5, 16.0)
SCREENSHOT_PX_PER_MM = (2.5, 9.0)
LARGEST_TURN_DEG = 1.5
LARGEST_WARP_MM = 0.5
RECORD_S = 10.0
OWN_SENSOR = frozenset({"moire", "screenshot", "hard JPEG"})


@dataclass(frozen=True, eq=False)
class Crop:
    """A patch of a page at 10 px/mm.

    ``image`` (S, S, 3) uint8 RGB; ``trace``, ``text``, ``pulse``, ``separator``, ``marks`` (S, S)
    uint8, 255 where the ink is full (``separator``: all straight print; ``marks``: handwriting).
    ``curves`` are the exact middles of the curves, (n, 2) x, y in px, going on beyond the edges,
    ``rows`` the row of each and ``pen_px`` how thick they were drawn; ``labels`` lead names and
    their boxes; ``lines`` which of the page's lines of words are seen, at least in part, and their
    boxes.
    """

    image: Pixels
    trace: Pixels
    text: Pixels
    pulse: Pixels
    separator: Pixels
    marks: Pixels
    curves: tuple[Points, ...]
    rows: tuple[int, ...]
    pen_px: float
    labels: tuple[tuple[str, Box], ...]
    lines: tuple[tuple[int, Box], ...]


@dataclass(frozen=True, eq=False)
class TrainingPage:
    """A worn and lit page from which crops are taken."""

    drawn: DrawnPage
    image: Pixels
    marks: Pixels
    native_px_per_mm: float
    severity: float
    sensor: Sensor
    fill: tuple[int, int, int]
    kinds: frozenset[str]
    spots: tuple[Points, ...]
    """Places (n, 2) in mm of pulses and of straight print, where crops are taken, too."""


class PageSampler:
    """Draws pages of one split's recordings and takes crops from them, without end.

    Parameters
    ----------
    records_h5_dir
        Folder with ``index.csv`` and the HDF5 files that it names.
    split
        ``"train"``, ``"valid"`` or ``"test"``.
    sizes
        Smallest and largest crop in px; sizes are multiples of 32.
    crops_per_page
        How many crops are taken from each page.
    kinds
        Each kind's share of the pages.
    """

    def __init__(
        self,
        records_h5_dir: str | Path,
        split: str = "train",
        seed: int = 0,
        *,
        sizes: tuple[int, int] = (320, 320),
        crops_per_page: int = 48,
        kinds: Mapping[str, float] = KINDS,
    ) -> None:
        self.folder = Path(records_h5_dir)
        self.rng = np.random.default_rng(seed)
        self.sizes = sizes
        self.crops_per_page = crops_per_page
        self.kinds = kinds
        with (self.folder / "index.csv").open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["split"] == split]
        self.records = [(row["file"], row["record"]) for row in rows if row["file"] != "mitdb.h5"]
        if not self.records:
            raise ValueError(f"no recordings of split {split!r} in {self.folder}")

    def __iter__(self) -> Iterator[Crop]:
        while True:
            page = self.page()
            for _ in range(self.crops_per_page):
                yield self.crop(page)

    def record(self, kinds: frozenset[str] = frozenset()) -> ECGRecord:
        """Ten seconds of a recording, sometimes with a drift or a lead off."""
        import h5py

        name, key = self.records[int(self.rng.integers(len(self.records)))]
        with h5py.File(self.folder / name) as file:
            data = file[key]
            fs = float(data.attrs["fs"])
            count = round(RECORD_S * fs)
            first = int(self.rng.integers(max(1, data.shape[1] - count)))
            signal = data[:, first : first + count].T * float(file.attrs["millivolts_per_count"])
        signal = recorded(_disturbed(signal, fs, self.rng), fs, kinds, self.rng)
        return ECGRecord(signal, fs)

    def page(self) -> TrainingPage:
        """Draw, wear and light the next page."""
        rng = self.rng
        kinds = some_kinds(rng, self.kinds)
        reach = SCREENSHOT_PX_PER_MM if "screenshot" in kinds else NATIVE_PX_PER_MM
        native = float(np.exp(rng.uniform(*np.log(reach))))
        severity = float(rng.uniform(0, 0.2) if rng.random() < 0.3 else rng.uniform(0.1, 1.0))
        if "screenshot" in kinds:
            severity = 0.0
        style = random_style(rng, px_per_mm=float(np.clip(native, CROP_PX_PER_MM, 13.0)))
        style = styled(style, kinds, rng)
        drawn = draw_page(self.record(kinds), random_layout(rng), style)
        camera = random_camera(rng, severity, px_per_mm=native)
        camera = replace(camera, wear=worn(camera.wear, kinds, rng))
        sensor = sensed(camera.sensor, kinds, rng)
        image, marks, _ = light_and_wear(drawn, camera)
        middle = np.median(image[::16, ::16].reshape(-1, 3), axis=0)
        fill = int(middle[0]), int(middle[1]), int(middle[2])
        soft = 0.45 * style.px_per_mm / native
        if soft > 0.5:
            import cv2

            image = np.asarray(cv2.GaussianBlur(image, (0, 0), soft), np.uint8)
        spots = tuple(_spots(mask, style.px_per_mm) for mask in (drawn.pulse, drawn.separator))
        return TrainingPage(drawn, image, marks, native, severity, sensor, fill, kinds, spots)

    def crop(self, page: TrainingPage, centre_mm: Points | None = None) -> Crop:
        """Take one crop, about a place of the page or mostly where there is ink."""
        rng = self.rng
        size = int(rng.integers(self.sizes[0] // 32, self.sizes[1] // 32 + 1)) * 32
        warp = _Warp(rng, _place(rng, page, size) if centre_mm is None else centre_mm, size)
        scale = page.drawn.px_per_mm
        native = max(16, round(size * page.native_px_per_mm / CROP_PX_PER_MM))
        image = _taken(page.image, warp.way(native) * scale, page.fill)
        sensor = page.sensor
        if rng.random() < 0.2 and not page.kinds & OWN_SENSOR:
            tones, threshold = sensor.tones, sensor.threshold
            sensor = replace(random_sensor(rng, page.severity), tones=tones, threshold=threshold)
        image = _enlarged(sense(image, sensor, rng), size, rng)
        way = warp.way(size) * scale
        drawn = page.drawn
        layers = drawn.trace, drawn.text, drawn.pulse, drawn.separator, page.marks
        trace, text, pulse, separator, marks = (_taken(layer, way, 0) for layer in layers)
        rows, curves = _curves(page, warp)
        pen_px = drawn.style.trace_width * CROP_PX_PER_MM
        names = tuple(
            (label.name, box) for label in drawn.labels if (box := _seen(label.box, page, warp))
        )
        lines = tuple(
            (n, box) for n, line in enumerate(drawn.lines) if (box := _seen(line.box, page, warp))
        )
        masks = trace, text, pulse, separator, marks
        return Crop(image, *masks, curves, rows, pen_px, names, lines)


class _Warp:
    """From a crop's px to page mm: a small turn, stretch and smooth residual about a place."""

    def __init__(self, rng: np.random.Generator, centre_mm: Points, size: int) -> None:
        turn = np.radians(rng.uniform(-1, 1) * LARGEST_TURN_DEG * rng.random())
        stretch = np.exp(rng.normal(0, 0.008, 2)) / CROP_PX_PER_MM
        rotation = np.array([(np.cos(turn), -np.sin(turn)), (np.sin(turn), np.cos(turn))])
        self.matrix = rotation * stretch
        self.centre = centre_mm
        self.size = size
        knots = int(rng.integers(3, 7))
        bend = rng.normal(0, 1, (knots, knots, 2)) * rng.uniform(0, LARGEST_WARP_MM / 2)
        self.bend = np.clip(bend, -LARGEST_WARP_MM, LARGEST_WARP_MM).astype(np.float32)

    def way(self, count: int) -> Floats:
        """Page mm for each px of the crop when it has ``count`` px a side, (count, count, 2)."""
        import cv2

        at = (np.arange(count) + 0.5) * self.size / count - self.size / 2
        flat = np.stack(np.meshgrid(at, at), axis=-1) @ self.matrix.T + self.centre
        bend = cv2.resize(self.bend, (count, count), interpolation=cv2.INTER_CUBIC)
        return np.asarray(flat + bend, np.float32)

    def to_crop(self, xy_mm: Points) -> Points:
        """Crop px of (n, 2) page mm."""
        back = np.linalg.inv(self.matrix)
        at = (xy_mm - self.centre) @ back.T
        for _ in range(5):
            at = (xy_mm - self.centre - self._bend_at(at)) @ back.T
        return np.asarray(at + self.size / 2 - 0.5)

    def _bend_at(self, centred: Points) -> Points:
        import cv2

        knots = len(self.bend)
        at = ((centred + self.size / 2) * knots / self.size - 0.5).astype(np.float32)
        bent = cv2.remap(
            self.bend,
            np.ascontiguousarray(at[:, :1]),
            np.ascontiguousarray(at[:, 1:]),
            cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.asarray(bent[:, 0], np.float64)


def _disturbed(signal: Points, fs: float, rng: np.random.Generator) -> Points:
    time = np.arange(len(signal))[:, None] / fs
    out = signal
    if rng.random() < 0.25:
        phase, depth = rng.uniform(0, 2 * np.pi, 12), rng.uniform(0, 0.4, 12)
        out = out + depth * np.sin(2 * np.pi * rng.uniform(0.1, 0.5) * time + phase)
    if rng.random() < 0.1:
        out = out + rng.normal(0, rng.uniform(0.01, 0.06), out.shape)
    if rng.random() < 0.08:
        out = out * rng.uniform(1.5, 3.0)
    if rng.random() < 0.05:
        out = out.copy()
        out[:, int(rng.integers(len(LEADS)))] = rng.normal(0, 0.005, len(out))
    return out


def _spots(mask: Pixels, px_per_mm: float) -> Points:
    """Some places of a mask's ink, (n, 2) x, y in mm."""
    y, x = np.nonzero(mask[::4, ::4] > 127)
    return 4 * np.column_stack([x, y]) / px_per_mm


def _place(rng: np.random.Generator, page: TrainingPage, size: int) -> Points:
    """Middle of a crop in page mm: near a curve, a pulse, straight print, a name, or anywhere."""
    drawn = page.drawn
    height, width = drawn.trace.shape
    away = rng.normal(0, size / 4, 2) / CROP_PX_PER_MM
    choice = rng.random()
    for spots, share in zip(page.spots, (0.22, 0.36), strict=True):
        if choice < share and len(spots):
            return np.asarray(spots[int(rng.integers(len(spots)))] + away)
    if choice < 0.75:
        segment = drawn.segments[int(rng.integers(len(drawn.segments)))]
        known = segment.xy[np.isfinite(segment.xy).all(axis=1)]
        if len(known):
            return np.asarray(known[int(rng.integers(len(known)))] / drawn.px_per_mm + away)
    if choice < 0.87 and drawn.labels:
        x0, y0, x1, y1 = drawn.labels[int(rng.integers(len(drawn.labels)))].box
        return np.array([(x0 + x1) / 2, (y0 + y1) / 2]) / drawn.px_per_mm + away
    return rng.uniform((0, 0), (width, height)) / drawn.px_per_mm


def _taken(layer: Pixels, way: Floats, fill: int | tuple[int, int, int]) -> Pixels:
    import cv2

    x, y = np.ascontiguousarray(way[..., 0]), np.ascontiguousarray(way[..., 1])
    low = int(x.min()) - 2, int(y.min()) - 2
    high = int(x.max()) + 3, int(y.max()) + 3
    x0, y0 = np.clip(low, 0, (layer.shape[1] - 1, layer.shape[0] - 1))
    part = layer[y0 : max(y0 + 1, high[1]), x0 : max(x0 + 1, high[0])]
    value = fill if isinstance(fill, tuple) else (fill,)
    taken = cv2.remap(
        part,
        x - np.float32(x0),
        y - np.float32(y0),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=value,
    )
    return np.asarray(taken, np.uint8)


def _enlarged(image: Pixels, size: int, rng: np.random.Generator) -> Pixels:
    import cv2

    if image.shape[0] > size:
        way = cv2.INTER_AREA
    else:
        way = cv2.INTER_CUBIC if rng.random() < 0.5 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (size, size), interpolation=way), np.uint8)


def _curves(page: TrainingPage, warp: _Warp) -> tuple[tuple[int, ...], tuple[Points, ...]]:
    """The row of each curve about the crop, and the curves."""
    reach = warp.size / CROP_PX_PER_MM * 0.75 + 3
    rows, near = [], []
    scale = page.drawn.px_per_mm
    for segment in page.drawn.segments:
        x0, y0, x1, y1 = (value / scale for value in segment.box)
        away = max(x0 - warp.centre[0], warp.centre[0] - x1, y0 - warp.centre[1])
        if max(away, warp.centre[1] - y1) > reach:
            continue
        mm = segment.xy / scale
        inside = np.abs(mm[:, 0] - warp.centre[0]) < reach
        for run in runs(mm[inside]):
            curve = warp.to_crop(run)
            if ((curve > 0) & (curve < warp.size)).all(axis=1).any():
                rows.append(segment.row)
                near.append(curve)
    return tuple(rows), tuple(near)


def _seen(box: Box, page: TrainingPage, warp: _Warp) -> Box | None:
    """A box of the page in the crop's px; None where it lies beyond."""
    corners = warp.to_crop(np.array(box).reshape(2, 2) / page.drawn.px_per_mm)
    (x0, y0), (x1, y1) = corners
    if x1 > 0 and y1 > 0 and x0 < warp.size and y0 < warp.size:
        return float(x0), float(y0), float(x1), float(y1)
    return None


def coloured(crop: Crop) -> Pixels:
    """The masks in colours on white: trace black, text green, pulse blue, straight print red."""
    picture = np.full(crop.image.shape, 255, np.uint8)
    inks = (crop.text, (0, 170, 0)), (crop.pulse, (0, 60, 255)), (crop.separator, (255, 0, 0))
    for mask, colour in (*inks, (crop.trace, (0, 0, 0))):
        lay_ink(picture, mask, colour)
    return picture


def main() -> None:
    """Write a contact sheet of crops, each with its masks in colour below it."""
    import itertools

    from PIL import Image

    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("records", type=Path)
    parser.add_argument("--sheet", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    sampler = PageSampler(options.records, seed=options.seed, crops_per_page=2)
    tiles = []
    for crop in itertools.islice(sampler, 24):
        tiles.append(np.vstack([crop.image, coloured(crop)]))
    rows = [np.hstack(tiles[first : first + 6]) for first in range(0, 24, 6)]
    Image.fromarray(np.vstack(rows)).save(options.sheet)


if __name__ == "__main__":
    main()
