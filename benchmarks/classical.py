"""Ink map of a page without a network: what the trace network is measured against."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ecg4u.digitize.page.rectified import RectifiedPage
from ecg4u.digitize.pipeline import SURE_LABEL, _inside
from ecg4u.digitize.rows.ink import _with_boxes, stroke_ink
from ecg4u.digitize.types import FloatArray, InkMap, Label

BROKEN_MM = 1.5


def classical_ink(rectified: RectifiedPage, labels: Sequence[Label] = ()) -> InkMap:
    """Ink map without a network; the pulse is left for the later stages to find."""
    boxes = [label.box for label in labels if label.probability > SURE_LABEL]
    trace = stroke_ink(rectified.image, rectified.px_per_mm, rectified.valid)
    letters = _letters(trace, rectified.px_per_mm, boxes)
    text = np.where(letters, trace, np.float32(0))
    ink = InkMap(
        trace=np.where(letters, np.float32(0), trace),
        text=_with_boxes(text, boxes),
        pulse=np.zeros_like(trace),
        separator=np.zeros_like(trace),
    )
    return _inside(ink, rectified)


def _letters(
    trace: FloatArray, px_per_mm: float, boxes: Sequence[tuple[float, float, float, float]]
) -> np.ndarray:
    """Components as small as letters, (H, W) bool: taller than a pen stroke, cut off on all sides.

    What a longer piece of ink goes on to at the same height is a stretch of a broken trace, unless
    it lies in one of the ``boxes`` (x0, y0, x1, y1 px) in which a name was read.
    """
    import cv2

    mask = (trace > 0.4).astype(np.uint8)
    count, label, stats, _ = cv2.connectedComponentsWithStats(mask)
    size_mm = stats[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]] / px_per_mm
    small = (size_mm[:, 0] < 5.5) & (size_mm[:, 1] < 6.5) & (size_mm[:, 1] > 0.9)
    small[0] = False
    wide = size_mm[:, 0] > 6.0
    wide[0] = False
    reach = np.ones((3, 2 * int(BROKEN_MM * px_per_mm) + 1), np.uint8)
    beside = cv2.dilate(wide[label].astype(np.uint8), reach)
    touched = np.bincount(label[beside > 0], minlength=count) > 0
    named = np.zeros(count, bool)
    for x0, y0, x1, y1 in boxes:
        window = label[max(0, int(y0) - 3) : int(y1) + 4, max(0, int(x0) - 3) : int(x1) + 4]
        inside = np.bincount(window.ravel(), minlength=count)
        named |= inside > 0.9 * stats[:, cv2.CC_STAT_AREA]
    return np.asarray((small & (named | ~touched))[label])
