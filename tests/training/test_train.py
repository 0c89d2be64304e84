import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from ecg4u.model.trees import Trees, TreesConfig
from training.dataset import load, sampling_weights
from training.export import main as export
from training.labels import AUXILIARY
from training.prepare_data import write
from training.sources import Recording
from training.train import Settings, Trainer, masked_loss
from training.train import main as train
from training.trees import main as boost
from training.trees import put

TINY = {"epochs": 2, "batch": 8, "width": 4}


def beat_train(rng: np.random.Generator, fast: bool) -> np.ndarray:
    """Twelve leads of narrow spikes at 60 or 120 a minute."""
    lead = np.zeros(1000, np.float32)
    lead[rng.integers(20) :: 50 if fast else 100] = 1.0
    return np.tile(lead, (12, 1)) + rng.normal(0, 0.02, (12, 1000)).astype(np.float32)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    recordings = []
    for number in range(48):
        fast = number % 2 == 1
        label = np.zeros(9, np.float32)
        label[1 if fast else 0] = 1
        known = label.copy()
        known[7] = np.nan
        recordings.append(
            Recording(
                "PTB-XL",
                f"{number}",
                "train" if number < 32 else "valid",
                f"{number}",
                beat_train(rng, fast),
                100.0,
                label,
                known,
                np.zeros(len(AUXILIARY), np.float32),
            )
        )
    out = tmp_path_factory.mktemp("data") / "tiny.h5"
    write(recordings, out)
    return out


def trained(data: Path, run: Path, **changes: object) -> dict[str, torch.Tensor]:
    settings = Settings(data="tiny.h5", **{**TINY, **changes})  # type: ignore[arg-type]
    trainer = Trainer(settings, load(data), run, "cpu")
    trainer.fit()
    return trainer.average.state_dict()


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[key], other[key]) for key in one)


def test_the_same_seed_gives_the_same_weights_and_another_does_not(
    data: Path, tmp_path: Path
) -> None:
    first = trained(data, tmp_path / "a")
    assert same(first, trained(data, tmp_path / "b"))
    assert not same(first, trained(data, tmp_path / "c", seed=1))


def test_a_killed_run_goes_on_to_the_same_weights(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = trained(data, tmp_path / "whole")
    settings = Settings(data="tiny.h5", **TINY)  # type: ignore[arg-type]
    killed = Trainer(settings, load(data), tmp_path / "killed", "cpu")
    killed._train_epoch()
    killed.epoch = 1
    killed.save()
    again = Trainer(settings, load(data, stream=True), tmp_path / "killed", "cpu")
    again.resume()
    assert again.epoch == 1
    again.fit()
    assert same(whole, again.average.state_dict())
    capsys.readouterr()
    again.fit()
    assert capsys.readouterr().err == "Nothing left to do: epoch 2 of 2 is trained.\n"


def test_the_peer_is_trained_and_answers_as_ours_do(data: Path, tmp_path: Path) -> None:
    from benchmarks.classify import peer_answers

    trained(data, tmp_path, network="resnet34", layouts=False, mixup=False, epochs=1)
    found = peer_answers(tmp_path, load(data), "valid")
    assert found.probabilities.shape == found.labels.shape == (16, 9)
    assert ((found.probabilities > 0) & (found.probabilities < 1)).all()
    assert ((found.thresholds > 0) & (found.thresholds < 1)).all()
    assert np.ptp(found.probabilities[:, 1]) > 0


def test_one_command_trains_and_one_exports(data: Path, tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "weights"
    options = ["--data", str(data), "--run", str(run), "--epochs", "12", "--batch", "8"]
    result = CliRunner().invoke(train, [*options, "--width", "4", "--threads", "1"])
    assert result.exit_code == 0, result.output
    assert {p.name for p in run.iterdir()} >= {"curves.png", "confusion.png", "run.json"}
    loss = [entry["loss"] for entry in json.loads((run / "run.json").read_text())["history"]]
    assert loss[-1] < 0.8 * loss[0]
    result = CliRunner().invoke(export, [str(run), "--data", str(data), "--out", str(out)])
    assert result.exit_code == 0, result.output
    card = json.loads((out / "classifier.json").read_text())
    assert card["metrics"]["valid"]["full"]["recordings"] == 16
    assert "test" not in card["metrics"]

    from ecg4u.model import Classifier

    shipped = Classifier(out)
    leads, masks = load(data).batch(np.arange(4))
    odds = shipped.log_odds(torch.cat([leads, masks], dim=1))
    assert odds.shape == (4, 9)


def test_one_class_against_the_rest(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = ["--data", str(data), "--run", str(run), "--epochs", "1", "--width", "4"]
    result = CliRunner().invoke(train, [*options, "--class", "AF", "--batch", "8"])
    assert result.exit_code == 0, result.output
    about = json.loads((run / "run.json").read_text())
    assert about["classes"] == ["AF"]
    assert about["config"]["outputs"] == 1
    out = tmp_path / "weights"
    result = CliRunner().invoke(export, [str(run), "--data", str(data), "--out", str(out)])
    assert result.exit_code == 0, result.output

    from ecg4u.model import Classifier
    from ecg4u.record import ECGRecord

    leads = beat_train(np.random.default_rng(1), True).T.astype(np.float64)
    answer = Classifier(out).classify(ECGRecord(leads, 100.0))
    assert [r.name for r in answer.results] == ["AF"]


def test_the_best_epoch_is_what_ships(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    settings = Settings(data="tiny.h5", **{**TINY, "epochs": 6})  # type: ignore[arg-type]
    trainer = Trainer(settings, load(data), run, "cpu")
    scores = iter([0.6, 0.9, 0.7])

    def validated() -> dict[str, dict[str, float]]:
        score = next(scores)
        return {layout: {"macro": score} for layout in ("full", "3x4+1")}

    trainer.validate = validated  # type: ignore[method-assign]
    kept = {}
    save = trainer.save

    def saved() -> None:
        save()
        kept[trainer.epoch] = {k: v.clone() for k, v in trainer.average.state_dict().items()}

    trainer.save = saved  # type: ignore[method-assign]
    trainer.fit()
    best = torch.load(run / "best.pt", weights_only=True)
    assert best["epoch"] == 4
    assert same(best["average"], kept[4])
    assert not same(best["average"], kept[6])


def test_trees_are_boosted_and_ship_as_they_were_fitted(data: Path, tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "weights"
    options = ["--data", str(data), "--run", str(run), "--trees", "30", "--leaves", "4"]
    result = CliRunner().invoke(boost, [*options, "--learning-rate", "0.3"])
    assert result.exit_code == 0, result.output
    history = json.loads((run / "run.json").read_text())["history"]
    assert history[0]["full"]["AF"] == 1
    result = CliRunner().invoke(export, [str(run), "--data", str(data), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "python -m training.trees" in (out / "CARD.md").read_text()


def test_folds_calibrate_what_has_learned_from_all(data: Path, tmp_path: Path) -> None:
    options = ["--data", str(data), "--run", str(tmp_path / "all"), "--trees", "20"]
    options += [part for held in ("0/2", "1/2", "none") for part in ("--held-out", held)]
    result = CliRunner().invoke(boost, [*options, "--views", "0"])
    assert result.exit_code == 0, result.output
    out = tmp_path / "weights"
    options = [str(tmp_path / "all"), "--data", str(data), "--out", str(out)]
    result = CliRunner().invoke(export, [*options, "--fold", str(tmp_path / "all-0")])
    assert result.exit_code == 2
    assert "every fold" in result.output
    folds = ["--fold", str(tmp_path / "all-0"), "--fold", str(tmp_path / "all-1")]
    result = CliRunner().invoke(export, [*options, *folds])
    assert result.exit_code == 0, result.output
    card = json.loads((out / "classifier.json").read_text())
    assert set(card["metrics"]) == {"out of fold"}
    assert card["metrics"]["out of fold"]["full"]["recordings"] == 48
    words = (out / "CARD.md").read_text()
    assert "train and valid out of fold" in words
    assert "--fold runs/trees-0 --fold runs/trees-1 --data" in words
    assert words.count("--held-out") == 3 + 1


def test_a_network_learns_from_its_teacher_what_no_label_tells(data: Path, tmp_path: Path) -> None:
    """Nothing but the teacher says here which of the beats, the slow or the fast, are AF."""
    taught, run = tmp_path / "trees", tmp_path / "network"
    options = ["--data", str(data), "--run", str(taught), "--trees", "20", "--views", "0"]
    result = CliRunner().invoke(boost, [*options, "--learning-rate", "0.3"])
    assert result.exit_code == 0, result.output
    silent = tmp_path / "silent.h5"
    shutil.copy(data, silent)
    with h5py.File(silent, "r+") as file:
        file["targets"][:] = np.nan
    options = ["--data", str(silent), "--run", str(run), "--teacher", str(taught), "--epochs", "25"]
    options += ["--batch", "8", "--width", "8", "--no-mixup", "--no-layouts"]
    result = CliRunner().invoke(train, [*options, "--validate-every", "25"])
    assert result.exit_code == 0, result.output
    about = json.loads((run / "run.json").read_text())
    assert about["settings"]["teacher"] == "trees"
    assert about["history"][-1]["full"]["AF"] > 0.9


def test_findings_ship_only_if_they_are_told_well_enough(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fast beats are AF in these data: tachycardia goes with them, low voltage with nothing."""
    from ecg4u.model import Classifier
    from ecg4u.record import ECGRecord

    marked = tmp_path / "marked.h5"
    shutil.copy(data, marked)
    with h5py.File(marked, "r+") as file:
        names = list(file.attrs["auxiliary_names"])
        fast = file["reference"][:, 1]
        file["auxiliary"][:, names.index("sinus tachycardia")] = fast
        file["auxiliary"][:, names.index("low voltage")] = np.arange(48) // 2 % 2
        file["auxiliary"][:, names.index("pacemaker")] = fast * (np.arange(48) < 10)
    held = [part for fold in ("0/2", "1/2", "none") for part in ("--held-out", fold)]
    options = [
        "--data",
        str(marked),
        "--run",
        str(tmp_path / "a"),
        "--views",
        "0",
        "--trees",
        "40",
        *held,
    ]
    result = CliRunner().invoke(boost, options)
    assert result.exit_code == 0, result.output
    monkeypatch.setattr("training.export.LEAST_POSITIVES", 20)
    out, run = tmp_path / "weights", str(tmp_path / "a")
    folds = [part for i in (0, 1) for part in ("--fold", f"{run}-{i}")]
    given = [run, "--data", str(marked), "--out", str(out), *folds]
    result = CliRunner().invoke(export, given)
    assert result.exit_code == 0, result.output
    card = json.loads((out / "classifier.json").read_text())
    assert card["findings"] == ["sinus tachycardia"]
    assert not card["finding_metrics"]["pacemaker"]["ships"]
    assert card["members"][0]["config"]["outputs"] == 9 + 1
    assert "python -m training.trees" in (out / "CARD.md").read_text()
    shipped = Classifier(out)
    leads = beat_train(np.random.default_rng(1), True).T.astype(np.float64)
    answer = shipped.classify(ECGRecord(leads, 100.0))
    assert [row.name for row in answer.other_findings] == ["sinus tachycardia"]
    assert answer.other_findings[0].call == "likely"
    slow = beat_train(np.random.default_rng(1), False).T.astype(np.float64)
    assert not shipped.classify(ECGRecord(slow, 100.0)).other_findings[0].positive


def test_ruling_out_keeps_most_positives_and_ruling_in_is_stricter() -> None:
    from training.calibrate import RULE_OUT_SPECIFICITY, rule_out

    rng = np.random.default_rng(0)
    y = (rng.random(4000) < 0.1).astype(float)
    clear, hazy = (1 / (1 + np.exp(-rng.normal(shift * y - 2, 1))) for shift in (4.0, 0.8))
    point = rule_out(y, clear, 0.6)
    assert point["sensitivity"] == pytest.approx(0.95, abs=0.01)
    assert point["threshold"] <= 0.6
    assert point["specificity"] == pytest.approx(np.mean(clear[y == 0] < point["threshold"]))
    doubtful = rule_out(y, hazy, 0.9)
    assert 0.6 <= doubtful["sensitivity"] < 0.9
    assert doubtful["specificity"] >= RULE_OUT_SPECIFICITY or doubtful["sensitivity"] < 0.62
    assert rule_out(y, clear, 0.001)["threshold"] == 0.001


def test_with_nothing_held_out_the_last_epoch_ships(data: Path, tmp_path: Path) -> None:
    from training.folds import held

    settings = Settings(data="tiny.h5", held_out="none", **TINY)  # type: ignore[arg-type]
    trainer = Trainer(settings, held(load(data), "none"), tmp_path / "run", "cpu")
    trainer.fit()
    best = torch.load(tmp_path / "run" / "best.pt", weights_only=True)
    assert best["epoch"] == 2
    assert same(best["average"], trainer.average.state_dict())
    assert "full" not in trainer.history[-1]


def test_the_command_trains_with_nothing_held_out(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = ["--data", str(data), "--run", str(run), "--epochs", "1", "--batch", "8"]
    options += ["--width", "4", "--threads", "1", "--held-out", "none"]
    result = CliRunner().invoke(train, options)
    assert result.exit_code == 0, result.output
    assert {p.name for p in run.iterdir()} >= {"best.pt", "run.json", "curves.png"}
    assert not (run / "confusion.png").exists()


def test_sources_share_as_in_the_validation_split(data: Path) -> None:
    from training.export import as_in_validation

    mixed = load(data)
    rows = np.arange(48)
    assert (as_in_validation(mixed, rows) == 1).all()
    mixed.source[[0, 1, 40, 41, 42, 43]] = "LUDB"
    weights = as_in_validation(mixed, rows)
    small = mixed.source == "LUDB"
    assert weights.sum() == pytest.approx(48)
    assert weights[small].sum() / 48 == pytest.approx(4 / 16)
    judged = np.flatnonzero(mixed.split == "valid")
    assert as_in_validation(mixed, judged) == pytest.approx(1)


def test_the_arrays_answer_as_the_booster_does() -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier

    from ecg4u.model.measures import COUNT

    rng = np.random.default_rng(0)
    values = rng.normal(size=(400, COUNT)).astype(np.float32)
    wanted = (values[:, 3] * values[:, 5] > 0).astype(float)
    values[rng.random(values.shape) < 0.2] = np.nan
    booster = HistGradientBoostingClassifier(max_iter=20, max_leaf_nodes=6, max_depth=4)
    booster.fit(values, wanted)
    network = Trees(TreesConfig(outputs=1, trees=20, nodes=11, depth=4))
    put(network, 0, booster)
    given = network.from_measures(torch.from_numpy(values))[:, 0].numpy()
    np.testing.assert_allclose(given, booster.decision_function(values), atol=1e-5)


def test_what_is_not_known_has_no_gradient() -> None:
    logits = torch.zeros(2, 3, requires_grad=True)
    targets = torch.tensor([[1.0, float("nan"), 0.0], [0.0, float("nan"), float("nan")]])
    masked_loss(logits, targets, 3, 0.3).backward()
    assert logits.grad is not None
    assert (logits.grad[:, 1] == 0).all()
    assert logits.grad[1, 2] == 0
    assert logits.grad[0, 0] < 0 < logits.grad[0, 2]


def test_rare_classes_are_drawn_more_often() -> None:
    labels = np.zeros((101, 2), np.float32)
    labels[:100, 0] = 1
    labels[100, 1] = 1
    weights = sampling_weights(labels, 0.5)
    assert weights[0] == 1
    assert weights[100] == pytest.approx(10)
