"""The classifier's card in words, from the card in JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ecg4u.record import CLASSES
from training.folds import run_of

TREES = "trees"

INTENDED_USE = """\
Research and teaching: a second opinion on 12-lead ECGs, on paper or digital, with answers for nine
classes and some other findings that a reader checks against the tracing and the measured features.
**Not a medical device**, and not for diagnosis, triage or any decision about a patient."""

LIMITS = """\
- Only the nine classes and the other findings listed above are looked for. An ECG in which nothing
  is found may still be abnormal: WPW, long QT, ventricular and supraventricular tachycardia,
  flutter, and second- and third-degree block are not looked for (PTB-XL's flutter counts as "not
  AF"), nor are the findings that did not ship.
- **The nine classes mean what they mean in ICBEB-2018**: RBBB includes incomplete block (PTB-XL's
  own CRBBB does not: "as the sources state" above), Normal excludes any other of the nine (it is
  called only if no other class is; the figures of Normal above are those of its threshold alone),
  STD and STE count any ST deviation that is seen, whatever its cause.
- STD and STE are partly judged against the program's own measurements: of the PTB-XL recordings
  whose labels state a cause, 160 count as STD and 159 as STE because the full recording shows it,
  and others count as unknown (`training/labels.py`). Figures "as the sources state" are free of
  this but noisy, because PTB-XL's cardiologists often wrote the cause and not the finding. STE was
  stated only 15 times: its figures mean little, and a negative answer means nothing.
- Nineteen in twenty training recordings are from PTB-XL: devices of one manufacturer, one German
  region, adults, 1989 to 1996. Expect less elsewhere; see the table by source, whose numbers are
  small.
- Some PTB-XL recordings name no patient, so recordings of one patient may have been on both sides
  of a comparison. In 1,170 recordings the sizes of the leads are known only to about 20 %.
- Some labels are wrong. Two recordings show the opposite bundle branch block to the one on their
  label (LUDB 116, PTB-XL 00287): calibration and thresholds leave those labels out, the figures
  do not. The labels of the test split were not checked.
{thresholds}
- A 3x4 page shows each lead for 2.5 s: a single premature beat may fall where a lead is not
  shown, and the rhythm can be judged only on the rhythm strip.
- Long records are read in 10-s windows: AF, PAC and PVC take the highest value of all windows (so a
  long record is more easily positive), the others the mean.
- "unreadable" is decided by signal checks (amplitude, QRS contrast, rate, similarity of the beats),
  "uncertain" also by Einthoven's and Goldberger's relations, leads that point the wrong way, fewer
  than ten leads, an unusual amplitude, or a probability near its threshold.
  A sawtooth or regular spikes in all leads pass as beats, and so may leads in the wrong order whose
  shapes happen to fit."""

_VALIDATED = """\
- Thresholds and operating points were set on the same validation split (412 recordings), so that
  the operating points there are somewhat too good; the test figures are not."""
_OUT_OF_FOLD = """\
- Calibration, thresholds and operating points come from recordings of train and valid, each scored
  by members that had not seen its patient (the runs with `--held-out I/K` above); the members that
  ship learned from all of them, with their settings and epochs fixed before. The calibration
  weighs PTB-XL and the small sources as in the validation split. The operating points are
  on the scores that set the thresholds; the test figures are not."""
_NAMED = {"out of fold": "train and valid out of fold"}


def in_words(card: dict[str, Any]) -> str:
    """Markdown: what the weights are, from what, how good, for what, and where they fail."""
    data = card["data"]
    splits = ", ".join(f"{data[s]['recordings']} {s}" for s in ("train", "valid", "test"))
    lines = [
        f"# {card['id']}",
        "",
        f"{_kinds(card)}; sigmoid outputs for nine classes, 12 leads and 12 masks "
        f"at {card['fs_hz']:g} Hz over {card['window_s']:g} s. Code version "
        f"{card['code_version']}, torch {card['torch']}, data file sha256 "
        f"`{card['data_sha256'][:16]}`. {_epochs(card)} Made by",
        "",
        "```",
        "python -m training.prepare_data --ecg ../shared/ecg --out cache/ecg.h5",
        *commands(card),
        "```",
        *(["", *card["notes"]] if card.get("notes") else []),
        "",
        "## Intended use",
        INTENDED_USE,
        "",
        "## Data",
        f"{splits} recordings or windows; {data['patients_named']} patients are named by their "
        "sources, none in two splits.",
        "",
        "| source | train | valid | test | origin and licence |",
        "|---|---|---|---|---|",
        *(_source_row(card, source) for source in card["licences"]),
        "",
        "| positives | " + " | ".join(CLASSES) + " |",
        "|---|" + "---|" * len(CLASSES),
        *(_positives_row(data, split) for split in ("train", "valid", "test")),
        "",
        "MIT-BIH's rows are two-lead windows of 10 s, in training only. For labels, and which of "
        "them count as unknown, see `training/labels.py`.",
    ]
    for split, layouts in card["metrics"].items():
        lines += ["", f"## Figures, {_NAMED.get(split, f'{split} split')}"]
        lines += ["", "Classes as ICBEB-2018 means them:", "", *_metrics(layouts)]
        stated = card["metrics_as_stated"][split]
        lines += ["", "As the sources state them, full leads:", "", *_metrics({"full": stated})]
        lines += ["", "Full leads by group:", "", *_groups(card["groups"][split])]
    lines += _findings(card)
    lines += [
        "",
        "More tables: `benchmarks/results/classify.md`.",
        "",
        "## Thresholds",
        f"Measured on {card['operating_points_on']}.",
        "",
        *_points(card),
        "",
        "## Limits",
        LIMITS.format(thresholds=_judged(card)),
    ]
    return "\n".join(lines) + "\n"


def _judged(card: dict[str, Any]) -> str:
    """What the thresholds rest on."""
    return _OUT_OF_FOLD if card.get("folds") else _VALIDATED


def _findings(card: dict[str, Any]) -> list[str]:
    """Other findings, those that ship and those that are not told well enough."""
    if not card["finding_metrics"]:
        return []
    lines = [
        "",
        "## Other findings, out of fold, full leads",
        "A finding ships if it has 25 positives or more, an AUROC of .90 or more (with an interval "
        "that begins at .85 or above) and an AUPRC of .30 or more.",
        "",
        "| finding | n | AUROC | AUPRC | ships | test: n, AUROC, F1 |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in card["finding_metrics"].items():
        test = row.get("test")
        told = f"{test['positives']}, {_show(test['auroc'])}, {_show(test['f1'])}" if test else "-"
        area = f"{_show(row['auroc'])} [{_show(row['auroc_ci95'][0])}, "
        area += f"{_show(row['auroc_ci95'][1])}]"
        lines.append(
            f"| {name} | {row['positives']} | {area} | {_show(row['average_precision'])} | "
            f"{'yes' if row['ships'] else 'no'} | {told} |"
        )
    return lines


def commands(card: dict[str, Any]) -> list[str]:
    """The commands that made the weights, in their order: trees first, which teach networks."""
    trained = [*card.get("folds", ()), *card["members"]]
    of_kind: dict[tuple[str, str], int] = {}
    lines: dict[str, list[str]] = {TREES: [], "network": []}
    runs = []
    for entry in trained:
        settings = entry["settings"]
        kind = TREES if settings.get("network") == TREES else "network"
        held = settings.get("held_out", "valid")
        number = of_kind[kind, held] = of_kind.get((kind, held), -1) + 1
        given = Path(f"runs/{kind}{number or ''}")
        runs.append(run_of(given, held))
        lines[kind].append(_command(given if kind == TREES else runs[-1], entry))
    folds, shipped = runs[: -len(card["members"])], runs[-len(card["members"]) :]
    joined = " ".join(map(str, (*shipped, *(f"--fold {run}" for run in folds))))
    return [
        *lines[TREES],
        *lines["network"],
        f"python -m training.export {joined} --data cache/ecg.h5 --out ecg4u/model/weights --final",
    ]


def _command(run: Path, member: dict[str, Any]) -> str:
    s = member["settings"]
    held = s.get("held_out", "valid")
    held_out = f"--held-out {held} " if held != "valid" else ""
    if s.get("network") == TREES:
        return (
            f"python -m training.trees --data cache/ecg.h5 --run {run} --labels "
            f"{s['labels']} --trees {s['trees']} --leaves {s['leaves']} --views {s['views']} "
            f"--learning-rate {s['learning_rate']:g} --small-sources {s['small_sources']:g} "
            f"--physiology {s['physiology']:g} --seed {s['seed']} {held_out}--threads 1"
        )
    blocks = ",".join(str(b) for b in s["blocks"])
    kind = s.get("network", "residual")
    shape = f"--width {s['width']} --blocks {blocks} " if kind == "residual" else ""
    teacher = f"--teacher {run_of(Path('runs') / TREES, held)} " if s.get("teacher") else ""
    physiology = f"--physiology {s['physiology']:g} " if s.get("physiology") else ""
    small = s.get("small_sources", 1)
    sources = f"--small-sources {small:g} " if small != 1 else ""
    often = s.get("validate_every", 2)
    every = f"--validate-every {often} " if often != 2 else ""
    return (
        f"python -m training.train --data cache/ecg.h5 --run {run} {teacher}"
        f"--network {kind} {shape}--labels {s['labels']} "
        f"--epochs {s['epochs']} --stop-after {member['epochs_trained']} --seed {s['seed']} "
        f"--learning-rate {s['learning_rate']:g} --dropout {s['dropout']} "
        f"--weight-decay {s['weight_decay']} {physiology}{sources}{held_out}{every}"
        f"--precision {s['precision']} --threads 1"
    )


def _source_row(card: dict[str, Any], source: str) -> str:
    counts = [card["data"][split]["sources"][source] for split in ("train", "valid", "test")]
    return f"| {source} | " + " | ".join(map(str, counts)) + f" | {card['licences'][source]} |"


def _positives_row(data: dict[str, Any], split: str) -> str:
    cells = " | ".join(str(data[split]["positives"][name]) for name in CLASSES)
    return f"| {split} | {cells} |"


def _metrics(layouts: dict[str, Any]) -> list[str]:
    first = next(iter(layouts.values()))
    lines = [
        "| layout | recordings | macro AUROC without STE | macro F1 without STE |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {t['recordings']} | {_macro(t, 'auroc')} | {_macro(t, 'f1')} |"
        for name, t in layouts.items()
    ]
    lines += [
        "",
        "Full leads by class:",
        "",
        "| class | n | AUROC | AUPRC | F1 | calibration error |",
        "|---|---|---|---|---|---|",
    ]
    keys = ("auroc", "average_precision", "f1", "calibration_error")
    for name, row in first["classes"].items():
        cells = " | ".join(_show(row[key]) for key in keys)
        lines.append(f"| {name} | {row['positives']} | {cells} |")
    return lines


def _groups(groups: dict[str, Any]) -> list[str]:
    lines = [
        "| group | recordings | classes with positives | macro AUROC | macro F1 |",
        "|---|---|---|---|---|",
    ]
    return lines + [
        f"| {name} | {t['recordings']} | {t['classes']} | {_macro(t, 'auroc')} | "
        f"{_macro(t, 'f1')} |"
        for name, t in groups.items()
        if t["classes"]
    ]


def _macro(table: dict[str, Any], what: str) -> str:
    value, interval = table[f"macro_{what}"], table[f"macro_{what}_ci95"]
    if interval is None or None in interval:
        return _show(value)
    return f"{_show(value)} [{interval[0]:.3f}, {interval[1]:.3f}]"


def _kinds(card: dict[str, Any]) -> str:
    names = {
        "residual": ("a 1-D residual network", "{} 1-D residual networks"),
        TREES: (
            "a set of boosted trees over measures of the signals",
            "{} sets of boosted trees over measures of the signals",
        ),
    }
    kinds = [member["config"].get("kind", "residual") for member in card["members"]]
    counts = [(kinds.count(kind), words) for kind, words in names.items() if kind in kinds]
    parts = [one if count == 1 else many.format(count) for count, (one, many) in counts]
    told = " and ".join(parts)
    told = f"{told[0].upper()}{told[1:]}"
    return told if len(kinds) == 1 else f"{told}, whose logits are averaged"


def _epochs(card: dict[str, Any]) -> str:
    networks = [m for m in card["members"] if m["config"].get("kind") != TREES]
    epochs = ", ".join(str(member["epoch"]) for member in networks)
    if not networks:
        return ""
    which = "at the epoch that validated best"
    if all(m["settings"].get("held_out") == "none" for m in networks):
        which = "at the last epoch"
    return f"Of each network's run the averaged weights {which} ship ({epochs})."


def _points(card: dict[str, Any]) -> list[str]:
    lines = [
        "A probability that reaches the first threshold is called likely (ruled in), one that "
        "reaches only the second possible, and one below both unlikely (ruled out).",
        "",
        "| class | likely from | sensitivity | specificity | possible from | sensitivity | "
        "specificity |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in (*card["classes"], *card["findings"]):
        point, lower = card["operating_points"][name], card["rule_out"][name]
        cells = [
            _show(card["thresholds"][name]),
            *(_with_interval(point[k], point[f"{k}_ci95"]) for k in ("sensitivity", "specificity")),
            _show(lower["threshold"]),
            *(f"{lower[k]:.2f}" for k in ("sensitivity", "specificity")),
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def _with_interval(value: float, interval: list[float] | None) -> str:
    if interval is None:
        return "-"
    return f"{value:.2f} [{interval[0]:.2f}, {interval[1]:.2f}]"


def _show(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
