"""Reasons a doctor can check: measured features, published criteria, Shapley values, a reading."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

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
    from ecg4u.explain.measure import Measured
    from ecg4u.model import Classification, Classifier
    from ecg4u.record import ECGRecord
    from ecg4u.sources import ECGSource

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


def measure_features(record: ECGRecord, *, neurokit: bool = False) -> Features:
    """Beats, intervals, axes, ST levels and shapes of ``record``; unknown ones give a reason.

    With ``neurokit``, NeuroKit2's features are added; importing it takes a few seconds.
    """
    from ecg4u.explain.features import features
    from ecg4u.explain.measure import measure_record

    seen = measure_record(record)
    return _with_neurokit(features(seen), seen) if neurokit else features(seen)


def _with_neurokit(features: Features, seen: Measured) -> Features:
    from dataclasses import replace

    from ecg4u.explain.neurokit import neurokit_features

    found = neurokit_features(seen.signal, seen.beats.r)
    return replace(features, globals=dict(features.globals) | found)


def explain(
    source: ECGSource,
    classification: Classification | None = None,
    *,
    page: int = 1,
    classes: Sequence[str] | None = None,
    classifier: Classifier | None = None,
    neurokit: bool = False,
    seed: int = 0,
) -> Explanation:
    """Measure an ECG, compare it with published criteria, and say what the network relied on.

    Parameters
    ----------
    source : `ECGRecord`, path of a record file, or a page as `ecg4u.digitize` takes it
        Of any length, with NaN wherever nothing is known.
    classification : Classification or None
        The network's answer for the same ECG. If None, the ECG is classified first, unless
        ``classes`` is given. A signal that fails the classifier's checks (``"unreadable"``) is not
        measured: the reading says why.
    page : int
        Which page of a file with several, from 1.
    classes : sequence of str or None
        Classes whose log-odds are attributed; by default the positive ones. With ``classes=()``
        the explanation contains measurements and criteria only.
    classifier : Classifier or None
        The classifier to use; by default the shipped one.
    neurokit : bool
        Whether to measure NeuroKit2's features as well (``nk_...`` in the table), and to report
        where it finds different beats. Importing it takes a few seconds.
    seed : int
        Seed of the permutations that estimate the Shapley values.

    Raises
    ------
    UsageError
        If ``classes`` names a class that the classifier does not have.
    ECG4UError
        If the ECG cannot be read.
    WrongTypeError
        If ``source`` is of a type that cannot hold an ECG.
    """
    from dataclasses import replace

    import numpy as np

    from ecg4u.arguments import check_kind
    from ecg4u.explain.conflicts import conflicts
    from ecg4u.explain.contrast import contrasts
    from ecg4u.explain.criteria import Patient, evaluate
    from ecg4u.explain.edits import Subject, as_usual
    from ecg4u.explain.features import features as features_of
    from ecg4u.explain.findings import measured_findings
    from ecg4u.explain.measure import measure_record
    from ecg4u.explain.neurokit import disagreement
    from ecg4u.explain.places import Places
    from ecg4u.explain.reading import read, refused
    from ecg4u.sources import as_record

    record = as_record(source, page=page)
    if classification is not None:
        from ecg4u.model import Classification

        check_kind(
            "classification", classification, Classification, "Give ecg4u.classify's answer."
        )
    if classification is None and classes is None:
        classification = _classified(record, classifier)
    began = time.monotonic()
    wanted = _wanted(classification, classes, classifier)
    refusals = _refusals(record, classification)
    if refusals:
        wanted = ()
        record = replace(record, p_signal=np.full_like(record.p_signal, np.nan))
    seen = measure_record(record)
    features = _with_neurokit(features_of(seen), seen) if neurokit else features_of(seen)
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
        conflicts(criteria, classification) + disagreement(features.globals),
        turning,
        findings,
        {
            "measure": measured - began,
            "attribute": attributed - measured,
            "contrast": tried - attributed,
        },
        record.warnings,
    )


def _classified(record: ECGRecord, classifier: Classifier | None) -> Classification:
    if classifier is not None:
        return classifier.classify(record)
    from ecg4u.model import classify

    return classify(record)


def _refusals(record: ECGRecord, classification: Classification | None) -> tuple[str, ...]:
    """Why the signal cannot be read as an ECG; empty where it can."""
    if classification is not None:
        return classification.reasons if classification.verdict == "unreadable" else ()
    from ecg4u.model import prepare
    from ecg4u.model.checks import check

    return check(prepare(record)).unreadable


def _wanted(
    classification: Classification | None,
    classes: Sequence[str] | None,
    classifier: Classifier | None,
) -> tuple[str, ...]:
    from ecg4u.arguments import check_names
    from ecg4u.errors import UsageError
    from ecg4u.record import CLASSES

    if classes is not None:
        check_names("classes", classes)
        known = tuple(getattr(classifier, "classes", CLASSES))
        unknown = [name for name in classes if name not in known]
        if unknown:
            raise UsageError(
                f"The classifier has no class {', '.join(unknown)}.",
                stage="explain",
                hint=f"Choose from {', '.join(known)}.",
            )
        return tuple(classes)
    if classification is None or classification.verdict == "unreadable":
        return ()
    return tuple(result.name for result in classification.results if result.positive)
