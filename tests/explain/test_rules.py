"""Single rules and constants of the measurements, each at its limit."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from made_hearts import bump, train
from test_criteria import decide, features

from ecg4u.explain import measure_features, waves
from ecg4u.explain.beats import MedianBeat, QRSList
from ecg4u.explain.global_features import (
    global_features,
    interval_features,
    irregularity,
    nothing_measured,
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
    signal[np.floor(found.offset).astype(int) + 1] = 5.0  # no longer of the beat
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
    # Where the rate changes those before and after count alike: their median is halfway between.
    assert [told[at].early for at in (20, 38)] == pytest.approx([1.0 / 0.85, 0.7 / 0.85])


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


@pytest.mark.parametrize(("width_ms", "beat"), [(30, False), (60, True)])
def test_a_spike_of_less_than_40_ms_in_a_pause_is_no_beat(
    width_ms: int, beat: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen alone, the network may take an artifact for a complex; here a stand-in does."""
    times = np.array([0.6, 1.4, 2.2, 3.0, 3.8, 6.8, 7.6])
    signal = train(r_times=times, duration_s=8.4).p_signal.copy()
    spike = slice(round(5.3 * FS_HZ), round(5.3 * FS_HZ) + round(width_ms / 1000 * FS_HZ))
    signal[spike] += np.hanning(spike.stop - spike.start)[:, None]
    seen = wave_probabilities(signal)
    seen[round(4.2 * FS_HZ) : round(6.6 * FS_HZ), :, 1] = 0.0

    def alone(part: np.ndarray) -> np.ndarray:
        return np.repeat((np.abs(part)[:, :, None] > 0.1) * 0.9, 3, axis=2)

    monkeypatch.setattr(waves, "wave_probabilities", alone)
    assert (searched_back(signal, seen) is not seen) == beat


def told_of(
    width_ms: float,
    similarity: float,
    *,
    usual_ms: float = 80.0,
    early: float = 0.75,
    counts_as_usual: bool = False,
) -> str:
    """What the sixth of ten beats is called; the others are alike and a second apart."""
    gaps = np.ones(10)
    gaps[5], gaps[6] = early, 2.0 - early
    r = FS_HZ * np.cumsum(gaps)
    width = np.full(10, usual_ms)
    width[5] = width_ms
    half = width * FS_HZ / 2000
    like = np.full(10, 0.99)
    like[5] = similarity
    usual = np.ones(10, dtype=bool)
    usual[5] = counts_as_usual
    found = QRSList(r, r - half, r + half, like, usual)
    return kinds(found)[5]


@pytest.mark.parametrize(
    ("width_ms", "similarity", "more", "kind"),
    [
        # 25 ms wider than the usual beats, or 120 ms: wide
        (110, 0.3, {}, "PVC"),
        (100, 0.3, {}, "other"),
        (122, 0.3, {"usual_ms": 105.0}, "PVC"),
        (118, 0.3, {"usual_ms": 105.0}, "other"),
        # of another shape, and of quite another where it comes on time
        (112, 0.7, {}, "PVC"),
        (112, 0.8, {}, "PAC"),
        (112, 0.3, {"early": 1.0}, "PVC"),
        (112, 0.5, {"early": 1.0}, "other"),
        (112, 0.5, {"early": 0.93}, "PVC"),
        (112, 0.3, {"early": 1.1}, "PVC"),
        (112, 0.3, {"early": 1.25}, "other"),
        # beside wide usual beats: quite unlike, early, and no fragment
        (90, 0.3, {"usual_ms": 130.0}, "PVC"),
        (70, 0.3, {"usual_ms": 130.0}, "other"),
        (90, 0.5, {"usual_ms": 130.0}, "other"),
        (90, 0.3, {"usual_ms": 130.0, "early": 0.9}, "other"),
        (158, 0.5, {"usual_ms": 130.0}, "PVC"),
        (150, 0.5, {"usual_ms": 130.0}, "other"),
        # one lead may show little of another shape
        (124, 0.90, {"counts_as_usual": True}, "PVC"),
        (124, 0.97, {"counts_as_usual": True}, "PAC"),
        (116, 0.90, {"counts_as_usual": True}, "PAC"),
        (124, 0.90, {"counts_as_usual": True, "early": 0.9}, "usual"),
        (124, float("nan"), {}, "other"),
    ],
)
def test_width_shape_and_time_tell_what_a_beat_is(
    width_ms: float, similarity: float, more: dict[str, Any], kind: str
) -> None:
    assert told_of(width_ms, similarity, **more) == kind


@pytest.mark.parametrize("rr_s", [1.0, 0.6])
def test_a_beat_is_told_with_its_times_in_seconds_and_those_of_its_neighbours(rr_s: float) -> None:
    found = beats(5)
    r, half = rr_s * found.r, (found.offset - found.onset) / 2
    found = replace(found, r=r, onset=r - half, offset=r + half)
    told = classify_beats(found, np.ones(10), np.ones(9, dtype=bool))
    assert [beat.r_s for beat in told] == pytest.approx(found.r / FS_HZ)
    assert [beat.width_ms for beat in told] == pytest.approx([90.0] * 10)
    assert told[5].early == pytest.approx(0.7)
    assert told[5].pause == pytest.approx(1.3)
    assert told[0].early is None
    assert told[9].pause is None
    far = np.ones(9, dtype=bool)
    far[4] = False
    unknown = classify_beats(found, np.ones(10), far)
    assert unknown[5].early is None
    assert unknown[4].pause is None
    assert unknown[5].pause == pytest.approx(1.3)


def median_of(**waves: tuple[int, int]) -> dict[str, float]:
    """The boundaries of lead I where the network sees waves from and to these samples.

    ``p``, ``qrs`` and ``t``; further ones of a kind end in a number. R stands at 250 of 600.
    """
    probability = np.zeros((600, 12, 3))
    for name, (first, last) in waves.items():
        kind = ("p", "qrs", "t").index(name.rstrip("0123456789"))
        probability[first:last, :, kind] = 0.9
    flat = np.zeros((600, 12))
    median = MedianBeat(flat, probability, np.full(12, 5), flat[0], 250, np.arange(5))
    return {name: values[0] for name, values in boundaries(median).items()}


def known(found: dict[str, float]) -> set[str]:
    return {name.split()[0] for name, at in found.items() if np.isfinite(at)}


@pytest.mark.parametrize(
    ("qrs", "own"),
    [((200, 235), True), ((190, 225), False), ((266, 300), True), ((275, 310), False)],
)
def test_a_qrs_complex_lies_within_40_ms_of_the_r_peak(qrs: tuple[int, int], own: bool) -> None:
    assert known(median_of(qrs=qrs)) == ({"QRS"} if own else set())


@pytest.mark.parametrize(
    ("p", "own"), [((190, 238), True), ((200, 246), True), ((210, 256), False)]
)
def test_a_p_wave_ends_at_the_latest_20_ms_into_the_qrs(p: tuple[int, int], own: bool) -> None:
    assert ("P" in known(median_of(qrs=(240, 280), p=p))) == own


@pytest.mark.parametrize(("t", "own"), [((268, 380), True), ((254, 380), False)])
def test_a_t_wave_begins_at_the_earliest_40_ms_before_the_qrs_ends(
    t: tuple[int, int], own: bool
) -> None:
    assert ("T" in known(median_of(qrs=(240, 280), t=t))) == own


def test_of_several_waves_the_last_p_and_the_first_t_belong_to_the_beat() -> None:
    found = median_of(qrs=(240, 280), p=(100, 130), p2=(170, 200), t=(350, 420), t2=(500, 550))
    assert found["P on"] == pytest.approx(170, abs=1)
    assert found["T off"] == pytest.approx(420, abs=1)


def test_a_p_wave_before_another_complex_belongs_to_that_one() -> None:
    for p, own in ((130, 170), False), ((205, 235), True):
        assert ("P" in known(median_of(p=p, qrs=(175, 200), qrs2=(245, 290)))) == own


def test_a_t_wave_after_the_next_beat_or_cut_off_by_the_window_is_not_this_ones() -> None:
    assert "T" not in known(median_of(qrs=(240, 280), qrs2=(380, 420), t=(450, 520)))
    assert "T" in known(median_of(qrs=(240, 280), qrs2=(320, 330), t=(450, 520)))
    cut = median_of(qrs=(240, 280), t=(520, 600))
    assert np.isfinite(cut["T on"])
    assert np.isnan(cut["T off"])


def seen_at(**at: list[float]) -> Any:
    """Boundaries in samples (R at 250) of so many leads; ``QRS_on`` for "QRS on"."""
    waves = {name.replace("_", " "): tuple(values) for name, values in at.items()}
    return SimpleNamespace(waves=waves, median=SimpleNamespace(centre=250))


def test_a_boundarys_spread_is_1_48_times_the_median_deviation_over_leads() -> None:
    at, spread, n = joint(seen_at(T_off=[440.0, 446.0, 450.0, 462.0, float("nan")]), "T off")
    assert at == pytest.approx(1000 * (448 - 250) / FS_HZ)
    assert spread == pytest.approx(1000 * 1.4826 * 5.0 / FS_HZ)
    assert n == 4
    assert joint(seen_at(T_off=[440.0, 450.0]), "T off")[1] == pytest.approx(14.826)
    assert joint(seen_at(T_off=[440.0]), "T off")[1] == 0
    assert joint(seen_at(), "T off") == (None, 0.0, 0)


def test_each_interval_is_as_uncertain_as_it_was_against_cardiologists() -> None:
    """Leads that agree exactly leave the uncertainty of the method, measured on LUDB."""
    leads = {"P_on": 170, "P_off": 215, "QRS_on": 235, "QRS_off": 280, "T_off": 430}
    seen = seen_at(**{name: [float(at)] * 12 for name, at in leads.items()})
    found = interval_features(seen, 75.0, 1.0)
    values = {"pr": 130, "qrs": 90, "qt": 390, "p_duration": 90}
    errors = {"pr": 9.5, "qrs": 8.5, "qt": 9.0, "p_duration": np.hypot(17, 15)}
    assert {name: found[name].value for name in values} == pytest.approx(values)
    assert {name: found[name].uncertainty for name in errors} == pytest.approx(errors)
    assert found["qtc_bazett"].uncertainty == pytest.approx(9.0 / 0.8**0.5)
    assert {found[name].unit for name in found} == {"ms"}


@pytest.mark.parametrize(("pr_ms", "value"), [(64, None), (76, 76)])
def test_a_pr_of_less_than_70_ms_is_none(pr_ms: int, value: float | None) -> None:
    seen = seen_at(P_on=[235.0 - pr_ms / 2], P_off=[233.0], QRS_on=[235.0], QRS_off=[280.0])
    assert interval_features(seen, 60.0, 1.0)["pr"].value == value


@pytest.mark.parametrize("pair", [("I", "aVF"), ("I", "II"), ("II", "III")])
@pytest.mark.parametrize("angle", [-60.0, 20.0, 75.0, 140.0])
def test_the_axis_is_the_same_from_any_two_limb_leads(pair: tuple[str, str], angle: float) -> None:
    """Areas of a vector of 20 mV ms: leads at 0, 60, 120 and 90 degrees; aVF is shorter."""
    at = {"I": 0.0, "II": 60.0, "III": 120.0, "aVF": 90.0}
    areas = {
        lead: 20 * np.cos(np.radians(angle - at[lead])) * (np.sqrt(3) / 2 if lead == "aVF" else 1)
        for lead in pair
    }
    leads = {
        lead: LeadFeatures(
            lead,
            5,
            {
                "qrs_area": Feature("qrs_area", areas[lead], "mV ms")
                if lead in areas
                else Feature.unknown("qrs_area", "not shown", "mV ms")
            },
        )
        for lead in LEADS
    }
    found = global_features(measured([1.0] * 5), leads)["axis"]
    assert found.value == pytest.approx(angle)
    assert (found.unit, found.uncertainty) == ("deg", 5.0)


def test_a_very_irregular_rhythm_speaks_against_p_waves_only_so_far() -> None:
    found = rhythm_features(measured([0.5, 1.1, 0.6, 1.2, 0.5, 1.0]))
    assert found["rr_change"].value > 0.35  # type: ignore[operator]
    score = -0.9 + 7.8 * found["p_correlation"].value - 5.3 * 0.3  # type: ignore[operator]
    assert found["p_presence"].value == pytest.approx(1 / (1 + np.exp(-score)))


def alternating(height_mv: float, hidden: tuple[int, ...] = ()) -> Measured:
    """Six beats with a P wave before every other one, upside down before the rest."""
    seen = measured([1.0] * 5)
    seen.signal[:] = 0.0
    wave = np.hanning(60)[:, None]
    for k, r in enumerate(seen.beats.r.astype(int)):
        seen.signal[r - 120 : r - 60] = height_mv * wave * (1 if k % 2 == 0 else -1)
    for lead in hidden:
        seen.signal[:2000, lead] = np.nan
    return seen


@pytest.mark.parametrize("height_mv", [0.2, 0.002])
def test_each_beat_is_compared_with_the_next_and_the_one_after_whatever_its_size(
    height_mv: float,
) -> None:
    """Five pairs of neighbours are opposite, four pairs one apart the same: -1/9."""
    assert p_correlation(alternating(height_mv)) == pytest.approx(-1 / 9, abs=1e-6)
    assert p_correlation(alternating(height_mv, (3, 4))) == pytest.approx(-1 / 9, abs=1e-6)


def test_p_waves_are_looked_for_from_280_to_70_ms_before_r() -> None:
    """A wave before every beat makes them alike only where it lies in the window."""
    found = {}
    for before_ms in (310, 250, 110, 40):
        seen = measured([1.0] * 5)
        for r in seen.beats.r.astype(int):
            at = r - round(before_ms * FS_HZ / 1000)
            seen.signal[at - 10 : at + 10] += 3.0 * np.hanning(20)[:, None]
        found[before_ms] = p_correlation(seen) or 0.0
    assert min(found[250], found[110]) > 0.8
    assert max(found[310], found[40]) < 0.3


def test_leads_seen_in_one_beat_count_for_the_p_probability_and_unseen_ones_do_not() -> None:
    probability = np.zeros((600, 12, 3))
    probability[150:180, 0, 0] = 0.8
    probability[150:180, 1, 0] = 0.4
    flat = np.zeros((600, 12))

    def value(counts: list[int]) -> float:
        all_leads = np.array(counts + [0] * 9)
        median = MedianBeat(flat, probability, all_leads, flat[0], 250, np.arange(5))
        return p_probability(SimpleNamespace(median=median))  # type: ignore[arg-type]

    assert value([1, 0, 0]) == pytest.approx(0.8)
    assert value([1, 1, 0]) == pytest.approx(0.6)
    assert value([0, 0, 0]) == 0.0


def test_two_changes_between_beats_of_one_shape_are_the_fewest_that_are_told() -> None:
    usual = np.ones(4, dtype=bool)
    assert usual_changes(np.array([1.0, 1.2, 1.0]), usual) == pytest.approx([0.2, 0.2])
    assert len(usual_changes(np.array([1.0, 1.2]), np.ones(3, dtype=bool))) == 0


def test_the_rates_range_is_known_to_a_hundredth_of_a_second() -> None:
    found = rhythm_features(measured([0.8, 1.0, 0.8, 1.0]))
    assert found["rr_range"].uncertainty == 0.01
    assert (found["rate"].unit, found["rr_range"].unit) == ("/min", "s")


def test_of_an_ecg_without_beats_everything_is_unknown_and_their_number_none() -> None:
    found = nothing_measured("nothing is shown")
    assert found.pop("beats").value == 0
    assert {feature.reason for feature in found.values()} == {"nothing is shown"}
    assert found["qrs"].unit == "ms"
