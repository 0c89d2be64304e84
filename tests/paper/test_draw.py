"""The drawer's truth is exact: what it says it drew is where the ink is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg4u.paper import LAYOUTS, PageStyle, draw_page, layout
from ecg4u.record import LEADS, ECGRecord


def _record(seed: int = 0, fs: float = 500.0) -> ECGRecord:
    t = np.arange(int(10 * fs)) / fs
    rng = np.random.default_rng(seed)
    waves = [0.6 * np.sin(2 * np.pi * (0.7 + 0.2 * k) * t + rng.uniform(0, 6)) for k in range(12)]
    return ECGRecord(np.column_stack(waves), fs)


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_every_layout_shows_each_lead_where_it_says(name: str) -> None:
    page = draw_page(_record(), LAYOUTS[name], PageStyle(px_per_mm=4, labels=True))
    assert {s.lead for s in page.segments} == set(LEADS)
    assert [label.name for label in page.labels] == [s.lead for s in page.segments]
    for segment in page.segments:
        x, y = segment.xy[len(segment.xy) // 2]
        assert page.trace[int(round(y)), int(round(x))] > 120


@settings(max_examples=12, deadline=None)
@given(
    px_per_mm=st.sampled_from([4.0, 7.9, 10.0, 11.3]),
    gain=st.sampled_from([5.0, 10.0, 20.0]),
    speed=st.sampled_from([25.0, 50.0]),
)
def test_millivolts_and_seconds_come_back_from_the_curve(
    px_per_mm: float, gain: float, speed: float
) -> None:
    record = _record(1)
    style = PageStyle(px_per_mm=px_per_mm, gain_mm_per_mv=gain, speed_mm_per_s=speed)
    page = draw_page(record, layout(3, 4), style)
    for segment in page.segments:
        mv = (segment.zero_y - segment.xy[:, 1]) / (px_per_mm * gain)
        np.testing.assert_allclose(mv, segment.mv, atol=1e-9)
        seconds = (segment.xy[:, 0] - segment.xy[0, 0]) / (px_per_mm * speed)
        np.testing.assert_allclose(seconds, np.arange(len(mv)) / record.fs, atol=1e-9)


def test_ink_centre_lies_on_the_true_curve() -> None:
    page = draw_page(_record(2), layout(1, 1, order=("II",)), PageStyle(pulse="none", labels=False))
    segment = page.segments[0]
    columns = np.arange(int(segment.xy[0, 0]) + 5, int(segment.xy[-1, 0]) - 5)
    ink = page.trace[:, columns].astype(float)
    centre = (ink * np.arange(len(ink))[:, None]).sum(axis=0) / ink.sum(axis=0)
    true = np.interp(columns, segment.xy[:, 0], segment.xy[:, 1])
    assert np.abs(centre - true).max() < 0.25


def test_gaps_of_the_record_stay_empty() -> None:
    signal = np.array(_record().p_signal)
    signal[2000:3000, 1] = np.nan
    page = draw_page(ECGRecord(signal), layout(1, 1, order=("II",)), PageStyle(pulse="none"))
    x = page.segments[0].xy[2100:2900, 0]
    assert page.trace[:, int(x[0]) : int(x[-1])].max() == 0
    assert np.isnan(page.segments[0].mv[2500])


def test_mixed_gain_applies_to_the_chest_leads() -> None:
    style = PageStyle(chest_gain_mm_per_mv=5.0)
    page = draw_page(_record(), layout(12, 1), style)
    heights = {s.lead: np.ptp(s.xy[:, 1]) / np.ptp(s.mv) for s in page.segments}
    assert heights["V3"] == pytest.approx(heights["II"] / 2)


def test_pulse_is_one_millivolt_high() -> None:
    page = draw_page(_record(), layout(1, 1, order=("I",)), PageStyle(gain_mm_per_mv=20.0))
    rows = np.flatnonzero(page.pulse.max(axis=1) > 200)
    assert (rows[-1] - rows[0]) / page.px_per_mm == pytest.approx(20.0, abs=0.5)


def test_same_input_same_bytes() -> None:
    first, second = (draw_page(_record(), LAYOUTS["3x4+1"]).image for _ in range(2))
    assert first.tobytes() == second.tobytes()


def test_unknown_lead_is_refused() -> None:
    with pytest.raises(ValueError, match="no such layout"):
        layout(3, 4, order=("I", "V7"))
