"""Strange pages: every layout, order, gain, speed, grid, font and camera that the page model has.

    python -m benchmarks.strange --pages 80

Recordings of the training split are drawn in a random layout (a tenth of them shuffled, a tenth
cut) and look, then photographed or scanned, from flawless to poor. Nothing here was made to be
read easily: the table says what comes of it, and above all what is wrong without being said. No
part of the digitizer is trained on these pages; several of its faults were found on pages of
other seeds.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.measure import resample, score_lead
from ecg4u.digitize import digitize_page
from ecg4u.digitize.result import Digitization
from ecg4u.errors import ECG4UError
from ecg4u.io import Page
from ecg4u.paper.camera import Photo, photograph, random_camera
from ecg4u.paper.draw import draw_page
from ecg4u.paper.style import PageStyle, random_layout, random_style
from ecg4u.record import DEFAULT_FS_HZ, LEADS
from training.pages import PageSampler

Array = npt.NDArray[np.float64]

RESULTS = Path(__file__).parent / "results" / "strange.md"
SEVERITIES = {0.0: "flawless", 0.1: "good", 0.3: "fair", 0.5: "poor"}
USUAL_SHARE = 0.6
WRONG_SCALE = 0.05
VOTES = 9
NAME_WORDS = ("name", "order", "exchanged", "misnamed")
SCALE_WORDS = ("gain", "speed", "mm/mV", "mm/s", "scale")


@dataclass(frozen=True)
class Outcome:
    """What came of one page; ``snr_db`` is 0 for a refused one."""

    severity: float
    refused: bool
    snr_db: float
    scale_wrong: bool
    scale_said: bool
    boxes: int
    misnamed: int
    names_said: bool


def look(rng: np.random.Generator) -> PageStyle:
    """A random look with a grid; most pages at the usual gain and speed, as in practice."""
    style = random_style(rng, px_per_mm=10.0)
    style = replace(style, row_pitch=float(rng.uniform(16, 30)))
    if rng.random() < USUAL_SHARE:
        style = replace(style, gain_mm_per_mv=10.0, chest_gain_mm_per_mv=None, speed_mm_per_s=25.0)
        style = replace(style, footer=("25 mm/s 10 mm/mV",))
    return replace(style, grid="1mm") if style.grid == "none" else style


def outcome(seed: int, data: Path) -> Outcome:
    """Draw, photograph and digitize the page of one seed."""
    rng = np.random.default_rng((2026, seed))
    record = PageSampler(data, seed=seed).record()
    layout, style = random_layout(rng), look(rng)
    severity = float(rng.choice(list(SEVERITIES)))
    camera = random_camera(rng, severity, px_per_mm=float(rng.uniform(5, 12)))
    photo = photograph(draw_page(record, layout, style), camera)
    try:
        result = digitize_page(Page(photo.image, "0" * 64, 1, 1, "png", None))
    except ECG4UError:
        return Outcome(severity, True, 0.0, False, False, 0, 0, False)
    said = " ".join(result.warnings)
    scale_wrong = scale_is_wrong(result, style, camera.px_per_mm)
    names = boxes_named(result, photo)
    return Outcome(
        severity,
        False,
        mean_snr(result, photo, record.fs),
        scale_wrong,
        any(word in said for word in SCALE_WORDS),
        len(names),
        sum(not right for right in names),
        any(word in said for word in NAME_WORDS),
    )


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
    """Of each trace, whether it has the name of the drawn lead along which most of it lies."""
    found = []
    for trace in result.traces:
        known = trace.xy_source[np.isfinite(trace.xy_source).all(axis=1)]
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


def mean_snr(result: Digitization, photo: Photo, fs: float) -> float:
    """Challenge SNR in dB, the mean over the leads that the page shows.

    Measured at the digitizer's rate, between samples of the recording as it was drawn: the score
    shifts by whole samples, and one of a recording at 100 Hz is a quarter of a millimetre.
    """
    truth = np.full((round(fs * 10), len(LEADS)), np.nan)
    for segment in photo.segments:
        first, lead = round(segment.start_s * fs), LEADS.index(segment.lead)
        part = segment.mv[: len(truth) - first]
        old = truth[first : first + len(part), lead]
        truth[first : first + len(part), lead] = np.where(np.isfinite(old), old, part)
    scores = [
        score_lead(
            resample(truth[:, k], fs, DEFAULT_FS_HZ), result.record.p_signal[:, k], DEFAULT_FS_HZ
        )
        for k in range(len(LEADS))
    ]
    return float(np.mean([score.snr_db for score in scores if score is not None]))


def table(outcomes: Sequence[Outcome]) -> list[str]:
    """Rows of Markdown, one for each state of the page and one for all."""
    lines = [
        "| pages | n | refused | SNR dB, mean | median | boxes rightly named % "
        "| pages with a wrong name, unsaid | pages of wrong scale | unsaid |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    groups = {name: [o for o in outcomes if o.severity == s] for s, name in SEVERITIES.items()}
    for name, group in {**groups, "all": list(outcomes)}.items():
        if not group:
            continue
        boxes = max(sum(o.boxes for o in group), 1)
        right = 100 * (1 - sum(o.misnamed for o in group) / boxes)
        misnamed = [o for o in group if o.misnamed]
        scaled = [o for o in group if o.scale_wrong]
        snr = [o.snr_db for o in group]
        lines.append(
            f"| {name} | {len(group)} | {sum(o.refused for o in group)} | {np.mean(snr):.1f} "
            f"| {np.median(snr):.1f} | {right:.1f} "
            f"| {len(misnamed)}, {sum(not o.names_said for o in misnamed)} "
            f"| {len(scaled)} | {sum(not o.scale_said for o in scaled)} |"
        )
    return lines


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/ecg"))
    parser.add_argument("--pages", type=int, default=80)
    parser.add_argument("--first", type=int, default=0, help="First seed.")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    outcomes = []
    for seed in range(options.first, options.first + options.pages):
        outcomes.append(outcome(seed, options.data))
        print(seed, outcomes[-1], flush=True)
    command = f"python -m benchmarks.strange --pages {options.pages} --first {options.first}"
    note = "Refused pages count as 0 dB. A page is of wrong scale if gain, speed or px/mm is off by"
    lines = [f"<!-- {command} -->", f"{note} more than 5 %.", "", *table(outcomes), ""]
    options.out.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
