"""Fit the additive member: `python -m training.additive --data data.h5 --run runs/a`.

Curves over `ecg4u.model.measures` (`ecg4u.model.additive`) for the nine classes and for
`training.labels.FINDINGS` at once, by penalised logistic regression, over each training window with
full leads and as a random page shows it. Several ``--held-out`` share the measuring, and leave
``RUN-0``, ``RUN-1`` ... for the folds beside ``RUN`` for ``none``, each in the form that
`training.train` leaves, for `training.export`.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ecg4u.model.additive import LEAST_STEP, Additive, AdditiveConfig
from ecg4u.record import CLASSES
from training.dataset import LABELS, Data, load
from training.folds import all_checked, held
from training.labels import FINDINGS
from training.metrics import auroc
from training.train import LARGE_SOURCES, MITDB_WEIGHT, save_run
from training.trees import Settings as TreeSettings
from training.trees import learned, measured, run_of

Floats = npt.NDArray[np.float32]

OF_OTHER_MEANING = ("RBBB", "STE")
"""Classes that ``--emphasis`` speaks louder in, beside members that learned another meaning."""


@dataclass(frozen=True)
class Settings:
    """Every setting of a run; saved beside its curves."""

    data: str
    network: str = "additive"
    labels: str = "targets"
    knots: int = 5
    views: int = 1
    penalty: float = 3.0
    steps: int = 50
    small_sources: float = 2.0
    physiology: float = 0.03
    emphasis: float = 1.0
    classes: tuple[str, ...] = CLASSES
    seed: int = 0
    held_out: str = "valid"


def outputs(settings: Settings) -> tuple[str, ...]:
    """What the member answers, in its order."""
    return (*settings.classes, *FINDINGS)


def views_of(data: Data, settings: Settings) -> tuple[Floats, Floats]:
    """(views * windows, measures) and (views * windows, `outputs`) of train and valid."""
    classes = TreeSettings(
        settings.data, labels=settings.labels, views=settings.views,
        physiology=settings.physiology, seed=settings.seed,
    )  # fmt: skip
    parts = list(measured(data, classes))
    columns = [data.auxiliary_names.index(name) for name in FINDINGS]
    extra = data.auxiliary[data.owner[learned(data)]][:, columns]
    plain = data.labels(settings.labels)[data.owner[learned(data)]]
    own = [CLASSES.index(name) for name in settings.classes]
    labels = []
    for _, y in parts:
        made = (np.nan_to_num(y, nan=-1) != np.nan_to_num(plain, nan=-1)).any(axis=1)
        labels.append(np.concatenate([y[:, own], np.where(made[:, None], np.nan, extra)], axis=1))
    return np.concatenate([values for values, _ in parts]), np.concatenate(labels)


def knots_of(values: Floats, count: int) -> Tensor:
    """(measures, count): evenly spaced quantiles of each measure, kept apart."""
    shares = np.linspace(0.02, 0.98, count)
    found = np.nan_to_num(np.nanquantile(values, shares, axis=0).T)
    steps = np.maximum(np.diff(found, axis=1), LEAST_STEP)
    return torch.from_numpy(
        found[:, :1] + np.pad(np.cumsum(steps, axis=1), ((0, 0), (1, 0)))
    ).float()


def fitted(
    network: Additive, basis: Tensor, labels: Tensor, weight: Tensor, settings: Settings
) -> None:
    """Fit the head in place: L-BFGS on the weighted log loss of what is known, all answers at once.

    The penalty is on each answer's own weights, so that a rare one is held back more.
    """
    known = torch.isfinite(labels)
    wanted = torch.where(known, labels, 0.0)
    counted = known * weight[:, None]
    share = (counted * wanted).sum(0) / counted.sum(0).clamp(min=1)
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.bias.copy_(torch.logit(share.clamp(1e-4, 0.999)))
    optimiser = torch.optim.LBFGS(
        network.head.parameters(), max_iter=settings.steps, history_size=10,
        line_search_fn="strong_wolfe",
    )  # fmt: skip

    def loss() -> Tensor:
        optimiser.zero_grad()
        said = network.head(basis)
        each = torch.nn.functional.binary_cross_entropy_with_logits(said, wanted, reduction="none")
        total = (each * counted).sum() + settings.penalty * network.head.weight.square().sum()
        total = total / len(basis)
        total.backward()
        return total

    optimiser.step(loss)


def curves(
    data: Data, values: Floats, labels: Floats, knots: Tensor, settings: Settings
) -> Additive:
    """The member fitted on the training split of ``data``."""
    owner = np.tile(data.owner[learned(data)], settings.views + 1)
    rows = np.flatnonzero(data.split[owner] == "train")
    source = data.source[owner[rows]]
    weight = np.where(np.isin(source, LARGE_SOURCES), 1.0, settings.small_sources)
    weight = np.where(source == "MIT-BIH", MITDB_WEIGHT, weight) / (settings.views + 1)
    names = outputs(settings)
    network = Additive(AdditiveConfig(outputs=len(names), knots=settings.knots))
    network.knots.copy_(knots)
    with torch.no_grad():
        basis = network.basis(torch.from_numpy(values[rows]))
    fitted(
        network, basis, torch.from_numpy(labels[rows]), torch.from_numpy(weight).float(), settings
    )
    with torch.no_grad():
        for name in set(OF_OTHER_MEANING) & set(names):
            network.head.weight[names.index(name)] *= settings.emphasis
            network.head.bias[names.index(name)] *= settings.emphasis
    return network.eval()


@click.command(context_settings={"show_default": True})
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--run", type=click.Path(path_type=Path), required=True, help="Folder of the run.")
@click.option("--labels", type=click.Choice(LABELS), default="targets")
@click.option("--knots", default=5, help="Of each curve.")
@click.option("--views", default=1, help="Random pages of each window, beside its full leads.")
@click.option("--penalty", default=3.0, help="On the squares of the curves' weights.")
@click.option("--steps", default=50, help="Of L-BFGS.")
@click.option("--small-sources", default=2.0, help="How much their recordings count.")
@click.option("--physiology", default=0.03, help="Share of pages with each finding made.")
@click.option("--emphasis", default=1.0, help="Times the logits of RBBB and STE.")
@click.option(
    "--class",
    "classes",
    multiple=True,
    type=click.Choice(CLASSES),
    default=CLASSES,
    help="Of the nine, one that it answers; may be repeated.",
)
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
    """Fit curves on the file of training.prepare_data; leaves run.json and best.pt."""
    if threads:
        torch.set_num_threads(threads)
    everything = load(data)
    settings = Settings(data=data.name, **options)
    values, labels = views_of(everything, settings)
    knots = knots_of(values, settings.knots)
    print("measured", file=sys.stderr, flush=True)
    for held_out in parts:
        started = time.monotonic()
        own = replace(settings, held_out=held_out)
        part = held(everything, held_out)
        network = curves(part, values, labels, knots, own)
        entry = {"epoch": settings.steps, "seconds": round(time.monotonic() - started, 1)}
        save_run(run_of(run, held_out), asdict(own), network, outputs(own), [entry])
        _tell(part, network, values, labels, own)


def _tell(data: Data, network: Additive, values: Floats, labels: Floats, own: Settings) -> None:
    """Say the AUROC of each answer on the held-out windows with full leads."""
    windows = learned(data)
    out = np.flatnonzero(data.split[data.owner[windows]] == "valid")
    told: dict[str, float] = {}
    if len(out):
        with torch.inference_mode():
            said = network.from_measures(torch.from_numpy(values[out])).numpy()
        names = outputs(own)
        told = {n: round(auroc(labels[out, i], said[:, i]), 3) for i, n in enumerate(names)}
    print(own.held_out, json.dumps(told), file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
