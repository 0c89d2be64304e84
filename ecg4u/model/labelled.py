"""How good is the classifier on a labelled folder? `ecg4u classify FOLDER --labels`.

Labels are the SNOMED CT codes of the header's ``Dx`` comment, as the PhysioNet/CinC Challenges 2020
and 2021 give them, or the ``REFERENCE.csv`` of ICBEB-2018 (a recording's name, then its classes by
number) anywhere in the folder.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ecg4u.errors import ECG4UError, UnreadableInputError
from ecg4u.io.files import read_bytes
from ecg4u.record import CLASSES

if TYPE_CHECKING:
    from ecg4u.model.classifier import Classification, Classifier

SNOMED: Mapping[str, str] = {
    "426783006": "Normal",
    "164889003": "AF",
    "270492004": "I-AVB",
    "164909002": "LBBB",
    "733534002": "LBBB",
    "59118001": "RBBB",
    "713427006": "RBBB",
    "284470004": "PAC",
    "63593006": "PAC",
    "427172004": "PVC",
    "17338001": "PVC",
    "164884008": "PVC",
    "429622005": "STD",
    "164931005": "STE",
}
"""SNOMED CT codes as used by the PhysioNet/CinC Challenges 2020 and 2021."""
CHUNK = 64
_NUMBERED = {str(number): name for number, name in enumerate(CLASSES, start=1)}
_MAX_REFERENCE_BYTES = 10_000_000
"""Of some 400,000 recordings; ICBEB-2018 has 6,877."""


@dataclass(frozen=True)
class ClassFigures:
    """One class on a labelled folder; NaN where there are no positives or no negatives.

    ``sensitivity`` and ``specificity`` count what is "likely" as called; the two ``possible_``
    figures what is "likely" or "possible".
    """

    name: str
    positives: int
    auroc: float
    f1: float
    sensitivity: float
    specificity: float
    possible_sensitivity: float
    possible_specificity: float


@dataclass(frozen=True)
class FolderFigures:
    """`ClassFigures` of the nine; how many recordings were read, refused, or without a label."""

    classes: tuple[ClassFigures, ...]
    recordings: int
    refused: int
    unlabelled: int

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON: None where there is no such figure."""
        rows = [
            {k: None if isinstance(v, float) and np.isnan(v) else v for k, v in asdict(row).items()}
            for row in self.classes
        ]
        return {**asdict(self), "classes": rows}

    def __str__(self) -> str:
        """The table, as the command prints it."""
        lines = [f"{'class':8s}{'n':>6s}{'AUROC':>8s}{'F1':>7s}{'likely':>16s}{'possible':>16s}"]
        for row in self.classes:
            likely = f"{_share(row.sensitivity)} / {_share(row.specificity)}"
            possible = f"{_share(row.possible_sensitivity)} / {_share(row.possible_specificity)}"
            lines.append(
                f"{row.name:8s}{row.positives:6d}{_share(row.auroc):>8s}{_share(row.f1):>7s}"
                f"{likely:>16s}{possible:>16s}"
            )
        return "\n".join(
            [
                *lines,
                "",
                "likely, possible: sensitivity / specificity if at least that call is positive.",
                f"{self.recordings} recordings; {self.refused} could not be read, "
                f"{self.unlabelled} have no label.",
            ]
        )


def figures(folder: Path, classifier: Classifier) -> FolderFigures:
    """Classify every labelled recording under ``folder`` and compare.

    Raises
    ------
    UnreadableInputError
        If no recording has a label.
    """
    from ecg4u.io import read_record

    labels, said, chunk = [], [], []
    refused = unlabelled = 0
    for path, names in recordings(folder):
        if names is None:
            unlabelled += 1
            continue
        try:
            chunk.append(read_record(path))
        except ECG4UError:
            refused += 1
            continue
        labels.append(names)
        if len(chunk) == CHUNK:
            said += classifier.classify_batch(chunk)
            chunk.clear()
    said += classifier.classify_batch(chunk)
    if not labels:
        raise UnreadableInputError(
            "No recording in the folder has a label.",
            stage="read",
            hint="Labels are a header's #Dx: codes, or a REFERENCE.csv.",
        )
    truth = np.array([[name in names for name in CLASSES] for names in labels])
    return FolderFigures(tuple(compared(truth, said)), len(said), refused, unlabelled)


def recordings(folder: Path) -> Iterator[tuple[Path, frozenset[str] | None]]:
    """Every recording under ``folder`` with its classes, or None where it has no label."""
    written = _reference(folder)
    for path in _recordings(folder):
        yield path, written.get(path.stem) if written else _coded(path)


def _recordings(folder: Path) -> Iterator[Path]:
    """Headers, or else any record file, in order."""
    from ecg4u.io import is_record_file

    headers = sorted(folder.rglob("*.hea"))
    if headers:
        yield from headers
        return
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix.lower() != ".csv" and is_record_file(path):
            yield path


def _coded(path: Path) -> frozenset[str] | None:
    """Classes of a header's diagnoses; None without any."""
    from ecg4u.io.wfdb_format import diagnoses

    codes = diagnoses(path) if path.suffix.lower() == ".hea" else ()
    return frozenset(SNOMED[code] for code in codes if code in SNOMED) if codes else None


def _reference(folder: Path) -> dict[str, frozenset[str]]:
    """Classes of each recording that a ``REFERENCE.csv`` names."""
    found: dict[str, frozenset[str]] = {}
    for path in sorted(folder.rglob("REFERENCE.csv")):
        text = read_bytes(path, max_bytes=_MAX_REFERENCE_BYTES).decode("utf-8-sig", "replace")
        for name, *labels in filter(None, _rows(text)):
            numbers = [label.strip() for label in labels if label.strip().isdigit()]
            if numbers and all(number in _NUMBERED for number in numbers):
                found[name] = frozenset(_NUMBERED[number] for number in numbers)
    return found


def _rows(text: str) -> Iterator[list[str]]:
    try:
        yield from csv.reader(io.StringIO(text, newline=""))
    except csv.Error:
        raise UnreadableInputError(
            "A REFERENCE.csv cannot be read.",
            stage="read",
            hint="Each line must hold a recording's name and the numbers of its classes (from 1).",
        ) from None


def compared(truth: npt.NDArray[np.bool_], said: list[Classification]) -> Iterator[ClassFigures]:
    """`ClassFigures` of the nine: (n, 9) labels against the answers."""
    for column, name in enumerate(CLASSES):
        rows = [next(r for r in answer.results if r.name == name) for answer in said]
        y = truth[:, column]
        likely = np.array([row.positive for row in rows])
        possible = np.array([row.call in ("likely", "possible") for row in rows])
        hits = int((y & likely).sum())
        yield ClassFigures(
            name=name,
            positives=int(y.sum()),
            auroc=_auroc(y, np.array([row.probability for row in rows])),
            f1=_ratio(2 * hits, int(likely.sum() + y.sum())) if y.any() else float("nan"),
            sensitivity=_ratio(hits, int(y.sum())),
            specificity=_ratio(int((~y & ~likely).sum()), int((~y).sum())),
            possible_sensitivity=_ratio(int((y & possible).sum()), int(y.sum())),
            possible_specificity=_ratio(int((~y & ~possible).sum()), int((~y).sum())),
        )


def _auroc(y: npt.NDArray[np.bool_], score: npt.NDArray[np.float64]) -> float:
    """The share of pairs of a positive and a negative that are in order; ties count a half."""
    from scipy.stats import rankdata

    ranks = rankdata(score)
    pairs = int(y.sum()) * int((~y).sum())
    return _ratio(float(ranks[y].sum()) - y.sum() * (y.sum() + 1) / 2, pairs)


def _ratio(part: float, whole: float) -> float:
    return float(part) / float(whole) if whole else float("nan")


def _share(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.3f}"
