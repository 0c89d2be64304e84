"""Calibrate weights anew: `python -m training.recalibrate --weights DIR --data data.h5 --out DIR`.

The members that answer all nine classes stay. ``--beside RUN`` puts curves beside them (its runs
with a fold held out lie beside it, see `training.additive`). The classes that these answer get
calibration and threshold in ICBEB-2018's meaning on recordings of files that came after the
members that stay, which none of those has learned from, the curves out of fold; the other classes
keep theirs, and every class gets the sensitivity and specificity of both its thresholds there.
Other findings, which the curves alone answer, are judged and calibrated on all of train and valid
out of fold.
"""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click
import numpy as np

from ecg4u.model.classifier import CARD_NAME
from ecg4u.model.networks import build
from ecg4u.record import CLASSES
from training.calibrate import Calibration, operating_point, rule_out
from training.card import commands, in_words
from training.dataset import Data, load
from training.evaluate import Predictions
from training.export import (
    Fit,
    Member,
    code_version,
    figures,
    fit,
    measured,
    member,
    only,
    out_of_fold,
    people,
    picked,
    rounded,
    ships,
    truth_of,
    validated,
    write_members,
)
from training.folds import HELD_OUT
from training.kept import UNSEEN
from training.labels import FINDINGS
from training.trees import run_of

LAYOUTS = ("full", "3x4+1")
FRESH = "which no member has learned from (the curves out of fold)"
ON = f"{', '.join(UNSEEN[:3])} and {UNSEEN[3]}, {FRESH}"


def shipped_members(weights: Path, card: dict[str, Any]) -> list[Member]:
    """The members of a folder of weights that answer every class."""
    from safetensors.torch import load_file

    found = []
    for entry in card["members"]:
        if set(entry.get("answers", card["classes"])) < set(card["classes"]):
            continue
        network = build(entry["config"])
        state = load_file(weights / entry["file"])
        network.load_state_dict(
            {k: v.float() if v.is_floating_point() else v for k, v in state.items()}
        )
        history = [{"epoch": e, "seconds": 0} for e in range(entry["epochs_trained"])]
        settings = {**entry["settings"], "unseen": list(UNSEEN)}
        about = {"settings": settings, "epoch": entry["epoch"], "history": history}
        found.append(Member(network.eval(), tuple(card["classes"]), about))
    return found


def class_fits(
    card: dict[str, Any], data: Data, found: dict[str, Predictions], refitted: tuple[str, ...]
) -> dict[str, Fit]:
    """`Fit` of each class on what ``found`` says, refitted or as the card has it."""
    fits = {}
    full = found["full"]
    for column, name in enumerate(card["classes"]):
        if name in refitted:
            fits[name] = fit(data, found, name, column)
            continue
        calibration = Calibration(**card["calibration"][name])
        truth = truth_of(data, (name,))[full.recordings, 0]
        said, bar = calibration.probability(full.logits[:, column]), card["thresholds"][name]
        known = np.isfinite(truth)
        point = operating_point(truth[known], said[known], bar)
        fits[name] = Fit(calibration, bar, point, rule_out(truth, said, bar))
    return fits


@click.command()
@click.option("--weights", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--data", "source", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--beside", "run", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--final", is_flag=True, help="Also measure the test split, for the card.")
def main(weights: Path, source: Path, run: Path, out: Path, final: bool) -> None:
    """Write the members of WEIGHTS and RUN, with calibration, thresholds and findings, to OUT."""
    card = json.loads((weights / CARD_NAME).read_text(encoding="utf-8"))
    data = load(source)
    kept, curves = shipped_members(weights, card), member(run)
    names = (*CLASSES, *FINDINGS)
    folds = [run_of(run, held_out) for held_out in HELD_OUT[:-1]]
    judged = out_of_fold(data, folds, kept, names)
    new = np.isin(data.file, UNSEEN)
    views = {"unseen": only(judged, new)}
    fresh = replace(
        data, split=np.where(new, "valid", np.where(data.split == "valid", "train", data.split))
    )
    refitted = tuple(name for name in curves.names if name in CLASSES)
    fits = class_fits(card, fresh, views["unseen"], refitted)
    findings: dict[str, Any] = {}
    full = judged["full"]
    for column, name in enumerate(names):
        if name in CLASSES:
            continue
        label = truth_of(data, (name,))[full.recordings, 0]
        findings[name] = ships(label, full.logits[:, column])
        if findings[name]["ships"]:
            fits[name] = fit(data, judged, name, column)
    members = [*kept, picked(curves, tuple(fits))]
    if final:
        views["test"] = validated(data, [*kept, curves], "test", names, LAYOUTS)
    metrics, stated, groups = measured(data, views, fits, names)
    for name in fits if final else ():
        if name in findings:
            test = views["test"]["full"]
            label = truth_of(data, (name,))[test.recordings, 0]
            shown = fits[name].calibration.probability(test.logits[:, names.index(name)])
            findings[name]["test"] = figures(label, shown, fits[name].threshold)
    out.mkdir(parents=True, exist_ok=True)
    entries = write_members(members, out)
    digest = hashlib.sha256("".join(e["sha256"] for e in entries).encode()).hexdigest()[:8]
    for entry, before in zip(entries[: len(kept)], card["members"], strict=False):
        entry |= {"seconds": before["seconds"], "settings": before["settings"]}
    card |= {
        "id": f"ecg4u-classifier-{digest}",
        "made_before": card.get("made_before") or commands(card),
        "members": entries,
        "findings": [name for name in fits if name not in CLASSES],
        "calibration": {name: asdict(one.calibration) for name, one in fits.items()},
        "thresholds": {name: one.threshold for name, one in fits.items()},
        "operating_points": {name: one.point for name, one in fits.items()},
        "rule_out": {name: one.rule_out for name, one in fits.items()},
        "operating_points_on": f"{ON}, full leads",
        "refitted": [n for n in CLASSES if n in {*card.get("refitted", ()), *refitted}],
        "recalibrated_from": card["id"],
        "trained_at": card.get("trained_at", card["code_version"]),
        "code_version": code_version(),
        "data_sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
        "data": people(data),
        "metrics": metrics,
        "metrics_as_stated": stated,
        "finding_metrics": findings,
        "groups": groups,
    }
    card = rounded(card)
    (out / CARD_NAME).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    (out / "CARD.md").write_text(in_words(card), encoding="utf-8")
    for split, table in metrics.items():
        shown = table["full"]
        print(f"{split}: {shown['macro_auroc']:.3f}, {shown['macro_f1']:.3f}", file=sys.stderr)


if __name__ == "__main__":
    main()
