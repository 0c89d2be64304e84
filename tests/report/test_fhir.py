"""The answer as FHIR resources."""

from __future__ import annotations

import json

import made_up
import pytest

from ecg4u.analysis import Analysis
from ecg4u.model.classifier import WEIGHTS
from ecg4u.record import CLASSES
from ecg4u.report.fhir import FINDINGS, LOINC, SNOMED, bundle


def analysis() -> Analysis:
    whole = made_up.analysis()
    return Analysis(whole.record, None, whole.classification, whole.explanation)


def test_a_report_refers_to_every_observation() -> None:
    resources = [entry["resource"] for entry in bundle(analysis())["entry"]]
    report, *observations = resources
    assert report["resourceType"] == "DiagnosticReport"
    assert report["status"] == "preliminary"
    assert [r["reference"] for r in report["result"]] == [
        f"urn:uuid:{o['id']}" for o in observations
    ]
    assert "Atrial fibrillation" in report["conclusion"]
    assert "not a medical device" in report["conclusion"].splitlines()[-1]


def test_measurements_are_loinc_and_findings_snomed() -> None:
    resources = [entry["resource"] for entry in bundle(analysis())["entry"]][1:]
    coded = {
        c["coding"][0]["code"]: (c["coding"][0]["system"], o)
        for o in resources
        if "coding" in (c := o["code"])
    }
    system, rate = coded["8867-4"]
    assert system == LOINC
    assert rate["valueQuantity"] == {
        "value": 75.2, "unit": "/min", "system": "http://unitsofmeasure.org", "code": "/min",
    }  # fmt: skip
    assert coded["164889003"][0] == SNOMED


def test_what_the_network_can_find_has_a_code() -> None:
    card = json.loads((WEIGHTS / "classifier.json").read_text())
    # Infarctions of unknown age have no code for a wall alone.
    coded = [name for name in card["findings"] if not name.endswith(" infarction")]
    assert set(coded) | set(CLASSES) <= set(FINDINGS)


def test_the_same_analysis_gives_the_same_bundle_without_the_page() -> None:
    first, again = (json.dumps(bundle(analysis())) for _ in range(2))
    assert first == again
    assert "presentedForm" not in first
    assert "presentedForm" in json.dumps(bundle(analysis(), report_html="<p>x</p>"))


def test_the_resources_are_valid_to_another_implementation() -> None:
    r4 = pytest.importorskip("fhir.resources.R4B.bundle")
    read = r4.Bundle.model_validate(bundle(analysis(), report_html="<p>x</p>"))
    kinds = [type(entry.resource).__name__ for entry in read.entry]
    assert kinds[0] == "DiagnosticReport"
    assert set(kinds[1:]) == {"Observation"}
