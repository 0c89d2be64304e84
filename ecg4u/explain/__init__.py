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
    Contrast,
    CriterionResult,
    Evidence,
    Explanation,
    Feature,
    Features,
    LeadFeatures,
    MeasuredFinding,
    Player,
    Sentence,
)

if TYPE_CHECKING:
    from ecg4u.explain.attribution import LogOdds
    from ecg4u.model import Classification, Classifier
    from ecg4u.record import ECGRecord

__all__ = [
    "Attribution",
    "Beat",
    "Contrast",
    "CriterionResult",
    "Evidence",
    "Explanation",
    "Feature",
    "Features",
    "LeadFeatures",
    "MeasuredFinding",
    "Player",
    "Sentence",
    "explain",
    "measure_features",
]


def measure_features(record: ECGRecord) -> Features:
    """Beats, intervals, axes, ST levels and shapes of ``record``; unknown ones say why."""
    from ecg4u.explain.measure import features, measure_record

    return features(measure_record(record))


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
        explanation consists of measurements and criteria only. A signal that it calls unreadable,
        or that the same checks do, is not measured: the reading says why.
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
    UnreadableInputError
        If the record's rate or length is beyond what a record can be.
    TypeError
        If ``record`` is no `ECGRecord`.
    """
    from dataclasses import replace

    import numpy as np

    from ecg4u.explain.conflicts import conflicts
    from ecg4u.explain.contrast import contrasts
    from ecg4u.explain.criteria import Patient, evaluate
    from ecg4u.explain.edits import Subject, as_usual
    from ecg4u.explain.findings import measured_findings
    from ecg4u.explain.measure import features as features_of
    from ecg4u.explain.measure import measure_record
    from ecg4u.explain.places import Places
    from ecg4u.explain.reading import read, refused
    from ecg4u.record import ECGRecord

    if not isinstance(record, ECGRecord):
        raise TypeError(
            f"explain needs an ECGRecord, not {type(record).__name__}: ecg4u.digitize gives one "
            "of a page, ecg4u.read_record of a signal file"
        )
    began = time.monotonic()
    wanted = _wanted(classification, classes)
    refusals = _refusals(record, classification)
    if refusals:
        wanted = ()
        record = replace(record, p_signal=np.full_like(record.p_signal, np.nan))
    seen = measure_record(record)
    features = features_of(seen)
    places = Places(np.isfinite(seen.signal), features)
    patient = Patient(record.age, record.sex)
    criteria = evaluate(features, patient, places)
    findings = measured_findings(features, criteria, places, patient)
    measured = time.monotonic()
    attributions: tuple[Attribution, ...] = ()
    network: LogOdds | None = classifier
    if wanted:
        from ecg4u.explain.attribution import attribute, default_classifier

        network = classifier or default_classifier()
        subject = None if seen.median is None else Subject(seen.signal, features, seen.median)
        attributions = attribute(
            record,
            wanted,
            features=features,
            usual=None if subject is None else as_usual(subject),
            classifier=network,
            seed=seed,
        )
    attributed = time.monotonic()
    turning = contrasts(record, features, seen, criteria, classification, network)
    tried = time.monotonic()
    reading = (
        refused(refusals)
        if refusals
        else read(features, criteria, attributions, classification, places)
    )
    return Explanation(
        features,
        criteria,
        attributions,
        reading,
        conflicts(criteria, classification),
        turning,
        findings,
        {
            "measure": measured - began,
            "attribute": attributed - measured,
            "contrast": tried - attributed,
        },
    )


def _refusals(record: ECGRecord, classification: Classification | None) -> tuple[str, ...]:
    """Why the signal cannot be read as an ECG; empty where it can."""
    if classification is not None:
        return classification.reasons if classification.verdict == "unreadable" else ()
    from ecg4u.model import prepare
    from ecg4u.model.checks import check

    return check(prepare(record)).unreadable


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
