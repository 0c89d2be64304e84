"""The report as one HTML file that asks nothing of the network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from ecg4u.analysis import check_analysis
from ecg4u.explain.summary import summarize
from ecg4u.report import figure, figure_layers, headline, sections
from ecg4u.report.gather import facts, feature_rows, lead_table, warning_lines
from ecg4u.report.markup import Attribute, Markup, join, number, tag
from ecg4u.texts import DRAFT, SOURCE, current, in_language, translated
from ecg4u.words import class_title

if TYPE_CHECKING:
    from ecg4u.analysis import Analysis
    from ecg4u.explain.result import Attribution, Explanation

LEADS_BY_PAIR = ("I", "V1", "II", "V2", "III", "V3", "aVR", "V4", "aVL", "V5", "aVF", "V6")
CELL_S = 2.5
"""Seconds of each lead shown side by side on a phone."""


@cache
def style() -> str:
    """The style sheet that every report holds."""
    return _resource("style.css")


@cache
def script() -> str:
    """The script that every report holds."""
    return _resource("script.js")


def _resource(name: str) -> str:
    return (resources.files("ecg4u.report") / name).read_text(encoding="utf-8")


def csp_hash(text: str) -> str:
    """The source expression that lets a content-security policy admit exactly ``text``."""
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def content_security_policy() -> str:
    """A policy under which the report works and nothing else does: no request leaves the page."""
    return (
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; "
        f"style-src {csp_hash(style())}; script-src {csp_hash(script())}"
    )


def render(
    analysis: Analysis,
    *,
    title: str | None = None,
    page_image: bool = True,
    language: str = SOURCE,
) -> str:
    """The report of an analysis as one self-contained HTML document.

    Parameters
    ----------
    analysis : Analysis
        Whatever parts it has are shown: a record alone gives the twelve signals.
    title : str, optional
        Heading of the report; it is never taken from the page.
    page_image : bool
        Whether the report includes the picture of the page, which may show a name.
    language : str
        Language of headings, labels and classes, one of `ecg4u.texts.LANGUAGES`; findings and
        reasons stay in English.

    Returns
    -------
    str
        HTML with style, script and images inside; the same bytes for the same analysis.
    """
    check_analysis(analysis)
    with in_language(language):
        return _rendered(analysis, title, page_image)


def _rendered(analysis: Analysis, title: str | None, page_image: bool) -> str:
    heading = title or "12-lead ECG"
    said, why = analysis.classification, analysis.explanation
    parts = [
        _top(analysis, why),
        _page(analysis) if page_image else None,
        sections.section("classes", "The nine classes", sections.classes(said)) if said else None,
        _details(analysis, why),
    ]
    body = join(
        [
            tag("header", tag("h1", heading), sections.notice(), _draft()),
            tag("main", *parts),
            tag(
                "footer",
                "Made by ecg4u. Research and teaching aid, not a medical device.",
            ),
        ]
    )
    return _document(heading, body)


def _draft() -> Markup | None:
    return tag("p", DRAFT, cls="quiet") if current().draft else None


def _document(heading: str, body: Markup) -> str:
    head = join(
        [
            tag("meta", attrs={"charset": "utf-8"}),
            tag(
                "meta",
                attrs={
                    "http-equiv": "Content-Security-Policy",
                    "content": content_security_policy(),
                },
            ),
            tag(
                "meta", attrs={"name": "viewport", "content": "width=device-width, initial-scale=1"}
            ),
            tag("meta", attrs={"name": "referrer", "content": "no-referrer"}),
            tag("title", heading),
            Markup(f"<style>{style()}</style>"),
        ]
    )
    page = join(
        [
            tag("head", head),
            tag("body", body, Markup(f"<script>{script()}</script>"), attrs=_said_by_script()),
        ]
    )
    return "<!doctype html>\n" + tag("html", page, attrs={"lang": current().language}) + "\n"


def _said_by_script() -> dict[str, Attribute]:
    words = {
        "open": "Open all details",
        "close": "Close all details",
        "more": "Show the full reading",
    }
    return {f"data-{name}": translated(text) for name, text in words.items()}


def _top(analysis: Analysis, why: Explanation | None) -> Markup:
    """What one page A4 holds: summary, measurements and the twelve leads; then the reading."""
    lines = summarize(analysis.classification, why, analysis.digitization)
    answer = join(
        [
            headline.summary(lines, why.conflicts if why else ()),
            headline.measurements(why.features) if why else None,
        ]
    )
    words = join(
        [
            sections.section("reading", "Reading", sections.reading(why.reading)) if why else None,
            sections.section(
                "warnings", "Quality and warnings", sections.warnings(warning_lines(analysis))
            ),
        ]
    )
    drawn = _figure(analysis, why)
    if not (answer or words):
        return drawn
    first = tag("div", tag("div", answer, cls="answer"), drawn, cls="first")
    return tag("div", first, tag("div", words, cls="rest"), cls="top")


def _details(analysis: Analysis, why: Explanation | None) -> Markup:
    """What is looked up, not read through: closed at first, printed where it is open."""
    folded = [
        (identifier, heading, content)
        for identifier, heading, content in (*_reasons(why), *_numbers(analysis, why))
        if content
    ]
    return join(
        [
            tag(
                "p",
                tag("button", "Open all details", attrs={"type": "button", "id": "open-all"}),
                cls="screen-only",
            ),
            *(_folded(*part) for part in folded),
        ]
    )


def _folded(identifier: str, heading: str, content: Markup) -> Markup:
    return tag(
        "section",
        tag(
            "details",
            tag("summary", tag("h2", heading, attrs={"id": f"{identifier}-heading"})),
            content,
        ),
        attrs={"id": identifier, "aria-labelledby": f"{identifier}-heading"},
        cls="folded",
    )


def _reasons(why: Explanation | None) -> list[tuple[str, str, Markup]]:
    if why is None:
        return []
    asked = (
        "A criterion changes when a measured value crosses its limit. The network was asked again "
        "with the tracing edited as described and everything else left unchanged."
    )
    changes = sections.contrasts(why.contrasts)
    return [
        (
            "contrast",
            "What would change the answer",
            join([changes, tag("p", asked, cls="quiet")]) if changes else changes,
        ),
        (
            "why",
            "What the network used",
            join([sections.why(why.attributions), _why_note()]) if why.attributions else Markup(""),
        ),
        ("criteria", "Published criteria, measured here", sections.criteria(why.criteria)),
    ]


def _numbers(analysis: Analysis, why: Explanation | None) -> list[tuple[str, str, Markup]]:
    measured = (
        sections.features(feature_rows(why.features), lead_table(why.features))
        if why
        else Markup("")
    )
    return [
        ("measured", "Measurements", measured),
        ("facts", "How the page was read", sections.small_print(facts(analysis))),
    ]


def _figure(analysis: Analysis, why: Explanation | None) -> Markup:
    rows = figure.arrange(analysis.record, analysis.digitization)
    if not rows:
        return Markup("")
    paper = figure.lay_out(analysis.record, rows)
    bands = _pictured(why.attributions) if why else []
    sentences = why.reading if why else ()
    sheet = tag(
        "g",
        figure.grid(paper),
        *(figure_layers.attribution_band(view, paper, shown=False) for view in bands),
        figure_layers.cited_places(sentences, paper),
        figure.pulses(paper),
        figure.traces(analysis.record, paper),
        figure_layers.beat_labels(why.features.beats if why else (), paper),
        figure_layers.time_axis(paper),
        attrs={"id": "ecg-sheet"},
    )
    picture = tag(
        "svg",
        tag("title", "The twelve leads on ECG paper, 25 mm/s and 10 mm/mV"),
        _hatch(),
        sheet,
        attrs={
            "id": "ecg",
            "class": "ecg",
            "role": "img",
            "viewBox": f"0 0 {number(paper.width)} {number(paper.height)}",
            "preserveAspectRatio": "xMidYMin",
        },
    )
    cut = analysis.record.duration_s > paper.shown_s + 0.5
    note = (
        f"The first {paper.shown_s:.0f} s of {analysis.record.duration_s:.0f} s are shown. "
        if cut
        else ""
    )
    return tag(
        "section",
        tag("h2", "Twelve leads", attrs={"id": "figure-heading"}),
        _cells(paper),
        tag(
            "div",
            picture,
            attrs={
                "class": "scroll",
                "tabindex": "0",
                "role": "group",
                "aria-label": "The twelve leads; scroll sideways to see all",
            },
        ),
        _legend(bands),
        tag(
            "p",
            note,
            "25 mm/s, 10 mm/mV. A gap in a trace is a stretch that could not be read.",
            " Small numbers refer to the sentences of the reading." if sentences else None,
            cls="quiet",
        ),
        attrs={"class": "figure", "aria-labelledby": "figure-heading"},
    )


def _cells(paper: figure.Paper) -> Markup:
    """For a phone: the first 2.5 s of each lead in two columns, cut from the sheet."""
    first: dict[str, figure.Panel] = {}
    for panel in paper.panels:
        first.setdefault(panel.strip.lead, panel)
    cells = [_cell(first[lead], paper) for lead in LEADS_BY_PAIR if lead in first]
    return tag("div", *cells, cls="cells", attrs={"aria-hidden": "true"})


def _cell(panel: figure.Panel, paper: figure.Paper) -> Markup:
    width = CELL_S * figure.MM_PER_S
    left = min(panel.x, max(paper.width - width, 0.0))
    box = (left, panel.top, width, panel.bottom - panel.top)
    return tag(
        "svg",
        tag("use", attrs={"href": "#ecg-sheet"}),
        attrs={"class": "ecg cell", "viewBox": " ".join(number(value) for value in box)},
    )


def _pictured(attributions: Sequence[Attribution]) -> list[Attribution]:
    """One attribution a class for the bands: of lead and time where there is one."""
    rank = ("leads", "waves", "beats", "windows", "blocks")
    finest: dict[str, Attribution] = {}
    for view in attributions:
        held = finest.get(view.class_name)
        if held is None or rank.index(view.kind) > rank.index(held.kind):
            finest[view.class_name] = view
    return list(finest.values())


def _hatch() -> Markup:
    line = tag("path", attrs={"class": "hatch-line", "d": "M0 0V1.6"})
    pattern = tag(
        "pattern",
        line,
        attrs={
            "id": "hatch",
            "width": 1.6,
            "height": 1.6,
            "patternUnits": "userSpaceOnUse",
            "patternTransform": "rotate(45)",
        },
    )
    return tag("defs", pattern)


def _legend(bands: Sequence[Attribution]) -> Markup | None:
    if not bands:
        return None
    keys = tag("span", tag("span", cls="key"), " for ", tag("span", cls="key minus"), " against")
    names = [("", "none"), *((v.class_name, class_title(v.class_name)) for v in bands)]
    choices = [
        tag(
            "label",
            tag(
                "input",
                attrs={"type": "radio", "name": "band", "value": value, "checked": not value},
            ),
            title,
        )
        for value, title in names
    ]
    return tag(
        "fieldset", tag("legend", "Show what the network used for"), *choices, keys, cls="legend"
    )


def _why_note() -> Markup:
    return tag(
        "p",
        "Shapley values: how far the network's log-odds rise (+) or fall (-) when a part of the "
        "tracing is shown instead of hidden, averaged over which other parts are shown. They tell "
        "what the network used, not what is clinically true.",
        cls="quiet",
    )


def _page(analysis: Analysis) -> Markup | None:
    if analysis.digitization is None:
        return None
    from ecg4u.report.overlay import page_overlay

    return tag(
        "section",
        tag("h2", "The page with the traces that were read", attrs={"id": "page-heading"}),
        tag(
            "p",
            "Check that each coloured line follows the ink and carries the right lead name. "
            "The page may show a patient's name: take care who sees this report.",
            cls="quiet",
        ),
        tag(
            "p",
            tag(
                "label",
                tag("input", attrs={"type": "checkbox", "id": "show-read", "checked": True}),
                " Show the traces",
            ),
            cls="screen-only",
        ),
        page_overlay(analysis.digitization),
        attrs={"id": "page", "aria-labelledby": "page-heading"},
    )
