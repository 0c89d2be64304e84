"""Reader of lead names: a small network for a closed set, trained on drawn crops.

A crop is a window around a word, seen with what surrounds it: a lone ``I`` differs from the edge
of a pulse or a separator only by what it is joined to. The reader says how sure it is; which name
belongs to which trace is decided later, together with the layout.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ecg4u.cores import spread
from ecg4u.digitize import networks
from ecg4u.digitize.page.darkness import PrintOnPage
from ecg4u.digitize.types import FloatArray, Label
from ecg4u.record import EXTRA_LEADS, LEADS

Pixels = npt.NDArray[np.uint8]
Box = tuple[float, float, float, float]

NAMES = (*LEADS, *EXTRA_LEADS, "-aVR")
"""What can be read: the twelve leads, those of back and right side, and Cabrera's inverted aVR."""
PX_PER_MM = 10.0
"""Of every rectified page (`ecg4u.digitize.page.rectified`)."""
WINDOW = (24, 56)
"""Height and width of what the network sees, in its own px; its last layer is made for it."""
WINDOW_OF_LETTER = 1.7
"""Height of the window against that of the word; the weights were trained so."""
STROKES = ("I", "II", "III")
"""Names made of upright strokes only, as pulses, separators and QRS complexes are."""
BATCH = 64
"""Crops read at once; changes the speed alone."""


@dataclass(frozen=True)
class Params:
    """Numbers of the finder of names.

    Lengths in mm are on paper; heights of letters are the unit where no other is named. Least
    probabilities are those of the network after its temperature (``weights/names.json``): the less
    a box shows of a word by itself, the surer the reading must be. Chosen by eye on the development
    pages, if no source is given.
    """

    letter_mm: tuple[float, float] = (1.0, 6.0)
    """Heights of ink taken for letters; pages are drawn with capitals of 1.6 to 4.2 mm for training
    (`training.looks`), and a quarter turn or a blur makes them differ more."""
    word_mm: float = 16.0
    """Greatest width of a name: "aVR" in letters of 5 mm, "Lead aVR" in letters of 2.5 mm."""
    joined_gap: float = 0.55
    """Letters of a word stand nearer than so many heights ..."""
    joined_overlap: float = 0.45
    """... and share so much of their height."""
    last_words: int = 40
    """Words, of those that began last, to which a letter may belong: bounds the time of a page full
    of specks."""
    least: float = 0.3
    """Least probability of a name that stands by itself; the layout weighs the doubtful ones."""
    sure: float = 0.8
    """From here a name counts as read beyond doubt."""
    sure_in_line: float = 0.75
    """Least probability where a sure name's row crosses another's column."""
    sure_widened: float = 0.88
    """Least probability around a lone letter, whose neighbours may touch a trace."""
    sure_further: float = 0.93
    """Least probability in a column that shows no sure name."""
    sure_strokes: float = 0.95
    """Least probability of I, II or III in those boxes: a pulse beside an I looks like a II."""
    sure_pair: float = 0.5
    """Least probability of strokes that stand together."""
    fairly_sure: float = 0.6
    """From here a name tells where others start, and which of two is part of the other."""
    fewest_sure: int = 3
    """Sure names that tell how tall a page's letters are, and where its rows and columns."""
    alike: tuple[float, float] = (0.7, 1.4)
    """Heights of sure names against their median."""
    plausible: tuple[float, float] = (0.65, 1.5)
    """The same of every name kept."""
    out_of_line: float = 0.35
    """What is left of the probability of an I that stands above no II or III."""
    most_astray: int = 4
    """Of more such I than this, each is taken for a piece of a trace."""
    aligned_mm: float = 3.0
    """How far names of one row or column may be out of line."""
    enough_names: int = 9
    """Sure names with which columns without any are not searched."""
    column_mm: float = 62.5
    """Usual distance of columns: 2.5 s at 25 mm/s."""
    column_slack_mm: float = 15.0
    """How far from usual the columns may stand apart."""
    word_widths: tuple[float, ...] = (0.25, 0.75, 1.3, 2.1)
    """Widths of I, of II and III, of V1 to V6 and of aVR to aVF, in heights; of usual fonts."""
    shifts: tuple[float, ...] = (-0.15, 0.0, 0.15)
    """Where around an expected place a name is looked for, in heights."""
    least_widened_mm: float = 1.5
    """Height from which a lone letter is worth a look to its sides ..."""
    most_widened: float = 1.5
    """... and its greatest width in heights: a wider mark is no single letter."""
    widenings: tuple[tuple[float, float], ...] = (
        (0.0, 0.8), (0.75, 0.0), (0.7, 0.75), (0.0, 1.5), (1.5, 0.0),
    )  # fmt: skip
    """By how many heights to its left and right: V with its digit, the V of aVR with both."""
    strokes_level: float = 0.2
    """Strokes of one name differ by less than this in height of place, in heights ..."""
    strokes_apart: float = 1.2
    """... and stand nearer than this: the letters of a spaced "I I" do."""
    same_name_apart: float = 0.6
    """Boxes whose middles are nearer than so many heights are of one name; so are those that
    share half of the smaller."""


PARAMS = Params()
WEIGHTS = networks.WEIGHTS / "names.onnx"


@dataclass(frozen=True, eq=False)
class Candidates:
    """Where names may stand: boxes of words, and wider ones around letters that touch a trace.

    ``grey`` (H, W) uint8 is the page as the reader sees it.
    """

    grey: Pixels
    boxes: list[Box]
    widened: list[Box]

    @classmethod
    def on(cls, print_: PrintOnPage) -> Candidates:
        """Find them on a page at 10 px/mm."""
        boxes = word_boxes(print_.pieces)
        return cls(print_.grey, boxes, [wide for box in boxes for wide in _widened(box)])


def probabilities(crops: Sequence[Pixels]) -> FloatArray:
    """Read a batch of crops.

    Parameters
    ----------
    crops : sequence of (h, w) uint8 grey, dark on light
        Windows around single words; any size, best about `WINDOW_OF_LETTER` words high.

    Returns
    -------
    (n, 21) float32
        The probabilities of `NAMES`, in their order, and of "none".
    """
    net = _reader()

    def read(some: Sequence[Pixels]) -> FloatArray:
        return net(scaled(np.stack([fitted(crop) for crop in some]))[:, None])

    parts = spread(read, (crops[i : i + BATCH] for i in range(0, len(crops), BATCH)))
    return np.concatenate([np.zeros((0, len(NAMES) + 1), np.float32), *parts])


def read_labels(print_: PrintOnPage) -> tuple[Label, ...]:
    """The lead names that can be read on a page at 10 px/mm, each with its probability and box.

    They come in reading order of their boxes; no two overlap by more than half.
    """
    looked = Candidates.on(print_)
    seen = looked.grey
    words = _read(seen, looked.boxes, PARAMS.least)
    found = list(words)
    wider = _read(seen, looked.widened, PARAMS.sure_widened)
    found += [label for label in wider if "V" in label.name]
    found += _no_chance_strokes(_read(seen, _boxes_in_line(found), PARAMS.sure_in_line))
    found += _no_chance_strokes(
        _read(seen, _boxes_in_line(found, further=True), PARAMS.sure_further)
    )
    wide = [
        one for one in _read(seen, _stroke_pairs(found), PARAMS.sure_pair) if one.name in STROKES
    ]
    found = wide + [one for one in found if not any(_holds(pair, one) for pair in wide)]
    found = [one for one in found if not any(_goes_on(word, one) for word in words)]
    found = _plausible(_without_doubles(found))
    return tuple(sorted(found, key=lambda label: (label.box[1], label.box[0])))


def _no_chance_strokes(labels: Sequence[Label]) -> list[Label]:
    """Names read where no word stands by itself: a pulse beside an I looks like a II."""
    return [
        label
        for label in labels
        if label.name not in STROKES or label.probability >= PARAMS.sure_strokes
    ]


def word_boxes(pieces: npt.NDArray[np.int32]) -> list[Box]:
    """Boxes (x0, y0, x1, y1 px) of letter-sized ink, joined to words, and of its parts.

    ``pieces`` are those of `PrintOnPage.pieces`.
    """
    wide, tall = pieces[:, 2], pieces[:, 3]
    low, high = PARAMS.letter_mm[0] * PX_PER_MM, PARAMS.letter_mm[1] * PX_PER_MM
    kept = pieces[(low <= tall) & (tall <= high) & (wide <= PARAMS.word_mm * PX_PER_MM)]
    letters = sorted(
        (float(x), float(y), float(x + width), float(y + height))
        for x, y, width, height, _area in kept.tolist()
    )
    words: list[list[Box]] = []
    for letter in letters:
        home = next(
            (word for word in reversed(words[-PARAMS.last_words :]) if _joins(word[-1], letter)),
            None,
        )
        if home is None:
            words.append([letter])
        else:
            home.append(letter)
    boxes = {_around(word) for word in words}
    boxes |= {word[0] for word in words if len(word) > 1}
    return sorted(box for box in boxes if box[2] - box[0] <= PARAMS.word_mm * PX_PER_MM)


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
    sure = [label for label in labels if label.probability >= PARAMS.sure and label.name != "I"]
    if not sure:
        return []
    tall = float(np.median([_height(label) for label in sure]))
    return [label for label in sure if PARAMS.alike[0] < _height(label) / tall < PARAMS.alike[1]]


def _height(label: Label) -> float:
    return label.box[3] - label.box[1]


def _plausible(labels: Sequence[Label]) -> list[Label]:
    """Without names whose letters are of another size; an I out of line with the rest counts less.

    Pieces of traces, grid lines and separators look like an I; names of one page are set in one
    size and their starts stand above one another. Many an I out of line are none.
    """
    sure = _sure(labels)
    if len(sure) >= PARAMS.fewest_sure:
        tall = float(np.median([_height(label) for label in sure]))
        labels = [
            label
            for label in labels
            if PARAMS.plausible[0] < _height(label) / tall < PARAMS.plausible[1]
        ]
    above = [
        x.box[0] for x in labels if x.name in ("II", "III") and x.probability > PARAMS.fairly_sure
    ]
    astray = [
        label
        for label in labels
        if label.name == "I"
        and not any(abs(label.box[0] - x) < PARAMS.aligned_mm * PX_PER_MM for x in above)
    ]
    kept = [label for label in labels if label not in astray]
    if len(astray) <= PARAMS.most_astray:
        share = PARAMS.out_of_line if len(sure) >= PARAMS.fewest_sure else 1.0
        less = [replace(one, probability=one.probability * share) for one in astray]
        kept += [label for label in less if label.probability >= PARAMS.least]
    return kept


def _boxes_in_line(labels: Sequence[Label], *, further: bool = False) -> list[Box]:
    """Where names are to be expected: in a row with one sure name and in a column with another.

    Names that touch a trace or a separator make no component of their own and are found so.
    ``further``: in columns of which no name was read, where most of the twelve are wanting.
    """
    sure = _sure(labels)
    if len(sure) < PARAMS.fewest_sure or (
        further and len({label.name for label in sure}) >= PARAMS.enough_names
    ):
        return []
    tall = float(np.median([_height(label) for label in sure]))
    near = PARAMS.aligned_mm * PX_PER_MM
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
    steps = {PARAMS.column_mm * PX_PER_MM}
    steps |= {(b - a) / n for a in columns for b in columns if b > a for n in (1, 2, 3)}
    usual = [
        step for step in steps if abs(step / PX_PER_MM - PARAMS.column_mm) < PARAMS.column_slack_mm
    ]
    last = max(columns) + 3 * max(usual)
    places = {a + k * step for a in columns for step in usual for k in (-3, -2, -1, 1, 2, 3)}
    near = PARAMS.aligned_mm * PX_PER_MM
    return _clusters([x for x in sorted(places) if 0 <= x <= last], near)


def _boxes_at(left: float, middle: float, tall: float) -> list[Box]:
    return [
        (
            left + across * tall,
            middle + (down - 0.5) * tall,
            left + (across + wide) * tall,
            middle + (down + 0.5) * tall,
        )
        for wide in PARAMS.word_widths
        for across in PARAMS.shifts
        for down in PARAMS.shifts
    ]


def _widened(box: Box) -> list[Box]:
    """Words that a letter may be part of when its neighbours touch a trace."""
    x0, y0, x1, y1 = box
    tall = y1 - y0
    if tall < PARAMS.least_widened_mm * PX_PER_MM or x1 - x0 > PARAMS.most_widened * tall:
        return []
    return [(x0 - left * tall, y0, x1 + right * tall, y1) for left, right in PARAMS.widenings]


def _stroke_pairs(labels: Sequence[Label]) -> list[Box]:
    """Boxes around strokes read as I that stand so near that they may be one II or III."""
    strokes = [label for label in labels if label.name in STROKES]
    return [
        _around((a.box, b.box))
        for a in strokes
        for b in strokes
        if abs(a.centre[1] - b.centre[1]) < PARAMS.strokes_level * _height(a)
        and 0 < b.box[0] - a.box[2] < PARAMS.strokes_apart * _height(a)
    ]


def _goes_on(word: Label, start: Label) -> bool:
    """Whether a name is the start of a whole word, as V4 is of V4R."""
    longer = word.name == f"{start.name}R" and word.probability > PARAMS.fairly_sure
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


def _joins(left: Box, right: Box) -> bool:
    """Whether ``right`` is the letter after ``left`` in a word."""
    tall = max(left[3] - left[1], right[3] - right[1])
    overlap = min(left[3], right[3]) - max(left[1], right[1])
    return bool(
        right[0] - left[2] < PARAMS.joined_gap * tall and overlap > PARAMS.joined_overlap * tall
    )


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
    return (
        apart < PARAMS.same_name_apart * min(_height(a), _height(b)) or _shared(a.box, b.box) >= 0.5
    )


def _shared(a: Box, b: Box) -> float:
    """Overlap of two boxes as a share of the smaller."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    least = min((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return max(0.0, width) * max(0.0, height) / max(least, 1e-9)


@lru_cache(maxsize=1)
def _reader() -> networks.Network:
    return networks.Network(WEIGHTS)
