"""Labelled folders: the Challenges' form, ICBEB's own, and figures that are what they say."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.io import savemat
from sklearn.metrics import roc_auc_score

from ecg4u.cli import cli
from ecg4u.errors import UnreadableInputError, UsageError
from ecg4u.io import read_record
from ecg4u.model import Classification, ClassResult
from ecg4u.model.labelled import figures
from ecg4u.record import CLASSES, LEADS, ECGRecord


class Stub:
    """A classifier that says AF as likely as lead I's first sample, "possible" from 0.3."""

    def classify_batch(self, records: list[ECGRecord]) -> list[Classification]:
        return [self.answer(float(record.p_signal[0, 0])) for record in records]

    def answer(self, p: float) -> Classification:
        call = "likely" if p >= 0.6 else "possible" if p >= 0.3 else "unlikely"
        rows = tuple(
            ClassResult(n, p, 0.6, p >= 0.6, 0.9, 0.9, None, call)  # type: ignore[arg-type]
            if n == "AF"
            else ClassResult(n, 0.1, 0.5, False, 0.9, 0.9, None, "unlikely")
            for n in CLASSES
        )
        return Classification(rows, "ok", (), "stub")


def leave(folder: Path, name: str, first_mv: float, codes: str, ended: bool = True) -> np.ndarray:
    """A recording in the Challenge's form, its record line with or without the ending."""
    counts = np.random.default_rng(0).integers(-500, 500, (12, 5000)).astype(np.int16)
    counts[0, 0] = round(1000 * first_mv)
    savemat(folder / f"{name}.mat", {"val": counts}, format="4")
    lines = [f"{name}{'.mat' if ended else ''} 12 500 5000 05-May-2020 14:50:55"]
    lines += [f"{name}.mat 16+24 1000/mV 16 0 0 0 0 {lead}" for lead in LEADS]
    lines += ["#Age: 74", "#Sex: Female", *([f"#Dx: {codes}"] if codes else []), "#Rx: Unknown"]
    (folder / f"{name}.hea").write_text("\n".join(lines) + "\n")
    return counts


@pytest.mark.parametrize("what", ["E07546.hea", "E07546.mat", "E07546"])
def test_a_record_line_with_an_ending_is_read(what: str, tmp_path: Path) -> None:
    counts = leave(tmp_path, "E07546", 0.4, "164889003")
    record = read_record(tmp_path / what)
    np.testing.assert_allclose(record.p_signal.T, counts / 1000, atol=1e-9)
    assert (record.fs, record.age, record.sex) == (500.0, 74.0, "F")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["E07546.hea", "E07546.mat"]


def test_figures_are_what_they_say(tmp_path: Path) -> None:
    odds = [0.9, 0.4, 0.2, 0.7, 0.4, 0.1, 0.05, 0.1]
    truth = [True, True, True, False, False, False, False, False]
    for number, (p, af) in enumerate(zip(odds, truth, strict=True)):
        codes = "164889003,59118001" if af else "426783006"
        leave(tmp_path, f"E{number:05d}", p, codes, ended=number % 2 == 0)
    leave(tmp_path, "E00100", 0.9, "")
    leave(tmp_path, "E00101", 0.9, "164889003")
    (tmp_path / "E00101.mat").write_bytes(b"cut short")
    found = figures(tmp_path, Stub())  # type: ignore[arg-type]
    assert (found.recordings, found.refused, found.unlabelled) == (8, 1, 1)
    row = next(row for row in found.classes if row.name == "AF")
    assert row.positives == 3
    assert row.auroc == pytest.approx(roc_auc_score(truth, odds))
    assert row.f1 == pytest.approx(2 * 1 / (2 + 3))
    assert (row.sensitivity, row.specificity) == pytest.approx((1 / 3, 4 / 5))
    assert (row.possible_sensitivity, row.possible_specificity) == pytest.approx((2 / 3, 3 / 5))
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert plain["classes"][CLASSES.index("STE")]["auroc"] is None
    assert "0.767" in str(found)


def test_icbebs_reference_names_the_classes(tmp_path: Path) -> None:
    leave(tmp_path, "A0001", 0.9, "")
    leave(tmp_path, "A0002", 0.1, "")
    (tmp_path / "REFERENCE.csv").write_text("Recording,First_label\nA0001,2,5\nA0002,1,\n")
    found = figures(tmp_path, Stub())  # type: ignore[arg-type]
    assert {row.name: row.positives for row in found.classes if row.positives} == {
        "Normal": 1,
        "AF": 1,
        "RBBB": 1,
    }


def test_a_folder_without_labels_is_a_typed_error(tmp_path: Path) -> None:
    leave(tmp_path, "A0001", 0.9, "")
    with pytest.raises(UnreadableInputError):
        figures(tmp_path, Stub())  # type: ignore[arg-type]


def test_the_command_prints_the_table(tmp_path: Path) -> None:
    leave(tmp_path, "A0001", 0.9, "164889003")
    said = CliRunner().invoke(cli, ["classify", str(tmp_path), "--labels"])
    assert said.exit_code == 0, said.output
    assert "1 recordings" in said.output
    told = CliRunner().invoke(cli, ["classify", str(tmp_path), "--labels", "--json"])
    assert json.loads(told.output)["recordings"] == 1
    one = CliRunner().invoke(cli, ["classify", str(tmp_path / "A0001.hea"), "--labels"])
    assert isinstance(one.exception, UsageError)


def test_a_reference_that_is_a_pipe_or_no_table_is_refused(tmp_path: Path) -> None:
    leave(tmp_path, "A1", 0.5, "164889003")
    os.mkfifo(tmp_path / "REFERENCE.csv")
    with pytest.raises(UnreadableInputError):
        figures(tmp_path, Stub())
    (tmp_path / "REFERENCE.csv").unlink()
    (tmp_path / "REFERENCE.csv").write_text('A1,"' + "x" * 3_000_000)
    with pytest.raises(UnreadableInputError, match="REFERENCE"):
        figures(tmp_path, Stub())
