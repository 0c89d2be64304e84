"""What each stage of the digitizer hands to the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from ecg4u.messages import Message
from ecg4u.record import CHEST_LEADS, LEADS

Grade = Literal["good", "fair", "poor", "missing"]
NamedBy = Literal["label", "layout", "physiology", "user"]
FloatArray = npt.NDArray[np.float32]


def told(value: float) -> float:
    """With the digits that do not depend on the number of threads: as it is written to files."""
    return float(f"{value:.6g}")


@dataclass(frozen=True, eq=False)
class InkMap:
    """How likely each rectified pixel is of one kind of ink; (H, W) float32, 0..1.

    ``separator`` is print that runs straight: separators between leads, frames, rules.
    ``look`` (7, H / 2, W / 2) is what the row network sees, None where no network is installed.
    """

    trace: FloatArray
    text: FloatArray
    pulse: FloatArray
    separator: FloatArray
    look: FloatArray | None = None

    def between(self, x0: int, x1: int) -> InkMap:
        """The map of the columns of pixels from ``x0`` to before ``x1``."""
        parts = self.trace, self.text, self.pulse, self.separator
        trace, text, pulse, separator = (part[:, x0:x1] for part in parts)
        look = None if self.look is None else self.look[..., x0 // 2 : x1 // 2]
        return InkMap(trace, text, pulse, separator, look)


@dataclass(frozen=True)
class Label:
    """A lead name read on the page: the name, its probability and its box in rectified px."""

    name: str
    probability: float
    box: tuple[float, float, float, float]
    """x0, y0, x1, y1."""

    @property
    def centre(self) -> tuple[float, float]:
        """Middle of the box (x, y)."""
        return (self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2


@dataclass(frozen=True)
class RowSegment:
    """One lead's stretch of a row, in rectified px; ``inverted`` if it is drawn upside down."""

    lead: str
    row: int
    x0: float
    x1: float
    start_s: float
    named_by: NamedBy
    probability: float
    rhythm: bool = False
    inverted: bool = False

    @property
    def sign(self) -> float:
        """-1 where the lead is drawn upside down, else 1."""
        return -1.0 if self.inverted else 1.0


@dataclass(frozen=True)
class Layout:
    """Which lead stands where.

    ``doubts`` are warnings that a name may be wrong, ``warnings`` all others; ``log_odds`` is how
    well the arrangement explains the names that were read.
    """

    name: str
    segments: tuple[RowSegment, ...]
    confidence: float
    warnings: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    log_odds: float = 0.0

    @property
    def shows_all(self) -> bool:
        """Whether all twelve leads are there."""
        return len({segment.lead for segment in self.segments}) == len(LEADS)

    @property
    def column_starts(self) -> tuple[float, ...]:
        """Where the columns of leads begin (px), left to right."""
        starts: dict[int, float] = {}
        for segment in self.segments:
            if not segment.rhythm:
                second = round(segment.start_s)
                starts[second] = min(segment.x0, starts.get(second, segment.x0))
        return tuple(sorted(starts.values()))


USUAL_GAIN_MM_PER_MV, USUAL_SPEED_MM_PER_S = 10.0, 25.0


@dataclass(frozen=True)
class Calibration:
    """Scale of the signals and where it comes from.

    ``gain_from`` / ``speed_from`` is ``"pulse"``, ``"text"``, ``"layout"``, ``"user"`` or
    ``"assumed"``. ``chest_gain_mm_per_mv`` (and where it comes from) is that of V1 to V6 where it
    differs from the limb leads'; use `gain_for`. ``doubts`` are warnings that gain or speed may
    be wrong, ``warnings`` all others.
    """

    gain_mm_per_mv: float = 10.0
    speed_mm_per_s: float = USUAL_SPEED_MM_PER_S
    gain_from: str = "assumed"
    speed_from: str = "assumed"
    pulse_height_mm: float | None = None
    pulse_width_mm: float | None = None
    warnings: tuple[Message, ...] = ()
    chest_gain_mm_per_mv: float | None = None
    chest_gain_from: str | None = None
    doubts: tuple[Message, ...] = ()

    def gain_for(self, lead: str) -> float:
        """Gain of a lead in mm/mV."""
        chest = self.chest_gain_mm_per_mv
        return chest if chest is not None and lead in CHEST_LEADS else self.gain_mm_per_mv

    def gain_from_for(self, lead: str) -> str:
        """Where the gain of a lead comes from."""
        chest = self.chest_gain_from if self.chest_gain_mm_per_mv is not None else None
        return chest if chest is not None and lead in CHEST_LEADS else self.gain_from


@dataclass(frozen=True, eq=False)
class Trace:
    """One extracted segment.

    ``xy`` is the polyline on the rectified page and ``xy_source`` on the original image, both
    (n, 2) in px with NaN where nothing was found; ``signal`` is (m,) in mV at 500 Hz starting
    ``start_s`` into the page; ``confidence`` is (m,) in [0, 1]. ``misread`` is the probability that
    its signal-to-noise ratio is below 12 dB.
    """

    lead: str
    row: int
    start_s: float
    rhythm: bool
    named_by: NamedBy
    xy: npt.NDArray[np.float64]
    xy_source: npt.NDArray[np.float64]
    signal: npt.NDArray[np.float64]
    confidence: npt.NDArray[np.float64]
    grade: Grade
    reasons: tuple[Message, ...] = ()
    misread: float = 0.0
