from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_hearts import R_MV, RECORDS, as_3x4, train

from ecg4u.explain import explain, measure_features
from ecg4u.explain.morphology import qrs_shape
from ecg4u.io import read_record
from ecg4u.record import LEADS, ECGRecord


@pytest.mark.parametrize("rr_s", [0.6, 0.8, 1.2])
def test_rate_is_the_designed_one(rr_s):
    assert measure_features(train(rr_s=rr_s)).value("rate") == pytest.approx(60 / rr_s, abs=0.5)


@pytest.mark.parametrize("pr_s", [0.14, 0.18, 0.24])
def test_pr_follows_the_design(pr_s):
    pr = measure_features(train(pr_s=pr_s, rr_s=1.0)).value("pr")
    assert pr == pytest.approx(1000 * pr_s, abs=25)


def test_qrs_width_grows_with_the_design():
    narrow = measure_features(train(half_qrs_s=0.04)).value("qrs")
    wide = measure_features(train(half_qrs_s=0.07)).value("qrs")
    assert wide - narrow == pytest.approx(60, abs=30)


def test_axis_and_r_amplitude(sinus):
    features = measure_features(sinus)
    assert features.value("axis") == pytest.approx(55, abs=12)
    for lead in ("II", "V4", "V5"):
        assert features.lead_value(lead, "r") == pytest.approx(R_MV[lead], abs=0.05)


def test_st_levels_are_measured_per_lead():
    features = measure_features(train(st_mv={"II": 0.2, "V5": -0.1}))
    assert features.lead_value("II", "st60") == pytest.approx(0.2, abs=0.03)
    assert features.lead_value("V5", "st60") == pytest.approx(-0.1, abs=0.03)
    assert features.lead_value("V1", "st60") == pytest.approx(0.0, abs=0.03)


def test_no_p_waves_and_irregular_rr_read_as_fibrillation():
    rng = np.random.default_rng(3)
    times = 0.5 + np.cumsum(rng.uniform(0.45, 1.1, 11))
    result = explain(train(p_scale=0.0, r_times=times[times < 9.6]), classes=())
    decided = {c.class_name: c.outcome for c in result.criteria if c.decides}
    assert decided["AF"] == "met"
    assert result.features.globals["pr"].value is None
    assert "P" in result.features.globals["pr"].reason


def test_a_ventricular_beat_is_wide_and_of_another_shape():
    record = read_record(RECORDS / "ptbxl_01416.hea")
    beats = measure_features(record).beats
    early = [b for b in beats if b.kind == "PVC"]
    usual = [b for b in beats if b.kind == "usual"]
    assert len(early) >= 1
    assert len(usual) > len(early)
    assert min(b.width_ms for b in early) > max(np.median([b.width_ms for b in usual]), 110)


def test_a_3x4_page_gives_nearly_the_same(sinus):
    whole, page = measure_features(sinus), measure_features(as_3x4(sinus))
    for name, tolerance in (("rate", 0.5), ("pr", 15), ("qrs", 15), ("qt", 20), ("axis", 10)):
        assert page.value(name) == pytest.approx(whole.value(name), abs=tolerance)
    for lead in LEADS:
        expected = whole.lead_value(lead, "st60")
        assert page.lead_value(lead, "st60") == pytest.approx(expected, abs=0.04)


def test_a_page_without_rhythm_strip_still_has_every_beat(sinus):
    assert len(measure_features(as_3x4(sinus, rhythm=())).beats) == len(
        measure_features(sinus).beats
    )


def test_sampling_frequency_does_not_matter(sinus):
    slow = measure_features(train(fs=250.0))
    fast = measure_features(train(fs=1000.0))
    for name, tolerance in (("rate", 0.5), ("pr", 15), ("qrs", 12)):
        assert slow.value(name) == pytest.approx(fast.value(name), abs=tolerance)


def test_unknown_features_say_why():
    only_v1 = np.full((5000, 12), np.nan)
    only_v1[:, 6] = train().lead("V1")
    features = measure_features(ECGRecord(only_v1))
    assert features.globals["axis"].value is None
    assert features.globals["axis"].reason
    assert features.leads["II"].features["r"].reason


@pytest.mark.parametrize("value", [np.nan, 0.0, 1.0])
@pytest.mark.parametrize("samples", [1, 7, 300, 5000])
def test_flat_or_empty_signals_give_reasons_not_errors(value, samples):
    result = explain(ECGRecord(np.full((samples, 12), value)), classes=())
    assert result.features.globals["rate"].value is None
    assert all(c.outcome == "cannot tell" for c in result.criteria if c.decides)
    assert result.reading


gaps = st.lists(
    st.tuples(st.integers(0, 11), st.integers(0, 4999), st.integers(1, 5000)), max_size=20
)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(gaps=gaps, cut=st.integers(40, 5000), hidden=st.sets(st.integers(0, 11)))
def test_no_pattern_of_gaps_breaks_it(sinus, gaps, cut, hidden):
    signal = sinus.p_signal.copy()
    for lead, start, length in gaps:
        signal[start : start + length, lead] = np.nan
    signal[:, sorted(hidden)] = np.nan
    result = explain(ECGRecord(signal[:cut], 500.0), classes=())
    for feature in result.features.globals.values():
        assert (feature.value is None) == bool(feature.reason)
        assert feature.value is None or np.isfinite(feature.value)
    result.to_dict()


def test_noise_alone_does_not_break_it():
    noise = np.random.default_rng(1).normal(0, 0.5, (5000, 12))
    explain(ECGRecord(noise), classes=()).to_dict()


def test_same_input_same_explanation(sinus):
    assert explain(sinus, classes=()).to_dict() == explain(sinus, classes=()).to_dict()


def test_evidence_lies_where_the_page_shows_something(sinus):
    page = as_3x4(sinus)
    for sentence in explain(page, classes=()).reading:
        for place in sentence.evidence:
            assert 0 <= place.start_s < place.end_s <= page.duration_s + 0.1
            if place.lead is not None:
                a, b = (round(x * page.fs) for x in (place.start_s, place.end_s))
                assert np.isfinite(page.lead(place.lead)[a:b]).mean() > 0.85


def test_sections_stand_in_reading_order(sinus):
    order = ["Rate", "Rhythm", "Axis", "Intervals", "QRS", "ST-T", "Conclusion"]
    found = list(dict.fromkeys(s.section for s in explain(sinus, classes=()).reading))
    assert found == order


@pytest.mark.parametrize(("first_r", "q"), [(0.08, False), (0.02, True), (0.0, True)])
def test_a_small_r_before_a_deep_s_is_no_q_wave(first_r: float, q: bool) -> None:
    """A complex of 5 mV whose r is a fiftieth of its S (page 03 of ecg-image-kit's)."""
    beat = np.zeros(100)
    beat[40:46] = first_r * np.hanning(6) / np.hanning(6).max()
    beat[46:76] = -5.2 * np.hanning(30)
    shape = qrs_shape(beat, 39.0, 78.0)
    assert shape is not None
    assert (shape.q is not None) == q
    assert (shape.r is None) == q
    if not q:
        assert shape.s is not None
        assert shape.s.mv == pytest.approx(-5.2, abs=0.1)


def test_a_qs_is_as_deep_as_its_deepest_place() -> None:
    beat = np.zeros(100)
    beat[40:52] = -0.35 * np.hanning(12)
    beat[48:72] -= 1.1 * np.hanning(24)
    shape = qrs_shape(beat, 39.0, 73.0)
    assert shape is not None
    assert shape.q is not None
    assert shape.r is None
    assert shape.q.mv == pytest.approx(beat.min(), abs=0.1)
