"""Single rules and constants of the measurements, each at its limit."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from made_hearts import bump, train
from test_criteria import decide, features

from ecg4u.explain import measure_features
from ecg4u.explain.beats import MedianBeat, QRSList
from ecg4u.explain.global_features import (
    global_features,
    interval_features,
    irregularity,
    p_correlation,
    p_probability,
    rhythm_features,
)
from ecg4u.explain.measure import (
    Measured,
    boundaries,
    classify_beats,
    joint,
    measure,
    searched_back,
    sizes,
    usual_changes,
)
from ecg4u.explain.result import Feature, LeadFeatures
from ecg4u.explain.signals import FS_HZ
from ecg4u.explain.waves import wave_probabilities
from ecg4u.record import LEADS


def test_qtc_is_qt_over_the_square_and_the_cube_root_of_rr() -> None:
    found = measure_features(train(rr_s=0.64))
    qt = found.value("qt")
    assert qt is not None
    assert found.value("qtc_bazett") == pytest.approx(qt / 0.8, rel=0.005)
    assert found.value("qtc_fridericia") == pytest.approx(qt / 0.64 ** (1 / 3), rel=0.005)


def test_qt_and_a_short_pr_are_those_that_were_drawn() -> None:
    found = measure_features(train(rr_s=1.0, pr_s=0.11))
    assert found.value("qt") == pytest.approx(395, abs=40)
    assert found.value("pr") == pytest.approx(110, abs=20)


@pytest.mark.parametrize(("area", "axis"), [(0.8, None), (2.0, 0.0), (-2.0, 180.0)])
def test_an_axis_needs_some_net_deflection(area: float, axis: float | None) -> None:
    """Net area of the QRS in mV ms; in aVF there is none."""
    areas = {lead: Feature("qrs_area", 0.0, "mV ms") for lead in LEADS}
    areas["I"] = Feature("qrs_area", area, "mV ms")
    leads = {lead: LeadFeatures(lead, 5, {"qrs_area": value}) for lead, value in areas.items()}
    found = global_features(measured([1.0] * 5), leads)["axis"]
    assert found.value == (None if axis is None else pytest.approx(axis))


@pytest.mark.parametrize(
    ("axis", "outcome"),
    [(-36.0, "not met"), (-24.0, "met"), (84.0, "met"), (96.0, "not met")],
)
def test_a_normal_axis_lies_between_minus_30_and_90(axis: float, outcome: str) -> None:
    assert decide(features(axis=axis))["Normal"] == outcome


@pytest.mark.parametrize(
    ("name", "share"), [("P on", 0.25), ("P off", 0.75), ("QRS on", 0.25), ("QRS off", 0.75)]
)
def test_a_wave_lasts_from_its_first_leads_to_its_last(name: str, share: float) -> None:
    """The quarter of the leads in which it begins first, and of those in which it ends last."""
    at = np.arange(100.0, 112.0)
    seen = SimpleNamespace(waves={name: tuple(at)}, median=SimpleNamespace(centre=250))
    value, _, n = joint(seen, name)  # type: ignore[arg-type]
    assert n == 12
    assert value == pytest.approx(1000 * (np.quantile(at, share) - 250) / FS_HZ)


def beats(early_at: int, *, width: int = 45, similarity: float = 0.98) -> QRSList:
    """Ten beats a second apart, one of them after 0.7 s and ``width`` samples wide."""
    gaps = np.ones(10)
    gaps[early_at], gaps[early_at + 1] = 0.7, 1.3
    r = FS_HZ * np.cumsum(gaps)
    half = np.full(10, 22.5)
    half[early_at] = width / 2
    like = np.full(10, 0.99)
    like[early_at] = similarity
    usual = np.arange(10) != early_at if similarity < 0.85 else np.ones(10, dtype=bool)
    return QRSList(r, r - half, r + half, like, usual)


def kinds(found: QRSList, size: float = 1.0) -> list[str]:
    sizes = np.ones(10)
    sizes[5] = size
    return [beat.kind for beat in classify_beats(found, sizes, np.ones(9, dtype=bool))]


@pytest.mark.parametrize(("size", "kind"), [(1.0, "PAC"), (1.35, "PAC"), (1.5, "PVC")])
def test_an_early_broad_beat_is_ventricular_where_it_is_much_taller(size: float, kind: str) -> None:
    """120 ms wide, but no more than 25 ms wider than the usual beats of 100 ms: size decides."""
    early = beats(5, width=61, similarity=0.9)
    wide = np.where(np.arange(10) == 5, 30.5, 25.0)
    found = replace(early, onset=early.r - wide, offset=early.r + wide)
    assert kinds(found, size)[5] == kind


def test_an_early_beat_is_premature_where_it_is_alone() -> None:
    assert kinds(beats(5))[5] == "PAC"
    faster = beats(5)
    rr = np.diff(faster.r, prepend=0.0)
    rr[6] = 0.85 * FS_HZ  # no pause after it: the rhythm has become faster
    r = np.cumsum(rr)
    found = replace(faster, r=r, onset=r - 22.5, offset=r + 22.5)
    assert kinds(found)[5] == "usual"


def measured(rr_s: list[float]) -> Measured:
    """Beats of one shape after these intervals, seen by every lead."""
    r = FS_HZ * (0.5 + np.cumsum([0.0, *rr_s]))
    ones = np.ones(len(r))
    found = QRSList(r, r - 22.5, r + 22.5, ones, ones.astype(bool))
    signal = np.random.default_rng(0).normal(0, 0.1, (round(r[-1] + FS_HZ), 12))
    kinds = classify_beats(found, ones, np.ones(len(rr_s), dtype=bool))
    return Measured(signal, np.zeros((*signal.shape, 3)), found, kinds, None, {})


def test_rate_and_irregularity_follow_from_the_rr_intervals() -> None:
    found = rhythm_features(measured([0.8, 1.0, 0.8, 1.0]))
    rate = found["rate"]
    assert rate.value == pytest.approx(60 / 0.9)
    assert rate.uncertainty == pytest.approx(60 / 0.81 * 0.1 / 2)
    assert found["rr_range"].value == pytest.approx(0.2)
    assert found["rr_irregularity"].value == pytest.approx(0.2 / 0.9)
    assert found["rr_change"].value == pytest.approx(0.2 / 0.9)
    assert found["beats"].value == 5


@pytest.mark.parametrize(
    ("rr_s", "rate", "irregularity"),
    [([], None, None), ([0.75], 80.0, None), ([1.0] * 3, 60, None)],
)
def test_fewer_than_five_beats_have_a_rate_and_no_irregularity(
    rr_s: list[float], rate: float | None, irregularity: float | None
) -> None:
    found = rhythm_features(measured(rr_s))
    assert found["rate"].value == (None if rate is None else pytest.approx(rate))
    assert found["rr_irregularity"].value is irregularity
    assert found["rr_change"].value is None


def test_p_waves_are_judged_by_correlation_network_and_rhythm() -> None:
    """The published weights of the logistic model."""
    found = measure_features(train())
    score = -0.9 + 7.8 * found.value("p_correlation") + 2.3 * found.value("p_probability")  # type: ignore[operator]
    score -= 5.3 * found.value("rr_change")  # type: ignore[operator]
    assert found.value("p_presence") == pytest.approx(1 / (1 + np.exp(-score)))
    assert found.value("p_presence") > 0.99  # type: ignore[operator]


@pytest.mark.parametrize(("before_ms", "value"), [(20, 0.0), (60, 0.9)])
def test_p_waves_end_before_the_qrs(before_ms: int, value: float) -> None:
    probability = np.zeros((600, 12, 3))
    at = 250 - round(before_ms * FS_HZ / 1000)
    probability[at - 3 : at + 3, :, 0] = 0.9
    flat = np.zeros((600, 12))
    counts = np.where(np.arange(12) < 3, 5, 0)
    median = MedianBeat(flat, probability, counts, flat[0], 250, np.arange(5))
    seen = SimpleNamespace(median=median)
    assert p_probability(seen) == pytest.approx(value)  # type: ignore[arg-type]


def test_the_change_of_rr_is_that_of_successive_usual_beats() -> None:
    usual = np.ones(5, dtype=bool)
    assert usual_changes(np.array([1.0, 1.0, 1.1, 1.0]), usual) == pytest.approx([0, 0.1, 0.1])
    bigeminy = np.arange(9) % 2 == 0
    rr = np.array([0.6, 1.0, 0.6, 1.0, 0.6, 1.2, 0.6, 1.0])
    assert usual_changes(rr, bigeminy) == pytest.approx([0.0, 0.2 / 1.6, 0.2 / 1.6])


def test_a_beat_is_as_large_as_it_is_tall_in_leads_that_show_beats() -> None:
    found = beats(5)
    signal = np.full((round(found.r[-1] + FS_HZ), 12), np.nan)
    for lead, height in ((0, 0.5), (1, 0.3), (2, 0.05), (3, 0.04)):
        signal[:, lead] = 0.0
        signal[np.rint(found.r).astype(int), lead] = height
    signal[round(found.r[5]), :2] *= 2
    signal[round(found.r[5]), 2:4] *= 1.8  # too small to be compared
    assert sizes(signal, found) == pytest.approx(np.where(np.arange(10) == 5, 2.0, 1.0))


def test_an_early_beat_after_an_early_beat_is_no_lone_one() -> None:
    gaps = np.ones(10)
    gaps[2], gaps[4], gaps[5] = 0.7, 0.7, 1.3
    r = FS_HZ * np.cumsum(gaps)
    found = replace(beats(4), r=r, onset=r - 22.5, offset=r + 22.5)
    assert kinds(found)[2] == "PAC"
    assert kinds(found)[4] == "PAC"
    gaps[3] = 0.7
    r = FS_HZ * np.cumsum(gaps)
    found = replace(found, r=r, onset=r - 22.5, offset=r + 22.5)
    assert kinds(found)[4] == "usual"


@pytest.mark.parametrize(("beats", "known"), [(2, False), (3, True), (6, True)])
def test_three_beats_are_compared_for_a_p_wave_and_two_are_not(beats: int, known: bool) -> None:
    found = rhythm_features(measured([1.0] * (beats - 1)))
    assert (found["p_correlation"].value is not None) is known
    assert (found["p_presence"].value is not None) is known


def test_where_the_rhythm_is_unknown_it_says_nothing_of_p_waves() -> None:
    found = rhythm_features(measured([0.9, 1.0]))
    score = -0.9 + 7.8 * found["p_correlation"].value  # type: ignore[operator]
    assert found["rr_change"].value is None
    assert found["p_presence"].value == pytest.approx(1 / (1 + np.exp(-score)))


def test_a_small_beat_amid_tall_ventricular_ones_is_found_when_searched_for() -> None:
    """Seen with its neighbours it is too small; seen in the gap between them it is a beat."""
    times = 0.6 + 0.9 * np.arange(5)
    t = np.arange(round(5 * FS_HZ)) / FS_HZ
    signal = 0.5 * train(r_times=times[2:3], duration_s=5.0).p_signal
    for r in np.delete(times, 2):
        signal += 3.0 * bump(t, r, 0.07)[:, None]
    seen = wave_probabilities(signal)
    first = measure(signal, seen).beats
    assert len(first) == 4
    found = measure(signal, searched_back(signal, seen)).beats
    assert found.r / FS_HZ == pytest.approx(times, abs=0.02)


def test_nothing_is_found_in_a_pause_before_the_last_beat() -> None:
    times = np.array([0.6, 1.4, 2.2, 3.0, 3.8, 6.8])
    found = measure_features(train(r_times=times, duration_s=7.6)).beats
    assert [beat.r_s for beat in found] == pytest.approx(times, abs=0.02)


def test_early_is_judged_by_the_beats_around() -> None:
    """A rhythm that becomes much faster: beats of the fast part are not early there, but one is."""
    gaps = np.array([1.0] * 20 + [0.6] * 20)
    gaps[32], gaps[33] = 0.45, 0.75
    r = FS_HZ * np.cumsum(gaps)
    ones = np.ones(40)
    found = QRSList(r, r - 22.5, r + 22.5, ones, ones.astype(bool))
    kinds = [beat.kind for beat in classify_beats(found, ones, np.ones(39, dtype=bool))]
    assert [i for i, kind in enumerate(kinds) if kind == "PAC"][-1] == 32
    assert kinds.count("PAC") <= 2


def test_in_bigeminy_half_the_distance_of_usual_beats_is_the_usual_interval() -> None:
    r = FS_HZ * np.cumsum([1.0, 0.6, 1.0, 0.7, 1.0, 0.6, 1.1])
    usual = np.arange(7) % 2 == 0
    found = QRSList(r, r - 22.5, r + 22.5, np.where(usual, 0.99, 0.2), usual)
    beats = classify_beats(found, np.ones(7), np.ones(6, dtype=bool))
    assert beats[3].early == pytest.approx(0.7 / 0.85)


def test_a_fragment_of_the_qrs_hides_neither_its_p_wave_nor_its_t_wave() -> None:
    probability = np.zeros((600, 12, 3))
    probability[150:190, :, 0] = 0.9
    probability[205:235, :, 1] = probability[245:290, :, 1] = 0.9
    probability[60:100, :, 2] = probability[350:430, :, 2] = 0.9
    flat = np.zeros((600, 12))
    median = MedianBeat(flat, probability, np.full(12, 5), flat[0], 250, np.arange(5))
    found = {name: values[0] for name, values in boundaries(median).items()}
    drawn = {"P on": 150, "P off": 190, "QRS on": 245, "QRS off": 290, "T on": 350, "T off": 430}
    assert found == pytest.approx(drawn, abs=2)


def test_rr_intervals_two_apart_are_enough_to_be_irregular() -> None:
    assert irregularity(np.array([0.8, 1.0])) == pytest.approx(0.2 / 0.9)
    assert irregularity(np.array([0.8])) == 0.0


def test_an_intervals_uncertainty_is_that_of_both_ends_and_of_the_method() -> None:
    """Spread over the leads of each end over the root of their number, and 8.5 ms."""
    rng = np.random.default_rng(4)
    waves = {name: np.full(12, np.nan) for name in ("P on", "P off", "QRS on", "QRS off", "T off")}
    waves["QRS on"][:4] = 225 + rng.normal(0, 6, 4)
    waves["QRS off"][:9] = 275 + rng.normal(0, 9, 9)
    seen: Any = SimpleNamespace(
        waves={name: tuple(at) for name, at in waves.items()}, median=SimpleNamespace(centre=250)
    )
    (on, on_sd, n), (off, off_sd, m) = (joint(seen, name) for name in ("QRS on", "QRS off"))
    assert (n, m) == (4, 9)
    found = interval_features(seen, 60.0, 1.0)["qrs"]
    assert found.value == pytest.approx(off - on)
    squares = on_sd**2 / 4 + off_sd**2 / 9 + 8.5**2
    assert found.uncertainty == pytest.approx(squares**0.5)


def test_a_drifting_baseline_is_no_p_wave() -> None:
    """The window before each R rises alike, but for the noise nothing in it is alike."""
    seen = measured([1.0] * 9)
    x = np.arange(len(seen.signal)) / FS_HZ
    seen.signal[:] += 5.0 * (x % 1.0)[:, None]
    assert abs(p_correlation(seen) or 0.0) < 0.2


def test_a_beat_is_early_against_the_nine_beats_on_either_side() -> None:
    rr = FS_HZ * np.repeat([1.0, 0.7, 1.0], [20, 18, 20])
    r = np.cumsum(np.append(1.0, rr))
    ones = np.ones(len(r))
    found = QRSList(r, r - 22.5, r + 22.5, ones, ones.astype(bool))
    told = classify_beats(found, ones, np.ones(len(rr), dtype=bool))
    assert [told[at].early for at in (10, 29, 48)] == pytest.approx([1.0, 1.0, 1.0])


def test_a_gap_that_a_fast_rhythm_may_leave_is_not_searched() -> None:
    """1.0 s between beats half a second apart: longer than usual, but not long."""
    times = 0.4 + 0.5 * np.arange(9)
    signal = train(r_times=times, duration_s=5.0).p_signal
    seen = wave_probabilities(signal)
    around = slice(*(round((times[4] + s) * FS_HZ) for s in (-0.15, 0.15)))
    seen[around] = 0.0
    assert len(measure(signal, seen).beats) == 8
    assert searched_back(signal, seen) is seen


def test_a_p_axis_needs_p_waves() -> None:
    axis = measure_features(train()).value("p_axis")
    assert axis is not None
    assert 0 < axis < 90
    rr = np.random.default_rng(3).uniform(0.45, 1.1, 11)
    without = measure_features(train(p_scale=0.0, r_times=0.5 + np.cumsum(rr)))
    assert without.globals["p_axis"].reason == "no P waves found"


def test_a_pause_without_a_beat_stays_as_it_was_seen() -> None:
    times = np.array([0.6, 1.4, 2.2, 3.0, 3.8, 6.8, 7.6])
    signal = train(r_times=times, duration_s=8.4).p_signal
    seen = wave_probabilities(signal)
    assert len(measure(signal, seen).beats) == 7
    assert searched_back(signal, seen) is seen
