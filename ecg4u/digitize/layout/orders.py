"""Which order the leads stand in, where print leaves it open: physiology decides.

The usual orders differ in their limb leads, and those obey Einthoven's laws under one naming only;
chest leads follow each other smoothly from V1 to V6; a rhythm strip that was read repeats the lead
of its name. A name that was clearly read is never given up; where no order fits far better than
every other, the names stay as the layout gave them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np

from ecg4u.digitize.signals.physiology import (
    CHEST_DETOUR,
    EDGE_S,
    LIMB_GAIN,
    LIMB_MISFIT,
    MIN_BEAT_MV,
    average_beats,
    chest_detour,
    limb_misfit,
    repeated_lead,
)
from ecg4u.digitize.signals.signal import SegmentSignal
from ecg4u.digitize.types import Layout, RowSegment
from ecg4u.messages import message
from ecg4u.record import CABRERA, CHEST_LEADS, LEADS, LIMB_LEADS

ORDERS = {"usual": LEADS, "Cabrera": CABRERA}
CLEAR = 0.96
"""Probability of a name in its place from which it was clearly read."""
SMOOTH = 1.2
"""Way from V1 to V6, over the shortest order's, that needs no explaining."""
MIN_LIMB = 4
"""Limb leads with which Einthoven's and Goldberger's relations tell an order: two are free, and of
the others one may be misread."""
MOST_SWAPPED = 3
"""Names that were not read whose order is tried; six orders are told apart, more are not."""
UNREAD = 0.5
"""Confidence of a name that the signals alone give."""


@dataclass(frozen=True)
class _Naming:
    """Names of the short segments, in their order, and how they fit the signals."""

    names: tuple[str, ...]
    misfit: float
    detour: float
    strips_agree: bool

    @property
    def fits(self) -> bool:
        return self.misfit < LIMB_MISFIT and self.strips_agree

    def clearly_beats(self, rival: _Naming) -> bool:
        """Whether something tells the two apart by far, and nothing speaks for the other."""
        limb = rival.misfit > max(LIMB_MISFIT, LIMB_GAIN * self.misfit)
        chest = rival.detour > CHEST_DETOUR and self.detour < SMOOTH
        worse = self.detour > max(rival.detour, SMOOTH)
        return (limb or chest or not rival.strips_agree) and not worse


def decide_order(layout: Layout, parts: Sequence[SegmentSignal]) -> Layout:
    """The layout with its short leads in the one order that fits the heart.

    Where more than one usual order is consistent with every name that was clearly read, or another
    than the layout's is, each is held against the signals. One that fits far better than all the
    others is taken: its names that were not read are ``named_by`` ``"physiology"``.

    Parameters
    ----------
    layout : Layout
    parts : signals of the layout's segments, in their order.
    """
    short = [part for part in parts if not part.segment.rhythm]
    segments = [part.segment for part in short]
    present = tuple(segment.lead for segment in segments)
    consistent = {
        order: names for order, names in _usual(segments).items() if _keeps(names, segments)
    }
    swapped = set() if present in _usual(segments).values() else _swapped(segments)
    candidates = {present, *consistent.values(), *swapped}
    if len(candidates) < 2 or len(set(present)) < len(present):
        return layout
    namings = [_held(names, parts) for names in sorted(candidates)]
    best = min(namings, key=lambda naming: (not naming.strips_agree, naming.misfit))
    if not best.fits or not all(best.clearly_beats(n) for n in namings if n is not best):
        return layout
    order = next((order for order, names in consistent.items() if names == best.names), "printed")
    return _named(layout, dict(zip(segments, best.names, strict=True)), order)


def _usual(segments: Sequence[RowSegment]) -> dict[str, tuple[str, ...]]:
    """Names of the segments of a whole page, by order; leads run down the columns."""
    rows = [
        sorted((s for s in segments if s.row == row), key=lambda s: s.x0)
        for row in sorted({segment.row for segment in segments})
    ]
    if len(segments) != len(LEADS) or len({len(row) for row in rows}) != 1:
        return {}
    place = {
        segment: column * len(rows) + number
        for number, row in enumerate(rows)
        for column, segment in enumerate(row)
    }
    return {name: tuple(order[place[s]] for s in segments) for name, order in ORDERS.items()}


def _swapped(segments: Sequence[RowSegment]) -> set[tuple[str, ...]]:
    """The names with those that were not read in any order, if these are few."""
    unread = [place for place, segment in enumerate(segments) if segment.named_by == "layout"]
    if len(unread) > MOST_SWAPPED:
        return set()
    found = set()
    for order in permutations(unread):
        names = [segment.lead for segment in segments]
        for place, other in zip(unread, order, strict=True):
            names[place] = segments[other].lead
        found.add(tuple(names))
    return found


def _keeps(names: Sequence[str], segments: Sequence[RowSegment]) -> bool:
    """Whether names agree with every name that was clearly read."""
    return all(
        segment.lead == name or segment.named_by != "label" or segment.probability < CLEAR
        for segment, name in zip(segments, names, strict=True)
    )


def _held(names: tuple[str, ...], parts: Sequence[SegmentSignal]) -> _Naming:
    """A naming held against the signals; what cannot be told counts as fitting."""
    left = iter(names)
    named = [
        part
        if part.segment.rhythm
        else replace(part, segment=replace(part.segment, lead=next(left)))
        for part in parts
    ]
    beats = average_beats(named, edge_s=EDGE_S)
    limb = [lead for lead in LIMB_LEADS if lead in beats]
    tell = len(limb) >= MIN_LIMB and max(np.ptp(beats[lead]) for lead in limb) >= MIN_BEAT_MV
    strips = [p for p in named if p.segment.rhythm and p.segment.named_by == "label"]
    return _Naming(
        names,
        limb_misfit(beats, limb, limb) if tell else 0.0,
        chest_detour(beats)[0] if all(lead in beats for lead in CHEST_LEADS) else 1.0,
        all(repeated_lead(strip, named) is None for strip in strips),
    )


def _named(layout: Layout, names: dict[RowSegment, str], order: str) -> Layout:
    """The layout with names for its segments, saying which were decided and against what."""
    segments, decided, against = [], [], []
    for segment in layout.segments:
        name = names.get(segment, segment.lead)
        if segment not in names or (segment.named_by == "label" and segment.lead == name):
            segments.append(segment)
            continue
        if segment.named_by == "label":
            against.append(f"{name}, not {segment.lead}")
        decided.append(name)
        segments.append(replace(segment, lead=name, named_by="physiology", probability=UNREAD))
    if not decided:
        return layout
    warning = (
        message("order_against_print", names=decided, order=order, against="; ".join(against))
        if against
        else message("order_by_signals", names=decided, order=order)
    )
    return replace(
        layout, segments=tuple(segments), warnings=(*layout.warnings, warning), doubts=()
    )
