"""Train the reader of lead names on crops drawn in many fonts and on drawn pages.

    python -m training.train_names --steps 6000 --seed 0 --checkpoint cache/names.pt

Half of each batch are words and other marks drawn by themselves, half are windows of whole drawn
pages (`training.pages`): where `ecg4u.digitize.text.labels` sees something like a name, at pieces
of ink, and about the names. All of them are seen turned by quarter turns too, which makes them no
names: so a page that lies on its side or head is known by what cannot be read on it.

Goes on from the checkpoint where there is one. Fonts are those found in ``--fonts`` (the Debian
packages fonts-dejavu, -liberation, -freefont-ttf, -urw-base35, -roboto-unhinted, -lato,
-open-sans, -hack, -inconsolata, -courier-prime) and OpenCV's plotter strokes. Every fifth font
is kept for validation only, and pages of the recordings' validation split.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ecg4u.digitize.page.darkness import PrintOnPage
from ecg4u.digitize.text.labels import places
from ecg4u.digitize.text.names import (
    NAMES,
    PX_PER_MM,
    WINDOW,
    fitted,
    scaled,
    window,
)
from ecg4u.record import LEADS
from training.page_networks import READER_OF_NAMES
from training.steps import take_steps

if TYPE_CHECKING:
    from torch import Tensor

Pixels = npt.NDArray[Any]
Box = tuple[float, float, float, float]

FONT_FAMILIES = (
    "DejaVu", "Liberation", "Free", "Nimbus", "P052", "C059", "URW", "Roboto", "Lato-",
    "OpenSans", "Hack", "Inconsolata", "Courier", "NotoSans-", "NotoSerif-", "NotoSansMono-",
)  # fmt: skip
HERSHEY = (0, 2, 3, 4)
NONE = len(NAMES)
OPEN = -1
SCENE = (110, 220)
BATCH = 64
VALIDATION = 3000
PATCH_PX = (640, 960)
PATCHES = 6
JITTERED = 4
"""Windows near each name that are about right, and as many that are `ASTRAY`."""
ASTRAY = 0.25
"""How far off, in heights of letters, a window may be in which a name is still to be read: the box
of one that lies over a trace is not always found exactly."""
NONES_PER_PATCH = 60
SUSPECTED = 0.05
"""Probability from which a place that `text.labels` takes for a name is looked at."""
LEAST_PX = 10
"""Height of the smallest piece of ink that is looked at."""
TURNED = 0.06
OTHER_WORDS = (
    "25mm/s", "10mm/mV", "mm/mV", "50mm/s", "ID:", "Name:", "Age", "Sex", "Hz", "150Hz", "0.05",
    "25", "10", "mV", "mm/s", "V", "aV", "a", "VR", "VL", "VF", "R", "F", "L", "1", "2", "3", "4",
    "5", "6", "12", "36", "60", "82", "H", "T", "P", "QRS", "QT",
    "PR", "ms", "bpm", "BPM", "ECG", "kg", "cm", "Male", "yrs", "Date", ":", "/", "(", ")", "+",
    "-", "T1", "M", "N", "W", "A", "IV", "F50", "LP", "AC", "x1", "x1.0", "S", "O", "o", "~40",
)  # fmt: skip
OTHER_SPELLINGS = {
    "I": ("L1", "D1", "DI"),
    "II": ("L2", "D2", "DII"),
    "III": ("L3", "D3", "DIII"),
    **{f"V{k}": (f"C{k}", f"V {k}") for k in range(1, 7)},
}
"""How the names are printed in other countries and by other makers."""
OTHERWISE = 0.22
CALLED_LEAD = 0.04
"""Share of names printed as "Lead II"."""
BARRED = 0.07
USUAL_LEADS = 0.7
CUT_R = 0.3
"""Share of the names of the right side, such as V3R, whose box leaves out their last letter."""
LETTERS = "abcdefghijklmnopqrstuwxyzABCDEFGHJKLMNOPQRSTUWXYZ0123456789:./"


@dataclass(frozen=True)
class Face:
    """A TrueType file, or one of OpenCV's stroke fonts by its number."""

    path: str | int


def find_faces(folder: Path) -> list[Face]:
    """Fonts of `FONT_FAMILIES` under a folder, sorted by name, and the stroke fonts."""
    files = sorted(
        {
            path.name: path
            for path in folder.rglob("*")
            if path.suffix in (".ttf", ".otf") and path.name.startswith(FONT_FAMILIES)
        }.items()
    )
    kept = [Face(str(path)) for name, path in files if "Condensed" not in name]
    strokes = [Face(number) for number in HERSHEY]
    return kept[::5] + strokes[:1] + [f for i, f in enumerate(kept) if i % 5] + strokes[1:]


def split_faces(faces: list[Face]) -> tuple[list[Face], list[Face]]:
    """Faces for training and, first in the list, every fifth for validation."""
    held = len(range(0, len(faces) - len(HERSHEY), 5))
    return faces[held:], faces[:held]


@lru_cache(maxsize=2048)
def _loaded(path: str, size: int):  # type: ignore[no-untyped-def]
    from PIL import ImageFont

    return ImageFont.truetype(path, size)


def word_ink(words: str, face: Face, tall: int, rng: np.random.Generator) -> Pixels:
    """The words' ink, 0..255, cut to size; capitals about ``tall`` px high."""
    import cv2
    from PIL import Image, ImageDraw

    if isinstance(face.path, int):
        scale = tall * 2 / 21.0
        pen = max(1, round(tall * 2 * rng.uniform(0.07, 0.2)))
        (width, high), drop = cv2.getTextSize(words, face.path, scale, pen)
        canvas: Pixels = np.zeros((high + drop + 4 * pen + 8, width + 4 * pen + 8), np.uint8)
        at = 2 * pen + 4, high + 2 * pen + 2
        cv2.putText(canvas, words, at, face.path, scale, 255, pen, cv2.LINE_AA)
        size = canvas.shape[1] // 2, canvas.shape[0] // 2
        canvas = cv2.resize(canvas, size, interpolation=cv2.INTER_AREA)
    else:
        font = _loaded(face.path, max(6, round(tall / 0.72)))
        left, top, right, bottom = font.getbbox(words)
        picture = Image.new("L", (int(right - left) + 4, int(bottom - top) + 4))
        ImageDraw.Draw(picture).text((2 - left, 2 - top), words, fill=255, font=font)
        canvas = np.asarray(picture)
    if rng.random() < 0.35:
        width = max(1, round(canvas.shape[1] * rng.uniform(0.75, 1.3)))
        canvas = cv2.resize(canvas, (width, canvas.shape[0]), interpolation=cv2.INTER_AREA)
    rows, columns = np.flatnonzero(canvas.any(axis=1)), np.flatnonzero(canvas.any(axis=0))
    if not len(rows):
        return np.zeros((tall, 2), np.uint8)
    return np.asarray(canvas[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])


def spelling(name: str, rng: np.random.Generator) -> str:
    if rng.random() < CALLED_LEAD and not name.startswith("-"):
        return f"Lead {name}"
    if name in OTHER_SPELLINGS and rng.random() < OTHERWISE:
        return str(rng.choice(OTHER_SPELLINGS[name]))
    if name == "-aVR":
        return str(rng.choice(["-aVR", "-AVR", "\u2013aVR", "-avR", "-aVr"]))
    if name.endswith("R") and name.startswith("V"):
        return str(
            rng.choice([name, name.replace("R", "r"), "R" + name[:2], name[0] + "R" + name[1]])
        )
    if name.startswith("a") and rng.random() < 0.3:
        return str(rng.choice([name.upper(), "av" + name[2], "aV" + name[2].lower(), name.lower()]))
    if name.startswith("V") and rng.random() < 0.1:
        return name.lower()
    if name in ("II", "III") and rng.random() < 0.25:
        return " ".join(name)
    return name


def barred(word: Pixels, rng: np.random.Generator) -> Pixels:
    """The word with an upright bar before it, taller than the letters, as monitors print it."""
    tall, wide = word.shape
    over = round(tall * rng.uniform(0.1, 0.5))
    pen, gap = max(1, round(tall * rng.uniform(0.06, 0.2))), round(tall * rng.uniform(0.15, 0.5))
    both = np.zeros((tall + 2 * over, pen + gap + wide), np.uint8)
    both[over : over + tall, pen + gap :] = word
    both[round(over * rng.uniform(0, 1)) :, :pen] = 255
    return both


def _trace(scene: Pixels, rng: np.random.Generator, through: tuple[float, float]) -> None:
    """Lay a piece of a trace over the scene, near a place."""
    import cv2

    x = np.linspace(0, SCENE[1], 90)
    period = rng.uniform(50, 240)
    phase = (x - through[0]) / period - np.round((x - through[0]) / period) + rng.uniform(-0.5, 0.5)
    y = rng.normal(0, 1.5) + rng.uniform(-40, 40) * np.exp(-((phase * period / 2.5) ** 2))
    y = y + rng.uniform(-8, 12) * np.exp(-(((phase * period - 25) / 9) ** 2))
    points = np.stack([x, through[1] + y], axis=1)
    width = int(rng.integers(1, 6))
    fixed = (points * 16).astype(np.int32)[:, None]
    cv2.polylines(scene, [fixed], False, int(rng.integers(150, 256)), width, cv2.LINE_AA, 4)


def grid(rng: np.random.Generator, shape: tuple[int, int] = SCENE) -> Pixels:
    """Grid lines at any distance and depth, 0..255, sometimes dotted."""
    scene = np.zeros(shape, np.uint8)
    step, depth = float(rng.choice([10.0, 50.0], p=[0.75, 0.25])), int(rng.integers(20, 190))
    first = rng.uniform(0, step, 2)
    width = 1 + int(rng.random() < 0.3)
    for axis in (0, 1):
        for place in np.arange(first[axis], shape[axis], step):
            lines = scene if axis == 0 else scene.T
            at = int(place)
            lines[at : at + width] = np.maximum(lines[at : at + width], depth)
    if rng.random() < 0.3:
        scene[rng.random(shape) < 0.5] = 0
    return scene


def scene(rng: np.random.Generator, faces: list[Face]) -> tuple[Pixels, Box, int]:
    """A piece of page at 10 px/mm with one thing at its middle.

    Returns
    -------
    image, box, label
        (110, 220) uint8 grey, the thing's box, and its place in `NAMES` (20: none).
    """
    import cv2

    ink: Pixels = grid(rng) if rng.random() < 0.7 else np.zeros(SCENE, np.uint8)
    face = faces[int(rng.integers(len(faces)))]
    tall = round(float(np.exp(rng.uniform(*np.log((14, 50))))))
    middle = (SCENE[1] / 2, SCENE[0] / 2)
    label = NONE
    if rng.random() < 0.68:
        label = int(rng.integers(len(LEADS) if rng.random() < USUAL_LEADS else NONE))
    strength = int(rng.integers(170, 256))
    if label < NONE:
        if rng.random() < 0.15:
            label = 0
        spelled = spelling(NAMES[label], rng)
        word = word_ink(spelled, face, tall, rng)
        if rng.random() < BARRED:
            word = barred(word, rng)
        box = _lay(ink, word, middle, strength)
        if spelled.endswith(("R", "r")) and spelled[0] == "V" and rng.random() < CUT_R:
            box = (*box[:2], box[0] + 2 / 3 * (box[2] - box[0]), box[3])
        if rng.random() < 0.4:
            away = middle[1] + rng.choice((-1, 1)) * (word.shape[0] * rng.uniform(0.15, 1.2))
            _trace(ink, rng, (middle[0] + rng.uniform(-60, 60), away))
        if rng.random() < 0.1:
            side = middle[0] - word.shape[1] / 2 - rng.uniform(8, 20)
            cv2.line(ink, (int(side), 20), (int(side), 90), strength, int(rng.integers(1, 5)))
    else:
        box = _nothing(ink, face, tall, strength, rng)
    if rng.random() < 0.8:
        turned = cv2.getRotationMatrix2D(middle, float(rng.normal(0, 2.2)), 1.0)
        ink = cv2.warpAffine(ink, turned, SCENE[::-1], flags=cv2.INTER_LINEAR)
    return taken(ink, rng), box, label


def _lay(ink: Pixels, word: Pixels, middle: tuple[float, float], strength: int) -> Box:
    height, width = min(word.shape[0], SCENE[0]), min(word.shape[1], SCENE[1])
    x, y = int(middle[0] - width / 2), int(middle[1] - height / 2)
    part = ink[y : y + height, x : x + width]
    shade = (word[:height, :width].astype(np.uint16) * strength // 255).astype(np.uint8)
    np.maximum(part, shade, out=part)
    return float(x), float(y), float(x + width), float(y + height)


def _nothing(ink: Pixels, face: Face, tall: int, strength: int, rng: np.random.Generator) -> Box:
    """Something that is no lead name: another word, a trace, a pulse, a separator, dirt."""
    import cv2

    middle = (SCENE[1] / 2, SCENE[0] / 2)
    kind = rng.random()
    if kind < 0.5:
        word = str(rng.choice(OTHER_WORDS))
        if rng.random() < 0.3:
            word = "".join(rng.choice(np.array(list(LETTERS)), int(rng.integers(1, 6))))
        return _lay(ink, word_ink(word, face, min(tall, 36), rng), middle, strength)
    x, y, pen = int(middle[0]), int(middle[1]), int(rng.integers(1, 6))
    high = int(rng.integers(10, 50))
    if kind < 0.72:
        _trace(ink, rng, (middle[0] + rng.uniform(-12, 12), middle[1] + rng.uniform(-15, 15)))
    elif kind < 0.85:
        wide, up = int(rng.integers(12, 60)), int(rng.choice([50, 100]))
        top = y - int(rng.uniform(0, up))
        corners = np.array([(x - 60, top + up), (x, top + up), (x, top), (x + wide, top),
                            (x + wide, top + up), (x + wide + 60, top + up)])  # fmt: skip
        if rng.random() < 0.5:
            corners[:, 0] -= wide
        cv2.polylines(ink, [corners.astype(np.int32)[:, None]], False, strength, pen, cv2.LINE_AA)
    elif kind < 0.93:
        long = int(rng.integers(25, 110))
        cv2.line(ink, (x, y - long // 2), (x, y + long // 2), strength, pen, cv2.LINE_AA)
        _trace(ink, rng, (middle[0], middle[1] + rng.uniform(-long, long) / 2))
    else:
        for _ in range(int(rng.integers(1, 6))):
            ends = rng.normal(0, 14, (2, 2)) + middle
            first, last = (tuple(int(v) for v in end) for end in ends)
            cv2.line(ink, first, last, strength, pen, cv2.LINE_AA)
    wide = int(rng.integers(2, 40))
    return x - wide / 2, y - high / 2, x + wide / 2, y + high / 2


def taken(ink: Pixels, rng: np.random.Generator) -> Pixels:
    """The scene through paper, light and camera: faded, shaded, low resolution, noise, JPEG."""
    import cv2

    shape = ink.shape

    if rng.random() < 0.5:
        share = rng.uniform(0.3, 1.0)
        size = max(8, round(shape[1] * share)), max(8, round(shape[0] * share))
        ink = cv2.resize(ink, size, interpolation=cv2.INTER_AREA)
        ink = cv2.resize(ink, shape[::-1], interpolation=cv2.INTER_CUBIC)
    if rng.random() < 0.5:
        ink = cv2.GaussianBlur(ink, (0, 0), rng.uniform(0.4, 2.2))
    paper = rng.uniform(140, 255)
    fade = rng.uniform(0.2, 1.0) if rng.random() < 0.5 else 1.0
    slope = np.linspace(-1, 1, shape[1], dtype=np.float32) * rng.uniform(-15, 15)
    image = (paper + slope) * (1.0 - fade * 0.92 * ink.astype(np.float32) / 255.0)
    if rng.random() < 0.6:
        image = image + rng.standard_normal(shape, np.float32) * rng.uniform(0, 10) * fade
    grey: Pixels = np.clip(image, 0, 255).astype(np.uint8)
    if rng.random() < 0.1:
        grey = np.where(grey > paper * (1 - 0.4 * fade), 255, 0).astype(np.uint8)
    if rng.random() < 0.4:
        _, data = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 95))])
        grey = np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE))
    return np.asarray(grey, np.uint8)


def sample(rng: np.random.Generator, faces: list[Face]) -> tuple[Pixels, int]:
    """One crop of `WINDOW`'s shape and its label."""
    image, (x0, y0, x1, y1), label = scene(rng, faces)
    if rng.random() < TURNED:
        image, (x0, y0, x1, y1), label = _turned(image, (x0, y0, x1, y1), label, rng)
    tall = y1 - y0
    grow = rng.normal(0.03, 0.05, 4) * tall
    box = (x0 - grow[0], y0 - grow[1], x1 + grow[2], y1 + grow[3])
    if rng.random() < 0.1:
        margin = rng.uniform(0.05, 0.4) * tall
        left, top = max(0, int(x0 - margin)), max(0, int(y0 - margin))
        cut = image[top : int(y1 + margin) + 1, left : int(x1 + margin) + 1]
        if min(cut.shape) >= 4:
            return fitted(cut), label
    return window(image, box), label


def _turned(
    image: Pixels, box: Box, label: int, rng: np.random.Generator
) -> tuple[Pixels, Box, int]:
    """The scene turned by 90, 180 or 270 degrees, when I, II and III may stay what they are."""
    k = int(rng.integers(1, 4))
    same = k == 2 and label < NONE and set(NAMES[label]) == {"I"}
    turned = turned_box(box, image.shape, k)
    return np.ascontiguousarray(np.rot90(image, k)), turned, label if same else NONE


def turned_box(box: Box, shape: tuple[int, ...], k: int) -> Box:
    """A box on an image of (height, width) after ``np.rot90(image, k)``."""
    height, width = shape
    x0, y0, x1, y1 = box
    corners = {
        1: (y0, width - x1, y1, width - x0),
        2: (width - x1, height - y1, width - x0, height - y0),
        3: (height - y1, x0, height - y0, x1),
    }
    return corners[k]


def page_crops(
    records: Path, split: str, pages: int, seed: int
) -> tuple[Pixels, npt.NDArray[np.int64]]:
    """Crops (n, 24, 56) uint8 of drawn pages, as `_looked_at` takes them, and their labels (n,).

    What overlaps a name only in part is left out, unless it is clearly less than the name.
    """
    from training.pages import PageSampler

    sampler = PageSampler(records, split, seed, sizes=PATCH_PX)
    rng = np.random.default_rng((seed, 1))
    crops: list[Pixels] = []
    labels: list[int] = []
    for done in range(pages):
        page = sampler.page()
        for _ in range(PATCHES):
            patch = sampler.crop(page)
            known = [seen_name(patch.text, name, box) for name, box in patch.labels]
            image = patch.image
            if rng.random() < TURNED:
                k = int(rng.integers(1, 4))
                same = [box for label, box in known if k == 2 and -1 < label < 3]
                known = [(OPEN, turned_box(box, image.shape[:2], k)) for box in same]
                image = np.ascontiguousarray(np.rot90(image, k))
            for crop, label in _looked_at(image, known, rng):
                crops.append(crop)
                labels.append(label)
        if done % 20 == 19:
            print("pages", done + 1, "crops", len(crops), flush=True)
    return np.stack(crops), np.array(labels)


def seen_name(text: Pixels, name: str, box: Box) -> tuple[int, Box]:
    """A name's place in `LEADS` and its box shrunk to its ink; `OPEN` where the patch cuts it."""
    x0, y0, x1, y1 = (round(v) for v in box)
    if min(x0, y0) < 2 or x1 > text.shape[1] - 2 or y1 > text.shape[0] - 2:
        return OPEN, box
    part = text[y0 - 2 : y1 + 2, x0 - 2 : x1 + 2] > 90
    rows, columns = np.flatnonzero(part.any(axis=1)), np.flatnonzero(part.any(axis=0))
    if len(rows) < 5:
        return OPEN, box
    left, top = x0 - 2, y0 - 2
    return LEADS.index(name), (
        float(left + columns[0]),
        float(top + rows[0]),
        float(left + columns[-1] + 1),
        float(top + rows[-1] + 1),
    )


def _looked_at(
    image: Pixels, known: list[tuple[int, Box]], rng: np.random.Generator
) -> list[tuple[Pixels, int]]:
    """Windows at every place that is taken for a name, at pieces of ink, and about each name."""
    print_ = PrintOnPage.of(image, PX_PER_MM)
    boxes = [place.box for place in places(image, SUSPECTED)]
    boxes += [(x, y, x + w, y + h) for x, y, w, h, _ in print_.pieces.tolist() if h >= LEAST_PX]
    out: list[tuple[Pixels, int]] = []
    nones: list[Box] = []
    for box in boxes:
        label = _label_of(box, known)
        if label == NONE:
            nones.append(box)
        elif label is not None:
            out.append((window(print_.grey, box), label))
    if len(nones) > NONES_PER_PATCH:
        nones = [nones[i] for i in rng.choice(len(nones), NONES_PER_PATCH, replace=False)]
    out += [(window(print_.grey, box), NONE) for box in nones]
    for label, (x0, y0, x1, y1) in known:
        tall = y1 - y0
        if label == OPEN:
            continue
        for k in range(2 * JITTERED):
            by = ASTRAY if k % 2 else 0.13
            off = np.concatenate([rng.uniform(-by, by, 2)] * 2) + rng.normal(0, by / 2.6, 4)
            box = tuple(np.array([x0, y0, x1, y1]) + off * tall)
            out.append((window(print_.grey, box), label))
    return out


def _label_of(box: Box, known: list[tuple[int, Box]]) -> int | None:
    """The name in a box, `NONE` where there is none, or None where that is open."""
    x0, y0, x1, y1 = box
    for label, (u0, v0, u1, v1) in known:
        wide, high = min(x1, u1) - max(x0, u0), min(y1, v1) - max(y0, v0)
        if wide <= 0 or high <= 0:
            continue
        tall = v1 - v0
        if label == OPEN:
            return None
        off = np.abs([x0 - u0, x1 - u1, y0 - v0, y1 - v1]) / tall
        if off.max() < 0.3 and abs(high / tall - 1) < 0.3:
            return label
        if wide < 0.62 * (u1 - u0) or x1 - x0 > 1.9 * (u1 - u0) + tall:
            continue
        return None
    return NONE


def main() -> None:
    """Train, calibrate on held-out fonts and write the weights with their card."""
    import torch

    options = _options()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    train_faces, valid_faces = split_faces(find_faces(options.fonts))
    pages = _kept_pages(options, "train", options.pages, options.seed)
    valid = _batch(np.random.default_rng(10_000_019), valid_faces, VALIDATION)
    valid_pages = _kept_pages(options, "valid", max(1, options.pages // 8), options.seed + 1)
    net = READER_OF_NAMES.build()
    optimiser = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=options.steps + 1)

    def loss_of(step: int) -> Tensor:
        rng = np.random.default_rng((options.seed, step))
        drawn, drawn_labels = _batch(rng, train_faces, BATCH // 2)
        seen, seen_labels = _of_pages(rng, *pages, BATCH - BATCH // 2)
        crops, labels = torch.cat([drawn, seen]), torch.cat([drawn_labels, seen_labels])
        return torch.nn.functional.cross_entropy(net(crops), labels, label_smoothing=0.01)

    losses = take_steps(
        net, optimiser, schedule, loss_of, steps=options.steps, checkpoint=options.checkpoint
    )
    temperature = _temperature(net, *_halves(valid)[0])
    card = {
        "temperature": temperature,
        "validation": {
            "drawn": _figures(net, *_halves(valid)[1]) | {"fonts": "unseen in training"},
            "pages": _figures(net, *_tensors(*valid_pages))
            | {"recordings": "validation split", "what": "every place looked at"},
        },
        "what": "lead-name reader (ecg4u.digitize.text.names)",
        "command": f"python -m training.train_names --steps {options.steps} --seed {options.seed}"
        f" --pages {options.pages}",
        "commit": options.commit,
        "seed": options.seed,
        "steps": len(losses),
        "batch": BATCH,
        "last_losses": [round(value, 4) for value in losses[-5:]],
        "data": "words drawn by training/train_names.py, and pages drawn by training/pages.py from "
        "the recordings' training split; no page image was used",
        "crops": {"train": len(pages[1]), "valid": len(valid_pages[1])},
        "fonts": {"train": len(train_faces), "valid": len(valid_faces)},
        "font_licences": "DejaVu (Bitstream Vera), Liberation, Noto, Lato, Open Sans, Inconsolata, "
        "Courier Prime, Hack (OFL / Apache-2.0 / MIT), GNU FreeFont (GPL-3 with font exception), "
        "URW base 35 (AGPL-3 with font exception); only pictures of their letters were used",
        "window": list(WINDOW),
        "code": "ecg4u 0.2.0",
    }
    READER_OF_NAMES.keep(net, card, options.out)
    print(json.dumps(card, indent=1))


def _kept_pages(
    options: argparse.Namespace, split: str, pages: int, seed: int
) -> tuple[Pixels, npt.NDArray[np.int64]]:
    """`page_crops`, kept beside the checkpoint for the next start."""
    kept = options.checkpoint.with_name(f"names_seen_{split}_{pages}_{seed}.npz")
    if not kept.exists():
        crops, labels = page_crops(options.records, split, pages, seed)
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(kept, crops=crops, labels=labels)
    with np.load(kept) as data:
        return data["crops"], data["labels"]


def _tensors(crops: Pixels, labels: npt.NDArray[np.int64]):  # type: ignore[no-untyped-def]
    import torch

    return torch.from_numpy(scaled(crops)[:, None]), torch.from_numpy(labels.astype(np.int64))


def _batch(rng: np.random.Generator, faces: list[Face], count: int):  # type: ignore[no-untyped-def]
    pairs = [sample(rng, faces) for _ in range(count)]
    return _tensors(np.stack([crop for crop, _ in pairs]), np.array([label for _, label in pairs]))


def _of_pages(  # type: ignore[no-untyped-def]
    rng: np.random.Generator, crops: Pixels, labels: npt.NDArray[np.int64], count: int
):
    """Crops of pages, three in five no names."""
    none = labels == NONE
    chosen = np.concatenate(
        [
            rng.choice(np.flatnonzero(none), count * 3 // 5),
            rng.choice(np.flatnonzero(~none), count - count * 3 // 5),
        ]
    )
    return _tensors(crops[chosen], labels[chosen])


def _halves(both):  # type: ignore[no-untyped-def]
    crops, labels = both
    half = len(labels) // 2
    return (crops[:half], labels[:half]), (crops[half:], labels[half:])


def _outputs(net, crops):  # type: ignore[no-untyped-def]
    import torch

    net.eval()
    with torch.inference_mode():
        return torch.cat([net(part) for part in crops.split(256)])


def _temperature(net, crops, labels) -> float:  # type: ignore[no-untyped-def]
    import torch

    out = _outputs(net, crops)
    losses = {
        t: float(torch.nn.functional.cross_entropy(out / t, labels))
        for t in (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5, 2.0)
    }
    return min(losses, key=lambda t: losses[t])


def _figures(net, crops, labels) -> dict[str, object]:  # type: ignore[no-untyped-def]
    best = _outputs(net, crops).argmax(dim=1)
    named = labels < NONE
    right = best == labels
    return {
        "n": int(len(labels)),
        "names": int(named.sum()),
        "accuracy": round(float(right.float().mean()), 4),
        "names_read": round(float(right[named].float().mean()), 4),
        "wrong_name": round(float((~right & (best < NONE))[named].float().mean()), 4),
        "none_kept_none": round(float(right[~named].float().mean()), 4),
        "by_class": {
            name: round(float(right[labels == i].float().mean()), 3)
            for i, name in enumerate((*NAMES, "none"))
            if (labels == i).any()
        },
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--fonts", type=Path, default=Path("/usr/share/fonts"))
    parser.add_argument("--records", type=Path, default=Path("../shared/ecg"))
    parser.add_argument("--pages", type=int, default=240)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--commit", default="", help="hash of the code that trains, for the card")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--checkpoint", type=Path, default=Path("cache/names.pt"))
    parser.add_argument("--out", type=Path, help="folder; default: where this repository has them")
    return parser.parse_args()


if __name__ == "__main__":
    main()
