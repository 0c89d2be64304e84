"""Rows are followed past what is no trace: stains, shadows, lines of print."""

from __future__ import annotations

import numpy as np
import pytest

from ecg4u.digitize.rows.trace import trace_rows
from ecg4u.digitize.types import InkMap

cv2 = pytest.importorskip("cv2")
PX = 10.0
WIDTH, PITCH = 1500, 260


def curve(beat_px: float = 120.0) -> np.ndarray:
    """Heights above the baseline, (WIDTH,) px: a beat every 30 mm."""
    x = np.arange(WIDTH)
    return beat_px * np.exp(-0.5 * (((x - 150) % 300 - 150) / 6.0) ** 2)


def page(rows: int = 3) -> tuple[np.ndarray, list[np.ndarray]]:
    """Ink (H, W) of some rows, and the true height of each (WIDTH,)."""
    ink = np.zeros((PITCH * (rows + 1), WIDTH), np.float32)
    truth = [PITCH * (row + 1) - curve() for row in range(rows)]
    for y in truth:
        points = np.column_stack([np.arange(WIDTH), y])[60:-60]
        cv2.polylines(ink, [np.round(points * 16).astype(np.int32)], False, 1.0, 4, cv2.LINE_AA, 4)
    return np.clip(ink, 0, 1), truth


def traced(ink: np.ndarray) -> list[np.ndarray]:
    blank = np.zeros_like(ink)
    return [row.centre for row in trace_rows(InkMap(ink, blank, blank, blank), PX)]


def worst_mm(centre: np.ndarray, truth: np.ndarray, inside: slice) -> float:
    known = np.isfinite(centre[inside])
    assert known.mean() > 0.8
    return float(np.abs(centre[inside] - truth[inside])[known].max()) / PX


def test_a_dark_blot_across_a_row_is_a_gap_not_a_wave() -> None:
    ink, truth = page()
    cv2.ellipse(ink, (700, PITCH * 2 - 30), (70, 50), 20, 0, 360, 1.0, -1)
    rows = traced(ink)
    assert len(rows) == 3
    for centre, y in zip(rows, truth, strict=True):
        assert worst_mm(centre, y, slice(80, -80)) < 1.5


def test_pale_flecks_above_a_level_row_are_no_spike() -> None:
    ink, truth = page()
    for x in (815, 835, 855):
        ink[PITCH - 110 : PITCH - 85, x : x + 10] = 0.72
    rows = traced(ink)
    assert worst_mm(rows[0], truth[0], slice(780, 870)) < 0.5


def test_print_below_the_rows_takes_no_wave_of_theirs() -> None:
    ink, truth = page()
    for left in (*range(300, 520, 25), *range(1000, 1120, 25)):
        corner = (left, PITCH * 3 + 160)
        cv2.rectangle(ink, corner, (corner[0] + 14, corner[1] + 22), 1.0, 3)
    rows = traced(ink)
    assert len(rows) == 3
    assert worst_mm(rows[2], truth[2], slice(80, -80)) < 1.5
