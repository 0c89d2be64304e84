"""How good is it on ICBEB-2018's own recordings? `python -m benchmarks.icbeb --work cache/ship`.

``--work`` is the folder in which `training.ship` made the shipped weights: its runs with a fold
held out answer each recording of train and valid by members that have not learned from it, at the
shipped calibration and thresholds. The test split is not touched. Takes a minute; writes
``benchmarks/results/icbeb.md``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
import torch

from ecg4u.model.classifier import CARD_NAME, NORMAL, WEIGHTS
from ecg4u.record import CLASSES
from training.calibrate import Calibration
from training.dataset import Data, load
from training.evaluate import Predictions
from training.export import out_of_fold
from training.metrics import auroc, bootstrap, counts, f1
from training.ship import fold_runs

RESULTS = Path(__file__).parent / "results" / "icbeb.md"
SOURCE, REPEATS = "CPSC2018", 1000
SHOWN = {"full": "full leads", "3x4+1": "as a 3x4 page with one rhythm strip shows it"}


def normal_alone(said: npt.NDArray[np.float64], bars: Sequence[float]) -> npt.NDArray[np.float64]:
    """Probabilities (n, 9), Normal's 0 where another class is called, as `Classifier` does."""
    others = [i for i, name in enumerate(CLASSES) if name != NORMAL]
    called = said.copy()
    called[(said >= bars)[:, others].any(axis=1), CLASSES.index(NORMAL)] = 0.0
    return called


def table(data: Data, found: Predictions, card: dict[str, Any]) -> list[str]:
    """A row a class; the mean F1 of the nine with its bootstrap interval."""
    labels = data.reference[found.recordings]
    calibration = [Calibration(**card["calibration"][name]) for name in CLASSES]
    said = np.stack(
        [one.probability(found.logits[:, i]) for i, one in enumerate(calibration)], axis=1
    )
    bars = [card["thresholds"][name] for name in CLASSES]
    called = normal_alone(said, bars)

    def mean(rows: npt.NDArray[np.int64]) -> float:
        each = [f1(labels[rows, i], called[rows, i], bar) for i, bar in enumerate(bars)]
        there = labels[rows].sum(axis=0) > 0
        return float(np.mean(np.array(each)[there]))

    lines = ["| class | n | AUROC | F1 | found | missed | false |", "|---|---|---|---|---|---|---|"]
    for i, name in enumerate(CLASSES):
        y, p = labels[:, i], called[:, i]
        hits, false, missed, _ = counts(y, p, bars[i])
        lines.append(
            f"| {name} | {hits + missed} | {auroc(y, said[:, i]):.3f} | {f1(y, p, bars[i]):.3f} "
            f"| {hits} | {missed} | {false} |"
        )
    low, high = bootstrap(mean, len(labels), repeats=REPEATS)
    every = mean(np.arange(len(labels)))
    lines.append(f"| **mean** | {len(labels)} | | {every:.3f} [{low:.3f}, {high:.3f}] | | | |")
    return lines


@click.command(context_settings={"show_default": True})
@click.option("--work", type=click.Path(path_type=Path, exists=True), default="cache/ship")
@click.option("--weights", type=click.Path(path_type=Path, exists=True), default=WEIGHTS)
@click.option("--out", type=click.Path(path_type=Path), default=RESULTS)
def main(work: Path, weights: Path, out: Path) -> None:
    """Let the runs with a fold held out answer, and write the table."""
    torch.set_num_threads(1)
    card = json.loads((weights / CARD_NAME).read_text(encoding="utf-8"))
    data = load(work / "ecg.h5")
    answered = out_of_fold(data, fold_runs(work), layouts=tuple(SHOWN))
    lines = [
        "# ICBEB-2018's own recordings, out of fold",
        "",
        f"The recipes of `{card['id']}`, its calibration and thresholds; `python -m "
        "benchmarks.icbeb`. Labels are the challenge's own. [low, high]: 95 % "
        "bootstrap interval over recordings, of the classes that have a positive there.",
    ]
    for layout, words in SHOWN.items():
        every = answered[layout]
        own = data.source[every.recordings] == SOURCE
        found = Predictions(every.recordings[own], every.logits[own])
        lines += ["", f"## {words[0].upper()}{words[1:]}", *table(data, found, card)]
    out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
