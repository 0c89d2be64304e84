"""Which recordings a run learns from: the splits as given, a fold held out, or train and valid.

``valid`` is the split as ``index.csv`` gives it. ``I/K`` joins train and valid, parts them into K
folds that share no patient and hold each class alike, and holds out fold I: K runs of one kind
then score every recording of train and valid by a network that has not seen its patient. ``none``
learns from train and valid together. MIT-BIH's windows are always learned from; the test split is
never touched.
"""

from __future__ import annotations

import zlib
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt

from training.dataset import Data

ALWAYS_TRAINED = ("MIT-BIH",)
FOLDS = 4
HELD_OUT = (*(f"{fold}/{FOLDS}" for fold in range(FOLDS)), "none")
"""What the runs of a recipe hold out: each fold once to calibrate, and nothing to ship."""


def parse(held_out: str) -> tuple[int, int] | None:
    """``"I/K"`` as numbers; None for ``"valid"`` and ``"none"``.

    Raises
    ------
    ValueError
        If it is none of these.
    """
    if held_out in ("valid", "none"):
        return None
    fold, _, folds = held_out.partition("/")
    if not (fold.isdigit() and folds.isdigit() and int(fold) < int(folds) > 1):
        raise ValueError(f"{held_out!r} is neither 'valid', 'none' nor a fold such as '0/4'")
    return int(fold), int(folds)


def checked(context: object, parameter: object, value: str) -> str:
    """`parse` as a check of a command's option."""
    try:
        parse(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    return value


def all_checked(context: object, parameter: object, values: tuple[str, ...]) -> tuple[str, ...]:
    """`checked` for an option that may be repeated."""
    return tuple(checked(context, parameter, value) for value in values)


def folds_of(data: Data, folds: int) -> npt.NDArray[np.int64]:
    """(recordings,) the fold of each recording of train and valid, -1 for all others.

    Patients (a recording without one is its own) are dealt out in turn, ordered by their rarest
    class, their source and a hash of their name: the same each time.
    """
    free = np.isin(data.split, ("train", "valid")) & ~np.isin(data.source, ALWAYS_TRAINED)
    rows = np.flatnonzero(free)
    positive = data.reference[rows] == 1
    rarity = np.argsort(np.argsort(positive.sum(axis=0)))
    rarest = np.where(positive, rarity, positive.shape[1]).min(axis=1)
    of_patient: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        patient = str(data.patient[row]) or f"recording {data.name[row]}"
        of_patient.setdefault(f"{data.source[row]} {patient}", []).append(place)

    def order(patient: str) -> tuple[int, str, int]:
        least = int(rarest[of_patient[patient]].min())
        return least, patient.split(" ")[0], zlib.crc32(patient.encode())

    fold = np.full(len(data.split), -1, dtype=np.int64)
    for number, patient in enumerate(sorted(of_patient, key=order)):
        fold[rows[of_patient[patient]]] = number % folds
    return fold


def held(data: Data, held_out: str) -> Data:
    """``data`` with the splits that ``held_out`` asks for, the held-out fold as ``valid``."""
    if held_out == "valid":
        return data
    split = np.where(data.split == "valid", "train", data.split)
    which = parse(held_out)
    if which is not None:
        fold, folds = which
        split = np.where(folds_of(data, folds) == fold, "valid", split)
    return replace(data, split=split.astype(data.split.dtype))


def run_of(run: Path, held_out: str) -> Path:
    """The folder of the run with a fold held out: ``run-0`` for ``0/4``, else ``run`` itself."""
    fold = parse(held_out)
    return run if fold is None else run.with_name(f"{run.name}-{fold[0]}")
