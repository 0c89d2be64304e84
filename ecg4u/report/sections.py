"""The parts of the report, in the order in which a clinician reads: words, figure, numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from ecg4u.explain.summary import LIKELY
from ecg4u.report.gather import Facts, FeatureRow, LeadTable
from ecg4u.report.markup import Attribute, Markup, join, number, tag
from ecg4u.report.names import CLASS_TITLES, DISCLAIMER, SECTIONS
from ecg4u.texts import SOURCE, current, in_digits

if TYPE_CHECKING:
    from ecg4u.explain.result import Attribution, Contrast, CriterionResult, Sentence
    from ecg4u.model import Classification, ClassResult

WEAK_AGREEMENT = 0.7
EXACTLY = 1e-12
"""Sums of floating-point numbers are not told to be more exact than this."""
MAX_BARS = 12
"""Of more than twice as many players only the strongest are listed."""
KINDS = {
    "leads": "By lead",
    "waves": "By wave",
    "beats": "By beat",
    "windows": "By time",
    "blocks": "By lead and time (strongest only)",
}


def section(identifier: str, heading: str, *children: Markup | str | None) -> Markup:
    """A section with its heading, or nothing where there is nothing to show."""
    shown = [child for child in children if child]
    if not shown:
        return Markup("")
    return tag(
        "section",
        tag("h2", heading, attrs={"id": f"{identifier}-heading"}),
        *shown,
        attrs={"id": identifier, "aria-labelledby": f"{identifier}-heading"},
    )


def _wide(label: str, table: Markup) -> Markup:
    """A table that may be wider than the screen, to be scrolled sideways by keyboard too."""
    return tag(
        "div", table, attrs={"tabindex": "0", "role": "group", "aria-label": label}, cls="wide"
    )


def tied(text: str) -> str:
    """``text`` with each number bound to its unit, each signed one to the word before it and "J" to
    its lead, so that no line ends between them."""
    ends = r"(?<=\d) (?=(?:%|ms|mV|mm|s|px)\b|%)|(?<=\w) (?=[+-]\d)|(?<=\w) (?=J[ +][+\-\d])"
    return re.sub(ends, "\u00a0", text)


def english() -> dict[str, Attribute]:
    """Of what stays English in a report of another language, so that it is spoken so."""
    return {"lang": "en"} if current().language != SOURCE else {}


def notice() -> Markup:
    """What this is and what it is not."""
    first, rest = DISCLAIMER.split(". ", 1)
    return tag("p", f"{first}. ", tag("span", rest, cls="wide-only"), cls="notice")


def reading(sentences: Sequence[Sentence]) -> Markup:
    """The reading in standard order; a sentence with a place on the trace is a button to it."""
    numbered = list(enumerate(sentences, start=1))
    order = {name: i for i, name in enumerate(SECTIONS)}
    numbered.sort(key=lambda pair: order.get(pair[1].section, len(order)))
    groups = groupby(numbered, key=lambda pair: pair[1].section)
    return (
        tag(
            "dl",
            *(
                tag(
                    "div",
                    tag("dt", name),
                    *(tag("dd", _sentence(n, sentence), attrs=english()) for n, sentence in group),
                )
                for name, group in groups
            ),
            cls="reading",
        )
        if numbered
        else Markup("")
    )


def _sentence(n: int, sentence: Sentence) -> Markup:
    if not sentence.evidence:
        return tag("p", tied(sentence.text))
    places = ";".join(
        f"{place.lead or '*'},{number(place.start_s, 3)},{number(place.end_s, 3)}"
        for place in sentence.evidence
    )
    return join(
        [
            tag(
                "button",
                tied(sentence.text),
                " ",
                tag("sup", n, attrs={"aria-hidden": "true"}),
                attrs={
                    "type": "button",
                    "class": "sentence",
                    "data-n": n,
                    "data-places": places,
                    "aria-expanded": "false",
                    "aria-controls": f"lens-{n}",
                },
            ),
            tag("div", attrs={"class": "lens", "id": f"lens-{n}", "hidden": True}),
        ]
    )


def classes(opinion: Classification) -> Markup:
    """All nine classes: probability against threshold, and the performance at it."""
    if opinion.verdict == "unreadable":
        return Markup("")
    head = tag(
        "tr",
        *(
            tag("th", text, attrs={"scope": "col"}, cls=cls) if text else tag("td", cls=cls)
            for text, cls in (
                ("Class", ""),
                ("Probability", "number"),
                ("", "bar-cell"),
                ("Threshold", "number"),
                ("Call", ""),
                ("Sensitivity", "number extra"),
                ("Specificity", "number extra"),
            )
        ),
    )
    return join(
        [
            _wide(
                "Probability of each class",
                tag("table", tag("thead", head), tag("tbody", *map(_class_row, opinion.results))),
            ),
            tag(
                "p",
                "Each class is judged on its own; several can be present. The vertical line marks "
                "the threshold. Sensitivity and specificity were measured at the threshold on "
                "recordings not used for training; “none found” there means that no "
                "recording with this finding reached the threshold, so a low probability does not "
                "rule it out.",
                cls="quiet",
            ),
        ]
    )


def _class_row(row: ClassResult) -> Markup:
    called = "likely" if row.probability >= LIKELY else "possible"
    call = called if row.positive else "just below threshold" if row.close else "unlikely"
    return tag(
        "tr",
        tag(
            "th",
            CLASS_TITLES.get(row.name, row.name),
            " ",
            tag("abbr", row.name),
            attrs={"scope": "row"},
        ),
        tag("td", percent(row.probability), cls="number"),
        tag("td", _probability_bar(row), cls="bar-cell"),
        tag("td", percent(row.threshold), cls="number"),
        tag("td", call, cls="call"),
        tag("td", _found(row.sensitivity), cls="number extra"),
        tag("td", percent(row.specificity), cls="number extra"),
        cls="positive" if row.positive else "",
    )


def _found(sensitivity: float) -> str:
    """A sensitivity; none at all says so, since "0 %" reads as if a class were excluded."""
    return "none found" if sensitivity == 0 else percent(sensitivity)


def _probability_bar(row: ClassResult) -> Markup:
    width, at = 100 * row.probability, 100 * row.threshold
    return tag(
        "svg",
        tag("rect", attrs={"class": "track", "width": 100, "height": 8}),
        tag("rect", attrs={"class": "fill", "width": width, "height": 8}),
        tag("path", attrs={"class": "tick", "d": f"M{number(at)} -2V10"}),
        attrs={
            "class": "bar",
            "viewBox": "0 -2 100 12",
            "preserveAspectRatio": "none",
            "aria-hidden": "true",
        },
    )


def why(attributions: Sequence[Attribution]) -> Markup:
    """Which leads and which moments moved the network, with base value and additivity."""
    names = dict.fromkeys(view.class_name for view in attributions)
    return join(
        _attribution(name, [view for view in attributions if view.class_name == name])
        for name in names
    )


def _attribution(class_name: str, views: Sequence[Attribution]) -> Markup:
    ordered = sorted(views, key=lambda view: tuple(KINDS).index(view.kind))
    pictures = (tag("figure", tag("figcaption", _kind(view)), _bars(view)) for view in ordered)
    return tag(
        "article",
        tag("h3", CLASS_TITLES.get(class_name, class_name)),
        _account(ordered),
        tag("div", *pictures, cls="side-by-side"),
        cls="why",
    )


def _kind(view: Attribution) -> str:
    """What the players are, and what stands in their place when they are left out."""
    if view.baseline == "hidden":
        return KINDS[view.kind]
    return f"{KINDS[view.kind]}, against this ECG’s usual beat"


def _bars(view: Attribution) -> Markup:
    """Bars left (against) and right (for) of nought, in the players' own order."""
    shares = list(zip(view.players, view.values, view.errors, strict=True))
    if len(shares) > 2 * MAX_BARS:
        strongest = sorted(abs(value) for value in view.values)[-MAX_BARS]
        shares = [share for share in shares if abs(share[1]) >= strongest]
    peak = max((abs(value) + error for _, value, error in shares), default=1.0) or 1.0
    return tag(
        "table",
        tag("tbody", *(_bar_row(player.label, v / peak, e / peak, v) for player, v, e in shares)),
        cls="shares",
    )


def _bar_row(label: str, length: float, spread: float, value: float) -> Markup:
    """One bar; ``length`` (signed) and ``spread`` are parts of half the width."""
    end = 50 + 50 * length
    bar = tag(
        "svg",
        tag("path", attrs={"class": "nought", "d": "M50 0V10"}),
        tag(
            "rect",
            attrs={
                "class": "for" if value >= 0 else "against",
                "x": min(50.0, end),
                "y": 1,
                "width": abs(end - 50),
                "height": 8,
            },
        ),
        tag(
            "path",
            attrs={
                "class": "spread",
                "d": f"M{number(end - 50 * spread)} 5H{number(end + 50 * spread)}",
            },
        )
        if spread
        else None,
        attrs={"viewBox": "0 0 100 10", "preserveAspectRatio": "none", "aria-hidden": "true"},
    )
    return tag(
        "tr",
        tag("th", label, attrs={"scope": "row"}),
        tag("td", bar, cls="bar-cell"),
        tag("td", in_digits(f"{value:+.2f}"), cls="number"),
    )


def _account(views: Sequence[Attribution]) -> Markup:
    """Base value, what the parts add, the whole: once where all kinds of player share them."""
    lines: dict[str, list[str]] = {}
    for view in views:
        least = (
            "nothing shown" if view.baseline == "hidden" else "every beat replaced by the usual one"
        )
        line = (
            f"{view.base_value:+.2f} with {least}, {view.total:+.2f} with the whole ECG, a "
            f"difference of {view.total - view.base_value:+.2f}"
        )
        name = _kind(view)
        lines.setdefault(line, []).append(name[0].lower() + name[1:])
    told = [
        line if i == 0 else f"{', '.join(kinds)}: {line}"
        for i, (line, kinds) in enumerate(lines.items())
    ]
    words = f"In log-odds: {'; '.join(told)}."
    worst = max(view.additivity_error for view in views)
    return tag(
        "p",
        words,
        f" The parts' values sum to the difference to within {max(worst, EXACTLY):.0e}.",
        _second_baseline(views),
        cls="quiet",
    )


def _second_baseline(views: Sequence[Attribution]) -> str:
    """How far the order of the leads hangs on what stands in for a lead that is left out."""
    agreement = next((view.agreement for view in views if view.agreement is not None), None)
    if agreement is None:
        return ""
    weak = "" if agreement >= WEAK_AGREEMENT else ", so do not rely on the values of single leads"
    return (
        " If hidden leads are replaced by flat lines instead, the ranking of the leads has a rank "
        f"correlation of {agreement:.2f} with this one{weak}."
    )


def contrasts(found: Sequence[Contrast]) -> Markup:
    """For each class: which measured change, or which edit of the tracing, would turn it."""
    names = dict.fromkeys(c.class_name for c in found)
    return (
        tag(
            "dl",
            *(
                tag(
                    "div",
                    tag("dt", CLASS_TITLES.get(name, name)),
                    *(
                        tag("dd", tied(c.text), attrs=english())
                        for c in found
                        if c.class_name == name
                    ),
                )
                for name in names
            ),
            cls="reading",
        )
        if found
        else Markup("")
    )


def criteria(rows: Sequence[CriterionResult]) -> Markup:
    """The published criteria beside the numbers measured here, a class's verdict first."""
    if not rows:
        return Markup("")
    names = list(dict.fromkeys(row.class_name for row in rows))
    ordered = sorted(rows, key=lambda row: (names.index(row.class_name), not row.decides))
    head = tag(
        "tr",
        *(
            tag("th", text, attrs={"scope": "col"})
            for text in ("Class", "Criterion", "Measured here", "Outcome")
        ),
    )
    return _wide(
        "Criteria and what was measured",
        tag("table", tag("thead", head), tag("tbody", *map(_criterion, ordered)), cls="criteria"),
    )


def _criterion(row: CriterionResult) -> Markup:
    marks = {"met": "● met", "not met": "○ not met", "cannot tell": "? cannot tell"}
    return tag(
        "tr",
        tag("th", row.class_name if row.decides else "", attrs={"scope": "row"}),
        tag(
            "td",
            row.name,
            tag("span", f"{row.threshold}", cls="threshold") if row.threshold else None,
            tag("span", row.source, cls="source") if row.source else None,
        ),
        tag("td", row.numbers),
        tag("td", marks[row.outcome], cls="outcome"),
        cls=row.outcome.replace(" ", "-") + (" decides" if row.decides else ""),
    )


def features(rows: Sequence[FeatureRow], leads: LeadTable | None) -> Markup:
    """What was measured, or why it could not be; then lead by lead."""
    if not rows:
        return Markup("")
    body = (
        tag(
            "tr",
            tag("th", row.name, attrs={"scope": "row"}),
            tag("td", row.value or "–", cls="number"),
            tag("td", row.note, cls="quiet"),
        )
        for row in rows
    )
    table = tag("table", tag("tbody", *body), cls="features")
    return join([_wide("Measured features", table), _lead_table(leads) if leads else None])


def _lead_table(leads: LeadTable) -> Markup:
    head = tag(
        "tr",
        tag("th", "Lead", attrs={"scope": "col"}),
        *(tag("th", name, attrs={"scope": "col"}, cls="number") for name in leads.columns),
    )
    body = (
        tag(
            "tr",
            tag("th", row[0], attrs={"scope": "row"}),
            *(tag("td", text, cls="number") for text in row[1:]),
        )
        for row in leads.rows
    )
    return tag(
        "details",
        tag("summary", "Lead by lead"),
        _wide("Features of each lead", tag("table", tag("thead", head), tag("tbody", *body))),
        attrs={"open": True},
    )


def small_print(facts: Facts) -> Markup:
    """Page, calibration and versions."""
    rows = [*facts.rows]
    rows += [(f"Version of {name}", version) for name, version in facts.versions.items()]
    if not rows:
        return Markup("")
    return tag(
        "dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in rows), cls="facts"
    )


def warnings(lines: Sequence[str]) -> Markup:
    """What may be wrong with this reading."""
    return (
        tag("ul", *(tag("li", tied(line)) for line in lines), attrs=english())
        if lines
        else Markup("")
    )


def percent(share: float | None) -> str:
    """A probability for reading: whole percents, and never a false 0 % or 100 %."""
    if share is None:
        return "–"
    if 0 < share < 0.005:
        return "<\u00a01\u00a0%"
    if 0.995 < share < 1:
        return ">\u00a099\u00a0%"
    return f"{100 * share:.0f}\u00a0%"
