"""Warnings and doubts are data: a stable code with parameters; the words stand in one place."""

from __future__ import annotations

import ast
import copy
import json
import pickle
from pathlib import Path
from string import Formatter

import numpy as np
import pytest

from ecg4u import analyse
from ecg4u.messages import (
    KINDS,
    Message,
    as_data,
    as_markdown,
    in_own_words,
    message,
    restored,
)
from ecg4u.model.checks import check
from ecg4u.model.prepare import prepare
from ecg4u.record import ECGRecord

ROOT = Path(__file__).parents[1]


def _calls() -> dict[str, list[set[str]]]:
    """Each code that the package uses, with the names of the parameters it is given."""
    found: dict[str, list[set[str]]] = {}
    for path in (ROOT / "ecg4u").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and getattr(node.func, "id", "") == "message"):
                continue
            if isinstance(node.args[0], ast.Constant):
                names = {keyword.arg or "" for keyword in node.keywords}
                found.setdefault(str(node.args[0].value), []).append(names)
    return found


def _named(words: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(words) if name}


def test_every_message_of_the_package_stands_in_the_catalogue_with_its_parameters() -> None:
    calls = _calls()
    assert len(calls) > 40
    for code, given in calls.items():
        assert all(names == _named(KINDS[code].words) for names in given), code


def test_every_code_of_the_catalogue_is_used() -> None:
    text = "".join(
        path.read_text() for path in (ROOT / "ecg4u").rglob("*.py") if path.name != "messages.py"
    )
    assert [code for code in KINDS if f'"{code}"' not in text] == []


def test_the_documentation_lists_every_code() -> None:
    assert (ROOT / "docs" / "messages.md").read_text() == as_markdown()


def test_a_message_is_its_sentence_and_knows_its_leads() -> None:
    found = message("leads_missing", leads=["V2", "I"])
    assert found == "Not found: V2, I."
    assert (found.code, found.leads, found.kind.severity) == (
        "leads_missing",
        ("I", "V2"),
        "warning",
    )


@pytest.mark.parametrize("again", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_is_the_same_message(again) -> None:
    found = message("speed_from_rows", speed=np.float64(50.0))
    other = again(found)
    assert isinstance(other, Message)
    assert (other, other.code, other.parameters) == (found, found.code, {"speed": 50.0})


def test_what_a_file_says_is_a_message_only_where_its_words_agree() -> None:
    text = str(message("part_of_page", layout="3x2"))
    assert restored(text, "part_of_page", {"layout": "3x2"}).code == "part_of_page"
    for code, parameters in (
        ("part_of_page", {}),
        ("no_such_code", {"layout": "3x2"}),
        ("part_of_page", {"layout": "3x2", "more": "words"}),
        ("part_of_page", {"layout": {"3x2": "3x2"}}),
        ("part_of_page", None),
    ):
        kept = restored(text, code, parameters)
        assert kept == text
        assert not isinstance(kept, Message)


def test_a_message_in_the_words_of_another_version_is_said_in_todays() -> None:
    assert restored("Gain? 10.", "gain_assumed", {}) == message("gain_assumed")


@pytest.mark.parametrize("gain", ["wide", float("inf"), 10**400, ["5"]])
def test_a_number_that_is_none_makes_no_message(gain: object) -> None:
    kept = restored("The page prints more.", "chest_gain_printed", {"gain": gain})
    assert not isinstance(kept, Message)


@pytest.mark.parametrize(
    ("probability", "words"), [(0.001, "under 1 %"), (0.42, "42 %"), (0.999, "over 99 %")]
)
def test_classes_and_probabilities_are_said_as_everywhere(probability: float, words: str) -> None:
    given = {"reason": "x", "threshold": 0.5, "reservation": ""}
    told = message("only_by_criteria", class_name="AF", probability=probability, **given)
    assert told.startswith("Atrial fibrillation: ")
    assert f"gives only {words} (threshold 50 %)." in told
    assert isinstance(restored(str(told), told.code, dict(told.parameters)), Message)


def test_a_class_that_is_none_makes_no_message() -> None:
    kept = restored("Normal ECG and others.", "normal_beside_others", {"classes": 3.0})
    assert not isinstance(kept, Message)


def test_a_sentence_of_an_older_file_has_no_code() -> None:
    (found,) = as_data(["The gain is assumed."])
    assert (found["code"], found["text"]) == (None, "The gain is assumed.")


def test_a_result_holds_codes_beside_its_sentences() -> None:
    flat = analyse(ECGRecord(np.zeros((5000, 12))), explain=False).to_dict()
    said = flat["classification"]
    assert [m["text"] for m in said["messages"]] == said["reasons"]
    (found,) = said["messages"]
    assert (found["code"], found["severity"]) == ("most_leads_flat", "refusal")
    assert found["parameters"] == {"flat": 12, "shown": 12}
    assert json.loads(json.dumps(flat)) == flat


def test_flat_leads_are_named_by_the_message() -> None:
    beat = np.exp(-(((np.arange(5000) / 500 % 0.8 - 0.4) / 0.012) ** 2) / 2)
    signal = beat[:, None] * np.linspace(0.5, 1.5, 12)
    signal[:, 7] = 0.0
    found = {m.code: m for m in check(prepare(ECGRecord(signal))).doubts}
    assert found["leads_flat"].leads == ("V2",)


def test_own_words_and_others() -> None:
    assert all(in_own_words(kind.words) for kind in KINDS.values())
    assert in_own_words("the lead labelled aVL fits as aVR; V4R")
    assert not any(map(in_own_words, ("John Doe", "J\u00f8hn", "\u5f20", "I of Doe")))
