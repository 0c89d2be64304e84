import numpy as np
import pytest

from training.dataset import Data
from training.folds import folds_of, held, parse


@pytest.fixture(scope="module")
def data() -> Data:
    """60 patients of two recordings each, a fifth of them for the test split; MIT-BIH beside."""
    rng = np.random.default_rng(0)
    n = 120
    split = np.array([("train", "train", "train", "valid", "test")[i // 2 % 5] for i in range(n)])
    reference = (rng.random((n, 9)) < np.linspace(0.5, 0.1, 9)).astype(np.float32)
    source = np.array(["PTB-XL"] * 100 + ["LUDB"] * 10 + ["MIT-BIH"] * 10)
    return Data(
        signals=np.zeros((n, 12, 1000), np.int16),
        owner=np.arange(n, dtype=np.int32),
        name=np.array([str(i) for i in range(n)]),
        source=source,
        split=np.where(source == "MIT-BIH", "train", split),
        patient=np.array([f"p{i // 2}" for i in range(n)]),
        sex=np.full(n, "F"),
        age=np.full(n, 50, np.float32),
        reference=reference,
        targets=reference,
        auxiliary=np.zeros((n, 18), np.float32),
        auxiliary_names=(),
        statements=np.full(n, ""),
        sized=np.full(n, True),
        file=np.full(n, ""),
    )


def test_every_recording_is_held_out_once_and_no_patient_is_on_both_sides(data: Data) -> None:
    seen = np.zeros(len(data.split), int)
    for fold in range(4):
        parts = held(data, f"{fold}/4")
        out = parts.split == "valid"
        seen += out
        assert not set(data.patient[out]) & set(data.patient[parts.split == "train"])
    free = (data.split != "test") & (data.source != "MIT-BIH")
    np.testing.assert_array_equal(seen, free.astype(int))


def test_the_test_split_and_the_annotated_windows_stay_where_they_are(data: Data) -> None:
    for held_out in ("valid", "none", "0/3", "2/3"):
        parts = held(data, held_out)
        np.testing.assert_array_equal(parts.split == "test", data.split == "test")
        assert (parts.split[data.source == "MIT-BIH"] == "train").all()
    assert held(data, "valid") is data
    assert not (held(data, "none").split == "valid").any()


def test_folds_hold_the_classes_alike(data: Data) -> None:
    fold = folds_of(data, 3)
    for column in range(9):
        each = [data.reference[fold == k, column].sum() for k in range(3)]
        assert max(each) - min(each) <= 8
    rarest = int(data.reference.sum(axis=0).argmin())
    each = [data.reference[fold == k, rarest].sum() for k in range(3)]
    assert max(each) - min(each) <= 3


@pytest.mark.parametrize("wrong", ["4/4", "1/1", "a/4", "", "1", "-1/4", "test"])
def test_what_is_no_fold_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="neither"):
        parse(wrong)
