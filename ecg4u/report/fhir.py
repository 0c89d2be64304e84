"""The answer as FHIR R4: a Bundle of one DiagnosticReport and its Observations.

Codes are LOINC for measurements and SNOMED CT for findings (those of the PhysioNet/CinC
Challenges 2020 and 2021). Nothing about the patient is in it but what the receiving system adds.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ecg4u.analysis import NOTICE, check_analysis

if TYPE_CHECKING:
    from ecg4u.analysis import Analysis
    from ecg4u.explain.result import Features
    from ecg4u.explain.summary import Line

LOINC, SNOMED = "http://loinc.org", "http://snomed.info/sct"
UCUM = "http://unitsofmeasure.org"
STUDY = ("11524-6", "EKG study")
MEASUREMENTS: Mapping[str, tuple[str, str, str]] = {
    "rate": ("8867-4", "Heart rate", "/min"),
    "pr": ("8625-6", "P-R Interval", "ms"),
    "qrs": ("8633-0", "QRS duration", "ms"),
    "qt": ("8634-8", "Q-T interval", "ms"),
    "qtc_bazett": ("8636-3", "Q-T interval corrected", "ms"),
    "axis": ("8632-2", "QRS axis", "deg"),
}
FINDINGS: Mapping[str, tuple[str, str]] = {
    "Normal": ("164854000", "Electrocardiogram normal"),
    "AF": ("164889003", "Electrocardiographic atrial fibrillation"),
    "I-AVB": ("270492004", "First degree atrioventricular block"),
    "LBBB": ("164909002", "Electrocardiographic left bundle branch block"),
    "RBBB": ("59118001", "Right bundle branch block"),
    "PAC": ("284470004", "Premature atrial contraction"),
    "PVC": ("427172004", "Premature ventricular contractions"),
    "STD": ("429622005", "ST segment depression"),
    "STE": ("164931005", "ST segment elevation"),
    "st_elevation": ("164931005", "ST segment elevation"),
    "t_inverted": ("59931005", "Inverted T wave"),
    "q_waves": ("164917005", "Electrocardiographic Q wave abnormal"),
    "axis_left": ("39732003", "Left axis deviation"),
    "axis_right": ("47665007", "Right axis deviation"),
    "qtc_prolonged": ("111975006", "Prolonged QT interval"),
    "qtc_over_500": ("111975006", "Prolonged QT interval"),
    "low_voltage_limb": ("251146004", "Low QRS voltages"),
    "qrs_wide": ("698252002", "Nonspecific intraventricular conduction disorder"),
    "bradycardia": ("426627000", "Electrocardiogram: bradycardia"),
    "bradycardia_severe": ("426627000", "Electrocardiogram: bradycardia"),
    "tachycardia": ("3424008", "Tachycardia"),
    "tachycardia_very_fast": ("3424008", "Tachycardia"),
    "wide_complex_tachycardia": ("3424008", "Tachycardia"),
    "sinus tachycardia": ("427084000", "Sinus tachycardia"),
    "sinus bradycardia": ("426177001", "Sinus bradycardia"),
    "sinus arrhythmia": ("427393009", "Sinus arrhythmia"),
    "pacemaker": ("10370003", "Rhythm from artificial pacing"),
    "incomplete RBBB": ("713426002", "Incomplete right bundle branch block"),
    "complete RBBB": ("713427006", "Complete right bundle branch block"),
    "left anterior fascicular block": ("445118002", "Left anterior fascicular block"),
    "left posterior fascicular block": ("445211001", "Left posterior fascicular block"),
    "low voltage": ("251146004", "Low QRS voltages"),
    "T wave inversion": ("59931005", "Inverted T wave"),
    "left ventricular hypertrophy": ("164873001", "Left ventricular hypertrophy"),
}
NAMESPACE = uuid.UUID("6ab8b1e2-6d0f-4c49-9a0e-1f3a4f1f9f10")
"""Of the identifiers, so that the same analysis gives the same bundle."""
SHOWN = ("urgent", "class", "other", "normal")


def bundle(analysis: Analysis, *, report_html: str | None = None) -> dict[str, Any]:
    """A ``collection`` Bundle of plain values, ready for JSON.

    Parameters
    ----------
    analysis : Analysis
        With a classification, an explanation or both.
    report_html : str, optional
        The report, to be held as ``presentedForm``. It may show the page and with it a name.
    """
    check_analysis(analysis)
    seed = analysis.record.provenance.source_sha256 or "record"
    observations = [
        *_measured(analysis.explanation.features if analysis.explanation else None, seed),
        *(_found(line, seed) for line in analysis.summary if line.kind in SHOWN),
    ]
    said = [str(line) for line in analysis.summary] or ["No answer."]
    report = {
        "resourceType": "DiagnosticReport",
        "id": _identifier(seed, "report"),
        "status": "preliminary",
        "category": [{"text": "Electrocardiography"}],
        "code": _coded(LOINC, *STUDY),
        "result": [{"reference": f"urn:uuid:{o['id']}"} for o in observations],
        "conclusion": "\n".join([*said, NOTICE]),
    }
    if report_html is not None:
        data = base64.b64encode(report_html.encode()).decode()
        report["presentedForm"] = [{"contentType": "text/html", "data": data}]
    entries = [report, *observations]
    return {
        "resourceType": "Bundle",
        "id": _identifier(seed, "bundle"),
        "type": "collection",
        "entry": [{"fullUrl": f"urn:uuid:{e['id']}", "resource": e} for e in entries],
    }


def _measured(features: Features | None, seed: str) -> Iterator[dict[str, Any]]:
    for key, (code, title, unit) in MEASUREMENTS.items():
        feature = None if features is None else features.globals.get(key)
        if feature is None or feature.value is None:
            continue
        observation = _observation(seed, key, _coded(LOINC, code, title))
        observation["valueQuantity"] = {
            "value": round(feature.value, 1), "unit": unit, "system": UCUM, "code": unit,
        }  # fmt: skip
        if feature.uncertainty:
            observation["note"] = [{"text": f"standard uncertainty {feature.uncertainty:.0f}"}]
        yield observation


def _found(line: Line, seed: str) -> dict[str, Any]:
    coded = FINDINGS.get(line.code)
    code = {"text": line.title} if coded is None else _coded(SNOMED, *coded)
    observation = _observation(seed, f"{line.kind}:{line.code}:{line.title}", code)
    observation["valueString"] = f"{line.title}: {line.certainty}" if line.certainty else line.title
    if line.detail:
        observation["note"] = [{"text": line.detail}]
    return observation


def _observation(seed: str, name: str, code: dict[str, Any]) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": _identifier(seed, name),
        "status": "preliminary",
        "category": [{"text": "procedure"}],
        "code": code,
        "method": {"text": "ecg4u; research and teaching aid, not a medical device"},
    }


def _coded(system: str, code: str, title: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code, "display": title}], "text": title}


def _identifier(seed: str, name: str) -> str:
    return str(uuid.uuid5(NAMESPACE, f"{seed}/{name}"))
