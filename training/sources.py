"""Recordings of every source as one stream: signal, rate, labels, split."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ecg4u.errors import UnreadableInputError
from ecg4u.model.labelled import SNOMED
from ecg4u.record import CLASSES, LEADS
from training.labels import Targets, auxiliary, from_beats, from_names, targets

MITDB_WINDOW_S = 10.0
MITDB_WINDOWS_PER_RECORD = 24
MITDB_LEADS = {"MLII": "II"}


@dataclass(frozen=True, eq=False)
class Recording:
    """One labelled recording: ``signal`` (12, n) mV with NaN where a lead is missing.

    ``sized`` is False where the leads' amplitudes are only estimated.
    """

    source: str
    name: str
    split: str
    patient: str
    signal: npt.NDArray[np.float32]
    fs: float
    reference: Targets
    targets: Targets
    auxiliary: Targets
    age: float = np.nan
    sex: str = ""
    statements: tuple[str, ...] = ()
    sized: bool = True
    file: str = ""


def collected(folder: Path, *, mitdb: bool = True) -> Iterator[Recording]:
    """The recordings of ``index.csv`` with their HDF5 files, then MIT-BIH windows.

    Patients are disjoint between splits as ``index.csv`` gives them; MIT-BIH is train only.
    """
    import h5py

    with (folder / "index.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    for file_name in dict.fromkeys(row["file"] for row in rows):
        with h5py.File(folder / file_name, "r") as file:
            scale = float(file.attrs["millivolts_per_count"])
            estimated = str(file.attrs.get("amplitude", "")).startswith("estimated")
            for row in (r for r in rows if r["file"] == file_name):
                data = file[row["record"]]
                signal = data[()].astype(np.float32) * np.float32(scale)
                sized = not estimated or data.attrs.get("amplitude") == "measured"
                yield _from_row(row, signal, float(data.attrs["fs"]), sized)
    if mitdb and (folder / "mitdb.h5").exists():
        yield from mit_bih(folder)


def _from_row(
    row: dict[str, str], signal: npt.NDArray[np.float32], fs: float, sized: bool
) -> Recording:
    statements = tuple(row["statements"].split())
    reference = np.array([float(row[name]) for name in CLASSES], dtype=np.float32)
    return Recording(
        source=row["dataset"],
        name=row["record"],
        split=row["split"],
        patient=row["patient"],
        signal=signal,
        fs=fs,
        reference=reference,
        targets=targets(row["dataset"], statements, reference),
        auxiliary=auxiliary(row["dataset"], statements, sized),
        age=float(row["age"] or "nan"),
        sex=row["sex"],
        statements=statements,
        sized=sized,
        file=row["file"],
    )


def mit_bih(folder: Path) -> Iterator[Recording]:
    """Two-lead windows of 10 s, those with an abnormal beat or rhythm first, evenly thinned."""
    import h5py

    beats = _beats(folder / "mitdb_beats.csv.gz")
    with h5py.File(folder / "mitdb.h5", "r") as file:
        scale = float(file.attrs.get("millivolts_per_count", 0.005))
        for name in sorted(file):
            data = file[name]
            fs = float(data.attrs["fs"])
            names = [MITDB_LEADS.get(lead, lead) for lead in data.attrs["leads"].split()]
            length = round(MITDB_WINDOW_S * fs)
            labelled = _windows(beats[name], data.shape[1], length)
            for start, label in _thin(labelled, MITDB_WINDOWS_PER_RECORD):
                signal = np.full((12, length), np.nan, dtype=np.float32)
                for row, lead in enumerate(names):
                    if lead in LEADS:
                        signal[LEADS.index(lead)] = data[row, start : start + length] * scale
                yield Recording(
                    source="MIT-BIH",
                    name=f"{name}/{start}",
                    split="train",
                    patient=f"mitdb-{name}",
                    signal=signal,
                    fs=fs,
                    reference=label,
                    targets=label,
                    auxiliary=auxiliary("MIT-BIH", ()),
                )


def _beats(path: Path) -> dict[str, list[tuple[int, str, str]]]:
    beats: dict[str, list[tuple[int, str, str]]] = {}
    with gzip.open(path, "rt", newline="") as stream:
        for row in csv.DictReader(stream):
            entry = (int(row["sample"]), row["symbol"], row["rhythm"] or "")
            beats.setdefault(row["record"], []).append(entry)
    return beats


def _windows(
    beats: list[tuple[int, str, str]], samples: int, length: int
) -> list[tuple[int, Targets]]:
    """Every 10-s window with its label."""
    found = []
    for start in range(0, samples - length + 1, length):
        before = [r for s, symbol, r in beats if symbol == "+" and s <= start]
        inside = [(symbol, r) for s, symbol, r in beats if start < s < start + length]
        rhythms = before[-1:] + [r for symbol, r in inside if symbol == "+"]
        symbols = [symbol for symbol, _ in inside]
        found.append((start, from_beats(symbols, rhythms)))
    return found


def _thin(windows: list[tuple[int, Targets]], most: int) -> list[tuple[int, Targets]]:
    abnormal = [w for w in windows if np.nansum(w[1]) > 0]
    rest = [w for w in windows if np.nansum(w[1]) == 0 and np.isfinite(w[1]).any()]
    kept = abnormal[:: max(1, -(-len(abnormal) // most))]
    return sorted(kept + rest[:: max(1, len(rest) // 4)][:4], key=lambda w: w[0])


def icbeb_2018(folder: Path) -> Iterator[Recording]:
    """The ICBEB-2018 (CPSC-2018) training set in either published form.

    Beside a ``REFERENCE.csv``: MATLAB files whose struct ``ECG`` holds ``data`` (12, n) in mV at
    500 Hz, ``sex`` and ``age``. Otherwise WFDB pairs (``.hea`` and ``.mat``) with SNOMED CT codes
    in the header's ``Dx`` comment. No patients are given: recordings are split 80/10/10 by name.

    Raises
    ------
    UnreadableInputError
        If the folder holds neither form.
    """
    references = sorted(folder.rglob("REFERENCE.csv"))
    headers = sorted(folder.rglob("*.hea"))
    if references:
        yield from _challenge_form(references[0])
    elif headers:
        for header in headers:
            yield _physionet_form(header)
    else:
        raise UnreadableInputError(
            "neither REFERENCE.csv nor .hea files are there",
            stage="data",
            hint="Give the folder that holds ICBEB-2018 as it was published.",
        )


def _challenge_form(reference: Path) -> Iterator[Recording]:
    from scipy.io import loadmat

    files = {path.stem: path for path in reference.parent.parent.rglob("*.mat")}
    with reference.open(newline="", encoding="utf-8-sig") as stream:
        for name, *labels in list(csv.reader(stream)):
            if name not in files:
                continue
            names = {CLASSES[int(label) - 1] for label in labels if label.strip().isdigit()}
            ecg = loadmat(files[name], squeeze_me=True)["ECG"]
            signal = np.asarray(ecg["data"].item(), dtype=np.float32)
            yield _icbeb(name, signal, 500.0, names, str(ecg["age"].item()), ecg["sex"].item())


def _physionet_form(header: Path) -> Recording:
    from ecg4u.io import read_record
    from ecg4u.io.wfdb_format import diagnoses

    record = read_record(header)
    names = {SNOMED[code] for code in diagnoses(header) if code in SNOMED}
    signal = record.p_signal.T.astype(np.float32)
    age = "nan" if record.age is None else str(record.age)
    return _icbeb(header.stem, signal, record.fs, names, age, record.sex or "")


def _icbeb(
    name: str, signal: npt.NDArray[np.float32], fs: float, names: set[str], age: str, sex: str
) -> Recording:
    bucket = zlib.crc32(name.encode()) % 10
    label = from_names(names)
    try:
        years = float(age)
    except ValueError:
        years = np.nan
    return Recording(
        source="CPSC2018",
        name=name,
        split={0: "test", 1: "valid"}.get(bucket, "train"),
        patient="",
        signal=signal,
        fs=fs,
        reference=label,
        targets=label,
        auxiliary=auxiliary("CPSC2018", ()),
        age=years,
        sex=sex[:1].upper(),
    )
