"""The reading in standard order: rate, rhythm, axis, intervals, QRS, ST-T, conclusion."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ecg4u.explain.conclusion import conclusion
from ecg4u.explain.criteria import (
    criterion,
    decision,
    describe,
    heights_in_words,
    inverted_t_waves,
    parts_of,
    q_waves,
    q_waves_in_words,
    stated,
    upright_t_waves,
)
from ecg4u.explain.findings import leads_in_words, no_q_wave_in, walls
from ecg4u.explain.limits import (
    BORDERLINE_QRS_MS,
    IRREGULAR,
    P_AXIS_DEG,
    P_PRESENT,
    POOR_P,
    PR_MS,
    RATE_PER_MIN,
    WIDE_QRS_MS,
    axis_deviation,
)
from ecg4u.explain.places import Places
from ecg4u.explain.result import (
    Attribution,
    Beat,
    CriterionResult,
    Features,
    Sentence,
)
from ecg4u.record import LEADS
from ecg4u.words import CLASS_TITLES, capital, places_of_time

if TYPE_CHECKING:
    from ecg4u.model import Classification

VERY_FAST = 120
"""A regular rhythm as fast as this without marked P waves may be flutter or re-entry."""
SHORT_QTC_MS = 350
"""Well below the 390 ms under which AHA/ACCF/HRS 2009 (JACC 53:982) calls QTc short, since that is
common in the healthy."""
WHOLE_S = 0.3
"""A complex is seen whole where a lead shows so much before and after its R peak."""
SHORT_PR_MS = 115
"""Surely short, its uncertainty allowed for."""
FORMULAS_MS = 10
"""So far apart the two corrections of QT are said to differ."""
QTC_WORDS = {"met": "normal", "not met": "prolonged", "cannot tell": "borderline"}
FLAT_T_MV = 0.05
"""Half a millimetre; by eye."""


def read(
    features: Features,
    criteria: tuple[CriterionResult, ...],
    attributions: tuple[Attribution, ...],
    classification: Classification | None,
    places: Places,
) -> tuple[Sentence, ...]:
    """All sentences, in the order in which an ECG is read."""
    return (
        *_rate(features, places),
        *_rhythm(features, places),
        *_axis(features, criteria, places),
        *_intervals(features, criteria, places),
        *_qrs(features, criteria, places),
        *_st_t(features, criteria, places),
        *conclusion(features, criteria, attributions, classification, places),
    )


def refused(reasons: tuple[str, ...]) -> tuple[Sentence, ...]:
    """The reading of a signal that is no ECG, or too poor: that it is not read, and why."""
    text = "This signal cannot be read as an ECG; nothing was measured. "
    return (Sentence("Conclusion", text + " ".join(reasons)),)


def _rate(features: Features, places: Places) -> Iterator[Sentence]:
    rate = features.globals["rate"]
    if rate.value is None:
        yield Sentence("Rate", f"Rate not measurable: {rate.reason}.")
        return
    shown = round(rate.value)
    slowest, fastest = RATE_PER_MIN
    word = "bradycardia" if shown < slowest else "tachycardia" if shown > fastest else "normal"
    # Where one column gives way to the next and no lead runs through, no interval is known.
    known = [rr for rr, b in zip(features.rr_s, features.beats[1:], strict=False)
             if b.early is not None] or list(features.rr_s)  # fmt: skip
    shortest, longest = min(known), max(known)
    yield Sentence(
        "Rate",
        f"{shown} per minute ({word}); {len(features.beats)} beats, "
        f"RR intervals {shortest:.2f} to {longest:.2f} s.",
        places.strip(),
    )


def _rhythm(features: Features, places: Places) -> Iterator[Sentence]:
    if not features.beats:
        return
    yield from _regularity(features, places)
    yield from _p_waves(features, places)
    yield from _ectopic(features, places)


def _regularity(features: Features, places: Places) -> Iterator[Sentence]:
    change = features.value("rr_change")
    if change is None:
        reason = features.globals["rr_change"].reason
        yield Sentence("Rhythm", f"Regularity indeterminate: {reason}.")
        return
    ectopic = [b for b in features.beats if b.kind in ("PVC", "PAC")]
    regular = change < IRREGULAR
    word = "regular" if regular else "irregular"
    aside = " apart from premature beats" if regular and ectopic else ""
    if regular and _unlike(features, places):
        aside = " between beats of the predominant shape"
    yield Sentence(
        "Rhythm",
        f"{word[0].upper()}{word[1:]} rhythm{aside}: RR intervals vary by {100 * change:.0f} % "
        f"from beat to beat (median; irregular: {100 * IRREGULAR:.0f} % or more).",
        places.strip(),
    )


def _p_waves(features: Features, places: Places) -> Iterator[Sentence]:
    score, correlation = features.globals["p_presence"], features.value("p_correlation")
    if score.value is None or correlation is None:
        yield Sentence("Rhythm", f"P waves indeterminate: {score.reason}.")
        return
    seen = places.any_wave("P on", "P off")
    if score.value < P_PRESENT:
        yield Sentence(
            "Rhythm",
            "No consistent P waves before the QRS complexes (beat-to-beat correlation "
            f"{correlation:.2f}, P-wave score {score.value:.2f}).",
            places.strip(),
        )
        return
    if correlation < POOR_P:
        yield Sentence(
            "Rhythm",
            "P waves uncertain: the signal before the QRS complexes varies from beat to beat "
            f"(beat-to-beat correlation {correlation:.2f}, P-wave score {score.value:.2f}).",
            seen or places.strip(),
        )
        return
    if features.waves_s.get("P on") is None:
        yield Sentence(
            "Rhythm",
            "The signal before the QRS complexes is the same from beat to beat (correlation "
            f"{correlation:.2f}), which argues against fibrillation, but no P wave could be "
            "delineated: it may be hidden in the preceding T wave.",
            places.strip(),
        )
        yield from _fast_without_p(features, places)
        return
    axis = features.value("p_axis")
    sinus = ""
    if axis is not None:
        fits = P_AXIS_DEG[0] <= axis <= P_AXIS_DEG[1]
        sinus = f", P axis {axis:.0f}°, {'consistent with' if fits else 'unusual for'} sinus rhythm"
    yield Sentence(
        "Rhythm",
        "P waves precede the QRS complexes (beat-to-beat correlation "
        f"{correlation:.2f}, P-wave score {score.value:.2f}){sinus}.",
        seen or places.strip(),
    )


def _fast_without_p(features: Features, places: Places) -> Iterator[Sentence]:
    """What a fast regular rhythm may be when its P waves are not seen."""
    rate, change = features.value("rate"), features.value("rr_change")
    if rate is None or change is None or rate < VERY_FAST or change >= IRREGULAR:
        return
    qrs = features.globals["qrs"]
    width = qrs.value or 0.0
    wide = width >= WIDE_QRS_MS
    narrow = 0 < width < WIDE_QRS_MS - 2 * (qrs.uncertainty or 0.0)
    yield Sentence(
        "Rhythm",
        "Regular tachycardia without visible P waves: consider "
        + ("ventricular tachycardia first, then " if wide else "")
        + "atrial flutter with 2:1 conduction or re-entrant tachycardia"
        + ("" if wide or narrow else ", and ventricular tachycardia if the QRS is wide")
        + " (outside the nine classes).",
        places.strip(),
    )


def _unlike(features: Features, places: Places) -> list[Beat]:
    """Complexes of another shape that are no early beats, where a lead shows all about them.

    Between two columns of a page, and at its ends, a complex may be cut.
    """
    return [
        b
        for b in features.beats[1:-1]
        if b.kind == "other"
        and any(places.shown(lead, b.r_s - WHOLE_S, b.r_s + WHOLE_S) for lead in LEADS)
    ]


def _ectopic(features: Features, places: Places) -> Iterator[Sentence]:
    for kind, word, shape in (
        ("PVC", "ventricular", "with a different, wide QRS"),
        ("PAC", "atrial", "with the usual QRS"),
    ):
        beats = [b for b in features.beats if b.kind == kind]
        if not beats:
            continue
        first = beats[0]
        details = [f"{'first one: ' if len(beats) > 1 else ''}QRS {first.width_ms:.0f} ms"]
        if first.early is not None:
            details.append(f"coupling interval {100 * first.early:.0f} % of the usual RR")
        if first.pause is not None:
            details.append(f"next RR {100 * first.pause:.0f} %")
        number = f"{len(beats)} premature {word} beat{'s' if len(beats) > 1 else ''}"
        yield Sentence(
            "Rhythm",
            f"{number} {shape} at {places_of_time([b.r_s for b in beats])} ({', '.join(details)}).",
            tuple(places.beat(b) for b in beats),
        )
    unlike = _unlike(features, places)
    if unlike:
        one = len(unlike) == 1
        yield Sentence(
            "Rhythm",
            f"{len(unlike)} QRS complex{'' if one else 'es'} of different shape at "
            f"{places_of_time([b.r_s for b in unlike])} {'is' if one else 'are'} neither clearly "
            "premature nor clearly wide: fusion, aberrant conduction or a tracing artifact.",
            tuple(places.beat(b) for b in unlike[:6]),
        )


def _axis(
    features: Features, criteria: tuple[CriterionResult, ...], places: Places
) -> Iterator[Sentence]:
    axis = features.globals["axis"]
    if axis.value is None:
        yield Sentence("Axis", f"QRS axis not measurable: {axis.reason}.")
        return
    value = round(axis.value) + 0.0
    side = axis_deviation(value)
    word = "extreme axis" if side == "extreme" else f"{side} axis deviation" if side else "normal"
    if _undecided(criteria, "axis"):
        word = "borderline; normal -30 to 90°"
    seen = places.waves(("I", "aVF"), "QRS on", "QRS off", pad_s=0.04)
    yield Sentence("Axis", f"QRS axis {value:.0f}° ({word}).", seen)


def _intervals(
    features: Features, criteria: tuple[CriterionResult, ...], places: Places
) -> Iterator[Sentence]:
    pr = features.globals["pr"]
    if pr.value is None:
        yield Sentence("Intervals", f"PR not measured: {pr.reason}.")
    else:
        shortest, longest = PR_MS
        word = "prolonged" if pr.value > longest else "short" if pr.value < shortest else "normal"
        if _undecided(criteria, "pr"):
            word = "borderline"
        judged = word if word == "normal" else f"{word}; normal"
        yield Sentence(
            "Intervals",
            f"PR {describe(pr)} ({judged}: 120 to 200 ms).",
            places.any_wave("P on", "QRS on"),
        )
    qt, qtc = features.globals["qt"], features.globals["qtc_bazett"]
    if qt.value is None or qtc.value is None:
        reason = qt.reason or qtc.reason
        yield Sentence("Intervals", f"QT not measured: {reason}.")
        return
    fridericia = features.value("qtc_fridericia") or 0.0
    judged = criterion(criteria, "Normal", "qtc").outcome
    word = "short" if qtc.value < SHORT_QTC_MS else QTC_WORDS[judged]
    wide = (features.value("qrs") or 0) >= WIDE_QRS_MS
    note = "; a wide QRS itself prolongs the QT" if wide and word != "normal" else ""
    if word == "borderline" and abs(qtc.value - fridericia) > FORMULAS_MS:
        note = f"; the two formulas disagree at this rate{note}"
    yield Sentence(
        "Intervals",
        f"QT {describe(qt)}, QTc {qtc.value:.0f} ms (Bazett), "
        f"{fridericia:.0f} ms (Fridericia): {word}{note}.",
        places.any_wave("QRS on", "T off"),
    )


def _qrs(
    features: Features, criteria: tuple[CriterionResult, ...], places: Places
) -> Iterator[Sentence]:
    width = features.globals["qrs"]
    if width.value is None:
        yield Sentence("QRS", f"QRS duration not measurable: {width.reason}.")
        return
    wide, unusual = width.value >= WIDE_QRS_MS, width.value >= BORDERLINE_QRS_MS
    word = "wide" if wide else "borderline" if unusual else "normal"
    if _undecided(criteria, "qrs_duration"):
        word = "borderline"
    judged = "" if word == "wide" else f"{word}; "
    yield Sentence(
        "QRS",
        f"QRS duration {describe(width)} ({judged}wide: 120 ms or more).",
        places.any_wave("QRS on", "QRS off"),
    )
    for name in ("RBBB", "LBBB") if unusual else ():
        rows = parts_of(criteria, name)
        met = [c for c in rows if c.outcome == "met" and c.code != "qrs_duration"]
        if decision(criteria, name).outcome == "met":
            text = "; ".join(map(stated, met))
            yield Sentence(
                "QRS",
                f"{capital(CLASS_TITLES[name])} pattern: {text}.",
                tuple(e for c in met for e in c.evidence)[:6],
            )
    left, right = (decision(criteria, name).outcome == "met" for name in ("LBBB", "RBBB"))
    if left:
        yield Sentence(
            "QRS",
            "Right ventricular pacing gives the same pattern: look for pacing spikes before "
            "the QRS (outside the nine classes).",
            places.any_wave("QRS on", "QRS off"),
        )
    unjudged = no_q_wave_in(features, criteria)
    yield from _q_waves(features, places, unjudged=unjudged, delayed=wide and not right)
    pr = features.value("pr")
    if pr is not None and pr < SHORT_PR_MS and unusual:
        yield Sentence(
            "QRS",
            "Short PR with a QRS that is not narrow: look for a delta wave (pre-excitation; "
            "outside the nine classes).",
            places.any_wave("P on", "QRS off"),
        )


def _q_waves(
    features: Features, places: Places, *, unjudged: str, delayed: bool
) -> Iterator[Sentence]:
    """Q waves as of an infarction: none of the classes, but not to be missed."""
    found = q_waves(features)
    leads = list(found)
    if leads:
        doubt = "infarction, age undetermined"
        if delayed:
            doubt = "infarction, or an effect of pacing or conduction delay"
        where = f"in {leads_in_words(leads)} ({q_waves_in_words(features, found)})"
        yield Sentence(
            "QRS",
            f"Q waves {where} are not diagnostic of infarction in {unjudged}."
            if unjudged
            else f"Pathological Q waves {where}: {doubt} (outside the nine classes).",
            places.waves(leads[:4], "QRS on", "QRS off", pad_s=0.02),
        )


def _st_t(
    features: Features, criteria: tuple[CriterionResult, ...], places: Places
) -> Iterator[Sentence]:
    levels = {lead: features.lead_value(lead, "st60") for lead in LEADS}
    if all(value is None for value in levels.values()):
        yield Sentence("ST-T", "ST segment not measurable in any lead.")
        return
    shifts = list(dict.fromkeys(_st_shifts(criteria)))
    yield from shifts
    if not shifts:
        largest = max(
            (lead for lead in LEADS if levels[lead] is not None),
            key=lambda lead: abs(levels[lead] or 0.0),
        )
        j = features.lead_value(largest, "j")
        at_j = "" if j is None else f" (at J {j:+.2f} mV)"
        yield Sentence(
            "ST-T",
            "No ST elevation or depression beyond the limits in two contiguous leads; largest "
            f"ST deviation at J + 60 ms {levels[largest]:+.2f} mV in {largest}{at_j}.",
            places.wave(largest, "QRS off", "T off"),
        )
    left = decision(criteria, "LBBB").outcome == "met"
    yield from _t_waves(features, places, against_qrs=left)


def _st_shifts(criteria: tuple[CriterionResult, ...]) -> Iterator[Sentence]:
    """ST beyond its limits, or so near that it must not be called normal."""
    for name, noun in (("STE", "elevation"), ("STD", "depression")):
        row, decides = parts_of(criteria, name)[0], decision(criteria, name)
        raised = [lead for lead in LEADS if lead in {place.lead for place in row.evidence}]
        where = walls(raised) if name == "STE" else ""
        if row.outcome == "met":
            sure = decides.outcome == "met"
            doubt = _against_wide(criteria) if sure else f"; {decides.numbers}"
            text = f"ST {noun}{where}: {row.numbers}{doubt}."
        elif row.outcome == "cannot tell" and row.evidence:
            text = f"Borderline ST {noun}{where}: {row.numbers}."
        elif row.outcome == "cannot tell":
            text = f"ST segment indeterminate: {row.numbers}."
        else:
            continue
        yield Sentence("ST-T", text, row.evidence)


def _against_wide(criteria: tuple[CriterionResult, ...]) -> str:
    """A paced or slowly conducted QRS moves ST by itself; a right bundle branch block hardly."""
    wide = criterion(criteria, "LBBB", "qrs_duration").outcome == "met"
    if not wide or decision(criteria, "RBBB").outcome == "met":
        return ""
    return "; a wide QRS (pacing, conduction delay) itself causes discordant ST shifts"


def _t_waves(features: Features, places: Places, *, against_qrs: bool) -> Iterator[Sentence]:
    shown, inverted = upright_t_waves(features), inverted_t_waves(features)
    flat = {x: t for x, t in shown.items() if x not in inverted and round(t, 2) < FLAT_T_MV}
    for found, word in ((inverted, "inverted"), (flat, "flat")):
        if found:
            leads = list(found)
            secondary = against_qrs and word == "inverted"
            note = "; expected in left bundle branch block" if secondary else ""
            yield Sentence(
                "ST-T",
                f"T waves {word} in {leads_in_words(leads)} ({heights_in_words(found)}){note}.",
                places.waves(leads[:4], "QRS off", "T off"),
            )
    if shown and not inverted and not flat:
        yield Sentence("ST-T", f"T waves upright in {leads_in_words(list(shown))}.")


def _undecided(criteria: tuple[CriterionResult, ...], code: str) -> bool:
    """Whether a value is within measurement error of the limit of a criterion of this code."""
    return any(c.code == code and c.outcome == "cannot tell" for c in criteria)
