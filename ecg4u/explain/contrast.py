"""Which change would turn the verdict: of the criteria by their limits, of the network by trying.

The criteria turn where a measured value crosses its limit. The network is asked again with the
signal edited (`ecg4u.explain.edits`): if its opinion stays, it did not go by what was edited.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ecg4u.explain import edits
from ecg4u.explain.attribution import LogOdds, classes_of, column_of
from ecg4u.explain.criteria import decision, parts_of
from ecg4u.explain.result import Contrast, CriterionResult, Features, Margin
from ecg4u.explain.signals import FS_HZ
from ecg4u.record import CLASSES, ECGRecord
from ecg4u.words import CLASS_TITLES, inside, listed

if TYPE_CHECKING:
    from ecg4u.explain.measure import Measured
    from ecg4u.model import Classification, ClassResult

UNMOVED = 0.5
"""An edit that takes off less than this share of the log-odds above the threshold moved little."""
LITTLE = 0.7
"""Log-odds (a factor of two): a fall through the threshold by less is none to speak of."""


@dataclass(frozen=True)
class Trial:
    """An edit of the tracing, in words that stand after "With"."""

    words: str
    edit: edits.Edit


TRIALS: Mapping[str, tuple[Trial, ...]] = {
    "AF": (
        Trial("equal RR intervals", edits.regular_rhythm),
        Trial("P waves added before each QRS", edits.with_p_waves),
        Trial("P waves and equal RR intervals", edits.sinus_rhythm),
    ),
    "I-AVB": (Trial("a PR of 160 ms", edits.normal_pr),),
    "LBBB": (Trial("the QRS narrowed to 95 ms (same shape)", edits.narrow_qrs),),
    "RBBB": (Trial("the QRS narrowed to 95 ms (same shape)", edits.narrow_qrs),),
    "PAC": (Trial("the premature beats replaced by regular beats", edits.without("PAC")),),
    "PVC": (Trial("the PVCs replaced by regular beats", edits.without("PVC")),),
    "STD": (Trial("the ST segments moved to baseline", edits.level_st),),
    "STE": (Trial("the ST segments moved to baseline", edits.level_st),),
}  # fmt: skip


def contrasts(
    record: ECGRecord,
    features: Features,
    measured: Measured,
    criteria: tuple[CriterionResult, ...],
    classification: Classification | None,
    classifier: LogOdds | None,
) -> tuple[Contrast, ...]:
    """For each class found by the network or by the criteria: what would turn it."""
    readable = classification is not None and classification.verdict != "unreadable"
    opinions = {r.name: r for r in classification.results} if classification and readable else {}
    out: list[Contrast] = []
    for name in CLASSES:
        opinion = opinions.get(name)
        positive = opinion is not None and opinion.positive
        out += _of_criteria(name, criteria, positive)
        if opinion is not None and positive and classifier is not None:
            out += _of_network(opinion, record, features, measured, classifier)
    return tuple(out)


def _of_criteria(
    name: str, criteria: tuple[CriterionResult, ...], positive: bool
) -> Iterator[Contrast]:
    rows = [c for c in parts_of(criteria, name) if c.required]
    decides = decision(criteria, name)
    title = CLASS_TITLES[name]
    if decides.outcome == "met":
        nearest = min(
            (c for c in rows if c.margin is not None), key=lambda c: _sds(c.margin), default=None
        )
        if nearest is not None and nearest.margin is not None:
            m = nearest.margin
            yield Contrast(
                name,
                "criteria",
                f"Criteria for {title}: met; closest to its limit is {inside(m.what)}, "
                f"{_value(m)} (limit {_limit(m)}, {_gap(m)} away).",
                nearest.evidence,
            )
        return
    failing = [c for c in rows if c.outcome != "met"]
    if not positive and any(not c.evidence for c in failing):
        return
    if not failing or not (positive or (decides.outcome == "cannot tell" and len(failing) == 1)):
        return
    if not any(c.outcome == "met" for c in rows) and len(rows) > 1:
        return
    needs = [_need(c) for c in failing]
    if decides.outcome == "cannot tell":
        word, lacking = "indeterminate", "not established"
    else:
        word, lacking = "not met", "missing"
    yield Contrast(
        name,
        "criteria",
        f"Criteria for {title}: {word}; {lacking}: {listed(needs)}.",
        tuple(e for c in failing for e in c.evidence)[:4],
    )


def _need(row: CriterionResult) -> str:
    if row.margin is None:
        return f"{inside(row.name)} ({row.threshold}; here {inside(row.numbers)})"
    return f"{inside(row.name)} {row.threshold} (here {_value(row.margin)})"


def _sds(margin: Margin | None) -> float:
    """Distance from the limit in standard uncertainties (or in tenths of the limit)."""
    if margin is None:
        return float("inf")
    return abs(margin.value - margin.limit) / (margin.sd or max(0.1 * abs(margin.limit), 1e-9))


def _value(m: Margin) -> str:
    text = f"{m.value:.{m.digits}f}"
    if m.sd and m.digits == 0:
        text += f" ± {m.sd:.0f}"
    return _with_unit(text, m)


def _limit(m: Margin) -> str:
    return _with_unit(f"{m.limit:.{m.digits}f}", m)


def _gap(m: Margin) -> str:
    return _with_unit(f"{abs(m.value - m.limit):.{m.digits}f}", m)


def _with_unit(text: str, m: Margin) -> str:
    return f"{text}°" if m.unit == "deg" else f"{text} {m.unit}".strip()


def _of_network(
    opinion: ClassResult,
    record: ECGRecord,
    features: Features,
    measured: Measured,
    classifier: LogOdds,
) -> Iterator[Contrast]:
    if measured.median is None:
        return
    subject = edits.Subject(measured.signal, features, measured.median)
    whole = _odds(measured.signal, record, opinion.name, classifier)
    limit = float(np.log(opinion.threshold / (1 - opinion.threshold)))
    for trial in TRIALS.get(opinion.name, ()):
        changed = trial.edit(subject)
        if changed is None:
            continue
        odds = _odds(changed, record, opinion.name, classifier)
        yield Contrast(
            opinion.name,
            "network",
            _told(trial, opinion, whole, odds, limit),
            before=_probability(whole),
            after=_probability(odds),
            turns=bool(whole >= limit) != bool(odds >= limit),
        )


def _told(trial: Trial, opinion: ClassResult, whole: float, odds: float, limit: float) -> str:
    title = CLASS_TITLES[opinion.name]
    head = (
        f"Network: with {trial.words}, {title} would get {_percent(odds)} instead of "
        f"{_percent(whole)} (threshold {_percent(limit)})"
    )
    if odds < limit <= whole and whole - odds < LITTLE:
        return f"{head}: it would fall below the threshold, but the change is very small."
    if odds < limit <= whole:
        return f"{head}: the answer would change."
    if whole - odds < UNMOVED * max(whole - limit, 0.5):
        return f"{head}: the network does not rely on this."
    return f"{head}: less likely, but the answer would not change."


def _percent(odds: float) -> str:
    share = 100 * _probability(odds)
    if share > 99.5 or share < 0.1:
        return "over 99 %" if share > 50 else "under 0.1 %"
    return f"{share:.0f} %" if share >= 10 else f"{share:.1f} %"


def _probability(odds: float) -> float:
    return float(1 / (1 + np.exp(-odds)))


def _odds(signal: np.ndarray, record: ECGRecord, name: str, classifier: LogOdds) -> float:
    """The class's log-odds of an (edited) signal, over the windows as the classifier does it."""
    from ecg4u.model import prepare
    from ecg4u.model.aggregate import over_windows

    edited = ECGRecord(signal, FS_HZ, age=record.age, sex=record.sex)
    windows = classifier.log_odds(prepare(edited).windows())
    odds = over_windows(windows, classes_of(classifier))
    return float(odds[column_of(classifier, name)])
