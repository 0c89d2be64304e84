"""Published criteria of the nine classes, as data, and what the measurements say about each.

Sources: AHA/ACCF/HRS recommendations 2009 (Surawicz et al., JACC 53:976; Rautaharju et al., JACC
53:982); Fourth Universal Definition of Myocardial Infarction 2018 (Thygesen et al., JACC 72:2231);
ESC guideline on atrial fibrillation 2020 (Hindricks et al., Eur Heart J 42:373); ACC/AHA/HRS
guideline on bradycardia 2018 (Kusumoto et al., JACC 74:e51).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from ecg4u.explain.limits import (
    AXIS_DEG,
    INVERTED_T_MV,
    IRREGULAR,
    P_AXIS_DEG,
    P_PRESENT,
    PR_MS,
    QTC_MS,
    RATE_PER_MIN,
    UPRIGHT_T,
    WIDE_QRS_MS,
)
from ecg4u.explain.places import Places
from ecg4u.explain.result import (
    CriterionResult,
    Evidence,
    Feature,
    Features,
    Margin,
    Outcome,
    UndecidedBy,
)
from ecg4u.record import CLASSES, LEADS
from ecg4u.words import inside, listed

AHA_2009 = "AHA/ACCF/HRS 2009"
UDMI_4 = "Fourth Universal Definition of MI 2018"
ESC_AF = "ESC 2020 (AF)"
ACC_2018 = "ACC/AHA/HRS 2018 (bradycardia)"
CHOU = "Surawicz & Knilans, Chou's ECG, 6th ed."

CONTIGUOUS = (
    ("V1", "V2"), ("V2", "V3"), ("V3", "V4"), ("V4", "V5"), ("V5", "V6"),
    ("II", "aVF"), ("aVF", "III"), ("I", "aVL"),
)  # fmt: skip
BORDERLINE_SD = 0.5
"""A value nearer to its limit than this share of its standard uncertainty decides nothing."""
ST_BORDER_MV = 0.01
"""The same for ST levels: about the median difference between a page and its recording."""
EXACT = frozenset({"rate"})
"""Features whose uncertainty tells their spread over beats, not an error of measurement.

They are compared as they are shown, in whole numbers: 100.4 per minute is not above 100.
"""
WHY_UNDECIDED: Mapping[UndecidedBy, str] = {
    "measurement error": "within measurement error of the limit",
    "age or sex": "the limit depends on age and sex",
}
TERMINAL_MV = 0.05
"""Late forces weaker than this have no direction."""
AGAINST_R_PRIME = frozenset({"V1", "V2", "V3"})
"""Leads in which right bundle branch block lowers ST by itself."""
ST_ELEVATION_MV = 0.1
ST_DEPRESSION_MV = -0.05
Q_MV = -0.1
Q_SHARE = 0.25
"""A Q wave counts where it reaches `Q_MV` and this share of the R after it."""
ST_UPSLOPE_MV_S = 0.5
"""A depressed ST rising no faster than this (0.03 mV in 60 ms) counts as horizontal."""


@dataclass(frozen=True)
class Patient:
    """What some thresholds depend on; None where not known."""

    age: float | None = None
    sex: Literal["F", "M"] | None = None


@dataclass(frozen=True)
class Finding:
    """The outcome of one rule, with its numbers and where to look."""

    outcome: Outcome
    numbers: str
    evidence: tuple[Evidence, ...] = ()
    margin: Margin | None = None
    undecided_by: UndecidedBy | None = None


Rule = Callable[[Features, Patient, Places], Finding]


@dataclass(frozen=True)
class Criterion:
    """One published criterion. A class is met when all its ``required`` criteria are.

    ``code`` is stable and says what of a class is judged; ``name`` is how it is called.
    """

    class_name: str
    code: str
    name: str
    source: str
    threshold: str
    rule: Rule
    required: bool = True


_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le,
}  # fmt: skip


def describe(feature: Feature | None, digits: int = 0) -> str:
    """A feature's value with unit and uncertainty, or the reason why there is none."""
    if feature is None:
        return "not measured"
    if feature.value is None:
        return feature.reason or "not measured"
    text = f"{feature.value:.{digits}f}"
    if feature.uncertainty is not None and f"{feature.uncertainty:.{digits}f}".strip("0."):
        text += f" ± {feature.uncertainty:.{digits}f}"
    return f"{text}°" if feature.unit == "deg" else f"{text} {feature.unit}".strip()


def compare(name: str, sign: str, limit: float, *, first: str = "", last: str = "") -> Rule:
    """A global feature against a limit, seen between two wave boundaries."""

    def rule(features: Features, patient: Patient, places: Places) -> Finding:
        feature = features.globals.get(name)
        label = NAMES.get(name, name)
        if feature is None or feature.value is None:
            return Finding("cannot tell", f"{label}: {describe(feature)}")
        digits = 2 if abs(limit) < 5 else 0
        sd = 0.0 if name in EXACT else feature.uncertainty or 0.0
        met = _COMPARE[sign](round(feature.value) if name in EXACT else feature.value, limit)
        seen = places.any_wave(first, last) if first else places.strip()
        numbers = f"{label} {describe(feature, digits)}"
        margin = Margin(label, feature.value, limit, feature.unit, digits, sd)
        if abs(feature.value - limit) < BORDERLINE_SD * sd:
            unit = "°" if feature.unit == "deg" else f" {feature.unit}"
            numbers += f": within measurement error of {limit:.{digits}f}{unit}"
            return Finding("cannot tell", numbers, seen, margin, "measurement error")
        return Finding("met" if met else "not met", numbers, seen, margin)

    return rule


NAMES: Mapping[str, str] = {
    "rate": "Rate", "pr": "PR", "qrs": "QRS", "qt": "QT", "qtc_bazett": "QTc (Bazett)",
    "axis": "QRS axis", "p_axis": "P axis", "p_presence": "P-wave score",
    "qtc_fridericia": "QTc (Fridericia)",
    "rr_change": "Beat-to-beat RR change", "pvc": "PVCs", "pac": "PACs",
}  # fmt: skip


def between(name: str, low: float, high: float, *, first: str = "", last: str = "") -> Rule:
    """A global feature within limits."""
    above = compare(name, ">=", low, first=first, last=last)
    below = compare(name, "<=", high, first=first, last=last)

    def rule(features: Features, patient: Patient, places: Places) -> Finding:
        findings = above(features, patient, places), below(features, patient, places)
        order: tuple[Outcome, ...] = ("not met", "cannot tell", "met")
        return min(findings, key=lambda f: (order.index(f.outcome), _distance(f.margin)))

    return rule


def _distance(margin: Margin | None) -> float:
    return 0.0 if margin is None else abs(margin.value - margin.limit)


def _in_leads(
    leads: tuple[str, ...],
    test: Callable[[Features, str], tuple[bool, str] | None],
    *,
    need: Literal["any", "all"],
) -> Rule:
    """A test of single leads, needed in any or in all of those that are shown."""

    def rule(features: Features, patient: Patient, places: Places) -> Finding:
        found = {lead: test(features, lead) for lead in leads}
        known = {lead: value for lead, value in found.items() if value is not None}
        if not known:
            return Finding("cannot tell", f"{', '.join(leads)} not measurable")
        hits = [lead for lead, (met, _) in known.items() if met]
        told = hits if hits and need == "any" else list(known)
        # A criterion of one lead has it in its name.
        parts = [f"{lead}: {known[lead][1]}" if len(leads) > 1 else known[lead][1] for lead in told]
        numbers = "; ".join(parts)
        met = bool(hits) if need == "any" else len(hits) == len(known)
        unsure = not met and need == "any" and len(known) < len(leads)
        outcome: Outcome = "met" if met else "cannot tell" if unsure else "not met"
        seen = places.waves((hits or list(known))[:3], "QRS on", "QRS off", pad_s=0.04)
        return Finding(outcome, numbers, seen)

    return rule


def _rsr(features: Features, lead: str) -> tuple[bool, str] | None:
    rsr, late = features.lead_value(lead, "rsr"), features.lead_value(lead, "r_peak_time")
    area = features.lead_value(lead, "qrs_area")
    if rsr is None or area is None:
        return None
    if rsr:
        first, second = (features.lead_value(lead, n) or 0.0 for n in ("r", "r_prime"))
        return True, f"R {first:.2f} mV, then R′ {second:.2f} mV"
    notched = (features.lead_value(lead, "notches") or 0) > 0
    if lead == "V1" and late is not None and late > 50 and area > 0:
        return True, f"{'notched' if notched else 'dominant'} R, peak at {late:.0f} ms"
    return False, "no R′"


def _wide_s(features: Features, lead: str) -> tuple[bool, str] | None:
    s, width = features.lead_value(lead, "s"), features.lead_value(lead, "s_ms")
    if features.lead_value(lead, "qrs_area") is None:
        return None
    if s is None or width is None:
        return False, "no S wave"
    qrs = features.value("qrs") or 0.0
    return width > 40 or width > qrs / 2, f"S {width:.0f} ms"


def _broad_r(features: Features, lead: str) -> tuple[bool, str] | None:
    area, slur = features.lead_value(lead, "qrs_area"), features.lead_value(lead, "slurred")
    notches = features.lead_value(lead, "notches")
    if area is None or slur is None or notches is None:
        return None
    if area <= 0:
        return False, "net negative"
    late = features.lead_value(lead, "r_peak_time")
    if notches or slur:
        return True, f"{'notched' if notches else 'slurred'} R"
    if late is not None and late > 60:
        return True, f"slow R, peak at {late:.0f} ms"
    return False, "smooth R"


def _no_q(features: Features, lead: str) -> tuple[bool, str] | None:
    if features.lead_value(lead, "qrs_area") is None:
        return None
    q = features.lead_value(lead, "q")
    r = features.lead_value(lead, "r")
    if q is None or r is None:
        return (r is not None), "none" if r is not None else "no R wave"
    return q > -0.06, f"q {q:.2f} mV"


def _late_r(features: Features, lead: str) -> tuple[bool, str] | None:
    late = features.lead_value(lead, "r_peak_time")
    return None if late is None else (late > 60, f"R peak at {late:.0f} ms")


def _negative(features: Features, lead: str) -> tuple[bool, str] | None:
    area = features.lead_value(lead, "qrs_area")
    return None if area is None else (area < 0, f"QRS area {area:+.0f} mV ms")


def _late(sign: int) -> Callable[[Features, str], tuple[bool, str] | None]:
    """Whether the last 40 ms of the QRS go up (1), or not clearly so (-1).

    In left bundle branch block ST is raised in V1, which lifts the end of the QRS a little.
    """
    least = 0.0 if sign > 0 else -TERMINAL_MV

    def test(features: Features, lead: str) -> tuple[bool, str] | None:
        level = features.lead_value(lead, "terminal")
        return None if level is None else (
            sign * level > least, f"last 40 ms {level:+.2f} mV on average"
        )  # fmt: skip

    return test


def _discordant(features: Features, lead: str) -> tuple[bool, str] | None:
    area, st = features.lead_value(lead, "qrs_area"), features.lead_value(lead, "st60")
    if area is None or st is None:
        return None
    return st * area < 0, f"ST60 {st:+.2f} mV, QRS net {'positive' if area > 0 else 'negative'}"


def _ectopics(kind: Literal["PAC", "PVC"]) -> Rule:
    def rule(features: Features, patient: Patient, places: Places) -> Finding:
        beats = [b for b in features.beats if b.kind == kind]
        if len(features.beats) < 3:
            return Finding("cannot tell", "fewer than three beats shown")
        if not beats:
            return Finding("not met", f"none among {len(features.beats)} beats", places.strip())
        texts = [
            f"at {b.r_s:.2f} s: QRS {b.width_ms:.0f} ms"
            + (f", RR {100 * b.early:.0f} % of usual" if b.early is not None else "")
            for b in beats[:4]
        ]
        more = f"; and {len(beats) - 4} more" if len(beats) > 4 else ""
        return Finding("met", "; ".join(texts) + more, tuple(places.beat(b) for b in beats))

    return rule


def st_limits(lead: str, patient: Patient) -> tuple[float, float]:
    """Lowest and highest J-point limit in mV that may apply to ``lead``; equal where known.

    Fourth Universal Definition: 0.1 mV, in V2 and V3 0.2 mV (men from 40), 0.25 mV (men under 40)
    or 0.15 mV (women).
    """
    if lead not in ("V2", "V3"):
        return ST_ELEVATION_MV, ST_ELEVATION_MV
    if patient.sex == "F":
        return 0.15, 0.15
    men = (0.2, 0.25) if patient.age is None else (0.25,) * 2 if patient.age < 40 else (0.2,) * 2
    return men if patient.sex == "M" else (0.15, max(men))


def _elevation(features: Features, patient: Patient, places: Places) -> Finding:
    def state(lead: str) -> int | None:
        level = features.lead_value(lead, "j")
        if level is None:
            return None
        low, high = st_limits(lead, patient)
        return 2 if level >= high + ST_BORDER_MV else 1 if level >= low - ST_BORDER_MV else 0

    def unsure(leads: list[str]) -> UndecidedBy:
        of_patient = any(
            st_limits(x, patient)[0] - ST_BORDER_MV <= (features.lead_value(x, "j") or 0.0)
            and st_limits(x, patient)[0] < st_limits(x, patient)[1]
            for x in leads
        )
        return "age or sex" if of_patient else "measurement error"

    def beyond(lead: str) -> tuple[float, float]:
        return features.lead_value(lead, "j") or 0.0, st_limits(lead, patient)[1]

    return _pairs(features, places, state, "j", unsure, beyond)


def _depression(features: Features, patient: Patient, places: Places) -> Finding:
    def state(lead: str) -> int | None:
        j, later = features.lead_value(lead, "j"), features.lead_value(lead, "st60")
        slope = features.lead_value(lead, "st_slope")
        if j is None or later is None or slope is None:
            return None
        if slope > ST_UPSLOPE_MV_S:
            return 0
        depth = ST_DEPRESSION_MV - max(j, later)
        return 2 if depth >= ST_BORDER_MV else 1 if depth >= -ST_BORDER_MV else 0

    def beyond(lead: str) -> tuple[float, float]:
        j, later = (features.lead_value(lead, name) or 0.0 for name in ("j", "st60"))
        return max(j, later), ST_DEPRESSION_MV

    return _pairs(features, places, state, "st60", lambda leads: "measurement error", beyond)


def _corrected_qt(features: Features, patient: Patient, places: Places) -> Finding:
    """QTc against the limit of the patient's sex, against the higher one where it is not known.

    Bazett's formula corrects too much at fast rates and too little at slow ones: where it and
    Fridericia's differ about the limit nothing is decided.
    """
    limit = QTC_MS["M" if patient.sex == "M" else "F"]
    bazett, fridericia = (
        compare(name, "<", limit, first="QRS on", last="T off")(features, patient, places)
        for name in ("qtc_bazett", "qtc_fridericia")
    )
    if bazett.outcome == fridericia.outcome:
        return bazett
    return replace(
        bazett,
        outcome="cannot tell",
        numbers=f"{bazett.numbers}, {fridericia.numbers}",
        undecided_by=bazett.undecided_by or fridericia.undecided_by,
    )


def _upright_t(features: Features, patient: Patient, places: Places) -> Finding:
    known = upright_t_waves(features)
    if not known:
        return Finding("cannot tell", f"{', '.join(UPRIGHT_T)} not measurable")
    inverted = inverted_t_waves(features)
    numbers = heights_in_words(inverted or known)
    seen = places.waves(list(inverted)[:4], "QRS off", "T off")
    return Finding("not met" if inverted else "met", numbers, seen)


def upright_t_waves(features: Features) -> dict[str, float]:
    """Heights in mV of the T waves that are upright by nature, where they are measured."""
    heights = {lead: features.lead_value(lead, "t") for lead in UPRIGHT_T}
    return {lead: t for lead, t in heights.items() if t is not None}


def inverted_t_waves(features: Features) -> dict[str, float]:
    """Those of `upright_t_waves` that are inverted."""
    known = upright_t_waves(features)
    return {lead: t for lead, t in known.items() if round(t, 2) <= INVERTED_T_MV}


def heights_in_words(heights: Mapping[str, float]) -> str:
    """Waves in mV by their leads."""
    return ", ".join(f"{lead} {height:+.2f} mV" for lead, height in heights.items())


def q_waves(features: Features) -> dict[str, float]:
    """Q waves in mV as of an infarction, of contiguous leads; V1 and aVR have them by nature."""
    deep = {
        lead: q
        for lead in LEADS
        if lead not in ("V1", "aVR")
        and (q := features.lead_value(lead, "q")) is not None
        and q <= min(Q_MV, -Q_SHARE * (features.lead_value(lead, "r") or 0.0))
    }
    beside = {lead for pair in CONTIGUOUS if deep.keys() >= set(pair) for lead in pair}
    return {lead: q for lead, q in deep.items() if lead in beside}


def q_waves_in_words(features: Features, found: Mapping[str, float]) -> str:
    """Those of `q_waves`; a complex without any R wave is a QS."""
    return ", ".join(
        f"{lead} {'' if features.lead_value(lead, 'r') else 'QS '}{q:+.2f} mV"
        for lead, q in found.items()
    )


def _no_q_waves(features: Features, patient: Patient, places: Places) -> Finding:
    found = q_waves(features)
    numbers = q_waves_in_words(features, found) or "none in contiguous leads"
    seen = places.waves(list(found)[:4], "QRS on", "QRS off", pad_s=0.02)
    if found and (features.value("qrs") or 0.0) >= WIDE_QRS_MS:
        return Finding("cannot tell", f"{numbers}: not judged in a wide QRS", seen)
    return Finding("not met" if found else "met", numbers, seen)


def _pairs(
    features: Features,
    places: Places,
    state: Callable[[str], int | None],
    level: str,
    unsure: Callable[[list[str]], UndecidedBy],
    beyond: Callable[[str], tuple[float, float]],
) -> Finding:
    """Two contiguous leads: both surely (2), perhaps (1), or not (0) beyond the limit.

    ``beyond`` gives a lead's level and its limit, for the margin of what is met.
    """
    states = {lead: state(lead) for pair in CONTIGUOUS for lead in pair}
    both = [
        (a, b, min(states[a] or 0, states[b] or 0))
        for a, b in CONTIGUOUS
        if states[a] is not None and states[b] is not None
    ]
    if not both:
        return Finding("cannot tell", "no two contiguous leads measurable")
    best = max(value for _, _, value in both)
    hits = list(dict.fromkeys(x for a, b, v in both if v == best and best > 0 for x in (a, b)))
    shown = (
        hits
        or sorted(
            (lead for lead in states if states[lead] is not None),
            key=lambda lead: abs(beyond(lead)[0] - beyond(lead)[1]),
        )[:2]
    )
    numbers = ", ".join(_level_in_words(features, x, level) for x in shown)
    seen = places.waves(shown, "QRS off", "T off")
    if best == 1:
        reason = unsure(hits)
        numbers = f"{numbers}: {WHY_UNDECIDED[reason]}"
        return Finding("cannot tell", numbers, seen, undecided_by=reason)
    if best < 1:
        unknown = [
            lead
            for pair in CONTIGUOUS
            if None in (states[pair[0]], states[pair[1]]) and 0 not in map(states.get, pair)
            for lead in pair
            if states[lead] is None
        ]
        if unknown:
            names = listed(list(dict.fromkeys(unknown)))
            return Finding("cannot tell", f"{names} not measurable; {numbers} elsewhere", seen)
        return Finding("not met", numbers, seen)
    a, b = max(
        ((a, b) for a, b, value in both if value == 2),
        key=lambda pair: min(abs(x - limit) for x, limit in map(beyond, pair)),
    )
    weaker = min((a, b), key=lambda x: abs(beyond(x)[0] - beyond(x)[1]))
    value, limit = beyond(weaker)
    what = f"the ST level in {weaker} (weaker lead of the strongest pair, {a} and {b})"
    return Finding("met", numbers, seen, Margin(what, value, limit, "mV", 2, 0.02))


def _level_in_words(features: Features, lead: str, level: str) -> str:
    """The ST level that a criterion goes by; for ST 60 ms after J the J point beside it."""
    value, j = features.lead_value(lead, level) or 0.0, features.lead_value(lead, "j")
    if level == "j":
        return f"{lead} J {value:+.2f} mV"
    at_j = "" if j is None else f"J {j:+.2f}, "
    return f"{lead} {at_j}J+60 ms {value:+.2f} mV"


CRITERIA: tuple[Criterion, ...] = (
    Criterion("Normal", "sinus_p", "Sinus P waves", AHA_2009,
              "P axis 0 to 75°, ± 15° for measurement error",
              between("p_axis", *P_AXIS_DEG, first="P on", last="P off")),
    Criterion("Normal", "rate", "Rate", AHA_2009, "50 to 100 /min", between("rate", *RATE_PER_MIN)),
    Criterion("Normal", "pr", "PR", AHA_2009, "120 to 200 ms",
              between("pr", *PR_MS, first="P on", last="QRS on")),
    Criterion("Normal", "qrs_duration", "QRS duration", AHA_2009, "< 120 ms",
              compare("qrs", "<", WIDE_QRS_MS, first="QRS on", last="QRS off")),
    Criterion("Normal", "axis", "QRS axis", AHA_2009, "-30 to 90°",
              between("axis", *AXIS_DEG, first="QRS on", last="QRS off")),
    Criterion("Normal", "q_waves", "Q waves", UDMI_4,
              "no Q >= 0.1 mV and >= 1/4 of R in two contiguous leads", _no_q_waves),
    Criterion("Normal", "t_waves", "T waves", AHA_2009,
              "not inverted (-0.1 mV) in I, II and V3 to V6", _upright_t),
    Criterion("Normal", "qtc", "QTc", AHA_2009,
              "< 460 ms, in men < 450 ms, by Bazett and Fridericia", _corrected_qt),
    Criterion("AF", "no_p", "No P waves", ESC_AF, "no consistent P waves (score < 0.5)",
              compare("p_presence", "<", P_PRESENT, first="P on", last="QRS on")),
    Criterion("AF", "irregular_rr", "Irregular RR", ESC_AF,
              f"median beat-to-beat RR change >= {100 * IRREGULAR:.0f} %",
              compare("rr_change", ">=", IRREGULAR)),
    Criterion("I-AVB", "pr", "Prolonged PR", ACC_2018, "> 200 ms",
              compare("pr", ">", PR_MS[1], first="P on", last="QRS on")),
    Criterion("LBBB", "qrs_duration", "QRS duration", AHA_2009, ">= 120 ms",
              compare("qrs", ">=", WIDE_QRS_MS, first="QRS on", last="QRS off")),
    Criterion("LBBB", "broad_r", "Broad notched or slurred R", AHA_2009, "in I, aVL, V5 or V6",
              _in_leads(("I", "aVL", "V5", "V6"), _broad_r, need="any")),
    Criterion("LBBB", "no_q", "No q", AHA_2009, "in I, V5 and V6",
              _in_leads(("I", "V5", "V6"), _no_q, need="all")),
    Criterion("LBBB", "late_r_peak", "Late R peak", AHA_2009, "> 60 ms in V5 or V6",
              _in_leads(("V5", "V6"), _late_r, need="any"), required=False),
    Criterion("LBBB", "v1_negative", "V1 net negative", AHA_2009, "rS or QS in V1",
              _in_leads(("V1",), _negative, need="any")),
    Criterion("LBBB", "no_terminal_r", "No terminal R in V1", AHA_2009,
              "terminal QRS not positive in V1", _in_leads(("V1",), _late(-1), need="any")),
    Criterion("LBBB", "st_discordant", "Discordant ST", AHA_2009, "in I, V5, V6",
              _in_leads(("I", "V5", "V6"), _discordant, need="any"), required=False),
    Criterion("RBBB", "qrs_duration", "QRS duration", AHA_2009, ">= 120 ms",
              compare("qrs", ">=", WIDE_QRS_MS, first="QRS on", last="QRS off")),
    Criterion("RBBB", "r_prime", "rSR′ or late R", AHA_2009,
              "rsr′, rsR′, rSR′ or late R in V1 or V2", _in_leads(("V1", "V2"), _rsr, need="any")),
    Criterion("RBBB", "terminal_r", "Rightward terminal forces", AHA_2009,
              "terminal QRS positive in V1 or V2", _in_leads(("V1", "V2"), _late(1), need="any")),
    Criterion("RBBB", "wide_s", "Wide S", AHA_2009, "S longer than R or > 40 ms in I or V6",
              _in_leads(("I", "V6"), _wide_s, need="any")),
    Criterion("PAC", "premature_beat", "Premature beat of usual shape", CHOU,
              "RR < 85 % of the usual RR", _ectopics("PAC")),
    Criterion("PVC", "premature_beat", "Premature wide beat", CHOU,
              "different shape, QRS >= 120 ms or 25 ms wider than usual", _ectopics("PVC")),
    Criterion("STD", "st_depression", "ST depression", UDMI_4,
              "horizontal or downsloping >= 0.05 mV in two contiguous leads", _depression),
    Criterion("STE", "st_elevation", "ST elevation", UDMI_4,
              "J >= 0.1 mV in two contiguous leads; V2-V3 by sex and age", _elevation),
)  # fmt: skip


def parts_of(results: tuple[CriterionResult, ...], class_name: str) -> list[CriterionResult]:
    """The single criteria of a class."""
    return [r for r in results if r.class_name == class_name and not r.decides]


def stated(row: CriterionResult, form: str = "{} ({})") -> str:
    """A criterion with what was measured, in a sentence: "no q (V6: q -0.2 mV)", "rate 27 /min".

    Numbers that begin with a word of the criterion's name stand for themselves.
    """
    first = row.numbers.split(" ")[0].casefold()
    numbers = inside(row.numbers)
    if first in row.name.casefold().split(" "):
        return numbers
    return form.format(inside(row.name), numbers)


def decision(results: tuple[CriterionResult, ...], class_name: str) -> CriterionResult:
    """The one result that sums up the criteria of a class."""
    return next(r for r in results if r.class_name == class_name and r.decides)


def criterion(results: tuple[CriterionResult, ...], class_name: str, code: str) -> CriterionResult:
    """One criterion of a class."""
    return next(r for r in results if (r.class_name, r.code) == (class_name, code))


def undecided(criteria: tuple[CriterionResult, ...]) -> dict[str, CriterionResult]:
    """Classes left undecided by a value close to its limit or by an unknown age or sex, and it."""
    found: dict[str, CriterionResult] = {}
    for decides in (c for c in criteria if c.decides and c.outcome == "cannot tell"):
        near = [
            c
            for c in parts_of(criteria, decides.class_name)
            if c.outcome == "cannot tell" and c.undecided_by is not None
        ]
        if near:
            found[decides.class_name] = near[0]
    return found


def evaluate(features: Features, patient: Patient, places: Places) -> tuple[CriterionResult, ...]:
    """Every criterion, then for each class the one result that decides."""
    results: list[CriterionResult] = []
    decided: dict[str, Outcome] = {}
    for name in ("LBBB", "RBBB", "AF", "I-AVB", "PAC", "PVC", "STD", "STE"):
        rows = _evaluate_class(name, features, patient, places, decided)
        decided[name] = rows[-1].outcome
        results += rows
    results = _exclude(results, features)
    decided |= {row.class_name: row.outcome for row in results if row.decides}
    results += _evaluate_class("Normal", features, patient, places, decided)
    return tuple(sorted(results, key=lambda row: CLASSES.index(row.class_name)))


def _evaluate_class(
    name: str,
    features: Features,
    patient: Patient,
    places: Places,
    decided: Mapping[str, Outcome],
) -> list[CriterionResult]:
    rules = [c for c in CRITERIA if c.class_name == name]
    findings = [c.rule(features, patient, places) for c in rules]
    rows = [
        CriterionResult(name, c.code, c.name, c.source, c.threshold, f.outcome, f.numbers,
                        f.evidence, required=c.required, margin=f.margin,
                        undecided_by=f.undecided_by)
        for c, f in zip(rules, findings, strict=True)
    ]  # fmt: skip
    needed = [f.outcome for c, f in zip(rules, findings, strict=True) if c.required]
    outcome = _all_of(needed)
    count = f"{sum(o == 'met' for o in needed)} of {len(needed)} required criteria met"
    note = findings[0].numbers if len(rules) == 1 else count
    if name in ("STD", "STE") and outcome == "met" and decided.get("LBBB") == "met":
        outcome = "cannot tell"
        note = "ST limits do not apply in left bundle branch block"
    elif name == "STD" and outcome == "met" and decided.get("RBBB") == "met":
        leads = {place.lead for f in findings for place in f.evidence}
        if leads and leads <= AGAINST_R_PRIME:
            outcome = "cannot tell"
            note = "secondary to right bundle branch block in V1 to V3"
    elif name == "I-AVB" and outcome == "cannot tell" and decided.get("AF") == "met":
        outcome, note = "not met", "no PR interval without P waves"
    if name == "Normal":
        others = [c for c, value in decided.items() if value == "met"]
        if others:
            own = "its own criteria are all met" if outcome == "met" else note
            outcome, note = "not met", f"excluded by {', '.join(others)}; {own}"
    seen = tuple(dict.fromkeys(e for f in findings for e in f.evidence))[:6]
    rows.append(
        CriterionResult(name, "conclusion", "Conclusion", rules[0].source, "all required criteria",
                        outcome, note, seen, decides=True)
    )  # fmt: skip
    return rows


def _exclude(rows: list[CriterionResult], features: Features) -> list[CriterionResult]:
    """Where both bundle branches would be blocked, the late forces in V1 decide, or nothing does.

    With both branches blocked nothing would be conducted: the shapes exclude each other.
    """
    blocks = [r for r in rows if r.decides and r.class_name in ("LBBB", "RBBB")]
    possible = [r for r in blocks if r.outcome != "not met"]
    if len(possible) < 2:
        return rows
    late = features.lead_value("V1", "terminal")
    clear = late is not None and abs(late) >= TERMINAL_MV
    loser = "LBBB" if clear and (late or 0.0) > 0 else "RBBB" if clear else None
    if loser is not None:
        where = "positive" if loser == "LBBB" else "negative"
        note = f"excluded: terminal QRS {where} in V1, {late:+.2f} mV"
    else:
        note = "patterns of LBBB and RBBB, which exclude each other; V1 is inconclusive"

    def guarded(row: CriterionResult) -> CriterionResult:
        if not (row.decides and row.class_name in ("LBBB", "RBBB")):
            return row
        if loser is None:
            return replace(row, outcome="cannot tell", numbers=note)
        if row.class_name == loser:
            return replace(row, outcome="not met", numbers=note)
        return row

    return [guarded(row) for row in rows]


def _all_of(outcomes: list[Outcome]) -> Outcome:
    if "not met" in outcomes:
        return "not met"
    return "cannot tell" if "cannot tell" in outcomes else "met"
