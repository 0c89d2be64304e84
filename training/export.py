"""Runs into shipped weights: `python -m training.export RUN... --data data.h5 --out DIR`.

The networks' logits are averaged (an ensemble of one or more). Each class gets its calibration
(Platt), its threshold (`robust_threshold`) and its operating point from recordings seen in four
layouts: from the validation split, or, where the runs learned from that too, from train and valid
out of fold (``--fold RUN``, for each run of each fold of `training.folds`; a run named twice counts
twice). They travel in ``classifier.json`` beside one safetensors file a network. The test split is
opened only with ``--final``, for the card's last figures.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ecg4u.model.classifier import CARD_NAME
from ecg4u.model.networks import Network, answers, build
from ecg4u.model.prepare import MODEL_FS_HZ, WINDOW_S
from ecg4u.record import CLASSES
from training.calibrate import Calibration, operating_point, platt, robust_threshold
from training.card import in_words
from training.dataset import Data, load
from training.evaluate import LAYOUTS, Predictions, predict
from training.folds import folds_of, held, parse
from training.groups import by_group, macro_with_interval
from training.labels import believed
from training.metrics import auroc, average_precision, calibration_error, f1
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

OPERATING_POINTS_ON = {
    "valid": "validation split, full leads, thresholds set on the same split",
    "out of fold": "train and valid out of fold, full leads, thresholds set on the same scores",
}


class Ensemble(nn.Module):
    """The mean of the members' logits over the nine classes."""

    def __init__(self, members: list[Network], outputs: int) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.outputs = outputs

    def forward(self, x: Tensor) -> Tensor:
        """(n, 24, t) -> (n, outputs)."""
        return torch.stack([y[:, : self.outputs] for y in answers(self.members, x)]).mean(dim=0)


def member(run: Path, outputs: int) -> tuple[Network, dict[str, Any]]:
    """A run's best averaged weights, in float16 as they ship, without its auxiliary heads."""
    about = json.loads((run / "run.json").read_text())
    best = torch.load(run / "best.pt", map_location="cpu", weights_only=True)
    state, about["epoch"] = best["average"], best["epoch"]
    for key in {"head.weight", "head.bias"} & state.keys():
        state[key] = state[key][:outputs]
    half = {k: v.half().float() if v.is_floating_point() else v for k, v in state.items()}
    network = build({**about["config"], "outputs": outputs})
    network.load_state_dict(half)
    return network.eval(), about


def scored(
    data: Data, found: Predictions, fits: dict[str, Calibration], thresholds: dict[str, float]
) -> dict[str, Any]:
    """AUROC, average precision, F1 and calibration error per class, with macros without STE."""
    labels = data.reference[found.recordings]
    table: dict[str, dict[str, float]] = {}
    for column, name in enumerate(fits):
        truth = labels[:, CLASSES.index(name)]
        probability = fits[name].probability(found.logits[:, column])
        table[name] = {
            "positives": int(np.nansum(truth)),
            "auroc": auroc(truth, probability),
            "average_precision": average_precision(truth, probability),
            "f1": f1(truth, probability, thresholds[name]),
            "calibration_error": calibration_error(truth, probability),
        }
    everything = macro_with_interval(labels, probabilities(found, fits), thresholds)
    return {**everything, "classes": table}


def probabilities(found: Predictions, fits: dict[str, Calibration]) -> npt.NDArray[np.float64]:
    """(n, classes) calibrated probabilities."""
    columns = enumerate(fits.values())
    return np.stack([fit.probability(found.logits[:, column]) for column, fit in columns], axis=1)


def fit(
    data: Data, found: Mapping[str, Predictions], classes: tuple[str, ...]
) -> tuple[dict[str, Calibration], dict[str, float], dict[str, Any]]:
    """Calibration, threshold and operating point per class from the layouts' predictions.

    The calibration counts recordings as `as_in_validation` says.
    """
    known = believed(data.reference, data.source, data.name)
    labels = np.concatenate([known[f.recordings] for f in found.values()])
    logits = np.concatenate([f.logits for f in found.values()])
    counted = np.concatenate([as_in_validation(data, f.recordings) for f in found.values()])
    fits, thresholds, points = {}, {}, {}
    for column, name in enumerate(classes):
        truth = labels[:, CLASSES.index(name)]
        fits[name] = platt(truth, logits[:, column], counted / len(found))
        probability = fits[name].probability(logits[:, column])
        thresholds[name] = robust_threshold(truth, probability)
        first = slice(0, len(found["full"].recordings))
        points[name] = operating_point(truth[first], probability[first], thresholds[name])
    return fits, thresholds, points


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
    data: Data, network: nn.Module, split: str, classes: tuple[str, ...]
) -> dict[str, Predictions]:
    """What the ensemble says of a split, in each layout."""
    return {name: predict(network, data, split, name, classes=classes) for name in LAYOUTS}


def out_of_fold(
    data: Data, runs: Sequence[Path], classes: tuple[str, ...]
) -> dict[str, Predictions]:
    """What runs that have not seen it say of each recording of train and valid, in each layout.

    Raises
    ------
    click.UsageError
        If the folds of the runs are not one whole set.
    """
    ensembles: dict[str, list[Network]] = {}
    for run in runs:
        network, about = member(run, len(classes))
        ensembles.setdefault(about["settings"].get("held_out", "valid"), []).append(network)
    found = [
        validated(held(data, fold), Ensemble(networks, len(classes)).eval(), "valid", classes)
        for fold, networks in ensembles.items()
    ]
    joined = {name: _joined([each[name] for each in found]) for name in LAYOUTS}
    parts = [parse(fold) for fold in ensembles]
    expected = np.flatnonzero(folds_of(data, 2) >= 0)
    if None in parts or not np.array_equal(joined["full"].recordings, expected):
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


def _code_version() -> str:
    try:
        return subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def write_members(members: list[Network], abouts: list[dict[str, Any]], out: Path) -> list[Any]:
    """One float16 safetensors file a network; returns their entries for the card."""
    from safetensors.torch import save_file

    entries = []
    for index, (network, about) in enumerate(zip(members, abouts, strict=True)):
        path = out / f"classifier-{index}.safetensors"
        state = {
            k: v.half().contiguous() if v.is_floating_point() else v.contiguous()
            for k, v in network.state_dict().items()
        }
        save_file(state, path)
        path.chmod(0o644)
        entries.append(
            {
                "file": path.name,
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                "config": network.config.to_dict(),
                "settings": about["settings"],
                "epoch": about["epoch"],
                "epochs_trained": len(about["history"]),
                "seconds": round(sum(entry["seconds"] for entry in about["history"])),
            }
        )
    return entries


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
    classes = tuple(json.loads((runs[0] / "run.json").read_text())["classes"])
    members, abouts = map(list, zip(*(member(run, len(classes)) for run in runs), strict=True))
    network = Ensemble(members, len(classes)).eval()
    if folds:
        known, judged = "out of fold", out_of_fold(data, folds, classes)
    else:
        known, judged = "valid", validated(data, network, "valid", classes)
    fits, thresholds, points = fit(data, judged, classes)
    out.mkdir(parents=True, exist_ok=True)
    entries = write_members(members, abouts, out)
    digest = hashlib.sha256("".join(e["sha256"] for e in entries).encode()).hexdigest()[:8]
    views = {known: judged}
    if final:
        views["test"] = validated(data, network, "test", classes)
    metrics: dict[str, dict[str, Any]] = {}
    groups: dict[str, Any] = {}
    for split, seen in views.items():
        metrics[split] = {
            layout: scored(data, found, fits, thresholds) for layout, found in seen.items()
        }
        full, shown = seen["full"], probabilities(seen["full"], fits)
        groups[split] = by_group(data, full.recordings, shown, thresholds)
        rows = full.recordings
        trusted = believed(data.reference[rows], data.source[rows], data.name[rows])
        if np.isnan(trusted).any():
            groups[split]["contradicted labels left out"] = macro_with_interval(
                trusted, shown, thresholds
            )
    card: dict[str, Any] = {
        "id": f"ecg4u-classifier-{digest}",
        "classes": classes,
        "fs_hz": MODEL_FS_HZ,
        "window_s": WINDOW_S,
        "members": entries,
        "calibration": {name: asdict(value) for name, value in fits.items()},
        "thresholds": thresholds,
        "operating_points": points,
        "operating_points_on": OPERATING_POINTS_ON[known],
        "folds": [_fold(run) for run in folds],
        "code_version": _code_version(),
        "data_sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
        "torch": torch.__version__.split("+")[0],
        "data": people(data),
        "licences": SOURCES,
        "metrics": metrics,
        "groups": groups,
    }
    card = _rounded(card)
    (out / CARD_NAME).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    (out / "CARD.md").write_text(in_words(card), encoding="utf-8")
    for split, tables in metrics.items():
        for layout, table in tables.items():
            print(
                f"{split} {layout}: AUROC {table['macro_auroc']:.3f}, F1 {table['macro_f1']:.3f}",
                file=sys.stderr,
            )


def _rounded(value: Any) -> Any:
    """Six digits, and None for NaN: strict JSON."""
    if isinstance(value, dict):
        return {key: _rounded(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(v) for v in value]
    if isinstance(value, float):
        return round(value, 6) if np.isfinite(value) else None
    return value


if __name__ == "__main__":
    main()
