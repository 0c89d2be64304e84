"""Runs into shipped weights: `python -m training.export RUN... --data data.h5 --out DIR`.

The logits of the members that answer a class are averaged. Each class gets its calibration (Platt),
its threshold (`robust_threshold`), the lower one that rules it out (`rule_out`) and what both were
seen to do, from recordings seen in four layouts: from the validation split, or, where the runs
learned from that too, from train and valid out of fold (``--fold RUN``, for each run of each fold
of `training.folds`; a run named twice counts twice). Another finding is calibrated alike, if it is
told well enough (`ships`). They travel in ``classifier.json`` beside one safetensors file a member.
The test split is opened only with ``--final``, for the card's last figures.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
import torch

from ecg4u.model.classifier import CARD_NAME
from ecg4u.model.prepare import MODEL_FS_HZ, WINDOW_S
from ecg4u.record import CLASSES
from training.calibrate import (
    Calibration,
    operating_point,
    platt,
    robust_threshold,
    rule_out,
)
from training.card import in_words
from training.dataset import Data, load
from training.evaluate import LAYOUTS, Predictions, predict
from training.folds import folds_of, held, parse
from training.groups import REPEATS, by_group, macro_with_interval
from training.labels import believed
from training.members import Member, Panel, member, picked, write_members
from training.metrics import Floats, auroc, average_precision, bootstrap, calibration_error, f1
from training.train import LARGE_SOURCES

SOURCES = {
    "PTB-XL": "Wagner et al., PhysioNet, doi:10.13026/kfzx-aw45, CC BY 4.0",
    "CPSC2018": "ICBEB-2018, Liu et al. 2018, PhysioNet/CinC Challenge 2020, CC BY 4.0",
    "CPSC-Extra": "Liu et al. 2018, PhysioNet/CinC Challenge 2020, CC BY 4.0",
    "Georgia": "PhysioNet/CinC Challenge 2020, CC BY 4.0",
    "Chapman-Ningbo": "Chapman-Shaoxing / Ningbo, PhysioNet/CinC Challenge 2021, CC BY 4.0",
    "PTB": "PhysioNet/CinC Challenge 2020, CC BY 4.0",
    "LUDB": "Kalyakulina et al., PhysioNet, doi:10.13026/eegm-h675, ODC-By 1.0",
    "MIT-BIH": "Moody and Mark, PhysioNet, doi:10.13026/C2F305, ODC-By 1.0",
}

LEAST_POSITIVES, LEAST_AUROC, LEAST_LOW, LEAST_PRECISION = 25, 0.90, 0.85, 0.3
"""Out of fold, for another finding to ship: positives, AUROC and the lower end of its 95 %
interval, and average precision, below which most of what is called likely would be wrong."""
OPERATING_POINTS_ON = {
    "valid": "validation split, full leads, thresholds set on the same split",
    "out of fold": "train and valid out of fold, full leads, thresholds set on the same scores",
}


def truth_of(data: Data, names: tuple[str, ...]) -> npt.NDArray[np.float32]:
    """(recordings, names): what the classes mean in ICBEB-2018, and the other findings; the labels
    that the tracing contradicts are not known."""
    known = believed(data.targets, data.source, data.name)
    columns = [
        known[:, CLASSES.index(name)]
        if name in CLASSES
        else data.auxiliary[:, data.auxiliary_names.index(name)]
        for name in names
    ]
    return np.stack(columns, axis=1)


def scored(
    labels: npt.NDArray[np.float32],
    probability: npt.NDArray[np.float64],
    thresholds: Mapping[str, float],
) -> dict[str, Any]:
    """AUROC, average precision, F1 and calibration error per class, with macros without STE.

    ``labels`` are (n, 9), ``probability`` (n, len(thresholds)).
    """
    table: dict[str, dict[str, float]] = {}
    for column, name in enumerate(thresholds):
        truth, said = labels[:, CLASSES.index(name)], probability[:, column]
        table[name] = figures(truth, said, thresholds[name])
    return {**macro_with_interval(labels, probability, thresholds), "classes": table}


def figures(truth: Floats, said: Floats, threshold: float) -> dict[str, float]:
    """One class, over the recordings where it is known."""
    return {
        "positives": int(np.nansum(truth)),
        "auroc": auroc(truth, said),
        "average_precision": average_precision(truth, said),
        "f1": f1(truth, said, threshold),
        "calibration_error": calibration_error(truth, said),
    }


@dataclass(frozen=True)
class Fit:
    """Of one class or finding: its calibration, its two thresholds and what they were seen to do"""

    calibration: Calibration
    threshold: float
    point: dict[str, Any]
    rule_out: dict[str, float]


def fit(data: Data, found: Mapping[str, Predictions], name: str, column: int) -> Fit:
    """From the layouts' predictions of a class or finding.

    The calibration counts recordings as `as_in_validation` says.
    """
    label = truth_of(data, (name,))[:, 0]
    rows = {key: np.isfinite(label[f.recordings]) for key, f in found.items()}
    truth = np.concatenate([label[f.recordings][rows[key]] for key, f in found.items()])
    logits = np.concatenate([f.logits[rows[key], column] for key, f in found.items()])
    counted = np.concatenate(
        [as_in_validation(data, f.recordings[rows[key]]) for key, f in found.items()]
    )
    calibration = platt(truth, logits, counted / len(found))
    probability = calibration.probability(logits)
    threshold = robust_threshold(truth, probability)
    full = slice(0, int(rows["full"].sum()))
    point = operating_point(truth[full], probability[full], threshold)
    return Fit(calibration, threshold, point, rule_out(truth[full], probability[full], threshold))


def ships(label: Floats, logits: Floats) -> dict[str, Any]:
    """Whether another finding is told well enough out of fold, and the figures that say so."""
    known = np.isfinite(label)
    y, z = label[known], logits[known]
    area = auroc(y, z)
    low, high = bootstrap(lambda rows: auroc(y[rows], z[rows]), len(y), repeats=REPEATS)
    precision = average_precision(y, z)
    told = area >= LEAST_AUROC and low >= LEAST_LOW and precision >= LEAST_PRECISION
    return {
        "positives": int(y.sum()),
        "recordings": len(y),
        "auroc": area,
        "auroc_ci95": (low, high),
        "average_precision": precision,
        "ships": bool(y.sum() >= LEAST_POSITIVES and told),
    }


def probabilities(
    found: Predictions, fits: Mapping[str, Fit], names: tuple[str, ...]
) -> npt.NDArray[np.float64]:
    """(n, fits) calibrated probabilities of those of the (n, ``names``) logits that were fitted."""
    return np.stack(
        [
            one.calibration.probability(found.logits[:, names.index(name)])
            for name, one in fits.items()
        ],
        axis=1,
    )


def as_in_validation(data: Data, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """What each of ``rows`` counts, so that large and small sources share as in validation.

    Train holds fewer recordings of the small sources, where Normal is rarer than its scores say.
    """
    large, judged = np.isin(data.source, LARGE_SOURCES), data.split == "valid"
    weights = np.ones(len(rows))
    for kind in (large, ~large) if judged.any() else ():
        own = kind[rows]
        if own.any():
            weights[own] = kind[judged].mean() / own.mean()
    return weights


def validated(
    data: Data, members: Sequence[Member], split: str, layouts: Sequence[str] = tuple(LAYOUTS)
) -> dict[str, Predictions]:
    """What the members say together of a split, in each layout."""
    panel, names = Panel(members).eval(), members[0].names
    return {layout: predict(panel, data, split, layout, classes=names) for layout in layouts}


def out_of_fold(
    data: Data, runs: Sequence[Path], layouts: Sequence[str] = tuple(LAYOUTS)
) -> dict[str, Predictions]:
    """What runs that have not seen it say of each recording of train and valid, in each layout.

    Raises
    ------
    click.UsageError
        If the folds of the runs are not one whole set.
    """
    panels: dict[str, list[Member]] = {}
    for run in runs:
        one = member(run)
        panels.setdefault(one.about["settings"].get("held_out", "valid"), []).append(one)
    found = []
    for fold, members in panels.items():
        part = held(data, fold)
        found.append(validated(part, members, "valid", layouts))
        print(f"{fold}: {(part.split == 'valid').sum()} recordings", file=sys.stderr, flush=True)
    joined = {layout: _joined([each[layout] for each in found]) for layout in layouts}
    parts = [parse(fold) for fold in panels]
    expected = np.flatnonzero(folds_of(data, 2) >= 0)
    if None in parts or not np.array_equal(joined[layouts[0]].recordings, expected):
        raise click.UsageError("--fold needs runs for every fold of one set, such as 0/4 to 3/4")
    return joined


def _joined(parts: list[Predictions]) -> Predictions:
    rows = np.concatenate([part.recordings for part in parts])
    order = np.argsort(rows, kind="stable")
    return Predictions(rows[order], np.concatenate([part.logits for part in parts])[order])


def people(data: Data) -> dict[str, Any]:
    """Recordings, patients and positives per split and class."""
    told: dict[str, Any] = {}
    for split in ("train", "valid", "test"):
        rows = data.split == split
        known: npt.NDArray[np.float32] = data.reference[rows]
        told[split] = {
            "recordings": int(rows.sum()),
            "positives": {n: int(np.nansum(known[:, i])) for i, n in enumerate(CLASSES)},
            "sources": {s: int((data.source[rows] == s).sum()) for s in SOURCES},
        }
    named = data.patient[data.patient != ""]
    told["patients_named"] = len(set(named))
    return told


def _fold(run: Path) -> dict[str, Any]:
    """A run that only calibrates, for the card."""
    about = json.loads((run / "run.json").read_text())
    return {"settings": about["settings"], "epochs_trained": len(about["history"])}


def code_version() -> str:
    """The commit at hand, or "unknown"."""
    try:
        return subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def measured(
    data: Data,
    views: Mapping[str, Mapping[str, Predictions]],
    fits: Mapping[str, Fit],
    names: tuple[str, ...],
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Figures by split and layout as ICBEB-2018 means the classes; of full leads as the sources
    state them; of full leads by group."""
    thresholds = {name: one.threshold for name, one in fits.items() if name in CLASSES}
    own = {name: fits[name] for name in thresholds}
    meant, stated, groups = {}, {}, {}
    for split, seen in views.items():
        said = {layout: probabilities(found, own, names) for layout, found in seen.items()}
        meant[split] = {
            layout: scored(data.targets[found.recordings], said[layout], thresholds)
            for layout, found in seen.items()
        }
        rows = seen["full"].recordings
        stated[split] = scored(data.reference[rows], said["full"], thresholds)
        groups[split] = by_group(data, rows, said["full"], thresholds)
        trusted = believed(data.targets[rows], data.source[rows], data.name[rows])
        if (np.isnan(trusted) & ~np.isnan(data.targets[rows])).any():
            groups[split]["contradicted labels left out"] = macro_with_interval(
                trusted, said["full"], thresholds
            )
    return meant, stated, groups


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--data", "source", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--final", is_flag=True, help="Also measure the test split, for the card.")
@click.option(
    "--fold",
    "folds",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="A run with a fold held out: calibrate on these instead of the validation split.",
)
def main(
    runs: tuple[Path, ...], source: Path, out: Path, final: bool, folds: tuple[Path, ...]
) -> None:
    """Combine RUNS, calibrate, and write weights with their card."""
    data = load(source)
    members = [member(run) for run in runs]
    names = members[0].names
    if any(one.names != names for one in members):
        raise click.UsageError("RUNS must answer the same classes and findings, in the same order")
    if folds:
        known, judged = "out of fold", out_of_fold(data, folds)
    else:
        known, judged = "valid", validated(data, members, "valid")
    fits: dict[str, Fit] = {}
    findings: dict[str, Any] = {}
    for column, name in enumerate(names):
        if name not in CLASSES:
            full = judged["full"]
            label = truth_of(data, (name,))[full.recordings, 0]
            findings[name] = ships(label, full.logits[:, column])
            if not findings[name]["ships"]:
                continue
        fits[name] = fit(data, judged, name, column)
    classes = tuple(name for name in fits if name in CLASSES)
    shipped = tuple(name for name in fits if name not in CLASSES)
    out.mkdir(parents=True, exist_ok=True)
    entries = write_members([picked(one, classes + shipped) for one in members], out)
    digest = hashlib.sha256("".join(e["sha256"] for e in entries).encode()).hexdigest()[:8]
    views: dict[str, Mapping[str, Predictions]] = {known: judged}
    if final:
        views["test"] = validated(data, members, "test")
    metrics, stated, groups = measured(data, views, fits, names)
    if final:
        full = views["test"]["full"]
        for name in shipped:
            label = truth_of(data, (name,))[full.recordings, 0]
            said = fits[name].calibration.probability(full.logits[:, names.index(name)])
            findings[name]["test"] = figures(label, said, fits[name].threshold)
    card: dict[str, Any] = {
        "id": f"ecg4u-classifier-{digest}",
        "classes": classes,
        "findings": shipped,
        "fs_hz": MODEL_FS_HZ,
        "window_s": WINDOW_S,
        "members": entries,
        "calibration": {name: asdict(one.calibration) for name, one in fits.items()},
        "thresholds": {name: one.threshold for name, one in fits.items()},
        "operating_points": {name: one.point for name, one in fits.items()},
        "rule_out": {name: one.rule_out for name, one in fits.items()},
        "operating_points_on": OPERATING_POINTS_ON[known],
        "folds": [_fold(run) for run in folds],
        "code_version": code_version(),
        "data_sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
        "torch": torch.__version__.split("+")[0],
        "data": people(data),
        "licences": SOURCES,
        "metrics": metrics,
        "metrics_as_stated": stated,
        "finding_metrics": findings,
        "groups": groups,
    }
    card = rounded(card)
    (out / CARD_NAME).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    (out / "CARD.md").write_text(in_words(card), encoding="utf-8")
    for split, tables in metrics.items():
        for layout, table in tables.items():
            print(
                f"{split} {layout}: AUROC {table['macro_auroc']:.3f}, F1 {table['macro_f1']:.3f}",
                file=sys.stderr,
            )


def rounded(value: Any) -> Any:
    """Six digits, and None for NaN: strict JSON."""
    if isinstance(value, dict):
        return {key: rounded(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(v) for v in value]
    if isinstance(value, float):
        return round(value, 6) if np.isfinite(value) else None
    return value


if __name__ == "__main__":
    main()
