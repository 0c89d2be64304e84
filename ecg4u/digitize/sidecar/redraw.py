"""The measured curve of a piece with the stretches that a person drew or blanked put in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ecg4u.digitize.sidecar.content import GAP, PageContent, Piece, Redraw
from ecg4u.runs import runs_of

Floats = npt.NDArray[np.float64]

HAND_CONFIDENCE = 0.6
"""A line drawn with a finger or a mouse is some tenths of a millimetre off."""
END_TOLERANCE_MM = 0.01
"""A sample where a drawn stretch ends is of the stretch; the way there and back is not exact."""
TOLERANCE_MM = 0.03
"""How far the compact polyline may run beside the measured curve."""


def measured(
    piece: Piece, redraws: Sequence[Redraw], sidecar: PageContent
) -> tuple[Floats, Floats]:
    """Height over the zero level (n,) in mm, NaN in gaps, and confidence (n,) in [0, 1]."""
    gap = piece.percent == GAP
    height = np.where(gap, np.nan, piece.height_um / 1000.0)
    confidence = np.where(gap, 0.0, piece.percent / 100.0)
    for redraw in redraws:
        if redraw.segment == piece.id:
            _put_in(redraw, piece, sidecar, height, confidence)
    return height, confidence


def hand_drawn(piece: Piece, sidecar: PageContent) -> npt.NDArray[np.bool_]:
    """Which samples (n,) of a piece a person drew or blanked."""
    touched = np.zeros(len(piece.percent), bool)
    for redraw in sidecar.redraw:
        if redraw.segment == piece.id:
            touched |= _span(redraw, piece, sidecar)
    return touched


def _put_in(
    redraw: Redraw, piece: Piece, sidecar: PageContent, height: Floats, confidence: Floats
) -> None:
    inside = _span(redraw, piece, sidecar)
    height[inside] = np.nan
    confidence[inside] = 0.0
    if redraw.points is None:
        return
    drawn = _drawn(redraw.points, piece, sidecar)
    known = inside & np.isfinite(drawn)
    height[known] = zero_of(piece, sidecar) - drawn[known]
    confidence[known] = HAND_CONFIDENCE


def zero_of(piece: Piece, sidecar: PageContent) -> float:
    """Height of 0 mV on the page in mm: the piece's own, else that of its row or its neighbours."""
    if piece.zero_mm is not None:
        return piece.zero_mm
    known = [(abs(p.row - piece.row), p) for p in sidecar.pieces if p.zero_mm is not None]
    if not known:
        return 0.0
    nearest = min(distance for distance, _ in known)
    return float(np.median([p.zero_mm for d, p in known if d == nearest and p.zero_mm is not None]))


def _span(redraw: Redraw, piece: Piece, sidecar: PageContent) -> npt.NDArray[np.bool_]:
    """Samples that a redraw replaces."""
    if redraw.x is None:
        assert redraw.points is not None
        x = sidecar.mesh.to_page(redraw.points)[:, 0]
        if not np.isfinite(x).any():
            return np.zeros(len(piece.x_mm), bool)
        low, high = np.nanmin(x) - END_TOLERANCE_MM, np.nanmax(x) + END_TOLERANCE_MM
        return np.asarray((piece.x_mm >= low) & (piece.x_mm <= high))
    zero = np.full(len(piece.x_mm), zero_of(piece, sidecar))
    source = sidecar.mesh.to_source(np.column_stack([piece.x_mm, zero]))
    along = source[:, 1 if on_its_side(sidecar) else 0]
    return np.asarray((along >= min(redraw.x)) & (along <= max(redraw.x)))


def on_its_side(sidecar: PageContent) -> bool:
    """Whether the page's rows run up or down in the source image."""
    return 45.0 < abs(sidecar.grid.turned_deg) < 135.0


def _drawn(points: Floats, piece: Piece, sidecar: PageContent) -> Floats:
    """Height on the page (n,) in mm at each sample of a piece; NaN where nothing was drawn."""
    page = sidecar.mesh.to_page(points)
    height = np.full(len(piece.x_mm), np.nan)
    for run in (page[known] for known in runs_of(np.isfinite(page[:, 0]))):
        if run[0, 0] > run[-1, 0]:
            run = run[::-1]
        x = np.maximum.accumulate(run[:, 0]) + np.arange(len(run)) * 1e-9
        within = (piece.x_mm >= x[0] - piece.step_mm / 2) & (
            piece.x_mm <= x[-1] + piece.step_mm / 2
        )
        height[within] = np.interp(piece.x_mm[within], x, run[:, 1])
    return height


def polyline(piece: Piece, sidecar: PageContent) -> Floats:
    """The curve of a piece (n, 2) in source px, NaN in gaps, without points that say nothing."""
    height, _ = measured(piece, sidecar.redraw, sidecar)
    page = np.column_stack([piece.x_mm, zero_of(piece, sidecar) - height])
    runs = []
    for run in (page[known] for known in runs_of(np.isfinite(height))):
        runs += [sidecar.mesh.to_source(run[_kept(run)]), np.full((1, 2), np.nan)]
    joined = np.concatenate(runs[:-1]) if runs else np.zeros((0, 2))
    return np.asarray(np.round(joined, 1) + 0.0)


def _kept(run: Floats) -> npt.NDArray[np.intp]:
    """Points that keep a polyline within `TOLERANCE_MM` of itself (Ramer 1972, Douglas 1973)."""
    keep = np.zeros(len(run), bool)
    keep[[0, -1]] = True
    stack = [(0, len(run) - 1)]
    while stack:
        first, last = stack.pop()
        if last - first < 2:
            continue
        along = run[last] - run[first]
        away = run[first + 1 : last] - run[first]
        distance = np.abs(along[0] * away[:, 1] - along[1] * away[:, 0]) / np.hypot(*along)
        worst = int(np.argmax(distance))
        if distance[worst] > TOLERANCE_MM:
            middle = first + 1 + worst
            keep[middle] = True
            stack += [(first, middle), (middle, last)]
    return np.flatnonzero(keep)
