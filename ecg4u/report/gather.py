"""From an `Analysis` to the plain values that the report shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ecg4u.record import LEADS
from ecg4u.report.markup import number
from ecg4u.report.names import GRID_SOURCES, SCALE_SOURCES
from ecg4u.report.view import (
    AttributionView,
    Beat,
    ClassRow,
    CriterionRow,
    Facts,
    FeatureRow,
    Opinion,
    Reasons,
    Sentence,
    Share,
    Stretch,
)

if TYPE_CHECKING:
    from ecg4u.analysis import Analysis
    from ecg4u.digitize.result import Digitization

POOR_COVERAGE = 0.02
"""A lead known over less of the record than this is reported as not read."""


def opinion(analysis: Analysis) -> Opinion | None:
    """The classes of an analysis."""
    found = analysis.classification
    if found is None:
        return None
    rows = tuple(
        ClassRow(
            row.name,
            row.probability,
            row.threshold,
            row.positive,
            row.sensitivity,
            row.specificity,
        )
        for row in found.results
    )
    return Opinion(rows, found.verdict, tuple(found.reasons), found.model)


def reasons(analysis: Analysis) -> Reasons:
    """The explanation of an analysis; empty where it has none."""
    found = analysis.explanation
    if found is None:
        return Reasons()
    return Reasons(
        sentences=tuple(
            Sentence(line.section, line.text, tuple(map(_stretch, line.evidence)))
            for line in found.reading
        ),
        criteria=tuple(map(_criterion, found.criteria)),
        attributions=tuple(map(_attribution, found.attributions)),
        conflicts=tuple(found.conflicts),
        features=tuple(_features(found.features)),
        beats=tuple(_beats(found.features)),
    )


def _stretch(place: Any) -> Stretch:
    return Stretch(place.lead, place.start_s, place.end_s)


def _criterion(result: Any) -> CriterionRow:
    return CriterionRow(
        result.class_name, result.name, result.source, result.outcome, result.numbers
    )


def _attribution(view: Any) -> AttributionView:
    return AttributionView(view.class_name, view.kind, (), view.base_value, 0.0, 0.0)


def _features(features: Any) -> list[FeatureRow]:
    return []


def _beats(features: Any) -> list[Beat]:
    return []


def warning_lines(analysis: Analysis) -> list[str]:
    """Warnings of the analysis, and the leads of which too little could be read; none twice."""
    lines = list(analysis.warnings)
    if analysis.digitization is not None:
        lines += analysis.digitization.warnings
        for trace in analysis.digitization.traces:
            if trace.grade in ("poor", "missing"):
                why = f": {', '.join(trace.reasons)}" if trace.reasons else ""
                lines.append(f"Lead {trace.lead}, row {trace.row + 1}: {trace.grade}{why}")
    missing = [
        lead for lead, share in analysis.record.coverage().items() if share < POOR_COVERAGE
    ]
    if missing:
        lines.append(f"Not shown or not read: {', '.join(missing)}")
    return list(dict.fromkeys(lines))


def facts(analysis: Analysis) -> Facts:
    """Page, calibration, model, versions and timings of an analysis."""
    rows: list[tuple[str, str]] = []
    if analysis.digitization is not None:
        rows += _page_rows(analysis.digitization)
    record = analysis.record
    rows.append(("Signals", f"{record.duration_s:.1f} s at {number(record.fs)} Hz"))
    known = [lead for lead, share in record.coverage().items() if share >= POOR_COVERAGE]
    rows.append(("Leads read", f"{len(known)} of {len(LEADS)}"))
    if record.provenance.source_sha256:
        rows.append(("Source, SHA-256", record.provenance.source_sha256[:16] + " …"))
    if analysis.classification is not None:
        rows.append(("Network", analysis.classification.model))
    return Facts(tuple(rows), {}, dict(analysis.timings_s))


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
