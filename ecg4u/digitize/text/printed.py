"""Reader of the printed scale: "25 mm/s", "10 mm/mV", "Limb: 10 mm/mV Chest: 5 mm/mV".

Where its units stand, the finder of names says (`text.labels`). A small convolutional network
reads the line there letter by letter (connectionist temporal classification, Graves 2006); what it
reads counts only where it is spelled as a scale and the number is one that electrocardiographs
have. Where that is in doubt, nothing is said.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ecg4u.digitize import networks
from ecg4u.digitize.page.rectified import RectifiedPage
from ecg4u.digitize.text.labels import find_units
from ecg4u.digitize.text.names import scaled
from ecg4u.digitize.types import FloatArray

Pixels = npt.NDArray[np.uint8]
Box = tuple[float, float, float, float]

LINE_PX, STEP_PX = 24, 2
"""Height of a line as the network sees it, and what a step of its answer spans along the line."""
BATCH = 16
"""Lines read at once; changes the speed alone."""
SYMBOLS = " 0123456789abcdefghijklmnopqrstuvwxyz.:/-"
"""What can be read, after 0 for no letter; capitals are read as small letters."""
SPEEDS_MM_PER_S = (5.0, 6.25, 10.0, 12.5, 25.0, 50.0, 100.0)
"""Paper speeds that electrocardiographs have."""
BELIEVED_SPEEDS_MM_PER_S = (12.5, 25.0, 50.0, 100.0)
"""Twelve leads are not printed slower: 5 mm/s is what 25 reads as when its first digit is lost."""
GAINS_MM_PER_MV = (2.5, 5.0, 10.0, 20.0, 40.0)
"""Gains that electrocardiographs have."""


@dataclass(frozen=True)
class Params:
    """Numbers of the reader of printed scales.

    Heights of a line's letters are the unit where no other is named. With these, 1,600 drawn lines
    in fonts not seen in training gave 528 values rightly and 3 wrongly (of 648 printed, some in
    worn ink) at a single reading, 800 on drawn pages 393 and 3 (of 506, some illegible;
    ``weights/printed.json``). Chosen by eye, if no source is given.
    """

    line_of_letter: float = 1.6
    """Height of the window against that of the line's letters; the weights were trained so."""
    other_sizes: tuple[float, ...] = (1.4, 1.85)
    """Windows of the second and third reading: about an eighth smaller and larger."""
    least_line_px: float = 12.0
    """A window is no lower, in px of the page: smaller print has no shapes to read."""
    margin: float = 0.8
    """How much longer than its line a window is, in heights."""
    longest_px: int = 640
    """Longest window, in its own px; a line of some fifty letters, longer ones are squeezed."""
    beside_unit: tuple[float, float] = (7.0, 0.8)
    """How far before and behind a unit its line is read."""
    sure: float = 0.5
    """Product of the letters' probabilities from which a reading counts."""
    agreeing: int = 2
    """Readings, of three, that must be sure of a value."""
    gap_doubt: float = 0.6
    """A blank between letters less sure than this lowers the probability of the letter after it."""


PARAMS = Params()
SPEED = re.compile(r"(?<![\d.:/-])(\d{1,3}(?:\.\d{1,2})?) ?mm ?/ ?s(?:ec)?(?![a-z])")
GAIN = re.compile(r"(?<![\d.:/-])(\d{1,2}(?:\.\d{1,2})?) ?mm ?/ ?mv")
BOTH_GAINS = re.compile(
    r"(?<![\d.:/-])(\d{1,2}(?:\.\d{1,2})?) ?[-/] ?(\d{1,2}(?:\.\d{1,2})?) ?mm ?/ ?mv"
)
"""That of the limb leads and that of the chest leads: "10-5 mm/mV", "10/5 mm/mV"."""
WORD_BEFORE = re.compile(r"([a-z]+) ?([:.]?) ?-? ?$")
CHEST_WORDS = ("chest", "precordial", "prec", "thorax", "c", "v")
GAIN_WORDS = ("limb", "limbs", "l", "gain", "sens", "sensitivity", "ecg", "s", "sec", "mv")
KINDS = ("speed", "gain", "chest")
"""What a line may state: paper speed, and the gains of all leads and of the chest leads."""
WEIGHTS = networks.WEIGHTS / "printed.onnx"


@dataclass(frozen=True)
class PrintedScale:
    """What a page says of its scale; None where it says nothing that can be read for certain.

    ``chest_gain_mm_per_mv`` is given only where the page prints one for the chest leads apart;
    ``probability`` is that of the least certain value, 0 where there is none.
    """

    speed_mm_per_s: float | None = None
    gain_mm_per_mv: float | None = None
    chest_gain_mm_per_mv: float | None = None
    probability: float = 0.0


@dataclass(frozen=True)
class Line:
    """A line as read: its text, in small letters, and each letter's probability."""

    text: str
    probabilities: tuple[float, ...]


def read_printed_scale(rectified: RectifiedPage) -> PrintedScale:
    """Read the paper speed and gain printed on a page, where that can be done for certain.

    What stands before each unit that is found is read at three sizes, and the readings must agree.
    """
    grey = rectified.print.grey
    boxes = [with_number(place.box) for place in find_units(rectified)]
    first = read_lines([line_window(grey, box) for box in boxes])
    hopeful = [i for i, line in enumerate(first) if any(stated(line).values())]
    again = [
        read_lines([line_window(grey, boxes[i], share) for i in hopeful])
        for share in PARAMS.other_sizes
    ]
    return scale_of([(first[i], *(read[k] for read in again)) for k, i in enumerate(hopeful)])


def scale_of(lines: Sequence[Sequence[Line]]) -> PrintedScale:
    """The scale that lines of print state, each given by its readings.

    A value counts if two readings of a line are sure of it and none states another; where two
    lines state different values, neither is taken.
    """
    found: dict[str, dict[float, float]] = {kind: {} for kind in KINDS}
    for readings in lines:
        statements = [stated(line) for line in readings]
        for kind in KINDS:
            said = [statement[kind] for statement in statements if statement[kind]]
            values = {value for one in said for value in one}
            sure = [one for one in said if max(one.values()) >= PARAMS.sure]
            if len(values) == 1 and len(sure) >= PARAMS.agreeing:
                value = values.pop()
                probability = sum(one[value] for one in said) / len(readings)
                found[kind][value] = max(probability, found[kind].get(value, 0.0))
    one = {kind: next(iter(values)) for kind, values in found.items() if len(values) == 1}
    return PrintedScale(
        one.get("speed"),
        one.get("gain"),
        one.get("chest"),
        min((found[kind][value] for kind, value in one.items()), default=0.0),
    )


def stated(line: Line) -> dict[str, dict[float, float]]:
    """Values that a line states, by `KINDS`, each with its probability, however small."""
    found: dict[str, dict[float, float]] = {kind: {} for kind in KINDS}
    for match in SPEED.finditer(line.text):
        _note(found["speed"], match, line, BELIEVED_SPEEDS_MM_PER_S)
    for match in GAIN.finditer(line.text):
        kind = _kind_of_gain(line.text[: match.start()])
        if kind is not None:
            _note(found[kind], match, line, GAINS_MM_PER_MV)
    for match in BOTH_GAINS.finditer(line.text):
        if all(float(value) in GAINS_MM_PER_MV for value in match.groups()):
            _note(found["gain"], match, line, GAINS_MM_PER_MV)
            _note(found["chest"], match, line, GAINS_MM_PER_MV, 2)
    return found


def _kind_of_gain(before: str) -> str | None:
    """Whose gain a number is, from what stands before it; None where that is a strange word."""
    word = WORD_BEFORE.search(before)
    if word is None:
        return "gain"
    name, colon = word.groups()
    if name in CHEST_WORDS:
        return "chest"
    known = name in GAIN_WORDS or (len(name) < 3 and not colon)
    return "gain" if known else None


def _note(
    values: dict[float, float],
    match: re.Match[str],
    line: Line,
    allowed: tuple[float, ...],
    group: int = 1,
) -> None:
    value = float(match.group(group))
    if value in allowed:
        sure = float(np.prod(line.probabilities[match.start() : match.end()]))
        values[value] = max(sure, values.get(value, 0.0))


def with_number(unit: Box) -> Box:
    """Where a unit's number stands, too, and what may be said before it: "Chest: 10 mm/mV"."""
    x0, y0, x1, y1 = unit
    before, after = PARAMS.beside_unit
    return x0 - before * (y1 - y0), y0, x1 + after * (y1 - y0), y1


def line_window(grey: Pixels, box: Box, share: float = PARAMS.line_of_letter) -> Pixels:
    """A line (24, n) uint8 with a margin all around; beyond the page the edge is repeated."""
    import cv2

    x0, y0, x1, y1 = box
    tall = max(share * (y1 - y0), PARAMS.least_line_px)
    wide = (x1 - x0) + PARAMS.margin * (y1 - y0)
    high, long = round(tall), round(wide)
    rows = np.clip(np.arange(high) + round((y0 + y1 - high) / 2), 0, grey.shape[0] - 1)
    columns = np.clip(np.arange(long) + round((x0 + x1 - long) / 2), 0, grey.shape[1] - 1)
    width = int(np.clip(round(long * LINE_PX / high), LINE_PX, PARAMS.longest_px))
    how = cv2.INTER_AREA if high > LINE_PX else cv2.INTER_LINEAR
    part = np.ascontiguousarray(grey[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    if part.shape != (high, long):
        part = grey[rows[:, None], columns[None, :]]
    return np.asarray(cv2.resize(part, (width, LINE_PX), interpolation=how), np.uint8)


def read_lines(windows: Sequence[Pixels]) -> list[Line]:
    """Read lines (24, n) uint8 grey, dark on light; those of like length are read together."""
    net = _reader()
    order = sorted(range(len(windows)), key=lambda i: windows[i].shape[1])
    lines = [Line("", ())] * len(windows)
    for first in range(0, len(order), BATCH):
        chosen = order[first : first + BATCH]
        longest = max(windows[i].shape[1] for i in chosen)
        batch = np.zeros((len(chosen), 1, LINE_PX, longest), np.float32)
        for place, i in enumerate(chosen):
            batch[place, 0, :, : windows[i].shape[1]] = scaled(windows[i][None])[0]
        found = net(batch)
        for place, i in enumerate(chosen):
            lines[i] = decode(found[place, :, : windows[i].shape[1] // STEP_PX])
    return lines


def decode(probabilities: FloatArray) -> Line:
    """The likeliest letters of (42, steps) probabilities, runs of one letter taken as one.

    A letter is as sure as the surest step of its run; a doubtful gap beside it counts against it.
    """
    best = probabilities.argmax(axis=0)
    top = probabilities.max(axis=0)
    letters: list[str] = []
    sure: list[float] = []
    doubt, last = 1.0, 0
    for symbol, probability in zip(best.tolist(), top.tolist(), strict=True):
        if symbol == 0:
            doubt = min(doubt, probability)
        elif symbol == last:
            sure[-1] = max(sure[-1], probability)
        else:
            letters.append(SYMBOLS[symbol - 1])
            sure.append(probability)
            if len(sure) > 1 and doubt < PARAMS.gap_doubt:
                sure[-1] = min(sure[-1], doubt)
            doubt = 1.0
        last = symbol
    return Line("".join(letters), tuple(sure))


@lru_cache(maxsize=1)
def _reader() -> networks.Network:
    return networks.Network(WEIGHTS)
