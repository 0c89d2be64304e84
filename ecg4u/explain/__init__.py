"""Reasons a doctor can check: measured features, published criteria, Shapley values, a reading.

The package itself can be called: ``ecg4u.explain(record)`` is `explain`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ecg4u._callable import make_callable
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

if TYPE_CHECKING:
    from ecg4u.model import Classification, Classifier
    from ecg4u.record import ECGRecord

__all__ = [
    "Attribution",
    "Beat",
    "CriterionResult",
    "Evidence",
    "Explanation",
    "Feature",
    "Features",
    "LeadFeatures",
    "Player",
    "Sentence",
    "explain",
    "measure_features",
]


def measure_features(record: ECGRecord) -> Features:
    """Beats, intervals, axes, ST levels and shapes of ``record``; unknown ones say why."""
    from ecg4u.explain.measure import features, measure
    from ecg4u.explain.signals import at_500_hz
    from ecg4u.explain.waves import wave_probabilities

    signal = at_500_hz(record)
    return features(signal, measure(signal, wave_probabilities(signal)))


def explain(
    record: ECGRecord,
    classification: Classification | None = None,
    *,
    classes: Sequence[str] | None = None,
    classifier: Classifier | None = None,
    seed: int = 0,
) -> Explanation:
    """Measure ``record``, hold it against the criteria, and say what moved the network.

    Parameters
    ----------
    record : ECGRecord
        Of any length, with NaN wherever nothing is known.
    classification : Classification or None
        What the network said of the same record. Without it (and without ``classes``) the
        explanation consists of measurements and criteria only.
    classes : sequence of str or None
        Classes whose log-odds are attributed; by default the positive ones.
    classifier : Classifier or None
        The network to attribute; by default the package's own.
    seed : int
        Of the permutations that estimate the Shapley values.

    Raises
    ------
    UsageError
        If ``classes`` names a class that does not exist.
    """
    import numpy as np

    from ecg4u.explain.conflicts import conflicts
    from ecg4u.explain.criteria import Patient, evaluate
    from ecg4u.explain.places import Places
    from ecg4u.explain.reading import read
    from ecg4u.explain.signals import at_500_hz

    began = time.monotonic()
    wanted = _wanted(classification, classes)
    features = measure_features(record)
    places = Places(np.isfinite(at_500_hz(record)), features)
    criteria = evaluate(features, Patient(record.age, record.sex), places)
    measured = time.monotonic()
    attributions: tuple[Attribution, ...] = ()
    if wanted:
        from ecg4u.explain.attribution import attribute

        attributions = attribute(
            record, wanted, features=features, classifier=classifier, seed=seed
        )
    attributed = time.monotonic()
    reading = read(features, criteria, attributions, classification, places)
    return Explanation(
        features,
        criteria,
        attributions,
        reading,
        conflicts(criteria, classification),
        {"measure": measured - began, "attribute": attributed - measured},
    )


def _wanted(
    classification: Classification | None, classes: Sequence[str] | None
) -> tuple[str, ...]:
    from ecg4u.errors import UsageError
    from ecg4u.record import CLASSES

    if classes is not None:
        unknown = [name for name in classes if name not in CLASSES]
        if unknown:
            raise UsageError(
                f"no such class: {', '.join(unknown)}",
                stage="explain",
                hint=f"Choose from {', '.join(CLASSES)}.",
            )
        return tuple(classes)
    if classification is None or classification.verdict == "unreadable":
        return ()
    return tuple(result.name for result in classification.results if result.positive)


make_callable(__name__)
