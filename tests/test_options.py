"""One object says how an ECG is read, whoever asks."""

from __future__ import annotations

from dataclasses import fields
from inspect import signature

import pytest

from ecg4u import analyse
from ecg4u.cli.options import CommandOptions
from ecg4u.cli.read import classify
from ecg4u.errors import UsageError
from ecg4u.options import ReadOptions


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gain_mm_per_mv", 0.9),
        ("gain_mm_per_mv", float("nan")),
        ("speed_mm_per_s", 201.0),
        ("dpi", 49.0),
        ("age", 131.0),
        ("age", -1.0),
        ("sex", "X"),
    ],
)
def test_what_no_page_and_no_patient_has_is_refused(name: str, value: object) -> None:
    with pytest.raises(UsageError):
        ReadOptions(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("gain_mm_per_mv", 80.0), ("speed_mm_per_s", 5.0), ("dpi", 2400.0), ("age", 130.0)],
)
def test_the_ends_of_a_range_belong_to_it(name: str, value: float) -> None:
    assert getattr(ReadOptions(**{name: value}), name) == value


def test_analyse_takes_every_option_by_its_name() -> None:
    names = {field.name: field.default for field in fields(ReadOptions)}
    given = {k: p.default for k, p in signature(analyse).parameters.items()}
    assert names.items() <= given.items()


def test_a_command_gives_what_it_is_told_under_the_same_names() -> None:
    own = {"sources", "labels", "as_json", "timeout_s", "memory_mb"}
    taken = {parameter.name for parameter in classify.params} - own
    assert taken <= {field.name for field in fields(CommandOptions)}
