import dataclasses
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from ecg4u.errors import UnreadableInputError
from ecg4u.model import Classification, Classifier, ClassResult, classify, prepare
from ecg4u.model.aggregate import over_windows
from ecg4u.model.classifier import (
    CARD_NAME,
    WEIGHTS,
    _read_card,
    default_classifier,
    normal_alone,
)
from ecg4u.record import CLASSES, ECGRecord

Records = dict[str, tuple[ECGRecord, set[str]]]


def test_shipped_weights_answer_all_nine_classes_in_order(
    classifier: Classifier, normal: ECGRecord
) -> None:
    answer = classifier.classify(normal)
    assert tuple(result.name for result in answer.results) == CLASSES
    assert all(0 < result.probability < 1 for result in answer.results)
    assert answer.verdict == "ok"
    assert answer.model == classifier.card["id"]
    for result in answer.results:
        assert result.positive == (result.probability >= result.threshold)


def test_what_is_neither_record_nor_page_is_refused() -> None:
    with pytest.raises(TypeError, match="path or a file's bytes"):
        classify(3)  # type: ignore[arg-type]


def test_the_weights_are_no_chance(classifier: Classifier, records: Records) -> None:
    """Half of eight examples, where decisions by chance would name about one in ten."""
    named = [
        bool(labels & {r.name for r in classifier.classify(record).positive})
        for record, labels in records.values()
        if "STE" not in labels
    ]
    assert sum(named) >= 4, named


def test_normal_is_not_called_ill(classifier: Classifier, normal: ECGRecord) -> None:
    assert [r.name for r in classifier.classify(normal).positive] == ["Normal"]


def test_thresholds_and_operating_points_are_the_cards(
    classifier: Classifier, normal: ECGRecord
) -> None:
    card = json.loads((WEIGHTS / "classifier.json").read_text())
    for result in classifier.classify(normal).results:
        assert result.threshold == card["thresholds"][result.name]
        assert result.sensitivity == card["operating_points"][result.name]["sensitivity"]
        assert result.specificity == card["operating_points"][result.name]["specificity"]


def test_a_threshold_moved_in_the_card_moves_the_decision(
    tmp_path: Path, normal: ECGRecord
) -> None:
    shutil.copytree(WEIGHTS, tmp_path / "weights")
    card = json.loads((WEIGHTS / "classifier.json").read_text())
    card["thresholds"]["Normal"] = 1.0
    (tmp_path / "weights" / "classifier.json").write_text(json.dumps(card))
    assert not Classifier(tmp_path / "weights").classify(normal).results[0].positive


def test_log_odds_are_the_probabilities_shown(classifier: Classifier, normal: ECGRecord) -> None:
    odds = classifier.log_odds(prepare(normal).windows())
    shown = [result.probability for result in classifier.classify(normal).results]
    np.testing.assert_allclose(1 / (1 + np.exp(-odds[0])), shown, atol=1e-6)


def test_values_under_mask_zero_do_not_matter(classifier: Classifier, normal: ECGRecord) -> None:
    inputs = prepare(normal).windows()
    inputs[0, 12 + 2, 300:700] = 0
    inputs[0, 12 + 9] = 0
    other = inputs.copy()
    other[0, 2, 300:700] = 4.0
    other[0, 9] = -3.0
    np.testing.assert_array_equal(classifier.log_odds(inputs), classifier.log_odds(other))


def test_a_batch_agrees_with_one_by_one_and_with_itself(
    classifier: Classifier, records: Records
) -> None:
    some = [record for record, _ in records.values()]
    batch = classifier.classify_batch(some)
    assert batch == classifier.classify_batch(some)
    for record, together in zip(some, batch, strict=True):
        alone = classifier.classify(record)
        assert alone.verdict == together.verdict
        for one, other in zip(alone.results, together.results, strict=True):
            assert one.probability == pytest.approx(other.probability, abs=1e-5)
    assert classifier.classify_batch([]) == []


def test_rate_hardly_matters(classifier: Classifier, normal: ECGRecord) -> None:
    half = ECGRecord((normal.p_signal[::2] + normal.p_signal[1::2]) / 2, normal.fs / 2)
    want = classifier.classify(normal).results
    for one, other in zip(want, classifier.classify(half).results, strict=True):
        assert one.probability == pytest.approx(other.probability, abs=0.05)


def test_a_long_record_is_read_whole(classifier: Classifier, records: Records) -> None:
    calm = records["ptbxl_06670"][0].p_signal
    ectopic = records["ptbxl_01416"][0].p_signal
    column = CLASSES.index("PVC")
    alone = classifier.classify(ECGRecord(ectopic, 500.0)).results[column].probability
    after = classifier.classify(ECGRecord(np.concatenate([calm, calm, ectopic]), 500.0))
    # The step where the two recordings meet reaches the window through the low-pass filter.
    assert after.results[column].probability == pytest.approx(alone, abs=0.02)


def test_episodes_take_the_highest_window_and_the_rest_the_mean() -> None:
    windows = np.stack([np.zeros(9), np.full(9, 2.0)])
    by_class = dict(zip(CLASSES, over_windows(windows), strict=True))
    assert by_class["PVC"] == by_class["PAC"] == by_class["AF"] == 2.0
    assert by_class["Normal"] == by_class["LBBB"] == by_class["STD"] == 1.0


def test_to_dict_is_strict_json(classifier: Classifier, normal: ECGRecord) -> None:
    told = json.loads(json.dumps(classifier.classify(normal).to_dict(), allow_nan=False))
    assert [c["name"] for c in told["classes"]] == list(CLASSES)
    assert [c["name"] for c in told["other_findings"]] == [
        f.name for f in classifier.classify(normal).other_findings
    ]
    assert told["abnormal"] == pytest.approx(1 - told["classes"][0]["probability"])
    assert told["nothing_found"]


@pytest.mark.parametrize(
    ("above", "below", "call"),
    [(0.01, 0.02, "likely"), (-0.01, 0.01, "possible"), (-0.02, -0.01, "unlikely")],
)
def test_likely_possible_unlikely(
    above: float, below: float, call: str, normal: ECGRecord, tmp_path: Path
) -> None:
    """The probability lies ``above`` the threshold, ``below`` of it the point that rules out."""
    p = default_classifier().classify(normal).results[0].probability
    shutil.copytree(WEIGHTS, tmp_path / "weights")
    path = tmp_path / "weights" / CARD_NAME
    card = json.loads(path.read_text())
    card["thresholds"]["Normal"] = p - above
    point = {"threshold": p - below, "sensitivity": 0.95, "specificity": 0.8}
    card["rule_out"] = {**card.get("rule_out", {}), "Normal": point}
    path.write_text(json.dumps(card))
    row = Classifier(tmp_path / "weights").classify(normal).results[0]
    assert row.call == call
    assert row.positive == (call == "likely")
    assert row.rule_out is not None
    assert row.rule_out.sensitivity == 0.95


def test_normal_is_not_called_beside_another_class() -> None:
    def row(name: str, positive: bool) -> ClassResult:
        return ClassResult(name, 0.9, 0.5, positive, 0.9, 0.9, call="likely")

    alone = (row("Normal", True), row("PVC", False))
    assert normal_alone(alone) == alone
    first, second = normal_alone((row("Normal", True), row("PVC", True)))
    assert (first.positive, first.call, first.probability) == (False, "possible", 0.9)
    assert second.positive


def test_a_classifier_does_not_call_normal_beside_another_class(
    normal: ECGRecord, tmp_path: Path
) -> None:
    shutil.copytree(WEIGHTS, tmp_path / "weights")
    path = tmp_path / "weights" / CARD_NAME
    card = json.loads(path.read_text())
    card["thresholds"]["PVC"] = 0.0
    path.write_text(json.dumps(card))
    assert [r.name for r in Classifier(tmp_path / "weights").classify(normal).positive] == ["PVC"]


def test_nothing_found_means_no_class_and_no_finding() -> None:
    def row(name: str, positive: bool) -> ClassResult:
        return ClassResult(name, 0.9 if positive else 0.1, 0.5, positive, 0.9, 0.9)

    normal, ill = (row("Normal", True), row("AF", False)), (row("Normal", False), row("AF", True))
    paced = (row("pacemaker", True),)
    assert Classification(normal, "ok", (), "m").nothing_found
    assert not Classification(ill, "ok", (), "m").nothing_found
    assert not Classification(normal, "ok", (), "m", paced).nothing_found
    assert Classification(ill, "ok", (), "m", paced).positive_findings == paced
    assert Classification(ill, "ok", (), "m").abnormal == pytest.approx(0.9)
    unread = Classification(normal, "unreadable", (), "m")
    assert unread.abnormal is None
    assert not unread.nothing_found


@pytest.mark.parametrize(
    "card", ["[]", "{}", "5", '{"classes": 5}', "[" * 100_000, "9" * 5000, '{"classes": ["Doe"]}']
)
def test_a_card_of_the_wrong_shape_is_a_typed_error(card: str, tmp_path: Path) -> None:
    (tmp_path / CARD_NAME).write_text(card)
    with pytest.raises(UnreadableInputError, match="card"):
        Classifier(tmp_path)


def test_a_pipe_is_no_card(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / CARD_NAME)
    with pytest.raises(UnreadableInputError, match="card"):
        Classifier(tmp_path)


def test_missing_or_damaged_weights_are_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInputError):
        Classifier(tmp_path)
    shutil.copytree(WEIGHTS, tmp_path / "weights")
    name = _read_card(WEIGHTS)["members"][0]["file"]
    (tmp_path / "weights" / name).write_bytes(b"not weights")
    with pytest.raises(UnreadableInputError):
        Classifier(tmp_path / "weights")


def test_results_cannot_be_changed(classifier: Classifier, normal: ECGRecord) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        classifier.classify(normal).verdict = "ok"  # type: ignore[misc]


@pytest.mark.parametrize("probability", [0.001, 0.2, 0.45, 0.5, 0.56, 0.8, 0.999])
def test_a_close_call_is_within_a_third_of_a_log_odd(probability: float) -> None:
    row = ClassResult("AF", probability, 0.5, probability >= 0.5, 0.9, 0.9)
    assert row.close == (0.45 <= probability <= 0.56)


def test_a_close_call_makes_the_answer_uncertain(normal: ECGRecord, tmp_path: Path) -> None:
    said = default_classifier().classify(normal)
    row = next(row for row in said.results if row.name == "Normal")
    assert said.verdict == "ok"
    shutil.copytree(WEIGHTS, tmp_path / "weights")
    path = tmp_path / "weights" / CARD_NAME
    card = json.loads(path.read_text())
    card["thresholds"]["Normal"] = row.probability - 0.01
    path.write_text(json.dumps(card))
    doubted = Classifier(tmp_path / "weights").classify(normal)
    assert doubted.verdict == "uncertain"
    close = next(r for r in doubted.reasons if r.startswith("Normal is a close call"))
    assert close.parameters["percent"] == pytest.approx(100 * row.probability)
    assert close.parameters["threshold"] == pytest.approx(100 * row.probability - 1)


@pytest.mark.parametrize(("size", "taken"), [(10_000_000, True), (10_000_001, False)])
def test_a_card_of_more_than_10_mb_is_none(size: int, taken: bool, tmp_path: Path) -> None:
    card = (WEIGHTS / CARD_NAME).read_text()
    (tmp_path / CARD_NAME).write_text(card + " " * (size - len(card.encode())))
    if taken:
        assert _read_card(tmp_path)["classes"] == list(CLASSES)
    else:
        with pytest.raises(UnreadableInputError, match="card"):
            _read_card(tmp_path)


def test_weights_of_more_than_2_gb_are_not_opened(tmp_path: Path) -> None:
    shutil.copytree(WEIGHTS, tmp_path / "weights")
    name = _read_card(WEIGHTS)["members"][0]["file"]
    os.truncate(tmp_path / "weights" / name, 2_000_000_001)  # a hole: nothing is written
    with pytest.raises(UnreadableInputError, match="larger"):
        Classifier(tmp_path / "weights")


def test_its_table_and_its_line_show_each_class(classifier: Classifier, normal: ECGRecord) -> None:
    said = classifier.classify(normal)
    table = said.to_dataframe()
    assert list(table.index) == list(CLASSES)
    assert table.loc["Normal", "probability"] == said["Normal"].probability
    assert list(said.probabilities) == list(CLASSES)
    assert repr(said) == f"<Classification: Normal {said['Normal'].probability:.2f}; signal usable>"
    with pytest.raises(KeyError, match="is not one of Normal"):
        said["tachycardia"]


def test_in_a_notebook_each_class_stands_with_what_speaks_against_it() -> None:
    rows = (
        ClassResult("Normal", 0.125, 0.5, False, 0.9, 0.9),
        ClassResult("AF", 0.875, 0.25, True, 0.9, 0.9),
    )
    found = Classification(rows, "uncertain", ("a <doubt>",), "m", warnings=("a warning",))
    page = found._repr_html_()
    for cells in (("Normal", "0.125", "0.500", ""), ("AF", "0.875", "0.250", "found")):
        assert "".join(f"<td>{cell}</td>" for cell in cells) in page
    assert page.index("a &lt;doubt&gt;") < page.index("a warning")


def test_more_windows_than_are_read_at_a_time_are_read_in_order(
    classifier: Classifier, records: Records
) -> None:
    """The curves of a long record and of many go through the networks in parts."""
    few = np.concatenate([prepare(record).windows()[:1] for record, _ in records.values()])
    many = np.concatenate([few] * 12)
    odds = classifier.log_odds(many)
    assert len(odds) == len(many) > 64
    np.testing.assert_allclose(odds[-len(few) :], classifier.log_odds(few), atol=1e-4)
