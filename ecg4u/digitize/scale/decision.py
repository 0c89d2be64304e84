"""What a millimetre is, decided once from all that a page shows of it.

The grid's lines leave open whether they are 1 mm apart, or 0.5, or 5; how long the rows are, how
high and wide the pulses, how far apart and how wide the beats, what speed and gain are printed,
and how large pages are, close the question together. Each says how likely a reading is; the
product decides (Bayes' rule), and says how sure the answer is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ecg4u.digitize.page.rectified import ScaleRival
from ecg4u.digitize.scale.beats import Beats
from ecg4u.messages import message

SPEED_PRIOR = {25.0: 0.95, 50.0: 0.045, 12.5: 0.0025, 100.0: 0.0025}
GAIN_PRIOR = {10.0: 0.93, 5.0: 0.03, 20.0: 0.03, 2.5: 0.005, 40.0: 0.005}
"""How often paper speeds (mm/s) and gains (mm/mV) are met; estimates, by the pages in hand."""
ROW_S = ((10.0, 0.75), (5.0, 0.05), (2.5, 0.03))
"""How long rows last in s, and how often; other lengths share the rest."""
ROW_SPREAD = 0.05
"""Of the natural log of a row's length: ends are misread by some millimetres; by eye."""
PULSE_S, PULSE_WIDTH_SHARE = 0.2, 0.6
"""Pulses last 0.2 s by convention, but many machines draw them narrower."""
PULSE_SPREAD = 0.06
"""Of the natural log of a pulse's height or width: a pen's width on 10 mm; by eye."""
ODD_SHARE, ODD_ON_LINES = 0.02, 0.3
"""Of pulses that are no pulses, and of those along lines of the grid, or that one row alone shows:
a trace that was followed along the edges of a square looks alike; by eye. The first also of rows
not found whole."""
PRINTED_SHARE = 0.98
"""Of printed values that are read, those that are right: 528 of 531 on drawn lines at a single
reading (``weights/printed.json``), 65 of 65 on 40 drawn pages at three, less what real
print does."""
OCTAVES = float(np.log(50.0))
"""Range (natural log) over which what is of no usual size may be spread."""
ANY_STEP = 0.02
"""Steps of the natural log in which that range is walked: less than half of any spread here."""
FALSE_GRID, ILL_FITTING = 0.003, 0.2
"""Probability that what was taken for a grid is none, where a mesh fits it and where none does:
regular beats in evenly spaced rows make a lattice, too; by eye."""
CERTAIN, CERTAIN_GAIN = 0.95, 0.9
"""Probability from which a scale is taken as known, and the usual gain where nothing states it:
93 % of pages have it."""


@dataclass(frozen=True)
class Shown:
    """What a page shows of its scale, in millimetres of the page as it was rectified.

    Parameters
    ----------
    row_mm : float or None
        How long a row of leads is.
    pulses_mm : sequence of (height, width)
    speed_mm_per_s, gain_mm_per_mv : float or None
        As printed or given.
    beats : Beats or None
    odd_share : float
        How likely the pulses are none.
    """

    row_mm: float | None
    pulses_mm: Sequence[tuple[float, float]] = ()
    speed_mm_per_s: float | None = None
    gain_mm_per_mv: float | None = None
    beats: Beats | None = None
    odd_share: float = ODD_SHARE


@dataclass(frozen=True)
class Verdict:
    """The likeliest reading: None for the page as rectified, and its probability.

    ``no_grid`` is the probability that there is no grid at all: what the page shows fits another
    scale far better than any reading.
    """

    rival: ScaleRival | None
    probability: float
    no_grid: float = 0.0

    @property
    def doubts(self) -> tuple[str, ...]:
        """A warning where the scale is not certain."""
        if self.probability >= CERTAIN:
            return ()
        return (message("scale_uncertain", probability=self.probability),)


def decide_scale(shown: Shown, rivals: Sequence[ScaleRival], *, false_grid: float = 0.0) -> Verdict:
    """Whether the page as rectified or one of its rivals fits best what the page shows.

    ``false_grid`` is how likely what was taken for its grid is none, before anything is shown.
    """
    readings: list[ScaleRival | None] = [None, *rivals]
    log_odds = np.array(
        [
            (0.0 if rival is None else rival.log_odds)
            + log_likelihood(shown, 1.0 if rival is None else rival.factor)
            for rival in readings
        ]
    )
    best = int(np.argmax(log_odds))
    other = -np.inf
    if false_grid:
        other = float(np.log(false_grid)) + _log_likelihood_of_any(shown)
    all_of_them = np.logaddexp.reduce([*log_odds, other])
    probability, no_grid = (float(np.exp(v - all_of_them)) for v in (log_odds[best], other))
    return Verdict(readings[best], probability, no_grid)


def _log_likelihood_of_any(shown: Shown) -> float:
    """Of what a page shows, if its millimetre may be of any size."""
    factors = np.arange(-0.5 * OCTAVES, 0.5 * OCTAVES, ANY_STEP)
    likely = [log_likelihood(shown, float(factor)) for factor in np.exp(factors)]
    return float(np.logaddexp.reduce(likely) - np.log(len(likely)))


def likely_speed(shown: Shown) -> tuple[float, float]:
    """The likeliest paper speed in mm/s of a page of known scale, and its probability."""
    speeds = _prior(SPEED_PRIOR, shown.speed_mm_per_s)
    likely = {speed: p * _along(shown, 1.0, speed) for speed, p in speeds.items()}
    return _likeliest(likely)


def likely_gain(shown: Shown) -> tuple[float, float]:
    """The likeliest gain in mm/mV of a page of known scale, and its probability."""
    gains = _prior(GAIN_PRIOR, shown.gain_mm_per_mv)
    likely = {gain: p * _up(shown, 1.0, gain) for gain, p in gains.items()}
    return _likeliest(likely)


def _likeliest(likely: dict[float, float]) -> tuple[float, float]:
    """The likeliest value, and its share of all."""
    best = max(likely, key=lambda value: likely[value])
    return best, likely[best] / sum(likely.values())


def log_likelihood(shown: Shown, factor: float) -> float:
    """Of what a page shows, if one of its millimetres is really ``factor`` of them."""
    speeds = _prior(SPEED_PRIOR, shown.speed_mm_per_s)
    gains = _prior(GAIN_PRIOR, shown.gain_mm_per_mv)
    along = sum(p * _along(shown, factor, speed) for speed, p in speeds.items())
    up = sum(p * _up(shown, factor, gain) for gain, p in gains.items())
    return float(np.log(along) + np.log(up))


def _prior(usual: dict[float, float], printed: float | None) -> dict[float, float]:
    """How likely each value is, given what is printed."""
    if printed is None:
        return usual
    return {printed: PRINTED_SHARE} | {
        value: (1 - PRINTED_SHARE) * p for value, p in usual.items() if value != printed
    }


def _along(shown: Shown, factor: float, speed: float) -> float:
    """How likely the beats, the rows' length and the pulses' width are at a paper speed."""
    likely = 1.0 if shown.beats is None else shown.beats.likelihood(speed / factor)
    if shown.row_mm is not None:
        seconds = shown.row_mm * factor / speed
        usual = sum(share * _bell(np.log(seconds / s), ROW_SPREAD) for s, share in ROW_S)
        rest = 1.0 - sum(share for _, share in ROW_S)
        likely *= usual + rest / OCTAVES
    widths = [width * factor for _, width in shown.pulses_mm if np.isfinite(width)]
    share = PULSE_WIDTH_SHARE
    return likely * _median_of(
        [
            share * _bell(np.log(width / (speed * PULSE_S)), PULSE_SPREAD) + (1 - share) / OCTAVES
            for width in widths
        ]
    )


def _up(shown: Shown, factor: float, gain: float) -> float:
    """How likely the beats' and the pulses' height are at a gain."""
    likely = 1.0 if shown.beats is None else shown.beats.likelihood_of_height(gain / factor)
    heights = [height * factor for height, _ in shown.pulses_mm]
    return likely * _median_of([_near(height, gain, shown.odd_share) for height in heights])


def _near(height_mm: float, gain_mm_per_mv: float, odd: float) -> float:
    """How likely a pulse of this height is at a gain, if such a share of pulses are none."""
    bell = _bell(np.log(height_mm / gain_mm_per_mv), PULSE_SPREAD)
    return (1 - odd) * bell + odd / OCTAVES


def _median_of(likely: Sequence[float]) -> float:
    """The pulses of a page are one measurement: they are drawn and misread alike."""
    return float(np.median(likely)) if len(likely) else 1.0


def _bell(off: float, spread: float) -> float:
    return float(np.exp(-0.5 * (off / spread) ** 2) / (spread * np.sqrt(2 * np.pi)))
