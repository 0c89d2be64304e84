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
    seen_st,
    targets,
)


def value(known: np.ndarray, name: str) -> float:
    return float(known[CLASSES.index(name)])


def test_a_flag_that_is_set_is_never_forgotten() -> None:
    every = np.ones(9, np.float32)
    statements = ["STD_", "ISC_", "STE_", "INJAS", "1AVB", "LPR", "PAC", "PVC", "BIGU"]
    known = targets("PTB-XL", statements, every)
    np.testing.assert_array_equal(known[1:], every[1:])
    kept = seen_st(known, "PTB-XL", statements, (0.0, 0.0), True)
    np.testing.assert_array_equal(kept[1:], every[1:])


@pytest.mark.parametrize(
    ("statement", "unknown"),
    [
        ("LPR", {"I-AVB"}),
        ("BIGU", {"PAC", "PVC"}),
        ("NORM", set()),
        ("IRBBB", set()),
    ],
)
def test_ptbxl_statements_leave_their_classes_unknown(statement: str, unknown: set[str]) -> None:
    known = targets("PTB-XL", [statement], np.zeros(9, np.float32))
    assert {name for name in CLASSES if np.isnan(value(known, name))} == unknown


def test_incomplete_block_is_rbbb_and_normal_excludes_it() -> None:
    known = targets("PTB-XL", ["NORM", "IRBBB"], from_names({"Normal"}))
    assert value(known, "RBBB") == 1
    assert value(known, "Normal") == 0
    assert value(targets("PTB-XL", ["NORM", "SARRH"], from_names({"Normal"})), "Normal") == 1
    assert np.isnan(value(targets("PTB-XL", ["NORM", "QWAVE"], from_names({"Normal"})), "Normal"))


DEEP, LEVEL, BETWEEN, HIGH = (-0.15, 0.1), (0.0, 0.1), (-0.05, 0.7), (0.0, 1.2)


@pytest.mark.parametrize(
    ("statements", "level", "sized", "std", "ste"),
    [
        (["ISC_"], DEEP, True, 1, 0),
        (["ISC_"], LEVEL, True, 0, 0),
        (["ISC_"], BETWEEN, True, None, None),
        (["ISC_"], DEEP, False, None, None),
        (["INJAS"], HIGH, True, 0, 1),
        (["NORM"], LEVEL, True, 0, 0),
        (["NORM"], BETWEEN, True, 0, 0),
        (["NORM"], DEEP, True, None, 0),
        (["CLBBB", "ISC_"], DEEP, True, None, 0),
        (["STD_", "LVH"], LEVEL, True, 1, 0),
    ],
)
def test_st_classes_are_what_is_seen(
    statements: list[str],
    level: tuple[float, float],
    sized: bool,
    std: float | None,
    ste: float | None,
) -> None:
    stated = from_names({"STD"} if "STD_" in statements else set())
    known = seen_st(stated, "PTB-XL", statements, level, sized)
    for name, wanted in (("STD", std), ("STE", ste)):
        got = value(known, name)
        assert np.isnan(got) if wanted is None else got == wanted
    np.testing.assert_array_equal(seen_st(stated, "Georgia", statements, DEEP, True), stated)


def test_bigeminy_with_pvc_leaves_neither_pvc_nor_pac_unknown() -> None:
    known = targets("PTB-XL", ["PVC", "BIGU"], from_names({"PVC"}))
    assert value(known, "PVC") == 1
    assert value(known, "PAC") == 0


def test_other_sources_keep_their_flags_but_ludb_says_nothing_of_st_depression() -> None:
    nothing = np.zeros(9, np.float32)
    np.testing.assert_array_equal(targets("CPSC2018", ["ISC_"], nothing), nothing)
    assert np.isnan(value(targets("LUDB", [], nothing), "STD"))


def test_other_findings_are_known_where_the_source_tells_them() -> None:
    found = dict(zip(AUXILIARY, auxiliary("PTB-XL", ["ISCAL", "IRBBB"]), strict=True))
    assert {name for name, v in found.items() if v == 1} == {"ischaemia", "incomplete RBBB"}
    coded = dict(zip(AUXILIARY, auxiliary("Georgia", ["SB"]), strict=True))
    assert coded["sinus bradycardia"] == 1
    assert coded["sinus tachycardia"] == 0
    assert np.isnan(coded["ischaemia"])
    assert np.isnan(auxiliary("LUDB", [])).all()


def test_estimated_amplitudes_tell_no_finding_of_amplitude() -> None:
    loose = dict(zip(AUXILIARY, auxiliary("PTB-XL", ["LVH", "IRBBB"], sized=False), strict=True))
    assert np.isnan(loose["left ventricular hypertrophy"])
    assert loose["incomplete RBBB"] == 1


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
