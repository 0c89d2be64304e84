"""Shapley values over segments of the record: which leads, moments and waves moved the network.

The value of a set of players is the class's calibrated log-odds with the other players hidden
exactly as in training (mask channel 0, values 0). Only what the record shows is a player.

Early beats have a second baseline: a beat left out is replaced by the record's own usual beat, in
time (`ecg4u.explain.edits.as_usual`). A hidden beat leaves a gap in the rhythm, by which its
neighbours matter too; against the usual beat only what is unusual can count.

The estimator is our own: antithetic, stratified permutations (Mitchell et al. 2022, JMLR 23:43)
for many players, the exact sum for few, all classes from the same evaluations.
`benchmarks/explain.py` compares it with `shap.PermutationExplainer` and `shap.ExactExplainer`,
which agree with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import factorial
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import numpy.typing as npt

from ecg4u.cores import spread
from ecg4u.errors import ECG4UError
from ecg4u.explain.result import Attribution, Features, Player, PlayerKind
from ecg4u.record import CLASSES, LEADS

if TYPE_CHECKING:
    from ecg4u.record import ECGRecord

WINDOW_S = 0.5
"""Length of the stretches that time is cut into: less than a beat."""
MAX_BLOCKS = 60
BLOCK_LENGTHS_S = (0.5, 1.0, 1.25, 2.5, 5.0, 10.0)
"""Blocks of one lead and some time: the shortest of these lengths that gives no more blocks."""
MAX_EXACT = 7
"""Up to so many players every coalition is evaluated (2 ** 7 = 128)."""
EPISODIC = ("PAC", "PVC")
"""Classes that single beats make true: they are attributed against the usual beat as well."""
PAIRS = {"leads": 16, "windows": 12, "beats": 12, "blocks": 8}
"""Antithetic pairs of permutations per kind of player."""
ADDITIVITY_TOLERANCE = 1e-4
"""In log-odds, by which Shapley values may miss the answer they add up to: float32 arithmetic."""
BATCH = 64
"""Coalitions evaluated together."""

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


class LogOdds(Protocol):
    """What a classifier must offer: (n, 24, t) inputs to (n, classes) log-odds."""

    def log_odds(self, inputs: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Log-odds of every class."""
        ...


@dataclass(frozen=True, eq=False)
class Game:
    """One window of the record, divided among players.

    ``channels`` (24, t) as `ecg4u.model.prepare` gives them; ``owner`` (12, t) the index of the
    player that each sample belongs to, -1 where nothing is shown. ``reference`` (12, t) is shown
    in the place of players left out; None hides them.
    """

    channels: npt.NDArray[np.float32]
    owner: npt.NDArray[np.int64]
    players: tuple[Player, ...]
    kind: PlayerKind
    classifier: LogOdds
    reference: npt.NDArray[np.float32] | None = None

    def values(self, coalitions: BoolArray) -> FloatArray:
        """(n, players) who is kept -> (n, classes) log-odds."""
        lookup = np.concatenate([coalitions, np.zeros((len(coalitions), 1), dtype=bool)], axis=1)
        batches = (lookup[i : i + BATCH] for i in range(0, len(lookup), BATCH))
        return np.concatenate(
            spread(lambda kept: self.classifier.log_odds(self._inputs(kept)), batches)
        )

    def _inputs(self, lookup: BoolArray) -> npt.NDArray[np.float32]:
        kept = lookup[:, self.owner].astype(np.float32)
        leads = self.channels[:12] * kept
        if self.reference is None:
            return np.concatenate([leads, kept], axis=1)
        masks = np.broadcast_to(self.owner >= 0, kept.shape).astype(np.float32)
        return np.concatenate([leads + self.reference * (masks - kept), masks], axis=1)


@dataclass(frozen=True, eq=False)
class Shapley:
    """Shapley values of every class: (players, classes), with standard errors and both ends."""

    values: FloatArray
    errors: FloatArray
    base: FloatArray
    total: FloatArray
    method: Literal["exact", "permutation"]
    n_evaluations: int


def attribute(
    record: ECGRecord,
    classes: Sequence[str],
    *,
    features: Features | None = None,
    usual: FloatArray | None = None,
    classifier: LogOdds | None = None,
    seed: int = 0,
) -> tuple[Attribution, ...]:
    """Attributions of each class over leads, 0.5-s windows, beats, lead x time blocks and waves.

    ``usual`` is the record at 500 Hz (n, 12) with every beat replaced by the usual one: with it
    `EPISODIC` classes are attributed to beats against that, too. A record longer than 10 s is
    attributed in the window where the class's log-odds is highest.

    Raises
    ------
    ECG4UError
        If the values do not add up to the log-odds (an error of this package).
    """
    from ecg4u.model import prepare

    if classifier is None:
        classifier = default_classifier()
    prepared = prepare(record)
    windows, starts = prepared.windows(), prepared.starts()
    best = np.argmax(classifier.log_odds(windows), axis=0)
    window_of = {name: int(best[column_of(classifier, name)]) for name in classes}
    out: list[Attribution] = []
    for index in sorted(set(window_of.values())):
        here = [name for name in classes if window_of[name] == index]
        start_s = starts[index] / prepared.fs
        for game in games(windows[index], start_s, prepared.fs, classifier, features):
            solved = solve(game, seed=seed)
            again = solve(against_flat(game), seed=seed) if game.kind == "leads" else None
            out += [as_attribution(game, solved, name, again) for name in here]
        early = [name for name in here if name in EPISODIC]
        if early and usual is not None and features is not None and features.beats:
            game = against_usual(
                windows[index], usual, index, start_s, prepared.fs, classifier, features
            )
            solved = solve(game, seed=seed)
            out += [as_attribution(game, solved, name) for name in early]
    return tuple(sorted(out, key=lambda a: CLASSES.index(a.class_name)))


def classes_of(classifier: LogOdds) -> tuple[str, ...]:
    """The classes whose log-odds ``classifier`` gives, in the order of its columns."""
    return tuple(getattr(classifier, "classes", CLASSES))


def column_of(classifier: LogOdds, class_name: str) -> int:
    """The column of one class in what ``classifier`` gives."""
    return classes_of(classifier).index(class_name)


def default_classifier() -> LogOdds:
    """The package's classifier, loaded once in a process."""
    from ecg4u.model.classifier import default_classifier as shipped

    return shipped()


def games(
    channels: npt.NDArray[np.float32],
    start_s: float,
    fs: float,
    classifier: LogOdds,
    features: Features | None,
) -> list[Game]:
    """The divisions of one window; none where nothing is shown."""
    shown = channels[12:] > 0
    if not shown.any():
        return []
    divisions: list[tuple[PlayerKind, npt.NDArray[np.int64], tuple[Player, ...]]] = [
        ("leads", *by_lead(shown, start_s, fs)),
        ("windows", *by_window(shown, start_s, fs)),
        ("blocks", *by_block(shown, start_s, fs)),
    ]
    if features is not None and features.waves_s.get("QRS on") is not None:
        divisions.append(("beats", *by_beat(shown, start_s, fs, features)))
        divisions.append(("waves", *by_wave(shown, start_s, fs, features)))
    return [Game(channels, owner, players, kind, classifier) for kind, owner, players in divisions]


def against_usual(
    channels: npt.NDArray[np.float32],
    usual: FloatArray,
    index: int,
    start_s: float,
    fs: float,
    classifier: LogOdds,
    features: Features,
) -> Game:
    """Beats as players, the record's own usual beat in the place of those left out."""
    from ecg4u.explain.signals import FS_HZ
    from ecg4u.model import prepare
    from ecg4u.record import ECGRecord

    calm = prepare(ECGRecord(usual, FS_HZ)).windows()
    calm = calm[min(index, len(calm) - 1)]
    # Both are centred on their own medians: the difference is that of the levels only.
    shown = (channels[12:] > 0) & (calm[12:] > 0)
    reference = np.where(shown, calm[:12], channels[:12]).astype(np.float32)
    owner, players = by_beat(channels[12:] > 0, start_s, fs, features)
    return Game(channels, owner, players, "beats", classifier, reference)


def by_lead(
    shown: BoolArray, start_s: float, fs: float
) -> tuple[npt.NDArray[np.int64], tuple[Player, ...]]:
    """One player per lead that is shown."""
    return _number(np.where(shown, np.arange(12)[:, None], -1), start_s, fs, joint=False)


def by_window(
    shown: BoolArray, start_s: float, fs: float, *, length_s: float = WINDOW_S
) -> tuple[npt.NDArray[np.int64], tuple[Player, ...]]:
    """One player per stretch of time over all leads that are shown then."""
    slot = (np.arange(shown.shape[1]) / (length_s * fs) + 1e-9).astype(int)
    return _number(np.where(shown, slot[None], -1), start_s, fs, joint=True)


def by_beat(
    shown: BoolArray, start_s: float, fs: float, features: Features
) -> tuple[npt.NDArray[np.int64], tuple[Player, ...]]:
    """One player per beat, from 40 % of its RR interval before the R peak to that of the next."""
    r = np.array([b.r_s for b in features.beats])
    edges = r[1:] - 0.4 * np.diff(r)
    time_s = start_s + np.arange(shown.shape[1]) / fs
    slot = np.searchsorted(edges, time_s, side="right")
    owner, players = _number(np.where(shown, slot[None], -1), start_s, fs, joint=True)
    used = np.unique(np.where(shown, slot[None], -1))
    named = []
    for player, index in zip(players, used[used >= 0], strict=True):
        kind = features.beats[index].kind
        word = kind if kind in ("PVC", "PAC") else "beat"
        named.append(replace(player, label=f"{word} at {r[index]:.1f} s"))
    return owner, tuple(named)


def by_block(
    shown: BoolArray, start_s: float, fs: float, *, most: int = MAX_BLOCKS
) -> tuple[npt.NDArray[np.int64], tuple[Player, ...]]:
    """One player per lead and stretch of time, as short as at most ``most`` players allow."""
    for length_s in BLOCK_LENGTHS_S:
        slot = (np.arange(shown.shape[1]) / (length_s * fs) + 1e-9).astype(int)
        raw = np.where(shown, slot[None] + np.arange(12)[:, None] * (slot[-1] + 1), -1)
        if len(np.unique(raw[raw >= 0])) <= most:
            break
    return _number(raw, start_s, fs, joint=False)


WAVE_LABELS = ("P waves", "PR segments", "QRS complexes", "ST segments", "T waves",
               "between beats", "premature beats")  # fmt: skip


def by_wave(
    shown: BoolArray, start_s: float, fs: float, features: Features
) -> tuple[npt.NDArray[np.int64], tuple[Player, ...]]:
    """One player per part of the cardiac cycle, over all beats and leads."""
    waves = features.waves_s
    part = np.full(shown.shape[1], WAVE_LABELS.index("between beats"))
    t_end = waves.get("T off")

    def paint(a: float | None, b: float | None, label: str) -> None:
        if a is not None and b is not None:
            low, high = (round((x - start_s) * fs) for x in (a, b))
            part[max(low, 0) : max(high, 0)] = WAVE_LABELS.index(label)

    for beat in features.beats:
        after = beat.r_s + (t_end if t_end is not None else 0.4)
        if beat.kind in ("PVC", "PAC"):
            paint(beat.onset_s - (0.2 if beat.kind == "PAC" else 0.05), after, WAVE_LABELS[6])
            continue
        on, off = waves.get("P on"), waves.get("P off")
        if on is not None and off is not None:
            paint(beat.r_s + on, beat.r_s + off, "P waves")
            paint(beat.r_s + off, beat.onset_s, "PR segments")
        paint(beat.onset_s, beat.offset_s, "QRS complexes")
        # The T wave's onset is not delineated: ST is taken as the 80 ms after J.
        paint(beat.offset_s, beat.offset_s + 0.08, "ST segments")
        if t_end is not None:
            paint(beat.offset_s + 0.08, after, "T waves")
    raw = np.where(shown, part[None], -1)
    used = np.unique(raw[raw >= 0])
    owner = np.full(shown.shape, -1, dtype=np.int64)
    for number, value in enumerate(used):
        owner[raw == value] = number
    end_s = start_s + shown.shape[1] / fs
    return owner, tuple(Player(WAVE_LABELS[v], None, start_s, end_s) for v in used)


def _number(
    raw: npt.NDArray[np.int64], start_s: float, fs: float, *, joint: bool
) -> tuple[npt.NDArray[np.int64], tuple[Player, ...]]:
    """Players numbered from 0 in the order of leads (or time), each with its place."""
    owner = np.full(raw.shape, -1, dtype=np.int64)
    players = []
    for number, value in enumerate(np.unique(raw[raw >= 0])):
        mine = raw == value
        owner[mine] = number
        times = np.flatnonzero(mine.any(axis=0))
        a, b = start_s + times[0] / fs, start_s + (times[-1] + 1) / fs
        a, b = round(float(a), 3), round(float(b), 3)
        lead = None if joint else LEADS[int(np.flatnonzero(mine.any(axis=1))[0])]
        stretch = f"{a:.1f}–{b:.1f} s"
        whole = not joint and mine.sum() == (raw[LEADS.index(lead or "I")] >= 0).sum()
        label = stretch if lead is None else lead if whole else f"{lead} {stretch}"
        players.append(Player(label, lead, a, b))
    return owner, tuple(players)


def solve(game: Game, *, seed: int = 0, pairs: int | None = None) -> Shapley:
    """Shapley values: exact for up to `MAX_EXACT` players, else by antithetic permutations."""
    count = len(game.players)
    if count <= MAX_EXACT:
        return exact(game)
    rng = np.random.default_rng(seed)
    return permutations(game, rng, PAIRS.get(game.kind, 10) if pairs is None else pairs)


def exact(game: Game) -> Shapley:
    """The defining sum over all coalitions."""
    count = len(game.players)
    codes = np.arange(2**count)
    kept = (codes[:, None] >> np.arange(count)) & 1 == 1
    worth = game.values(kept)
    sizes = kept.sum(axis=1)
    weight = np.array(
        [factorial(s) * factorial(count - s - 1) / factorial(count) for s in range(count)]
    )
    values = np.zeros((count, worth.shape[1]))
    for player in range(count):
        without = codes[~kept[:, player]]
        gain = worth[without | (1 << player)] - worth[without]
        values[player] = (weight[sizes[without], None] * gain).sum(axis=0)
    return Shapley(values, np.zeros_like(values), worth[0], worth[-1], "exact", len(codes))


def permutations(game: Game, rng: np.random.Generator, pairs: int) -> Shapley:
    """Mean gain of each player over random orders, each order walked forwards and backwards.

    The standard errors are taken over the pairs as if these were independent: with
    `stratified_orders` they are rather too large.
    """
    count = len(game.players)
    orders = stratified_orders(count, pairs, rng)
    orders = np.stack([orders, orders[:, ::-1]], axis=1).reshape(2 * pairs, count)
    rank = np.argsort(orders, axis=1)
    steps = np.arange(1, count)
    kept = rank[:, None, :] < steps[None, :, None]
    ends = np.stack([np.zeros(count, dtype=bool), np.ones(count, dtype=bool)])
    # Coalitions that occur in several orders are evaluated once.
    unique, back = np.unique(
        np.concatenate([ends, kept.reshape(-1, count)]), axis=0, return_inverse=True
    )
    worth = game.values(unique)[back]
    none, everyone = worth[0], worth[1]
    inner = worth[2:].reshape(2 * pairs, count - 1, -1)
    shape = (2 * pairs, 1, worth.shape[1])
    path = np.concatenate(
        [np.broadcast_to(none, shape), inner, np.broadcast_to(everyone, shape)], axis=1
    )
    gains = np.take_along_axis(np.diff(path, axis=1), rank[:, :, None], axis=1)
    of_pair = gains.reshape(pairs, 2, count, -1).mean(axis=1)
    errors = of_pair.std(axis=0, ddof=1) / np.sqrt(pairs) if pairs > 1 else np.full(
        of_pair.shape[1:], np.nan
    )  # fmt: skip
    return Shapley(of_pair.mean(axis=0), errors, none, everyone, "permutation", len(unique))


def stratified_orders(count: int, pairs: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """(pairs, count) random orders in which every player comes early in some and late in others.

    Players are sorted by keys, and a player's keys over the orders are a Latin hypercube sample
    (one in each of ``pairs`` equal strata). Each order by itself is uniformly random, so that the
    estimate stays unbiased; over 12 leads its error is a quarter smaller than with independent
    orders.
    """
    strata = np.stack([rng.permutation(pairs) for _ in range(count)], axis=1)
    return np.argsort((strata + rng.random((pairs, count))) / pairs, axis=1)


def against_flat(game: Game) -> Game:
    """The same players, those left out shown as flat lines and not hidden: a second baseline."""
    return replace(game, reference=np.zeros_like(game.channels[:12]))


def as_attribution(
    game: Game, solved: Shapley, class_name: str, again: Shapley | None = None
) -> Attribution:
    """The values of one class, with additivity checked; ``again`` against the second baseline."""
    column = column_of(game.classifier, class_name)
    values = solved.values[:, column]
    base, total = float(solved.base[column]), float(solved.total[column])
    error = abs(base + float(values.sum()) - total)
    if not error < ADDITIVITY_TOLERANCE:
        raise ECG4UError(
            f"Attributions over {game.kind} miss the log-odds by {error:.1e}.",
            stage="explain",
            hint="This is an error in ecg4u; please report it.",
        )
    return Attribution(
        class_name=class_name,
        kind=game.kind,
        players=game.players,
        values=tuple(float(v) for v in values),
        errors=tuple(float(v) for v in solved.errors[:, column]),
        base_value=base,
        total=total,
        additivity_error=round(error, 9),
        method=solved.method,
        baseline="hidden" if game.reference is None else "usual beat",
        n_evaluations=solved.n_evaluations,
        agreement=None if again is None else _agreement(values, again.values[:, column]),
    )


def _agreement(a: FloatArray, b: FloatArray) -> float | None:
    return rank_correlation(a, b) if len(a) > 2 else None


def rank_correlation(a: FloatArray, b: FloatArray) -> float:
    """Spearman's rank correlation; 0 where one side is constant."""
    ranks = [np.argsort(np.argsort(v, kind="stable"), kind="stable").astype(float) for v in (a, b)]
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])
