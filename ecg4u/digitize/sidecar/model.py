"""What was found on a page, in a form that a person can correct and hand back.

A `Sidecar` holds everything that the signals are made of: the measured heights of every printed
stretch of a lead, the map from the page to the image, names, scale and times. The digitizer makes
its record from it and from nothing else, so a sidecar that nobody edited gives the very same
record, and an edited one gives it with only the edits changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
class Sidecar:
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

    @classmethod
    def of(cls, source: Sidecar | Mapping[str, Any] | str | bytes | Path) -> Sidecar:
        """A sidecar as it is, from plain values, or read from text or a file.

        Raises as `from_json` does.
        """
        if isinstance(source, Sidecar):
            return source
        return cls.from_dict(source) if isinstance(source, Mapping) else cls.from_json(source)

    @classmethod
    def from_json(cls, source: str | bytes | Path) -> Sidecar:
        """Read a sidecar: JSON text, its bytes, or the path of a file.

        Raises
        ------
        SidecarError
            If it is no sidecar, of a newer schema, or says what cannot be.
        """
        from ecg4u.digitize.sidecar.form import parse

        return parse(source)

    @classmethod
    def from_dict(cls, values: Any) -> Sidecar:
        """A sidecar from plain values, as `to_dict` gives them. Raises as `from_json` does."""
        from ecg4u.digitize.sidecar.form import read

        return read(values)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, of schema ``ecg4u.page/1``."""
        from ecg4u.digitize.sidecar.form import write

        return write(self)

    def to_json(self) -> str:
        """The text of the file that ``ecg4u digitize`` leaves beside the signals."""
        from ecg4u.digitize.sidecar.form import dump

        return dump(self.to_dict())

    @property
    def corners_moved(self) -> bool:
        """Whether a person moved the corners, so that the page must be rectified anew."""
        return self.corners != self.found_corners

    @property
    def corrections(self) -> tuple[str, ...]:
        """What a person changed, in words; empty for a sidecar as it was found."""
        from ecg4u.digitize.sidecar.corrections import describe_corrections

        return describe_corrections(self)

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
                hint="Give the very file (and page number) that it was made from.",
            )

    def corrected(
        self,
        *,
        names: Mapping[str, str | None] | None = None,
        gain: float | Mapping[str, float] | None = None,
        speed: float | None = None,
        corners: Sequence[Sequence[float]] | None = None,
        start_s: Mapping[str, float] | None = None,
        layout: str | None = None,
        redraw: Sequence[Mapping[str, Any] | Redraw] = (),
    ) -> Sidecar:
        """The sidecar with corrections by hand; what is not given stays as it is.

        Parameters
        ----------
        names
            From the id of a segment (``"2.3"``) or a lead's present name to its right name;
            None leaves the segment out. Two leads may be swapped in one call.
        gain
            mm/mV of all leads, or of ``{"limb": ..., "chest": ...}`` (either or both).
        speed
            mm/s.
        corners
            Four source px (x, y): top left, top right, bottom right, bottom left of the upright
            page. The page is rectified and read anew from them.
        start_s
            Second at which a segment (id or lead) begins.
        layout
            Name of the layout (`ecg4u.paper.LAYOUTS`) the page has; its rows are cut and named
            by it.
        redraw
            ``{"segment": id or lead, "points": [[x, y], ..., None, ...] or None, "x": [x0, x1]}``
            in source px; see `Redraw`.

        Raises
        ------
        SidecarError
            If a correction makes no sense.
        """
        from ecg4u.digitize.sidecar.corrections import apply

        return apply(
            self,
            names=names or {},
            gain=gain,
            speed=speed,
            corners=corners,
            start_s=start_s or {},
            layout=layout,
            redraw=redraw,
        )


def with_pieces(sidecar: Sidecar, changed: Mapping[str, Piece]) -> Sidecar:
    """The sidecar with some pieces replaced, by id."""
    pieces = tuple(changed.get(piece.id, piece) for piece in sidecar.pieces)
    return replace(sidecar, pieces=pieces)


def sidecar_path(base: Path) -> Path:
    """Where the sidecar of signals written at ``base`` (without suffix) stands."""
    return base.with_name(base.name + ".page.json")
