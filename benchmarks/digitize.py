"""Score the digitizer against true signals and write a table.

    python -m benchmarks.digitize ../shared/images --out benchmarks/results/digitize.md

Every page counts: a refused page scores 0 dB on each of its leads. ``dev`` pages (even place in
their group, sorted by name) were looked at while the digitizer was made; ``held-out`` pages not.
"Rightly named" asks whether a trace fits its own truth best; "as printed" whether the name given to
each box of the page is the one printed there. Below the digitizer stand the two simple readers of
`benchmarks.baseline` on the same pages.
"""

from __future__ import annotations

import argparse
import csv
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.baseline import column_median, naive, printed_on
from benchmarks.measure import (
    LeadScore,
    kaggle_db,
    kaggle_ratio,
    qrs_ratios,
    resample,
    score_lead,
)
from ecg4u.digitize.signals.trust import MISREAD_DB
from ecg4u.memory import keep_freed_memory

if TYPE_CHECKING:
    from ecg4u.digitize.result import Digitization
    from ecg4u.paper.layouts import PageLayout

HALVES = ("dev", "held-out")
MEDIAN, NAIVE = "column median on our flat page", "threshold and column median, no stage of ours"


@dataclass(frozen=True)
class PageScore:
    """Scores of one page."""

    group: str
    name: str
    half: str
    scores: dict[str, LeadScore]
    named: int
    shown: int
    refused: str
    seconds: float
    memory_mb: float
    layout: str
    printed: int = 0
    boxes: int = 0
    simple: dict[str, dict[str, LeadScore]] = field(default_factory=dict)
    misread: dict[str, float] = field(default_factory=dict)
    grades: dict[str, str] = field(default_factory=dict)
    qrs: np.ndarray = field(default_factory=lambda: np.zeros(0))


def group_of(path: Path) -> str:
    """Group of an image: its folder, and the letter within ``generated``."""
    if path.parent.name == "generated":
        return f"generated/{path.name[0]}"
    return path.parent.name


def score_page(job: tuple[Path, Path, str]) -> PageScore:
    """Digitize one page and score every lead that its truth shows."""
    image, truth_path, half = job
    from ecg4u.digitize.pipeline import digitize_page
    from ecg4u.errors import ECG4UError
    from ecg4u.io import read_page
    from ecg4u.record import LEADS

    truth = np.load(truth_path)
    fs = float(truth["fs"])
    reference = np.asarray(truth["p_signal"], float)
    names = [str(name) for name in truth["sig_name"]]
    start = time.perf_counter()
    refused = layout = ""
    page, page_layout = read_page(image), printed_on(group_of(image))
    signal, result = None, None
    try:
        result = digitize_page(page)
        layout, signal = result.layout.name, result.record.p_signal
    except ECG4UError as error:
        refused = f"{error.code}: {error.message}"
    seconds = time.perf_counter() - start

    def in_order(signal: np.ndarray | None) -> np.ndarray:
        if signal is None:
            return np.full_like(reference, np.nan)
        return np.column_stack([resample(signal[:, LEADS.index(n)], 500.0, fs) for n in names])

    def scored(estimate: np.ndarray) -> dict[str, LeadScore]:
        columns = enumerate(names)
        each = {n: score_lead(reference[:, k], estimate[:, k], fs) for k, n in columns}
        return {name: score for name, score in each.items() if score is not None}

    estimate = in_order(signal)
    scores = scored(estimate)
    simple = {
        MEDIAN: scored(in_order(None if result is None else column_median(result))),
        NAIVE: scored(in_order(naive(page.image, page_layout))),
    }
    named = _rightly_named(reference, estimate, names, fs) if not refused else 0
    leads = {} if result is None else result.to_dict()["leads"]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    assert set(names) == set(LEADS)
    return PageScore(
        group_of(image),
        image.name,
        half,
        scores,
        named,
        len(scores),
        refused,
        seconds,
        memory,
        layout,
        0 if result is None else named_as_printed(result, page_layout),
        sum(len(row) for row in page_layout.rows),
        simple,
        {n: 1.0 if lead["misread"] is None else lead["misread"] for n, lead in leads.items()},
        {n: lead["grade"] for n, lead in leads.items()},
        np.concatenate(
            [qrs_ratios(reference[:, k], estimate[:, k], fs) for k in range(len(names))]
        ),
    )


def named_as_printed(result: Digitization, printed: PageLayout) -> int:
    """How many boxes of the page bear the name printed there; rows of leads are counted from the
    top."""
    rows: dict[int, list[str]] = {}
    for segment in sorted(result.layout.segments, key=lambda s: (s.row, s.x0)):
        rows.setdefault(segment.row, []).append(segment.lead)
    return sum(
        name == box.lead
        for names, boxes in zip(rows.values(), printed.rows, strict=False)
        for name, box in zip(names, boxes, strict=False)
    )


def _rightly_named(reference: np.ndarray, estimate: np.ndarray, names: list[str], fs: float) -> int:
    """How many leads fit their own reference better than any other lead's."""
    right = 0
    for column in range(len(names)):
        if not np.isfinite(reference[:, column]).any():
            continue
        if not np.isfinite(estimate[:, column]).any():
            continue
        fits = []
        for other in range(len(names)):
            score = score_lead(reference[:, other], estimate[:, column], fs)
            fits.append(-1.0 if score is None or score.covered < 0.5 else score.r)
        right += int(np.argmax(fits) == column)
    return right


def jobs_of(folder: Path, only: str) -> list[tuple[Path, Path, str]]:
    """Every image with a truth below ``folder``, with its half."""
    groups: dict[str, list[Path]] = {}
    for truth in sorted(folder.glob("*/*.npz")):
        image = next(p for p in sorted(truth.parent.glob(truth.stem + ".*")) if p != truth)
        groups.setdefault(group_of(image), []).append(image)
    jobs = []
    for group, images in sorted(groups.items()):
        if only and only not in group and not any(only in i.name for i in images):
            continue
        for place, image in enumerate(images):
            if only and only not in group and only not in image.name:
                continue
            half = "dev" if place % 2 == 0 else "held-out"
            jobs.append((image, image.with_suffix(".npz"), half))
    return jobs


def row_of(title: str, pages: list[PageScore]) -> str:
    """One line of the table."""
    leads = [s for p in pages for s in p.scores.values()]
    shown = sum(p.shown for p in pages)
    kaggle = kaggle_db([kaggle_ratio(list(p.scores.values())) for p in pages])
    return (
        f"| {title} | {len(pages)} | {np.mean([s.snr_db for s in leads]):.2f} "
        f"| {np.mean([s.snr_unshifted_db for s in leads]):.2f} | {kaggle:.2f} "
        f"| {np.median([s.r for s in leads]):.3f} | {np.median([s.rmse_mv for s in leads]):.3f} "
        f"| {100 * sum(p.named for p in pages) / shown:.1f} "
        f"| {100 * sum(p.printed for p in pages) / sum(p.boxes for p in pages):.1f} "
        f"| {sum(bool(p.refused) for p in pages)} "
        f"| {np.median([p.seconds for p in pages]):.1f} "
        f"| {max(p.memory_mb for p in pages):.0f} |"
    )


def simple_row(title: str, reader: str, pages: list[PageScore]) -> str:
    """The line of a simple reader on the same pages."""
    leads = [s for p in pages for s in p.simple[reader].values()]
    kaggle = kaggle_db([kaggle_ratio(list(p.simple[reader].values())) for p in pages])
    return (
        f"| {title} | {len(pages)} | {np.mean([s.snr_db for s in leads]):.2f} "
        f"| {np.mean([s.snr_unshifted_db for s in leads]):.2f} | {kaggle:.2f} "
        f"| {np.median([s.r for s in leads]):.3f} | {np.median([s.rmse_mv for s in leads]):.3f} "
        "| | | | | |"
    )


def trust_rows(pages: list[PageScore]) -> list[str]:
    """The table of what grades and the probability of having been misread are worth."""
    from sklearn.metrics import roc_auc_score

    lines = [
        "| leads | n | under 12 dB % | graded good % | of these under 12 dB % "
        "| AUROC of the probability for under 12 dB |",
        "|---|---|---|---|---|---|",
    ]
    groups = {group: [p for p in pages if p.group == group] for group in _groups(pages)}
    groups |= {f"all, {half}": [p for p in pages if p.half == half] for half in HALVES}
    for title, members in {**groups, "all": pages}.items():
        leads = [
            (p, lead, score.snr_db < MISREAD_DB)
            for p in members
            for lead, score in p.scores.items()
            if lead in p.grades
        ]
        low = np.array([low for _, _, low in leads])
        good = np.array([p.grades[lead] == "good" for p, lead, _ in leads])
        told = np.array([p.misread[lead] for p, lead, _ in leads])
        area = f"{roc_auc_score(low, told):.3f}" if 0 < low.sum() < len(low) else ""
        lines.append(
            f"| {title} | {len(low)} | {100 * low.mean():.1f} | {100 * good.mean():.1f} "
            f"| {100 * low[good].mean():.1f} | {area} |"
        )
    return lines


def qrs_rows(pages: list[PageScore]) -> list[str]:
    """The table of the heights of QRS complexes, beat by beat."""
    lines = [
        "| pages | QRS complexes | height within 10 % of the truth % | less than half read % |",
        "|---|---|---|---|",
    ]
    for group in _groups(pages):
        members = [p for p in pages if p.group == group]
        halves = {f"- {half}": [p for p in members if p.half == half] for half in HALVES}
        for title, part in {group: members, **halves}.items():
            ratios = np.concatenate([np.zeros(0), *(p.qrs for p in part)])
            if len(ratios):
                right, lost = np.abs(ratios - 1) < 0.1, ratios < 0.5
                lines.append(
                    f"| {title} | {len(ratios)} | {100 * right.mean():.1f} "
                    f"| {100 * lost.mean():.1f} |"
                )
    return lines


def _groups(pages: list[PageScore]) -> list[str]:
    return sorted({p.group for p in pages})


HEADER = (
    "| pages | n | SNR dB | SNR, no shift | Kaggle dB | median r | median RMSE mV "
    "| leads rightly named % | boxes named as printed % | refused | s/page | peak MB |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|---|"
)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("images", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", default="", help="part of a group's or file's name")
    parser.add_argument("--pages", type=Path, help="write a CSV with a row per page")
    args = parser.parse_args()
    jobs = jobs_of(args.images, args.only)
    with ProcessPoolExecutor(args.workers, initializer=keep_freed_memory) as pool:
        pages = list(pool.map(score_page, jobs))
    lines = [HEADER]
    for group in _groups(pages):
        members = [p for p in pages if p.group == group]
        lines.append(row_of(group, members))
        for half in HALVES:
            part = [p for p in members if p.half == half]
            if part:
                lines.append(row_of(f"- {half}", part))
        for name in (MEDIAN, NAIVE):
            lines.append(simple_row(f"- {name}", name, members))
    print("\n".join(lines))
    for p in pages:
        worst = min(p.scores, key=lambda lead: p.scores[lead].snr_db)
        mean = np.mean([s.snr_db for s in p.scores.values()])
        plain = np.mean([s.snr_unshifted_db for s in p.scores.values()])
        print(
            f"{p.name:14s} {p.layout:6s} {mean:6.2f} {plain:6.2f} worst {worst} "
            f"{p.scores[worst].snr_db:6.2f} named {p.named}/{p.shown} {p.seconds:5.1f}s {p.refused}"
        )
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text("\n".join(lines) + "\n")
        args.out.with_name("trust.md").write_text("\n".join(trust_rows(pages)) + "\n")
        args.out.with_name("qrs.md").write_text("\n".join(qrs_rows(pages)) + "\n")
    if args.pages:
        with args.pages.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["group", "page", "half", "layout", "snr_db", "named", "refused"])
            for p in pages:
                mean = np.mean([s.snr_db for s in p.scores.values()])
                writer.writerow(
                    [p.group, p.name, p.half, p.layout, f"{mean:.2f}", p.named, p.refused]
                )


if __name__ == "__main__":
    main()
