"""How good is it on ICBEB-2018's own recordings? `python -m benchmarks.icbeb --data cache/ecg.h5`.

The members that ship have learned from most of the few recordings here. So each one's recipe, as
the card has it, is followed again with half of those held out (``--folds 2``) and all else that
it learned from kept, and every one of train and valid is answered by members that have not seen
it, at the shipped calibration and thresholds. Takes a network for each fold: about an hour of a
free core. What was trained stays in ``--work``; a killed run goes on from there. The test split is
not touched. Writes ``benchmarks/results/icbeb.md``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
import torch

from ecg4u.model.classifier import CARD_NAME, NORMAL, WEIGHTS
from ecg4u.model.networks import Network
from ecg4u.record import CLASSES
from training import additive, trees
from training.calibrate import Calibration
from training.dataset import Data, load
from training.evaluate import Predictions
from training.export import member, validated
from training.folds import folds_of
from training.kept import UNSEEN
from training.labels import FINDINGS
from training.metrics import auroc, bootstrap, counts, f1
from training.train import Settings, Trainer, save_run

RESULTS = Path(__file__).parent / "results" / "icbeb.md"
SOURCE, REPEATS = "CPSC2018", 1000
SHOWN = {"full": "full leads", "3x4+1": "as a 3x4 page with one rhythm strip shows it"}


def without(data: Data, fold: int, folds: int) -> Data:
    """``data`` with a fold of `SOURCE` as ``valid``, all else of train and valid as ``train``."""
    own = replace(data, split=np.where(data.source == SOURCE, data.split, ""))
    split = np.where(data.split == "valid", "train", data.split)
    return replace(data, split=np.where(folds_of(own, folds) == fold, "valid", split))


def settings_of(entry: dict[str, Any], kind: Any, **changed: Any) -> Any:
    """A card's settings of a member as ``kind``, a recipe's settings, takes them."""
    known = {field.name for field in fields(kind)}
    told = {k: tuple(v) if isinstance(v, list) else v for k, v in entry["settings"].items()}
    return kind(**{k: v for k, v in (told | changed).items() if k in known})


def follow(entry: dict[str, Any], data: Data, runs: Sequence[Path]) -> None:
    """The recipe of a member of the card, once without each fold, into ``runs``."""
    kind = entry["config"].get("kind", "residual")
    if kind != "additive":
        later = np.isin(data.file, UNSEEN)
        data = replace(data, split=np.where(later, "later", data.split))
    parts = [without(data, fold, len(runs)) for fold in range(len(runs))]
    left = [pair for pair in zip(parts, runs, strict=True) if not (pair[1] / "best.pt").exists()]
    if not left:
        return
    if kind == "residual":
        for part, run in left:
            trainer = Trainer(settings_of(entry, Settings, precision="fp32"), part, run, "cpu")
            trainer.resume()
            trainer.fit()
    elif kind == "trees":
        own = settings_of(entry, trees.Settings)
        views = zip(*trees.measured(data, own), strict=True)
        values, labels = map(np.concatenate, views)
        for part, run in left:
            _keep(run, own, trees.boosted(part, values, labels, own), CLASSES)
    else:
        curved = settings_of(entry, additive.Settings)
        values, labels = additive.views_of(data, curved)
        knots = additive.knots_of(values, curved.knots)
        for part, run in left:
            network = additive.curves(part, values, labels, knots, curved)
            _keep(run, curved, network, additive.outputs(curved))


def _keep(run: Path, own: Any, network: Network, classes: tuple[str, ...]) -> None:
    save_run(run, asdict(own), network, classes, [{"epoch": 1, "seconds": 0}])


def pooled(data: Data, runs: Sequence[Sequence[Path]], layout: str) -> Predictions:
    """(runs of a member) of each fold -> what they say together of the recordings held out."""
    names = (*CLASSES, *FINDINGS)
    found = []
    for fold, of_fold in enumerate(runs):
        part = without(data, fold, len(runs))
        members = [member(run) for run in of_fold]
        found.append(validated(part, members, "valid", names, (layout,))[layout])
    return Predictions(
        np.concatenate([each.recordings for each in found]),
        np.concatenate([each.logits for each in found])[:, : len(CLASSES)],
    )


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
@click.option("--data", type=click.Path(path_type=Path, exists=True), default="cache/ecg.h5")
@click.option("--weights", type=click.Path(path_type=Path, exists=True), default=WEIGHTS)
@click.option("--folds", default=2)
@click.option("--work", type=click.Path(path_type=Path), default="cache/icbeb", help="For runs.")
@click.option("--out", type=click.Path(path_type=Path), default=RESULTS)
def main(data: Path, weights: Path, folds: int, work: Path, out: Path) -> None:
    """Follow the card's recipes without each fold, and write the table."""
    torch.set_num_threads(1)
    card = json.loads((weights / CARD_NAME).read_text(encoding="utf-8"))
    everything = load(data)
    runs = [[work / f"{n}-{fold}" for n in range(len(card["members"]))] for fold in range(folds)]
    for number, entry in enumerate(card["members"]):
        follow(entry, everything, [of_fold[number] for of_fold in runs])
        print(f"member {number}: done", file=sys.stderr, flush=True)
    lines = [
        "# ICBEB-2018's own recordings, out of fold",
        "",
        f"The recipes of `{card['id']}`, its calibration and thresholds; `python -m "
        f"benchmarks.icbeb --folds {folds}`. Labels are the challenge's own. [low, high]: 95 % "
        "bootstrap interval over recordings, of the classes that have a positive there.",
    ]
    for layout, words in SHOWN.items():
        found = pooled(everything, runs, layout)
        lines += ["", f"## {words[0].upper()}{words[1:]}", *table(everything, found, card)]
    out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
