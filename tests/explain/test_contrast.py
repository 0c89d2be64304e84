from __future__ import annotations

import numpy as np
import pytest
from made_hearts import RECORDS, as_3x4, bump, train

from ecg4u.explain import edits, explain, measure_features
from ecg4u.explain.features import features
from ecg4u.explain.measure import measure_record
from ecg4u.io import read_record
from ecg4u.model import Classification, ClassResult
from ecg4u.record import CLASSES, ECGRecord


def subject(record: ECGRecord) -> edits.Subject:
    measured = measure_record(record)
    return edits.Subject(measured.signal, features(measured), measured.median)


def again(edited: np.ndarray | None):
    assert edited is not None
    return measure_features(ECGRecord(edited, 500.0))


@pytest.mark.parametrize("pr_s", [0.14, 0.22, 0.28])
def test_pr_is_brought_to_160_ms(pr_s):
    edited = edits.normal_pr(subject(train(pr_s=pr_s, rr_s=1.0)))
    assert again(edited).value("pr") == pytest.approx(160, abs=25)


def test_the_qrs_becomes_narrow_and_stays_in_place():
    wide = train(half_qrs_s=0.08)
    found = again(edits.narrow_qrs(subject(wide)))
    before = measure_features(wide)
    assert found.value("qrs") < before.value("qrs") - 20
    assert found.value("rate") == pytest.approx(before.value("rate"), abs=0.5)


def test_st_segments_come_to_the_baseline():
    raised = train(st_mv={"V2": 0.25, "II": -0.15})
    found = again(edits.level_st(subject(raised)))
    for lead in ("V2", "II"):
        assert found.lead_value(lead, "st60") == pytest.approx(0, abs=0.04)


def test_fibrillation_becomes_regular_with_p_waves():
    rng = np.random.default_rng(3)
    times = 0.5 + np.cumsum(rng.uniform(0.5, 1.1, 11))
    af = train(p_scale=0.0, r_times=times[times < 9.6])
    assert measure_features(af).value("rr_change") > 0.08
    found = again(edits.sinus_rhythm(subject(af)))
    assert found.value("rr_change") < 0.05
    assert found.value("p_presence") > 0.5


def test_ventricular_beats_are_replaced():
    record = read_record(RECORDS / "ptbxl_01416.hea")
    edited = edits.without("PVC")(subject(record))
    assert measure_features(record).value("pvc") >= 1
    assert again(edited).value("pvc") == 0


def test_an_overlooked_beat_in_a_long_gap_becomes_the_usual_one():
    times = np.array([0.6, 1.4, 2.2, 3.0, 4.6, 5.4, 6.2, 7.0, 7.8, 8.6])
    record = train(r_times=times)
    t = np.arange(record.n_samples) / record.fs
    record = ECGRecord(record.p_signal + 0.8 * bump(t, 3.8, 0.3)[:, None], record.fs)
    assert len(measure_features(record).beats) == len(times)
    found = again(edits.as_usual(subject(record)))
    assert len(found.beats) == len(times) + 1
    assert np.ptp(found.rr_s) < 0.05


def test_nothing_to_edit_is_said(sinus):
    assert edits.without("PVC")(subject(sinus)) is None
    assert edits.narrow_qrs(subject(train(half_qrs_s=0.03))) is None


@pytest.mark.parametrize(
    "edit", [edits.normal_pr, edits.level_st, edits.with_p_waves, edits.without("PVC")]
)
def test_edits_show_only_what_the_page_shows(edit):
    page = as_3x4(read_record(RECORDS / "ptbxl_01416.hea"))
    whole = subject(page)
    edited = edit(whole)
    if edited is not None:
        hidden = ~np.isfinite(whole.signal).any(axis=0)
        assert not np.isfinite(edited[:, hidden]).any()
        share = np.isfinite(edited).mean() - np.isfinite(whole.signal).mean()
        assert abs(share) < 0.01


class ByST:
    """Log-odds that follow the J level of V2 after each R peak of the plain train."""

    def log_odds(self, inputs):
        level = np.asarray(inputs)[:, 7, 56::80][:, :10].mean(axis=1, keepdims=True)
        return np.repeat(20.0 * level - 1.0, len(CLASSES), axis=1).astype(float)


def opinion(name: str) -> Classification:
    results = tuple(ClassResult(c, 0.9 if c == name else 0.01, 0.5, c == name, 0.8, 0.9)
                    for c in CLASSES)  # fmt: skip
    return Classification(results, "ok", (), "test")


def test_the_network_is_asked_again():
    raised = train(st_mv={"V2": 0.4, "V3": 0.4})
    result = explain(raised, opinion("STE"), classifier=ByST())
    (asked,) = (c for c in result.contrasts if c.by == "network")
    assert asked.turns
    assert asked.before > 0.5 > asked.after
    assert asked.turns
    assert "the answer would change" in asked.text
    other = explain(raised, opinion("I-AVB"), classifier=ByST())
    (asked,) = (c for c in other.contrasts if c.by == "network")
    assert not asked.turns
    assert "does not rely on this" in asked.text


def test_the_criterion_nearest_to_its_limit_is_named():
    result = explain(train(pr_s=0.26, rr_s=1.0), opinion("I-AVB"), classifier=ByST())
    (told,) = (c for c in result.contrasts if c.class_name == "I-AVB" and c.by == "criteria")
    assert "closest to its limit is PR, 262" in told.text
    assert "200 ms" in told.text


def test_st_elevation_falls_with_the_weaker_lead_of_its_strongest_pair():
    raised = train(st_mv={"V2": 0.4, "V3": 0.55, "V4": 0.35})
    result = explain(raised, opinion("STE"), classifier=ByST())
    (told,) = (c for c in result.contrasts if c.class_name == "STE" and c.by == "criteria")
    assert "the ST level in V4 (weaker lead of the strongest pair, V3 and V4), " in told.text
