"""Fitting to a folder of one's own: what is held out stays out; what is told is what was done."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from ecg4u.model.classifier import WEIGHTS, Classifier
from ecg4u.model.labelled import figures
from ecg4u.record import LEADS
from training import finetune

AF, NORMAL = "164889003", "426783006"


def leave(folder: Path, name: str, fast: bool, codes: str) -> None:
    """Ten seconds of narrow spikes at 60 or 120 a minute, with the codes of a label."""
    rng = np.random.default_rng(int(name[1:]))
    lead = np.zeros(1000)
    lead[rng.integers(20) :: 50 if fast else 100] = 1000
    counts = (lead + rng.normal(0, 20, (12, 1000))).T.astype("<i2")
    counts.tofile(folder / f"{name}.dat")
    lines = [f"{name} 12 100 1000"]
    lines += [f"{name}.dat 16 1000/mV 16 0 0 0 0 {label}" for label in LEADS]
    (folder / f"{name}.hea").write_text("\n".join([*lines, f"#Dx: {codes}"]) + "\n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """48 recordings of 24 patients; those at 120 a minute are called AF."""
    found = tmp_path / "own"
    found.mkdir()
    for number in range(48):
        leave(found, f"P{number:03d}", number % 4 > 1, AF if number % 4 > 1 else NORMAL)
    (tmp_path / "patients.csv").write_text("".join(f"P{n:03d},{n // 2}\n" for n in range(48)))
    return found


def called(folder: Path, *given: str) -> Result:
    options = ["--out", str(folder.parent / "weights"), "--threads", "1", *given]
    return CliRunner().invoke(finetune.main, [str(folder), *options])


def test_networks_are_trained_and_the_table_is_of_what_was_held_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finetune, "LEAST_LEARNED", 8)
    monkeypatch.setattr(finetune, "LEAST_FITTED", 4)
    patients, out = folder.parent / "patients.csv", folder.parent / "weights"
    said = called(folder, "--patients", str(patients), "--epochs", "3", "--batch", "8")
    assert said.exit_code == 0, said.output
    split = dict(csv.reader((out / "split.csv").open()))
    parts = {split[f"P{n:03d}"] + str(n // 2) for n in range(48)}
    assert len(parts) == 24  # no patient in two parts
    assert {p: list(split.values()).count(p) for p in ("train", "valid", "test")} == {
        "train": 24, "valid": 12, "test": 12,
    }  # fmt: skip
    about = json.loads((out / "finetune.json").read_text())
    assert about["held_out"]["recordings"] == 12
    assert about["done"]["parts"] == {"train": 24, "valid": 12}
    assert about["done"]["learned"], "the networks were trained"
    changed = [
        (out / path.name).read_bytes() != path.read_bytes()
        for path in sorted(WEIGHTS.glob("*.safetensors"))
    ]
    assert changed == [True, False]

    for name, part in split.items():  # the table is the one that classify --labels gives
        if part != "test":
            (folder / f"{name}.hea").unlink()
    for side, weights in (("before", WEIGHTS), ("after", out)):
        own = figures(folder, Classifier(weights)).to_dict()
        told = about["held_out"][side]
        for row, other in zip(own["classes"], told, strict=True):
            assert {k: other[k] for k in row} == {
                k: pytest.approx(v, abs=1e-6) for k, v in row.items()
            }


def test_few_labels_calibrate_only_and_fewer_are_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = folder.parent / "weights"
    said = called(folder)
    assert said.exit_code == 0, said.output
    assert "No network was changed" in said.output
    assert re.search(r"fitted for: Normal, AF \(36 recordings\)", said.output)
    assert "each recording counts as a patient" in said.output
    for path in WEIGHTS.glob("*.safetensors"):
        assert (out / path.name).read_bytes() == path.read_bytes()
    card, own = (json.loads((at / "classifier.json").read_text()) for at in (WEIGHTS, out))
    moved = {n for n in card["classes"] if own["thresholds"][n] != card["thresholds"][n]}
    assert moved == {"Normal", "AF"}
    assert own["id"] != card["id"] == own["finetuned_from"]
    assert "metrics" not in own

    again = called(folder)
    assert again.exit_code == 5
    assert "not empty" in again.output


@pytest.mark.parametrize(
    ("codes", "count", "words"),
    [
        (AF, 12, "12 of the 12 recordings"),
        ("10370003", 48, "nine classes"),
        (AF, 48, "No class has"),
    ],
)
def test_too_little_is_a_typed_error_with_a_remedy(
    codes: str, count: int, words: str, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    for number in range(count):
        leave(own, f"P{number:03d}", True, codes)
    said = called(own)
    assert said.exit_code == 3
    assert words in said.output
    assert not (tmp_path / "weights").exists()


def test_one_patient_cannot_be_held_out(folder: Path) -> None:
    same = folder.parent / "same.csv"
    same.write_text("".join(f"P{n:03d},one\n" for n in range(48)))
    said = called(folder, "--patients", str(same))
    assert said.exit_code == 3
    assert "too few patients" in said.output
