"""The parts of the report, in the order in which a clinician reads: words, figure, numbers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from ecg4u.report.markup import Markup, join, number, tag
from ecg4u.report.names import CLASS_TITLES, DISCLAIMER, SECTIONS, VERDICTS
from ecg4u.report.view import (
    AttributionView,
    ClassRow,
    CriterionRow,
    Facts,
    FeatureRow,
    Opinion,
    Reasons,
    Sentence,
    Share,
)

MAX_BARS = 12


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


def notice() -> Markup:
    """What this is and what it is not."""
    return tag("p", DISCLAIMER, cls="notice")


def verdict(opinion: Opinion | None, conflicts: Sequence[str]) -> Markup:
    """The answer in a line: which classes, how sure, and where the parts disagree."""
    if opinion is None:
        return Markup("")
    positive = [row for row in opinion.classes if row.positive]
    found = (
        join(
            tag(
                "li",
                tag("strong", CLASS_TITLES.get(row.name, row.name)),
                tag("span", f"probability {percent(row.probability)}", cls="quiet"),
            )
            for row in sorted(positive, key=lambda row: -row.probability)
        )
        if opinion.verdict != "unreadable"
        else None
    )
    none = opinion.verdict != "unreadable" and not positive
    return tag(
        "div",
        tag("h2", "The network finds"),
        tag("ul", found, cls="found") if found else None,
        tag("p", "None of its nine classes.", cls="found") if none else None,
        tag("p", VERDICTS.get(opinion.verdict, ""), " ", " ".join(opinion.reasons), cls="quiet"),
        _conflicts(conflicts),
        attrs={"class": f"verdict {opinion.verdict}", "role": "status"},
    )


def _conflicts(conflicts: Sequence[str]) -> Markup | None:
    if not conflicts:
        return None
    return tag(
        "div",
        tag("h3", "Look again"),
        tag("ul", *(tag("li", conflict) for conflict in conflicts)),
        cls="conflicts",
    )


def reading(sentences: Sequence[Sentence]) -> Markup:
    """The reading in standard order; a sentence with a place on the trace is a button to it."""
    numbered = list(enumerate(sentences, start=1))
    order = {name: i for i, name in enumerate(SECTIONS)}
    numbered.sort(key=lambda pair: order.get(pair[1].section, len(order)))
    groups = groupby(numbered, key=lambda pair: pair[1].section)
    return tag(
        "dl",
        *(
            tag(
                "div",
                tag("dt", name),
                *(tag("dd", _sentence(n, sentence)) for n, sentence in group),
            )
            for name, group in groups
        ),
        cls="reading",
    ) if numbered else Markup("")


def _sentence(n: int, sentence: Sentence) -> Markup:
    if not sentence.evidence:
        return tag("p", sentence.text)
    places = ";".join(
        f"{place.lead or '*'},{number(place.start_s, 3)},{number(place.end_s, 3)}"
        for place in sentence.evidence
    )
    return join(
        [
            tag(
                "button",
                sentence.text,
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


def classes(opinion: Opinion) -> Markup:
    """All nine classes: probability against threshold, and how often the network is right."""
    head = tag(
        "tr",
        *(
            tag("th", text, attrs={"scope": "col"}, cls=cls)
            for text, cls in (
                ("Class", ""),
                ("Probability", "number"),
                ("", "bar-cell"),
                ("Threshold", "number"),
                ("Sensitivity", "number"),
                ("Specificity", "number"),
                ("Call", ""),
            )
        ),
    )
    return join(
        [
            tag("div", tag("table", tag("thead", head), tag("tbody", *map(_class_row, opinion.classes))), cls="wide"),
            tag(
                "p",
                "Each class is judged on its own; several can be present. The upright stroke marks "
                "the threshold. Sensitivity and specificity are those of the threshold on "
                "recordings that the network was not trained on.",
                cls="quiet",
            ),
        ]
    )


def _class_row(row: ClassRow) -> Markup:
    near = not row.positive and row.probability >= 0.5 * row.threshold
    call = "present" if row.positive else "near the threshold" if near else "not found"
    return tag(
        "tr",
        tag("th", CLASS_TITLES.get(row.name, row.name), " ", tag("abbr", row.name),
            attrs={"scope": "row"}),
        tag("td", percent(row.probability), cls="number"),
        tag("td", _probability_bar(row), cls="bar-cell"),
        tag("td", percent(row.threshold), cls="number"),
        tag("td", percent(row.sensitivity), cls="number"),
        tag("td", percent(row.specificity), cls="number"),
        tag("td", call),
        cls="positive" if row.positive else "",
    )


def _probability_bar(row: ClassRow) -> Markup:
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


def why(reasons: Reasons) -> Markup:
    """Which leads and which moments moved the network, with base value and additivity."""
    by_class = groupby(
        sorted(reasons.attributions, key=lambda view: view.class_name),
        key=lambda view: view.class_name,
    )
    return join(_attribution(name, list(views)) for name, views in by_class)


def _attribution(class_name: str, views: Sequence[AttributionView]) -> Markup:
    return tag(
        "article",
        tag("h3", CLASS_TITLES.get(class_name, class_name)),
        tag(
            "div",
            *(
                tag("figure", tag("figcaption", f"By {view.kind}"), _bars(view), _account(view))
                for view in views
            ),
            cls="side-by-side",
        ),
        cls="why",
    )


def _bars(view: AttributionView) -> Markup:
    """Bars left (against) and right (for) of nought, in the players' own order."""
    shares = view.shares
    if len(shares) > 2 * MAX_BARS:
        strongest = sorted(shares, key=lambda share: -abs(share.value))[:MAX_BARS]
        shares = tuple(share for share in shares if share in strongest)
    peak = max((abs(share.value) + (share.error or 0.0) for share in shares), default=1.0) or 1.0
    return tag("table", tag("tbody", *(_bar_row(share, peak) for share in shares)), cls="shares")


def _bar_row(share: Share, peak: float) -> Markup:
    length = 50 * abs(share.value) / peak
    start = 50.0 if share.value >= 0 else 50 - length
    end = 50 + 50 * share.value / peak
    spread = 50 * (share.error or 0.0) / peak
    bar = tag(
        "svg",
        tag("path", attrs={"class": "nought", "d": "M50 0V10"}),
        tag(
            "rect",
            attrs={
                "class": "for" if share.value >= 0 else "against",
                "x": start,
                "y": 1,
                "width": length,
                "height": 8,
            },
        ),
        tag("path", attrs={"class": "spread", "d": f"M{number(end - spread)} 5H{number(end + spread)}"}),
        attrs={"viewBox": "0 0 100 10", "preserveAspectRatio": "none", "aria-hidden": "true"},
    )
    return tag(
        "tr",
        tag("th", share.label, attrs={"scope": "row"}),
        tag("td", bar, cls="bar-cell"),
        tag("td", f"{share.value:+.2f}", cls="number"),
    )


def _account(view: AttributionView) -> Markup:
    total = sum(share.value for share in view.shares)
    return tag(
        "p",
        f"Log-odds with nothing shown {view.base:+.2f}; the parts add {total:+.2f}; with the whole "
        f"ECG {view.total:+.2f} (probability {percent(probability(view.total))}). "
        f"Additivity error {view.additivity_error:.0e}.",
        cls="quiet",
    )


def criteria(rows: Sequence[CriterionRow]) -> Markup:
    """The published criteria beside the numbers measured here."""
    if not rows:
        return Markup("")
    marks = {"met": "● met", "not met": "○ not met"}
    head = tag("tr", *(tag("th", text, attrs={"scope": "col"})
                       for text in ("Class", "Criterion", "Here", "Outcome")))
    body = (
        tag(
            "tr",
            tag("th", row.class_name, attrs={"scope": "row"}),
            tag("td", row.name, tag("span", row.source, cls="source") if row.source else None),
            tag("td", row.numbers),
            tag("td", marks.get(row.outcome, f"? {row.outcome}"), cls="outcome"),
            cls=row.outcome.replace(" ", "-"),
        )
        for row in rows
    )
    return tag("div", tag("table", tag("thead", head), tag("tbody", *body), cls="criteria"),
               cls="wide")


def features(rows: Sequence[FeatureRow]) -> Markup:
    """What was measured, or why it could not be."""
    if not rows:
        return Markup("")
    body = (
        tag(
            "tr",
            tag("th", row.name, attrs={"scope": "row"}),
            tag("td", f"{row.value} {row.unit}".strip() or "–", cls="number"),
            tag("td", row.note, cls="quiet"),
        )
        for row in rows
    )
    return tag("div", tag("table", tag("tbody", *body), cls="features"), cls="wide")


def small_print(facts: Facts) -> Markup:
    """Page, calibration, versions and timings."""
    rows = [*facts.rows]
    rows += [(f"Version of {name}", version) for name, version in facts.versions.items()]
    rows += [(f"Time: {name}", f"{seconds:.2f} s") for name, seconds in facts.timings_s.items()]
    if not rows:
        return Markup("")
    return tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in rows),
               cls="facts")


def warnings(lines: Sequence[str]) -> Markup:
    """What may be wrong with this reading."""
    return tag("ul", *(tag("li", line) for line in lines)) if lines else Markup("")


def percent(share: float | None) -> str:
    """A probability for reading: whole percents, and never a false 0 % or 100 %."""
    if share is None:
        return "–"
    if 0 < share < 0.005:
        return "< 1 %"
    if 0.995 < share < 1:
        return "> 99 %"
    return f"{100 * share:.0f} %"


def probability(log_odds: float) -> float:
    """The logistic function, safe for large arguments."""
    import math

    bounded = min(max(log_odds, -60.0), 60.0)
    return 1 / (1 + math.exp(-bounded))
