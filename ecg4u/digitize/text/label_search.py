"""Names printed over traces, found where names must stand.

A name that touches a trace or a separator is no component of its own, and on some pages that is
true of most names. Yet on one page names are printed in one size and at one distance from where
their traces begin: once rows are known, the reader looks for the one place and size at which many
of the expected places show a name.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ecg4u.digitize.text.names import PARAMS as NAMES
from ecg4u.digitize.text.names import (
    Box,
    Pixels,
    probabilities,
    sure_names,
    window,
)
from ecg4u.digitize.types import FloatArray, Label
from ecg4u.record import LEADS


@dataclass(frozen=True)
class Params:
    """Numbers of the search for names over traces.

    Lengths in mm are on paper; the steps are about a third of a letter, which the reader bears.
    Probabilities are the reader's. Chosen by eye, if no source is given.
    """

    enough: int = 6
    """Sure names with which a layout is decided well, and nothing is searched."""
    columns: int = 4
    """Places along each row at which a name may begin: 3x4 has all, 6x2 every second, 12x1 one."""
    left_mm: float = -3.0
    right_mm: float = 14.0
    """From the beginning of a trace to the middle of its name."""
    above_mm: float = -11.0
    below_mm: float = 11.0
    """From the height of a row to the middle of its name."""
    step_mm: float = 1.0
    """Between places tried."""
    heights_mm: tuple[float, ...] = (2.2, 3.1, 4.3)
    """Letters tried first; each 1.4 times the one before, with `finer_heights` between them."""
    finer_heights: tuple[float, ...] = (0.85, 1.0, 1.15)
    finer_shifts_mm: tuple[float, ...] = (-0.8, 0.0, 0.8)
    """Around the place found: shares of its height, and how far off."""
    near_mm: float = 1.2
    """Names of one page stand at places no further apart: just over one step."""
    most_probes: int = 6
    """Spots at which the place is looked for; bounds the time (each costs 1,242 windows)."""
    many_rows: int = 7
    """With more rows than this a page has one column."""
    least_read: int = 4
    """Sure names to find, or nothing found is believed."""
    least_gain: float = 0.5
    """Log-odds from which a reading votes for its place."""
    votes: float = 1 / 3
    """Share of the spots that must show different names at the place."""
    chance: float = 0.03
    """Added to a probability before its logarithm: about how often the reader invents a name where
    none is (0.02 to 0.033 of the boxes, ``weights/names.json``)."""
    least: float = 0.5
    """Least probability of a name that is kept."""


PARAMS = Params()
_I, _STROKES, _CHEST, _AUGMENTED = NAMES.word_widths
WIDTHS = dict(
    zip(
        LEADS,
        [_I] + [_STROKES] * 2 + [_AUGMENTED] * 3 + [_CHEST] * 6,
        strict=True,
    )
)


@dataclass(frozen=True)
class _Place:
    """Where names stand against the beginnings of their traces: px, and how tall they are."""

    left: float
    down: float
    tall: float


@dataclass(frozen=True)
class _Reading:
    """A name read at a spot (place in the list of spots), its place, and what it counts for."""

    spot: int
    name: str
    probability: float
    place: _Place


def search_labels(
    grey: Pixels,
    labels: Sequence[Label],
    baselines: Sequence[float],
    span: tuple[float, float],
    px_per_mm: float,
) -> tuple[Label, ...]:
    """``labels``, and where they are few, those that stand over traces.

    Only the twelve are searched for: where another was read, as V3R, its beginning is none of them.

    Parameters
    ----------
    grey : (H, W) uint8, that of `PrintOnPage`
    labels : names that stand by themselves
    baselines : heights of the rows, px
    span : where the rows begin and end, px
    px_per_mm : float
        Scale of the page.
    """
    if len(sure_names(labels)) >= PARAMS.enough or not baselines:
        return tuple(labels)
    starts = span[0] + (span[1] - span[0]) / PARAMS.columns * np.arange(PARAMS.columns)
    spots = [(float(x), float(y)) for y in baselines for x in starts]
    place = _usual_place(grey, _probes(spots, len(baselines)), px_per_mm)
    if place is None:
        return tuple(labels)
    found = [
        Label(r.name, r.probability, _box(spots[r.spot], r.place, r.name))
        for r in _best_of_each(_readings(grey, spots, _finer(place, px_per_mm)))
        if r.probability >= PARAMS.least
    ]
    others = [
        label for label in labels if label.name not in LEADS and label.probability > NAMES.sure
    ]
    found = [label for label in found if not any(_beside(other, label) for other in others)]
    if len(sure_names(found)) < PARAMS.least_read:
        return tuple(labels)
    lone = [label for label in labels if not any(_beside(label, other) for other in found)]
    return tuple(sorted((*lone, *found), key=lambda label: (label.box[1], label.box[0])))


def _probes(spots: list[tuple[float, float]], rows: int) -> list[tuple[float, float]]:
    """A few spots at which every usual layout prints a name: those of the page's halves."""
    columns = (0,) if rows > PARAMS.many_rows else (0, PARAMS.columns // 2)
    n = min(rows, PARAMS.most_probes // len(columns))
    chosen = np.unique(np.linspace(0, rows - 1, n).round().astype(int))
    return [spots[row * PARAMS.columns + column] for row in chosen for column in columns]


def _usual_place(
    grey: Pixels, spots: Sequence[tuple[float, float]], px_per_mm: float
) -> _Place | None:
    """The place at which most spots show a name of their own; None if hardly any do."""
    found = _readings(grey, spots, _everywhere(px_per_mm))
    found = [reading for reading in found if _gain(reading) > PARAMS.least_gain]
    places = np.array([(r.place.left, r.place.down, r.place.tall) for r in found])
    best, place = 0.0, None
    for candidate, at in zip(found, places, strict=True):
        left, down, taller = np.abs(places - at).T
        alike = (np.maximum(left, down) <= PARAMS.near_mm * px_per_mm) & (taller == 0)
        each: dict[str, float] = {}
        for reading in _best_of_each([found[i] for i in np.flatnonzero(alike)]):
            each[reading.name] = max(each.get(reading.name, 0.0), _gain(reading))
        total = sum(each.values())
        if total > best and len(each) > PARAMS.votes * len(spots):
            best, place = total, candidate.place
    return place


def _everywhere(px_per_mm: float) -> Iterator[tuple[float, float, float]]:
    """Middles (x, y) and heights of words around a spot, px."""
    for tall in PARAMS.heights_mm:
        for down in np.arange(
            PARAMS.above_mm, PARAMS.below_mm + PARAMS.step_mm / 2, PARAMS.step_mm
        ):
            for middle in np.arange(
                PARAMS.left_mm, PARAMS.right_mm + PARAMS.step_mm / 2, PARAMS.step_mm
            ):
                yield middle * px_per_mm, down * px_per_mm, tall * px_per_mm


def _finer(place: _Place, px_per_mm: float) -> Iterator[tuple[float, float, float]]:
    """Middles and heights of words of every width near a place, px."""
    for height in PARAMS.finer_heights:
        tall = height * place.tall
        for down in PARAMS.finer_shifts_mm:
            for across in PARAMS.finer_shifts_mm:
                for wide in NAMES.word_widths:
                    middle = place.left + across * px_per_mm + wide * tall / 2
                    yield middle, place.down + down * px_per_mm, tall


def _readings(
    grey: Pixels,
    spots: Sequence[tuple[float, float]],
    around: Iterator[tuple[float, float, float]],
) -> list[_Reading]:
    """The likeliest name of every window around every spot."""
    windows = list(around)
    readings = []
    for spot, (x, y) in enumerate(spots):
        crops = [
            window(grey, (x + at, y + down - tall / 2, x + at, y + down + tall / 2))
            for at, down, tall in windows
        ]
        rows: FloatArray = probabilities(crops)[:, : len(LEADS)]
        best = rows.argmax(axis=1)
        for (at, down, tall), row, name in zip(windows, rows, best, strict=True):
            lead = LEADS[name]
            place = _Place(at - WIDTHS[lead] * tall / 2, down, tall)
            readings.append(_Reading(spot, lead, float(row[name]), place))
    return readings


def _best_of_each(readings: Sequence[_Reading]) -> list[_Reading]:
    """The surest reading at each spot."""
    best: dict[int, _Reading] = {}
    for reading in readings:
        if reading.spot not in best or reading.probability > best[reading.spot].probability:
            best[reading.spot] = reading
    return list(best.values())


def _gain(reading: _Reading) -> float:
    """Log-odds against a chance reading; a lone stroke counts for nothing."""
    if reading.name == "I":
        return 0.0
    return math.log((reading.probability + PARAMS.chance) / (1 - NAMES.sure))


def _box(spot: tuple[float, float], place: _Place, name: str) -> Box:
    left, middle = spot[0] + place.left, spot[1] + place.down
    wide = WIDTHS[name] * place.tall
    return left, middle - place.tall / 2, left + wide, middle + place.tall / 2


def _beside(label: Label, other: Label) -> bool:
    """Whether two names are of one place."""
    apart = np.abs(np.subtract(label.centre, other.centre)).max()
    return bool(apart < other.box[3] - other.box[1])
