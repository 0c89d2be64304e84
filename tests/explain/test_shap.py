"""Attributions as `shap.Explanation`: one ECG and a cohort, held against shap's own explainers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_attribution import Curved, game_of

import ecg4u
from ecg4u import LEADS, ECGRecord
from ecg4u.explain import explain
from ecg4u.explain.attribution import exact, permutations

shap = pytest.importorskip("shap")
RECORDS = Path(__file__).parents[2] / "data" / "records"


@pytest.fixture(scope="module")
def cohort() -> ecg4u.Cohort:
    paths = [RECORDS / "ptbxl_00427.hea", RECORDS / "missing.hea", RECORDS / "ptbxl_01416.hea"]
    return ecg4u.analyse_many(paths, classes=["AF"])


def test_shaps_permutations_and_ours_both_near_the_exact_values(sinus: ECGRecord) -> None:
    game = game_of(sinus, "leads", Curved())
    truth = exact(game).values[:, 1]
    count = len(game.players)

    def worth(kept: np.ndarray) -> np.ndarray:
        return game.values(np.asarray(kept, dtype=bool))[:, 1]

    explainer = shap.PermutationExplainer(worth, np.zeros((1, count)), seed=0)
    theirs = explainer(np.ones((1, count)), max_evals=32 * count + 1).values[0]
    ours = permutations(game, np.random.default_rng(0), 16).values[:, 1]
    assert np.abs(theirs - truth).max() < 0.1 * np.ptp(truth)
    assert np.abs(ours - truth).max() < 0.1 * np.ptp(truth)


def test_one_ecg(sinus: ECGRecord) -> None:
    why = explain(sinus, classes=["AF"], classifier=Curved())  # type: ignore[arg-type]
    given = why.to_shap("AF")
    assert given.base_values + given.values.sum() == pytest.approx(why.attribution("AF").total)
    assert tuple(given.feature_names) == LEADS
    assert why.to_shap("AF", "windows").values.shape == (20,)
    with pytest.raises(KeyError, match=r"classes=\['PVC'\]"):
        why.to_shap("PVC")


def test_a_cohort_has_one_row_of_twelve_leads_for_each_ecg(cohort: ecg4u.Cohort) -> None:
    given = cohort.to_shap("AF")
    assert given.values.shape == (2, 12)
    for row, index in enumerate((0, 2)):
        analysis = cohort[index].analysis
        assert analysis is not None
        why = analysis.explanation
        assert why is not None
        assert given.values[row] == pytest.approx(why.to_shap("AF").values)
        assert given.base_values[row] == pytest.approx(why.attribution("AF").base_value)
    assert given.data == pytest.approx(10.0)
    table = cohort.features_table()
    assert table.groupby("path").size().nunique() == 1
    assert table["path"].nunique() == 2


def test_shaps_plots_draw_them(cohort: ecg4u.Cohort) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    given = cohort.to_shap("AF")
    for draw in (shap.plots.bar, shap.plots.beeswarm):
        draw(given, show=False)
        assert plt.gcf().axes
        plt.close("all")
    shap.plots.waterfall(given[0], show=False)
    assert plt.gcf().axes
    plt.close("all")
