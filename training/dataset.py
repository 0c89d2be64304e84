"""The HDF5 file of `training.prepare_data`, held in memory or streamed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ecg4u.record import CLASSES
from training.prepare_data import COUNTS_PER_MV, UNKNOWN

LABELS = ("targets", "stated", "reference")
"""``targets`` and ``reference`` as in `training.labels`; ``stated`` is the source's word but for
RBBB and STE, where that has another meaning than ICBEB-2018's or says next to nothing."""


@dataclass(frozen=True, eq=False)
class Data:
    """Windows with their recordings' labels.

    ``signals`` is an (n, 12, 1000) int16 array, or the HDF5 data set itself when streamed;
    ``owner`` (n,) gives each window's recording; the label arrays have one row a recording.
    """

    signals: Any
    owner: npt.NDArray[np.int32]
    name: npt.NDArray[np.str_]
    source: npt.NDArray[np.str_]
    split: npt.NDArray[np.str_]
    patient: npt.NDArray[np.str_]
    sex: npt.NDArray[np.str_]
    age: npt.NDArray[np.float32]
    reference: npt.NDArray[np.float32]
    targets: npt.NDArray[np.float32]
    auxiliary: npt.NDArray[np.float32]
    auxiliary_names: tuple[str, ...]
    statements: npt.NDArray[np.str_]
    sized: npt.NDArray[np.bool_]
    file: npt.NDArray[np.str_]

    def labels(self, kind: str) -> npt.NDArray[np.float32]:
        """(recordings, 9) of one of `LABELS`."""
        if kind == "targets":
            return self.targets
        found = self.reference.copy()
        if kind == "stated":
            columns = [CLASSES.index(name) for name in ("RBBB", "STE")]
            found[:, columns] = self.targets[:, columns]
        return found

    def windows(self, split: str, *, without: tuple[str, ...] = ()) -> npt.NDArray[np.int64]:
        """Indices of the windows of a split, save those of the sources in ``without``."""
        keep = (self.split == split) & ~np.isin(self.source, without)
        return np.flatnonzero(keep[self.owner])

    def batch(self, windows: npt.NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """``leads`` (n, 12, 1000) mV and ``masks`` alike, in the order of ``windows``."""
        if isinstance(self.signals, np.ndarray):
            counts = self.signals[windows]
        else:
            unique, inverse = np.unique(windows, return_inverse=True)
            counts = self.signals[unique][inverse]
        known = counts != UNKNOWN
        leads = np.where(known, counts, 0).astype(np.float32) / np.float32(COUNTS_PER_MV)
        return torch.from_numpy(leads), torch.from_numpy(known.astype(np.float32))


def load(path: Path, *, stream: bool = False) -> Data:
    """Open ``path``; ``stream`` leaves the signals on disk (about 24 kB a window otherwise)."""
    import h5py

    file = h5py.File(path, "r")
    text = {
        key: file[key].asstr()[()].astype(str)
        for key in ("name", "file", "source", "split", "patient", "sex", "statements")
    }
    data = Data(
        signals=file["signals"] if stream else file["signals"][()],
        owner=file["window_record"][()],
        age=file["age"][()],
        sized=file["sized"][()],
        reference=file["reference"][()],
        targets=file["targets"][()],
        auxiliary=file["auxiliary"][()],
        auxiliary_names=tuple(str(name) for name in file.attrs["auxiliary_names"]),
        **text,
    )
    if not stream:
        file.close()
    return data


def sampling_weights(targets: npt.NDArray[np.float32], power: float) -> npt.NDArray[np.float64]:
    """(n,) weights of windows: a window counts as its rarest class, (1 / frequency) ** power."""
    positives = np.maximum(np.nansum(targets > 0, axis=0), 1)
    rarity = (positives.max() / positives) ** power
    return np.maximum(1.0, np.nanmax(np.where(targets > 0, rarity, 0.0), axis=1))


def class_columns(name: str | None) -> list[int]:
    """Columns of the label arrays to train: all nine, or one class against the rest."""
    return [CLASSES.index(name)] if name else list(range(len(CLASSES)))
