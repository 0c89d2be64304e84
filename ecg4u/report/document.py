"""The report as one HTML file that asks nothing of the network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from ecg4u.report import figure, figure_layers, sections
from ecg4u.report.gather import facts, feature_rows, lead_table, page_doubt, warning_lines
from ecg4u.report.markup import Markup, join, number, tag
from ecg4u.report.names import CLASS_TITLES

if TYPE_CHECKING:
    from ecg4u.analysis import Analysis
    from ecg4u.explain.result import Attribution, Explanation


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


def render(analysis: Analysis, *, title: str | None = None, page_image: bool = True) -> str:
    """The report of an analysis as one self-contained HTML document.

    Parameters
    ----------
    analysis : Analysis
        Whatever parts it has are shown: a record alone gives the twelve signals.
    title : str, optional
        Heading of the report. Never taken from the page.
    page_image : bool
        Whether the image of the page, which may show a name, is held in the report.

    Returns
    -------
    str
        HTML with style, script and images inside; the same bytes for the same analysis.
    """
    heading = title or "12-lead ECG"
    said, why = analysis.classification, analysis.explanation
    parts = [
        _top(analysis, why),
        _page(analysis) if page_image else None,
        sections.section("classes", "The nine classes", sections.classes(said)) if said else None,
        _contrasts(why),
        _why(why),
        _measured(why),
        sections.section("facts", "How it was read", sections.small_print(facts(analysis))),
    ]
    body = join(
        [
            tag("header", tag("h1", heading), sections.notice()),
            tag("main", *parts),
            tag(
                "footer",
                "ecg4u: paper ECG to signals, classes and reasons. Not a medical device.",
            ),
        ]
    )
    return _document(heading, body)


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
            tag("body", body, Markup(f"<script>{script()}</script>")),
        ]
    )
    return "<!doctype html>\n" + tag("html", page, attrs={"lang": "en"}) + "\n"


def _top(analysis: Analysis, why: Explanation | None) -> Markup:
    words = join(
        [
            sections.verdict(
                analysis.classification,
                why.conflicts if why else (),
                why.criteria if why else (),
                page_doubt(analysis),
            ),
            sections.section("reading", "Reading", sections.reading(why.reading)) if why else None,
            sections.section(
                "warnings", "Quality and warnings", sections.warnings(warning_lines(analysis))
            ),
        ]
    )
    drawn = _figure(analysis, why)
    return tag("div", tag("div", words), drawn, cls="top") if words else drawn


def _why(why: Explanation | None) -> Markup | None:
    if why is None or not why.attributions:
        return None
    return sections.section(
        "why", "What moved the network", sections.why(why.attributions), _why_note()
    )


def _contrasts(why: Explanation | None) -> Markup | None:
    if why is None or not why.contrasts:
        return None
    note = (
        "The criteria turn where a measured value crosses its limit. The network was asked again "
        "with the tracing edited as said, everything else left as it is."
    )
    return sections.section(
        "contrast",
        "What would turn the verdict",
        sections.contrasts(why.contrasts),
        tag("p", note, cls="quiet"),
    )


def _measured(why: Explanation | None) -> Markup | None:
    if why is None:
        return None
    return join(
        [
            sections.section(
                "criteria", "Published criteria, measured here", sections.criteria(why.criteria)
            ),
            sections.section(
                "measured",
                "Measured",
                sections.features(feature_rows(why.features), lead_table(why.features)),
            ),
        ]
    )


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
        *(
            figure_layers.attribution_band(view, paper, shown=i == 0)
            for i, view in enumerate(bands)
        ),
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
        },
    )
    cut = analysis.record.duration_s > paper.shown_s + 0.5
    note = f"The first {paper.shown_s:.0f} s of {analysis.record.duration_s:.0f} s. " if cut else ""
    return tag(
        "section",
        tag("h2", "Twelve leads", attrs={"id": "figure-heading"}),
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
            "25 mm/s, 10 mm/mV. A gap in a trace is a stretch that could not be read."
            + (" Small numbers are those of the sentences." if sentences else ""),
            cls="quiet",
        ),
        attrs={"class": "figure", "aria-labelledby": "figure-heading"},
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
    keys = join(
        [
            tag("span", tag("span", cls="key"), " speaks for"),
            tag("span", tag("span", cls="key minus"), " speaks against"),
        ]
    )
    choices = [
        tag(
            "label",
            tag(
                "input",
                attrs={
                    "type": "radio",
                    "name": "band",
                    "value": view.class_name,
                    "checked": i == 0,
                },
            ),
            CLASS_TITLES.get(view.class_name, view.class_name),
        )
        for i, view in enumerate(bands)
    ]
    choices.append(
        tag("label", tag("input", attrs={"type": "radio", "name": "band", "value": ""}), "no bands")
    )
    return tag("fieldset", tag("legend", "Bands behind the trace"), keys, *choices, cls="legend")


def _why_note() -> Markup:
    return tag(
        "p",
        "Shapley values: how much each part of the tracing adds to, or takes from, the network's "
        "log-odds when it is shown or hidden. They say what the network used, not what is "
        "clinically true.",
        cls="quiet",
    )


def _page(analysis: Analysis) -> Markup | None:
    if analysis.digitization is None:
        return None
    from ecg4u.report.overlay import page_overlay

    return tag(
        "section",
        tag("h2", "The page, with what was read drawn over it", attrs={"id": "page-heading"}),
        tag(
            "p",
            "Check that each coloured line lies on the ink and bears the right name. "
            "The page may show a person's name: mind who sees this report.",
            cls="quiet",
        ),
        tag(
            "p",
            tag(
                "label",
                tag("input", attrs={"type": "checkbox", "id": "show-read", "checked": True}),
                " Show what was read",
            ),
            cls="screen-only",
        ),
        page_overlay(analysis.digitization),
        attrs={"id": "page", "aria-labelledby": "page-heading"},
    )
