"""What a sidecar holds: measured stretches, names, scale and times of one page, and redraws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

from ecg4u.digitize.page.mesh import Mesh
from ecg4u.digitize.page.rectified import Grid
from ecg4u.digitize.types import Calibration, NamedBy
from ecg4u.errors import SidecarError
from ecg4u.record import CHEST_LEADS, DEFAULT_FS_HZ, LIMB_LEADS

if TYPE_CHECKING:
    from ecg4u.io import Page

Points = npt.NDArray[np.float64]
Corner = tuple[float, float]

SCHEMA = "ecg4u.page/1"
STAGE = "sidecar"
GAP = 255
"""Confidence (percent) of a sample that the page does not show."""
GROUPS: Mapping[str, tuple[str, ...]] = {"limb": LIMB_LEADS, "chest": CHEST_LEADS}


@dataclass(frozen=True, eq=False)
class Piece:
    """One printed stretch of a lead, measured on the page.

    ``height_um`` (n,) is how far the trace runs above ``zero_mm`` on the paper, in micrometres;
    sample ``i`` stands at ``x0_mm + i * step_mm``. ``percent`` (n,) is its confidence in percent,
    `GAP` where nothing was found. ``lead`` is None where a person left the stretch out.
    """

    id: str
    lead: str | None
    named_by: NamedBy
    probability: float
    row: int
    rhythm: bool
    start_s: float
    x0_mm: float
    step_mm: float
    zero_mm: float | None
    height_um: npt.NDArray[np.int64]
    percent: npt.NDArray[np.uint8]
    found_lead: str
    found_start_s: float
    inverted: bool = False
    """Whether the lead is drawn upside down, as -aVR."""

    @property
    def x1_mm(self) -> float:
        """Where the stretch ends."""
        return self.x0_mm + len(self.height_um) * self.step_mm

    @property
    def x_mm(self) -> Points:
        """Place of each sample along the row, (n,)."""
        return np.asarray(self.x0_mm + np.arange(len(self.height_um)) * self.step_mm)

    def start_at(self, speed_mm_per_s: float) -> float:
        """Start in s: what a person set, else the found start at this paper speed."""
        found_speed = self.step_mm * DEFAULT_FS_HZ
        if self.start_s != self.found_start_s or speed_mm_per_s == found_speed:
            return self.start_s
        return self.start_s * found_speed / speed_mm_per_s


@dataclass(frozen=True, eq=False)
class Redraw:
    """A stretch of a piece drawn by hand in source px, or blanked (``points`` None).

    ``points`` (n, 2) may hold NaN rows, which are gaps. ``x`` is the span that is replaced, in
    source px along the row (x; y where the page lies on its side); None: from the first point to
    the last.
    """

    segment: str
    points: Points | None
    x: tuple[float, float] | None = None


@dataclass(frozen=True)
class Note:
    """A warning of the reading and what it is about."""

    about: str
    text: str


@dataclass(frozen=True, eq=False)
class PageContent:
    """All that was found on one page, and what a person changed of it."""

    page_sha256: str
    page_number: int
    size: tuple[int, int]
    corners: tuple[Corner, ...]
    found_corners: tuple[Corner, ...]
    grid: Grid
    mesh: Mesh
    layout: str
    found_layout: str
    layout_confidence: float
    calibration: Calibration
    found_calibration: Calibration
    pieces: tuple[Piece, ...]
    redraw: tuple[Redraw, ...] = ()
    notes: tuple[Note, ...] = field(default=())

    @property
    def corners_moved(self) -> bool:
        """Whether a person moved the corners, so that the page must be rectified anew."""
        return self.corners != self.found_corners

    def piece(self, id_: str) -> Piece:
        """The piece with this id."""
        return next(piece for piece in self.pieces if piece.id == id_)

    def check_page(self, page: Page) -> None:
        """Raise `SidecarError` unless this sidecar was written for ``page``."""
        size = (page.image.shape[1], page.image.shape[0])
        if (self.page_sha256, self.page_number, self.size) != (page.sha256, page.number, size):
            raise SidecarError(
                "The sidecar was written for another page.",
                stage=STAGE,
                hint="Give the exact file (and page number) it was made from.",
            )


Content = TypeVar("Content", bound=PageContent)
"""What goes in comes out: a `Sidecar` stays one."""


def with_pieces(sidecar: Content, changed: Mapping[str, Piece]) -> Content:
    """The same with some pieces replaced, by id."""
    pieces = tuple(changed.get(piece.id, piece) for piece in sidecar.pieces)
    return replace(sidecar, pieces=pieces)
