"""The lead names on a page: where they stand, and which they are; and where its scale is printed.

One small network looks at the whole page and says for every 0.8 mm of it which name, if any, has
its middle there and where that name begins and ends, and the same of a scale's units. It sees what
surrounds a word, so that one that lies over a trace or on a dark grid is found like any other. The
reader of names (`text.names`), which sees each more finely, then has its say, and that of print
(`text.printed`) reads the scale. Which name belongs to which trace is decided later, together with
the layout.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from ecg4u.digitize import networks
from ecg4u.digitize.page.rectified import RectifiedPage
from ecg4u.digitize.rows import network
from ecg4u.digitize.text.names import NAMES, PX_PER_MM, Box, probabilities, window
from ecg4u.digitize.types import FloatArray, Label

Pixels = npt.NDArray[np.uint8]

HALVED = 2
"""Rectified pixels for each of the network's."""
CELL_PX = 4
"""Breadth, in px of the network, of the squares for each of which it answers."""
SIDE_PX = 8.0
"""Px of the network for each unit of its answer about a box's sides."""
OVERLAP_PX = 128
"""A name is told by what stands within 56 px of a place, a unit by what stands within 68; where
tiles meet, at even cells, within 64."""
UNITS = ("mm/s", "mm/mV")
"""Of a printed scale: paper speed and gain."""
OF_NAMES = slice(0, len(NAMES) + 1)
"""What the network answers for each square: how likely each of `NAMES` is, and none; ..."""
SIDES = slice(OF_NAMES.stop, OF_NAMES.stop + 4)
"""... the sides of the name's box; ..."""
OF_UNITS = slice(SIDES.stop, SIDES.stop + len(UNITS) + 1)
"""... how likely each of `UNITS` is, and none; ..."""
SIDES_OF_UNIT = slice(OF_UNITS.stop, OF_UNITS.stop + 4)
"""... and the sides of its box."""
MOST_CELLS = 1000
"""Places looked at, the likeliest first: bounds the time that a page full of specks takes. A page
of 15 names has some 200."""


@dataclass(frozen=True)
class Params:
    """Numbers by which names are found and read.

    Heights of letters are the unit where no other is named. Probabilities are those of the networks
    after their temperatures (``weights/places.json``, ``weights/names.json``). Chosen by eye on the
    development pages, if no source is given.
    """

    least: float = 0.3
    """Least probability of a name; the layout weighs the doubtful ones."""
    least_unit: float = 0.5
    most_units: int = 12
    """Least probability of a scale's unit, and how many are looked at: what stands there is read
    before it counts. Of drawn pages, those that are units have 0.9 and more, and few other places
    have."""
    shifts: tuple[tuple[float, float], ...] = (
        (0.0, 0.0), (0.1, 0.0), (-0.1, 0.0), (0.0, 0.1), (0.0, -0.1),
    )  # fmt: skip
    """How far right and down from where a name was found it is read, in heights: the mean of five
    readings is steadier than one."""
    weights: tuple[float, float] = (0.5, 1.0)
    """Of the logarithm of the finder's probabilities and of the reader's. Fitted by likelihood to
    1,215 places of 60 drawn pages (seeds 90000 on): 673 of their 705 names are read right, 646 by
    the finder alone, 668 by the reader alone."""
    floors: tuple[float, float] = (1e-4, 0.01)
    """Added to the finder's probabilities and the reader's before the logarithm: neither is so sure
    that it cannot be overruled."""
    sure: float = 0.8
    """From here a name counts as read beyond doubt."""
    fairly_sure: float = 0.6
    """From here a II or III tells where an I may stand."""
    fewest_sure: int = 3
    """Sure names that tell how tall a page's letters are."""
    alike: tuple[float, float] = (0.7, 1.4)
    """Heights of sure names against their median."""
    plausible: tuple[float, float] = (0.65, 1.5)
    """The same of every name kept."""
    listed_mm: float = 8.0
    """Surely read names so near in one line are words of a sentence: the narrowest columns of drawn
    pages are 20 mm wide."""
    out_of_line: float = 0.35
    """What is left of the probability of an I that stands above no II or III."""
    most_astray: int = 4
    """Of more such I than this, each is taken for a piece of a trace."""
    aligned_mm: float = 3.0
    """How far names of one column may be out of line."""
    same_name_apart: float = 0.6
    """Boxes whose middles are nearer than so many heights, or that overlap across and are no
    further apart down the page, are of one name."""


PARAMS = Params()
WEIGHTS = networks.WEIGHTS / "places.onnx"


@dataclass(frozen=True, eq=False)
class Place:
    """Where a word seems to stand: its box, what the network says of it, (21,) as `NAMES` and none
    or (3,) as `UNITS` and none, and how likely it is one."""

    box: Box
    likely: FloatArray
    probability: float

    @property
    def centre(self) -> tuple[float, float]:
        x0, y0, x1, y1 = self.box
        return (x0 + x1) / 2, (y0 + y1) / 2


def read_labels(rectified: RectifiedPage) -> tuple[Label, ...]:
    """The lead names that can be read on a page, each with its probability and box.

    They come in reading order of their boxes; no two are of one place.
    """
    answer = _looked_at(rectified)
    names = _named(_places(answer[OF_NAMES], answer[SIDES], PARAMS.least), rectified.print.grey)
    return tuple(sorted(_plausible(names), key=lambda label: (label.box[1], label.box[0])))


def sure_names(labels: Sequence[Label]) -> set[str]:
    """Names read beyond doubt, in letters of like height; never a lone I."""
    return {label.name for label in _sure(labels)}


def seen_by_network(image: Pixels) -> FloatArray:
    """What the network looks at, (3, H / 2, W / 2): the page free of its paper's colour."""
    import cv2

    seen = np.ascontiguousarray(network.normalise(image).transpose(1, 2, 0))
    size = max(1, seen.shape[1] // HALVED), max(1, seen.shape[0] // HALVED)
    return cv2.resize(seen, size, interpolation=cv2.INTER_AREA).transpose(2, 0, 1)


def places(image: Pixels, least: float = PARAMS.least) -> list[Place]:
    """Where names seem to stand on a page (H, W, 3) at 10 px/mm, the likeliest first; no two are of
    one word.
    """
    answer = _answer(image)
    return _places(answer[OF_NAMES], answer[SIDES], least)


def find_units(rectified: RectifiedPage) -> list[Place]:
    """Where units of a printed scale, `UNITS`, seem to stand on a page, the likeliest first."""
    answer = _looked_at(rectified)
    found = _places(answer[OF_UNITS], answer[SIDES_OF_UNIT], PARAMS.least_unit)
    return found[: PARAMS.most_units]


_ANSWERS: WeakKeyDictionary[RectifiedPage, FloatArray] = WeakKeyDictionary()


def _looked_at(rectified: RectifiedPage) -> FloatArray:
    """What the network says of a page; names and units are asked for one after the other."""
    if rectified not in _ANSWERS:
        _ANSWERS[rectified] = _answer(rectified.image)
    return _ANSWERS[rectified]


def _answer(image: Pixels) -> FloatArray:
    """What the network says of each square of a page, (32, H / 8, W / 8)."""
    seen = seen_by_network(image)
    room = [(0, -side % CELL_PX) for side in seen.shape[1:]]
    return network.in_tiles(
        networks.Network(WEIGHTS),
        np.pad(seen, ((0, 0), *room)),
        SIDES_OF_UNIT.stop,
        cell=CELL_PX,
        overlap=OVERLAP_PX,
    )


def _places(likely: FloatArray, sides: FloatArray, least: float) -> list[Place]:
    """Where one of several words, of which the last is none, is likelier than ``least``."""
    sides = SIDE_PX * sides
    a_word = 1.0 - likely[-1]
    cells = np.argwhere(a_word >= least)
    surest = np.argsort(-a_word[a_word >= least], kind="stable")[:MOST_CELLS]
    found = []
    for row, column in cells[surest]:
        x, y = CELL_PX * (column + 0.5), CELL_PX * (row + 0.5)
        left, top, right, bottom = sides[:, row, column]
        x0, y0, x1, y1 = (HALVED * float(v) for v in (x - left, y - top, x + right, y + bottom))
        if x1 > x0 and y1 > y0:
            here = likely[:, row, column], float(a_word[row, column])
            found.append(Place((x0, y0, x1, y1), *here))
    return _without_doubles(found)


def _without_doubles(found: Sequence[Place]) -> list[Place]:
    """The first place of each word."""
    kept: list[Place] = []
    for place in found:
        if not any(_same(place, other) for other in kept):
            kept.append(place)
    return kept


def _same(place: Place, other: Place) -> bool:
    """Whether two boxes are of one word: an I may be found within a III."""
    across, down = (abs(a - b) for a, b in zip(place.centre, other.centre, strict=True))
    near = PARAMS.same_name_apart * (other.box[3] - other.box[1])
    together = (place.box[2] - place.box[0] + other.box[2] - other.box[0]) / 2
    return down < near and across < max(near, together)


def _named(found: Sequence[Place], grey: Pixels) -> list[Label]:
    """The names that finder and reader together read at the places."""
    crops = [
        window(grey, (x0 + across * tall, y0 + down * tall, x1 + across * tall, y1 + down * tall))
        for x0, y0, x1, y1 in (place.box for place in found)
        for tall in (y1 - y0,)
        for across, down in PARAMS.shifts
    ]
    each = len(found), len(PARAMS.shifts), len(NAMES) + 1
    read = probabilities(crops).reshape(each).mean(axis=1)
    labels = []
    for place, own in zip(found, read, strict=True):
        log_odds = np.zeros(len(own))
        for seen, weight, floor in zip(
            (place.likely, own), PARAMS.weights, PARAMS.floors, strict=True
        ):
            log_odds += weight * np.log(seen + floor)
        both = np.exp(log_odds - log_odds.max())
        both /= both.sum()
        best = int(both[: len(NAMES)].argmax())
        if both[best] >= PARAMS.least:
            labels.append(Label(NAMES[best].removeprefix("-"), float(both[best]), place.box))
    return labels


def _sure(labels: Sequence[Label]) -> list[Label]:
    """Names that are sure and of like height; a lone I, which much resembles, is never sure."""
    sure = [label for label in labels if label.probability >= PARAMS.sure and label.name != "I"]
    if not sure:
        return []
    tall = float(np.median([_height(label) for label in sure]))
    return [label for label in sure if PARAMS.alike[0] < _height(label) / tall < PARAMS.alike[1]]


def _listed(label: Label, labels: Sequence[Label]) -> bool:
    """Whether a name stands in a line with another, nearer than traces do: "Leads I II III V1"."""
    for other in labels:
        down = abs(label.centre[1] - other.centre[1])
        gap = max(label.box[0] - other.box[2], other.box[0] - label.box[2])
        if (
            other is not label
            and min(label.probability, other.probability) >= PARAMS.sure
            and down < _height(label) / 2
            and gap < PARAMS.listed_mm * PX_PER_MM
        ):
            return True
    return False


def _height(label: Label) -> float:
    return label.box[3] - label.box[1]


def _plausible(labels: Sequence[Label]) -> list[Label]:
    """Without names whose letters are of another size, or that are words of one line; an I out of
    line with the rest counts less.

    Pieces of traces, grid lines and separators look like an I; names of one page are set in one
    size and their starts stand above one another. Many an I out of line are none.
    """
    labels = [label for label in labels if not _listed(label, labels)]
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
