"""What a caller may say about an ECG, and what is refused before any work is done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ecg4u
from ecg4u import LEADS, ECGRecord, analyse
from ecg4u.errors import NotAnECGError, UsageError, WrongTypeError
from ecg4u.io import Page, read_record
from ecg4u.record import Provenance
from ecg4u.report import render
from ecg4u.report.dicom import encapsulated_pdf
from ecg4u.report.exports import export
from ecg4u.report.fhir import bundle
from ecg4u.report.pdf import one_page_pdf

RECORD = Path(__file__).parents[1] / "data" / "records" / "ptbxl_00427.hea"
BLANK = Page(np.full((400, 400, 3), 255, np.uint8), "")


@pytest.mark.parametrize(
    "said",
    [
        {"gain_mm_per_mv": 0},
        {"gain_mm_per_mv": -10},
        {"gain_mm_per_mv": float("nan")},
        {"speed_mm_per_s": 0},
        {"speed_mm_per_s": float("nan")},
        {"dpi": -5},
        {"sex": "female"},
        {"age": -1},
    ],
)
def test_what_no_page_or_person_has_is_a_usage_error(said: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        analyse(BLANK, **said)


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1), (63, 63)])
def test_a_picture_too_small_to_be_a_page_is_no_ecg(shape: tuple[int, int]) -> None:
    with pytest.raises(NotAnECGError, match="pixels"):
        analyse(Page(np.full((*shape, 3), 255, np.uint8), ""))


@pytest.mark.parametrize(
    "call",
    [
        *(
            lambda name=name: analyse(BLANK, **{name: "x"})
            for name in [
                "page",
                "gain_mm_per_mv",
                "speed_mm_per_s",
                "dpi",
                "age",
                "seed",
                "classes",
            ]
        ),
        lambda: analyse(RECORD, classes=3),
        lambda: analyse(RECORD, classifier="weights"),
        lambda: ecg4u.classify(RECORD.with_name("page.png"), page="2"),
        lambda: ecg4u.explain(read_record(RECORD), "AF"),
        lambda: ecg4u.explain(read_record(RECORD), classes="AF"),
        lambda: ecg4u.Classifier(5),
        lambda: ecg4u.analyse_many(None),
        lambda: ecg4u.analyse_many([5]),
        lambda: ecg4u.analyse_many([RECORD], workers="2"),
        lambda: ecg4u.analyse_many([RECORD], classes="AF"),
        lambda: ecg4u.read_record(5),
        lambda: ecg4u.read_record(RECORD, fs="x"),
        lambda: ecg4u.write_record(5, "x.csv"),
        lambda: ecg4u.write_record(read_record(RECORD), 5),
        lambda: ecg4u.ECGRecord(np.zeros((500, 12)), "x"),
        lambda: ecg4u.ECGRecord(np.zeros((500, 12)), age="x"),
        lambda: ecg4u.ECGRecord.from_leads(5, 500),
        lambda: ecg4u.ECGRecord.from_dataframe(5, 500),
        lambda: ecg4u.ECGRecord.from_wfdb(5),
        lambda: export(read_record(RECORD), ["fhir"]),
        lambda: bundle(read_record(RECORD)),
        lambda: encapsulated_pdf(read_record(RECORD)),
        lambda: one_page_pdf(read_record(RECORD)),
        lambda: render(read_record(RECORD)),
    ],
)
def test_an_argument_of_a_wrong_kind_is_a_typed_error_with_a_remedy(call: Any) -> None:
    with pytest.raises(WrongTypeError) as told:
        call()
    assert isinstance(told.value, (UsageError, TypeError))
    assert told.value.hint


@pytest.mark.parametrize(
    "call",
    [
        lambda: ecg4u.ECGRecord("x"),
        lambda: ecg4u.ECGRecord(np.zeros((500, 12)), sex="male"),
        lambda: ecg4u.ECGRecord.from_leads({"I": "x"}, 500),
        lambda: read_record(RECORD).lead("V9"),
        lambda: export(analyse(RECORD, explain=False), ["word"]),
        lambda: export(analyse(RECORD, explain=False), "pdf"),
    ],
)
def test_a_value_that_cannot_be_is_a_typed_error_with_a_remedy(call: Any) -> None:
    with pytest.raises(ecg4u.ECG4UError) as told:
        call()
    assert told.value.hint


@pytest.mark.parametrize("source", [None, 3, [1.0]])
@pytest.mark.parametrize("function", [analyse, ecg4u.digitize, ecg4u.classify, ecg4u.explain])
def test_what_is_no_ecg_is_told_what_to_be(function: Any, source: Any) -> None:
    with pytest.raises(WrongTypeError, match="path or a file's bytes") as told:
        function(source)
    assert "uint8 array" in told.value.hint


def test_pixels_can_be_digitized() -> None:
    with pytest.raises(NotAnECGError):
        ecg4u.digitize(BLANK)


def test_age_and_sex_reach_the_record() -> None:
    found = analyse(RECORD, age=35, sex="M", classify=False, explain=False).record
    assert (found.age, found.sex) == (35, "M")
    np.testing.assert_array_equal(found.p_signal, read_record(RECORD).p_signal)


def test_what_was_assumed_of_a_record_is_told_in_a_sentence() -> None:
    read = Provenance("digitized", inferred=("paper speed 25 mm/s",))
    record = ECGRecord(np.zeros((5000, len(LEADS))), provenance=read)
    (warning,) = analyse(record, classify=False).warnings
    assert warning == "Assumed, not read: paper speed 25 mm/s."
