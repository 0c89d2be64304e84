"""Best effort to leave a person's name out of what a batch keeps.

Only pixels near a traced line stay; all else on the page becomes white. Ages above 89 are dropped
(45 CFR 164.514(b)). A name written across the trace itself can survive: check before you share.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ecg4u.messages import message
from ecg4u.paper.draw import runs
from ecg4u.record import Provenance

if TYPE_CHECKING:
    from ecg4u.analysis import Analysis
    from ecg4u.digitize.result import Digitization

OLDEST_AGE = 89.0
LEFT_OUT = "what the record's file says of its origin was left out"
KEPT_MM = 0.6
RECTIFIED_PX_PER_MM = 10.0
_WHITE = 255


def deidentified(analysis: Analysis, source_sha256: str = "") -> Analysis:
    """The analysis with every pixel outside the traces blanked, and no age above 89.

    A digital record's provenance, which its file states, is made anew: of it remains only that
    ``source_sha256`` is the hash of the file that was read.
    """
    record = analysis.record
    if record.age is not None and record.age > OLDEST_AGE:
        record = replace(record, age=None)
    if analysis.digitization is None:
        record = replace(record, provenance=Provenance("digital", source_sha256, (LEFT_OUT,)))
        return replace(analysis, record=record, warnings=(message("origin_left_out"),))
    page = replace(_blanked(analysis.digitization), record=record)
    return replace(analysis, record=record, digitization=page)


def _blanked(page: Digitization) -> Digitization:
    px_per_mm = float(np.mean(page.rectified.grid.source_px_per_mm))
    lines = [trace.xy_source for trace in page.traces]
    image = keep_near(page.page.image, lines, width_px=max(3.0, 2 * KEPT_MM * px_per_mm))
    flat = [trace.xy for trace in page.traces]
    rectified = keep_near(page.rectified.image, flat, width_px=2 * KEPT_MM * RECTIFIED_PX_PER_MM)
    return replace(
        page,
        page=replace(page.page, image=image),
        rectified=replace(page.rectified, image=rectified),
    )


def keep_near(
    image: npt.NDArray[np.uint8], lines: list[npt.NDArray[np.float64]], *, width_px: float
) -> npt.NDArray[np.uint8]:
    """(H, W, 3) uint8: white but for a band of ``width_px`` along polylines (n, 2) in px."""
    import cv2

    mask = np.zeros(image.shape[:2], np.uint8)
    for line in lines:
        for run in runs(line):
            points = np.rint(run).astype(np.int32).reshape(-1, 1, 2)
            cv2.polylines(mask, [points], False, 1, thickness=max(1, round(width_px)))
    return np.where(mask[:, :, None] > 0, image, np.uint8(_WHITE))
