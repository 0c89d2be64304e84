"""What a user may say about a page; everything else is refused."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ecg4u.options import DPI, GAINS_MM_PER_MV, OLDEST_YEARS, SPEEDS_MM_PER_S
from ecg4u.web.problems import Problem

Gain = Annotated[float, Field(ge=GAINS_MM_PER_MV[0], le=GAINS_MM_PER_MV[1], strict=True)]
Speed = Annotated[float, Field(ge=SPEEDS_MM_PER_S[0], le=SPEEDS_MM_PER_S[1], strict=True)]
Dpi = Annotated[float, Field(ge=DPI[0], le=DPI[1], strict=True)]
Age = Annotated[float, Field(ge=0, le=OLDEST_YEARS, strict=True)]
Sex = Literal["F", "M"]
Export = Literal["pdf", "dicom", "fhir"]
Pixel = Annotated[float, Field(ge=-100_000, le=100_000, strict=True)]
Point = tuple[Pixel, Pixel]
SegmentId = Annotated[str, Field(min_length=1, max_length=20)]
Lead = Literal["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"]
MAX_SEGMENTS = 64
MAX_POINTS = 20_000


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class GainByGroup(_Strict):
    """Where the limb and the chest leads are printed at different gains."""

    limb: Gain | None = None
    chest: Gain | None = None


class Redrawn(_Strict):
    """A stretch of a trace as the user sees it."""

    segment: SegmentId
    points: Annotated[list[Point | None], Field(min_length=2, max_length=MAX_POINTS)] | None = (
        Field(
            description="Pixels of the page's image; null in the list leaves a gap, null instead "
            "of the list blanks the span"
        )
    )
    x: Point | None = Field(
        default=None, description="The span that is replaced; by default from first to last point"
    )


class Correction(_Strict):
    """What the user knows about the page better than the program.

    Segments are those of ``/v1/ecg/{identifier}/page``.
    """

    gain_mm_per_mv: Gain | GainByGroup | None = None
    speed_mm_per_s: Speed | None = None
    names: dict[SegmentId, Lead | None] = Field(
        default_factory=dict,
        max_length=MAX_SEGMENTS,
        description="The correct lead of a segment; null leaves it out",
    )
    start_s: dict[SegmentId, Annotated[float, Field(ge=0, le=120, strict=True)]] = Field(
        default_factory=dict, max_length=MAX_SEGMENTS, description="When a segment begins"
    )
    layout: Annotated[str, Field(max_length=40)] | None = Field(
        default=None, description="e.g. 3x4+1; decides how the rows are cut and named"
    )
    corners: tuple[Point, Point, Point, Point] | None = Field(
        default=None,
        description="Top left, top right, bottom right, bottom left of the upright page, in px",
    )
    redraw: list[Redrawn] = Field(default_factory=list, max_length=200)
    age: Age | None = Field(default=None, description="Years, as in AnalysisOptions")
    sex: Sex | None = None

    def patient(self) -> dict[str, Any]:
        """Age and sex as fields of `ecg4u.options.ReadOptions`; only what was said."""
        return self.model_dump(include={"age", "sex"}, exclude_none=True)

    def to_corrected(self) -> dict[str, Any]:
        """As keyword arguments of `Sidecar.corrected`; only what was said."""
        said = self.model_dump(exclude_defaults=True, exclude={"age", "sex"})
        words = {"gain_mm_per_mv": "gain", "speed_mm_per_s": "speed"}
        if isinstance(said.get("gain_mm_per_mv"), dict):
            said["gain_mm_per_mv"] = {
                group: gain for group, gain in said["gain_mm_per_mv"].items() if gain is not None
            }
        return {words.get(name, name): value for name, value in said.items()}


class AnalysisOptions(_Strict):
    """How to analyse a page."""

    gain_mm_per_mv: Gain | None = Field(default=None, description="If known: e.g. 5, 10 or 20")
    speed_mm_per_s: Speed | None = Field(default=None, description="If known: e.g. 25 or 50")
    dpi: Dpi | None = Field(
        default=None, description="Resolution of a scan, for paper without a grid"
    )
    age: Age | None = Field(
        default=None, description="Years, if known: one limit of ST elevation depends on it"
    )
    sex: Sex | None = Field(
        default=None, description="If known: limits of ST elevation and QTc depend on it"
    )
    page: int = Field(default=1, ge=1, le=1000, strict=True, description="Which page of a PDF")
    explain: bool = Field(
        default=True,
        strict=True,
        description="False gives classes without reasons, which is faster",
    )
    exports: list[Export] = Field(
        default_factory=list,
        max_length=3,
        description="Files to make besides the report: report.pdf, signals.dcm and report.dcm, "
        "fhir.json",
    )

    def to_work(self) -> dict[str, Any]:
        """As the options of `ecg4u.web.worker.analyse_page`; only what was said."""
        return self.model_dump(exclude_none=True)

    @classmethod
    def from_json(cls, text: str) -> AnalysisOptions:
        """The options in a form field.

        Raises
        ------
        Problem
            422 if they make no sense.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise _invalid(cls, error) from None


def _invalid(kind: type[BaseModel], error: ValidationError) -> Problem:
    """Which option is wrong, and how; nothing of what was sent is repeated."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    if name in kind.model_fields:
        message, how = f"The option {name} is invalid.", f"{first['msg']}. "
    elif name:
        message, how = "There is no such option.", f"Known: {', '.join(kind.model_fields)}. "
    else:
        message, how = "The options are not a JSON object.", ""
    return Problem(422, "usage", message, f"{how}See AnalysisOptions in /openapi.json.")
