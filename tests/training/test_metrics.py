import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecg4u.record import CLASSES
from training.calibrate import (
    expected_f1_threshold,
    operating_point,
    platt,
    robust_threshold,
    softened_f1_threshold,
)
from training.groups import macro_with_interval
from training.metrics import (
    auroc,
    average_precision,
    calibration_error,
    counts,
    f1,
    sensitivity,
    specificity,
    wilson,
)

LABELS = np.array([0, 0, 1, 1, 0, 1, np.nan])
SCORES = np.array([0.1, 0.4, 0.35, 0.8, 0.4, 0.4, 0.9])


def test_auroc_by_hand() -> None:
    """Pairs won: .35 beats .1; .8 beats all 3; .4 beats .1 and ties two: 1 + 3 + 2 of 9."""
    assert auroc(LABELS, SCORES) == pytest.approx(6 / 9)


def test_average_precision_by_hand() -> None:
    """Recall 1/3 at precision 1, 2/3 at 2/4 (a tie of three), 1 at 3/5."""
    assert average_precision(LABELS, SCORES) == pytest.approx((1 + 0.5 + 0.6) / 3)


def test_counts_by_hand_leave_the_unknown_out() -> None:
    assert counts(LABELS, SCORES, 0.4) == (2, 2, 1, 1)
    assert f1(LABELS, SCORES, 0.4) == pytest.approx(4 / 7)
    assert sensitivity(LABELS, SCORES, 0.4) == pytest.approx(2 / 3)
    assert specificity(LABELS, SCORES, 0.4) == pytest.approx(1 / 3)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=40))
def test_auroc_is_the_share_of_pairs_won(rows: list[tuple[bool, int]]) -> None:
    labels = np.array([float(a) for a, _ in rows])
    scores = np.array([float(b) for _, b in rows])
    good, bad = scores[labels == 1], scores[labels == 0]
    if not len(good) or not len(bad):
        assert np.isnan(auroc(labels, scores))
        return
    won = (good[:, None] > bad).mean() + 0.5 * (good[:, None] == bad).mean()
    assert auroc(labels, scores) == pytest.approx(won)


def test_wilson_by_its_textbook_value() -> None:
    low, high = wilson(8, 10)
    assert (low, high) == (pytest.approx(0.490, abs=1e-3), pytest.approx(0.943, abs=1e-3))


def test_platt_finds_a_known_distortion() -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(0, 2, 20000)
    labels = (rng.random(20000) < 1 / (1 + np.exp(-(0.6 * z - 1)))).astype(float)
    fit = platt(labels, z)
    assert fit.scale == pytest.approx(0.6, abs=0.03)
    assert fit.bias == pytest.approx(-1, abs=0.06)
    assert calibration_error(labels, fit.probability(z)) < 0.01
    assert calibration_error(labels, 1 / (1 + np.exp(-z))) > 0.1


def test_platt_stays_near_one_with_few_positives() -> None:
    fit = platt(np.array([0.0] * 20 + [1.0]), np.array([-3.0] * 20 + [3.0]))
    assert 0.5 < fit.scale < 2


def test_the_threshold_separates_what_can_be_separated() -> None:
    p = np.array([0.05] * 50 + [0.9] * 10)
    labels = np.array([0.0] * 50 + [1.0] * 10)
    threshold = robust_threshold(labels, p)
    assert 0.05 < threshold < 0.9
    point = operating_point(labels, p, threshold)
    assert point["sensitivity"] == point["specificity"] == 1.0


def test_one_odd_recording_does_not_move_the_threshold_far() -> None:
    rng = np.random.default_rng(0)
    labels = (np.arange(400) < 12).astype(float)
    odds = np.where(labels > 0, rng.normal(1, 1.5, 400), rng.normal(-4, 1.2, 400))
    p = 1 / (1 + np.exp(-odds))
    every = [robust_threshold(np.delete(labels, i), np.delete(p, i)) for i in range(12)]
    assert np.ptp(np.log(np.array(every) / (1 - np.array(every)))) < 0.35


def test_both_estimates_agree_where_probabilities_are_true() -> None:
    rng = np.random.default_rng(0)
    p = rng.beta(0.4, 2, 20000)
    labels = (rng.random(20000) < p).astype(float)
    assert softened_f1_threshold(labels, p, 0.1) == pytest.approx(
        expected_f1_threshold(p), abs=0.04
    )


def test_groups_are_measured_over_the_classes_they_have() -> None:
    rng = np.random.default_rng(0)
    labels = np.zeros((60, 9), np.float32)
    labels[:20, 0] = labels[20:30, 1] = 1
    p = 0.2 + 0.6 * labels + rng.normal(0, 0.01, labels.shape)
    found = macro_with_interval(labels, p, dict.fromkeys(CLASSES, 0.5), repeats=20)
    assert found["classes"] == 2
    assert found["macro_auroc"] == found["macro_f1"] == 1.0
    assert found["macro_f1_ci95"] == (1.0, 1.0)
