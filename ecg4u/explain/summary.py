"""The answer in order of weight: urgent findings, the nine classes, other findings, doubts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ecg4u.explain.criteria import q_waves, q_waves_in_words, undecided
from ecg4u.explain.findings import no_q_wave_in
from ecg4u.explain.limits import BORDERLINE_QRS_MS
from ecg4u.words import CLASS_TITLES, capital, class_title, percent

if TYPE_CHECKING:
    from ecg4u.digitize.result import Digitization
    from ecg4u.explain.result import CriterionResult, Explanation, MeasuredFinding
    from ecg4u.messages import Message
    from ecg4u.model import Classification, ClassResult

LIKELY = 0.5
"""Below this probability a class that reaches its threshold is possible only."""
POOR_SENSITIVITY = 0.5
"""Where the network sees fewer of a finding's recordings than this, that is said."""
SAID_ALREADY = {"STE": "st_elevation"}
"""Classes that an urgent finding tells in more detail."""
CRITERIA_WORDS = {
    "met": "measured criteria met",
    "not met": "measured criteria not met",
    "cannot tell": "measured criteria indeterminate",
}
SIGNAL_WORDS = {
    "ok": "Signal usable; no class is close to its threshold.",
    "uncertain": "Signal usable, with reservations:",
    "unreadable": "Signal not usable as an ECG:",
}
"""What the verdict of a classification means: it speaks of the signal, not of the heart."""

OTHER_TITLES = {
    "pacemaker": "Paced rhythm",
    "incomplete RBBB": "Incomplete right bundle branch block",
    "complete RBBB": "Complete right bundle branch block",
}
MEASURED_TOO = {
    "sinus tachycardia": {"tachycardia", "tachycardia_very_fast", "wide_complex_tachycardia"},
    "sinus bradycardia": {"bradycardia", "bradycardia_severe"},
    "complete RBBB": {"RBBB"},
    "low voltage": {"low_voltage_limb"},
    "long QT": {"qtc_prolonged", "qtc_over_500"},
    "T wave inversion": {"t_inverted"},
    "pathological Q wave": {"q_waves"},
}
"""Other findings of the network, and the lines that tell the same."""
UNJUDGED = (
    *("anterior infarction", "inferior infarction", "lateral infarction"),
    *("left anterior fascicular block", "left posterior fascicular block"),
)
"""Other findings that a ventricle with another order of activation cannot show: infarctions by
`ecg4u.explain.findings.no_q_wave_in`; fascicular blocks have a QRS under 120 ms
(AHA/ACCF/HRS 2009, JACC 53:976)."""
PACED = "pacemaker"
GRADED = {"missing": "not found", "poor": "poorly read", "fair": "read with some doubt"}
"""Leads of a grade that is not good."""

Kind = Literal["urgent", "class", "other", "open", "normal", "none", "unreadable", "doubt"]
Certainty = Literal["likely", "possible", ""]


@dataclass(frozen=True)
class Line:
    """One line of the summary: what it is, how sure, and on what it rests.

    ``code`` is a class or the code of a measured finding; "" for doubts.
    """

    kind: Kind
    title: str
    certainty: Certainty = ""
    detail: str = ""
    code: str = ""

    def __str__(self) -> str:
        sure = f" ({self.certainty})" if self.certainty else ""
        detail = f": {self.detail}" if self.detail else ""
        return f"{self.title}{sure}{detail}"


def summarize(
    classification: Classification | None,
    explanation: Explanation | None = None,
    digitization: Digitization | None = None,
) -> tuple[Line, ...]:
    """What to read first, in order: urgent, classes, other findings, doubts.

    Parameters
    ----------
    classification : Classification or None
        The network's answer.
    explanation : Explanation or None
        Measured findings and criteria; without it only the network speaks.
    digitization : Digitization or None
        The page that the signals were read from: its grade and its scale may raise doubts.
    """
    if classification is not None and classification.verdict == "unreadable":
        return (Line("unreadable", "Not readable as an ECG", "", " ".join(classification.reasons)),)
    findings = explanation.findings if explanation else ()
    urgent = [f for f in findings if f.level == "urgent"]
    criteria = {c.class_name: c for c in explanation.criteria if c.decides} if explanation else {}
    lines = [_measured(found, classification) for found in urgent]
    told = {f.code for f in urgent}
    classes = list(_classes(classification, criteria, told))
    lines += classes
    lines += [_measured(found, None) for found in findings if found.level == "other"]
    other_order = _other_order(classification, explanation)
    skipped = UNJUDGED if other_order else ()
    lines += _beyond_the_nine(classification, {line.code for line in lines}, skipped)
    lines += _unjudged(classification, explanation, other_order)
    lines += _open(explanation, {line.code for line in lines})
    lines += _normal_or_none(classification, lines, criteria.get("Normal"))
    return (*lines, *_doubts(classification, page_doubt(digitization)))


def reliability(row: ClassResult) -> str:
    """A warning where the network misses more than half of a class; "" elsewhere."""
    if not row.sensitivity < POOR_SENSITIVITY:
        return ""
    if row.sensitivity == 0:
        return "the network found none of the test recordings with this finding"
    return f"the network finds only {percent(row.sensitivity)} of the recordings with this finding"


def _measured(found: MeasuredFinding, opinion: Classification | None) -> Line:
    kind: Kind = "urgent" if found.level == "urgent" else "other"
    parts = [found.numbers, found.note]
    for name, code in SAID_ALREADY.items():
        if opinion is not None and found.code == code:
            row = next((r for r in opinion.results if r.name == name), None)
            parts.append("" if row is None else f"network {percent(row.probability)}")
    return Line(kind, found.title, found.certainty, "; ".join(filter(None, parts)), found.code)


def _classes(
    opinion: Classification | None, criteria: dict[str, CriterionResult], told: set[str]
) -> Iterator[Line]:
    """The nine classes without Normal: likely ones first, each with network and criteria."""
    met = {name for name, row in criteria.items() if row.outcome == "met"} - {"Normal"}
    said = {name for name, code in SAID_ALREADY.items() if code in told}
    rows = () if opinion is None else opinion.results
    shown = [r for r in rows if r.name != "Normal" and r.name not in said]
    shown = [r for r in shown if r.positive or r.name in met]
    for row in sorted(shown, key=lambda r: (not _likely(r, r.name in met), -r.probability)):
        judged = criteria.get(row.name)
        parts = [f"network {percent(row.probability)}, threshold {percent(row.threshold)}"]
        if judged is not None:
            parts.append(CRITERIA_WORDS[judged.outcome])
        if row.probability < LIKELY:
            parts.append(reliability(row))
        sure: Certainty = "likely" if _likely(row, row.name in met) else "possible"
        detail = "; ".join(filter(None, parts))
        yield Line("class", class_title(row.name), sure, detail, row.name)


def _likely(row: ClassResult, met: bool) -> bool:
    return row.positive and (row.probability >= LIKELY or met)


def _other_order(opinion: Classification | None, explanation: Explanation | None) -> str:
    """What activates the ventricles in another order, by measurement or network; "" for nothing."""
    if explanation is not None:
        measured = no_q_wave_in(explanation.features, explanation.criteria)
        if measured:
            return measured
    width = None if explanation is None else explanation.features.value("qrs")
    if opinion is None or (width is not None and width < BORDERLINE_QRS_MS):
        return ""
    likely = {r.name for r in opinion.results if r.positive and r.probability >= LIKELY}
    if "LBBB" in likely:
        return CLASS_TITLES["LBBB"]
    return "paced rhythm" if any(r.name == PACED for r in _positive_others(opinion)) else ""


def _positive_others(opinion: Classification | None) -> list[ClassResult]:
    rows: tuple[ClassResult, ...] = getattr(opinion, "other_findings", ())
    return sorted((r for r in rows if r.positive), key=lambda r: -r.probability)


def _unjudged(
    opinion: Classification | None, explanation: Explanation | None, other_order: str
) -> Iterator[Line]:
    """What would be findings, were the ventricles activated in their usual order."""
    if not other_order:
        return
    parts = [
        f"{r.name} (network {percent(r.probability)})"
        for r in _positive_others(opinion)
        if r.name in UNJUDGED
    ]
    found = {} if explanation is None else q_waves(explanation.features)
    if explanation is not None and found:
        parts.append(f"Q waves ({q_waves_in_words(explanation.features, found)})")
    if parts:
        yield Line("open", f"Cannot be judged in {other_order}", "", ", ".join(parts))


def _beyond_the_nine(
    opinion: Classification | None, told: set[str], skipped: Sequence[str]
) -> Iterator[Line]:
    """Other findings by the network, where no measured finding or class tells them already."""
    for row in _positive_others(opinion):
        if row.name in skipped:
            continue
        if MEASURED_TOO.get(row.name, ()) and told.intersection(MEASURED_TOO[row.name]):
            continue
        sure: Certainty = "likely" if row.probability >= LIKELY else "possible"
        title = OTHER_TITLES.get(row.name, capital(row.name))
        detail = f"network {percent(row.probability)}, threshold {percent(row.threshold)}"
        if row.name == "incomplete RBBB" and "RBBB" in told:
            sure, title = "", "The right bundle branch block may be incomplete"
            detail += "; the QRS duration decides"
        yield Line("other", title, sure, detail, row.name)


def _open(explanation: Explanation | None, told: set[str]) -> Iterator[Line]:
    """Classes left open by a value within measurement error of its limit, or by age or sex."""
    if explanation is None:
        return
    parts = [
        f"{CLASS_TITLES[name]} ({row.numbers})"
        for name, row in undecided(explanation.criteria).items()
        if name != "Normal" and name not in told
    ]
    if parts:
        yield Line("open", "Indeterminate by measurement", "", "; ".join(parts))


def _normal_or_none(
    opinion: Classification | None, lines: Sequence[Line], criteria: CriterionResult | None
) -> Iterator[Line]:
    """Normal where nothing speaks against it; that nothing was found only where that is so."""
    if opinion is None:
        return
    normal = next((r for r in opinion.results if r.name == "Normal"), None)
    network = "" if normal is None else f"network {percent(normal.probability)}"
    if normal is not None and normal.positive:
        if all(line.kind == "open" for line in lines):
            yield Line("normal", "Normal ECG", "likely", network, "Normal")
        elif any(line.kind in ("urgent", "class") for line in lines):
            yield Line(
                "doubt",
                "The network also rates this ECG as normal",
                "",
                f"{network}, which contradicts the findings above",
                "Normal",
            )
        else:
            yield Line("normal", "Otherwise a normal ECG", "likely", network, "Normal")
    elif not any(r.positive for r in opinion.results) and not any(
        line.kind == "class" for line in lines
    ):
        if any(line.kind != "open" for line in lines):
            yield Line("none", "The network finds none of its nine classes")
        else:
            met = criteria is not None and criteria.outcome == "met"
            parts = ["measured criteria of a normal ECG met" if met else "", f"normal: {network}"]
            title = "None of the abnormalities checked for was found"
            yield Line("none", title, "", "; ".join(filter(None, parts)))


def _doubts(opinion: Classification | None, page: str) -> Iterator[Line]:
    if opinion is not None and opinion.reasons:
        yield Line("doubt", "Reservations", "", " ".join(opinion.reasons))
    if page:
        yield Line("doubt", "Page", "", page)


def page_doubt(page: Digitization | None) -> str:
    """Why the signals themselves may be wrong; "" where nothing says so."""
    if page is None:
        return ""
    reasons = [] if page.grade == "good" else [_graded(r) for r in page.grade_reasons]
    if page.calibration.gain_from == "assumed":
        reasons.append(f"gain assumed to be {page.calibration.gain_mm_per_mv:g} mm/mV")
    if not reasons:
        return ""
    return f"read with reservations ({'; '.join(reasons)}), so check the numbers too"


def _graded(reason: Message) -> str:
    if reason.code != "leads_graded":
        return reason
    grade, leads = reason.parameters["grade"], reason.parameters["leads"]
    assert isinstance(leads, list)
    return f"{GRADED[str(grade)]}: {', '.join(leads)}"


def signal_line(opinion: Classification) -> str:
    """The verdict in words: whether the signal may be relied on, and what speaks against it."""
    return " ".join((SIGNAL_WORDS[opinion.verdict], *opinion.reasons))


def first_line(lines: Sequence[Line]) -> str:
    """The summary in one line for a table: the titles of what was found."""
    heads = [
        line.title + (" ?" if line.certainty == "possible" else "")
        for line in lines
        if line.kind not in ("open", "doubt")
    ]
    return "; ".join(heads)
