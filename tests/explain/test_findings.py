"""Urgent findings by measurement, and the order of the summary."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_hearts import train

from ecg4u.explain import explain
from ecg4u.explain.criteria import Patient, evaluate
from ecg4u.explain.findings import leads_in_words, measured_findings, no_q_wave_in
from ecg4u.explain.places import Places
from ecg4u.explain.result import (
    Beat,
    CriterionResult,
    Feature,
    Features,
    LeadFeatures,
    MeasuredFinding,
)
from ecg4u.explain.summary import Line, first_line, summarize
from ecg4u.model import Classification, ClassResult
from ecg4u.record import CLASSES, LEADS

NORMAL = {
    "rate": 70.0, "pr": 160.0, "qrs": 90.0, "qt": 380.0, "qtc_bazett": 410.0,
    "qtc_fridericia": 405.0, "axis": 40.0, "p_axis": 50.0, "p_presence": 0.95,
    "p_correlation": 0.9, "rr_change": 0.02, "pvc": 0.0, "pac": 0.0,
}  # fmt: skip
LEAD = {"qrs_area": 20.0, "r": 1.0, "j": 0.0, "st60": 0.02, "st_slope": 0.0, "t": 0.3,
        "r_peak_time": 40.0, "notches": 0.0, "slurred": 0.0, "rsr": 0.0,
        "terminal": -0.1}  # fmt: skip
WAVES = {"P on": -0.2, "P off": -0.1, "QRS on": -0.04, "QRS off": 0.05, "T off": 0.36}


def found(
    leads: dict[str, dict[str, float]] | None = None,
    *,
    rr_s: float = 1.0,
    sd_ms: float = 5.0,
    **values: float | None,
) -> dict[str, MeasuredFinding]:
    features, criteria = measured(leads, rr_s=rr_s, sd_ms=sd_ms, **values)
    places = Places(np.ones((20_000, 12), dtype=bool), features)
    return {f.code: f for f in measured_findings(features, criteria, places, Patient())}


def measured(
    leads: dict[str, dict[str, float]] | None = None,
    *,
    rr_s: float = 1.0,
    sd_ms: float = 5.0,
    **values: float | None,
) -> tuple[Features, tuple[CriterionResult, ...]]:
    globals_ = {
        name: Feature(name, value, "", sd_ms if name in ("qrs", "qtc_bazett") else None)
        if value is not None
        else Feature.unknown(name, "not shown")
        for name, value in (NORMAL | values).items()
    }
    per_lead = {}
    for lead in LEADS:
        own = LEAD | ({"qrs_area": -20.0, "s": -1.2} if lead in ("V1", "V2", "aVR") else {})
        own = own | (leads or {}).get(lead, {})
        per_lead[lead] = LeadFeatures(lead, 5, {k: Feature(k, v) for k, v in own.items()})
    times = np.arange(1, 9) * rr_s
    beats = tuple(Beat(t, t - 0.04, t + 0.05, "usual", 1.0, 1.0, 1.0) for t in times)
    features = Features(globals_, per_lead, beats, (rr_s,) * 7, WAVES)
    places = Places(np.ones((20_000, 12), dtype=bool), features)
    return features, evaluate(features, Patient(), places)


def test_a_normal_ecg_has_no_finding() -> None:
    assert found() == {}


def test_a_fast_wide_rhythm_without_p_waves_is_urgent_and_likely() -> None:
    one = found(rate=154.0, qrs=150.0, p_presence=0.2, pr=None)["wide_complex_tachycardia"]
    assert (one.level, one.certainty) == ("urgent", "likely")
    assert one.title == "Wide-complex tachycardia, 154 per minute"
    assert "QRS 150 ± 5" in one.numbers
    assert "ventricular tachycardia" in one.note


@pytest.mark.parametrize(
    ("values", "certainty"),
    [
        ({"rate": 130.0, "qrs": 150.0}, "possible"),
        ({"rate": 130.0, "qrs": 122.0, "p_presence": 0.2, "pr": None}, "possible"),
        ({"rate": 110.0, "qrs": 150.0}, None),
        ({"rate": 130.0, "qrs": 118.0}, None),
        ({"rate": 99.0, "qrs": 150.0, "p_presence": 0.2, "pr": None}, None),
    ],
)
def test_how_sure_a_wide_fast_rhythm_is(values: dict[str, float], certainty: str | None) -> None:
    one = found(**values).get("wide_complex_tachycardia")
    assert (None if one is None else one.certainty) == certainty


def test_st_elevation_names_its_leads_and_wall() -> None:
    one = found({"II": {"j": 0.2}, "III": {"j": 0.25}, "aVF": {"j": 0.22}})["st_elevation"]
    assert one.title == "ST elevation in II, III and aVF (inferior)"
    assert one.certainty == "likely"
    assert "III J +0.25 mV" in one.numbers
    near = found({"II": {"j": 0.12}, "III": {"j": 0.13}, "aVF": {"j": 0.12}})["st_elevation"]
    assert near.certainty == "possible"


def test_st_elevation_that_a_wide_qrs_explains_is_not_urgent() -> None:
    against = {"qrs_area": -20.0, "s": -2.0, "j": 0.3}
    assert "st_elevation" not in found({"V1": against, "V2": against}, qrs=150.0)
    excessive = against | {"j": 0.6}
    assert found({"V1": excessive, "V2": excessive}, qrs=150.0)["st_elevation"].certainty == (
        "possible"
    )


@pytest.mark.parametrize(
    ("bazett", "fridericia", "urgent"),
    [(520.0, 510.0, True), (520.0, 490.0, False), (499.0, 499.0, False)],
)
def test_qtc_over_500_needs_both_formulas(bazett: float, fridericia: float, urgent: bool) -> None:
    codes = found(qtc_bazett=bazett, qtc_fridericia=fridericia)
    assert ("qtc_over_500" in codes) == urgent
    assert ("qtc_prolonged" in codes) == (not urgent)


def test_slow_rates_and_pauses_are_urgent() -> None:
    assert found(rate=38.0)["bradycardia_severe"].level == "urgent"
    assert found(rate=45.0)["bradycardia"].level == "other"
    assert found(rr_s=3.2, rate=45.0)["pause"].title == "Pause of 3.2 s"


def test_a_slow_regular_rhythm_without_p_waves_may_be_complete_av_block() -> None:
    one = found(rate=42.0, p_presence=0.2, pr=None)["escape_rhythm"]
    assert (one.level, one.certainty) == ("urgent", "possible")
    assert "complete AV block" in one.note
    marching = found(rate=42.0, p_correlation=0.14)  # P waves are seen, at no fixed distance
    assert "escape_rhythm" in marching
    assert "bradycardia" not in marching  # it is told already
    for other in (
        {"rate": 42.0},
        {"rate": 42.0, "p_presence": 0.2, "rr_change": 0.3},
        {"rate": 55.0, "p_presence": 0.2},
    ):
        assert "escape_rhythm" not in found(**other)
    assert "escape_rhythm" in found(rate=55.0, p_presence=0.2, qrs=150.0)


def opinion(verdict: str = "ok", **positive: float) -> Classification:
    rows = tuple(
        ClassResult(name, positive.get(name, 0.02), 0.3, name in positive, 0.9, 0.95)
        for name in CLASSES
    )
    return Classification(rows, verdict, (), "m")  # type: ignore[arg-type]


def kinds(lines: tuple[Line, ...]) -> list[str]:
    return [line.kind for line in lines]


URGENT = MeasuredFinding("pause", "urgent", "Pause of 3.2 s", "from 1 to 4 s", "likely")
OTHER = MeasuredFinding("axis_left", "other", "Left axis deviation", "-45°", "likely")


def why(*findings: MeasuredFinding):
    return replace(explain(train(), classes=()), findings=findings, criteria=())


def test_the_summary_goes_from_urgent_to_doubt() -> None:
    lines = summarize(opinion(AF=0.9, PVC=0.35, Normal=0.5), why(URGENT, OTHER))
    assert kinds(lines) == ["urgent", "class", "class", "other", "doubt"]
    assert [line.code for line in lines[:3]] == ["pause", "AF", "PVC"]
    assert [line.certainty for line in lines[1:3]] == ["likely", "possible"]
    assert "contradicts" in lines[-1].detail


def test_none_is_never_the_first_line_over_a_finding() -> None:
    assert kinds(summarize(opinion(), why(URGENT))) == ["urgent", "none"]
    assert kinds(summarize(opinion(), why(OTHER))) == ["other", "none"]
    assert kinds(summarize(opinion(), why())) == ["none"]
    assert kinds(summarize(opinion(Normal=0.9), why())) == ["normal"]
    assert first_line(summarize(opinion(), why(URGENT))).startswith("Pause of 3.2 s; ")


def test_none_is_not_said_where_an_urgent_finding_tells_the_class_that_was_found() -> None:
    measured = MeasuredFinding("st_elevation", "urgent", "ST elevation", "V3 J +0.4 mV", "likely")
    assert kinds(summarize(opinion(STE=0.6), why(measured))) == ["urgent"]
    assert kinds(summarize(opinion(), why(measured))) == ["urgent", "none"]


def test_other_findings_of_the_network_stand_with_the_measured_ones_and_none_twice() -> None:
    paced, fast = (
        ClassResult(name, 0.8, 0.3, True, 0.9, 0.95) for name in ("pacemaker", "sinus tachycardia")
    )
    said = replace(opinion(), other_findings=(paced, fast))
    measured = replace(OTHER, code="tachycardia", title="Tachycardia")
    lines = summarize(said, why(measured))
    assert [line.title for line in lines if line.kind == "other"] == ["Tachycardia", "Paced rhythm"]


def test_a_block_is_never_both_complete_and_incomplete() -> None:
    row = ClassResult("incomplete RBBB", 0.9, 0.3, True, 0.9, 0.95)
    alone = summarize(replace(opinion(), other_findings=(row,)), why())
    assert str(alone[0]).startswith("Incomplete right bundle branch block (likely)")
    both = summarize(replace(opinion(RBBB=0.9), other_findings=(row,)), why())
    assert [line.certainty for line in both] == ["likely", ""]
    assert "may be incomplete" in both[1].title


def test_what_is_no_ecg_has_no_findings() -> None:
    lines = summarize(replace(opinion("unreadable"), reasons=("Noise.",)), why(URGENT))
    assert kinds(lines) == ["unreadable"]
    assert lines[0].detail == "Noise."


DEEP = {lead: {"q": -0.4, "r": 0.5} for lead in ("III", "aVF")}


@pytest.mark.parametrize(
    ("values", "where"),
    [
        ({"qrs": 100.0}, ""),
        ({"qrs": 122.0}, ""),
        ({"qrs": 150.0}, "a wide QRS other than right bundle branch block"),
        ({"qrs": 150.0, "rate": 154.0, "pr": None}, "a wide-complex tachycardia"),
    ],
)
def test_q_waves_tell_an_infarction_only_in_the_usual_order_of_activation(
    values: dict[str, float | None], where: str
) -> None:
    one = found(DEEP, **values).get("q_waves")
    assert (one is None) == bool(where)
    features, criteria = measured(DEEP, **values)
    assert no_q_wave_in(features, criteria) == where
    said = replace(opinion(), other_findings=BEYOND)
    explanation = replace(why(), features=features, criteria=criteria)
    lines = summarize(said, explanation)
    titles = [line.title for line in lines]
    assert ("Inferior infarction" in titles) == (not where)
    assert ("Left anterior fascicular block" in titles) == (not where)
    if where:
        (line,) = (line for line in lines if line.title == f"Cannot be judged in {where}")
        assert line.kind == "open"
        assert line.detail == (
            "inferior infarction (network 90 %), left anterior fascicular block (network 80 %), "
            "Q waves (III -0.40 mV, aVF -0.40 mV)"
        )


BEYOND = tuple(
    ClassResult(name, probability, 0.3, True, 0.9, 0.95)
    for name, probability in (
        ("inferior infarction", 0.9),
        ("left anterior fascicular block", 0.8),
    )
)


def test_infarction_is_not_judged_where_the_network_finds_the_other_order() -> None:
    paced = ClassResult("pacemaker", 0.6, 0.3, True, 0.9, 0.95)
    wide, narrow = (
        replace(why(), features=measured(qrs=width)[0], criteria=()) for width in (118.0, 90.0)
    )
    by_pacing = replace(opinion(), other_findings=(*BEYOND, paced))
    by_block = replace(opinion(LBBB=0.9), other_findings=BEYOND)
    for said, where in ((by_pacing, "paced rhythm"), (by_block, "left bundle branch block")):
        assert f"Cannot be judged in {where}" in [x.title for x in summarize(said, wide)]
        assert f"Cannot be judged in {where}" in [x.title for x in summarize(said)]
        assert "Inferior infarction" in [x.title for x in summarize(said, narrow)]


def test_neighbouring_chest_leads_are_told_as_a_range() -> None:
    assert leads_in_words(["V2", "V3", "V4", "I"]) == "I and V2-V4"
    assert leads_in_words(["V5", "V6", "III"]) == "III, V5 and V6"
