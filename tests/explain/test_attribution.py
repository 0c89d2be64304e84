from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_hearts import RECORDS, as_3x4, train

from benchmarks import faithfulness as f
from ecg4u.errors import UsageError
from ecg4u.explain import explain, measure_features
from ecg4u.explain.attribution import (
    attribute,
    exact,
    games,
    permutations,
    rank_correlation,
    solve,
    stratified_orders,
)
from ecg4u.explain.edits import Subject, as_usual
from ecg4u.explain.features import features as features_of
from ecg4u.explain.measure import measure_record
from ecg4u.io import read_record
from ecg4u.model import prepare
from ecg4u.record import CLASSES, ECGRecord


class Linear:
    """Log-odds that are linear in what is shown: class k weighs lead k % 12's energy."""

    def log_odds(self, inputs):
        energy = (inputs[:, :12].astype(float) ** 2).sum(axis=2)
        return np.stack([energy[:, k % 12] - 1.0 for k in range(9)], axis=1)


class Curved:
    """Log-odds with interactions between leads, moments and masks."""

    def log_odds(self, inputs):
        leads, masks = inputs[:, :12].astype(float), inputs[:, 12:].astype(float)
        a = np.tanh((leads**2).sum(axis=2) / 30) @ np.linspace(-1, 2, 12)
        b = np.tanh(leads[:, :, :300].sum(axis=(1, 2)) / 50) * masks.mean(axis=(1, 2))
        return np.outer(a * (1 + b), np.linspace(1, 2, 9)) - 2


def game_of(record, kind, classifier):
    prepared = prepare(record)
    found = games(prepared.windows()[0], 0.0, prepared.fs, classifier, None)
    return next(game for game in found if game.kind == kind)


def test_a_linear_network_gives_each_lead_its_own_part(sinus):
    game = game_of(sinus, "leads", Linear())
    solved = solve(game)
    energy = (game.channels[:12].astype(float) ** 2).sum(axis=1)
    for k in range(9):
        expected = np.zeros(12)
        expected[k] = energy[k]
        assert solved.values[:, k] == pytest.approx(expected, rel=1e-5, abs=1e-5)
    assert solved.base == pytest.approx([-1.0] * 9)


def test_permutations_converge_to_the_exact_values(sinus):
    page = as_3x4(sinus)
    signal = page.p_signal.copy()
    signal[:, 6:] = np.nan
    game = game_of(ECGRecord(signal), "leads", Curved())
    assert len(game.players) == 6
    truth = exact(game)
    many = permutations(game, np.random.default_rng(0), 200)
    assert truth.method == "exact"
    assert many.values == pytest.approx(truth.values, abs=0.03)
    close = np.abs(many.values - truth.values) < 5 * many.errors + 1e-6
    assert close.mean() > 0.9


def test_every_player_comes_early_in_some_orders_and_late_in_others():
    orders = stratified_orders(12, 16, np.random.default_rng(0))
    assert (np.sort(orders, axis=1) == np.arange(12)).all()
    places = np.argsort(orders, axis=1)
    independent = np.argsort(np.random.default_rng(0).random((16, 12)), axis=1)
    assert places.mean(axis=0).std() < 0.5 * independent.mean(axis=0).std()
    assert (places.min(axis=0) <= 2).all()
    assert (places.max(axis=0) >= 9).all()


def test_a_curve_begins_with_the_whole_record_and_ends_with_nothing(sinus):
    game = game_of(sinus, "leads", Linear())
    curves = f.deletion_curves(game, [np.arange(12), np.arange(12)[::-1]], CLASSES[0])
    assert curves.shape == (2, 13)
    assert curves[:, 0] == pytest.approx(1)
    assert curves[:, -1] == pytest.approx(0)
    # Only lead I weighs in class 0: it is hidden first in one order and last in the other.
    assert curves[0, 1] == pytest.approx(0, abs=1e-6)
    assert curves[1, 11] == pytest.approx(1, abs=1e-6)


@pytest.mark.slow
def test_the_exact_values_agree_with_shap(sinus):
    shap = pytest.importorskip("shap")
    signal = as_3x4(sinus).p_signal.copy()
    signal[:, 5:] = np.nan
    game = game_of(ECGRecord(signal), "leads", Curved())
    count = len(game.players)
    worth = lambda kept: game.values(np.asarray(kept, bool))[:, 0]  # noqa: E731
    theirs = shap.ExactExplainer(worth, np.zeros((1, count)))(np.ones((1, count))).values[0]
    assert exact(game).values[:, 0] == pytest.approx(theirs, abs=1e-6)


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    hidden=st.sets(st.integers(0, 11), max_size=11),
    start=st.integers(0, 900),
    kind=st.sampled_from(["leads", "windows", "blocks"]),
    seed=st.integers(0, 5),
)
def test_values_add_up_whatever_is_shown(sinus, hidden, start, kind, seed):
    signal = sinus.p_signal.copy()
    signal[:, sorted(hidden)] = np.nan
    signal[:start] = np.nan
    solved = solve(game_of(ECGRecord(signal), kind, Curved()), seed=seed)
    gap = solved.base + solved.values.sum(axis=0) - solved.total
    assert np.abs(gap).max() < 1e-4


def test_only_what_the_page_shows_is_a_player(sinus):
    page = as_3x4(sinus)
    for kind in ("leads", "windows", "blocks"):
        game = game_of(page, kind, Curved())
        assert ((game.owner >= 0) == (game.channels[12:] > 0)).all()
        for player in game.players:
            if player.lead is not None:
                a, b = (round(x * page.fs) for x in (player.start_s, player.end_s))
                assert np.isfinite(page.lead(player.lead)[a:b]).mean() > 0.98
        assert len(game.players) <= 60


def test_beats_are_players_of_their_own(sinus):
    prepared = prepare(sinus)
    features = measure_features(sinus)
    found = games(prepared.windows()[0], 0.0, prepared.fs, Curved(), features)
    game = next(g for g in found if g.kind == "beats")
    assert len(game.players) == len(features.beats)
    for player, beat in zip(game.players, features.beats, strict=True):
        assert player.start_s < beat.r_s < player.end_s


def test_hiding_is_what_training_does(sinus):
    game = game_of(sinus, "leads", Curved())
    kept = np.ones((1, 12), dtype=bool)
    kept[0, 3] = False
    inputs = game._inputs(np.concatenate([kept, [[False]]], axis=1))
    signal = sinus.p_signal.copy()
    signal[:, 3] = np.nan
    assert inputs[0] == pytest.approx(prepare(ECGRecord(signal)).windows()[0], abs=1e-6)


def test_nothing_shown_gives_no_players():
    empty = ECGRecord(np.full((5000, 12), np.nan))
    assert attribute(empty, ["AF"], classifier=Curved()) == ()


def test_long_records_are_attributed_where_the_class_is_likeliest():
    record = train(duration_s=25.0)
    signal = record.p_signal.copy()
    signal[:10000] *= 0.3
    found = attribute(ECGRecord(signal), ["Normal"], classifier=Linear())
    assert min(p.start_s for a in found for p in a.players) >= 10.0


def test_explain_attributes_the_classes_asked_for(sinus):
    result = explain(sinus, classes=["AF", "PVC"], classifier=Curved())
    assert [a.class_name for a in result.attributions] == ["AF"] * 5 + ["PVC"] * 6
    assert [a.kind for a in result.attributions if a.baseline == "usual beat"] == ["beats"]
    for a in result.attributions:
        assert a.base_value + sum(a.values) == pytest.approx(a.total, abs=1e-4)
        assert len(a.values) == len(a.errors) == len(a.players)
    again = explain(sinus, classes=["AF", "PVC"], classifier=Curved())
    assert again.to_dict() == result.to_dict()


def test_unknown_class_is_a_usage_error(sinus):
    with pytest.raises(UsageError):
        explain(sinus, classes=["XYZ"])


def test_deletion_in_the_right_order_falls_faster(sinus):
    game = game_of(sinus, "leads", Curved())
    values = exact(game).values[:, 0] if len(game.players) <= 7 else solve(game).values[:, 0]
    best = f.descending(values)
    good, bad = f.deletion_auc(f.deletion_curves(game, [best, best[::-1]], CLASSES[0]))
    assert good < bad


def test_mass_inside_counts_positive_values_only(sinus):
    game = game_of(sinus, "windows", Curved())
    inside = np.zeros(1000, dtype=bool)
    inside[110:140] = True
    values = np.full(20, -1.0)
    values[2], values[9] = 3.0, 1.0
    share, chance = f.mass_inside(game, values, inside)
    assert (share, chance) == pytest.approx((0.75, 0.05))
    assert f.points_at(game, values, inside)


@pytest.mark.parametrize(
    ("a", "b", "expected"), [([1, 2, 3], [10, 20, 30], 1), ([1, 2, 3], [3, 2, 1], -1)]
)
def test_rank_correlation(a, b, expected):
    assert rank_correlation(np.array(a), np.array(b)) == pytest.approx(expected)


def test_against_the_usual_beat_only_the_unusual_one_counts():
    record = read_record(RECORDS / "ptbxl_01416.hea")
    found = explain(record, classes=["PVC"])
    (view,) = (a for a in found.attributions if a.baseline == "usual beat")
    early = [v for p, v in zip(view.players, view.values, strict=True) if p.label.startswith("PVC")]
    rest = [v for p, v in zip(view.players, view.values, strict=True) if "PVC" not in p.label]
    assert sum(early) > 0.9 * (view.total - view.base_value) > 1
    assert max(rest) < min(early)


def test_a_record_of_usual_beats_only_is_its_own_reference(sinus):
    measured = measure_record(sinus)
    whole = Subject(measured.signal, features_of(measured), measured.median)
    usual = as_usual(whole)
    assert np.nanmedian(np.abs(usual - measured.signal)) < 0.01
    page = measure_record(as_3x4(sinus))
    shown = as_usual(Subject(page.signal, features_of(page), page.median))
    assert (np.isfinite(shown) == np.isfinite(page.signal)).all()


def test_leads_say_how_far_they_hang_on_the_baseline(sinus):
    views = attribute(sinus, ["Normal"], classifier=Curved())
    by_kind = {view.kind: view for view in views}
    assert -1 <= by_kind["leads"].agreement <= 1
    assert by_kind["windows"].agreement is None
    (leads,) = (v for v in attribute(sinus, ["Normal"], classifier=Linear()) if v.kind == "leads")
    # Without masks in its formula a network cannot tell a hidden lead from a flat one.
    assert leads.agreement == pytest.approx(1)


@pytest.mark.slow
def test_shap_gets_the_same_values(sinus):
    (view,) = (v for v in attribute(sinus, ["Normal"], classifier=Linear()) if v.kind == "leads")
    given = view.to_shap()
    assert given.base_values + given.values.sum() == pytest.approx(view.total)
    assert given.feature_names == [player.label for player in view.players]
