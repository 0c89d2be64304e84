"""NeuroKit2 beside our own features: R peaks on LUDB, and AF against the rest.

    python -m benchmarks.neurokit --data ../shared/ecg --split valid

Writes ``benchmarks/results/neurokit.md``. R peaks: lead II of LUDB's recordings against the
cardiologists' QRS complexes, a beat being found within 75 ms of the annotated peak; ours are read
from all twelve leads and from II alone. AF: AUROC of each feature alone over all recordings in
which all of a row's features are known.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.waves import auroc, load, rows
from ecg4u.explain.beats import find_beats
from ecg4u.explain.features import features as features_of
from ecg4u.explain.measure import measure_record
from ecg4u.explain.neurokit import AGREE_S, neurokit_features
from ecg4u.explain.signals import FS_HZ, at_500_hz
from ecg4u.explain.waves import wave_probabilities
from ecg4u.record import LEADS, ECGRecord

FloatArray = npt.NDArray[np.float64]
AF_FEATURES = (
    ("RR irregularity", "rr_irregularity", ("nk_rr_cvsd", "nk_rr_cvnn")),
    ("RR change / entropy", "rr_change", ("nk_rr_sampen", "nk_rr_shannon")),
    ("P waves", "p_presence", ("nk_p_share",)),
    ("P waves, one measure", "p_correlation", ("nk_p_share",)),
)
LOW_MEANS_AF = ("p_presence", "p_correlation", "nk_p_share")


def annotated_peaks(data: Path) -> dict[str, FloatArray]:
    """Each LUDB recording's R peaks in lead II, in 500-Hz samples."""
    import pandas as pd

    frame = pd.read_csv(data / "ludb_waves.csv.gz", dtype={"record": str})
    frame = frame[(frame["wave"] == "QRS") & (frame["lead"].str.casefold() == "ii")]
    return {str(name): np.sort(part["peak"].to_numpy(float)) for name, part in
            frame.groupby("record")}  # fmt: skip


def counts(found: FloatArray, truth: FloatArray) -> npt.NDArray[np.int64]:
    """(found of the annotated, annotated, right of the found, found), within the annotated span.

    LUDB leaves the first and last complexes of a recording unannotated.
    """
    inside = (found >= truth[0] - 0.2 * FS_HZ) & (found <= truth[-1] + 0.2 * FS_HZ)
    found = found[inside]
    near = np.abs(found[:, None] - truth[None]) <= AGREE_S * FS_HZ
    return np.array([near.any(axis=0).sum(), len(truth), near.any(axis=1).sum(), len(found)])


def r_peak_lines(data: Path, split: str) -> list[str]:
    """Sensitivity and positive predictive value of each detector."""
    import neurokit2 as nk

    truth = annotated_peaks(data)
    totals: dict[str, npt.NDArray[np.int64]] = {}
    n = 0
    for row in (r for r in rows(data, split) if r.dataset == "LUDB" and len(truth[r.record])):
        signal = at_500_hz(load(data, row))
        alone = np.full_like(signal, np.nan)
        alone[:, LEADS.index("II")] = signal[:, LEADS.index("II")]
        found = {
            name: find_beats(s, wave_probabilities(s)).r
            for name, s in (("ours, twelve leads", signal), ("ours, lead II alone", alone))
        }
        for method in ("neurokit", "pantompkins1985", "rodrigues2021"):
            clean = nk.ecg_clean(signal[:, LEADS.index("II")], sampling_rate=round(FS_HZ))
            peaks = nk.ecg_peaks(clean, sampling_rate=round(FS_HZ), method=method)[1]
            found[f"NeuroKit2, {method}, lead II"] = np.asarray(peaks["ECG_R_Peaks"], dtype=float)
        for name, peaks in found.items():
            totals[name] = totals.get(name, np.zeros(4, int)) + counts(peaks, truth[row.record])
        n += 1
    lines = [
        f"R peaks in lead II, LUDB `{split}`, {n} recordings",
        "",
        "| detector | annotated | sensitivity, % | positive predictive value, % |",
        "|---|---|---|---|",
    ]
    for name, (a, b, c, d) in totals.items():
        lines.append(f"| {name} | {b} | {100 * a / b:.2f} | {100 * c / d:.2f} |")
    return lines


def _values(record: ECGRecord) -> tuple[dict[str, float | None], float]:
    seen = measure_record(record)
    ours = features_of(seen).globals
    began = time.perf_counter()
    theirs = neurokit_features(seen.signal, seen.beats.r)
    return {k: f.value for k, f in (dict(ours) | theirs).items()}, time.perf_counter() - began


def af_lines(data: Path, split: str) -> list[str]:
    """AUROC of AF against the rest for each of our features and its rivals."""
    labels, table, seconds = [], [], []
    for row in rows(data, split):
        values, spent = _values(load(data, row))
        labels.append("AF" in row.labels)
        table.append(values)
        seconds.append(spent)
    af = np.array(labels)
    lines = [
        f"AF against the rest, `{split}`, {len(af)} recordings; NeuroKit2's features take "
        f"{np.median(seconds):.2f} s each (median)",
        "",
        "| feature | of | n | AF | AUROC |",
        "|---|---|---|---|---|",
    ]
    for group, ours, theirs in AF_FEATURES:
        names = (ours, *theirs)
        columns = np.array(
            [[np.nan if row[k] is None else row[k] for k in names] for row in table], dtype=float
        )
        known = np.isfinite(columns).all(axis=1)
        for name, column in zip(names, columns[known].T, strict=True):
            score = -column if name in LOW_MEANS_AF else column
            whose = "NeuroKit2" if name.startswith("nk_") else "ours"
            lines.append(
                f"| {group}: `{name}` | {whose} | {known.sum()} | {af[known].sum()} | "
                f"{auroc(af[known], score):.4f} |"
            )
    same = np.array([r["nk_agreement"] for r in table if r["nk_agreement"] is not None])
    lines += ["", f"Both detectors find the same beats in {(same == 1).sum()} of {len(same)}."]
    return lines


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/ecg"))
    parser.add_argument("--split", default="valid")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    given = parser.parse_args()
    import warnings

    warnings.simplefilter("ignore")
    lines = [f"<!-- python -m benchmarks.neurokit --split {given.split} -->"]
    lines += [*r_peak_lines(given.data, given.split), "", *af_lines(given.data, given.split)]
    text = "\n".join(lines) + "\n"
    (given.out / "neurokit.md").write_text(text)
    print(text, flush=True)


if __name__ == "__main__":
    main()
