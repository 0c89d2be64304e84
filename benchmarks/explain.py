"""Faithfulness of the attributions, and what the estimator costs.

    python -m benchmarks.explain --data ../shared/ecg --split test --records 24

Writes ``benchmarks/results/explain-PART.md``: deletion AUC against other orders, mass inside PVCs
(annotated in MIT-BIH's two leads, transplanted in twelve), weight randomisation, stability over
seeds and members, recordings against their digitized pages, and our estimator beside shap's.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks import faithfulness as f
from benchmarks.drawn import pairs
from benchmarks.waves import as_3x4, load, rows
from ecg4u.explain.attribution import (
    FloatArray,
    Game,
    against_flat,
    against_usual,
    default_classifier,
    exact,
    games,
    permutations,
    rank_correlation,
    solve,
)
from ecg4u.explain.edits import Subject, as_usual
from ecg4u.explain.features import features as features_of
from ecg4u.explain.measure import joint, measure_record
from ecg4u.explain.signals import FS_HZ
from ecg4u.model import prepare
from ecg4u.model.measures import OfMeasures
from ecg4u.record import CLASSES, LEADS, ECGRecord

DELETED = {"leads": None, "windows": 30, "blocks": 30}
"""Kinds of player, and of how many cases: blocks cost ten times as much as leads."""
ORDERS = ("shapley", "energy", "gradient", "grad-cam", "random")
RANDOM_ORDERS = 10
PACED = frozenset({"102", "104", "107", "217"})
"""Records of MIT-BIH with paced beats, which ANSI/AAMI EC57 leaves out of every evaluation."""
OTHER_VENTRICULAR = frozenset("EF!/f")
"""Ventricular escape, fusion, flutter, paced beats: ventricular too, but not annotated as PVC."""


def game_of(record: ECGRecord, kind: str, classifier: Any) -> Game:
    """The first 10-s window of a record divided into players of ``kind``."""
    prepared = prepare(record)
    found = games(prepared.windows()[0], 0.0, prepared.fs, classifier, None)
    return next(game for game in found if game.kind == kind)


def pvc_games(record: ECGRecord, classifier: Any) -> dict[str, Game]:
    """The divisions of the first 10-s window in which single beats can be found."""
    prepared = prepare(record)
    window = prepared.windows()[0]
    measured = measure_record(record)
    assert measured.median is not None
    features = features_of(measured)
    usual = as_usual(Subject(measured.signal, features, measured.median))
    found = {g.kind: g for g in games(window, 0.0, prepared.fs, classifier, features)}
    return {
        "windows": found["windows"],
        "beats": found["beats"],
        "usual beats": against_usual(window, usual, 0, 0.0, prepared.fs, classifier, features),
    }


def positives(data: Path, split: str, most: int) -> list[tuple[ECGRecord, str]]:
    """Labelled and detected abnormal records with that class, classes in turn, at most ``most``."""
    classifier = default_classifier()
    by_class: dict[str, list[Any]] = {c: [] for c in CLASSES[1:]}
    for row in rows(data, split):
        for name in row.labels & by_class.keys():
            by_class[name].append(row)
    chosen: list[tuple[ECGRecord, str]] = []
    for turn in range(max(map(len, by_class.values()))):
        for name, found in by_class.items():
            if turn >= len(found) or len(chosen) >= most:
                continue
            record = load(data, found[turn], longest_s=10.0)
            odds = classifier.log_odds(prepare(record).windows()[:1])[0, CLASSES.index(name)]
            if odds > 0:
                chosen.append((record, name))
    return chosen


def deletion(cases: list[tuple[ECGRecord, str]], kind: str) -> dict[str, FloatArray]:
    """(cases, 2) of each order: deletion AUC, and the same with nothing counted below 0."""
    found = [deleted(record, name, kind, seed) for seed, (record, name) in enumerate(cases)]
    areas = np.array([each for each in found if each is not None])
    return {order: areas[:, i] for i, order in enumerate(ORDERS)}


def deleted(record: ECGRecord, name: str, kind: str, seed: int) -> FloatArray | None:
    """(orders, 2) of one case; None where hiding everything does not lower the log-odds."""
    game = game_of(record, kind, default_classifier())
    values = solve(game).values[:, CLASSES.index(name)]
    rng = np.random.default_rng(seed)
    orders = [
        f.descending(values),
        f.energy_order(game),
        f.gradient_order(game, name),
        f.grad_cam_order(game, name),
        *(rng.permutation(len(game.players)) for _ in range(RANDOM_ORDERS)),
    ]
    curves = f.deletion_curves(game, orders, name)
    if np.isnan(curves[0, 0]):
        return None
    areas = np.stack([f.deletion_auc(c) for c in (curves, np.maximum(curves, 0))], axis=1)
    return np.concatenate([areas[:4], areas[4:].mean(axis=0, keepdims=True)])


DELETION_HEAD = (
    "Log-odds while players are hidden one after another, 1 with the whole ECG, 0 with nothing "
    "shown. Cases: labelled abnormal classes whose log-odds are above 0, the classes in turn; "
    "random: mean of ten orders. *Floored*: log-odds below those of nothing shown count as 0, so "
    "that no order gains by driving the network below it.",
    "",
    "| players | order | n | deletion AUC (95 % CI) | over random order's | order less Shapley "
    "| floored AUC | over random order's, floored |",
    "|---|---|---|---|---|---|---|---|",
)


def deletion_lines(cases: list[tuple[ECGRecord, str]]) -> list[str]:
    """Table of deletion AUC with bootstrap intervals over the cases."""
    lines = list(DELETION_HEAD)
    for kind, most in DELETED.items():
        found = deletion(cases[:most], kind)
        n = len(found["random"])
        draws = np.random.default_rng(0).integers(n, size=(2000, n))
        chance, chance_drawn = found["random"].mean(axis=0), _drawn(found["random"], draws)
        for name in ORDERS:
            area, drawn = found[name].mean(axis=0), _drawn(found[name], draws)
            gap = found[name] - found["shapley"]
            cells = (
                _interval(area[0], drawn[:, 0]),
                _interval(area[0] / chance[0], drawn[:, 0] / chance_drawn[:, 0]),
                _interval(gap.mean(axis=0)[0], _drawn(gap, draws)[:, 0], sign="+"),
                f"{area[1]:.3f}",
                _interval(area[1] / chance[1], drawn[:, 1] / chance_drawn[:, 1]),
            )
            lines.append(f"| {kind} | {name} | {n} | {' | '.join(cells)} |")
    return lines


def _drawn(values: FloatArray, draws: npt.NDArray[np.int64]) -> FloatArray:
    """(draws, 2): means over bootstrap draws of the cases."""
    return np.asarray(values[draws].mean(axis=1))


def _interval(middle: float, draws: FloatArray, *, sign: str = "") -> str:
    """A figure with the 2.5 and 97.5 % quantiles of its bootstrap draws."""
    low, high = np.quantile(draws, [0.025, 0.975])
    return f"{middle:{sign}.3f} ({low:{sign}.3f} to {high:{sign}.3f})"


SPANS_S = {"windows": (0.2, 0.4), "beats": (0.05, 0.05), "usual beats": (0.05, 0.05)}
"""A PVC's reach before and after its R peak: a window may hold any part, a beat its QRS."""
PVC_KINDS = {
    "windows": "0.5-s windows, hidden",
    "beats": "beats, hidden",
    "usual beats": "beats, replaced by the record's usual beat",
}
Marked = tuple[ECGRecord, list[float]]
"""A record and the moments of its PVCs' R peaks, in s."""


def pvc_lines(data: Path, split: str, most: int) -> list[str]:
    """Attribution mass of PVC inside MIT-BIH's annotated beats, and inside transplanted ones."""
    return [
        *PVC_HEAD,
        *_mass_lines("MIT-BIH, 1 to 3 annotated PVCs", mitdb_windows(data), most),
        *_mass_lines("a PVC of another patient put in", transplanted(data, split, most), most),
    ]


def _mass_lines(name: str, marked: Iterator[Marked], most: int) -> list[str]:
    """A line per kind of player, over the first ``most`` records that the network calls."""
    classifier = default_classifier()
    column = CLASSES.index("PVC")
    found: dict[str, list[tuple[float, float, bool]]] = {kind: [] for kind in SPANS_S}
    missed = 0
    for record, times in marked:
        if classifier.log_odds(prepare(record).windows()[:1])[0, column] <= 0:
            missed += 1
            continue
        for kind, game in pvc_games(record, classifier).items():
            before_s, after_s = SPANS_S[kind]
            inside = np.zeros(game.owner.shape[1], dtype=bool)
            for t in times:
                inside[max(round((t - before_s) * 100), 0) : round((t + after_s) * 100)] = True
            values = solve(game).values[:, column]
            pointed = f.points_at(game, values, inside)
            found[kind].append((*f.mass_inside(game, values, inside), pointed))
        if len(found["beats"]) == most:
            break
    words = f"{name} ({missed} more that the network does not call)"
    return [_mass_row(f"{words} | {PVC_KINDS[kind]}", part) for kind, part in found.items()]


def mitdb_windows(data: Path) -> Iterator[Marked]:
    """Of each record without paced beats, 10 s whose only ventricular beats are 1 to 3 PVCs."""
    import h5py

    beats: dict[str, list[tuple[float, str]]] = {}
    with gzip.open(data / "mitdb_beats.csv.gz", "rt", newline="") as file:
        for r in csv.DictReader(file):
            beats.setdefault(r["record"], []).append((int(r["sample"]) / 360, r["symbol"]))
    with h5py.File(data / "mitdb.h5") as file:
        per_count = float(file.attrs["millivolts_per_count"])
        for name in sorted(beats.keys() - PACED):
            part = _mitdb_window(file[name], beats[name], per_count)
            if part is not None:
                yield part


def _mass_row(name: str, found: list[tuple[float, float, bool]]) -> str:
    if not found:
        return f"| {name} | 0 | | | |"
    mass, chance, pointed = np.array(found, dtype=float).T
    draws = np.random.default_rng(0).integers(len(mass), size=(2000, len(mass)))
    low, high = np.quantile(mass[draws].mean(axis=1), [0.025, 0.975])
    return (
        f"| {name} | {len(mass)} | {mass.mean():.3f} ({low:.3f} to {high:.3f}) | "
        f"{chance.mean():.3f} | {pointed.mean():.3f} |"
    )


PVC_HEAD = (
    "Share of the positive attribution of PVC on players that touch the beat. A window touches it "
    "from 0.2 s before R to 0.4 s after, a beat where it holds the R peak. Chance: share of the "
    "shown samples that those players hold. MIT-BIH: the first 10 s of each record whose only "
    "ventricular beats are PVCs, paced records left out (ANSI/AAMI EC57). The network was trained "
    "on windows of these records: the attribution is measured there, not the network.",
    "",
    "| recordings | players, left out | n | mass inside (95 % CI) | chance | pointing game |",
    "|---|---|---|---|---|---|",
)


def _mitdb_window(
    stored: Any, beats: list[tuple[float, str]], per_count: float
) -> tuple[ECGRecord, list[float]] | None:
    """The first 10 s of a two-lead recording with one to three PVCs and no other such beat."""
    names = stored.attrs["leads"].split()
    known = {"MLII": "II", "V1": "V1", "V2": "V2", "V4": "V4", "V5": "V5"}
    for start in range(10, 880, 5):
        here = [(t - start, symbol) for t, symbol in beats if start <= t < start + 10]
        times = [t for t, symbol in here if symbol == "V"]
        if not 1 <= len(times) <= 3 or min(times) < 0.5 or max(times) > 9.5:
            continue
        if any(symbol in OTHER_VENTRICULAR for _, symbol in here):
            continue
        part = np.asarray(stored[:, start * 360 : (start + 10) * 360], dtype=float) * per_count
        leads = {known[n]: v for n, v in zip(names, part, strict=True) if n in known}
        return (ECGRecord.from_leads(leads, 360.0), times) if leads else None
    return None


@dataclass(frozen=True, eq=False)
class Donor:
    """A ventricular premature beat with its T wave and pause, (n, 12) mV at 500 Hz.

    ``signal`` begins and ends at 0 mV, its R peak stands at ``r_s``; ``early`` is the interval
    before it over the usual one.
    """

    signal: FloatArray
    r_s: float
    early: float


BEFORE_QRS_S, BEFORE_P_S = 0.02, 0.24
"""A transplant begins so long before the QRS, and ends so long before the next R peak."""
EARLIEST, LATEST = 0.55, 0.8


def donors(data: Path) -> Iterator[Donor]:
    """Early wide beats of PTB-XL's training recordings labelled PVC, one of each recording."""
    for row in rows(data, "train"):
        if row.dataset != "PTB-XL" or "PVC" not in row.labels:
            continue
        measured = measure_record(load(data, row, longest_s=10.0))
        for beat, after in pairwise(measured.kinds):
            early = beat.early or 1.0
            wide = beat.offset_s - beat.onset_s >= 0.12
            if beat.kind != "PVC" or after.kind != "usual" or not wide or early > LATEST:
                continue
            a = round((beat.onset_s - BEFORE_QRS_S) * FS_HZ)
            part = measured.signal[a : round((after.r_s - BEFORE_P_S) * FS_HZ)]
            if a < 0 or len(part) < 0.5 * FS_HZ or not np.isfinite(part).all():
                continue
            level = np.linspace(part[:5].mean(axis=0), part[-5:].mean(axis=0), len(part))
            yield Donor(part - level, beat.r_s - a / FS_HZ, early)
            break


def transplanted(data: Path, split: str, most: int) -> Iterator[Marked]:
    """Normal recordings of ``split``, each with the PVC of another donor in its middle."""
    normal = [r for r in rows(data, split) if r.labels == {"Normal"} and r.dataset == "PTB-XL"]
    for row, donor in zip(normal[: 3 * most], donors(data), strict=False):
        measured = measure_record(load(data, row, longest_s=10.0))
        inner = [b.r_s for b in measured.kinds if b.kind == "usual" and b.r_s > 2.5]
        t_end_ms, _, _ = joint(measured, "T off")
        if len(inner) > 3 and t_end_ms is not None:
            yield transplant(measured.signal, inner[:3], t_end_ms / 1000, donor)


def transplant(signal: FloatArray, r_s: list[float], t_end_s: float, donor: Donor) -> Marked:
    """A PVC after the first of three beats, as early as it came in its donor, with full pause.

    The second beat is not conducted: from the PVC's onset to the third beat's P wave stands what
    the donor showed, then a level line. ``t_end_s`` after its R peak the first beat's T wave ends.
    """
    before, dropped, after = r_s
    early = float(np.clip(donor.early, EARLIEST, LATEST))
    at = max(before + early * (dropped - before), before + t_end_s + donor.r_s)
    a, b = round((at - donor.r_s) * FS_HZ), round((after - BEFORE_P_S) * FS_HZ)
    out = signal.copy()
    out[a:b] = np.linspace(out[a - 5 : a].mean(axis=0), out[b : b + 5].mean(axis=0), b - a)
    part = donor.signal[: b - a]
    out[a : a + len(part)] += part * np.clip((len(part) - np.arange(len(part))) / 20, 0, 1)[:, None]
    return ECGRecord(out, FS_HZ), [at]


def sanity_lines(cases: list[tuple[ECGRecord, str]]) -> list[str]:
    """Rank correlations of lead attributions: redrawn weights, seeds, members, 3x4."""
    classifier = default_classifier()
    noises = [f.randomised(classifier, seed=s) for s in range(RANDOM_DRAWS)]
    found: dict[str, list[float]] = {k: [] for k in WORDS}
    page: list[float] = []
    for record, name in cases:
        column = CLASSES.index(name)
        game = game_of(record, "leads", classifier)
        own = solve(game).values[:, column]
        other = solve(game, seed=1).values[:, column]
        found["seed"].append(rank_correlation(own, other))
        drawn = [solve(replace(game, classifier=n)).values[:, column] for n in noises]
        found["random"].append(float(np.mean([rank_correlation(own, d) for d in drawn])))
        flat = solve(against_flat(game))
        found["flat"].append(rank_correlation(own, flat.values[:, column]))
        one, two = (
            solve(game_of(record, "leads", f.single(classifier, m))).values[:, column]
            for m in f.twins(classifier)
        )
        found["member"].append(rank_correlation(one, two))
        by_time = game_of(record, "windows", classifier)
        found["windows seed"].append(
            rank_correlation(*(solve(by_time, seed=s).values[:, column] for s in (0, 1)))
        )
        shown = solve(game_of(as_3x4(record), "leads", classifier)).values[:, column]
        page.append(rank_correlation(own, shown))
    return [
        "| rank correlation of the attribution to leads | mean (95 % CI) | median | n |",
        "|---|---|---|---|",
        *(_row(WORDS[k], v) for k, v in (found | {"page": page}).items()),
    ]


def _row(name: str, values: list[float]) -> str:
    """A line of a table: mean with its bootstrap interval, median, n."""
    v = np.array(values)
    draws = np.random.default_rng(0).integers(len(v), size=(2000, len(v)))
    low, high = np.quantile(v[draws].mean(axis=1), [0.025, 0.975])
    return f"| {name} | {v.mean():.2f} ({low:.2f} to {high:.2f}) | {np.median(v):.2f} | {len(v)} |"


RANDOM_DRAWS = 3
WORDS = {
    "random": "own weights against redrawn weights, mean of three draws (goal: below 0.1)",
    "member": "two networks of the ensemble (goal of 0.7: two seeds of one kind)",
    "seed": "two seeds of the permutations",
    "windows seed": "two seeds of the permutations, 0.5-s windows",
    "flat": "left-out leads hidden, or shown as flat lines (second baseline)",
    "page": "full leads against 3x4 + II of the same (the page shows other samples)",
}


def load_set(folder: Path) -> Any:
    """A classifier of a folder of shipped weights, or of runs of ``training.train`` in a folder.

    Runs take the calibration of the package's own weights, which moves no rank.
    """
    import copy

    from ecg4u.model import Classifier

    if (folder / "classifier.json").exists():
        return Classifier(folder)
    from training.export import member

    runs = sorted(path.parent for path in folder.rglob("best.pt"))
    assert runs, f"neither weights nor runs in {folder}"
    found = copy.copy(default_classifier())
    found._members = [member(run).network for run in runs]  # type: ignore[attr-defined]
    found._columns = [list(range(len(CLASSES)))] * len(runs)  # type: ignore[attr-defined]
    return found


def seeds_lines(data: Path, split: str, most: int, folders: list[Path]) -> list[str]:
    """Lead attributions of two sets of networks that were trained apart, on the same records."""
    sets = [load_set(folder) for folder in folders]
    whole: list[float] = []
    page: list[float] = []
    same: list[bool] = []
    for record, name in positives(data, split, most):
        column = CLASSES.index(name)
        for shown, found in ((record, whole), (as_3x4(record), page)):
            solved = [
                solve(game_of(shown, "leads", one), pairs=REFERENCE_PAIRS).values[:, column]
                for one in sets
            ]
            found.append(rank_correlation(*solved))
            if shown is record:
                same.append(bool(np.argmax(solved[0]) == np.argmax(solved[1])))
    return [
        f"{' against '.join(f'{len(f.networks(one))} members' for one in sets)}, no seed in "
        f"common, the same permutations ({REFERENCE_PAIRS} pairs) on both sides.",
        "",
        "| rank correlation of the attribution to leads | mean (95 % CI) | median | n |",
        "|---|---|---|---|",
        _row("two sets of seeds, full leads (goal: 0.7)", whole),
        _row("two sets of seeds, 3x4 + II", page),
        "",
        f"The strongest lead is the same in {100 * np.mean(same):.0f} % of the full records.",
    ]


REFERENCE_PAIRS = 16
PAGES = ("3x4+1", "6x2", "12x1")
"""Of each lead they show 2.5 s (of II everything), 5 s, and all 10 s."""


@dataclass(frozen=True, eq=False)
class Apart:
    """An ensemble whose members answer beside each other, all classes of one after the other's.

    Shapley values are linear in what they explain: from one run follow those of every part.
    """

    classifier: Any

    def log_odds(self, inputs: npt.NDArray[np.floating]) -> FloatArray:
        """(n, members x classes); 0 where a member does not answer."""
        parts = np.nan_to_num(self.classifier.member_log_odds(inputs))
        return np.concatenate(list(parts), axis=1)


def digitized_lines(data: Path, split: str, most: int) -> list[str]:
    """Lead attributions of recordings and of what the digitizer read of their pages."""
    members = f.networks(default_classifier())
    nets = [not isinstance(m, OfMeasures) for m in members]
    parts = {"": [True] * len(members), ", networks alone": nets,
             ", trees alone": [not net for net in nets]}  # fmt: skip
    found: dict[str, list[float]] = defaultdict(list)
    drawn = [pairs(data, split, most, layout=name) for name in PAGES]
    for same in zip(*drawn, strict=True):
        if any(pair.read is None for pair in same):
            continue
        whole = same[0].original
        shown = {"whole": whole, "cut": as_3x4(whole)}
        shown |= {name: pair.read for name, pair in zip(PAGES, same, strict=True) if pair.read}
        for words, values in of_pages(shown, sorted(same[0].row.labels - {"Normal"}), parts):
            found[words].append(values)
        print(whole.n_samples, {k: round(float(np.mean(v)), 3) for k, v in found.items()},
              flush=True)  # fmt: skip
    if not found:
        return ["- no page whose class the network finds"]
    return [
        "Labelled abnormal classes that the network's log-odds speak for; pages drawn at 200 dpi "
        f"and digitized; {REFERENCE_PAIRS} pairs of permutations on both sides.",
        "",
        "| rank correlation of the attribution to leads | mean (95 % CI) | median | n |",
        "|---|---|---|---|",
        *(_row(words, values) for words, values in found.items()),
    ]


def of_pages(
    shown: dict[str, ECGRecord], classes: list[str], parts: dict[str, list[bool]]
) -> Iterator[tuple[str, float]]:
    """What is compared, in words, and the rank correlation, for each class spoken for."""
    apart = Apart(default_classifier())
    games_of = {name: game_of(record, "leads", apart) for name, record in shown.items()}
    if any(len(game.players) < len(LEADS) for game in games_of.values()):
        return
    solved = {name: solve(game, pairs=REFERENCE_PAIRS) for name, game in games_of.items()}
    solved["again"] = solve(games_of["whole"], pairs=REFERENCE_PAIRS, seed=1)

    def of(name: str, column: int, kept: list[bool]) -> FloatArray:
        each = solved[name].values.reshape(len(LEADS), len(kept), -1)[:, :, column]
        return np.asarray(each[:, kept].mean(axis=1))

    for name in classes:
        column = CLASSES.index(name)
        both = np.stack([solved["whole"].base, solved["whole"].total])
        none, everything = both.reshape(2, -1, len(CLASSES)).mean(axis=1)[:, column]
        if everything <= none:
            continue
        every = next(iter(parts.values()))
        yield (
            COMPARED["again"],
            rank_correlation(of("whole", column, every), of("again", column, every)),
        )
        yield (
            COMPARED["cut"],
            rank_correlation(of("cut", column, every), of("3x4+1", column, every)),
        )
        for page in PAGES:
            for part, kept in parts.items() if page == "3x4+1" else [("", every)]:
                yield (
                    COMPARED[page] + part,
                    rank_correlation(of("whole", column, kept), of(page, column, kept)),
                )


COMPARED = {
    "again": "the recording, two seeds of the permutations (below, the same orders on both sides)",
    "cut": "recording cut to what a 3x4 page shows, against that page digitized (goal: 0.85)",
    "12x1": "whole recording against its 12x1 page, which shows all of it (goal: 0.85)",
    "6x2": "whole recording against its 6x2 page, which shows 5 s of each lead",
    "3x4+1": "whole recording against its 3x4 page with II below, which shows 2.5 s of a lead",
}


ESTIMATED = 3
ESTIMATOR_PAIRS = 8


def estimator_lines(cases: list[tuple[ECGRecord, str]]) -> list[str]:
    """Our estimator beside shap's on the same games of 12 leads, against the exact values."""
    found: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    for record, name in cases[:ESTIMATED]:
        game = game_of(record, "leads", default_classifier())
        column = CLASSES.index(name)
        truth = exact(game).values[:, column]
        for label, values, count, seconds in estimates(game, column):
            error = np.abs(values - truth)
            found[label].append((count, seconds, error.max(), error.mean() / np.ptp(truth)))
    return [
        f"12 leads, {min(ESTIMATED, len(cases))} records, one class each; means over the records; "
        "seconds by the clock, without shap's import.",
        "",
        "| estimator | evaluations | seconds | largest error, log-odds | mean error, of the range "
        "of the values |",
        "|---|---|---|---|---|",
        *(
            f"| {label} | {count:.0f} | {seconds:.1f} | {most:.3f} | {100 * share:.0f} % |"
            for label, rows_ in found.items()
            for count, seconds, most, share in [np.mean(rows_, axis=0)]
        ),
    ]


def estimates(game: Game, column: int) -> Iterator[tuple[str, FloatArray, int, float]]:
    """Each estimator's name, its values of one class, its evaluations and seconds."""
    import shap

    began = time.perf_counter()
    ours = permutations(game, np.random.default_rng(0), ESTIMATOR_PAIRS)
    label = f"own, {ESTIMATOR_PAIRS} antithetic stratified pairs"
    yield label, ours.values[:, column], ours.n_evaluations, time.perf_counter() - began
    count = len(game.players)
    calls: list[int] = []

    def worth(kept: Any) -> FloatArray:
        calls.append(len(kept))
        return game.values(np.asarray(kept, dtype=bool))[:, column]

    for label, kind, given in (
        ("shap.PermutationExplainer", shap.PermutationExplainer,
         {"max_evals": 2 * ESTIMATOR_PAIRS * count + 1}),
        ("shap.ExactExplainer", shap.ExactExplainer, {}),
    ):  # fmt: skip
        calls.clear()
        began = time.perf_counter()
        result = kind(worth, np.zeros((1, count)))(np.ones((1, count)), **given)
        yield label, result.values[0], sum(calls), time.perf_counter() - began


def time_lines(cases: list[tuple[ECGRecord, str]]) -> list[str]:
    """Wall and processor seconds of whole explanations, everything loaded before."""
    import os

    from ecg4u.explain import explain
    from ecg4u.model import classify

    wall: list[float] = []
    processor: list[float] = []
    for i, (record, _) in enumerate(cases):
        said = classify(record)
        began, busy = time.perf_counter(), time.process_time()
        explain(record, said)
        if i:
            wall.append(time.perf_counter() - began)
            processor.append(time.process_time() - busy)
    return [
        f"- one explanation, warm: wall {np.median(wall):.1f} s (median; longest {max(wall):.1f}), "
        f"processor {np.median(processor):.1f} s (n = {len(wall)}; {os.cpu_count()} cores, load "
        f"{os.getloadavg()[0]:.0f} while measured)"
    ]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/ecg"))
    parser.add_argument("--split", default="test")
    parser.add_argument("--records", type=int, default=24)
    parser.add_argument("--parts", default="deletion,pvc,sanity,digitized,estimator,time")
    parser.add_argument("--seeds", default="cache/seeds/a,cache/seeds/b", help="for part seeds")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    parts = given.parts.split(",")
    needed = {"deletion", "sanity", "estimator", "time"} & set(parts)
    cases = positives(given.data, given.split, given.records) if needed else []
    for part in parts:
        lines = {
            "deletion": lambda: deletion_lines(cases),
            "pvc": lambda: pvc_lines(given.data, given.split, given.records),
            "sanity": lambda: sanity_lines(cases),
            "digitized": lambda: digitized_lines(given.data, given.split, given.records),
            "estimator": lambda: estimator_lines(cases),
            "time": lambda: time_lines(cases),
            "seeds": lambda: seeds_lines(
                given.data, given.split, given.records, [Path(s) for s in given.seeds.split(",")]
            ),
        }[part]()
        command = f"python -m benchmarks.explain --parts {part} --split {given.split}"
        weights = getattr(default_classifier(), "card", {}).get("id", "")
        head = f"<!-- {command} --records {given.records}; {weights} -->"
        text = "\n".join([head, *lines]) + "\n"
        (given.out / f"explain-{part}.md").write_text(text)
        print(text, flush=True)


if __name__ == "__main__":
    main()
