import numpy as np
import pytest

from ecg4u.model.labelled import SNOMED
from ecg4u.record import CLASSES
from training.labels import (
    AUXILIARY,
    auxiliary,
    believed,
    from_beats,
    from_names,
    targets,
)


def value(known: np.ndarray, name: str) -> float:
    return float(known[CLASSES.index(name)])


def test_a_flag_that_is_set_is_never_forgotten() -> None:
    every = np.ones(9, np.float32)
    statements = ["STD_", "ISC_", "STE_", "INJAS", "1AVB", "LPR", "PAC", "PVC", "BIGU"]
    np.testing.assert_array_equal(targets("PTB-XL", statements, every), every)


@pytest.mark.parametrize(
    ("statement", "unknown"),
    [
        ("ISC_", {"STD"}),
        ("INJAS", {"STD", "STE"}),
        ("AMI", {"STE"}),
        ("LPR", {"I-AVB"}),
        ("BIGU", {"PAC", "PVC"}),
        ("NORM", set()),
        ("IRBBB", set()),
    ],
)
def test_ptbxl_statements_leave_their_classes_unknown(statement: str, unknown: set[str]) -> None:
    known = targets("PTB-XL", [statement], np.zeros(9, np.float32))
    assert {name for name in CLASSES if np.isnan(value(known, name))} == unknown


def test_bigeminy_with_pvc_leaves_neither_pvc_nor_pac_unknown() -> None:
    known = targets("PTB-XL", ["PVC", "BIGU"], from_names({"PVC"}))
    assert value(known, "PVC") == 1
    assert value(known, "PAC") == 0


def test_other_sources_keep_their_flags_but_ludb_says_nothing_of_st_depression() -> None:
    nothing = np.zeros(9, np.float32)
    np.testing.assert_array_equal(targets("CPSC2018", ["ISC_"], nothing), nothing)
    assert np.isnan(value(targets("LUDB", [], nothing), "STD"))


def test_auxiliary_heads_are_known_for_ptbxl_only() -> None:
    found = dict(zip(AUXILIARY, auxiliary("PTB-XL", ["ISCAL", "IRBBB"]), strict=True))
    assert {name for name, v in found.items() if v == 1} == {"ischaemia", "incomplete RBBB"}
    assert np.isnan(auxiliary("Georgia", ["ISCAL"])).all()


def test_every_class_has_a_code() -> None:
    assert set(SNOMED.values()) == set(CLASSES)


def test_beats_and_rhythms_of_a_window() -> None:
    known = from_beats(list("NNVNA"), ["(N"])
    assert value(known, "PVC") == value(known, "PAC") == 1
    assert value(known, "AF") == value(known, "Normal") == value(known, "LBBB") == 0
    assert np.isnan(value(known, "STD"))
    assert np.isnan(value(known, "I-AVB"))
    assert value(from_beats(list("NNNN"), ["(AFIB"]), "AF") == 1
    assert np.isnan(value(from_beats(list("NNNN"), ["(N", "(AFIB"]), "AF"))
    assert value(from_beats(list("LLLN"), ["(N"]), "LBBB") == 1
    assert np.isnan(value(from_beats(list("LNNN"), ["(N"]), "LBBB"))
    assert np.isnan(value(from_beats(list("NNNN"), ["(N"]), "Normal"))
    assert np.isnan(from_beats([], ["(N"])).all()


def test_a_contradicted_label_is_left_out_and_nothing_else() -> None:
    reference = np.zeros((3, 9), np.float32)
    sources, names = np.array(["LUDB", "LUDB", "PTB-XL"]), np.array(["116", "117", "116"])
    kept = believed(reference, sources, names)
    assert np.isnan(kept).sum() == 2
    assert np.isnan(kept[0, [CLASSES.index("LBBB"), CLASSES.index("RBBB")]]).all()
    assert not np.isnan(reference).any()
