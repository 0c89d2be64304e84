"""NeuroKit2 beside our own features: values where it works, reasons where it would raise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_hearts import as_3x4, train

from ecg4u.explain import explain, measure_features
from ecg4u.explain.neurokit import (
    UNITS,
    agreement,
    disagreement,
    longest_stretch,
    neurokit_features,
)
from ecg4u.record import LEADS, ECGRecord


def test_it_finds_the_beats_that_were_drawn(sinus: ECGRecord) -> None:
    found = measure_features(sinus, neurokit=True)
    assert found.value("nk_beats") == found.value("beats")
    assert found.value("nk_agreement") == 1.0
    assert found.value("nk_rr_cvsd") == pytest.approx(found.value("rr_irregularity"), abs=0.02)
    assert found.value("nk_p_share") > 0.8


def test_irregular_rhythm_raises_each_measure_of_it() -> None:
    times = 0.5 + np.cumsum(np.random.default_rng(1).uniform(0.5, 1.1, 30))
    irregular = measure_features(train(r_times=times[times < 9.4]), neurokit=True)
    regular = measure_features(train(), neurokit=True)
    for key in ("nk_rr_cvsd", "nk_rr_cvnn"):
        assert irregular.value(key) > regular.value(key) + 0.1
    assert 1.0 < irregular.value("nk_rr_shannon") <= np.log2(6) + 1e-9  # bits of six bins


def test_a_page_is_read_on_its_rhythm_strip(sinus: ECGRecord) -> None:
    found = measure_features(as_3x4(sinus), neurokit=True)
    assert found.value("nk_beats") == found.value("beats")


@pytest.mark.parametrize(
    ("name", "signal"),
    [
        ("flat", np.zeros((5000, 12))),
        ("short", np.random.default_rng(0).normal(0, 0.1, (1000, 12))),
        ("nothing", np.full((5000, 12), np.nan)),
        ("one step", np.repeat(np.arange(5000)[:, None] > 2500, 12, axis=1).astype(float)),
    ],
)
def test_what_it_cannot_measure_is_unknown_with_a_reason(name: str, signal: np.ndarray) -> None:
    found = measure_features(ECGRecord(signal), neurokit=True).globals
    for key in UNITS:
        assert found[key].value is not None or found[key].reason, (name, key)
    assert found["nk_rr_cvsd"].value is None
    if name == "flat":
        assert found["nk_beats"].reason == "the lead is flat"


def test_it_is_measured_only_when_asked_for(sinus: ECGRecord) -> None:
    assert "nk_beats" not in measure_features(sinus).globals
    assert "nk_beats" in explain(sinus, classes=(), neurokit=True).features.globals


def test_the_longest_stretch_is_that_of_lead_ii_where_others_show_as_much() -> None:
    signal = np.zeros((5000, 12))
    found = longest_stretch(signal)
    assert found is not None
    assert LEADS[found[0]] == "II"
    signal[2000, :] = np.nan
    signal[:, 6] = 0.0
    assert longest_stretch(signal) == (6, slice(0, 5000))


def test_disagreement_is_said() -> None:
    features = dict(measure_features(train(), neurokit=True).globals)
    assert disagreement(features) == ()
    features["nk_agreement"] = replace(features["nk_agreement"], value=0.8)
    assert [found.parameters["percent"] for found in disagreement(features)] == [80.0]


def test_agreement_is_f1_within_75_ms() -> None:
    ours = np.array([100.0, 500.0, 900.0])
    assert agreement(ours, np.array([100, 537, 900])) == 1.0
    assert agreement(ours, np.array([100, 539, 900])) == pytest.approx(2 / 3)
    assert agreement(ours, np.array([100, 900])) == pytest.approx(0.8)
    assert agreement(ours, np.array([], dtype=int)) == 0.0
    twice = np.array([100, 480, 510, 900])  # two of theirs near one of ours: one agrees
    assert agreement(ours, twice) == pytest.approx(6 / 7)
    assert agreement(twice.astype(float), ours.astype(int)) == pytest.approx(6 / 7)


@given(st.lists(st.integers(200, 900), min_size=1, max_size=12), st.integers(0, 37))
def test_the_same_beats_agree_and_those_of_another_time_do_not(rr: list[int], off: int) -> None:
    r = np.cumsum(rr)
    assert agreement(r.astype(float), r + off) == 1.0
    assert agreement(r.astype(float), r + 100) == 0.0


def test_beats_are_compared_at_their_time_where_the_lead_begins_late(sinus: ECGRecord) -> None:
    signal = sinus.p_signal.copy()
    signal[: round(2.1 * sinus.fs)] = np.nan
    found = measure_features(ECGRecord(signal, sinus.fs), neurokit=True)
    assert found.value("nk_agreement") > 0.9  # of the first beat it sees half


@pytest.mark.parametrize(("seconds", "known"), [(4.9, False), (5.2, True)])
def test_five_seconds_without_a_gap_are_needed(seconds: float, known: bool) -> None:
    signal = train().p_signal[: round(seconds * 500)]
    found = measure_features(ECGRecord(signal), neurokit=True).globals["nk_beats"]
    assert (found.value is not None) == known
    assert known or found.reason == "no lead shows 5 s without a gap"


@pytest.mark.parametrize(("rr_s", "known"), [(1.5, False), (1.0, True)])
def test_irregularity_needs_five_beats(rr_s: float, known: bool) -> None:
    record = train(rr_s=rr_s, duration_s=6.0)
    found = measure_features(record, neurokit=True).globals
    assert found["nk_beats"].value == found["beats"].value
    assert (found["nk_rr_cvnn"].value is not None) == known
    assert known or "fewer than five beats" in found["nk_rr_cvnn"].reason


def test_each_measure_is_that_of_the_rr_intervals() -> None:
    import neurokit2 as nk

    times = 0.5 + np.cumsum(np.tile([0.7, 0.8, 0.9, 0.8], 10))
    lead = train(r_times=times, duration_s=34.0).p_signal
    found = {key: feature.value for key, feature in neurokit_features(lead, 500 * times).items()}
    clean = nk.ecg_clean(lead[:, 1], sampling_rate=500)
    rr_ms = 2.0 * np.diff(nk.ecg_peaks(clean, sampling_rate=500)[1]["ECG_R_Peaks"])
    assert found["nk_beats"] == len(times)
    assert found["nk_agreement"] == 1.0
    assert found["nk_rr_cvnn"] == pytest.approx(rr_ms.std(ddof=1) / rr_ms.mean())
    assert found["nk_rr_cvsd"] == pytest.approx(0.1 / 0.8, rel=0.02)
    assert found["nk_rr_sampen"] == pytest.approx(nk.entropy_sample(rr_ms)[0])
    share = np.histogram(rr_ms, 6)[0] / len(rr_ms)
    share = share[share > 0]
    assert found["nk_rr_shannon"] == pytest.approx(-(share * np.log2(share)).sum(), abs=0.35)
    assert 0 < found["nk_quality"] <= 1
    assert 0.8 < found["nk_p_share"] <= 1
