"""What became of a drawn page: its names, scale and signals against what was drawn."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ecg4u.compare import resample, score_lead
from ecg4u.digitize.result import Digitization
from ecg4u.paper.camera import Photo
from ecg4u.paper.style import PageStyle
from ecg4u.record import DEFAULT_FS_HZ, LEADS
from training.looks import random_style

Array = npt.NDArray[np.float64]

USUAL_SHARE = 0.6
WRONG_SCALE = 0.05
VOTES = 9


def look(rng: np.random.Generator) -> PageStyle:
    """A random look with a grid; most pages at the usual gain and speed, as in practice."""
    style = random_style(rng, px_per_mm=10.0)
    style = replace(style, row_pitch=float(rng.uniform(16, 30)))
    if rng.random() < USUAL_SHARE:
        style = replace(style, gain_mm_per_mv=10.0, chest_gain_mm_per_mv=None, speed_mm_per_s=25.0)
        style = replace(style, footer=("25 mm/s 10 mm/mV",))
    return replace(style, grid="1mm") if style.grid == "none" else style


def scale_is_wrong(result: Digitization, style: PageStyle, px_per_mm: float) -> bool:
    """Whether gain, speed or px/mm are not those that the page was drawn and seen with."""
    calibration = result.calibration
    return any(
        abs(found / true - 1) > WRONG_SCALE
        for found, true in (
            (calibration.gain_for("I"), style.gain("I")),
            (calibration.gain_for("V1"), style.gain("V1")),
            (calibration.speed_mm_per_s, style.speed_mm_per_s),
            (float(np.mean(result.rectified.grid.source_px_per_mm)), px_per_mm),
        )
    )


def boxes_named(result: Digitization, photo: Photo) -> list[bool]:
    """Of each trace, whether it has the name of the drawn lead along which most of it lies.

    Traces without a point are left out.
    """
    found = []
    for trace in result.traces:
        known = trace.xy_source[np.isfinite(trace.xy_source).all(axis=1)]
        if len(known) == 0:
            continue
        points = known[np.linspace(0, len(known) - 1, VOTES + 2, dtype=int)[1:-1]]
        nearest = [min((_away(point, s.xy), s.lead) for s in photo.segments) for point in points]
        votes = Counter(lead for _, lead in nearest)
        if votes:
            found.append(votes.most_common(1)[0][0] == trace.lead)
    return found


def _away(point: Array, curve: Array) -> float:
    """Distance (px) of a point from a curve (n, 2) with NaN gaps."""
    apart = np.hypot(*(curve - point).T)
    return float(np.nanmin(apart)) if np.isfinite(apart).any() else np.inf


def snr_of(result: Digitization, photo: Photo, fs: float) -> dict[str, float]:
    """Challenge SNR in dB of each lead that the page shows.

    Measured at the digitizer's rate, between samples of the recording as it was drawn: the score
    shifts by whole samples, and one of a recording at 100 Hz is a quarter of a millimetre.
    """
    truth = np.full((round(fs * 10), len(LEADS)), np.nan)
    for segment in photo.segments:
        first, lead = round(segment.start_s * fs), LEADS.index(segment.lead)
        part = segment.mv[: len(truth) - first]
        old = truth[first : first + len(part), lead]
        truth[first : first + len(part), lead] = np.where(np.isfinite(old), old, part)
    scores = {}
    for k, name in enumerate(LEADS):
        drawn = resample(truth[:, k], fs, DEFAULT_FS_HZ)
        score = score_lead(drawn, result.record.p_signal[:, k], DEFAULT_FS_HZ)
        if score is not None:
            scores[name] = score.snr_db
    return scores


def mean_snr(result: Digitization, photo: Photo, fs: float) -> float:
    """The mean of `snr_of` over the leads that the page shows, dB."""
    return float(np.mean(list(snr_of(result, photo, fs).values())))
