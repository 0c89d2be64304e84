"""Wave boundaries against LUDB's cardiologists, and P absence in AF.

    python -m benchmarks.waves --data ../shared/ecg --split test

Writes ``benchmarks/results/waves.md``. A boundary counts as found when one of its kind stands
within 150 ms; its error is detected less annotated, in ms, over all leads and annotated beats.
"""

from __future__ import annotations

import argparse
import csv
import gzip
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ecg4u.explain import Features, measure_features
from ecg4u.explain.signals import FS_HZ, at_500_hz
from ecg4u.explain.waves import find_waves, wave_probabilities
from ecg4u.record import LEADS, ECGRecord

TOLERANCE_MS = 150.0
BOUNDARIES = (("P", "onset"), ("P", "offset"), ("QRS", "onset"), ("QRS", "offset"), ("T", "offset"))
TARGETS = {
    "P onset": "±8 ± 20", "QRS onset": "±4 ± 15", "QRS offset": "±4 ± 15", "T offset": "±10 ± 25",
}  # fmt: skip
LONGEST_S = 20.0

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Row:
    """A line of the index."""

    dataset: str
    record: str
    file: str
    age: float | None
    sex: str
    labels: frozenset[str]


def rows(data: Path, split: str) -> list[Row]:
    """The recordings of ``split``."""
    from ecg4u.record import CLASSES

    with open(data / "index.csv", newline="") as file:
        return [
            Row(
                r["dataset"],
                r["record"],
                r["file"],
                float(r["age"]) if r["age"] else None,
                r["sex"],
                frozenset(name for name in CLASSES if r[name] == "1"),
            )
            for r in csv.DictReader(file)
            if r["split"] == split
        ]


def load(data: Path, row: Row, *, longest_s: float = LONGEST_S) -> ECGRecord:
    """One recording, its first ``longest_s`` seconds."""
    import h5py

    with h5py.File(data / row.file) as file:
        stored = file[row.record]
        fs = float(stored.attrs["fs"])
        counts = np.asarray(stored[:, : round(longest_s * fs)], dtype=np.float64)
        signal = counts.T * float(file.attrs["millivolts_per_count"])
    sex = row.sex if row.sex in ("F", "M") else None
    return ECGRecord(signal, fs, age=row.age, sex=sex)  # type: ignore[arg-type]


def as_3x4(record: ECGRecord) -> ECGRecord:
    """What a 3x4 page with lead II as rhythm strip shows of the first 10 s."""
    n = min(record.n_samples, round(10 * record.fs))
    shown = np.full((n, len(LEADS)), np.nan)
    step = round(2.5 * record.fs)
    for column in range(len(LEADS)):
        part = slice(column // 3 * step, (column // 3 + 1) * step)
        shown[part, column] = record.p_signal[:n][part, column]
    shown[:, 1] = record.p_signal[:n, 1]
    return ECGRecord(shown, record.fs, age=record.age, sex=record.sex)


def cardiologists(data: Path) -> dict[tuple[str, str], list[tuple[str, float, float]]]:
    """(record, lead) to its waves: name, onset, offset in 500-Hz samples (NaN if not marked)."""
    found: dict[tuple[str, str], list[tuple[str, float, float]]] = defaultdict(list)
    with gzip.open(data / "ludb_waves.csv.gz", "rt", newline="") as file:
        for r in csv.DictReader(file):
            onset, offset = (float(r[k]) if r[k] else np.nan for k in ("onset", "offset"))
            found[r["record"], r["lead"].casefold()].append((r["wave"], onset, offset))
    return found


def boundary_errors(
    data: Path, split: str
) -> tuple[dict[str, FloatArray], dict[str, tuple[int, int]], FloatArray]:
    """Errors in ms per boundary, (found, annotated) counts, and QRS widths (ours, theirs)."""
    marked = cardiologists(data)
    errors: dict[str, list[float]] = defaultdict(list)
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    widths = []
    for row in (r for r in rows(data, split) if r.dataset == "LUDB"):
        record = load(data, row)
        signal = at_500_hz(record)
        probability = wave_probabilities(signal)
        for column, lead in enumerate(LEADS):
            truth = marked[row.record, lead.casefold()]
            for index, wave in enumerate(("P", "QRS", "T")):
                ours = find_waves(probability[:, column, index])
                for kind in ("onset", "offset"):
                    there = np.array([t[1 + (kind == "offset")] for t in truth if t[0] == wave])
                    here = np.array([getattr(w, kind) for w in ours])
                    name = f"{wave} {kind}"
                    for value in there[np.isfinite(there)]:
                        counts[name][1] += 1
                        gap = 1000 / FS_HZ * (here - value) if len(here) else np.array([np.inf])
                        nearest = float(gap[np.argmin(np.abs(gap))])
                        if abs(nearest) <= TOLERANCE_MS:
                            counts[name][0] += 1
                            errors[name].append(nearest)
        width = measure_features(record).value("qrs")
        expected = _annotated_width(marked, row.record)
        if width is not None and expected is not None:
            widths.append((width, expected))
    return (
        {name: np.array(values) for name, values in errors.items()},
        {name: (a, b) for name, (a, b) in counts.items()},
        np.array(widths).reshape(-1, 2),
    )


def _annotated_width(
    marked: dict[tuple[str, str], list[tuple[str, float, float]]], record: str
) -> float | None:
    """Median over beats of the joint QRS width: 75th less 25th percentile of the leads' edges."""
    complexes = [
        (on, off)
        for lead in LEADS
        for wave, on, off in marked[record, lead.casefold()]
        if wave == "QRS" and np.isfinite(on) and np.isfinite(off)
    ]
    if not complexes:
        return None
    edges = np.array(sorted(complexes))
    groups = np.split(edges, np.flatnonzero(np.diff(edges[:, 0]) > 0.2 * FS_HZ) + 1)
    widths = [
        np.quantile(g[:, 1], 0.75) - np.quantile(g[:, 0], 0.25) for g in groups if len(g) >= 6
    ]
    return 1000 / FS_HZ * float(np.median(widths)) if widths else None


def auroc(labels: npt.NDArray[np.bool_], scores: FloatArray) -> float:
    """Area under the ROC curve, ties counted half."""
    positive, negative = scores[labels], scores[~labels]
    wins = (positive[:, None] > negative[None]).mean() + 0.5 * (
        positive[:, None] == negative[None]
    ).mean()
    return float(wins)


def p_absence(data: Path, split: str, every: int) -> Iterator[tuple[bool, Features]]:
    """Whether AF is labelled, and the features, of every ``every``-th recording."""
    for row in rows(data, split)[::every]:
        yield "AF" in row.labels, measure_features(load(data, row))


def page_differences(data: Path, split: str, every: int) -> dict[str, FloatArray]:
    """|full - as 3x4| of PR, QRS (ms) and ST60 (mV, all leads), without a digitizer between."""
    out: dict[str, list[float]] = defaultdict(list)
    for row in rows(data, split)[::every]:
        record = load(data, row, longest_s=10.0)
        full, page = measure_features(record), measure_features(as_3x4(record))
        for name in ("pr", "qrs"):
            a, b = full.value(name), page.value(name)
            if a is not None and b is not None:
                out[name].append(abs(a - b))
        for lead in LEADS:
            a, b = full.lead_value(lead, "st60"), page.lead_value(lead, "st60")
            if a is not None and b is not None:
                out["st60"].append(abs(a - b))
    return {name: np.array(values) for name, values in out.items()}


AGREE = {"pr": ("PR", "ms", 12.0), "qrs": ("QRS width", "ms", 12.0), "qt": ("QT", "ms", None),
         "axis": ("QRS axis", "deg", None), "rate": ("rate", "/min", None),
         "st60": ("ST at J + 60 ms", "mV", 0.04), "j": ("J point", "mV", 0.04)}  # fmt: skip


def digitized_lines(data: Path, split: str, pages: int) -> list[str]:
    """Features of recordings against those of what the digitizer read of their 3x4 pages."""
    from benchmarks.drawn import pairs

    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    lost: dict[str, int] = defaultdict(int)
    refused = 0
    for pair in pairs(data, split, pages):
        if pair.read is None:
            refused += 1
            continue
        full, cut, read = map(measure_features, (pair.original, as_3x4(pair.original), pair.read))
        for name in AGREE:
            leads = LEADS if name in ("st60", "j") else (None,)
            for lead in leads:
                a, b, c = (
                    f.value(name) if lead is None else f.lead_value(lead, name)
                    for f in (full, cut, read)
                )
                lost[name] += (a is None) != (c is None)
                if a is not None and b is not None and c is not None:
                    found[name].append((c - a, c - b))
    lines = [
        f"Pages refused: {refused}. Differences: page less recording. Lost: measured in one only.",
        "",
        "| feature | n | lost | median absolute, against all leads | goal | 90 % within "
        "| median absolute, against the same stretches | bias |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, (title, unit, goal) in AGREE.items():
        gaps = np.array(found[name])
        digits = 3 if unit == "mV" else 1
        full_gap, cut_gap = np.abs(gaps).T
        lines.append(
            f"| {title} ({unit}) | {len(gaps)} | {lost[name]} | {np.median(full_gap):.{digits}f} | "
            f"{'' if goal is None else goal} | {np.quantile(full_gap, 0.9):.{digits}f} | "
            f"{np.median(cut_gap):.{digits}f} | {gaps[:, 0].mean():+.{digits}f} |"
        )
    return lines


def wave_table(data: Path, split: str) -> list[str]:
    """The table of boundaries."""
    errors, counts, widths = boundary_errors(data, split)
    lines = [
        "| boundary | n | sensitivity, % | error, ms (mean ± sd) | median absolute | goal |",
        "|---|---|---|---|---|---|",
    ]
    for wave, kind in BOUNDARIES:
        name = f"{wave} {kind}"
        found, total = counts[name]
        e = errors[name]
        lines.append(
            f"| {name} | {total} | {100 * found / total:.1f} | {e.mean():+.1f} ± {e.std():.1f} | "
            f"{np.median(np.abs(e)):.1f} | {TARGETS.get(name, '')} |"
        )
    gap = widths[:, 0] - widths[:, 1]
    lines.append(
        f"| QRS width, median beat | {len(gap)} | | {gap.mean():+.1f} ± {gap.std():.1f} | "
        f"{np.median(np.abs(gap)):.1f} | ±2 ± 12 |"
    )
    return lines


def p_lines(data: Path, split: str, every: int) -> list[str]:
    """P absence as AF detector."""
    labelled = list(p_absence(data, split, every))
    lines = []
    for name in ("p_presence", "p_correlation", "p_probability"):
        pairs = [(af, f.value(name)) for af, f in labelled]
        known = [(af, v) for af, v in pairs if v is not None]
        labels = np.array([af for af, _ in known])
        area = auroc(labels, -np.array([v for _, v in known]))
        lines.append(
            f"- `{name}`: AUROC {area:.4f} (n = {len(known)} of {len(pairs)}, AF {labels.sum()})"
        )
    return lines


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/ecg"))
    parser.add_argument("--split", default="test")
    parser.add_argument("--every", type=int, default=1, help="for the P and page parts")
    parser.add_argument("--pages", type=int, default=45, help="for the digitized part")
    parser.add_argument("--parts", default="waves,pages,digitized,p")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for part in given.parts.split(","):
        lines = [f"<!-- python -m benchmarks.waves --parts {part} --split {given.split} -->"]
        if part == "waves":
            lines += ["LUDB, all leads", "", *wave_table(given.data, given.split)]
        elif part == "pages":
            found = page_differences(given.data, given.split, max(given.every, 4))
            lines += ["Full leads against the same recording cut to 3x4 + II", ""]
            lines += [
                f"- {name}: median absolute difference {np.median(v):.3g} (n = {len(v)})"
                for name, v in found.items()
            ]
        elif part == "digitized":
            lines += ["Recordings against their pages: drawn 3x4 + II at 200 dpi, digitized", ""]
            lines += digitized_lines(given.data, given.split, given.pages)
        else:
            lines += ["P absence, AF against the rest", "", *p_lines(given.data, given.split,
                                                                     given.every)]  # fmt: skip
        text = "\n".join(lines) + "\n"
        (given.out / f"waves-{part}.md").write_text(text)
        print(text, flush=True)


if __name__ == "__main__":
    main()
