"""A made-up analysis with every part that a report can show."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

from ecg4u.explain.result import (
    Attribution,
    Beat,
    CriterionResult,
    Evidence,
    Explanation,
    Feature,
    Features,
    LeadFeatures,
    Player,
    Sentence,
)
from ecg4u.io import Page
from ecg4u.messages import message
from ecg4u.model import Classification, ClassResult
from ecg4u.record import CLASSES, LEADS, ECGRecord, Provenance

FS = 500.0
HOSTILE = "<script>alert('x')</script>&\"></svg>"


@dataclass(frozen=True)
class MadeUp:
    """Has the parts of an `Analysis`."""

    record: ECGRecord
    digitization: Any = None
    classification: Classification | None = None
    explanation: Explanation | None = None
    warnings: tuple[str, ...] = ()
    timings_s: dict[str, float] = field(default_factory=lambda: {"digitize": 1.5})

    def to_dict(self) -> dict[str, Any]:
        return {"schema": 1}


def signal(duration_s: float = 10.0) -> np.ndarray:
    """Twelve leads of spikes, each lead of another height; (n, 12) mV."""
    t = np.arange(round(duration_s * FS)) / FS
    beat = np.exp(-(((t % 0.8) - 0.4) ** 2) / (2 * 0.012**2))
    return beat[:, None] * np.linspace(-1.5, 2.0, len(LEADS))[None, :]


def paged(n_columns: int = 4, rhythm: str = "II") -> np.ndarray:
    """The same as a page shows it: each lead in its column only, the rhythm lead throughout."""
    whole = signal()
    shown = np.full_like(whole, np.nan)
    n = len(whole) // n_columns
    for i in range(len(LEADS)):
        column = i * n_columns // len(LEADS)
        shown[column * n : (column + 1) * n, i] = whole[column * n : (column + 1) * n, i]
    shown[:, LEADS.index(rhythm)] = whole[:, LEADS.index(rhythm)]
    return shown


def classification(text: str = "") -> Classification:
    results = tuple(
        ClassResult(name, 0.93 if name == "AF" else 0.05, 0.5, name == "AF", 0.9, 0.95)
        for name in CLASSES
    )
    return Classification(results, "ok", (text,) if text else (), "model-1")


def explanation(text: str = "") -> Explanation:
    windows = tuple(Player(f"{t} s{text}", None, t, t + 1.0) for t in range(10))
    leads = tuple(Player(name, name, 0.0, 10.0) for name in LEADS)
    values = tuple(np.linspace(-0.5, 1.0, 10))
    leads_values = tuple(np.linspace(-0.2, 0.4, 12))
    place = Evidence("V1", 7.6, 7.8)
    return Explanation(
        Features(
            {
                "rate": Feature("rate", 75.2, "/min", 1.2),
                "pr": Feature.unknown("pr", f"no P {text}"),
            },
            {"V1": LeadFeatures("V1", 3, {"r": Feature("R", 0.41, "mV")})},
            (Beat(2.0, 1.95, 2.1, "PVC", 0.3), Beat(2.8, 2.75, 2.85, "usual", 0.99)),
            (0.8, 0.8),
        ),
        (
            CriterionResult(
                "AF", "conclusion", f"RR {text}", "ESC", "> 0.1", "met", f"0.27 {text}", (), True
            ),
        ),
        (
            Attribution(
                "AF", "leads", leads, leads_values, (0.0,) * 12, -2.0, -0.8, 1e-7, "exact", 1
            ),
            Attribution("AF", "windows", windows, values, (0.05,) * 10, -2, 0.5, 1e-7, "exact", 1),
        ),
        (
            Sentence("Conclusion", f"The conclusion. {text}", (Evidence(None, 0.0, 10.0),)),
            Sentence("Rate", f"The rate is 75/min. {text}"),
            Sentence("Rhythm", f"No P waves. {text}", (place, Evidence("II", 1.0, 1.2))),
        ),
        (f"They disagree. {text}",) if text else (),
    )


def digitization(record: ECGRecord, text: str = "") -> Any:
    image = np.full((300, 400, 3), 250, np.uint8)
    line = np.stack([np.linspace(10, 90, 50), np.full(50, 100.0)], axis=1)
    line[20:25] = np.nan
    traces = tuple(
        SimpleNamespace(
            lead=name,
            row=i % 3,
            start_s=2.5 * (i // 3),
            rhythm=False,
            named_by="label",
            xy=line + np.array([90 * (i // 3), 0]),
            xy_source=line + np.array([90 * (i // 3), 40 * (i % 3)]),
            signal=np.zeros(1250),
            grade="poor" if name == "V3" else "good",
            reasons=(f"crossed {text}",),
        )
        for i, name in enumerate(LEADS)
    )
    return SimpleNamespace(
        page=Page(image, "ab" * 32),
        traces=traces,
        record=record,
        layout=SimpleNamespace(name="3x4"),
        grade="fair",
        grade_reasons=(message("page_uncertain", what=f"{text}names"),),
        warnings=(f"Assumed. {text}",),
        rectified=SimpleNamespace(grid=SimpleNamespace(scale_from="grid")),
        calibration=SimpleNamespace(
            gain_mm_per_mv=10.0, gain_from="pulse", speed_mm_per_s=25.0, speed_from="assumed"
        ),
    )


def analysis(text: str = "") -> MadeUp:
    """Every part there is; ``text`` stands wherever a text can stand."""
    record = ECGRecord(paged(), FS, provenance=Provenance("digitized", "ab" * 32))
    return MadeUp(
        record,
        digitization(record, text),
        classification(text),
        explanation(text),
        (text,) if text else (),
    )
