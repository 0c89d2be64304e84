"""How good is the shipped classifier? `python -m benchmarks.classify --ecg ../shared/ecg`.

Every recording goes the way a user's goes (`ECGRecord` -> `Classifier`), with full leads and with
what a 3x4 page with a rhythm strip shows; ``--drawn N`` also draws N of them as pages and digitizes
those. Thresholds come from the weights' card, which says where they were set; intervals are 95 %
bootstrap percentiles over recordings; ``--photos DIR`` compares the answers for photographs, read
by the digitizer, with those for their true signals; ``--peer RUN`` adds the ResNet-34 that
`training.train --network resnet34` trained. Writes ``benchmarks/results/classify.md``.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt
import torch

from ecg4u.errors import ECG4UError
from ecg4u.model import Classification, Classifier
from ecg4u.record import CLASSES, ECGRecord
from training.augment import STANDARD_COLUMNS, TWO_COLUMNS, column_mask
from training.calibrate import platt, robust_threshold
from training.dataset import Data, load
from training.evaluate import predict
from training.groups import groups_of, macro_with_interval
from training.labels import believed
from training.metrics import (
    auroc,
    average_precision,
    bootstrap,
    calibration_error,
    f1,
    sensitivity,
    specificity,
)
from training.peer import PeerConfig, ResNet34
from training.prepare_data import meant, windows_of
from training.sources import Recording, collected

RESULTS = Path(__file__).parent / "results" / "classify.md"
MEASURES = ("AUROC", "AUPRC", "F1", "sensitivity", "specificity")
CHUNK = 64
MACRO_OVER = tuple(name for name in CLASSES if name != "STE")
DRAWN_PX_PER_MM = 8.0


@dataclass(frozen=True, eq=False)
class Answers:
    """Labels and probabilities of the same recordings, (n, 9) each, with the card's thresholds.

    ``labels`` are what the classes mean in ICBEB-2018 (`training.labels`), ``stated`` the sources'
    own flags.
    """

    labels: npt.NDArray[np.float32]
    stated: npt.NDArray[np.float32]
    probabilities: npt.NDArray[np.float64]
    thresholds: npt.NDArray[np.float64]
    verdicts: tuple[str, ...]

    def rows(self, keep: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Answers:
        """The answers of some of the recordings."""
        return replace(
            self,
            labels=self.labels[keep],
            stated=self.stated[keep],
            probabilities=self.probabilities[keep],
            verdicts=tuple(np.array(self.verdicts)[keep]),
        )

    def measure(self, what: str, name: str) -> float:
        """One of `MEASURES` for one class."""
        column = CLASSES.index(name)
        y, p = self.labels[:, column], self.probabilities[:, column]
        if what == "AUROC":
            return auroc(y, p)
        if what == "AUPRC":
            return average_precision(y, p)
        at: Callable[..., float] = {"F1": f1, "sensitivity": sensitivity}.get(what, specificity)
        return at(y, p, self.thresholds[column])

    def macro(self, what: str) -> float:
        """Mean over the eight classes other than STE."""
        return float(np.nanmean([self.measure(what, name) for name in MACRO_OVER]))


def record_of(recording: Recording, layout: str) -> ECGRecord:
    """The recording as a layout shows it: NaN where the page would show nothing."""
    signal = recording.signal.T.astype(np.float64)
    if layout != "full":
        signal = signal[: round(10 * recording.fs)].copy()
        columns = TWO_COLUMNS if layout == "6x2" else STANDARD_COLUMNS
        rhythm = ("II",) if layout.endswith("+1") else ()
        signal[column_mask(columns, rhythm, len(signal)).T == 0] = np.nan
    return ECGRecord(signal, recording.fs)


def redigitized(recording: Recording) -> ECGRecord:
    """The recording drawn as a 3x4 page with a rhythm strip, and digitized again."""
    import io

    from PIL import Image

    from ecg4u.digitize import digitize
    from ecg4u.paper.draw import PageStyle, draw_page
    from ecg4u.paper.layouts import LAYOUTS

    signal = recording.signal.T.astype(np.float64)[: round(10 * recording.fs)]
    drawn = draw_page(
        ECGRecord(signal, recording.fs), LAYOUTS["3x4+1"], PageStyle(px_per_mm=DRAWN_PX_PER_MM)
    )
    png = io.BytesIO()
    Image.fromarray(drawn.image).save(png, "PNG")
    return digitize(png.getvalue())


def answers(
    classifier: Classifier, recordings: list[Recording], make: Callable[[Recording], ECGRecord]
) -> tuple[Answers, npt.NDArray[np.int64]]:
    """Classify what ``make`` gives; recordings that it refuses (typed errors) are left out.

    Returns the answers and the indices of the recordings that they are for.
    """
    kept, found = [], []
    for start in range(0, len(recordings), CHUNK):
        records = []
        for index in range(start, min(start + CHUNK, len(recordings))):
            try:
                records.append(make(recordings[index]))
                kept.append(index)
            except ECG4UError as error:
                print(f"refused: {error.code} ({error.stage})", file=sys.stderr)
        found += classifier.classify_batch(records)
        print(f"\r{len(found)} of {len(recordings)}", end="", file=sys.stderr)
    print(file=sys.stderr)
    result = Answers(
        labels=np.stack([recordings[index].targets for index in kept]),
        stated=np.stack([recordings[index].reference for index in kept]),
        probabilities=np.array([[r.probability for r in c.results] for c in found]),
        thresholds=np.array([classifier.card["thresholds"][name] for name in CLASSES]),
        verdicts=tuple(c.verdict for c in found),
    )
    return result, np.array(kept)


def class_table(found: Answers, repeats: int) -> list[str]:
    """A row a class, a row for the macro; value [low, high] in each cell."""
    lines = [
        "| class | n | " + " | ".join(MEASURES) + " | ECE |",
        "|---|---|" + "---|" * (len(MEASURES) + 1),
    ]
    for column, name in enumerate(CLASSES):
        cells = [
            _cell(found, lambda some, w=what, n=name: some.measure(w, n), repeats)  # type: ignore[misc]
            for what in MEASURES
        ]
        ece = calibration_error(found.labels[:, column], found.probabilities[:, column])
        n = int(np.nansum(found.labels[:, column]))
        lines.append(f"| {name} | {n} | " + " | ".join(cells) + f" | {ece:.3f} |")
    cells = [_cell(found, lambda some, w=what: some.macro(w), repeats) for what in MEASURES]  # type: ignore[misc]
    lines.append(f"| **macro without STE** | {len(found.labels)} | " + " | ".join(cells) + " | |")
    return lines


def calls_table(found: Answers, classifier: Classifier) -> list[str]:
    """Sensitivity and specificity of what is called at least possible."""
    lines = [
        "| class | n | sensitivity | specificity | said of the weights |",
        "|---|---|---|---|---|",
    ]
    for column, name in enumerate(CLASSES):
        point = classifier.card["rule_out"][name]
        y, p = found.labels[:, column], found.probabilities[:, column]
        lines.append(
            f"| {name} | {int(np.nansum(y))} | {sensitivity(y, p, point['threshold']):.2f} | "
            f"{specificity(y, p, point['threshold']):.2f} | "
            f"{point['sensitivity']:.2f}, {point['specificity']:.2f} |"
        )
    return lines


def icbeb_line(found: Answers, source: npt.NDArray[np.str_], repeats: int) -> str:
    """F1 of the nine on ICBEB-2018's own recordings."""
    own = found.rows(source == "CPSC2018")
    names = [n for i, n in enumerate(CLASSES) if np.nansum(own.labels[:, i]) > 0]

    def mean(some: Answers) -> float:
        return float(np.nanmean([some.measure("F1", name) for name in names]))

    return (
        f"ICBEB-2018's own {len(own.labels)} recordings, mean F1 of the {len(names)} classes with "
        f"a positive: {_cell(own, mean, repeats)}."
    )


def _cell(found: Answers, measure: Callable[[Answers], float], repeats: int) -> str:
    low, high = bootstrap(
        lambda rows: measure(found.rows(rows)), len(found.labels), repeats=repeats
    )
    return f"{measure(found):.3f} [{low:.3f}, {high:.3f}]"


def group_table(found: Answers, groups: Mapping[str, npt.NDArray[np.bool_]]) -> list[str]:
    """Macro AUROC and F1 of each group, over the classes that have a positive in it."""
    lines = [
        "| group | recordings | classes with positives | macro AUROC | macro F1 |",
        "|---|---|---|---|---|",
    ]
    thresholds = dict(zip(CLASSES, found.thresholds.tolist(), strict=True))
    for name, keep in groups.items():
        some = found.rows(keep)
        one = macro_with_interval(some.labels, some.probabilities, thresholds)
        if not one["classes"]:
            continue
        cells = [
            f"{one[key]:.3f} [{one[f'{key}_ci95'][0]:.3f}, {one[f'{key}_ci95'][1]:.3f}]"
            for key in ("macro_auroc", "macro_f1")
        ]
        lines.append(f"| {name} | {keep.sum()} | {one['classes']} | " + " | ".join(cells) + " |")
    return lines


def agreement(one: Answers, other: Answers) -> tuple[float, int]:
    """Share of the nine decisions a recording that are the same, and how many there were."""
    same = (one.probabilities >= one.thresholds) == (other.probabilities >= other.thresholds)
    return float(same.mean()), same.size


def peer_answers(run: Path, data: Data, split: str) -> Answers:
    """The peer of `training.peer` on full leads, calibrated on the validation split."""
    about = json.loads((run / "run.json").read_text())
    network = ResNet34(PeerConfig(**about["config"]))
    best = torch.load(run / "best.pt", map_location="cpu", weights_only=True)
    network.load_state_dict(best["average"])
    known, asked = (predict(network, data, name, "full") for name in ("valid", split))
    rows = known.recordings
    trusted = believed(data.reference[rows], data.source[rows], data.name[rows])
    shown, thresholds = [], []
    for column in range(len(CLASSES)):
        truth, logits = trusted[:, column], known.logits[:, column]
        fitted = platt(truth, logits)
        thresholds.append(robust_threshold(truth, fitted.probability(logits)))
        shown.append(fitted.probability(asked.logits[:, column]))
    return Answers(
        labels=data.reference[asked.recordings],
        stated=data.reference[asked.recordings],
        probabilities=np.stack(shown, axis=1),
        thresholds=np.array(thresholds),
        verdicts=("ok",) * len(asked.recordings),
    )


def _peer_lines(run: Path, data: Data, ours: Answers, split: str, repeats: int) -> list[str]:
    peer = peer_answers(run, data, split)
    if not np.array_equal(peer.labels, ours.labels, equal_nan=True):
        raise click.UsageError("--data does not hold the recordings of --ecg in their order")
    epochs = json.loads((run / "run.json").read_text())["history"]
    return [
        "",
        "## The peer: ResNet-34 of Zhang et al. 2021, full leads",
        f"Trained on the same split by `training.train --network resnet34`, {len(epochs)} epochs, "
        "the best on the validation split; 10 s at 100 Hz instead of 30 s at 500 Hz; calibrated as "
        "ours, but on the validation split, from which our networks may have learned as well.",
        "",
        *class_table(peer, repeats),
        "",
        f"Ours less the peer, macro without STE, paired bootstrap: {_gains(ours, peer, repeats)}.",
    ]


def _gains(one: Answers, other: Answers, repeats: int) -> str:
    """What ``one`` gains over ``other`` on the same recordings, in words."""
    told = []
    for what in ("AUROC", "AUPRC", "F1"):

        def gain(rows: npt.NDArray[np.int64], of: str = what) -> float:
            return one.rows(rows).macro(of) - other.rows(rows).macro(of)

        low, high = bootstrap(gain, len(one.labels), repeats=repeats)
        value = one.macro(what) - other.macro(what)
        told.append(f"{what} {value:+.3f} [{low:+.3f}, {high:+.3f}]")
    return ", ".join(told)


def speed(classifier: Classifier, recordings: list[Recording]) -> list[str]:
    """Wall and processor time of a record one by one (warm) and of a record in a batch."""
    records = [record_of(r, "full") for r in recordings[:65]]
    classifier.classify(records[0])
    rows = []
    for name, work in (
        ("one by one", lambda: [classifier.classify(record) for record in records[1:33]]),
        ("in batch", lambda: classifier.classify_batch(records[1:])),
    ):
        wall, cpu = time.perf_counter(), time.process_time()
        n = len(work())
        wall, cpu = (time.perf_counter() - wall) / n, (time.process_time() - cpu) / n
        rows.append(f"| {name} | {n} | {1000 * wall:.0f} | {1000 * cpu:.0f} | {1 / wall:.0f} |")
    return [
        "| 10-s records | n | wall ms each | processor ms each | records a second |",
        "|---|---|---|---|---|",
        *rows,
    ]


def chosen_for_drawing(recordings: list[Recording], n: int) -> list[Recording]:
    """``n`` recordings spread over the classes, and none of them, in turn, the same each time."""
    queues = [[r for r in recordings if r.reference[column] == 1] for column in range(len(CLASSES))]
    queues.append([r for r in recordings if not np.nansum(r.reference)])
    picked: dict[tuple[str, str], Recording] = {}
    for turn in range(len(recordings)):
        for queue in queues:
            if turn < len(queue) and len(picked) < n:
                picked.setdefault((queue[turn].source, queue[turn].name), queue[turn])
    return list(picked.values())


@click.command(context_settings={"show_default": True})
@click.option("--ecg", type=click.Path(path_type=Path, exists=True), default="../shared/ecg")
@click.option("--split", type=click.Choice(["valid", "test"]), default="valid")
@click.option("--drawn", default=0, help="Recordings to draw and digitize as well.")
@click.option("--workers", default=1, help="Processes that draw and digitize.")
@click.option("--photos", type=click.Path(path_type=Path, exists=True), help="Images with .npz.")
@click.option("--peer", type=click.Path(path_type=Path, exists=True), help="Run of the ResNet-34.")
@click.option("--data", type=click.Path(path_type=Path), default="cache/ecg.h5", help="For --peer.")
@click.option("--repeats", default=1000, help="Bootstrap resamples.")
@click.option("--weights", type=click.Path(path_type=Path), help="Other weights than the shipped.")
@click.option("--out", type=click.Path(path_type=Path), default=RESULTS)
def main(
    ecg: Path,
    split: str,
    drawn: int,
    workers: int,
    photos: Path | None,
    peer: Path | None,
    data: Path,
    repeats: int,
    weights: Path | None,
    out: Path,
) -> None:
    """Measure the classifier and write the tables."""
    classifier = Classifier(weights)
    recordings = [
        replace(r, targets=meant(r, windows_of(r)))
        for r in collected(ecg, mitdb=False)
        if r.split == split
    ]
    lines = [
        "# Classifier",
        "",
        f"`{classifier.card['id']}` on the `{split}` split ({len(recordings)} recordings); "
        f"`python -m benchmarks.classify --split {split} --repeats {repeats}"
        + (f" --drawn {drawn}" if drawn else "")
        + (f" --peer {peer}" if peer else "")
        + (f" --photos {photos}`." if photos else "`."),
        "n is the number of positives; [low, high] the 95 % bootstrap interval over recordings; "
        f"thresholds and calibration from: {classifier.card['operating_points_on'].split(',')[0]}; "
        "ECE: expected calibration error, 10 bins. Labels are what the classes mean in ICBEB-2018 "
        "(`training/labels.py`) unless a title says otherwise.",
    ]
    for layout, title in (
        ("full", "Full leads"),
        ("3x4+1", "As a 3x4 page with one rhythm strip shows it"),
        ("6x2", "As a 6x2 page shows it"),
    ):
        found, kept = answers(classifier, recordings, lambda r, shape=layout: record_of(r, shape))  # type: ignore[misc]
        lines += ["", f"## {title}", *class_table(found, repeats if layout != "6x2" else 200)]
        counts = {v: found.verdicts.count(v) for v in ("ok", "uncertain", "unreadable")}
        lines += ["", "Verdicts: " + ", ".join(f"{v} {n}" for v, n in counts.items()) + "."]
        if layout == "full":
            ours = found
            same = [recordings[index] for index in kept]
            groups = groups_of(
                np.array([r.source for r in same]),
                np.array([r.sex for r in same]),
                np.array([r.age for r in same]),
            )
            lines += ["", "### As the sources state the classes"]
            lines += class_table(replace(found, labels=found.stated), repeats)
            lines += ["", "### Called at least possible", *calls_table(found, classifier)]
            lines += ["", icbeb_line(found, np.array([r.source for r in same]), repeats)]
            lines += ["", "### By source, sex and age", *group_table(found, groups)]
        _write(lines, out)
    lines += ["", f"## Speed ({os.cpu_count()} processors, shared)", *speed(classifier, recordings)]
    _write(lines, out)
    if peer:
        lines += _peer_lines(peer, load(data), ours, split, repeats)
        _write(lines, out)
    if photos:
        lines += _photo_lines(classifier, photos)
        _write(lines, out)
    if drawn:
        lines += _drawn_lines(classifier, chosen_for_drawing(recordings, drawn), repeats, workers)
        _write(lines, out)
    print("\n".join(lines))


def _write(lines: list[str], out: Path) -> None:
    """What is measured so far, so that an interrupted run leaves its first tables."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _drawn_lines(
    classifier: Classifier, recordings: list[Recording], repeats: int, workers: int
) -> list[str]:
    with ProcessPoolExecutor(workers) as pool:
        read = dict(zip(map(id, recordings), pool.map(_tried, recordings), strict=True))

    def make(recording: Recording) -> ECGRecord:
        record = read[id(recording)]
        if isinstance(record, ECG4UError):
            raise record
        return record

    found, kept = answers(classifier, recordings, make)
    same = [recordings[index] for index in kept]
    full, _ = answers(classifier, same, lambda r: record_of(r, "full"))
    masked, _ = answers(classifier, same, lambda r: record_of(r, "3x4+1"))
    lines = [
        "",
        "## Drawn as a 3x4 page with one rhythm strip, and digitized",
        f"{len(recordings)} recordings, spread over the classes and none of them; "
        f"{len(recordings) - len(kept)} refused by the digitizer and left out.",
        "",
        "| the same recordings | macro AUROC | macro F1 | decisions as with full leads |",
        "|---|---|---|---|",
    ]
    for name, one in (("full leads", full), ("3x4+1, masked", masked), ("digitized", found)):
        share, n = agreement(one, full)
        lines.append(
            f"| {name} | {_cell(one, lambda some: some.macro('AUROC'), repeats)} | "
            f"{_cell(one, lambda some: some.macro('F1'), repeats)} | {share:.3f} of {n} |"
        )
    share, n = agreement(found, masked)
    return [
        *lines,
        "",
        f"Digitized against masked: {share:.3f} of {n} decisions are the same. Digitized less full "
        f"leads, macro without STE, paired bootstrap: {_gains(found, full, repeats)}.",
    ]


def _tried(recording: Recording) -> ECGRecord | ECG4UError:
    try:
        return redigitized(recording)
    except ECG4UError as error:
        return error


def _photo_lines(classifier: Classifier, folder: Path) -> list[str]:
    """Decisions for each photograph against those for what its truth shows."""
    from ecg4u.digitize import digitize

    lines = [
        "",
        f"## Photographs with a truth (`{folder.name}`)",
        "",
        "| image | true signals | photograph | decisions that are the same |",
        "|---|---|---|---|",
    ]
    same = []
    for path in sorted(folder.glob("*.jpg")):
        held = np.load(path.with_suffix(".npz"))
        truth = classifier.classify(ECGRecord(held["p_signal"].astype(float), float(held["fs"])))
        try:
            read = classifier.classify(digitize(path))
        except ECG4UError as error:
            lines.append(f"| {path.stem} | {_positive(truth)} | refused ({error.stage}) | 0 of 9 |")
            same.append(0)
            continue
        pairs = zip(truth.results, read.results, strict=True)
        same.append(sum(one.positive == other.positive for one, other in pairs))
        lines.append(
            f"| {path.stem} | {_positive(truth)} | {_positive(read)}, {read.verdict} | "
            f"{same[-1]} of 9 |"
        )
    total = len(same) * len(CLASSES)
    half = [sum(same[side::2]) / len(same[side::2]) / len(CLASSES) for side in (0, 1)]
    return [
        *lines,
        "",
        f"{sum(same)} of {total} decisions are the same ({sum(same) / total:.3f}): {half[0]:.3f} "
        f"on those that the digitizer was tuned on (every second), {half[1]:.3f} on the others.",
    ]


def _positive(answer: Classification) -> str:
    return " ".join(result.name for result in answer.positive) or "-"


if __name__ == "__main__":
    main()
