"""What a user writes: mypy --strict and pyright must accept it as it stands (never run)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

import ecg4u
from ecg4u import (
    ECGRecord,
    analyse,
    analyse_many,
    classify,
    digitize,
    explain,
    read_record,
    write_record,
)


def one_page(path: Path) -> float:
    record: ECGRecord = digitize(path, gain_mm_per_mv=10.0)
    signal: npt.NDArray[np.float64] = record.p_signal
    classification: ecg4u.Classification = classify(record)
    why: ecg4u.Explanation = explain(record, classification, classes=["AF"])
    if classification["AF"].positive and record.warnings:
        print(why)
    files: tuple[Path, ...] = write_record(record, "page", format="wfdb")
    print(files, read_record(files[0]).fs, np.nanmax(signal))
    probabilities: dict[str, float] = classification.probabilities
    return probabilities["AF"]


def other_sources() -> None:
    pixels: npt.NDArray[np.uint8] = np.zeros((100, 100, 3), np.uint8)
    digitize("page.png")
    ecg4u.digitize(pixels)
    ecg4u.classify(Image.fromarray(pixels))
    ecg4u.explain("record.hea")
    found: ecg4u.Analysis = analyse("page.png", age=61, sex="F")
    found.plot(leads=["II"])
    found.record.to_dataframe()


def cohort(paths: list[Path]) -> None:
    found: ecg4u.Cohort = analyse_many(paths, workers=2, classes=["AF"], progress=True)
    for path, record in found.records.items():
        print(path, record.duration_s)
    for failure in found.failures:
        print(failure.path, failure.error)
    try:
        found.to_shap("AF")
    except ecg4u.ECG4UError as error:
        print(error.hint)
