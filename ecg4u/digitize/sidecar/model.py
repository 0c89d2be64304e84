"""What was found on a page, in a form that a person can correct and hand back.

A `Sidecar` holds everything that the signals are made of: the measured heights of every printed
stretch of a lead, the map from the page to the image, names, scale and times. The digitizer makes
its record from it and from nothing else, so a sidecar that nobody edited gives the very same
record, and an edited one gives it with only the edits changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecg4u.digitize.sidecar import corrections, form
from ecg4u.digitize.sidecar.content import PageContent, Redraw


@dataclass(frozen=True, eq=False)
class Sidecar(PageContent):
    """Everything found on one page, to and from JSON, with corrections by hand."""

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
            If it is not a sidecar, has a newer schema, or holds impossible values.
        """
        return cls.from_dict(form.parse(source))

    @classmethod
    def from_dict(cls, values: Any) -> Sidecar:
        """A sidecar from plain values, as `to_dict` gives them. Raises as `from_json` does."""
        return cls(**vars(form.read(values)))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, of schema ``ecg4u.page/1``."""
        return form.write(self)

    def to_json(self) -> str:
        """The text of the file that ``ecg4u digitize`` writes beside the signals."""
        return form.dump(self.to_dict())

    @property
    def corrections(self) -> tuple[str, ...]:
        """What a person changed, in words; empty for a sidecar as it was found."""
        return corrections.describe_corrections(self)

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
            From the id of a segment (``"2.3"``) or a lead's present name to its correct name;
            None leaves the segment out. Two leads may be swapped in one call.
        gain
            mm/mV of all leads, or of ``{"limb": ..., "chest": ...}`` (either or both).
        speed
            mm/s.
        corners
            Four source px (x, y): top left, top right, bottom right, bottom left of the upright
            page. The page is flattened and read again from them.
        start_s
            Second at which a segment (id or lead) begins.
        layout
            Name of the page's layout (`ecg4u.paper.LAYOUTS`), which decides how its rows are cut
            and named.
        redraw
            ``{"segment": id or lead, "points": [[x, y], ..., None, ...] or None, "x": [x0, x1]}``
            in source px; see `Redraw`.

        Raises
        ------
        SidecarError
            If a correction makes no sense.
        """
        return corrections.apply(
            self,
            names=names or {},
            gain=gain,
            speed=speed,
            corners=corners,
            start_s=start_s or {},
            layout=layout,
            redraw=redraw,
        )


def sidecar_path(base: Path) -> Path:
    """Where the sidecar of signals written at ``base`` (without suffix) stands."""
    return base.with_name(base.name + ".page.json")
