from __future__ import annotations

import csv
from pathlib import Path

import pytest

from ecg4u.io import read_record
from ecg4u.model import Classifier
from ecg4u.record import ECGRecord

RECORDS = Path(__file__).parents[2] / "data" / "records"


@pytest.fixture(scope="session")
def classifier() -> Classifier:
    return Classifier()


@pytest.fixture(scope="session")
def records() -> dict[str, tuple[ECGRecord, set[str]]]:
    """The shipped example records and their classes."""
    with (RECORDS / "labels.csv").open(newline="") as stream:
        return {
            row["file"]: (read_record(RECORDS / f"{row['file']}.hea"), set(row["classes"].split()))
            for row in csv.DictReader(stream)
        }


@pytest.fixture
def normal(records: dict[str, tuple[ECGRecord, set[str]]]) -> ECGRecord:
    return records["ptbxl_06670"][0]
