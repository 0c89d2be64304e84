"""Calibrate weights anew: `python -m training.recalibrate --weights DIR --data data.h5 --out DIR`.

The members stay. On recordings of files that came after them, which none has learned from, the
classes in `REFITTED` get calibration and threshold in ICBEB-2018's meaning; the others keep theirs,
and every class gets the sensitivity and specificity of both its thresholds there.
``--findings RUN`` adds other findings from an additive run with a fold held out, judged and
calibrated on that fold.
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
from training.card import in_words
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
    people,
    picked,
    rounded,
    ships,
    truth_of,
    validated,
    write_members,
)
from training.folds import held
from training.kept import UNSEEN
from training.labels import FINDINGS

REFITTED = ("I-AVB", "RBBB", "PAC", "STD", "STE")
"""Cross-fitted over halves of 2,350 recordings, F1 gained .03 to .21 (`training/ABLATION.md`); the
other four did not, and their calibration rests on more sources."""
LAYOUTS = ("full", "3x4+1")
ON = f"{', '.join(UNSEEN[:3])} and {UNSEEN[3]}, which no member has learned from"


def shipped_members(weights: Path, card: dict[str, Any]) -> list[Member]:
    """The members of a folder of weights."""
    from safetensors.torch import load_file

    found = []
    for entry in card["members"]:
        network = build(entry["config"])
        state = load_file(weights / entry["file"])
        network.load_state_dict(
            {k: v.float() if v.is_floating_point() else v for k, v in state.items()}
        )
        history = [{"epoch": e, "seconds": 0} for e in range(entry["epochs_trained"])]
        about = {"settings": entry["settings"], "epoch": entry["epoch"], "history": history}
        found.append(Member(network.eval(), tuple(card["classes"]), about))
    return found


def class_fits(card: dict[str, Any], data: Data, found: dict[str, Predictions]) -> dict[str, Fit]:
    """`Fit` of each class on what ``found`` says, refitted or as the card has it."""
    fits = {}
    full = found["full"]
    for column, name in enumerate(card["classes"]):
        if name in REFITTED:
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
@click.option("--findings", "run", type=click.Path(path_type=Path, exists=True))
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--final", is_flag=True, help="Also measure the test split, for the card.")
def main(weights: Path, source: Path, run: Path | None, out: Path, final: bool) -> None:
    """Write WEIGHTS with new calibration, thresholds and findings to OUT."""
    card = json.loads((weights / CARD_NAME).read_text(encoding="utf-8"))
    data = load(source)
    members = shipped_members(weights, card)
    new = np.isin(data.file, UNSEEN)
    fresh = replace(
        data, split=np.where(new, "valid", np.where(data.split == "valid", "train", data.split))
    )
    views = {"unseen": validated(fresh, members, "valid", CLASSES, LAYOUTS)}
    fits = class_fits(card, fresh, views["unseen"])
    findings: dict[str, Any] = {}
    telling: list[Member] = []
    if run is not None:
        one = picked(member(run), FINDINGS)
        part = held(data, one.about["settings"]["held_out"])
        said = validated(part, [one], "valid", one.names, LAYOUTS)
        for column, name in enumerate(one.names):
            label = truth_of(part, (name,))[said["full"].recordings, 0]
            findings[name] = ships(label, said["full"].logits[:, column])
            if findings[name]["ships"]:
                fits[name] = fit(part, said, name, column)
        telling = (
            [picked(one, tuple(fits))] if any(row["ships"] for row in findings.values()) else []
        )
    if final:
        views["test"] = validated(data, members, "test", CLASSES, LAYOUTS)
    metrics, stated, groups = measured(data, views, fits, CLASSES)
    if final and telling:
        test = validated(data, telling, "test", telling[0].names, LAYOUTS[:1])["full"]
        for column, name in enumerate(telling[0].names):
            label = truth_of(data, (name,))[test.recordings, 0]
            shown = fits[name].calibration.probability(test.logits[:, column])
            findings[name]["test"] = figures(label, shown, fits[name].threshold)
    out.mkdir(parents=True, exist_ok=True)
    entries = write_members([*members, *telling], out)
    digest = hashlib.sha256("".join(e["sha256"] for e in entries).encode()).hexdigest()[:8]
    seconds = [entry["seconds"] for entry in card["members"]]
    for entry, took in zip(entries, seconds, strict=False):
        entry["seconds"] = took
    card |= {
        "id": f"ecg4u-classifier-{digest}",
        "members": entries[: len(members)],
        "finding_members": entries[len(members) :],
        "findings": [name for name in fits if name not in CLASSES],
        "calibration": {name: asdict(one.calibration) for name, one in fits.items()},
        "thresholds": {name: one.threshold for name, one in fits.items()},
        "operating_points": {name: one.point for name, one in fits.items()},
        "rule_out": {name: one.rule_out for name, one in fits.items()},
        "operating_points_on": f"{ON}, full leads",
        "refitted": list(REFITTED),
        "recalibrated_from": card["id"],
        "trained_at": card["code_version"],
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
        full = table["full"]
        print(f"{split}: {full['macro_auroc']:.3f}, {full['macro_f1']:.3f}", file=sys.stderr)


if __name__ == "__main__":
    main()
