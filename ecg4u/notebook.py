"""How results show themselves in a notebook: traces on ECG paper, and small HTML tables."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ecg4u.record import ECGRecord

SPEED_MM_PER_S = 25.0
GAIN_MM_PER_MV = 10.0
LEAST_ROW_MM = 15.0
INCHES_PER_MM = 1 / 25.4
FINE, COARSE, TRACE = "#f6d9d9", "#e8a9a9", "#1a1a1a"
HTML_DPI = 80


def plot_record(
    record: ECGRecord,
    *,
    leads: Sequence[str] | None = None,
    start_s: float = 0.0,
    length_s: float = 10.0,
    ax: Axes | None = None,
) -> Axes:
    """Draw leads under each other on ECG paper (25 mm/s, 10 mm/mV); see `ECGRecord.plot`."""
    names = tuple(record.sig_name if leads is None else leads)
    first = max(round(start_s * record.fs), 0)
    part = slice(first, first + max(round(length_s * record.fs), 1))
    signals = [record.lead(name)[part] for name in names]
    levels, height_mm = _levels(signals)
    width_mm = SPEED_MM_PER_S * min(length_s, record.duration_s)
    if ax is None:
        # Through pyplot, so that a notebook shows it and plt.show() opens a window.
        import matplotlib.pyplot as plt

        ax = plt.figure().add_axes((0.0, 0.0, 1.0, 1.0))
        _to_size(ax, width_mm, height_mm)
    _paper(ax, width_mm, height_mm)
    for name, signal, level in zip(names, signals, levels, strict=True):
        time_mm = SPEED_MM_PER_S * np.arange(len(signal)) / record.fs
        ax.plot(time_mm, level + GAIN_MM_PER_MV * signal, color=TRACE, linewidth=0.8)
        known = np.flatnonzero(np.isfinite(signal))
        at_mm = time_mm[known[0]] if len(known) else 0.0
        ax.text(at_mm + 1, level + 5, name, fontsize=8, color=TRACE)
    return ax


def _to_size(ax: Axes, width_mm: float, height_mm: float) -> None:
    figure = ax.get_figure(root=True)
    if figure is not None:
        figure.set_size_inches(width_mm * INCHES_PER_MM, height_mm * INCHES_PER_MM)


def _levels(signals: Sequence[np.ndarray]) -> tuple[list[float], float]:
    """Where 0 mV of each row lies, in mm from the bottom, and the height of the paper."""
    levels: list[float] = []
    down = 0.0
    for signal in signals:
        known = signal[np.isfinite(signal)]
        top = GAIN_MM_PER_MV * float(known.max(initial=0.0))
        bottom = GAIN_MM_PER_MV * float(known.min(initial=0.0))
        spare = max(LEAST_ROW_MM - (top - bottom), 2.0) / 2
        levels.append(down + spare + top)
        down += 2 * spare + top - bottom
    height = 5.0 * np.ceil(down / 5.0)
    return [height - level for level in levels], float(height)


def _paper(ax: Axes, width_mm: float, height_mm: float) -> None:
    for step, colour, thickness in ((1, FINE, 0.3), (5, COARSE, 0.6)):
        ax.vlines(np.arange(0, width_mm + 1, step), 0, height_mm, colour, linewidth=thickness)
        ax.hlines(np.arange(0, height_mm + 1, step), 0, width_mm, colour, linewidth=thickness)
    ax.set(xlim=(0, width_mm), ylim=(0, height_mm), xticks=[], yticks=[], aspect="equal")


def record_html(record: ECGRecord) -> str:
    """The record's traces as a picture in HTML, under a line that describes it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure()  # not pyplot's: it must not be shown a second time
    ax = plot_record(record, ax=figure.add_axes((0.0, 0.0, 1.0, 1.0)))
    _to_size(ax, ax.get_xlim()[1], ax.get_ylim()[1])
    data = io.BytesIO()
    FigureCanvasAgg(figure).print_figure(data, format="png", dpi=HTML_DPI)
    picture = base64.b64encode(data.getvalue()).decode("ascii")
    return (
        f"<p>{escape(repr(record).strip('<>'))}</p>{list_html(record.warnings)}"
        f'<img alt="The leads on ECG paper" style="max-width:100%" '
        f'src="data:image/png;base64,{picture}">'
    )


def table_html(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table; every cell is escaped."""
    head = "".join(f"<th>{escape(str(cell))}</th>" for cell in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def list_html(lines: Sequence[str]) -> str:
    """Warnings or reasons as a list; nothing where there are none."""
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>" if lines else ""
