"""Reader of lead names: a small network for a closed set, trained on drawn crops.

A crop is a window around a word, seen with what surrounds it: a lone ``I`` differs from the edge
of a pulse or a separator only by what it is joined to. The reader says how sure it is; which name
belongs to which trace is decided later, together with the layout.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ecg4u.cores import spread
from ecg4u.digitize.page.rectified import RectifiedPage
from ecg4u.digitize.rows.ink import ink_channel
from ecg4u.digitize.types import FloatArray, Label
from ecg4u.record import EXTRA_LEADS, LEADS

if TYPE_CHECKING:
    from torch import nn

Pixels = npt.NDArray[np.uint8]
Box = tuple[float, float, float, float]

NAMES = (*LEADS, *EXTRA_LEADS, "-aVR")
"""What can be read: the twelve leads, those of back and right side, and Cabrera's inverted aVR."""
PX_PER_MM = 10.0
WINDOW = (24, 56)
"""Height and width of what the network sees, in its own px."""
WINDOW_OF_LETTER = 1.7
"""Height of the window against that of the word."""
LETTER_MM = (1.0, 6.0)
WORD_MM = 11.0
BACKGROUND_MM = 6.0
GRID_LINE_MM = 50.0
INK = 0.35
MIN_PROBABILITY = 0.3
SURE = 0.8
SURE_BESIDE = 0.75
SURE_WIDENED = 0.88
SURE_FURTHER = 0.93
SURE_STROKES = 0.95
OUT_OF_LINE = 0.35
MOST_ASTRAY = 4
STROKES = ("I", "II", "III")
STROKES_APART = 1.2
SURE_PAIR = 0.5
FAIRLY_SURE = 0.6
LETTER_TALL_MM = 1.5
ALIGNED_MM = 3.0
ENOUGH_NAMES = 9
COLUMN_MM = 62.5
COLUMN_SLACK_MM = 15.0
WORD_WIDTHS = (0.25, 0.75, 1.3, 2.1)
"""Widths of I, of II and III, of V1 to V6 and of aVR to aVF against their height."""
SHIFTS = (-0.15, 0.0, 0.15)
CENTRES_APART = 0.6
BATCH = 64
WEIGHTS = Path(__file__).parents[1] / "weights" / "names.safetensors"


@dataclass(frozen=True)
class Name:
    """A crop as read: one of `NAMES` or None, and the probability of that answer."""

    name: str | None
    probability: float


@dataclass(frozen=True, eq=False)
class Candidates:
    """Where names may stand: boxes of words, and wider ones around letters that touch a trace.

    ``grey`` (H, W) uint8 is the page as the reader sees it.
    """

    grey: Pixels
    boxes: list[Box]
    widened: list[Box]

    @classmethod
    def on(cls, image: Pixels, text_prob: FloatArray | None = None) -> Candidates:
        """Find them on a page (H, W, 3) uint8 RGB at 10 px/mm."""
        dark = _darkness(image)
        mask = _dark_marks(dark) if text_prob is None else np.asarray(text_prob > INK)
        boxes = word_boxes(mask)
        return cls(255 - dark, boxes, [wide for box in boxes for wide in _widened(box)])


def read_names(crops: Sequence[Pixels]) -> list[Name]:
    """Read a batch of crops.

    Parameters
    ----------
    crops : sequence of (h, w) uint8 grey, dark on light
        Windows around single words; any size, best about `WINDOW_OF_LETTER` words high.
    """
    return [_best(row) for row in probabilities(crops)]


def probabilities(crops: Sequence[Pixels]) -> FloatArray:
    """(n, 21) float32: the probabilities of `NAMES`, in their order, and of "none"."""
    import torch

    net, temperature = _reader()

    def read(some: Sequence[Pixels]) -> FloatArray:
        batch = scaled(np.stack([fitted(crop) for crop in some]))
        with torch.inference_mode():
            out = net(torch.from_numpy(batch)[:, None]) / temperature
            return np.asarray(out.softmax(dim=1).numpy())

    parts = spread(read, (crops[i : i + BATCH] for i in range(0, len(crops), BATCH)))
    return np.concatenate([np.zeros((0, len(NAMES) + 1), np.float32), *parts])


def read_labels(rectified: RectifiedPage) -> tuple[Label, ...]:
    """The lead names that can be read on a page, each with its probability and box."""
    return tuple(find_labels(rectified.image))


def find_labels(image: Pixels, text_prob: FloatArray | None = None) -> list[Label]:
    """Find and read the lead names on a rectified page.

    Parameters
    ----------
    image : (H, W, 3) uint8 RGB at 10 px/mm
    text_prob : (H, W) float32 or None
        Text map; None to look for anything dark of the size of letters.

    Returns
    -------
    list of Label
        In reading order of their boxes; no two overlap by more than half.
    """
    looked = Candidates.on(image, text_prob)
    seen = looked.grey
    words = _read(seen, looked.boxes, MIN_PROBABILITY)
    found = list(words)
    wider = _read(seen, looked.widened, SURE_WIDENED)
    found += [label for label in wider if "V" in label.name]
    found += _no_chance_strokes(_read(seen, _boxes_in_line(found), SURE_BESIDE))
    found += _no_chance_strokes(_read(seen, _boxes_in_line(found, further=True), SURE_FURTHER))
    wide = [one for one in _read(seen, _stroke_pairs(found), SURE_PAIR) if one.name in STROKES]
    found = wide + [one for one in found if not any(_holds(pair, one) for pair in wide)]
    found = [one for one in found if not any(_goes_on(word, one) for word in words)]
    return sorted(
        _plausible(_without_doubles(found)), key=lambda label: (label.box[1], label.box[0])
    )


def _no_chance_strokes(labels: Sequence[Label]) -> list[Label]:
    """Names read where no word stands by itself: a pulse beside an I looks like a II."""
    return [
        label for label in labels if label.name not in STROKES or label.probability >= SURE_STROKES
    ]


def word_boxes(mask: npt.NDArray[np.bool_]) -> list[Box]:
    """Boxes (x0, y0, x1, y1 px) of letter-sized ink, joined to words, and of its parts."""
    import cv2

    _, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    letters = []
    for x, y, width, height, _area in stats[1:]:
        low, high = LETTER_MM[0] * PX_PER_MM, LETTER_MM[1] * PX_PER_MM
        if low <= height <= high and width <= WORD_MM * PX_PER_MM:
            letters.append((float(x), float(y), float(x + width), float(y + height)))
    letters.sort()
    words: list[list[Box]] = []
    for letter in letters:
        home = next((word for word in reversed(words[-40:]) if _joins(word[-1], letter)), None)
        if home is None:
            words.append([letter])
        else:
            home.append(letter)
    boxes = {_around(word) for word in words}
    boxes |= {word[0] for word in words if len(word) > 1}
    return sorted(box for box in boxes if box[2] - box[0] <= WORD_MM * PX_PER_MM)


def page_darkness(image: Pixels) -> tuple[Pixels, npt.NDArray[np.bool_]]:
    """A page (H, W, 3) uint8 RGB at 10 px/mm as the readers see it: grey, and where ink is.

    Ink is traces and words, but no straight lines.
    """
    dark = _darkness(image)
    return 255 - dark, _dark_marks(dark)


def sure_names(labels: Sequence[Label]) -> set[str]:
    """Names read beyond doubt, in letters of like height; never a lone I."""
    return {label.name for label in _sure(labels)}


def window(grey: Pixels, box: Box) -> Pixels:
    """The window around a word's box, of `WINDOW`'s shape; beyond the page it repeats the edge."""
    import cv2

    height, width = WINDOW
    x0, y0, x1, y1 = box
    scale = WINDOW_OF_LETTER * max(y1 - y0, 10.0) / height
    scale = max(scale, (x1 - x0) * 1.1 / width)
    tall, wide = max(2, round(height * scale)), max(2, round(width * scale))
    left, top = round((x0 + x1 - wide) / 2), round((y0 + y1 - tall) / 2)
    inner = grey[max(top, 0) : max(top + tall, 1), max(left, 0) : max(left + wide, 1)]
    if inner.shape != (tall, wide):
        rows = np.clip(np.arange(top, top + tall), 0, grey.shape[0] - 1)
        columns = np.clip(np.arange(left, left + wide), 0, grey.shape[1] - 1)
        inner = grey[rows[:, None], columns[None, :]]
    how = cv2.INTER_AREA if scale > 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(inner, (width, height), interpolation=how), np.uint8)


def normalise(crop: Pixels) -> FloatArray:
    """A crop as the network sees it: `WINDOW` in shape, paper 0 and the darkest ink 1."""
    return scaled(fitted(crop)[None])[0]


def fitted(crop: Pixels) -> Pixels:
    """A crop of any size brought to `WINDOW`'s shape, filled up with its paper's grey."""
    import cv2

    if crop.shape == WINDOW:
        return crop
    height, width = WINDOW
    scale = min(height / crop.shape[0], width / crop.shape[1])
    size = max(1, round(crop.shape[1] * scale)), max(1, round(crop.shape[0] * scale))
    crop = np.asarray(cv2.resize(crop, size, interpolation=cv2.INTER_AREA), np.uint8)
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    paper = float(np.percentile(crop, 80))
    below, right = height - size[1] - top, width - size[0] - left
    return np.pad(crop, ((top, below), (left, right)), constant_values=round(paper))


def scaled(crops: Pixels) -> FloatArray:
    """(n, 24, 56) uint8 as float32, each with its paper (80th percentile) at 0, its ink at 1."""
    ordered = np.sort(crops.reshape(len(crops), -1), axis=1, kind="stable")
    last = ordered.shape[1] - 1
    paper = ordered[:, round(0.8 * last), None, None].astype(np.float32)
    ink = ordered[:, round(0.01 * last), None, None].astype(np.float32)
    return np.asarray(np.clip((paper - crops) / np.maximum(paper - ink, 8.0), -0.3, 1.2))


def build() -> nn.Module:
    """The network: (n, 1, 24, 56) -> (n, 21) log-odds; about 45,000 weights."""
    from torch import nn

    def block(into: int, out: int) -> list[nn.Module]:
        return [
            nn.Conv2d(into, out, 3, padding=1, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU(),
            nn.MaxPool2d(2),
        ]

    return nn.Sequential(
        *block(1, 16),
        *block(16, 32),
        *block(32, 64),
        nn.Flatten(),
        nn.Dropout(0.1),
        nn.Linear(64 * 3 * 7, len(NAMES) + 1),
    )


def _read(seen: Pixels, boxes: Sequence[Box], least: float) -> list[Label]:
    rows = probabilities([window(seen, box) for box in boxes])
    best = rows[:, : len(NAMES)].argmax(axis=1)
    return [
        Label(NAMES[name].removeprefix("-"), float(row[name]), box)
        for box, row, name in zip(boxes, rows, best, strict=True)
        if row[name] >= least
    ]


def _sure(labels: Sequence[Label]) -> list[Label]:
    """Names that are sure and of like height; a lone I, which much resembles, is never sure."""
    sure = [label for label in labels if label.probability >= SURE and label.name != "I"]
    if not sure:
        return []
    tall = float(np.median([_height(label) for label in sure]))
    return [label for label in sure if 0.7 < _height(label) / tall < 1.4]


def _height(label: Label) -> float:
    return label.box[3] - label.box[1]


def _plausible(labels: Sequence[Label]) -> list[Label]:
    """Without names whose letters are of another size; an I out of line with the rest counts less.

    Pieces of traces, grid lines and separators look like an I; names of one page are set in one
    size and their starts stand above one another. Many an I out of line are none.
    """
    sure = _sure(labels)
    if len(sure) >= 3:
        tall = float(np.median([_height(label) for label in sure]))
        labels = [label for label in labels if 0.65 < _height(label) / tall < 1.5]
    above = [x.box[0] for x in labels if x.name in ("II", "III") and x.probability > FAIRLY_SURE]
    astray = [
        label
        for label in labels
        if label.name == "I"
        and not any(abs(label.box[0] - x) < ALIGNED_MM * PX_PER_MM for x in above)
    ]
    kept = [label for label in labels if label not in astray]
    if len(astray) <= MOST_ASTRAY:
        share = OUT_OF_LINE if len(sure) >= 3 else 1.0
        less = [replace(one, probability=one.probability * share) for one in astray]
        kept += [label for label in less if label.probability >= MIN_PROBABILITY]
    return kept


def _boxes_in_line(labels: Sequence[Label], *, further: bool = False) -> list[Box]:
    """Where names are to be expected: in a row with one sure name and in a column with another.

    Names that touch a trace or a separator make no component of their own and are found so.
    ``further``: in columns of which no name was read, where most of the twelve are wanting.
    """
    sure = _sure(labels)
    if len(sure) < 3 or (further and len({label.name for label in sure}) >= ENOUGH_NAMES):
        return []
    tall = float(np.median([_height(label) for label in sure]))
    near = ALIGNED_MM * PX_PER_MM
    lines = _clusters([label.centre[1] for label in sure], near)
    columns = _clusters([label.box[0] for label in sure], near)
    boxes = []
    for y in lines:
        for x in _regular(columns) if further else columns:
            taken = any(
                abs(one.centre[1] - y) < near and abs(one.box[0] - x) < near for one in sure
            )
            if not taken:
                boxes += _boxes_at(x, y, tall)
    return boxes


def _regular(columns: Sequence[float]) -> list[float]:
    """Where columns of names may stand that were not read: at a regular distance from others."""
    steps = {COLUMN_MM * PX_PER_MM}
    steps |= {(b - a) / n for a in columns for b in columns if b > a for n in (1, 2, 3)}
    usual = [step for step in steps if abs(step / PX_PER_MM - COLUMN_MM) < COLUMN_SLACK_MM]
    last = max(columns) + 3 * max(usual)
    places = {a + k * step for a in columns for step in usual for k in (-3, -2, -1, 1, 2, 3)}
    near = ALIGNED_MM * PX_PER_MM
    return _clusters([x for x in sorted(places) if 0 <= x <= last], near)


def _boxes_at(left: float, middle: float, tall: float) -> list[Box]:
    return [
        (
            left + across * tall,
            middle + (down - 0.5) * tall,
            left + (across + wide) * tall,
            middle + (down + 0.5) * tall,
        )
        for wide in WORD_WIDTHS
        for across in SHIFTS
        for down in SHIFTS
    ]


def _widened(box: Box) -> list[Box]:
    """Words that a letter may be part of when its neighbours touch a trace."""
    x0, y0, x1, y1 = box
    tall = y1 - y0
    if tall < LETTER_TALL_MM * PX_PER_MM or x1 - x0 > 1.5 * tall:
        return []
    reach = ((0.0, 0.8), (0.75, 0.0), (0.7, 0.75), (0.0, 1.5), (1.5, 0.0))
    return [(x0 - left * tall, y0, x1 + right * tall, y1) for left, right in reach]


def _stroke_pairs(labels: Sequence[Label]) -> list[Box]:
    """Boxes around strokes read as I that stand so near that they may be one II or III."""
    strokes = [label for label in labels if label.name in STROKES]
    return [
        _around((a.box, b.box))
        for a in strokes
        for b in strokes
        if abs(a.centre[1] - b.centre[1]) < 0.2 * _height(a)
        and 0 < b.box[0] - a.box[2] < STROKES_APART * _height(a)
    ]


def _goes_on(word: Label, start: Label) -> bool:
    """Whether a name is the start of a whole word, as V4 is of V4R."""
    longer = word.name == f"{start.name}R" and word.probability > FAIRLY_SURE
    return longer and _holds(word, start)


def _holds(whole: Label, part: Label) -> bool:
    """Whether a stroke is part of a name of several strokes."""
    inside = whole.box[0] <= part.box[0] and part.box[2] <= whole.box[2]
    return inside and abs(whole.centre[1] - part.centre[1]) < 0.5 * _height(whole)


def _clusters(values: Sequence[float], near: float) -> list[float]:
    """Middles of runs of values less than ``near`` apart."""
    ordered = np.sort(np.asarray(values, np.float64))
    parts = np.split(ordered, np.flatnonzero(np.diff(ordered) > near) + 1)
    return [float(np.median(part)) for part in parts if len(part)]


def _darkness(image: Pixels) -> Pixels:
    """How much darker each pixel is than its paper, (H, W) uint8, as `ink.darkness` sees it.

    In bytes, which is exact enough for finding words and several times as fast.
    """
    import cv2

    value = ink_channel(image)
    if np.median(value[::4, ::4]) < 90:
        value = 255 - value
    small = cv2.resize(value, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    size = int(BACKGROUND_MM * PX_PER_MM / 4) | 1
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (size, size))
    paper = cv2.morphologyEx(cv2.medianBlur(small, 5), cv2.MORPH_CLOSE, kernel)
    paper = cv2.GaussianBlur(paper, (0, 0), size / 2)
    paper = cv2.resize(paper, value.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(255 - cv2.divide(value, paper, scale=255.0), np.uint8)


def _dark_marks(dark: Pixels) -> npt.NDArray[np.bool_]:
    """What is dark and no straight line of several centimetres along the page's axes."""
    import cv2

    capped = np.minimum(dark, np.uint8(0.6 * 255))
    length = int(GRID_LINE_MM * PX_PER_MM) | 1
    along_x, along_y = cv2.blur(capped, (length, 1)), cv2.blur(capped, (1, length))
    both = cv2.resize(capped, None, fx=0.1, fy=0.1, interpolation=cv2.INTER_AREA)
    around = cv2.resize(cv2.blur(both, (length // 10 | 1, length // 10 | 1)), dark.shape[::-1])
    base = cv2.min(around, cv2.min(along_x, along_y))
    grid = cv2.addWeighted(cv2.max(along_x, along_y), 1.2, base, -0.6, 0.0)
    ink = cv2.subtract(dark, grid)
    levels = cv2.calcHist([ink], [0], None, [256], [0, 256]).ravel().cumsum()
    full = max(0.15 * 255, float(np.searchsorted(levels, 0.993 * levels[-1])))
    return np.asarray(ink > INK * full)


@lru_cache(maxsize=1)
def _reader() -> tuple[nn.Module, float]:
    """The network with its normalisation folded into the convolutions, and its temperature."""
    import json

    import torch
    from safetensors.torch import load_file

    net = build()
    net.load_state_dict(load_file(WEIGHTS))
    folded: list[nn.Module] = []
    for layer in net.eval().children():
        if isinstance(layer, torch.nn.BatchNorm2d):
            before = folded.pop()
            assert isinstance(before, torch.nn.Conv2d)
            folded.append(torch.nn.utils.fuse_conv_bn_eval(before, layer))
        else:
            folded.append(layer)
    fast = torch.nn.Sequential(*folded).eval()
    fast.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    card = json.loads(WEIGHTS.with_suffix(".json").read_text())
    return fast, float(card["temperature"])


def _best(row: FloatArray) -> Name:
    best = int(row.argmax())
    return Name(NAMES[best] if best < len(NAMES) else None, float(row[best]))


def _joins(left: Box, right: Box) -> bool:
    """Whether ``right`` is the letter after ``left`` in a word."""
    tall = max(left[3] - left[1], right[3] - right[1])
    overlap = min(left[3], right[3]) - max(left[1], right[1])
    return bool(right[0] - left[2] < 0.55 * tall and overlap > 0.45 * tall)


def _around(word: Sequence[Box]) -> Box:
    corners = np.array(word)
    low, high = corners.min(axis=0), corners.max(axis=0)
    return float(low[0]), float(low[1]), float(high[2]), float(high[3])


def _without_doubles(labels: Sequence[Label]) -> list[Label]:
    kept: list[Label] = []
    for label in sorted(labels, key=lambda one: -one.probability):
        if not any(_same_place(label, other) for other in kept):
            kept.append(label)
    return kept


def _same_place(a: Label, b: Label) -> bool:
    """Whether two boxes are of one word: narrow ones need not overlap much."""
    apart = float(np.abs(np.subtract(a.centre, b.centre)).max())
    return apart < CENTRES_APART * min(_height(a), _height(b)) or _shared(a.box, b.box) >= 0.5


def _shared(a: Box, b: Box) -> float:
    """Overlap of two boxes as a share of the smaller."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    least = min((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return max(0.0, width) * max(0.0, height) / max(least, 1e-9)
