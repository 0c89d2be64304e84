"""The report on one page A4: summary, measurements and the twelve leads."""

from __future__ import annotations

import io
import textwrap
from typing import TYPE_CHECKING

import numpy as np

from ecg4u.analysis import NOTICE, check_analysis
from ecg4u.record import LEADS
from ecg4u.report import figure
from ecg4u.report.gather import vitals

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ecg4u.analysis import Analysis
    from ecg4u.record import ECGRecord

WIDTH_MM, HEIGHT_MM = 297.0, 210.0
MARGIN_MM = 8.0
LINE_MM = 4.4
CHARACTERS = 165
"""That fit into a line at 8 pt."""
MAX_LINES = 12
LEAST_SHEET_MM = 105.0
LEAST_SCALE = 0.85
"""Twelve rows that would be drawn smaller stand in columns instead."""
COLUMN_S, MAX_S = 2.5, 10.0
INCHES_PER_MM = 1 / 25.4
FINE, COARSE, INK, QUIET, ALERT = "#f3d3cd", "#dd9c90", "#000000", "#444444", "#7a3300"


def one_page_pdf(analysis: Analysis, *, title: str = "12-lead ECG") -> bytes:
    """A PDF of one page A4, landscape; the same bytes for the same analysis.

    The leads are drawn at 25 mm/s and 10 mm/mV where they fit; else smaller, and the page says so.
    Neither the picture of the page nor any text of it is in the PDF.
    """
    from matplotlib.backends.backend_pdf import FigureCanvasPdf
    from matplotlib.figure import Figure

    check_analysis(analysis)
    page = Figure(figsize=(WIDTH_MM * INCHES_PER_MM, HEIGHT_MM * INCHES_PER_MM))
    ax = page.add_axes((0.0, 0.0, 1.0, 1.0))
    ax.set(xlim=(0, WIDTH_MM), ylim=(HEIGHT_MM, 0))
    ax.axis("off")
    below = _words(ax, analysis, title)
    _leads(ax, analysis, below)
    stream = io.BytesIO()
    FigureCanvasPdf(page).print_pdf(
        stream, metadata={"Creator": "ecg4u", "Producer": None, "CreationDate": None}
    )
    return stream.getvalue()


def _words(ax: Axes, analysis: Analysis, title: str) -> float:
    """Title, summary and measurements; returns how far down they reach, in mm."""
    y = MARGIN_MM + 2
    ax.text(MARGIN_MM, y, title, fontsize=12, fontweight="bold", va="center", color=INK)
    ax.text(WIDTH_MM - MARGIN_MM, y, NOTICE, fontsize=8, ha="right", va="center", color=QUIET)
    y += 2
    lines = [
        (line.kind, part)
        for line in analysis.summary
        for part in textwrap.wrap(str(line), CHARACTERS, subsequent_indent="    ")
    ]
    if len(lines) > MAX_LINES:
        more = len(lines) - MAX_LINES + 1
        lines = [*lines[: MAX_LINES - 1], ("doubt", f"{more} more lines: see the full report.")]
    for kind, text in lines:
        y += LINE_MM
        bold = kind in ("urgent", "class", "normal", "unreadable")
        colour = ALERT if kind in ("urgent", "unreadable") else INK if bold else QUIET
        weight = "bold" if bold else "normal"
        ax.text(MARGIN_MM, y, text, fontsize=8, fontweight=weight, va="center", color=colour)
    if analysis.explanation is not None:
        measured = vitals(analysis.explanation.features)
        text = "    ".join(f"{row.name} {row.value or '–'} {row.note}".strip() for row in measured)
        y += LINE_MM + 1
        ax.text(MARGIN_MM, y, text, fontsize=8, va="center", color=INK)
    return y + 3


def _fitted(
    record: ECGRecord, rows: list[list[figure.Strip]], room_mm: float
) -> tuple[figure.Paper, float]:
    paper = figure.lay_out(record, rows)
    return paper, min(1.0, (WIDTH_MM - 2 * MARGIN_MM) / paper.width, room_mm / paper.height)


def _in_columns(rows: list[list[figure.Strip]]) -> list[list[figure.Strip]]:
    """Twelve long rows as most printouts show them: four columns of 2.5 s, and II throughout."""
    of = {strip.lead: strip for row in rows for strip in row}
    if set(of) != set(LEADS) or any(s.start_s > 0 or s.end_s < MAX_S for s in of.values()):
        return rows
    starts = [COLUMN_S * column for column in range(4)]
    shown = [
        [
            figure.Strip(LEADS[3 * column + row], start, start + COLUMN_S)
            for column, start in enumerate(starts)
        ]
        for row in range(3)
    ]
    return [*shown, [figure.Strip("II", 0.0, MAX_S)]]


def _leads(ax: Axes, analysis: Analysis, top: float) -> None:
    record = analysis.record
    rows = figure.arrange(record, analysis.digitization)
    if not rows:
        return
    room = max(HEIGHT_MM - MARGIN_MM - 4 - top, LEAST_SHEET_MM)
    paper, scale = _fitted(record, rows, room)
    if scale < LEAST_SCALE and len(rows) == len(LEADS):
        paper, scale = _fitted(record, _in_columns(rows), room)
    left = (WIDTH_MM - scale * paper.width) / 2
    for step, colour, width in ((1, FINE, 0.2), (5, COARSE, 0.4)):
        across = left + scale * np.arange(0, paper.width + 0.5, step)
        down = top + scale * np.arange(0, paper.height + 0.5, step)
        ax.vlines(across, top, top + scale * paper.height, colour, linewidth=width)
        ax.hlines(down, left, left + scale * paper.width, colour, linewidth=width)
    for baseline in paper.baselines:
        pulse = np.array([(3, 0), (5, 0), (5, -10), (10, -10), (10, 0), (12, 0)], dtype=float)
        ax.plot(left + scale * pulse[:, 0], top + scale * (baseline + pulse[:, 1]), INK, lw=0.7)
    for panel in paper.panels:
        first, last = (round(t * record.fs) for t in (panel.strip.start_s, panel.strip.end_s))
        signal = record.lead(panel.strip.lead)[first:last]
        x = panel.x + figure.MM_PER_S * np.arange(len(signal)) / record.fs
        y = np.clip(panel.baseline - figure.MM_PER_MV * signal, panel.top, panel.bottom)
        ax.plot(left + scale * x, top + scale * y, color=INK, linewidth=0.8)
        name_x, name_y = figure.name_place(record, panel)
        ax.text(left + scale * name_x, top + scale * name_y, panel.strip.lead, fontsize=8,
                fontweight="bold", color=INK)  # fmt: skip
    size = "" if scale == 1 else f", drawn at {100 * scale:.0f} % of that size"
    ax.text(left, top + scale * paper.height + 3, f"25 mm/s, 10 mm/mV{size}", fontsize=7,
            va="center", color=QUIET)  # fmt: skip
