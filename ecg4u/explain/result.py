"""What the explanation consists of, as plain frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal

from ecg4u.messages import Message, as_data

if TYPE_CHECKING:
    import pandas as pd
    import shap

Outcome = Literal["met", "not met", "cannot tell"]
UndecidedBy = Literal["measurement error", "age or sex"]
BeatKind = Literal["usual", "PAC", "PVC", "other"]
PlayerKind = Literal["leads", "windows", "beats", "blocks", "waves"]
Section = Literal["Rate", "Rhythm", "Axis", "Intervals", "QRS", "ST-T", "Conclusion"]


@dataclass(frozen=True)
class Evidence:
    """A place on the trace: a lead (None: all of them) from one time of the record to another."""

    lead: str | None
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Feature:
    """A measured value with its unit and standard uncertainty, or None with the reason why."""

    name: str
    value: float | None
    unit: str = ""
    uncertainty: float | None = None
    reason: str = ""

    @classmethod
    def unknown(cls, name: str, reason: str, unit: str = "") -> Feature:
        """A feature that cannot be measured here."""
        return cls(name, None, unit, None, reason)


@dataclass(frozen=True)
class Beat:
    """One QRS complex. ``early`` is its RR interval over the usual RR; times in s of the record."""

    r_s: float
    onset_s: float
    offset_s: float
    kind: BeatKind
    similarity: float | None
    early: float | None = None
    pause: float | None = None

    @property
    def width_ms(self) -> float:
        """QRS duration of this beat in ms."""
        return 1000 * (self.offset_s - self.onset_s)


@dataclass(frozen=True)
class LeadFeatures:
    """Features of one lead's median beat; amplitudes in mV against the PQ junction."""

    lead: str
    n_beats: int
    features: Mapping[str, Feature]

    def value(self, name: str) -> float | None:
        """The value of a feature, None where it is not known."""
        found = self.features.get(name)
        return None if found is None else found.value


@dataclass(frozen=True)
class Features:
    """Everything measured on one ECG."""

    globals: Mapping[str, Feature]
    leads: Mapping[str, LeadFeatures]
    beats: tuple[Beat, ...]
    rr_s: tuple[float, ...]
    waves_s: Mapping[str, float | None] = field(default_factory=dict)
    """Wave boundaries of the median beat in s from the R peak: P onset, QRS onset ..."""

    def value(self, name: str) -> float | None:
        """The value of a global feature, None where it is not known."""
        found = self.globals.get(name)
        return None if found is None else found.value

    def lead_value(self, lead: str, name: str) -> float | None:
        """The value of a lead's feature, None where it is not known."""
        found = self.leads.get(lead)
        return None if found is None else found.value(name)


@dataclass(frozen=True)
class Margin:
    """A measured value and the limit with which it is compared."""

    what: str
    value: float
    limit: float
    unit: str
    digits: int
    sd: float


@dataclass(frozen=True)
class CriterionResult:
    """A published criterion and what the measured numbers say about it.

    ``code`` is stable, ``name`` is for reading. ``decides`` marks the one result of each class
    that sums up its criteria; a class is met when all its ``required`` criteria are.
    ``undecided_by`` says why a measured value decides nothing.
    """

    class_name: str
    code: str
    name: str
    source: str
    threshold: str
    outcome: Outcome
    numbers: str
    evidence: tuple[Evidence, ...] = ()
    decides: bool = False
    required: bool = True
    margin: Margin | None = None
    undecided_by: UndecidedBy | None = None


@dataclass(frozen=True)
class Player:
    """A part of the record that is shown or hidden as a whole."""

    label: str
    lead: str | None
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Attribution:
    """Shapley values of one class's log-odds over one set of players.

    ``base_value`` is the log-odds with every player hidden (or replaced by the record's usual
    beat, as ``baseline`` says), ``total`` with all shown;
    ``additivity_error`` is |base_value + sum(values) - total|. ``agreement``, over leads, is the
    rank correlation with the values for a second baseline, in which hidden leads are flat lines.
    """

    class_name: str
    kind: PlayerKind
    players: tuple[Player, ...]
    values: tuple[float, ...]
    errors: tuple[float, ...]
    base_value: float
    total: float
    additivity_error: float
    method: Literal["exact", "permutation"]
    n_evaluations: int
    baseline: Literal["hidden", "usual beat"] = "hidden"
    agreement: float | None = None

    def to_shap(self) -> shap.Explanation:
        """The same as a `shap.Explanation`, for shap's own plots.

        ``data`` is the length of each player in seconds.
        """
        import numpy as np
        import shap

        return shap.Explanation(
            values=np.array(self.values),
            base_values=self.base_value,
            data=np.array([p.end_s - p.start_s for p in self.players]),
            feature_names=[p.label for p in self.players],
            error_std=np.array(self.errors),
        )


@dataclass(frozen=True)
class Sentence:
    """One sentence of the reading and the places on the trace that it refers to."""

    section: Section
    text: str
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True)
class MeasuredFinding:
    """Something the measurements show, with its numbers, whatever the network says.

    ``code`` is stable; ``level`` is ``"urgent"`` for what a reader must see first and ``"other"``
    for findings outside the nine classes. ``note`` says what else it may be, or what makes it
    doubtful.
    """

    code: str
    level: Literal["urgent", "other"]
    title: str
    numbers: str
    certainty: Literal["likely", "possible"]
    note: str = ""
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True)
class Contrast:
    """A change to the ECG, and whether it would reverse the verdict of criteria or network.

    If the network was asked again with an edited tracing, ``before`` and ``after`` are its
    probabilities and ``turns`` says whether they are on opposite sides of the threshold.
    """

    class_name: str
    by: Literal["criteria", "network"]
    text: str
    evidence: tuple[Evidence, ...] = ()
    before: float | None = None
    after: float | None = None
    turns: bool | None = None


@dataclass(frozen=True)
class Explanation:
    """Why: measurements, criteria, attributions, and a reading that brings them together.

    ``print`` shows the reading.
    """

    features: Features
    criteria: tuple[CriterionResult, ...]
    attributions: tuple[Attribution, ...]
    reading: tuple[Sentence, ...]
    conflicts: tuple[Message, ...]
    contrasts: tuple[Contrast, ...] = ()
    findings: tuple[MeasuredFinding, ...] = ()
    timings_s: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def attribution(self, class_name: str, kind: PlayerKind = "leads") -> Attribution:
        """The attribution of one class over one kind of player, with hidden players as baseline.

        Raises
        ------
        KeyError
            If there is none: ask for the class with ``explain(..., classes=[...])``.
        """
        for found in self.attributions:
            if (found.class_name, found.kind, found.baseline) == (class_name, kind, "hidden"):
                return found
        raise KeyError(
            f"{class_name} was not attributed over {kind}: give explain(..., "
            f"classes=[{class_name!r}])"
        )

    def to_shap(self, class_name: str, kind: PlayerKind = "leads") -> shap.Explanation:
        """`attribution` as a `shap.Explanation`: ``shap.plots.waterfall(...)`` draws it."""
        return self.attribution(class_name, kind).to_shap()

    def to_dataframe(self) -> pd.DataFrame:
        """One row per feature: key, lead, name, value, unit, uncertainty, reason, definition.

        ``lead`` is None for features of the whole ECG; ``uncertainty`` is one standard deviation;
        ``reason`` says why a value is missing.
        """
        import pandas as pd

        from ecg4u.explain.definitions import GLOBAL, LEAD

        rows = [
            {"key": key, "lead": None} | asdict(feature) | {"definition": GLOBAL[key]}
            for key, feature in self.features.globals.items()
        ]
        rows += [
            {"key": key, "lead": lead.lead} | asdict(feature) | {"definition": LEAD[key]}
            for lead in self.features.leads.values()
            for key, feature in lead.features.items()
        ]
        return pd.DataFrame(rows)

    def _repr_html_(self) -> str:
        from html import escape

        from ecg4u.notebook import list_html

        parts = []
        for section, sentences in groupby(self.reading, key=lambda sentence: sentence.section):
            parts += [f"<h4>{escape(section)}</h4>", list_html([s.text for s in sentences])]
        return "".join(parts) + list_html(self.warnings)

    def __str__(self) -> str:
        lines: list[str] = []
        for section, sentences in groupby(self.reading, key=lambda sentence: sentence.section):
            lines += [f"{section}:", *(f"  {sentence.text}" for sentence in sentences)]
        return "\n".join(lines)

    def __repr__(self) -> str:
        classes = ", ".join(dict.fromkeys(a.class_name for a in self.attributions)) or "none"
        return f"<Explanation: {len(self.reading)} sentences; attributed: {classes}>"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for ``result.json``; timings are left out, so that reruns are identical."""
        return {
            "features": {
                "global": {name: asdict(f) for name, f in self.features.globals.items()},
                "leads": {
                    name: {
                        "n_beats": lead.n_beats,
                        "features": {key: asdict(f) for key, f in lead.features.items()},
                    }
                    for name, lead in self.features.leads.items()
                },
                "beats": [asdict(b) | {"width_ms": b.width_ms} for b in self.features.beats],
                "rr_s": list(self.features.rr_s),
                "waves_s": dict(self.features.waves_s),
            },
            "criteria": [asdict(c) for c in self.criteria],
            "attributions": [asdict(a) for a in self.attributions],
            "reading": [asdict(s) for s in self.reading],
            "findings": [asdict(f) for f in self.findings],
            "conflicts": list(self.conflicts),
            "messages": as_data(self.conflicts),
            "contrasts": [asdict(c) for c in self.contrasts],
        }
