"""Which way is up: a page on its side or upside down is turned by its names, print or pulses.

The grid looks the same from all four sides; lead names do not. I, II and III look the same upside
down, so the other nine decide, with the printed scale; where too few are read, the calibration
pulses do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ecg4u.digitize.page.rectified import RectifiedPage, direction_after, quarter_turn
from ecg4u.digitize.rectify import rectify
from ecg4u.digitize.scale.pulse_shapes import agreeing, find_plateaus
from ecg4u.digitize.text.labels import read_labels, sure_names
from ecg4u.digitize.text.printed import read_printed_scale
from ecg4u.digitize.types import FloatArray, Label
from ecg4u.io import Page
from ecg4u.options import NOTHING_KNOWN, ReadOptions

PLAINLY_UPRIGHT = 7
"""Names from which no other turn is tried; of the development pages' other turns the best had 6,
as an earlier reader of names read them."""
FEWEST = 3
PRINTED = 2
"""Names for which a printed paper speed or gain counts: each is read letter by letter."""
CLEARLY_MORE = 2
RUNS_DOWN = 0.6
"""Unevenness of the ink across the page over that along it; 0.9 is the least of any upright page
of the development set."""
LARGEST_MM2 = 120_000.0
"""Larger than 10 s of twelve rows at 50 mm/s; bounds the memory it takes to look for names."""
CELL_MM = 5.0
PULSE_INK, PULSES, ALIKE = 0.4, 2, 0.06
"""Ink from which pulses are looked for; how many must agree; the largest difference of their
heights and widths, as a share. By eye."""


def read_upright(
    page: Page, rectified: RectifiedPage, options: ReadOptions = NOTHING_KNOWN
) -> tuple[RectifiedPage, tuple[Label, ...]]:
    """The rectified page turned upright, and the lead names on it.

    A page is turned only where another side up shows clearly more names than it does as it is. It
    is then rectified anew from the turned picture, so that it reads as if given upright.
    """
    labels = read_labels(rectified)
    if evidence(labels) >= PLAINLY_UPRIGHT:
        return rectified, labels
    best, most = 0, evidence(labels) + _printed(rectified)
    for k in (2, 1, 3):
        turned = quarter_turn(rectified, k)
        found = evidence(read_labels(turned)) + _printed(turned)
        if found >= max(FEWEST, most + (CLEARLY_MORE if best == 0 else 1)):
            best, most = k, found
    if best:
        upright = rectify_turned(page, best, options)
        return upright, read_labels(upright)
    return rectified, labels


def names_decide(labels: Sequence[Label]) -> bool:
    """Whether enough names are read to tell which end is the top."""
    return evidence(labels) >= FEWEST


def turn_by_pulses(ink: FloatArray) -> int:
    """Quarter turns clockwise that set a page's pulses upright; 0 if they are already, or too few
    are seen to tell.

    ``ink`` (H, W) is that of its traces and pulses.
    """
    seen = []
    for k in range(4):
        plateaus = find_plateaus(np.ascontiguousarray(np.rot90(ink, -k)), PULSE_INK)
        seen.append(len(agreeing(plateaus, within=ALIKE)))
    best = int(np.argmax(seen))
    others = max(seen[:best] + seen[best + 1 :])
    return best if seen[best] >= max(PULSES, others + CLEARLY_MORE) else 0


def seems_on_its_side(rectified: RectifiedPage, labels: Sequence[Label]) -> bool:
    """Whether no names tell which end is the top, and the ink is gathered in columns.

    Tables and writing can look so, too.
    """
    return not names_decide(labels) and _rows_run_down(rectified)


def rectified_again(
    page: Page, rectified: RectifiedPage, reading: int, options: ReadOptions
) -> RectifiedPage:
    """A page the same side up as before, its grid's lines read as of another scale."""
    k = round(-rectified.grid.turned_deg / 90.0) % 4
    return rectify_turned(page, k, options, reading)


def rectify_turned(page: Page, k: int, options: ReadOptions, reading: int = 0) -> RectifiedPage:
    """A page rectified from its picture turned by k * 90 degrees clockwise.

    Its nodes are places of the picture as it was given. ``reading`` is that of its grid's scales.
    """
    turned = replace(page, image=np.ascontiguousarray(np.rot90(page.image, -k)))
    found = rectify(turned, options, reading=reading)
    right, bottom = page.image.shape[1] - 1.0, page.image.shape[0] - 1.0
    x, y = found.nodes[..., 0], found.nodes[..., 1]
    places = {0: (x, y), 1: (y, bottom - x), 2: (right - x, bottom - y), 3: (right - y, x)}
    grid = replace(found.grid, turned_deg=direction_after(found.grid.turned_deg, k))
    return replace(found, nodes=np.stack(places[k], -1), grid=grid)


def evidence(labels: Sequence[Label]) -> int:
    """How many different names are surely read that would read otherwise upside down."""
    return len({name for name in sure_names(labels) if set(name) != {"I"}})


def evidence_at(rectified: RectifiedPage, factor: float) -> int:
    """That of the page if one of its millimetres is really ``factor`` of them: letters are read
    only where they are about as tall as machines print them. None of a page larger than any."""
    import cv2

    height, width = rectified.image.shape[:2]
    size = max(1, round(factor * width)), max(1, round(factor * height))
    if size[0] * size[1] > LARGEST_MM2 * rectified.px_per_mm**2:
        return 0
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    image = np.asarray(cv2.resize(rectified.image, size, interpolation=how), np.uint8)
    valid = cv2.resize(rectified.valid.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    return evidence(read_labels(replace(rectified, image=image, valid=valid > 0)))


def _printed(rectified: RectifiedPage) -> int:
    """For how many names the printed scale counts: lines of print are read upright alone."""
    printed = read_printed_scale(rectified)
    return PRINTED * sum(v is not None for v in (printed.speed_mm_per_s, printed.gain_mm_per_mv))


def _rows_run_down(rectified: RectifiedPage) -> bool:
    """Whether the ink is gathered in columns, not in rows."""
    import cv2

    share = 1.0 / (CELL_MM * rectified.px_per_mm)
    marks = rectified.print.marks.astype(np.float32)
    cells = cv2.resize(marks, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
    across, along = cells.mean(axis=1).std(), cells.mean(axis=0).std()
    return bool(across < RUNS_DOWN * along)
