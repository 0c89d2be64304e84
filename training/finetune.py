"""Fit the classifier to a labelled folder: `python -m training.finetune FOLDER --out WEIGHTS`.

Recordings and labels are read as `ecg4u classify FOLDER --labels` reads them; a class that a label
does not name counts as absent. Patients are shared out by a seed: half train, a quarter calibrates,
a quarter is held out and is only looked at for the table before and after.

A class with `LEAST_LEARNED` positives in the first part is learned: the residual networks among the
members go on from their weights, and for every other class they are held to what they said before
(Li and Hoiem 2016). The trees stay. Where no class has as many, no network is changed.
A class with `LEAST_FITTED` positives in the second part gets calibration and thresholds there, its
present calibration being the prior; the others keep theirs.
"""

from __future__ import annotations

import copy
import csv
import hashlib
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ecg4u.cli import say_error
from ecg4u.errors import ECG4UError, OutputError, UnreadableInputError
from ecg4u.model.classifier import CARD_NAME, WEIGHTS, Classification, Classifier
from ecg4u.model.labelled import CHUNK, ClassFigures, compared, recordings
from ecg4u.model.network import ECGNet
from ecg4u.model.networks import build
from ecg4u.record import CLASSES
from training.augment import Augmentation, augment
from training.dataset import Data, load
from training.evaluate import LAYOUTS, Predictions, aurocs, macro, predict
from training.export import Fit, code_version, fit, rounded
from training.labels import AUXILIARY, from_names
from training.metrics import auroc, bootstrap, calibration_error
from training.prepare_data import write
from training.sources import Recording
from training.train import GRADIENT_LIMIT, Settings, epoch_order, masked_loss

LEAST_RECORDINGS, LEAST_LEARNED, LEAST_FITTED = 40, 30, 10
"""Labelled recordings in all; positives, and negatives, that a class needs in the part that trains
and in the part that calibrates. Fewer tell nothing that the held-out quarter could confirm."""
PARTS = {"train": 0.5, "valid": 0.75, "test": 1.0}
WEIGHT_DECAY = 0.01
REPEATS = 500
STALE = ("data", "folds", "metrics", "metrics_as_stated", "finding_metrics", "groups", "refitted")
"""What a card says of weights before they were changed."""


@dataclass(frozen=True)
class Labelled:
    """One recording of the folder: its file, classes and patient, and its part."""

    path: Path
    names: frozenset[str]
    patient: str
    part: str


@dataclass
class Outcome:
    """What was done, for the table and the card."""

    seed: int
    learned: tuple[str, ...] = ()
    fitted: tuple[str, ...] = ()
    unlabelled: int = 0
    refused: int = 0
    calibrated_on: int = 0
    patients_known: bool = False
    parts: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def shared_out(folder: Path, patients: Path | None, seed: int, outcome: Outcome) -> list[Labelled]:
    """The folder's labelled recordings, each patient's in one part.

    Raises
    ------
    UnreadableInputError
        If too few recordings have a label, or none has one of the nine classes.
    """
    found = list(recordings(folder))
    labelled = [(path, names) for path, names in found if names is not None]
    outcome.unlabelled = len(found) - len(labelled)
    if len(labelled) < LEAST_RECORDINGS:
        raise UnreadableInputError(
            f"Only {len(labelled)} of the {len(found)} recordings in the folder have a label; "
            f"{LEAST_RECORDINGS} are needed.",
            stage="data",
            hint="Labels are a header's #Dx: codes, or a REFERENCE.csv. "
            "ecg4u classify FOLDER --labels scores a folder of any size.",
        )
    if not any(names for _, names in labelled):
        raise UnreadableInputError(
            "No recording is labelled with one of the nine classes.",
            stage="data",
            hint=f"The classes are {', '.join(CLASSES)}; SNOMED CT codes of other findings "
            "cannot be learned here.",
        )
    known = _patients(patients) if patients else {}
    of = [known.get(path.stem, f"recording {path.stem}") for path, _ in labelled]
    outcome.patients_known = bool(known)
    if known and (missing := sum(path.stem not in known for path, _ in labelled)):
        outcome.notes.append(
            f"{missing} recordings are not in the table of patients: each counts as a patient of "
            "its own."
        )
    order = np.random.default_rng(seed).permutation(sorted(set(of)))
    share = {name: (i + 0.5) / len(order) for i, name in enumerate(order.tolist())}
    rows = [
        Labelled(path, names, who, next(part for part, end in PARTS.items() if share[who] < end))
        for (path, names), who in zip(labelled, of, strict=True)
    ]
    if len({row.part for row in rows}) < len(PARTS):
        raise UnreadableInputError(
            f"The recordings come from too few patients to hold some out ({len(order)}).",
            stage="data",
            hint="Give recordings of more patients, or check the table given with --patients.",
        )
    return rows


def _patients(path: Path) -> dict[str, str]:
    """Each recording's patient."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            return {row[0].strip(): row[1].strip() for row in csv.reader(stream) if len(row) > 1}
    except (OSError, UnicodeDecodeError, csv.Error):
        raise UnreadableInputError(
            "The table of patients cannot be read.",
            stage="data",
            hint="It must be a CSV file with a recording's name and its patient on each line.",
        ) from None


def _read(rows: list[Labelled], outcome: Outcome) -> Iterator[Recording]:
    """Those that train or calibrate, in the form of `training.prepare_data`."""
    from ecg4u.io import read_record
    from ecg4u.model.prepare import prepare

    for row in rows:
        if row.part == "test":
            continue
        try:
            record = read_record(row.path)
            prepare(record)
        except ECG4UError:
            outcome.refused += 1
            continue
        label = from_names(row.names)
        outcome.parts[row.part] = outcome.parts.get(row.part, 0) + 1
        yield Recording(
            source="own",
            name=row.path.stem,
            split=row.part,
            patient=row.patient,
            signal=record.p_signal.T.astype(np.float32),
            fs=record.fs,
            reference=label,
            targets=label,
            auxiliary=np.full(len(AUXILIARY), np.nan, dtype=np.float32),
        )


def enough(data: Data, part: str, least: int, classes: tuple[str, ...]) -> tuple[str, ...]:
    """The classes with ``least`` positives and as many negatives in a part."""
    known = data.targets[data.split == part]
    counts = {name: int(known[:, CLASSES.index(name)].sum()) for name in classes}
    return tuple(n for n, count in counts.items() if min(count, len(known) - count) >= least)


def tuned(
    network: ECGNet,
    answers: tuple[str, ...],
    data: Data,
    learned: tuple[str, ...],
    settings: Settings,
    device: str,
) -> ECGNet:
    """The network trained further on ``learned``; its statistics stay, and so do its other answers.

    ``answers`` are the classes of its outputs.
    """
    torch.manual_seed(settings.seed)
    before = copy.deepcopy(network).eval().to(device)
    network = network.eval().to(device)
    labels = data.targets[:, [CLASSES.index(n) if n in CLASSES else 0 for n in answers]]
    new = torch.tensor([name in learned for name in answers], device=device)
    optimizer = torch.optim.AdamW(
        network.parameters(), settings.learning_rate, weight_decay=WEIGHT_DECAY
    )
    orders = [epoch_order(data, settings, data.targets, e) for e in range(settings.epochs)]
    steps = sum(-(-len(order) // settings.batch) for order in orders)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, total_steps=steps + 1
    )
    for epoch, order in enumerate(orders):
        rng = np.random.default_rng([settings.seed, epoch, 3])
        total, count = 0.0, 0
        for start in range(0, len(order), settings.batch):
            rows = order[start : start + settings.batch]
            leads, masks = (part.to(device) for part in data.batch(rows))
            x = augment(leads, masks, rng, Augmentation())
            with torch.no_grad():
                said = torch.sigmoid(before(x))
            told = torch.from_numpy(labels[data.owner[rows]]).to(device)
            loss = masked_loss(network(x), torch.where(new, told, said), len(answers), 1.0)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), GRADIENT_LIMIT)
            optimizer.step()
            schedule.step()
            total, count = total + float(loss.detach()), count + 1
        print(f"epoch {epoch + 1}/{settings.epochs}: loss {total / count:.4f}", file=sys.stderr)
    return network.cpu()


class Said(nn.Module):
    """A classifier's log-odds in the place of a network's logits."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, x: Tensor) -> Tensor:
        """(n, 24, t) -> (n, classes)."""
        return torch.from_numpy(self.classifier.log_odds(x))


def judged(weights: Path, data: Data, device: str) -> dict[str, Predictions]:
    """What the classifier of a folder says of the part that calibrates, in each layout."""
    classifier = Classifier(weights, device=device)
    said = Said(classifier)
    return {
        layout: predict(said, data, "valid", layout, classes=classifier.classes, device=device)
        for layout in LAYOUTS
    }


def score(
    data: Data, found: dict[str, Predictions], classes: tuple[str, ...], learned: tuple[str, ...]
) -> float:
    """The macro AUROC of the classes learned, over all layouts."""
    each = [aurocs(data.reference, one, classes) for one in found.values()]
    return float(np.nanmean([macro({n: e[n] for n in learned}) for e in each]))


def put_networks(
    out: Path, card: dict[str, Any], data: Data, learned: tuple[str, ...], settings: Settings,
    device: str,
) -> int:  # fmt: skip
    """Train the residual members in ``out`` further, in place; returns how many there are."""
    from safetensors.torch import load_file, save_file

    count = 0
    for entry in card["members"]:
        if entry["config"].get("kind", "residual") != "residual":
            continue
        network = build(entry["config"])
        assert isinstance(network, ECGNet)
        state = load_file(out / entry["file"])
        network.load_state_dict(
            {k: v.float() if v.is_floating_point() else v for k, v in state.items()}
        )
        answers = (*card["classes"], *card.get("findings", ()))
        network = tuned(network, answers, data, learned, settings, device)
        save_file(
            {
                k: v.half().contiguous() if v.is_floating_point() else v.contiguous()
                for k, v in network.state_dict().items()
            },
            out / entry["file"],
        )
        entry["sha256"] = hashlib.sha256((out / entry["file"]).read_bytes()).hexdigest()
        entry["finetuned"] = {**asdict(settings), "classes": list(learned)}
        count += 1
    return count


def put_fits(card: dict[str, Any], fits: dict[str, Fit]) -> None:
    """Calibration fitted to calibrated log-odds, and thresholds, into the card."""
    for name, one in fits.items():
        had = card["calibration"][name]
        scale, bias = one.calibration.scale, one.calibration.bias
        card["calibration"][name] = {
            "scale": scale * had["scale"],
            "bias": scale * had["bias"] + bias,
        }
        card["thresholds"][name] = one.threshold
        card["operating_points"][name] = one.point
        card["rule_out"][name] = one.rule_out


def write_card(out: Path, card: dict[str, Any]) -> None:
    """The card under an id of its own."""
    told = json.dumps([card["calibration"], card["thresholds"], card["members"]], sort_keys=True)
    card["id"] = f"ecg4u-classifier-{hashlib.sha256(told.encode()).hexdigest()[:8]}"
    (out / CARD_NAME).write_text(json.dumps(rounded(card), indent=1) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class HeldOut:
    """The held-out part and what both classifiers say of it."""

    patients: list[str]
    truth: npt.NDArray[np.bool_]
    before: list[Classification]
    after: list[Classification]

    def write(self, outcome: Outcome, classes: tuple[str, ...]) -> tuple[str, dict[str, Any]]:
        """The table in Markdown, and as plain values."""
        rows = [
            (one, two)
            for one, two in zip(
                compared(self.truth, self.before), compared(self.truth, self.after), strict=True
            )
            if one.name in classes
        ]
        errors = [self._errors(said) for said in (self.before, self.after)]
        lines = [
            f"Held out: {len(self.truth)} recordings of {len(set(self.patients))} patients "
            f"(seed {outcome.seed}). None of them was trained on or calibrated on."
        ]
        if not outcome.patients_known:
            lines.append(
                "No table of patients was given: each recording counts as a patient. If a patient "
                "has several, the figures after are too good."
            )
        lines += [
            "",
            "| class | positives | AUROC | F1 | sensitivity | specificity | calibration error |",
            "|---|---|---|---|---|---|---|",
        ]
        for one, two in rows:
            pair = [(getattr(one, k), getattr(two, k)) for k in _COLUMNS]
            pair.append((errors[0][one.name], errors[1][one.name]))
            cells = " | ".join(f"{_show(a)} → {_show(b)}" for a, b in pair)
            lines.append(f"| {one.name} | {one.positives} | {cells} |")
        changes = self._changes([one for one, _ in rows])
        lines += ["", "Before → after; sensitivity and specificity are those of the call likely."]
        lines += [
            f"Macro {what} of the {c['classes']} classes with positives and negatives: "
            f"{c['before']:.3f} → {c['after']:.3f}, a difference of {c['difference']:+.3f} "
            f"(95 % interval over patients {c['ci95'][0]:+.3f} to {c['ci95'][1]:+.3f})."
            for what, c in changes.items()
        ]
        if all(c["ci95"][0] <= 0 <= c["ci95"][1] for c in changes.values()):
            lines.append("Neither difference can be told from chance on this held-out part.")
        values = {
            "recordings": len(self.truth),
            "patients": len(set(self.patients)),
            "before": [asdict(one) | {"calibration_error": errors[0][one.name]} for one, _ in rows],
            "after": [asdict(two) | {"calibration_error": errors[1][two.name]} for _, two in rows],
            "macro": changes,
        }
        return "\n".join(lines), values

    def _errors(self, said: list[Classification]) -> dict[str, float]:
        return {
            name: calibration_error(
                self.truth[:, CLASSES.index(name)].astype(float),
                np.array([answer[name].probability for answer in said]),
            )
            for name in [row.name for row in said[0].results]
        }

    def _changes(self, rows: list[ClassFigures]) -> dict[str, Any]:
        """Macro AUROC and F1 before, after, and their difference over resampled patients."""
        names = [r.name for r in rows if 0 < r.positives < len(self.truth)]
        if not names:
            return {}
        truth = self.truth[:, [CLASSES.index(n) for n in names]]
        sides = [
            (
                np.array([[answer[n].probability for n in names] for answer in said]),
                np.array([[answer[n].positive for n in names] for answer in said]),
            )
            for said in (self.before, self.after)
        ]
        _, of = np.unique(self.patients, return_inverse=True)
        rows_of = [np.flatnonzero(of == i) for i in range(of.max() + 1)]

        def area(side: int, at: npt.NDArray[np.int64]) -> float:
            said = sides[side][0][at]
            each = [auroc(truth[at, k].astype(float), said[:, k]) for k in range(len(names))]
            return float(np.nanmean(each)) if np.isfinite(each).any() else float("nan")

        def f1(side: int, at: npt.NDArray[np.int64]) -> float:
            said, y = sides[side][1][at], truth[at]
            found, all_of = 2 * (said & y).sum(axis=0), said.sum(axis=0) + y.sum(axis=0)
            return float(np.nanmean(np.where(y.any(axis=0), found / np.maximum(all_of, 1), np.nan)))

        everyone = np.arange(len(truth))
        changes = {}
        for what, measure in (("AUROC", area), ("F1", f1)):

            def difference(drawn: npt.NDArray[np.int64], measure: Any = measure) -> float:
                at = np.concatenate([rows_of[i] for i in drawn])
                return float(measure(1, at) - measure(0, at))

            one, two = measure(0, everyone), measure(1, everyone)
            changes[what] = {
                "classes": len(names),
                "before": one,
                "after": two,
                "difference": two - one,
                "ci95": bootstrap(difference, len(rows_of), repeats=REPEATS),
            }
        return changes


_COLUMNS = ("auroc", "f1", "sensitivity", "specificity")


def _show(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.3f}"


def held_out(rows: list[Labelled], before: Classifier, after: Classifier) -> HeldOut:
    """Both classifiers on the held-out recordings that can be read."""
    from ecg4u.io import read_record

    kept: list[Labelled] = []
    said: tuple[list[Classification], list[Classification]] = ([], [])
    mine = [row for row in rows if row.part == "test"]
    for start in range(0, len(mine), CHUNK):
        chunk = []
        for row in mine[start : start + CHUNK]:
            try:
                chunk.append(read_record(row.path))
            except ECG4UError:
                continue
            kept.append(row)
        said[0].extend(before.classify_batch(chunk))
        said[1].extend(after.classify_batch(chunk))
    truth = np.array([[name in row.names for name in CLASSES] for row in kept], dtype=bool)
    return HeldOut([row.patient for row in kept], truth, *said)


def finetune(
    folder: Path, out: Path, weights: Path, patients: Path | None, settings: Settings,
    device: str, stream: bool,
) -> str:  # fmt: skip
    """Write the fitted classifier to ``out``; returns the table.

    Raises
    ------
    ECG4UError
        If the folder has too little to learn from, or ``out`` cannot be written.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputError(
            "The folder given with --out is not empty.", stage="data", hint="Choose a new one."
        )
    before = Classifier(weights, device=device)
    outcome = Outcome(settings.seed)
    rows = shared_out(folder, patients, settings.seed, outcome)
    with tempfile.TemporaryDirectory() as scratch:
        source, made = Path(scratch) / "data.h5", Path(scratch) / "weights"
        data = _loaded(rows, source, stream, outcome)
        outcome.learned = enough(data, "train", LEAST_LEARNED, before.classes)
        if not settings.epochs:
            outcome.learned = ()
        if not outcome.learned:
            data = replace(data, split=np.full(len(data.split), "valid"))
        outcome.fitted = enough(data, "valid", LEAST_FITTED, before.classes)
        if not outcome.learned and not outcome.fitted:
            raise UnreadableInputError(
                f"No class has {LEAST_FITTED} positives and {LEAST_FITTED} negatives among the "
                "recordings that are not held out.",
                stage="data",
                hint="Add labelled recordings of the classes you need; a quarter is held out.",
            )
        card = _copied(weights, made)
        _fit(made, card, data, outcome, settings, device)
        compared_both = held_out(rows, before, Classifier(made, device=device))
        table, values = compared_both.write(outcome, before.classes)
        told = "\n".join([f"# {card['id']} on {folder.name}", "", table, "", *_told(outcome, card)])
        (made / "finetune.md").write_text(told + "\n", encoding="utf-8")
        about = {"held_out": values, "done": asdict(outcome)}
        (made / "finetune.json").write_text(json.dumps(rounded(about), indent=1) + "\n")
        with (made / "split.csv").open("w", newline="", encoding="utf-8") as listed:
            csv.writer(listed).writerows([(row.path.stem, row.part) for row in rows])
        shutil.copytree(made, out, dirs_exist_ok=True)
    return told


def _loaded(rows: list[Labelled], source: Path, stream: bool, outcome: Outcome) -> Data:
    """Those that train or calibrate, by way of a file."""
    write(_read(rows, outcome), source)
    if not outcome.parts:
        raise UnreadableInputError(
            "No labelled recording can be read.",
            stage="data",
            hint="Each needs its signals beside its header: ecg4u info FILE says what is wrong.",
        )
    return load(source, stream=stream)


def _copied(weights: Path, out: Path) -> dict[str, Any]:
    """The weights as they are, in ``out``; returns their card without what will not hold."""
    card: dict[str, Any] = json.loads((weights / CARD_NAME).read_text(encoding="utf-8"))
    out.mkdir(parents=True, exist_ok=True)
    for entry in card["members"]:
        shutil.copyfile(weights / entry["file"], out / entry["file"])
    shutil.copyfile(weights / CARD_NAME, out / CARD_NAME)
    return {key: value for key, value in card.items() if key not in STALE}


def _fit(
    out: Path, card: dict[str, Any], data: Data, outcome: Outcome, settings: Settings, device: str
) -> None:
    """Train, keep what does no worse on the part that calibrates, calibrate, write the card."""
    found, classes = judged(out, data, device), tuple(card["classes"])
    if outcome.learned:
        kept = {e["file"]: (out / e["file"]).read_bytes() for e in card["members"]}
        members = copy.deepcopy(card["members"])
        if put_networks(out, card, data, outcome.learned, settings, device):
            trained = judged(out, data, device)
            had, has = (score(data, f, classes, outcome.learned) for f in (found, trained))
            outcome.notes.append(
                "Macro AUROC of the classes learned, on the part that calibrates, mean of "
                f"{len(LAYOUTS)} layouts: {had:.3f} → {has:.3f}."
            )
            if has > had:
                found = trained
            else:
                card["members"] = members
                for name, content in kept.items():
                    (out / name).write_bytes(content)
                outcome.notes.append("That is no gain: the networks were left as they were.")
                outcome.learned = ()
        else:
            outcome.notes.append("These weights have no residual network that could be trained.")
            outcome.learned = ()
    fits = {name: fit(data, found, name, classes.index(name)) for name in outcome.fitted}
    put_fits(card, fits)
    outcome.calibrated_on = int((data.split == "valid").sum())
    card |= {
        "finetuned_from": card["id"],
        "finetuned_at": code_version(),
        "operating_points_on": f"{outcome.calibrated_on} recordings of a folder of one's own for "
        f"{', '.join(outcome.fitted) or 'no class'}, thresholds set on the same; the others as "
        f"{card['id']} has them",
    }
    write_card(out, card)


def _told(outcome: Outcome, card: dict[str, Any]) -> list[str]:
    """What was changed and what was not, in sentences."""
    kept = [name for name in card["classes"] if name not in outcome.fitted]
    lines = [
        f"Networks trained further for: {', '.join(outcome.learned)} "
        f"({outcome.parts['train']} recordings)."
        if outcome.learned
        else "No network was changed: calibration and thresholds only.",
        f"Calibration and thresholds fitted for: {', '.join(outcome.fitted) or 'no class'} "
        f"({outcome.calibrated_on} recordings); kept for: {', '.join(kept) or 'none'} (fewer than "
        f"{LEAST_FITTED} positives or negatives there).",
        f"Left out: {outcome.unlabelled} recordings without a label, {outcome.refused} that could "
        "not be read.",
        *outcome.notes,
    ]
    if card.get("licences"):
        names = ", ".join(card["licences"])
        lines.append(
            f"The weights have learned from parts of {names}: on recordings from there the "
            "figures before are not of unseen data."
        )
    return lines


@click.command(context_settings={"show_default": True})
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A new folder.")
@click.option(
    "--weights", type=click.Path(path_type=Path, exists=True), default=WEIGHTS,
    show_default="the shipped weights", help="Weights to start from.",
)  # fmt: skip
@click.option(
    "--patients", type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="CSV file with a recording's name and its patient on each line.",
)  # fmt: skip
@click.option("--epochs", type=click.IntRange(0), default=5, help="With 0, only calibrate.")
@click.option("--batch", type=click.IntRange(1), default=32)
@click.option("--learning-rate", type=click.FloatRange(0, min_open=True), default=3e-4)
@click.option("--seed", default=0, help="Seed of the split and of training.")
@click.option("--device", default="cpu", help="cpu, cuda or mps.")
@click.option("--threads", default=0, help="CPU threads; 0 leaves the choice to torch.")
@click.option(
    "--memory/--stream", default=True, help="Hold the signals in memory, or read them as needed."
)
def main(
    folder: Path, out: Path, weights: Path, patients: Path | None, device: str, threads: int,
    memory: bool, **options: Any,
) -> None:  # fmt: skip
    """Fit the classifier to the labelled recordings in FOLDER; print a table before and after."""
    if threads:
        torch.set_num_threads(threads)
    settings = Settings(data=folder.name, **options)
    try:
        told = finetune(folder, out, weights, patients, settings, device, not memory)
    except ECG4UError as error:
        sys.exit(say_error(error))
    click.echo(told)
    click.echo(f"\nUse it with: ecg4u classify page.jpg --weights {out}")


if __name__ == "__main__":
    main()
