"""The result of digitizing a page, with everything that is needed to check it by eye."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ecg4u.digitize.types import Calibration, Grade, Label, Layout, Trace
from ecg4u.record import Doubtful

if TYPE_CHECKING:
    from ecg4u.digitize.page.rectified import RectifiedPage
    from ecg4u.digitize.sidecar.model import Sidecar
    from ecg4u.io import Page
    from ecg4u.messages import Message
    from ecg4u.record import ECGRecord


@dataclass(frozen=True, eq=False)
class Digitization:
    """A digitized page, with everything needed to check it by eye."""

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
    basis: Sidecar | None = None
    grade_reasons: tuple[Message, ...] = ()
    doubtful: tuple[Doubtful, ...] = ()

    def __repr__(self) -> str:
        return f"<Digitization: {self.layout.name}, {self.grade}, {len(self.warnings)} warnings>"

    def sidecar(self) -> dict[str, Any]:
        """What was found, for a person to correct: schema ``ecg4u.page/1``; see docs/sidecar.md."""
        return {} if self.basis is None else self.basis.to_dict()

    @property
    def corrections(self) -> tuple[str, ...]:
        """What a person corrected by hand, in words."""
        return () if self.basis is None else self.basis.corrections

    def to_dict(self) -> dict[str, Any]:
        """The page part of ``result.json``: page, grid, calibration, layout, leads, warnings."""
        from ecg4u.digitize.describe import describe

        return describe(self)
