"""Grids of which the 5-mm lines alone are seen: their harmonics lie close, and noise looks like
more."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecg4u.digitize.pipeline import digitize_page
from ecg4u.digitize.rectify import rectify
from ecg4u.errors import PoorQualityError
from ecg4u.io import Page, read_record
from ecg4u.paper import LAYOUTS, PageStyle, draw_page

RECORD = Path(__file__).parents[2] / "data" / "records" / "ptbxl_00427"
PALE = {"coarse_colour": (243, 175, 208), "paper": (255, 235, 238), "trace_width": 0.13}


def page(layout: str, **style: object) -> Page:
    image = draw_page(read_record(RECORD), LAYOUTS[layout], PageStyle(**style)).image  # type: ignore[arg-type]
    return Page(image, "0" * 64, 1, 1, "png", None)


@pytest.mark.parametrize("grid", ["5mm", "dotted", "1mm"])
def test_a_comb_that_noise_shows_is_no_reason_to_take_5_mm_for_1_mm(grid: str) -> None:
    faint = {"fine_colour": (252, 238, 240), "coarse_width": 0.3}
    found = rectify(page("12x1", px_per_mm=5.2, grid=grid, **faint)).grid
    assert found.source_px_per_mm == pytest.approx((5.2, 5.2), rel=0.01)


@pytest.mark.parametrize(("layout", "px", "width"), [("3x4+1", 11.0, 0.2), ("12x1", 9.0, 0.1)])
def test_thin_pale_lines_are_not_read_by_harmonics_between_which_the_mesh_slips(
    layout: str, px: float, width: float
) -> None:
    found = rectify(page(layout, px_per_mm=px, grid="5mm", coarse_width=width, **PALE)).grid
    assert found.source_px_per_mm == pytest.approx((px, px), rel=0.02)
    assert found.residual_mm < 0.03


def test_a_page_refused_at_a_likely_scale_is_read_at_the_next_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first reading is refused here, as a page is whose rows were not recognized."""
    from ecg4u.digitize import pipeline
    from ecg4u.digitize.scale.decision import Verdict

    drawn = page("3x4+1", px_per_mm=8.0, grid="5mm", coarse_width=0.3)
    arranged, tried, sure = pipeline._arranged, [], [0.6]

    def refusing(found: pipeline._Looked, *rest: object) -> object:
        tried.append(found.rectified.grid.source_px_per_mm[0])
        if len(tried) == 1:
            raise PoorQualityError("3 rows were found.", stage="layout", hint="")
        return arranged(found, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(pipeline, "_arranged", refusing)
    monkeypatch.setattr(pipeline, "WORTH_READING", -12.0)
    monkeypatch.setattr(pipeline, "decide_scale", lambda *_, **__: Verdict(None, sure[0]))
    read = digitize_page(drawn)
    assert len(tried) > 1
    assert tried[1] != pytest.approx(tried[0], rel=0.1)
    assert "scale_uncertain" in {warning.code for warning in read.warnings}
    tried.clear()
    sure[0] = 0.99
    with pytest.raises(PoorQualityError, match="3 rows"):
        digitize_page(drawn)
    assert len(tried) == 1, "a scale that is certain is not doubted"
