"""How one ECG is read, and what is known of it: the same for every caller."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from ecg4u.arguments import check_names, check_number, check_whole
from ecg4u.errors import UsageError

if TYPE_CHECKING:
    from ecg4u.digitize.sidecar.model import Sidecar

SidecarSource: TypeAlias = "Sidecar | Mapping[str, Any] | str | Path"
"""A sidecar, its values, or the path of its file."""

GAINS_MM_PER_MV = (1.0, 80.0)
SPEEDS_MM_PER_S = (5.0, 200.0)
DPI = (50.0, 2400.0)
OLDEST_YEARS = 130
FORMATS = ("wfdb", "hdf5", "csv", "edf", "dicom")
"""Of signal files."""


@dataclass(frozen=True)
class ReadOptions:
    """How one ECG is read; what is not known is None.

    page : which page of a file with several, from 1
    gain_mm_per_mv, speed_mm_per_s : what is printed on the page, if known; None to read, infer or
        assume it
    dpi : resolution of the picture, for pages on which no grid can be found; without it, the
        scale of such a page comes from its calibration pulses, if they leave no doubt
    sidecar : what an earlier reading of this page found (`Digitization.basis`, its values or the
        path of its file), perhaps corrected: processing continues there
    age, sex : years and ``"F"`` or ``"M"``: limits of ST elevation and of QTc depend on them; they
        override what a record file states
    classify, explain : what to do beyond the signals; ``explain`` needs ``classify``
    classes : those whose log-odds are attributed by Shapley values; by default those found
    neurokit : whether NeuroKit2's features are measured as well
    seed : seed of the Shapley estimates

    Raises
    ------
    UsageError
        If a gain, speed or resolution is impossible for a page, or an age or sex for a patient.
    WrongTypeError
        (Also a TypeError.) If a value is not a number, or not a list of names, where one is needed.
    """

    page: int = 1
    gain_mm_per_mv: float | None = None
    speed_mm_per_s: float | None = None
    dpi: float | None = None
    sidecar: SidecarSource | None = None
    age: float | None = None
    sex: Literal["F", "M"] | None = None
    classify: bool = True
    explain: bool = True
    classes: tuple[str, ...] | None = None
    neurokit: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        check_whole("page", self.page, "Pages are counted from 1.")
        check_whole("seed", self.seed, "Any whole number will do.")
        if self.classes is not None:
            check_names("classes", self.classes)
        for what, value, unit, (low, high) in (
            ("gain", self.gain_mm_per_mv, "mm/mV", GAINS_MM_PER_MV),
            ("paper speed", self.speed_mm_per_s, "mm/s", SPEEDS_MM_PER_S),
            ("resolution", self.dpi, "dpi", DPI),
        ):
            if value is None:
                continue
            check_number(f"The {what}", value, f"Give {unit}, or leave it out.")
            if not low <= value <= high:
                raise UsageError(
                    f"The {what} must be from {low:g} to {high:g} {unit}, not {value:g}.",
                    stage="digitize",
                    hint="Leave it out to have it read from the page.",
                )
        if self.sex not in (None, "F", "M"):
            raise UsageError(
                f"sex must be F or M, not {self.sex!r}.", hint="Leave it out if not known."
            )
        if self.age is not None:
            check_number("age", self.age, "Give years, or leave it out if not known.")
        if self.age is not None and not 0 <= self.age <= OLDEST_YEARS:
            raise UsageError(
                f"age must be from 0 to {OLDEST_YEARS} years.", hint="Leave it out if not known."
            )


NOTHING_KNOWN = ReadOptions()
