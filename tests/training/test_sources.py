from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from ecg4u.errors import UnreadableInputError
from ecg4u.record import CLASSES, LEADS
from training.prepare_data import MAX_TRAIN_WINDOWS, UNKNOWN, windows_of, write
from training.sources import Recording, collected, icbeb_2018

RNG = np.random.default_rng(0)


def signal(seconds: float) -> np.ndarray:
    return np.round(RNG.normal(0, 0.5, (12, round(500 * seconds))), 3)


def test_the_challenges_own_form(tmp_path: Path) -> None:
    """MATLAB 5 with a struct ECG (sex, age, data), beside REFERENCE.csv in a folder of its own."""
    leads = signal(7)
    (tmp_path / "TrainingSet1").mkdir()
    (tmp_path / "labels").mkdir()
    ecg = {"sex": "Female", "age": 62, "data": leads}
    savemat(tmp_path / "TrainingSet1" / "A0001.mat", {"ECG": ecg})
    (tmp_path / "labels" / "REFERENCE.csv").write_text(
        "Recording,First_label,Second_label,Third_label\nA0001,5,7,\nA9999,1,,\n"
    )
    (one,) = icbeb_2018(tmp_path)
    np.testing.assert_allclose(one.signal, leads, atol=1e-6)
    assert {c for c, v in zip(CLASSES, one.targets, strict=True) if v} == {"RBBB", "PVC"}
    assert (one.name, one.fs, one.age, one.sex) == ("A0001", 500.0, 62.0, "F")


@pytest.mark.parametrize("name", ["A0002", "A0002.mat"])
def test_physionets_form(name: str, tmp_path: Path) -> None:
    """WFDB: a header with SNOMED codes over a MATLAB 4 file holding `val`."""
    leads = signal(6)
    counts = np.rint(leads * 1000).astype(np.int16)
    savemat(tmp_path / "A0002.mat", {"val": counts}, format="4")
    lines = [f"{name} 12 500 3000 05-May-2020 14:50:55"]
    lines += [f"A0002.mat 16+24 1000/mV 16 0 0 0 0 {lead}" for lead in LEADS]
    lines += ["#Age: 74", "#Sex: Male", "#Dx: 164889003,429622005", "#Rx: Unknown"]
    (tmp_path / "A0002.hea").write_text("\n".join(lines) + "\n")
    (one,) = icbeb_2018(tmp_path)
    np.testing.assert_allclose(one.signal, leads, atol=1e-6)
    assert {c for c, v in zip(CLASSES, one.targets, strict=True) if v} == {"AF", "STD"}
    assert (one.name, one.fs, one.age, one.sex) == ("A0002", 500.0, 74.0, "M")


def test_a_folder_of_neither_form_is_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInputError):
        list(icbeb_2018(tmp_path))


def recording(seconds: float, split: str = "train") -> Recording:
    nothing = np.zeros(9, np.float32)
    return Recording(
        "CPSC2018", "A1", split, "", signal(seconds).astype(np.float32), 500.0,
        nothing, nothing, np.full(18, np.nan, np.float32),
    )  # fmt: skip


def test_windows_are_counts_and_what_is_missing_is_marked() -> None:
    short = windows_of(recording(4))
    assert short.shape == (1, 12, 1000)
    assert short.dtype == np.int16
    assert (short[0, :, 400:] == UNKNOWN).all()
    assert (short[0, :, :400] != UNKNOWN).all()
    assert len(windows_of(recording(115))) <= MAX_TRAIN_WINDOWS
    assert len(windows_of(recording(115, "test"))) == 12


def test_the_file_names_each_windows_recording(tmp_path: Path) -> None:
    from training.dataset import load

    out = tmp_path / "data.h5"
    assert write([recording(10), recording(25), recording(5, "valid")], out) == 3
    held, streamed = load(out), load(out, stream=True)
    np.testing.assert_array_equal(held.owner, [0, 1, 1, 1, 2])
    np.testing.assert_array_equal(held.windows("valid"), [4])
    rows = np.array([3, 0, 3])
    for one, other in zip(held.batch(rows), streamed.batch(rows), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.shared
def test_no_patient_is_in_two_splits() -> None:
    folder = Path(__file__).parents[3] / "shared" / "ecg"
    seen: dict[str, str] = {}
    for one in collected(folder):
        if one.patient:
            assert seen.setdefault(f"{one.source} {one.patient}", one.split) == one.split
