"""What each stage of the digitizer hands to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from ecg4u.digitize.page import RectifiedPage
    from ecg4u.io import Page
    from ecg4u.record import ECGRecord

Grade = Literal["good", "fair", "poor", "missing"]
NamedBy = Literal["label", "layout", "user"]
FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class InkMap:
    """How likely each rectified pixel is trace, text or calibration pulse; (H, W) float32, 0..1."""

    trace: FloatArray
    text: FloatArray
    pulse: FloatArray


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
    """One lead's stretch of a row, in rectified px."""

    lead: str
    row: int
    x0: float
    x1: float
    start_s: float
    named_by: NamedBy
    probability: float
    rhythm: bool = False


@dataclass(frozen=True)
class Layout:
    """Which lead stands where."""

    name: str
    segments: tuple[RowSegment, ...]
    confidence: float
    warnings: tuple[str, ...] = ()

    @property
    def n_rows(self) -> int:
        """Number of rows on the page."""
        return 1 + max((segment.row for segment in self.segments), default=-1)


@dataclass(frozen=True)
class Calibration:
    """Scale of the signals and where it comes from.

    ``gain_from`` / ``speed_from`` is ``"pulse"``, ``"text"``, ``"layout"``, ``"user"`` or
    ``"assumed"``.
    """

    gain_mm_per_mv: float = 10.0
    speed_mm_per_s: float = 25.0
    gain_from: str = "assumed"
    speed_from: str = "assumed"
    pulse_height_mm: float | None = None
    pulse_width_mm: float | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Trace:
    """One extracted segment.

    ``xy`` is the polyline on the rectified page and ``xy_source`` on the original image, both
    (n, 2) in px with NaN where nothing was found; ``signal`` is (m,) in mV at 500 Hz starting
    ``start_s`` into the page; ``confidence`` is (m,) in [0, 1].
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
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Digitization:
    """A digitized page, with everything that is needed to check it by eye."""

    page: Page
    rectified: RectifiedPage
    layout: Layout
    labels: tuple[Label, ...]
    calibration: Calibration
    traces: tuple[Trace, ...]
    record: ECGRecord
    grade: Grade
    warnings: tuple[str, ...] = ()
    timings_s: Mapping[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The page part of ``result.json``: page, grid, calibration, layout, leads, warnings."""
        from ecg4u.digitize.describe import describe

        return describe(self)
