"""The end of the reading: what criteria and network find, what is left open, what moved it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ecg4u.explain.attribution import EPISODIC
from ecg4u.explain.conflicts import blind
from ecg4u.explain.criteria import decision, parts_of, stated, undecided
from ecg4u.explain.places import Places
from ecg4u.explain.result import (
    Attribution,
    CriterionResult,
    Evidence,
    Features,
    Player,
    Sentence,
)
from ecg4u.explain.summary import LIKELY
from ecg4u.words import CLASS_TITLES, class_title, listed, percent

if TYPE_CHECKING:
    from ecg4u.model import Classification

LEAST_SHARE = 0.1
"""Log-odds that a lead, wave or beat must add to be named."""
BESIDE = 0.25
"""The second is named beside the first if it adds this share of what the first does."""


def conclusion(
    features: Features,
    criteria: tuple[CriterionResult, ...],
    attributions: tuple[Attribution, ...],
    classification: Classification | None,
    places: Places,
) -> Iterator[Sentence]:
    """The sentences under "Conclusion"."""
    met = [c for c in criteria if c.decides and c.outcome == "met"]
    if met:
        names = listed([CLASS_TITLES[c.class_name] for c in met])
        yield Sentence(
            "Conclusion",
            f"Measured criteria met: {names}.",
            tuple(dict.fromkeys(e for c in met for e in c.evidence))[:6],
        )
    elif features.beats:
        against = [c for c in parts_of(criteria, "Normal") if c.outcome == "not met"]
        why = "; ".join(map(stated, against))
        yield Sentence(
            "Conclusion",
            "Measured criteria met for none of the nine classes"
            + (f"; not normal because of {why}." if why else "."),
            tuple(e for c in against for e in c.evidence)[:6],
        )
    yield from left_open(criteria)
    if classification is not None:
        yield from _opinion(classification, {c.class_name for c in met})
        for result in classification.results:
            if result.positive:
                yield from _why(result.name, attributions, criteria, places)


def _opinion(classification: Classification, agreed: set[str]) -> Iterator[Sentence]:
    """Likely and possible classes by the network; ``agreed`` are those by the criteria."""
    found = [r for r in classification.results if r.positive and r.name != "Normal"]
    normal = next((r for r in classification.results if r.positive and r.name == "Normal"), None)
    if normal is not None and not found:
        found, normal = [normal], None
    likely = [r for r in found if r.probability >= LIKELY]
    if classification.verdict == "unreadable":
        yield Sentence("Conclusion", "The network gives no answer for this ECG.")
    elif likely:
        names = listed([f"{CLASS_TITLES[r.name]} ({percent(r.probability)})" for r in likely])
        yield Sentence("Conclusion", f"Likely according to the network: {names}.")
    elif not found:
        yield Sentence("Conclusion", "The network finds none of its nine classes.")
    possible = [r for r in found if r.probability < LIKELY]
    for rows, text in (
        (
            [r for r in possible if r.name in agreed],
            "Possible according to the network, with measured criteria met: {}.",
        ),
        (
            [r for r in possible if r.name not in agreed],
            "Possible according to the network (under 50 %, so more likely absent): {}.",
        ),
    ):
        names = listed(
            [
                f"{CLASS_TITLES[r.name]} ({percent(r.probability)}, threshold "
                f"{percent(r.threshold)}{blind(r)})"
                for r in rows
            ]
        )
        if rows:
            yield Sentence("Conclusion", text.format(names))
    if normal is not None:
        yield Sentence(
            "Conclusion",
            f"The network also rates this ECG as normal ({percent(normal.probability)}), which "
            "contradicts the findings above.",
        )


def left_open(criteria: tuple[CriterionResult, ...]) -> Iterator[Sentence]:
    """The undecided classes as a sentence."""
    found = undecided(criteria)
    parts = [f"{CLASS_TITLES[name]} ({row.numbers})" for name, row in found.items()]
    evidence = [place for row in found.values() for place in row.evidence]
    if parts:
        yield Sentence("Conclusion", f"Indeterminate: {'; '.join(parts)}.", tuple(evidence[:6]))


WAVES_IN_WORDS = {
    "P waves": ("the P waves", "P on", "P off"),
    "PR segments": ("the PR segments", "P off", "QRS on"),
    "QRS complexes": ("the QRS complexes", "QRS on", "QRS off"),
    "ST segments": ("the ST segments", "QRS off", "T off"),
    "T waves": ("the T waves", "QRS off", "T off"),
    "between beats": ("the signal between beats", "", ""),
    "premature beats": ("the premature beats", "", ""),
}
"""Players of kind "waves" within a sentence, and the boundaries between which they are seen."""


def _in_words(label: str) -> str:
    if label in WAVES_IN_WORDS:
        return WAVES_IN_WORDS[label][0]
    return f"the {label}" if " at " in label else label


def _named(attribution: Attribution) -> list[int]:
    """The one or two players that add most, where they add clearly more than their error."""
    order = sorted(range(len(attribution.values)), key=lambda i: -attribution.values[i])
    least = max(LEAST_SHARE, BESIDE * attribution.values[order[0]])
    return [i for i in order[:2] if attribution.values[i] >= max(least, 2 * attribution.errors[i])]


def _seen_at(player: Player, places: Places) -> tuple[Evidence, ...]:
    """Where a player can be seen: a wave at the first beat that shows it, others as they are."""
    wave = WAVES_IN_WORDS.get(player.label)
    if wave is None:
        return (Evidence(player.lead, player.start_s, player.end_s),)
    return places.any_wave(wave[1], wave[2]) if wave[1] else ()


def _why(
    class_name: str,
    attributions: tuple[Attribution, ...],
    criteria: tuple[CriterionResult, ...],
    places: Places,
) -> Iterator[Sentence]:
    """Where the network looked, next to what the criteria say of the same class."""
    mine = {a.kind: a for a in attributions if a.class_name == class_name}
    # Single beats make a class only where they are early; else it is waves that all beats share.
    second = mine.get("beats") if class_name in EPISODIC else mine.get("waves")
    parts: list[str] = []
    evidence: list[Evidence] = []
    for attribution, word in (
        (mine.get("leads"), "most on"),
        (second or mine.get("windows"), "on"),
    ):
        top = [] if attribution is None else _named(attribution)
        if attribution is None or not top:
            continue
        told = [
            f"{_in_words(attribution.players[i].label)} ({attribution.values[i]:+.1f})" for i in top
        ]
        parts.append(f"{word} {listed(told)}")
        evidence += [p for i in top for p in _seen_at(attribution.players[i], places)]
    if not parts:
        return
    decides = decision(criteria, class_name)
    verdicts = {"met": "agree", "not met": "disagree", "cannot tell": "are indeterminate"}
    yield Sentence(
        "Conclusion",
        f"{class_title(class_name)}: the network relied {', and '.join(parts)} "
        f"(in log-odds); the measured criteria {verdicts[decides.outcome]} ({decides.numbers}).",
        tuple(evidence),
    )
