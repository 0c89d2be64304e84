"""The digitizer on real and drawn pages, and on what is no ECG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.measure import score_lead
from ecg4u.digitize import digitize_page
from ecg4u.digitize.result import Digitization
from ecg4u.digitize.types import InkMap, Layout
from ecg4u.errors import ECG4UError, NotAnECGError, PoorQualityError, UnreadableInputError
from ecg4u.io import Page, read_page, read_record
from ecg4u.paper import LAYOUTS, PageStyle, draw_page, layout
from ecg4u.record import LEADS, ECGRecord

DATA = Path(__file__).parents[2] / "data"


@pytest.fixture(scope="module")
def scanned() -> Digitization:
    return digitize_page(read_page(DATA / "pages" / "A00347.png"))


def _drawn(name: str, gain: float = 10.0) -> tuple[ECGRecord, Page]:
    record = read_record(DATA / "records" / "ptbxl_00427")
    style = PageStyle(px_per_mm=8.0, gain_mm_per_mv=gain, row_pitch=45.0)
    image = draw_page(record, LAYOUTS[name], style).image
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG")
    return record, read_page(stream.getvalue())


def test_every_lead_of_a_page_with_known_signals(scanned: Digitization) -> None:
    truth = np.load(DATA / "pages" / "A00347.npz")
    for column, name in enumerate(LEADS):
        score = score_lead(
            truth["p_signal"][:, column].astype(float), scanned.record.lead(name), 500.0
        )
        assert score is not None
        assert score.snr_db > 12, name
        assert score.r > 0.95, name


def test_gain_is_read_from_the_pulse_and_speed_from_the_print(scanned: Digitization) -> None:
    assert (scanned.calibration.gain_mm_per_mv, scanned.calibration.gain_from) == (10.0, "pulse")
    assert (scanned.calibration.speed_mm_per_s, scanned.calibration.speed_from) == (25.0, "text")
    assert not any("assumed" in w for w in scanned.warnings)


def test_without_print_or_pulse_the_scale_is_said_to_be_assumed() -> None:
    record = read_record(DATA / "records" / "ptbxl_00427")
    style = PageStyle(px_per_mm=8.0, row_pitch=45.0, footer=(), pulse=None)
    image = draw_page(record, LAYOUTS["3x4+1"], style).image
    found = digitize_page(Page(image, "0" * 64))
    assert (found.calibration.speed_from, found.calibration.gain_from) == ("assumed", "assumed")
    assert any("25 mm/s is assumed" in w for w in found.warnings)
    assert any("10 mm/mV is assumed" in w for w in found.warnings)
    assert "paper speed 25 mm/s" in found.record.provenance.inferred


def test_names_come_from_the_labels(scanned: Digitization) -> None:
    assert sum(trace.named_by == "label" for trace in scanned.traces) >= 11
    assert scanned.layout.name == "3x4+1"


def test_nothing_is_invented_where_the_page_shows_nothing(scanned: Digitization) -> None:
    coverage = scanned.record.coverage()
    assert coverage["II"] > 0.95
    assert coverage["V1"] == pytest.approx(0.25, abs=0.02)


def test_source_polylines_lie_on_dark_ink(scanned: Digitization) -> None:
    image = scanned.page.image.max(axis=2)
    trace = next(t for t in scanned.traces if t.rhythm)
    xy = np.round(trace.xy_source[np.isfinite(trace.xy_source[:, 1])]).astype(int)
    assert np.mean(image[xy[:, 1], xy[:, 0]] < 150) > 0.85


@pytest.mark.parametrize(("name", "gain"), [("3x4+1", 10.0), ("3x4+1", 5.0), ("6x2", 10.0)])
def test_what_is_drawn_is_read_back(name: str, gain: float) -> None:
    record, page = _drawn(name, gain)
    result = digitize_page(page)
    assert result.calibration.gain_mm_per_mv == gain
    shown = [s.lead for s in result.layout.segments]
    assert set(shown) == set(LEADS)
    good = 0
    for segment in LAYOUTS[name].rows:
        for part in segment:
            first, count = int(part.start_s * 500), int(part.duration_s * 500)
            reference = np.full(5000, np.nan)
            reference[first : first + count] = record.lead(part.lead)[first : first + count]
            score = score_lead(reference, result.record.lead(part.lead), 500.0)
            good += int(score is not None and score.r > 0.9)
    assert good >= 11


def test_phone_photo_of_a_real_page() -> None:
    result = digitize_page(read_page(DATA / "pages" / "phone.jpg"))
    assert result.layout.name == "3x4+1"
    assert {trace.lead for trace in result.traces} == set(LEADS)
    assert min(result.record.coverage().values()) > 0.15


def test_same_page_same_bytes(scanned: Digitization) -> None:
    again = digitize_page(read_page(DATA / "pages" / "A00347.png"))
    assert again.record.p_signal.tobytes() == scanned.record.p_signal.tobytes()


def test_description_is_plain(scanned: Digitization) -> None:
    described = scanned.to_dict()
    assert described["leads"]["V1"]["coverage"] == pytest.approx(0.25, abs=0.02)
    assert described["grid"]["scale_from"] == "grid"


def test_a_page_of_three_leads_is_a_partial_result_that_says_so() -> None:
    record = read_record(DATA / "records" / "ptbxl_00427")
    three = layout(3, 1, order=("I", "II", "III"))
    result = digitize_page(_page(draw_page(record, three, PageStyle(px_per_mm=8.0)).image))
    assert {trace.lead for trace in result.traces} == {"I", "II", "III"}
    assert any(w.code == "leads_missing" and "aVR" in w.leads for w in result.warnings)


@pytest.mark.parametrize("axis", [0, 1])
def test_two_ecgs_in_one_image_are_refused(axis: int) -> None:
    record = read_record(DATA / "records" / "ptbxl_00427")
    one = draw_page(record, LAYOUTS["3x4+1"], PageStyle(px_per_mm=8.0)).image
    with pytest.raises(PoorQualityError, match="two ECGs"):
        digitize_page(_page(np.concatenate([one, one], axis=axis)))


def _page(image: np.ndarray) -> Page:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG")
    return read_page(stream.getvalue())


def _blank_grid() -> np.ndarray:
    empty = ECGRecord(np.full((5000, 12), np.nan))
    style = PageStyle(pulse="none", labels=False, footer=())
    return draw_page(empty, LAYOUTS["3x4"], style).image


def _words() -> np.ndarray:
    import cv2

    image = np.full((900, 1300, 3), 255, np.uint8)
    for row in range(20):
        cv2.putText(image, "Lorem ipsum dolor sit amet", (40, 40 + 42 * row), 0, 1.0, (0, 0, 0), 2)
    return image


NOT_ECGS = {
    "blank": np.full((900, 1300, 3), 250, np.uint8),
    "noise": np.random.default_rng(0).integers(0, 255, (700, 900, 3)).astype(np.uint8),
    "grid without traces": _blank_grid(),
    "words": _words(),
    "tiny": np.full((12, 9, 3), 200, np.uint8),
}


@pytest.mark.parametrize("kind", sorted(NOT_ECGS))
def test_what_is_no_ecg_is_refused_with_a_remedy(kind: str) -> None:
    with pytest.raises(ECG4UError) as caught:
        digitize_page(_page(NOT_ECGS[kind]))
    assert isinstance(caught.value, (NotAnECGError, PoorQualityError, UnreadableInputError))
    assert caught.value.exit_code in (3, 4)
    assert caught.value.hint


def test_a_page_without_a_grid_or_pulses_needs_its_resolution() -> None:
    record = read_record(DATA / "records" / "ptbxl_00427")
    style = PageStyle(px_per_mm=8.0, grid="none", pulse="none")
    bare = _page(draw_page(record, LAYOUTS["3x4+1"], style).image)
    with pytest.raises(NotAnECGError) as refused:
        digitize_page(bare)
    assert "dpi" in refused.value.hint
    result = digitize_page(bare, dpi=8.0 * 25.4)
    assert result.rectified.grid.scale_from == "dpi"
    assert result.calibration.gain_from == "text"
    score = score_lead(record.lead("II"), result.record.lead("II"), 500.0)
    assert score is not None
    assert score.r > 0.95


@pytest.mark.parametrize(("log_odds", "looked_again"), [(8.0, True), (15.0, False)])
def test_a_page_whose_names_hardly_explain_it_is_looked_at_again_by_column(
    log_odds: float, looked_again: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All leads are there and none is doubted, but the arrangement is little likelier than not."""
    from ecg4u.digitize import pipeline

    asked: list[int] = []

    def arranged(*args: Any, **options: Any) -> Layout:
        found = find_layout(*args, **options)
        assert found.shows_all
        assert not found.doubts
        return replace(found, log_odds=log_odds)

    def by_column(ink: InkMap, starts: Sequence[float], px_per_mm: float) -> None:
        asked.append(len(starts))

    find_layout = pipeline.find_layout
    monkeypatch.setattr(pipeline, "find_layout", arranged)
    monkeypatch.setattr(pipeline, "rows_by_column", by_column)
    _, page = _drawn("3x4+1")
    assert digitize_page(page).layout.name == "3x4+1"
    assert asked == ([4] if looked_again else [])
