"""From an `Analysis` to the plain values that the report shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ecg4u.explain.titles import FEATURES, NOTES
from ecg4u.record import LEADS
from ecg4u.report.markup import number
from ecg4u.report.names import GRID_SOURCES, SCALE_SOURCES
from ecg4u.texts import in_digits, translated

if TYPE_CHECKING:
    from ecg4u.analysis import Analysis
    from ecg4u.digitize.result import Digitization
    from ecg4u.explain.result import Feature, Features

UNSHOWN = frozenset({"qrs_area", "p_area"})
"""Features of a lead that serve other features only."""
POOR_COVERAGE = 0.02
"""A lead known over less of the record than this is reported as not read."""


@dataclass(frozen=True)
class FeatureRow:
    """A measured feature ready to be shown: value and unit as text, or the reason for none."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class LeadTable:
    """The same features of each lead: their names with units, and one row of texts a lead."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Facts:
    """Small print: what was read, and by what."""

    rows: tuple[tuple[str, str], ...]
    versions: Mapping[str, str]


def feature_rows(features: Features) -> list[FeatureRow]:
    """The features of the whole ECG."""
    return [_feature_row(key, feature) for key, feature in features.globals.items()]


def _feature_row(key: str, feature: Feature) -> FeatureRow:
    title = FEATURES.get(key, feature.name)
    if feature.value is None:
        return FeatureRow(title, "", feature.reason)
    note = NOTES.get(key, "")
    if feature.uncertainty:
        note = f"± {_digits(feature.uncertainty, feature.unit)} {note}".strip()
    return FeatureRow(title, f"{_digits(feature.value, feature.unit)}{_unit(feature)}", note)


def vitals(features: Features) -> list[FeatureRow]:
    """Rate, PR, QRS, QT, QTc and axis, as an ECG printout has them at its head."""
    if not features.beats:
        return []
    return [
        _vital("Rate", features, "rate"),
        _vital("PR", features, "pr"),
        _vital("QRS", features, "qrs"),
        _vital("QT", features, "qt"),
        _vital("QTc (Bazett)", features, "qtc_bazett"),
        _vital("QTc (Fridericia)", features, "qtc_fridericia"),
        _vital("QRS axis", features, "axis"),
    ]


def _vital(title: str, features: Features, key: str) -> FeatureRow:
    feature = features.globals.get(key)
    if feature is None or feature.value is None:
        return FeatureRow(title, "", "not measured")
    spread = feature.uncertainty if key != "rate" else None
    note = f"± {_digits(spread, feature.unit)}" if spread else ""
    unit = translated(" per min") if feature.unit == "/min" else _unit(feature)
    return FeatureRow(title, f"{_digits(feature.value, feature.unit)}{unit}", note)


def lead_table(features: Features) -> LeadTable | None:
    """The features of each lead's median beat, one row a lead."""
    columns: dict[str, str] = {}
    for lead in features.leads.values():
        for key, feature in lead.features.items():
            if key not in UNSHOWN:
                unit = f" ({feature.unit})" if feature.unit else ""
                columns.setdefault(key, FEATURES.get(key, feature.name) + unit)
    if not columns:
        return None
    rows = tuple(
        (name, *(_lead_cell(lead.features.get(key)) for key in columns))
        for name, lead in features.leads.items()
    )
    return LeadTable(tuple(columns.values()), rows)


def _lead_cell(feature: Feature | None) -> str:
    if feature is None or feature.value is None:
        return "–"
    return _digits(feature.value, feature.unit)


def _unit(feature: Feature) -> str:
    if feature.unit == "deg":
        return "°"
    return f" {feature.unit}" if feature.unit else ""


def _digits(value: float, unit: str) -> str:
    """As many digits as a measurement in that unit is worth."""
    return in_digits(number(value, {"ms": 0, "/min": 0, "deg": 0}.get(unit, 2)))


def warning_lines(analysis: Analysis) -> list[str]:
    """Warnings of the analysis, and the leads of which too little could be read; none twice."""
    lines = list(analysis.warnings)
    if analysis.digitization is not None:
        lines += analysis.digitization.warnings
        for trace in analysis.digitization.traces:
            if trace.grade in ("poor", "missing"):
                why = f": {', '.join(trace.reasons)}" if trace.reasons else ""
                lines.append(f"Lead {trace.lead}, row {trace.row + 1}: {trace.grade}{why}")
    missing = [lead for lead, share in analysis.record.coverage().items() if share < POOR_COVERAGE]
    if missing:
        lines.append(f"Not shown or not read: {', '.join(missing)}")
    return list(dict.fromkeys(lines))


def facts(analysis: Analysis) -> Facts:
    """Page, calibration, model and versions of an analysis."""
    from ecg4u.analysis import versions

    rows: list[tuple[str, str]] = []
    if analysis.digitization is not None:
        rows += _page_rows(analysis.digitization)
    record = analysis.record
    rows.append(("Signals", in_digits(f"{record.duration_s:.1f} s, {number(record.fs)} Hz")))
    known = [lead for lead, share in record.coverage().items() if share >= POOR_COVERAGE]
    rows.append(("Leads read", f"{len(known)} of {len(LEADS)}"))
    if record.age is not None or record.sex is not None:
        age = "" if record.age is None else f"{number(record.age)} years"
        rows.append(("Patient", ", ".join(filter(None, (age, record.sex)))))
    if record.provenance.source_sha256:
        rows.append(("Source, SHA-256", record.provenance.source_sha256[:16] + " …"))
    if analysis.classification is not None:
        rows.append(("Network", analysis.classification.model))
    return Facts(tuple(rows), versions())


def _page_rows(digitization: Digitization) -> list[tuple[str, str]]:
    calibration, page = digitization.calibration, digitization.page
    grid = digitization.rectified.grid
    height, width = page.image.shape[:2]
    by_label = sum(trace.named_by == "label" for trace in digitization.traces)
    return [
        ("Page", f"{page.number} of {page.n_pages}, {width} × {height} px, {page.format}"),
        ("Quality of the page", digitization.grade),
        ("Layout", digitization.layout.name),
        ("Leads named by their label", f"{by_label} of {len(digitization.traces)} traces"),
        (
            "Paper speed",
            f"{number(calibration.speed_mm_per_s)} mm/s, {_scale(calibration.speed_from)}",
        ),
        ("Gain", f"{number(calibration.gain_mm_per_mv)} mm/mV, {_scale(calibration.gain_from)}"),
        ("Scale of the page", GRID_SOURCES.get(grid.scale_from, grid.scale_from)),
    ]


def _scale(source: str) -> str:
    return SCALE_SOURCES.get(source, source)
