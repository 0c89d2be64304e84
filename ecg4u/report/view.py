"""What the report shows, as plain values: the one place that knows the shape of an `Analysis`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Stretch:
    """A place on the trace: a lead (None: all of them) from one time to another."""

    lead: str | None
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Sentence:
    """A sentence of the reading and the places it speaks of."""

    section: str
    text: str
    evidence: tuple[Stretch, ...] = ()


@dataclass(frozen=True)
class ClassRow:
    """One class as the network sees it."""

    name: str
    probability: float
    threshold: float
    positive: bool
    sensitivity: float | None = None
    specificity: float | None = None


@dataclass(frozen=True)
class CriterionRow:
    """A published criterion, its outcome and the numbers beside it."""

    class_name: str
    name: str
    source: str
    outcome: str
    numbers: str
    evidence: tuple[Stretch, ...] = ()


@dataclass(frozen=True)
class Share:
    """What one player (a lead, a window, or a lead's window) adds to the log-odds of a class."""

    label: str
    stretch: Stretch
    value: float
    error: float | None = None


@dataclass(frozen=True)
class AttributionView:
    """The Shapley values of one class over one kind of player."""

    class_name: str
    kind: str
    shares: tuple[Share, ...]
    base: float
    total: float
    additivity_error: float


@dataclass(frozen=True)
class FeatureRow:
    """A measured feature: its value and unit, or the reason why there is none."""

    name: str
    value: str
    unit: str
    note: str = ""


@dataclass(frozen=True)
class Beat:
    """A beat that the reading speaks of, by its R peak and a short word."""

    time_s: float
    label: str


@dataclass(frozen=True)
class Reasons:
    """The explanation, ready to be shown."""

    sentences: tuple[Sentence, ...] = ()
    criteria: tuple[CriterionRow, ...] = ()
    attributions: tuple[AttributionView, ...] = ()
    conflicts: tuple[str, ...] = ()
    features: tuple[FeatureRow, ...] = ()
    beats: tuple[Beat, ...] = ()


@dataclass(frozen=True)
class Opinion:
    """The classes, ready to be shown."""

    classes: tuple[ClassRow, ...]
    verdict: str
    reasons: tuple[str, ...]
    model: str


@dataclass(frozen=True)
class Facts:
    """Small print: what was read, by what, how long it took."""

    rows: tuple[tuple[str, str], ...]
    versions: Mapping[str, str]
    timings_s: Mapping[str, float]
