"""All sources into one HDF5 file: `python -m training.prepare_data --ecg DIR --out data.h5`.

The file holds 10-s windows at 100 Hz (``signals``, (windows, 12, 1000) int16, 1 uV per count,
-32768 not known), the recording each comes from (``window_record``), and per recording its
``source``, ``name``, ``file``, ``split``, ``patient``, ``age``, ``sex``, ``reference``, ``targets``
and ``auxiliary`` labels, ``statements``, and whether its lead sizes are known (``sized``).
Recordings are read, prepared and written one at a time.
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
import torch

from ecg4u.io.own import TRAINING
from ecg4u.model.measures import CONTIGUOUS, NAMES, measures
from ecg4u.model.prepare import WINDOW_SAMPLES, from_leads, resample
from training.augment import centred
from training.labels import AUXILIARY, seen_st
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
        file.attrs["schema"] = TRAINING
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
            _note(rows, recording, windows)
            if len(pending) == FLUSH_EVERY:
                _append(signals, pending)
        _append(signals, pending)
        file["window_record"] = np.array(owners, dtype=np.int32)
        for key, values in rows.items():
            file[key] = values if isinstance(values[0], str) else np.stack(values)
        file.attrs["auxiliary_names"] = list(AUXILIARY)
        file.attrs["counts_per_mv"] = COUNTS_PER_MV
    return count


def st_level(windows: npt.NDArray[np.int16]) -> tuple[float, float]:
    """Deepest ST depression of two contiguous leads (mV), highest elevation (share of the limit).

    ``windows`` (k, 12, 1000) counts of one recording with full leads; the median over windows of
    what `ecg4u.model.measures` reads 60 to 80 ms (depression) and 0 to 40 ms (elevation) after J.
    """
    known = windows != UNKNOWN
    leads = torch.from_numpy(np.where(known, windows, 0).astype(np.float32) / COUNTS_PER_MV)
    with torch.inference_mode():
        found = measures(centred(leads, torch.from_numpy(known.astype(np.float32)))).numpy()
    level = np.nan_to_num(np.median(found, axis=0))

    def of(lead: str, *parts: str) -> list[float]:
        return [float(level[NAMES.index(f"{lead} {part}")]) for part in parts]

    def limit(lead: str) -> float:
        return 0.2 if lead in ("V2", "V3") else 0.1

    down = min(max(max(of(lead, "ST 60", "ST 80")) for lead in pair) for pair in CONTIGUOUS)
    up = max(min(min(of(lead, "J", "ST 40")) / limit(lead) for lead in p) for p in CONTIGUOUS)
    return down, up


def meant(recording: Recording, windows: npt.NDArray[np.int16]) -> npt.NDArray[np.float32]:
    """(9,) the recording's targets, its ST segment measured in its `windows_of`."""
    if recording.source != "PTB-XL":
        return recording.targets
    told, level = recording.statements, st_level(windows)
    return seen_st(recording.targets, recording.source, told, level, recording.sized)


def _note(rows: dict[str, list[Any]], recording: Recording, windows: npt.NDArray[np.int16]) -> None:
    for key in ("source", "name", "file", "split", "patient", "sex", "reference", "auxiliary"):
        rows.setdefault(key, []).append(getattr(recording, key))
    rows.setdefault("targets", []).append(meant(recording, windows))
    rows.setdefault("statements", []).append(" ".join(recording.statements))
    rows.setdefault("sized", []).append(np.bool_(recording.sized))
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
