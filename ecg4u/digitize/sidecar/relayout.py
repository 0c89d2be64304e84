"""The rows of a page cut and named by another layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ecg4u.digitize.sidecar.content import GAP, STAGE, Content, Piece
from ecg4u.errors import SidecarError
from ecg4u.paper.layouts import LAYOUTS, Segment

START_TOLERANCE_S = 0.5
"""A start this near to the layout's is left as it was measured."""


def with_layout(sidecar: Content, name: str) -> Content:
    """The sidecar with the layout of this name.

    A row that holds as many leads as before keeps its cuts and gets names and times; any other is
    cut anew, in proportion.

    Raises
    ------
    SidecarError
        If there is no such layout, or the page has another number of rows.
    """
    rows = sorted({piece.row for piece in sidecar.pieces})
    fitting = sorted(key for key, layout in LAYOUTS.items() if len(layout.rows) == len(rows))
    if name not in fitting:
        raise SidecarError(
            f"The layout does not fit the {len(rows)} rows of this page.",
            stage=STAGE,
            hint="Layouts that fit: " + (", ".join(fitting) or "none") + ".",
        )
    pieces: list[Piece] = []
    for row, segments in zip(rows, LAYOUTS[name].rows, strict=True):
        old = sorted((p for p in sidecar.pieces if p.row == row), key=lambda p: p.x0_mm)
        rhythm = len(segments) < max(len(r) for r in LAYOUTS[name].rows)
        if len(old) == len(segments):
            pieces += [
                _named(piece, segment, rhythm) for piece, segment in zip(old, segments, strict=True)
            ]
        else:
            pieces += _cut(old, segments, rhythm)
    kept = {piece.id for piece in pieces}
    redraw = tuple(item for item in sidecar.redraw if item.segment in kept)
    return replace(sidecar, layout=name, pieces=tuple(pieces), redraw=redraw)


def _named(piece: Piece, segment: Segment, rhythm: bool) -> Piece:
    same = abs(piece.start_s - segment.start_s) < START_TOLERANCE_S
    return replace(
        piece,
        lead=segment.lead,
        named_by=piece.named_by if piece.lead == segment.lead else "user",
        start_s=piece.start_s if same else segment.start_s,
        rhythm=rhythm,
    )


def _cut(old: Sequence[Piece], segments: Sequence[Segment], rhythm: bool) -> list[Piece]:
    """A row's pieces joined and divided by the layout's durations."""
    step, x0, x1 = old[0].step_mm, old[0].x0_mm, old[-1].x1_mm
    n = max(len(segments), round((x1 - x0) / step))
    height, percent = np.zeros(n, np.int64), np.full(n, GAP, np.uint8)
    zeros = [piece.zero_mm for piece in old if piece.zero_mm is not None]
    zero = float(np.median(zeros)) if zeros else 0.0
    for piece in old:
        first = max(0, round((piece.x0_mm - x0) / step))
        count = min(len(piece.height_um), n - first)
        shift = 0.0 if piece.zero_mm is None else 1000 * (zero - piece.zero_mm)
        height[first : first + count] = piece.height_um[:count] + round(shift)
        percent[first : first + count] = piece.percent[:count]
    durations = np.array([segment.duration_s for segment in segments])
    edges = np.round(np.concatenate([[0.0], np.cumsum(durations)]) / durations.sum() * n)
    pieces = []
    for k, segment in enumerate(segments):
        a, b = int(edges[k]), max(int(edges[k]) + 1, int(edges[k + 1]))
        start = segment.start_s
        pieces.append(
            replace(
                old[0],
                id=f"{old[0].row + 1}.{k + 1}",
                lead=segment.lead,
                named_by="user",
                rhythm=rhythm,
                start_s=start,
                x0_mm=x0 + a * step,
                zero_mm=zero if zeros else None,
                height_um=height[a:b],
                percent=percent[a:b],
                found_lead=segment.lead,
                found_start_s=start,
            )
        )
    return pieces
