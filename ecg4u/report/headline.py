"""The head of the report: what matters first, and the measurements in one row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ecg4u.explain.summary import Line
from ecg4u.report.gather import vitals
from ecg4u.report.markup import Markup, join, tag
from ecg4u.report.sections import english, tied

if TYPE_CHECKING:
    from ecg4u.explain.result import Features

HEADS = {"urgent": "Urgent, by measurement", "class": "Findings", "other": "Other findings"}


def summary(lines: Sequence[Line], conflicts: Sequence[str] = ()) -> Markup:
    """Urgent findings, classes, other findings and doubts, each with what it rests on."""
    if not lines:
        return Markup("")
    kinds = {line.kind for line in lines}
    level = next((kind for kind in ("unreadable", "urgent") if kind in kinds), "plain")
    return tag(
        "div",
        tag("h2", "Summary", cls="unseen"),
        _group("urgent", lines),
        _group("class", lines),
        *(_single(line) for line in lines if line.kind in ("normal", "unreadable")),
        _others([line for line in lines if line.kind == "other"]),
        *(_quiet(line, "none") for line in lines if line.kind in ("open", "none")),
        *(_quiet(line, "doubt") for line in lines if line.kind == "doubt"),
        _conflicts(conflicts),
        attrs={"class": f"verdict {level}", "id": "summary", "role": "status"},
    )


def _group(kind: str, lines: Sequence[Line]) -> Markup | None:
    mine = [line for line in lines if line.kind == kind]
    if not mine:
        return None
    return join([tag("h3", HEADS[kind]), tag("ul", *map(_item, mine), cls=f"found {kind}")])


def _item(line: Line) -> Markup:
    return tag(
        "li",
        tag("strong", tied(line.title)),
        tag("span", line.certainty, cls="certainty") if line.certainty else None,
        tag("span", tied(line.detail), cls="quiet", attrs=english()) if line.detail else None,
        cls=line.certainty,
    )


def _single(line: Line) -> Markup:
    return tag("ul", _item(line), cls=f"found {line.kind}")


def _others(lines: Sequence[Line]) -> Markup | None:
    if not lines:
        return None
    return join([tag("h3", HEADS["other"]), tag("ul", *map(_item, lines), cls="others")])


def _quiet(line: Line, cls: str) -> Markup:
    detail = f": {line.detail}" if line.detail else ""
    return tag("p", tied(f"{line.title}{detail}"), cls=cls, attrs=english())


def _conflicts(conflicts: Sequence[str]) -> Markup | None:
    if not conflicts:
        return None
    return tag(
        "details",
        tag("summary", f"Network and measurements disagree ({len(conflicts)})"),
        tag("ul", *(tag("li", tied(conflict)) for conflict in conflicts)),
        attrs={"open": True, **english()},
        cls="conflicts",
    )


def measurements(features: Features) -> Markup:
    """Rate, PR, QRS, QT, QTc and axis in a row, as the head of any ECG printout."""
    rows = vitals(features)
    if not rows:
        return Markup("")
    return tag(
        "dl",
        *(
            tag(
                "div",
                tag("dt", row.name),
                tag("dd", tied(row.value) or "–", tag("small", row.note) if row.note else None),
            )
            for row in rows
        ),
        attrs={"id": "vitals", "aria-label": "Measurements"},
        cls="vitals",
    )
