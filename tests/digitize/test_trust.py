"""How likely a lead was read badly, and the grade that follows from it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from ecg4u.digitize import Digitization, digitize_page
from ecg4u.digitize.restore import signals_of
from ecg4u.digitize.signals.agreement import faults
from ecg4u.digitize.signals.quality import grade_segment, hidden_waves
from ecg4u.digitize.signals.signal import COLLIDED_CONFIDENCE, SegmentSignal
from ecg4u.digitize.signals.trust import MEASURES, OF_ONE, measures_of, misread
from ecg4u.io import read_page

PAGE = Path(__file__).parents[2] / "data" / "pages" / "A00347.png"
PX_PER_MM = 8.0


@cache
def digitized() -> Digitization:
    return digitize_page(read_page(PAGE))


def leads() -> list[SegmentSignal]:
    basis = digitized().basis
    assert basis is not None
    return signals_of(basis)


def chances(parts: list[SegmentSignal]) -> np.ndarray:
    return misread(measures_of(parts, faults(parts), PX_PER_MM))


def place(parts: list[SegmentSignal], lead: str) -> int:
    return next(i for i, part in enumerate(parts) if part.segment.lead == lead)


def spoiled(part: SegmentSignal, how: str) -> SegmentSignal:
    signal, confidence = part.signal.copy(), part.confidence.copy()
    known = np.flatnonzero(np.isfinite(signal))
    rng = np.random.default_rng(0)
    if how == "spikes":
        signal[known[100::250]] += 3.0
    elif how == "noise":
        signal[known[200:320]] += rng.normal(0, 0.4, 120)
    elif how == "one beat at half its height":
        tallest = known[np.abs(signal[known] - np.median(signal[known])).argmax()]
        signal[tallest - 30 : tallest + 30] *= 0.5
    else:
        confidence[known[::2]] = 0.1
    return replace(part, signal=signal, confidence=confidence)


@pytest.mark.parametrize("how", ["spikes", "noise", "one beat at half its height", "hidden"])
def test_a_spoiled_lead_is_more_likely_misread(how: str) -> None:
    parts = leads()
    at = place(parts, "V5")
    before = chances(parts)[at]
    parts[at] = spoiled(parts[at], how)
    assert chances(parts)[at] > before


def test_a_lead_of_which_nothing_was_found_is_misread_and_harms_no_other() -> None:
    parts = leads()
    before = chances(parts)
    nothing = np.full(len(parts[0].signal), np.nan)
    parts[0] = replace(parts[0], signal=nothing, xy=np.full_like(parts[0].xy, np.nan))
    after = chances(parts)
    assert after[0] == 1.0
    assert np.allclose(after[1:], before[1:], atol=0.1)
    assert chances([parts[0]]).tolist() == [1.0]
    assert chances([]).shape == (0,)


def test_measures_are_named_and_told_by_the_lead() -> None:
    parts = leads()
    measured = measures_of(parts, [()] * len(parts), PX_PER_MM)
    assert measured.shape == (len(parts), len(MEASURES))
    assert np.isfinite(measured[:, OF_ONE.index("mean doubt")]).all()
    lengths = measured[:, OF_ONE.index("length, s")]
    assert lengths == pytest.approx([len(part.signal) / 500.0 for part in parts])
    spiky = [spoiled(part, "spikes") if i == 3 else part for i, part in enumerate(parts)]
    steep = measures_of(spiky, [()] * len(parts), PX_PER_MM)[:, 0]
    assert np.flatnonzero(steep != measured[:, 0]).tolist() == [3]


def test_the_grade_follows() -> None:
    part = leads()[0]
    assert grade_segment(part, (), 0.01) == ("good", ())
    grade, reasons = grade_segment(part, (), 0.3)
    assert (grade, [reason.code for reason in reasons]) == ("fair", ["trace_misread"])
    assert "30%" in reasons[0]
    assert grade_segment(part, (), 0.7)[0] == "poor"


def test_doubtful_ink_lowers_a_grade_only_where_it_makes_a_lead_likely_misread() -> None:
    part = replace(leads()[0], confidence=np.full(len(leads()[0].signal), 0.7))
    part.confidence[100:110] = part.confidence[300:310] = COLLIDED_CONFIDENCE
    assert grade_segment(part, (), 0.01) == ("good", ())
    codes = [reason.code for reason in grade_segment(part, (), 0.3)[1]]
    assert codes == ["trace_misread", "trace_doubtful", "trace_collides"]


def test_a_stroke_that_is_pale_on_a_grid_line_hides_no_wave() -> None:
    part = leads()[0]
    pale, hidden = np.ones(len(part.signal)), np.ones(len(part.signal))
    for start in (100, 300, 500):
        pale[start : start + 2] = 0.02
        hidden[start : start + 20] = COLLIDED_CONFIDENCE
    assert hidden_waves(replace(part, confidence=pale)) == 0
    assert hidden_waves(replace(part, confidence=hidden)) == 3


def test_result_json_tells_of_each_lead() -> None:
    result = digitized()
    told = result.to_dict()["leads"]
    for trace in result.traces:
        assert 0.0 < trace.misread < 1.0
        assert told[trace.lead]["misread"] >= trace.misread
