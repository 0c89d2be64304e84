"""Kinds of page that are met in practice and are hard to read, each with its switch and its share.

`some_kinds` draws a page's kinds; `styled`, `recorded`, `worn` and `sensed` add them to its look,
its recording, its wear and its sensor. A page may be of several kinds at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from itertools import pairwise
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from ecg4u.paper.sensor import Sensor
from ecg4u.paper.style import (
    FONTS,
    Colour,
    Note,
    PageStyle,
    PulseRows,
    PulseShape,
    Rule,
    Separators,
)
from ecg4u.paper.surface import Wear
from training.looks import WORDS

Signal = npt.NDArray[np.float64]
Style = Callable[[PageStyle, np.random.Generator], PageStyle]

KINDS: Mapping[str, float] = MappingProxyType(
    {
        "separators": 0.45,
        "pulses": 0.40,
        "rules": 0.30,
        "words": 0.25,
        "fast pen": 0.25,
        "dot head": 0.15,
        "half-mm dots": 0.08,
        "dark grid": 0.08,
        "colours": 0.12,
        "watermark": 0.03,
        "tall QRS": 0.10,
        "pacing": 0.06,
        "muscle": 0.08,
        "dark creases": 0.10,
        "highlighter": 0.06,
        "handwriting": 0.06,
        "hard JPEG": 0.15,
        "screenshot": 0.10,
        "moire": 0.04,
    }
)
"""Each kind's share of the pages."""
SPIKE_MV = (0.3, 2.5)
REFRACTORY_S = 0.5
SINGLE_COLOURS: tuple[Colour, ...] = (
    (200, 30, 30),
    (30, 40, 190),
    (20, 110, 60),
    (110, 40, 130),
    (70, 70, 200),
    (90, 90, 90),
    (150, 60, 20),
)


def some_kinds(rng: np.random.Generator, shares: Mapping[str, float] = KINDS) -> frozenset[str]:
    """The kinds of one page: each with its own share."""
    return frozenset(kind for kind, share in shares.items() if rng.random() < share)


def styled(style: PageStyle, kinds: Collection[str], rng: np.random.Generator) -> PageStyle:
    """The look with its kinds added, in the order of `KINDS`."""
    for kind in KINDS:
        if kind in kinds and kind in _STYLES:
            style = _STYLES[kind](style, rng)
    return style


def _separators(style: PageStyle, rng: np.random.Generator) -> PageStyle:
    kinds: tuple[Separators, ...] = ("full", "outer", "ticks", "tall", "dotted", "double", "bar")
    kind = kinds[int(rng.choice(7, p=(0.32, 0.2, 0.16, 0.08, 0.1, 0.07, 0.07)))]
    reach = {"full": (0.5, 9.0), "outer": (1.0, 4.0), "dotted": (1.0, 1.0)}.get(kind, (1.0, 6.0))
    gap = (0.5, 1.2) if kind == "dotted" else (0.3, 4.0)
    thin = rng.random() < 0.5
    return replace(
        style,
        separators=kind,
        separator_reach=float(rng.uniform(*reach)),
        separator_gap=float(rng.uniform(*gap)),
        separator_width=float(rng.uniform(0.1, 0.3) if thin else rng.uniform(0.3, 0.8)),
        separator_ends=bool(rng.random() < 0.25),
        column_gap=0.0 if rng.random() < 0.7 else style.column_gap,
    )


def _pulses(style: PageStyle, rng: np.random.Generator) -> PageStyle:
    sides = ("left", "right", "both", "columns")
    shapes: tuple[PulseShape, ...] = ("box", "droop", "stairs")
    rows: tuple[PulseRows, ...] = ("every", "first", "last")
    left, top, right, bottom = style.margin
    if rng.random() < 0.2:
        left, right = float(rng.uniform(-7, 1)), float(rng.uniform(-7, 1))
    return replace(
        style,
        pulse=sides[int(rng.choice(4, p=(0.45, 0.25, 0.1, 0.2)))],  # type: ignore[arg-type]
        pulse_shape=shapes[int(rng.choice(3, p=(0.7, 0.15, 0.15)))],
        pulse_rows=rows[int(rng.choice(3, p=(0.75, 0.18, 0.07)))],
        pulse_s=0.2 if rng.random() < 0.5 else float(rng.uniform(0.06, 0.22)),
        pulse_foot=float(rng.uniform(0.0, 2.5)) if rng.random() < 0.7 else 0.0,
        pulse_lift=float(rng.uniform(-3, 3)) if rng.random() < 0.25 else 0.0,
        pulse_joined=bool(rng.random() < 0.3),
        margin=(left, top, right, bottom),
    )


def _rules(style: PageStyle, rng: np.random.Generator) -> PageStyle:
    left, top, _, _ = style.margin
    far = max(60.0, left) + 250.0
    width = float(rng.uniform(0.12, 0.8))
    rules: list[Rule] = []
    if rng.random() < 0.6:
        y, x0, x1 = (
            float(rng.uniform(2, top)),
            float(rng.uniform(0, 15)),
            far * rng.uniform(0.5, 1.2),
        )
        rules.append(Rule(x0, y, float(x1), y, width))
        if rng.random() < 0.4:
            rules.append(Rule(x0, y + 1.0, float(x1), y + 1.0, width / 2))
    if rng.random() < 0.45:
        x, y = float(rng.uniform(0.5, max(1.0, left))), float(rng.uniform(0.5, top))
        rules += _box(
            x, y, far + float(rng.uniform(-20, 15)), y + float(rng.uniform(60, 190)), width
        )
    for _ in range(int(rng.integers(0, 4))):
        x, y = (float(v) for v in rng.uniform((0, 0), (far, 180)))
        size = rng.uniform((6, 4), (60, 25))
        rules += _box(x, y, x + float(size[0]), y + float(size[1]), width)
    if rng.random() < 0.25:
        y = top + style.row_pitch * float(rng.integers(0, 5)) + float(rng.normal(0, 2))
        rules.append(Rule(0.0, y, far * 1.2, y, width))
    if rng.random() < 0.25:
        y, step = float(rng.uniform(1, 180)), float(rng.choice((5.0, 12.5, 25.0)))
        tall = float(rng.uniform(0.8, 3))
        rules += [Rule(x, y, x, y + tall, width) for x in np.arange(left, far, step).tolist()]
    return replace(style, rules=tuple(rules))


def _box(x0: float, y0: float, x1: float, y1: float, width: float) -> list[Rule]:
    corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)]
    return [Rule(*a, *b, width) for a, b in pairwise(corners)]


def _words(style: PageStyle, rng: np.random.Generator) -> PageStyle:
    """Lines of print beside and over the rows."""
    font = FONTS[int(rng.integers(len(FONTS)))]
    notes = list(style.notes)
    for _ in range(int(rng.integers(1, 5))):
        height = float(rng.uniform(1.2, 4.0))
        x, y = (float(v) for v in rng.uniform((0, 5), (230, 180)))
        for line in range(int(rng.integers(1, 5))):
            words = "  ".join(str(w) for w in rng.choice(WORDS, int(rng.integers(1, 4))))
            notes.append(Note(words, x, y + 1.5 * height * line, height, font))
    return replace(style, notes=tuple(notes))


def _fast_pen(style: PageStyle, rng: np.random.Generator) -> PageStyle:
    return replace(
        style,
        speed_fade=float(rng.uniform(0.15, 0.6)),
        trace_width=min(style.trace_width, float(rng.uniform(0.12, 0.4))),
    )


def _dot_head(style: PageStyle, rng: np.random.Generator) -> PageStyle:
    pitch = float(rng.choice((0.125, 0.167, 0.25)))
    return replace(style, head_pitch=pitch, dot_depth=float(rng.uniform(0, 0.7)))


def _half_mm_dots(style: PageStyle, rng: np.random.Generator) -> PageStyle:
    pale = float(rng.uniform(0.3, 1.0))
    red, grey = rng.uniform(90, 230), rng.uniform(60, 200)
    dark = np.array((red, *rng.uniform(20, 120, 2))) if rng.random() < 0.7 else np.full(3, grey)
    coarse = _blend(dark, style.paper, pale)
    return replace(
        style,
        grid="dots",
        dot_step=0.5 if rng.random() < 0.6 else 1.0,
        coarse_dotted=bool(rng.random() < 0.8),
        coarse_colour=coarse,
        fine_colour=_blend(dark, style.paper, pale * float(rng.uniform(0.2, 0.9))),
        coarse_width=float(rng.uniform(0.08, 0.2)),
        fine_width=float(rng.uniform(0.05, 0.12)),
    )


def _blend(colour: npt.ArrayLike, paper: Colour, share: float) -> Colour:
    mixed = np.round(np.asarray(colour) * share + np.array(paper) * (1 - share)).astype(int)
    return int(mixed[0]), int(mixed[1]), int(mixed[2])


def _dark_grid(style: PageStyle, rng: np.random.Generator) -> PageStyle:
    """5 mm lines as dark as the trace, the fine ones nearly so, paler or not there."""
    share = float(rng.uniform(0.75, 1.0))
    grids = ("1mm", "5mm", "dotted")
    return replace(
        style,
        grid=grids[int(rng.integers(3))],  # type: ignore[arg-type]
        coarse_colour=_blend(style.trace_colour, style.paper, share),
        fine_colour=_blend(style.trace_colour, style.paper, share * float(rng.uniform(0.2, 0.9))),
        coarse_width=float(rng.uniform(0.12, 0.35)),
        fine_width=float(rng.uniform(0.06, 0.12)),
    )


def _colours(style: PageStyle, rng: np.random.Generator) -> PageStyle:
    def one() -> Colour:
        return SINGLE_COLOURS[int(rng.integers(len(SINGLE_COLOURS)))]

    return replace(
        style,
        trace_colour=one() if rng.random() < 0.6 else style.trace_colour,
        second_colour=one() if rng.random() < 0.25 else None,
        pulse_colour=one() if rng.random() < 0.4 else None,
        text_colour=one() if rng.random() < 0.4 else None,
        separator_colour=one() if rng.random() < 0.4 else None,
    )


def _watermark(style: PageStyle, rng: np.random.Generator) -> PageStyle:
    return replace(style, watermark=str(rng.choice(("COPY", "SAMPLE", "ECG", "Hospital"))))


_STYLES: Mapping[str, Style] = MappingProxyType(
    {
        "separators": _separators,
        "pulses": _pulses,
        "rules": _rules,
        "words": _words,
        "fast pen": _fast_pen,
        "dot head": _dot_head,
        "half-mm dots": _half_mm_dots,
        "dark grid": _dark_grid,
        "colours": _colours,
        "watermark": _watermark,
    }
)


def recorded(signal: Signal, fs: float, kinds: Collection[str], rng: np.random.Generator) -> Signal:
    """The recording, (samples, leads) mV, with what its kinds add."""
    if "tall QRS" in kinds:
        spread = np.nanmax(np.abs(signal - np.nanmedian(signal, axis=0)))
        signal = signal * max(1.0, float(rng.uniform(2.0, 4.5)) / max(float(spread), 0.2))
    if "muscle" in kinds:
        signal = signal + _muscle(signal.shape, fs, rng)
    return _paced(signal, fs, rng) if "pacing" in kinds else signal


def _muscle(shape: tuple[int, ...], fs: float, rng: np.random.Generator) -> Signal:
    """Noise of 20 Hz and more that swells and ebbs."""
    noise = rng.normal(0, 1, shape)
    lag = max(1, round(fs / 40))
    noise[lag:] = (noise[lag:] - noise[:-lag]) / np.sqrt(2)
    swell = np.sin(2 * np.pi * rng.uniform(0.1, 0.6) * np.arange(shape[0]) / fs) ** 2
    return np.asarray(noise * swell[:, None] * rng.uniform(0.03, 0.2))


def _paced(signal: Signal, fs: float, rng: np.random.Generator) -> Signal:
    """A pacing spike of about 2 ms before each beat, of another height in each lead."""
    steep = np.abs(np.diff(signal, axis=0)).sum(axis=1)
    limit = np.nanpercentile(steep, 98)
    steps = np.flatnonzero(steep > limit)
    beats = steps[np.diff(steps, prepend=-np.inf) > REFRACTORY_S * fs].tolist()
    out = signal.copy()
    tall = rng.uniform(*SPIKE_MV, signal.shape[1]) * rng.choice((-1, 1), signal.shape[1])
    width = max(1, round(0.003 * fs))
    for beat in beats:
        at = max(0, beat - round(rng.uniform(0.01, 0.05) * fs))
        out[at : at + width] += tall
    return out


def worn(wear: Wear, kinds: Collection[str], rng: np.random.Generator) -> Wear:
    """The wear with what the page's kinds add."""
    if "dark creases" in kinds:
        wear = replace(wear, dark_creases=int(rng.integers(1, 7)))
    if "highlighter" in kinds:
        wear = replace(wear, highlights=int(rng.integers(1, 6)))
    if "handwriting" in kinds:
        wear = replace(wear, scribbles=int(rng.integers(3, 14)))
    return wear


def sensed(sensor: Sensor, kinds: Collection[str], rng: np.random.Generator) -> Sensor:
    """The sensor with what the page's kinds ask of it."""
    if "moire" in kinds:
        period, depth = float(rng.uniform(2.1, 6.0)), float(rng.uniform(0.05, 0.35))
        sensor = replace(sensor, screen_period=period, screen_depth=depth)
    if "screenshot" in kinds:
        sensor = replace(
            sensor,
            blur=0.0,
            motion=0.0,
            noise=0.0,
            chroma_noise=0.0,
            levels=int(rng.integers(3, 24)),
            jpeg=int(rng.integers(50, 96)) if rng.random() < 0.6 else 0,
        )
    if "hard JPEG" in kinds:
        sensor = replace(sensor, jpeg=int(rng.integers(25, 71)))
    return sensor
