"""What lies behind and over the traces: attribution bands, cited places, beat labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ecg4u.report.figure import Panel, Paper
from ecg4u.report.markup import Attribute, Markup, join, number, tag

if TYPE_CHECKING:
    from ecg4u.explain.result import Attribution, Beat, Evidence, Player, Sentence

EDGE_S = 0.4
SHORT_S = 2.0
"""Only a place shorter than this carries its sentence's number; a whole strip needs none."""
MAX_NUMBERED = 6
"""A sentence with more places than this shows its number at the first few only."""
BETWEEN = " · "
DIGIT_MM = 1.15
"""Width of a digit of the numbers, whose height is set in the style sheet."""
BEAT_WORDS = {"PAC": "PAC", "PVC": "PVC", "other": "other"}
FAINTEST = 0.06
"""Shares below this part of the largest are not drawn."""


def attribution_band(view: Attribution, paper: Paper, *, shown: bool) -> Markup:
    """The shares of one class as bands behind the traces, as strong as the share is large.

    For (blue, plain) and against (orange, hatched) differ without colour too.
    """
    peak = max((abs(value) for value in view.values), default=0.0)
    bands = [
        _band(panel, player, value, abs(value) / peak)
        for player, value in zip(view.players, view.values, strict=True)
        if peak > 0 and abs(value) >= FAINTEST * peak
        for panel in paper.covering(player.lead, player.start_s, player.end_s)
    ]
    return tag(
        "g",
        *bands,
        attrs={"class": "attribution", "data-class": view.class_name, "hidden": not shown},
    )


def _band(panel: Panel, player: Player, value: float, strength: float) -> Markup:
    return tag(
        "rect",
        attrs={
            "class": "for" if value > 0 else "against",
            **_box(panel, player),
            "opacity": round(0.06 + 0.3 * strength, 2),
        },
    )


def _box(panel: Panel, place: Player | Evidence) -> dict[str, Attribute]:
    x0, x1 = panel.x_at(place.start_s), panel.x_at(place.end_s)
    return {
        "x": x0,
        "y": panel.top,
        "width": max(x1 - x0, 0.5),
        "height": panel.bottom - panel.top,
    }


def cited_places(sentences: Sequence[Sentence], paper: Paper) -> Markup:
    """An unseen box over each cited place, lit up by its sentence, and the numbers under it."""
    boxes = [
        tag("rect", attrs={"class": "cited", "data-n": n, **_box(panel, place)})
        for n, sentence in enumerate(sentences, start=1)
        for place in sentence.evidence
        for panel in paper.covering(place.lead, place.start_s, place.end_s)
    ]
    return join([*boxes, *map(_mark, _marks(sentences, paper))])


@dataclass
class _Mark:
    """Short places of one panel that are told apart by their brackets but share one label."""

    panel: Panel
    brackets: list[tuple[float, float]]
    numbers: list[int]

    @property
    def middle(self) -> float:
        return (self.brackets[0][0] + max(x1 for _, x1 in self.brackets)) / 2

    @property
    def half(self) -> float:
        """Half the width of the label in mm."""
        return 0.5 * DIGIT_MM * len(BETWEEN.join(map(str, self.numbers)))

    def reaches(self, other: _Mark) -> bool:
        """Whether the labels of both would touch."""
        return other.middle - self.middle < self.half + other.half + DIGIT_MM


def _marks(sentences: Sequence[Sentence], paper: Paper) -> list[_Mark]:
    """Numbers of the sentences that cite each short place; labels that would touch are one."""
    cited: dict[Panel, dict[tuple[float, float], set[int]]] = {}
    for n, sentence in enumerate(sentences, start=1):
        for place in sentence.evidence[:MAX_NUMBERED]:
            panels = paper.covering(place.lead, place.start_s, place.end_s)
            if place.lead is None or place.end_s - place.start_s >= SHORT_S or not panels:
                continue
            x0, x1 = panels[-1].x_at(place.start_s), panels[-1].x_at(place.end_s)
            cited.setdefault(panels[-1], {}).setdefault((x0, x1), set()).add(n)
    marks: list[_Mark] = []
    for panel, places in cited.items():
        own: list[_Mark] = []
        for span, numbers in sorted(places.items()):
            own.append(_Mark(panel, [span], sorted(numbers)))
            while len(own) > 1 and own[-2].reaches(own[-1]):
                last = own.pop()
                joined = sorted({*own[-1].numbers, *last.numbers})
                own[-1] = _Mark(panel, own[-1].brackets + last.brackets, joined)
        marks += own
    return marks


def _mark(mark: _Mark) -> Markup:
    foot = mark.panel.bottom
    brackets = "".join(
        f"M{number(x0)} {number(foot - 1.3)}v.8h{number(max(x1 - x0, 0.5))}v-.8"
        for x0, x1 in mark.brackets
    )
    words = join((tag("tspan", n, attrs={"data-n": n}) for n in mark.numbers), BETWEEN)
    at = max(mark.middle, mark.half + 1)
    return tag(
        "g",
        tag("path", attrs={"d": brackets}),
        tag("text", words, attrs={"x": at, "y": foot + 1.9}),
        cls="mark",
    )


def beat_labels(beats: Sequence[Beat], paper: Paper) -> Markup:
    """The kind of each unusual beat above the longest strip."""
    unusual = [beat for beat in beats if beat.kind in BEAT_WORDS]
    if not unusual or not paper.panels:
        return Markup("")
    strip = max(
        paper.panels, key=lambda panel: (panel.strip.end_s - panel.strip.start_s, panel.baseline)
    )
    return join(
        tag(
            "text",
            BEAT_WORDS[beat.kind],
            attrs={
                "class": "beat",
                "x": min(strip.x_at(beat.r_s), paper.width - 0.8 * len(BEAT_WORDS[beat.kind])),
                "y": strip.top + 2.2,
            },
        )
        for beat in unusual
        if _labelled(beat, strip)
    )


def _labelled(beat: Beat, panel: Panel) -> bool:
    """Beats of the panel; at its ends a strange one may be cut off, and has no name."""
    room = EDGE_S if beat.kind == "other" else 0.0
    return panel.strip.start_s + room <= beat.r_s <= panel.strip.end_s - room


def time_axis(paper: Paper) -> Markup:
    """The seconds of the record under the lowest row."""
    lowest = max(paper.baselines, default=0.0)
    return join(
        tag(
            "text",
            f"{second} s",
            attrs={"class": "second", "x": panel.x_at(second), "y": paper.height - 0.6},
        )
        for panel in paper.panels
        if panel.baseline == lowest
        for second in range(math.ceil(panel.strip.start_s), math.floor(panel.strip.end_s) + 1)
    )
