"""Boost the trees: `python -m training.trees --data data.h5 --run runs/t`.

One booster for each of the nine classes and of `training.labels.FINDINGS`, by scikit-learn's
histogram method, over `ecg4u.model.measures` of each
training window with full leads and as ``--views`` random pages show it. Several ``--held-out``
share the measuring, and leave ``RUN-0``, ``RUN-1`` ... for the folds beside ``RUN`` for ``none``,
each in the form that `training.train` leaves, for `training.export`. Takes minutes on one core.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
import torch

from ecg4u.model.measures import measures
from ecg4u.model.trees import Trees, TreesConfig
from ecg4u.record import CLASSES
from training.augment import Augmentation, augment, centred, loosened
from training.dataset import LABELS, Data, load
from training.folds import all_checked, held, run_of
from training.labels import FINDINGS
from training.physiology import Physiology, changed
from training.train import LARGE_SOURCES, MITDB_WEIGHT, VALIDATION_LAYOUTS, save_run, scores

Floats = npt.NDArray[np.float32]

BATCH = 128
BINS = 64
DEPTH = 5
MIN_LEAF = 8
L2 = 5.0
SHARE_OF_MEASURES = 0.25
NEVER_SEEN = -5.0
"""Logit of a class without positives and negatives to learn from."""


@dataclass(frozen=True)
class Settings:
    """Every setting of a run; saved beside its trees."""

    data: str
    network: str = "trees"
    labels: str = "targets"
    trees: int = 240
    leaves: int = 8
    views: int = 2
    learning_rate: float = 0.04
    small_sources: float = 2.0
    physiology: float = 0.03
    seed: int = 0
    held_out: str = "valid"


OUTPUTS = (*CLASSES, *FINDINGS)
"""What the trees answer, in their order."""


def measured(data: Data, settings: Settings) -> Iterator[tuple[Floats, Floats]]:
    """(windows, measures) and (windows, `OUTPUTS`): full leads, then random pages.

    Of every window of train and valid, in the order of `learned`.
    """
    windows = learned(data)
    columns = [data.auxiliary_names.index(name) for name in FINDINGS]
    labels = np.concatenate([data.labels(settings.labels), data.auxiliary[:, columns]], axis=1)
    share = settings.physiology
    made = Physiology(share, share, share)
    rng = np.random.default_rng([settings.seed, 3])
    pages = Augmentation(mixup=0)
    for view in range(settings.views + 1):
        parts = []
        for start in range(0, len(windows), BATCH):
            rows = windows[start : start + BATCH]
            leads, masks = data.batch(rows)
            leads = loosened(leads, data.sized[data.owner[rows]], rng)
            y = torch.from_numpy(labels[data.owner[rows]])
            if view:
                leads, masks, y = changed(leads, masks, y, rng, made)
            x = augment(leads, masks, rng, pages) if view else centred(leads, masks)
            with torch.inference_mode():
                parts.append((measures(x).numpy(), y.numpy()))
        values, truth = zip(*parts, strict=True)
        yield np.concatenate(values), np.concatenate(truth)


def learned(data: Data) -> npt.NDArray[np.int64]:
    """The windows of train and valid together."""
    return np.sort(np.concatenate([data.windows("train"), data.windows("valid")]))


def boosted(data: Data, values: Floats, labels: Floats, settings: Settings) -> Trees:
    """A booster for each class, as arrays, from the `measured` views of the training split."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    owner = np.tile(data.owner[learned(data)], settings.views + 1)
    training = data.split[owner] == "train"
    source = data.source[owner]
    weight = np.where(np.isin(source, LARGE_SOURCES), 1.0, settings.small_sources)
    weight = np.where(source == "MIT-BIH", MITDB_WEIGHT, weight)
    config = TreesConfig(
        outputs=len(OUTPUTS), trees=settings.trees, nodes=2 * settings.leaves - 1, depth=DEPTH
    )
    network = Trees(config)
    for column, name in enumerate(OUTPUTS):
        truth = labels[:, column]
        known = np.isfinite(truth) & training
        if not 0 < truth[known].sum() < known.sum():
            network.start[column] = NEVER_SEEN
            continue
        booster = HistGradientBoostingClassifier(
            learning_rate=settings.learning_rate,
            max_iter=settings.trees,
            max_leaf_nodes=settings.leaves,
            max_depth=DEPTH,
            min_samples_leaf=MIN_LEAF * (settings.views + 1),
            l2_regularization=L2,
            max_features=SHARE_OF_MEASURES,
            max_bins=BINS,
            early_stopping=False,
            random_state=settings.seed,
        )
        booster.fit(values[known], truth[known], sample_weight=weight[known])
        put(network, column, booster)
        print(f"{name}: {int(truth[known].sum())} positive views", file=sys.stderr, flush=True)
    return network


def put(network: Trees, column: int, booster: Any) -> None:
    """Copy a fitted booster into one column of the arrays."""
    network.start[column] = float(booster._baseline_prediction.item())
    for number, (tree,) in enumerate(booster._predictors):
        nodes = tree.nodes
        here = column, number, slice(len(nodes))
        itself = np.arange(len(nodes))
        leaf = nodes["is_leaf"].astype(bool)
        for name, filled in (
            ("measure", np.where(leaf, 0, nodes["feature_idx"])),
            ("threshold", np.where(leaf, 0.0, nodes["num_threshold"])),
            ("left", np.where(leaf, itself, nodes["left"])),
            ("right", np.where(leaf, itself, nodes["right"])),
            ("unknown_left", nodes["missing_go_to_left"].astype(bool)),
            ("value", np.where(leaf, nodes["value"], 0.0)),
        ):
            part = getattr(network, name)
            part[here] = torch.from_numpy(filled).to(part.dtype)


@click.command(context_settings={"show_default": True})
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--run", type=click.Path(path_type=Path), required=True, help="Folder of the run.")
@click.option("--labels", type=click.Choice(LABELS), default="targets")
@click.option("--trees", default=240, help="Per class.")
@click.option("--leaves", default=8, help="Per tree.")
@click.option("--views", default=2, help="Random pages of each window, beside its full leads.")
@click.option("--learning-rate", default=0.04)
@click.option("--small-sources", default=2.0, help="How much their recordings count.")
@click.option("--physiology", default=0.03, help="Share of pages with each finding made.")
@click.option("--seed", default=0)
@click.option(
    "--held-out",
    "parts",
    multiple=True,
    default=("valid",),
    callback=all_checked,
    help="valid, a fold such as 0/4, or none; may be repeated.",
)
@click.option("--threads", default=0, help="CPU threads; 0 leaves torch's choice.")
def main(data: Path, run: Path, threads: int, parts: tuple[str, ...], **options: Any) -> None:
    """Boost trees on the file of training.prepare_data; leaves run.json and best.pt."""
    if threads:
        torch.set_num_threads(threads)
    everything = load(data)
    settings = Settings(data=data.name, **options)
    values, labels = map(np.concatenate, zip(*measured(everything, settings), strict=True))
    for held_out in parts:
        started = time.monotonic()
        own = replace(settings, held_out=held_out)
        part = held(everything, held_out)
        network = boosted(part, values, labels, own).eval()
        entry = {"epoch": settings.trees, **scores(network, part, CLASSES)}
        entry["seconds"] = round(time.monotonic() - started, 1)
        save_run(run_of(run, held_out), asdict(own), network, OUTPUTS, [entry])
        shown = {name: entry[name]["macro"] for name in VALIDATION_LAYOUTS if name in entry}
        print(held_out, json.dumps(shown), file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
