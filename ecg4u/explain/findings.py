"""What the measurements find whatever the network says: urgent findings first, then the others.

Sources: ACC/AHA/HRS guideline on bradycardia 2018 (Kusumoto et al., JACC 74:e51); AHA/ACCF/HRS
recommendations 2009 (Rautaharju et al., JACC 53:982); Fourth Universal Definition of Myocardial
Infarction 2018; ACC/AHA/HRS guideline on supraventricular tachycardia 2015 (wide-complex
tachycardia: over 100 per minute, QRS of 120 ms or more).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from ecg4u.explain.criteria import (
    AGAINST_R_PRIME,
    ST_ELEVATION_MV,
    Patient,
    criterion,
    decision,
    describe,
    heights_in_words,
    inverted_t_waves,
    q_waves,
    q_waves_in_words,
)
from ecg4u.explain.limits import (
    IRREGULAR,
    P_PRESENT,
    POOR_P,
    QTC_MS,
    RATE_PER_MIN,
    WIDE_QRS_MS,
    axis_deviation,
)
from ecg4u.explain.places import Places
from ecg4u.explain.result import CriterionResult, Features, MeasuredFinding
from ecg4u.record import LEADS
from ecg4u.words import CLASS_TITLES, capital, listed

WIDE_FAST = 120
"""Per minute; from here a wide-complex rhythm is urgent even where P waves seem to precede it."""
ESCAPE_NARROW, ESCAPE_WIDE = 50, 60
"""Per minute, below which a regular rhythm without P waves before a narrow or wide QRS is slow."""
VERY_FAST, VERY_SLOW = 150, 40
"""Per minute: rates at which the rate itself is urgent."""
LOOK_ALIKES = "early repolarization, pericarditis, hypertrophy or an aneurysm can look similar"
ST_CLEAR_MV = 0.05
"""ST elevation this far above its limit in two contiguous leads is no matter of reading error."""
SGARBOSSA_RATIO = 0.25
"""ST elevation against the QRS over the depth of S (Smith et al. 2012, Ann Emerg Med 60:766)."""
PAUSE_S = 3.0
"""ACC/AHA/HRS 2018: a pause over 3 s is significant."""
QTC_URGENT_MS = 500.0
"""Risk of torsades rises sharply above 500 ms (AHA/ACCF 2010, JACC 55:934)."""
LOW_LIMB_MV = 0.5
"""Low voltage: the QRS spans less than this in every limb lead."""
SURE_SD = 1.0
"""A value beyond its limit by this share of its standard uncertainty is clear."""


@dataclass(frozen=True, eq=False)
class _Case:
    """What the rules look at."""

    features: Features
    criteria: tuple[CriterionResult, ...]
    places: Places
    patient: Patient

    def value(self, name: str) -> float | None:
        return self.features.value(name)

    def met(self, name: str) -> bool:
        return decision(self.criteria, name).outcome == "met"

    @property
    def wide(self) -> bool:
        return (self.value("qrs") or 0.0) >= WIDE_QRS_MS

    @property
    def surely_wide(self) -> bool:
        return surely_wide(self.features)

    @property
    def p_before_qrs(self) -> bool:
        return p_before_qrs(self.features)

    @property
    def rhythm(self) -> str:
        change = self.value("rr_change")
        if change is None:
            return "regularity not known"
        return "irregular" if change >= IRREGULAR else "regular"


def surely_wide(features: Features) -> bool:
    """Whether the QRS is wide by more than its uncertainty."""
    qrs = features.globals.get("qrs")
    if qrs is None:
        return False
    return (qrs.value or 0.0) - SURE_SD * (qrs.uncertainty or 0.0) >= WIDE_QRS_MS


def p_before_qrs(features: Features) -> bool:
    """Whether a P wave was marked before the QRS and repeats from beat to beat."""
    present, correlation = features.value("p_presence"), features.value("p_correlation")
    marked = features.waves_s.get("P on") is not None and features.value("pr") is not None
    return marked and (present or 0.0) >= P_PRESENT and (correlation or 0.0) >= POOR_P


def no_q_wave_in(features: Features, criteria: tuple[CriterionResult, ...]) -> str:
    """In what rhythm or block Q waves tell nothing of an infarction here; "" where they may.

    The Fourth Universal Definition lists Q waves of a prior infarction in the absence of left
    bundle branch block (table 3; the same holds in right ventricular pacing), for the first forces
    of the QRS are then not those of the septum. A ventricular rhythm and pre-excitation begin
    elsewhere, too. In right bundle branch block the first forces are as ever.
    """
    met = {c.class_name for c in criteria if c.decides and c.outcome == "met"}
    if "LBBB" in met:
        return CLASS_TITLES["LBBB"]
    if not surely_wide(features):
        return ""
    if round(features.value("rate") or 0.0) > RATE_PER_MIN[1] and not p_before_qrs(features):
        return "a wide-complex tachycardia"
    if "RBBB" in met:
        return ""
    return "a wide QRS other than right bundle branch block"


def measured_findings(
    features: Features,
    criteria: tuple[CriterionResult, ...],
    places: Places,
    patient: Patient,
) -> tuple[MeasuredFinding, ...]:
    """Urgent findings, then the others outside the nine classes, each with numbers and certainty.

    Parameters
    ----------
    features, criteria, places
        What was measured, how the published criteria judge it, and where it can be seen.
    patient : Patient
        Age and sex where known.
    """
    if not features.beats:
        return ()
    case = _Case(features, criteria, places, patient)
    urgent = sorted(
        (found for rule in URGENT for found in rule(case)), key=lambda f: f.certainty != "likely"
    )
    others = [found for rule in OTHERS for found in rule(case)]
    told = {found.code for found in urgent}
    return (*urgent, *(found for found in others if not told & REPLACED.get(found.code, set())))


def _st_elevation(case: _Case) -> Iterator[MeasuredFinding]:
    row = criterion(case.criteria, "STE", "st_elevation")
    if row.outcome != "met":
        return
    raised = list(dict.fromkeys(e.lead for e in row.evidence if e.lead))
    numbers, sure, note = row.numbers, True, LOOK_ALIKES
    if case.wide and not case.met("RBBB"):
        # A wide QRS raises ST against itself: only what goes beyond that is a finding.
        raised = [lead for lead in raised if _beyond_discordance(case.features, lead)]
        if not raised:
            return
        numbers = ", ".join(_ratio_in_words(case.features, lead) for lead in raised)
        sure, note = False, "more than the wide QRS explains (modified Sgarbossa criteria)"
    elif case.met("RBBB") and set(raised) <= AGAINST_R_PRIME:
        sure, note = False, "the J point is hard to place in right bundle branch block"
    yield MeasuredFinding(
        "st_elevation",
        "urgent",
        f"ST elevation in {leads_in_words(raised)}{walls(raised)}"
        if raised
        else "ST elevation in contiguous leads",
        numbers,
        "likely" if sure and case.met("STE") and _clearly_beyond(row) else "possible",
        note,
        tuple(e for e in row.evidence if e.lead in raised),
    )


def _clearly_beyond(row: CriterionResult) -> bool:
    margin = row.margin
    return margin is not None and margin.value - margin.limit >= ST_CLEAR_MV


def _beyond_discordance(features: Features, lead: str) -> bool:
    """Whether ST rises with the QRS, or against it by a quarter of the S wave or more."""
    area, j = features.lead_value(lead, "qrs_area"), features.lead_value(lead, "j")
    if area is None or j is None or j < ST_ELEVATION_MV:
        return False
    if area > 0:
        return True
    depth = _depth(features, lead)
    return depth is not None and depth >= ST_ELEVATION_MV and j >= SGARBOSSA_RATIO * depth


def _depth(features: Features, lead: str) -> float | None:
    """Depth of the deepest negative QRS wave in mV, as a positive number."""
    waves = [features.lead_value(lead, name) or 0.0 for name in ("q", "s")]
    return -min(waves) if min(waves) < 0 else None


def _ratio_in_words(features: Features, lead: str) -> str:
    j, depth = features.lead_value(lead, "j") or 0.0, _depth(features, lead)
    concordant = (features.lead_value(lead, "qrs_area") or 0.0) > 0
    against = "concordant" if concordant or depth is None else f"S {depth:.2f} mV"
    return f"{lead} J {j:+.2f} mV ({against})"


def _wide_tachycardia(case: _Case) -> Iterator[MeasuredFinding]:
    rate = case.value("rate")
    if rate is None or not case.wide or round(rate) <= RATE_PER_MIN[1]:
        return
    plain = case.surely_wide and not case.p_before_qrs and case.rhythm == "regular"
    if round(rate) < WIDE_FAST and not plain:
        return
    likely = case.surely_wide and not case.p_before_qrs
    if case.p_before_qrs:
        note = (
            "P waves seem to precede the QRS: possibly sinus tachycardia with bundle branch block"
        )
    elif case.rhythm == "irregular":
        note = "atrial fibrillation with aberrant conduction or pre-excitation, or polymorphic VT"
    else:
        note = "ventricular tachycardia until proven otherwise"
    yield MeasuredFinding(
        "wide_complex_tachycardia",
        "urgent",
        f"Wide-complex tachycardia, {rate:.0f} per minute",
        f"QRS {describe(case.features.globals['qrs'])}, {case.rhythm}, "
        + (
            "P waves before the QRS" if case.p_before_qrs else "no P wave identified before the QRS"
        ),
        "likely" if likely else "possible",
        note,
        case.places.strip(),
    )


def _escape_rhythm(case: _Case) -> Iterator[MeasuredFinding]:
    """A slow regular rhythm that no P waves precede: the ventricles go their own way.

    In complete AV block P waves march through the QRS complexes: they may be seen, but what
    precedes the QRS never repeats. With fibrillating atria a regular slow rhythm means the same.
    Of 96 slow regular recordings of sinus bradycardia (train and valid), one is called so.
    """
    rate, present = case.value("rate"), case.value("p_presence")
    if rate is None or present is None or case.rhythm != "regular":
        return
    if present >= P_PRESENT and (case.value("p_correlation") or 0.0) >= POOR_P:
        return
    if round(rate) >= (ESCAPE_WIDE if case.surely_wide else ESCAPE_NARROW):
        return
    yield MeasuredFinding(
        "escape_rhythm",
        "urgent",
        f"Slow regular rhythm without conducted P waves, {rate:.0f} per minute",
        f"QRS {describe(case.features.globals['qrs'])}, beat-to-beat correlation before the QRS "
        f"{case.value('p_correlation') or 0.0:.2f}",
        "possible",
        "complete AV block or another cause of an escape rhythm: look for P waves marching through",
        case.places.strip(),
    )


def _extreme_rate(case: _Case) -> Iterator[MeasuredFinding]:
    rate = case.value("rate")
    if rate is None:
        return
    if round(rate) >= VERY_FAST and not case.wide:
        yield MeasuredFinding(
            "tachycardia_very_fast",
            "urgent",
            f"Tachycardia, {rate:.0f} per minute",
            f"QRS {describe(case.features.globals['qrs'])}, {case.rhythm}",
            "likely",
            ""
            if case.p_before_qrs
            else "no P wave identified before the QRS: supraventricular tachycardia, atrial "
            "flutter or atrial fibrillation",
            case.places.strip(),
        )
    if round(rate) < VERY_SLOW:
        yield MeasuredFinding(
            "bradycardia_severe",
            "urgent",
            f"Severe bradycardia, {rate:.0f} per minute",
            f"{len(case.features.beats)} beats, {case.rhythm}",
            "likely",
            "",
            case.places.strip(),
        )


def _pause(case: _Case) -> Iterator[MeasuredFinding]:
    beats = case.features.beats
    gaps = [
        (after.r_s - before.r_s, before, after)
        for before, after in pairwise(beats)
        if after.early is not None
    ]
    longest = max(gaps, key=lambda gap: gap[0], default=None)
    if longest is None or longest[0] < PAUSE_S:
        return
    seconds, before, after = longest
    lead = case.places.rhythm_lead()
    place = case.places.span(lead, before.r_s, after.r_s)
    yield MeasuredFinding(
        "pause",
        "urgent",
        f"Pause of {seconds:.1f} s",
        f"from {before.r_s:.1f} to {after.r_s:.1f} s",
        "likely" if place else "possible",
        "",
        place,
    )


def _long_qt(case: _Case) -> Iterator[MeasuredFinding]:
    bazett, fridericia = (case.features.globals[n] for n in ("qtc_bazett", "qtc_fridericia"))
    if bazett.value is None or fridericia.value is None:
        return
    if min(bazett.value, fridericia.value) <= QTC_URGENT_MS:
        return
    sure = min(bazett.value, fridericia.value) - SURE_SD * (bazett.uncertainty or 0.0)
    yield MeasuredFinding(
        "qtc_over_500",
        "urgent",
        f"QTc {min(bazett.value, fridericia.value):.0f} ms, over 500 ms",
        f"{bazett.value:.0f} ms (Bazett), {fridericia.value:.0f} ms (Fridericia), "
        f"± {bazett.uncertainty or 0.0:.0f} ms",
        "likely" if sure > QTC_URGENT_MS and not case.wide else "possible",
        "the wide QRS itself prolongs the QT" if case.wide else "",
        case.places.any_wave("QRS on", "T off"),
    )


def _slow_or_fast(case: _Case) -> Iterator[MeasuredFinding]:
    rate = case.value("rate")
    slowest, fastest = RATE_PER_MIN
    if rate is None or slowest <= round(rate) <= fastest:
        return
    fast = round(rate) > fastest
    sinus = "Sinus " if case.p_before_qrs and case.rhythm == "regular" else ""
    word = f"{sinus}{'tachycardia' if fast else 'bradycardia'}"
    yield MeasuredFinding(
        "tachycardia" if fast else "bradycardia",
        "other",
        word[0].upper() + word[1:],
        f"{rate:.0f} per minute, {case.rhythm}",
        "likely",
        "",
        case.places.strip(),
    )


def _prolonged_qt(case: _Case) -> Iterator[MeasuredFinding]:
    row = criterion(case.criteria, "Normal", "qtc")
    if row.outcome != "not met":
        return
    sex = case.patient.sex
    yield MeasuredFinding(
        "qtc_prolonged",
        "other",
        "Prolonged QTc",
        f"{describe(case.features.globals['qtc_bazett'])} (Bazett), "
        f"{case.value('qtc_fridericia') or 0.0:.0f} ms (Fridericia)",
        "likely" if sex is not None and not case.wide else "possible",
        "the wide QRS itself prolongs the QT"
        if case.wide
        else ""
        if sex is not None
        else f"limit {QTC_MS['F']:.0f} ms in women, {QTC_MS['M']:.0f} ms in men",
        row.evidence,
    )


def _wide_qrs(case: _Case) -> Iterator[MeasuredFinding]:
    if not case.wide or case.met("LBBB") or case.met("RBBB"):
        return
    if criterion(case.criteria, "Normal", "qrs_duration").outcome == "cannot tell":
        return
    yield MeasuredFinding(
        "qrs_wide",
        "other",
        "Wide QRS of indeterminate morphology",
        describe(case.features.globals["qrs"]),
        "likely" if case.surely_wide else "possible",
        "intraventricular conduction delay, pacing or pre-excitation",
        case.places.any_wave("QRS on", "QRS off"),
    )


def _axis(case: _Case) -> Iterator[MeasuredFinding]:
    row, axis = criterion(case.criteria, "Normal", "axis"), case.value("axis")
    if axis is None or row.outcome != "not met":
        return
    side = axis_deviation(axis)
    yield MeasuredFinding(
        f"axis_{side}",
        "other",
        f"{capital(side)} axis deviation",
        f"{axis:.0f}°",
        "likely",
        "",
        row.evidence,
    )


def _q_waves(case: _Case) -> Iterator[MeasuredFinding]:
    found = q_waves(case.features)
    leads = list(found)
    if not leads or no_q_wave_in(case.features, case.criteria):
        return
    yield MeasuredFinding(
        "q_waves",
        "other",
        f"Pathological Q waves in {leads_in_words(leads)}{walls(leads)}",
        q_waves_in_words(case.features, found),
        "possible" if case.wide else "likely",
        "infarction, age undetermined",
        case.places.waves(leads[:4], "QRS on", "QRS off", pad_s=0.02),
    )


def _inverted_t(case: _Case) -> Iterator[MeasuredFinding]:
    inverted = inverted_t_waves(case.features)
    leads = list(inverted)
    if not leads:
        return
    yield MeasuredFinding(
        "t_inverted",
        "other",
        f"T-wave inversion in {leads_in_words(leads)}",
        heights_in_words(inverted),
        "likely",
        "secondary to the wide QRS" if case.wide else "",
        case.places.waves(leads[:4], "QRS off", "T off"),
    )


def _low_voltage(case: _Case) -> Iterator[MeasuredFinding]:
    spans = [_span(case.features, lead) for lead in LEADS[:6]]
    known = [span for span in spans if span is not None]
    if len(known) == len(spans) and max(known) < LOW_LIMB_MV:
        yield MeasuredFinding(
            "low_voltage_limb",
            "other",
            "Low QRS voltage in the limb leads",
            f"largest {max(known):.2f} mV, limit {LOW_LIMB_MV:.1f} mV",
            "likely",
        )


def _span(features: Features, lead: str) -> float | None:
    """QRS amplitude in mV from its lowest to its highest wave; None where not measured."""
    if features.lead_value(lead, "qrs_area") is None:
        return None
    waves = [features.lead_value(lead, name) or 0.0 for name in ("q", "r", "s", "r_prime")]
    return max(waves) - min(*waves, 0.0)


URGENT = (_st_elevation, _wide_tachycardia, _escape_rhythm, _extreme_rate, _pause, _long_qt)
OTHERS = (
    _slow_or_fast, _wide_qrs, _prolonged_qt, _q_waves, _inverted_t, _axis, _low_voltage,
)  # fmt: skip
REPLACED = {
    "tachycardia": {"wide_complex_tachycardia", "tachycardia_very_fast"},
    "bradycardia": {"bradycardia_severe", "escape_rhythm"},
    "qtc_prolonged": {"qtc_over_500"},
    "qrs_wide": {"wide_complex_tachycardia"},
}
"""Findings that an urgent one already tells."""

TERRITORIES = {
    "anterior": ("V1", "V2", "V3", "V4"),
    "lateral": ("I", "aVL", "V5", "V6"),
    "inferior": ("II", "III", "aVF"),
}


def walls(leads: list[str]) -> str:
    """The walls of the left ventricle that ``leads`` face, in brackets; "" for none."""
    facing = [wall for wall, own in TERRITORIES.items() if len(set(own) & set(leads)) >= 2]
    return f" ({listed(facing)})" if facing else ""


def leads_in_words(leads: list[str]) -> str:
    """Leads in the usual order, three or more neighbouring chest leads as a range: V2-V5."""
    ordered = [lead for lead in LEADS if lead in leads]
    out: list[str] = []
    chest = [int(lead[1]) for lead in ordered if lead[0] == "V"]
    out += [lead for lead in ordered if lead[0] != "V"]
    while chest:
        run = [chest.pop(0)]
        while chest and chest[0] == run[-1] + 1:
            run.append(chest.pop(0))
        out += [f"V{run[0]}-V{run[-1]}"] if len(run) > 2 else [f"V{n}" for n in run]
    return listed(out)
