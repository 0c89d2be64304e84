"""All sources into one HDF5 file: `python -m training.prepare_data --ecg DIR --out data.h5`.

The file holds 10-s windows at 100 Hz (``signals``, (windows, 12, 1000) int16, 1 uV per count,
-32768 not known), the recording each comes from (``window_record``), and per recording its
``source``, ``name``, ``split``, ``patient``, ``age``, ``sex``, ``reference``, ``targets`` and
``auxiliary`` labels. Recordings are read, prepared and written one at a time.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt

from ecg4u.model.prepare import WINDOW_SAMPLES, from_leads, resample
from training.labels import AUXILIARY
from training.sources import Recording, collected, icbeb_2018

UNKNOWN = -32768
COUNTS_PER_MV = 1000.0
MAX_TRAIN_WINDOWS = 6
FLUSH_EVERY = 64


def windows_of(recording: Recording) -> npt.NDArray[np.int16]:
    """(k, 12, 1000) counts; a long training recording is thinned to `MAX_TRAIN_WINDOWS`."""
    windows = from_leads(resample(recording.signal, recording.fs)).windows()
    if recording.split == "train" and len(windows) > MAX_TRAIN_WINDOWS:
        windows = windows[:: -(-len(windows) // MAX_TRAIN_WINDOWS)]
    counts = np.rint(windows[:, :12] * COUNTS_PER_MV).astype(np.int16)
    counts[windows[:, 12:] == 0] = UNKNOWN
    return counts


def write(recordings: Iterable[Recording], out: Path) -> int:
    """Stream ``recordings`` into ``out``; returns how many there were."""
    import h5py

    rows: dict[str, list[Any]] = {}
    with h5py.File(out, "w") as file:
        signals = file.create_dataset(
            "signals",
            (0, 12, WINDOW_SAMPLES),
            np.int16,
            maxshape=(None, 12, WINDOW_SAMPLES),
            chunks=(1, 12, WINDOW_SAMPLES),
            compression="lzf",
        )
        owners: list[int] = []
        pending: list[npt.NDArray[np.int16]] = []
        count = 0
        for count, recording in enumerate(recordings, 1):
            windows = windows_of(recording)
            pending.append(windows)
            owners += [count - 1] * len(windows)
            _note(rows, recording)
            if len(pending) == FLUSH_EVERY:
                _append(signals, pending)
        _append(signals, pending)
        file["window_record"] = np.array(owners, dtype=np.int32)
        for key, values in rows.items():
            file[key] = values if isinstance(values[0], str) else np.stack(values)
        file.attrs["auxiliary_names"] = list(AUXILIARY)
        file.attrs["counts_per_mv"] = COUNTS_PER_MV
    return count


def _note(rows: dict[str, list[Any]], recording: Recording) -> None:
    for key in ("source", "name", "split", "patient", "sex", "reference", "targets", "auxiliary"):
        rows.setdefault(key, []).append(getattr(recording, key))
    rows.setdefault("age", []).append(np.float32(recording.age))


def _append(signals: Any, pending: list[npt.NDArray[np.int16]]) -> None:
    if pending:
        new = np.concatenate(pending)
        signals.resize(len(signals) + len(new), axis=0)
        signals[-len(new) :] = new
        pending.clear()


@click.command()
@click.option("--ecg", type=click.Path(path_type=Path, exists=True), help="The collected sources.")
@click.option("--icbeb", type=click.Path(path_type=Path, exists=True), help="ICBEB-2018.")
@click.option("--mitdb/--no-mitdb", default=True, help="Two-lead MIT-BIH windows for training.")
@click.option("--out", type=click.Path(path_type=Path), required=True)
def main(ecg: Path | None, icbeb: Path | None, mitdb: bool, out: Path) -> None:
    """Bring every source into one HDF5 file for training."""
    if ecg is None and icbeb is None:
        raise click.UsageError("give --ecg, --icbeb or both")
    parts: list[Iterator[Recording]] = []
    if ecg is not None:
        parts.append(collected(ecg, mitdb=mitdb))
    if icbeb is not None:
        parts.append(icbeb_2018(icbeb))
    out.parent.mkdir(parents=True, exist_ok=True)
    count = write(_shown(chain(*parts)), out)
    print(f"{count} recordings in {out}", file=sys.stderr)


def _shown(recordings: Iterable[Recording]) -> Iterator[Recording]:
    for count, recording in enumerate(recordings, 1):
        if count % 100 == 0:
            print(f"\r{count} recordings", end="", file=sys.stderr, flush=True)
        yield recording


if __name__ == "__main__":
    main()
