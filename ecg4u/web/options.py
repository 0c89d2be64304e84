"""What a user may say about a page; everything else is refused."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ecg4u.web.problems import Problem


class Correction(BaseModel):
    """What is printed on the page, where the user knows it better than the machine."""

    model_config = ConfigDict(extra="forbid")

    gain_mm_per_mv: float | None = Field(default=None, ge=1, le=80, description="e.g. 5, 10 or 20")
    speed_mm_per_s: float | None = Field(default=None, ge=5, le=200, description="e.g. 25 or 50")

    def to_analysis(self) -> dict[str, Any]:
        """As keyword arguments of `ecg4u.analysis.analyse`; only what was said."""
        return self.model_dump(exclude_none=True)


class AnalysisOptions(Correction):
    """How to analyse a page."""

    page: int = Field(default=1, ge=1, le=1000, description="Which page of a PDF")
    explain: bool = Field(default=True, description="False: classes without reasons, sooner")

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
        except ValidationError:
            raise Problem(
                422, "usage", "The options make no sense.", "See AnalysisOptions in /openapi.json."
            ) from None
