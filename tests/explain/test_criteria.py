from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ecg4u.explain import explain
from ecg4u.explain.conclusion import left_open
from ecg4u.explain.conflicts import conflicts
from ecg4u.explain.criteria import (
    CRITERIA,
    Patient,
    criterion,
    decision,
    evaluate,
    st_limits,
)
from ecg4u.explain.places import Places
from ecg4u.explain.reading import read
from ecg4u.explain.result import Attribution, Beat, Feature, Features, LeadFeatures, Player
from ecg4u.model import Classification, ClassResult
from ecg4u.record import CLASSES, LEADS

NORMAL = {
    "rate": 70.0, "pr": 160.0, "qrs": 90.0, "axis": 45.0, "p_axis": 50.0, "qtc_bazett": 410.0,
    "p_presence": 0.98, "rr_change": 0.02, "p_correlation": 0.95, "qt": 380.0,
    "qtc_fridericia": 400.0,
}  # fmt: skip
LEAD = {
    "qrs_area": 20.0, "r": 0.8, "s": -0.2, "s_ms": 20.0, "rsr": 0.0, "notches": 0.0,
    "slurred": 0.0, "r_peak_time": 40.0, "terminal": 0.0, "j": 0.0, "st60": 0.0, "st_slope": 0.0,
    "t": 0.3,
}  # fmt: skip


def features(leads: dict[str, dict[str, float]] | None = None, **values: float | None) -> Features:
    found = {
        name: Feature(name, value) if value is not None else Feature.unknown(name, "not shown")
        for name, value in (NORMAL | values).items()
    }
    per_lead = {}
    for lead in LEADS:
        own = LEAD | ({"qrs_area": -20.0} if lead in ("V1", "V2", "aVR") else {})
        own = own | (leads or {}).get(lead, {})
        per_lead[lead] = LeadFeatures(lead, 5, {k: Feature(k, v) for k, v in own.items()})
    beats = tuple(Beat(t, t - 0.04, t + 0.05, "usual", 1.0, 1.0, 1.0) for t in range(1, 9))
    waves = {"P on": -0.2, "P off": -0.1, "QRS on": -0.04, "QRS off": 0.05, "T off": 0.36}
    return Features(found, per_lead, beats, (1.0,) * 7, waves)


def decide(found: Features, patient: Patient | None = None) -> dict[str, str]:
    places = Places(np.ones((5000, 12), dtype=bool), found)
    results = evaluate(found, patient or Patient(), places)
    return {row.class_name: row.outcome for row in results if row.decides}


def test_every_class_has_criteria_with_source_and_threshold():
    assert {c.class_name for c in CRITERIA} == set(CLASSES)
    assert all(c.source and c.threshold for c in CRITERIA)


def test_normal_values_meet_normal_only():
    assert decide(features()) == {c: "met" if c == "Normal" else "not met" for c in CLASSES}


@pytest.mark.parametrize(
    ("pr", "outcome"),
    [(199.0, "not met"), (200.0, "not met"), (201.0, "met"), (None, "cannot tell")],
)
def test_first_degree_block_is_pr_above_200(pr, outcome):
    assert decide(features(pr=pr))["I-AVB"] == outcome


@pytest.mark.parametrize(
    ("score", "change", "outcome"),
    [(0.1, 0.2, "met"), (0.9, 0.2, "not met"), (0.1, 0.01, "not met"), (0.1, None, "cannot tell")],
)
def test_fibrillation_needs_no_p_and_irregular_rr(score, change, outcome):
    assert decide(features(p_presence=score, rr_change=change))["AF"] == outcome


@pytest.mark.parametrize(("width", "outcome"), [(119.0, "not met"), (120.0, "met")])
def test_right_bundle_branch_block(width, outcome):
    leads = {"V1": {"rsr": 1.0, "r_prime": 0.6, "terminal": 0.3}, "I": {"s_ms": 60.0}}
    assert decide(features(leads, qrs=width))["RBBB"] == outcome


BOTH = {
    "V1": {"rsr": 1.0, "r_prime": 0.3, "qrs_area": -5.0},
    "V2": {"terminal": 0.2},
    "I": {"s_ms": 60.0, "slurred": 1.0},
}


@pytest.mark.parametrize(
    ("late", "left", "right"),
    [
        (0.3, "not met", "met"),
        (-0.3, "met", "not met"),
        (0.02, "cannot tell", "cannot tell"),
    ],
)
def test_both_bundle_branches_are_never_blocked(late, left, right):
    leads = BOTH | {"V1": BOTH["V1"] | {"terminal": late}}
    decided = decide(features(leads, qrs=150.0))
    assert (decided["LBBB"], decided["RBBB"]) == (left, right)


@pytest.mark.parametrize(
    ("width", "sd", "outcome"),
    [(126.0, 14.0, "cannot tell"), (126.0, 8.0, "met"), (114.0, 14.0, "cannot tell"),
     (100.0, 14.0, "not met")],
)  # fmt: skip
def test_a_width_near_the_limit_decides_nothing(width, sd, outcome):
    leads = {"V1": {"rsr": 1.0, "r_prime": 0.6, "terminal": 0.3}, "I": {"s_ms": 60.0}}
    found = features(leads, qrs=width)
    found.globals["qrs"] = Feature("qrs", width, "ms", sd)
    decided = decide(found)
    assert decided["RBBB"] == outcome
    places = Places(np.ones((5000, 12), dtype=bool), found)
    row = next(r for r in evaluate(found, Patient(), places) if r.code == "qrs_duration")
    assert ("within measurement error" in row.numbers) == (outcome == "cannot tell")


def test_left_bundle_branch_block_and_what_it_forbids():
    leads = {lead: {"slurred": 1.0, "r_peak_time": 80.0, "j": -0.2, "st60": -0.2}
             for lead in ("I", "aVL", "V5", "V6")}  # fmt: skip
    decided = decide(features(leads, qrs=150.0))
    assert decided["LBBB"] == "met"
    assert decided["STD"] == "cannot tell"


@pytest.mark.parametrize(
    ("lead", "patient", "limits"),
    [
        ("II", Patient(), (0.1, 0.1)),
        ("V2", Patient(30, "M"), (0.25, 0.25)),
        ("V2", Patient(40, "M"), (0.2, 0.2)),
        ("V3", Patient(70, "F"), (0.15, 0.15)),
        ("V3", Patient(None, "M"), (0.2, 0.25)),
        ("V3", Patient(), (0.15, 0.25)),
        ("V3", Patient(30, None), (0.15, 0.25)),
        ("V3", Patient(60, None), (0.15, 0.2)),
    ],
)
def test_st_elevation_limits_depend_on_sex_and_age(lead, patient, limits):
    assert st_limits(lead, patient) == limits


@pytest.mark.parametrize(
    ("raised", "patient", "outcome"),
    [
        ({"II": 0.112, "aVF": 0.12}, Patient(), "met"),
        ({"II": 0.1, "aVF": 0.12}, Patient(), "cannot tell"),
        ({"II": 0.2}, Patient(), "not met"),
        ({"V2": 0.18, "V3": 0.18}, Patient(60, "F"), "met"),
        ({"V2": 0.18, "V3": 0.18}, Patient(60, "M"), "not met"),
        ({"V2": 0.18, "V3": 0.18}, Patient(), "cannot tell"),
        ({"V2": 0.22, "V3": 0.22}, Patient(35, "M"), "not met"),
    ],
)
def test_st_elevation_needs_two_contiguous_leads(raised, patient, outcome):
    leads = {lead: {"j": value, "st60": value} for lead, value in raised.items()}
    assert decide(features(leads), patient)["STE"] == outcome


@pytest.mark.parametrize(("slope", "outcome"), [(-1.0, "met"), (0.0, "met"), (2.0, "not met")])
def test_st_depression_is_horizontal_or_downsloping(slope, outcome):
    low = {"j": -0.08, "st60": -0.08, "st_slope": slope}
    assert decide(features({"V5": low, "V6": low}))["STD"] == outcome


def test_what_is_left_open_is_said():
    found = features(pr=203.0)
    found.globals["pr"] = Feature("pr", 203.0, "ms", 10.0)
    places = Places(np.ones((5000, 12), dtype=bool), found)
    criteria = evaluate(found, Patient(), places)
    (sentence,) = left_open(criteria)
    assert "first-degree AV block" in sentence.text
    assert "203 ± 10 ms: within measurement error of 200 ms" in sentence.text


BLOCK = {"V1": {"qrs_area": 30.0, "rsr": 1.0, "r_prime": 0.9, "terminal": 0.4},
         "I": {"s_ms": 60.0}}  # fmt: skip


def test_without_p_waves_there_is_no_first_degree_block():
    found = features(pr=None, p_presence=0.05, rr_change=0.2, p_axis=None)
    assert decide(found)["AF"] == "met"
    assert decide(found)["I-AVB"] == "not met"


@pytest.mark.parametrize(
    ("leads", "outcome"), [(("V1", "V2"), "cannot tell"), (("V5", "V6"), "met")]
)
def test_right_bundle_branch_block_lowers_st_in_v1_to_v3_by_itself(leads, outcome):
    lowered = {"j": -0.12, "st60": -0.12, "st_slope": 0.0}
    shapes = {x: BLOCK.get(x, {}) | (lowered if x in leads else {}) for x in LEADS}
    decided = decide(features(shapes, qrs=150.0))
    assert decided["RBBB"] == "met"
    assert decided["STD"] == outcome


@pytest.mark.parametrize(("sex", "outcome"), [("F", "met"), (None, "met"), ("M", "not met")])
def test_a_corrected_qt_of_455_is_long_in_men_only(sex, outcome):
    found = features(qtc_bazett=455.0, qtc_fridericia=455.0)
    places = Places(np.ones((5000, 12), dtype=bool), found)
    rows = evaluate(found, Patient(None, sex), places)
    assert next(r for r in rows if r.code == "qtc").outcome == outcome


def test_where_the_corrections_of_qt_differ_about_the_limit_nothing_is_decided():
    found = features(rate=110.0, qtc_bazett=490.0, qtc_fridericia=440.0)
    assert decide(found)["Normal"] == "not met"  # for its rate
    text = reading(found)
    assert "QTc 490 ms (Bazett), 440 ms (Fridericia): borderline; the two formulas disagree" in text


@pytest.mark.parametrize(
    ("leads", "why"),
    [
        ({"V5": {"t": -0.15}, "V6": {"t": -0.1}}, "T waves (V5 -0.15 mV, V6 -0.10 mV)"),
        ({x: {"q": -0.3} for x in ("III", "aVF")}, "Q waves (III -0.30 mV, aVF -0.30 mV)"),
    ],
)
def test_inverted_t_or_q_waves_keep_an_ecg_from_being_normal(leads, why):
    assert decide(features(leads))["Normal"] == "not met"
    assert f"not normal because of {why}." in reading(features(leads))


def test_a_fast_regular_rhythm_without_marked_p_waves_is_not_left_without_a_word():
    unmarked = replace(features(rate=150.0, pr=None), waves_s={"P on": None, "QRS on": -0.04})
    assert "atrial flutter with 2:1 conduction" in reading(unmarked)
    assert "ventricular tachycardia" not in reading(unmarked)
    wide = features(rate=150.0, pr=None, qrs=150.0)
    assert "ventricular tachycardia" in reading(replace(wide, waves_s=unmarked.waves_s))
    assert "flutter" not in reading(features(rate=150.0))
    unmarked.globals["qrs"] = Feature("qrs", 103.0, "ms", 10.0)
    assert "and ventricular tachycardia if the QRS is wide" in reading(unmarked)


@pytest.mark.parametrize(
    ("rate", "word", "outcome"),
    [(99.6, "100 per minute (normal)", "met"), (100.4, "100 per minute (normal)", "met"),
     (100.6, "101 per minute (tachycardia)", "not met"), (49.7, "50 per minute (normal)", "met")],
)  # fmt: skip
def test_a_rate_is_judged_as_it_is_shown(rate, word, outcome):
    assert word in reading(features(rate=rate))
    assert decide(features(rate=rate))["Normal"] == outcome


def test_p_waves_that_repeat_poorly_are_called_uncertain():
    text = reading(features(p_correlation=0.15, p_presence=0.55))
    assert "P waves uncertain" in text
    assert "speaks against fibrillation" not in text


def test_complexes_of_another_shape_are_told_but_not_those_cut_by_an_end():
    beats = tuple(replace(b, kind="other") if i in (0, 3) else b
                  for i, b in enumerate(features().beats))  # fmt: skip
    text = reading(replace(features(), beats=beats))
    assert "1 QRS complex of different shape at 4.0 s is neither" in text
    assert "Regular rhythm between beats of the predominant shape" in text
    known = np.ones((5000, 12), dtype=bool)
    known[1950:2050] = False
    found = replace(features(), beats=beats)
    criteria = evaluate(found, Patient(), Places(known, found))
    cut = read(found, criteria, (), None, Places(known, found))
    assert not any("another shape" in s.text for s in cut)


def test_a_short_pr_with_a_broad_qrs_points_to_a_delta_wave():
    assert "delta wave" in reading(features(pr=100.0, qrs=118.0))
    assert "delta wave" not in reading(features(pr=100.0, qrs=90.0))


def test_the_shape_of_left_bundle_branch_block_may_be_that_of_a_pacemaker():
    shapes = {x: {"notches": 1.0, "r_peak_time": 80.0} for x in ("I", "aVL", "V5", "V6")}
    found = features(shapes, qrs=150.0)
    assert decide(found)["LBBB"] == "met"
    assert "pacing spikes" in reading(found)
    assert "pacing spikes" not in reading(features())


def reading(found: Features, attributions: tuple[Attribution, ...] = (), **odds: float) -> str:
    places = Places(np.ones((5000, 12), dtype=bool), found)
    opinion = Classification(
        tuple(
            ClassResult(c, odds.get(c, 0.01), 0.1, odds.get(c, 0.01) >= 0.1, 0.9, 0.9)
            for c in CLASSES
        ),
        "ok",
        (),
        "made up",
    )
    criteria = evaluate(found, Patient(), places)
    return " ".join(s.text for s in read(found, criteria, attributions, opinion, places))


def without_st(*leads: str) -> Features:
    found = features({"V4": {"j": 0.05}, "V6": {"j": -0.09}})
    for lead in leads:
        for name in ("j", "st60"):
            found.leads[lead].features[name] = Feature.unknown(name, "not shown")
    return found


def test_st_elevation_is_not_denied_where_it_could_hide():
    places = Places(np.ones((5000, 12), dtype=bool), features())
    rows = evaluate(without_st("V1", "V2", "V3"), Patient(), places)
    assert decision(rows, "STE").outcome == "cannot tell"
    numbers = criterion(rows, "STE", "st_elevation").numbers
    assert numbers.startswith("V1, V2 and V3 not measurable; V4 J +0.05")
    # One lead alone cannot make two contiguous ones where its neighbours show nothing.
    assert decide(without_st("V2"))["STE"] == "not met"


def test_a_value_too_near_to_its_limit_is_borderline_in_words_too():
    found = features(pr=203.0, qrs=121.0)
    for name in ("pr", "qrs"):
        found.globals[name] = Feature(name, found.value(name), "ms", 10.0)
    text = reading(found)
    assert "PR 203 ± 10 ms (borderline;" in text
    assert "QRS duration 121 ± 10 ms (borderline;" in text
    assert "(long;" not in text


def test_a_class_under_a_half_that_the_measurements_find_is_not_called_absent():
    raised = {"j": 0.3, "st60": 0.3, "t": 0.4}
    text = reading(features({x: raised for x in ("II", "aVF")}), STE=0.12)
    assert (
        "Possible according to the network, with measured criteria met: ST elevation (12 %, "
        "threshold 10 %" in text
    )
    assert "more likely absent" not in text


def test_deep_q_waves_are_told_in_contiguous_leads_only():
    deep = {"q": -0.4, "r": 0.5}
    told = "Pathological Q waves in II and aVF"
    assert told in reading(features({"II": deep, "aVF": deep}))
    assert "Q waves" not in reading(features({"II": deep, "V5": deep}))
    assert "Q waves" not in reading(features({"V1": deep, "V2": deep}))


def test_q_waves_of_left_bundle_branch_block_are_said_to_tell_nothing():
    block = {"qrs_area": 40.0, "slurred": 1.0, "r_peak_time": 80.0, "st60": -0.05}
    leads = {lead: block for lead in ("I", "aVL", "V5", "V6")}
    leads |= {lead: {"q": -0.4, "r": 0.0} for lead in ("III", "aVF")} | {"V1": {"terminal": -0.5}}
    found = features(leads, qrs=150.0)
    assert decide(found)["LBBB"] == "met"
    text = reading(found)
    assert (
        "Q waves in III and aVF (III QS -0.40 mV, aVF QS -0.40 mV) are not diagnostic of "
        "infarction in left bundle branch block." in text
    )
    assert "Pathological" not in text
    assert "not normal because of QRS 150" not in text


def test_a_class_under_a_half_is_called_possible_and_not_found():
    text = reading(features(), STD=0.2, AF=0.8)
    assert "Likely according to the network: atrial fibrillation (80 %)." in text
    assert (
        "Possible according to the network (under 50 %, so more likely absent): ST depression "
        "(20 %, threshold 10 %)" in text
    )


def test_normal_beside_a_finding_is_a_contradiction_and_not_one_more_finding():
    text = reading(features(), AF=0.9, Normal=0.6)
    assert "Likely according to the network: atrial fibrillation (90 %)." in text
    assert "also rates this ECG as normal (60 %), which contradicts the findings above" in text
    assert "Likely according to the network: a normal ECG (60 %)." in reading(
        features(), Normal=0.6
    )


def test_early_beats_are_told_even_where_regularity_is_unknown():
    found = features(rr_change=None)
    found = replace(found, beats=(*found.beats, Beat(8.5, 8.4, 8.56, "PVC", 0.2, 0.6, 1.4)))
    text = reading(found)
    assert "Regularity indeterminate" in text
    assert "1 premature ventricular beat with a different, wide QRS at 8.5 s" in text


@pytest.mark.parametrize(("probability", "differ"), [(0.8, 1), (0.2, 0)])
def test_only_what_the_network_finds_likely_can_contradict_the_measurements(probability, differ):
    found = features()
    criteria = evaluate(found, Patient(), Places(np.ones((5000, 12), dtype=bool), found))
    opinion = Classification(
        (ClassResult("STE", probability, 0.1, True, 0.9, 0.9),), "ok", (), "made up"
    )
    told = conflicts(criteria, opinion)
    assert [c.code for c in told] == ["only_by_network"] * differ
    for conflict in told:
        assert conflict.parameters["class_name"] == "STE"
        assert conflict.startswith("ST elevation: found by the network, not by the measurements (")


@pytest.mark.parametrize(
    ("class_name", "values", "reason"),
    [
        ("Normal", {"rate": 27.0}, "rate 27"),
        ("Normal", {"axis": 120.0}, "QRS axis 120"),
        ("AF", {}, "no P waves: P-wave score 0.98; irregular RR: beat-to-beat RR change 0.02"),
        ("LBBB", {"qrs": 150.0}, "broad notched or slurred R"),
    ],
)
def test_no_conflict_says_a_criterion_twice(class_name, values, reason):
    found = features(**values)
    criteria = evaluate(found, Patient(), Places(np.ones((5000, 12), dtype=bool), found))
    opinion = Classification(
        (ClassResult(class_name, 0.9, 0.1, True, 0.9, 0.9),), "ok", (), "made up"
    )
    (told,) = conflicts(criteria, opinion)
    assert f"({reason}" in told
    assert "V1: " not in told
    if class_name == "Normal":
        assert f"not normal because of {reason}." in reading(found)


def test_conflicts_are_codes_with_the_class_its_probability_and_the_doubt_about_the_network():
    found = features(rr_change=0.3, p_presence=0.1)
    criteria = evaluate(found, Patient(), Places(np.ones((5000, 12), dtype=bool), found))
    rows = (
        ClassResult("AF", 0.1, 0.3, False, 0.4, 0.9),
        ClassResult("Normal", 0.9, 0.5, True, 0.9, 0.9),
        ClassResult("PVC", 0.4, 0.3, True, 0.9, 0.9),
    )
    missed, both = (
        c
        for c in conflicts(criteria, Classification(rows, "ok", (), "made up"))
        if c.code != "only_by_network"
    )
    assert missed.code == "only_by_criteria"
    assert {k: missed.parameters[k] for k in ("class_name", "probability", "threshold")} == {
        "class_name": "AF", "probability": 0.1, "threshold": 0.3,
    }  # fmt: skip
    assert missed == (
        "Atrial fibrillation: measured criteria met (no P waves, irregular RR), but the network "
        "gives only 10 % (threshold 30 %); the network finds only 40 % of the recordings with "
        "this finding."
    )
    assert (both.code, both.parameters) == ("normal_beside_others", {"classes": ["PVC"]})
    assert "incompatible with premature ventricular beats" in both


def test_a_criterion_is_found_by_its_code_whatever_it_is_called():
    keys = [(c.class_name, c.code) for c in CRITERIA]
    assert len(set(keys)) == len(keys)
    found = features(qtc_bazett=480.0, qtc_fridericia=480.0)
    rows = evaluate(found, Patient(), Places(np.ones((5000, 12), dtype=bool), found))
    assert criterion(rows, "Normal", "qtc").outcome == "not met"
    assert criterion(rows, "AF", "conclusion") == decision(rows, "AF")


def test_raised_st_is_given_its_walls():
    raised = {"j": 0.3, "st60": 0.3, "t": 0.4}
    leads = {x: raised for x in ("II", "aVF", "III", "V5", "V6")}
    assert "ST elevation (lateral and inferior): " in reading(features(leads))
    # A wall needs two of its leads, here as in the headline.
    anterior = features({x: raised for x in ("V3", "V4", "V5")})
    assert "ST elevation (anterior): " in reading(anterior)
    assert "(wide: 120 ms or more)" in reading(features(qrs=150.0))
    assert "(normal: 120 to 200 ms)" in reading(features())


def shares(kind: str, **values: float) -> Attribution:
    players = tuple(Player(k.replace("_", " "), None, 1.0, 1.5) for k in values)
    total = sum(values.values())
    return Attribution("RBBB", kind, players, tuple(values.values()), (0.01,) * len(values), 0.0,
                       total, 0.0, "permutation", 1)  # fmt: skip


def test_only_what_stands_out_is_named_and_waves_rather_than_beats():
    views = (
        shares("leads", V1=4.7, aVR=0.2, V2=0.1),
        shares("waves", QRS_complexes=4.0, T_waves=1.2),
        shares("beats", beat_at_1=0.6, beat_at_2=0.5),
    )
    text = reading(features(BLOCK, qrs=150.0), views, RBBB=0.9)
    assert (
        "relied most on V1 (+4.7), and on the QRS complexes (+4.0) and the T waves (+1.2)" in text
    )
    assert "beat at" not in text


def st_t(found: Features, patient: Patient | None = None) -> str:
    places = Places(np.ones((5000, 12), dtype=bool), found)
    sentences = read(found, evaluate(found, patient or Patient(), places), (), None, places)
    return " ".join(s.text for s in sentences if s.section == "ST-T" and "T is" not in s.text)


def test_st_that_age_and_sex_decide_is_not_called_normal():
    found = features({"V2": {"j": 0.22, "st60": 0.3}, "V3": {"j": 0.2, "st60": 0.25}})
    assert st_t(found).startswith("Borderline ST elevation (anterior): V2 J +0.22 mV")
    assert st_t(found, Patient(60, "F")).startswith("ST elevation (anterior)")
    assert st_t(found, Patient(30, "M")).startswith("No ST elevation or depression")


@pytest.mark.parametrize(("width", "warned"), [(90.0, False), (152.0, True)])
def test_st_beside_a_wide_qrs_that_is_no_known_block_is_told_with_a_doubt(width, warned):
    found = features({lead: {"j": 0.5, "st60": 0.5} for lead in ("V3", "V4")}, qrs=width)
    assert ("a wide QRS (pacing" in st_t(found)) == warned


def test_an_explanation_prints_as_its_reading_and_not_as_its_numbers(sinus):
    why = explain(sinus, classes=())
    lines = str(why).splitlines()
    assert lines[0] == "Rate:"
    assert [line[2:] for line in lines if line.startswith("  ")] == [s.text for s in why.reading]
    assert len(repr(why)) < 100


@pytest.mark.parametrize(("sensitivity", "said"), [(0.0, "the network found none"), (0.9, "")])
def test_a_class_that_the_network_hardly_ever_sees_is_told_so_where_it_is_possible(
    sensitivity, said
):
    found = features()
    places = Places(np.ones((5000, 12), dtype=bool), found)
    ste = ClassResult("STE", 0.06, 0.03, True, sensitivity, 0.9)
    opinion = Classification((ste,), "ok", (), "made up")
    sentences = read(found, evaluate(found, Patient(), places), (), opinion, places)
    text = next(s.text for s in sentences if "Possible" in s.text)
    assert ("the network found" in text) == bool(said)
    assert said in text
