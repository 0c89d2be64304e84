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
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ecg4u.digitize import digitize_page
from ecg4u.errors import ECG4UError
from ecg4u.io import Page
from ecg4u.memory import keep_freed_memory
from ecg4u.paper.camera import Photo, photograph, random_camera
from ecg4u.paper.draw import draw_page
from ecg4u.paper.style import PageStyle
from ecg4u.record import ECGRecord
from training.drawn import boxes_named, look, mean_snr, scale_is_wrong
from training.looks import random_layout
from training.pages import PageSampler

Array = npt.NDArray[np.float64]

RESULTS = Path(__file__).parent / "results" / "strange.md"
SEVERITIES = {0.0: "flawless", 0.1: "good", 0.3: "fair", 0.5: "poor"}
NAME_WORDS = ("name", "order", "label", "swapped")
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


@dataclass(frozen=True, eq=False)
class StrangePage:
    """A page of one seed: what was drawn, how, and its picture."""

    record: ECGRecord
    style: PageStyle
    severity: float
    px_per_mm: float
    photo: Photo

    @property
    def page(self) -> Page:
        """As the digitizer takes it."""
        return Page(self.photo.image, "0" * 64, 1, 1, "png", None)


def strange_page(seed: int, data: Path) -> StrangePage:
    """Draw and photograph the page of one seed, of a recording below ``data``."""
    rng = np.random.default_rng((2026, seed))
    record = PageSampler(data, seed=seed).record()
    layout, style = random_layout(rng), look(rng)
    severity = float(rng.choice(list(SEVERITIES)))
    camera = random_camera(rng, severity, px_per_mm=float(rng.uniform(5, 12)))
    photo = photograph(draw_page(record, layout, style), camera)
    return StrangePage(record, style, severity, camera.px_per_mm, photo)


def outcome(seed: int, data: Path) -> Outcome:
    """Draw, photograph and digitize the page of one seed."""
    drawn = strange_page(seed, data)
    try:
        result = digitize_page(drawn.page)
    except ECG4UError:
        return Outcome(drawn.severity, True, 0.0, False, False, 0, 0, False)
    said = " ".join(result.warnings)
    scale_wrong = scale_is_wrong(result, drawn.style, drawn.px_per_mm)
    names = boxes_named(result, drawn.photo)
    return Outcome(
        drawn.severity,
        False,
        mean_snr(result, drawn.photo, drawn.record.fs),
        scale_wrong,
        any(word in said for word in SCALE_WORDS),
        len(names),
        sum(not right for right in names),
        any(word in said for word in NAME_WORDS),
    )


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
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.pages)
    outcomes = []
    with ProcessPoolExecutor(options.workers, initializer=keep_freed_memory) as pool:
        for seed, found in zip(seeds, pool.map(outcome, seeds, repeat(options.data)), strict=True):
            outcomes.append(found)
            print(seed, found, flush=True)
    command = f"python -m benchmarks.strange --pages {options.pages} --first {options.first}"
    note = "Refused pages count as 0 dB. A page is of wrong scale if gain, speed or px/mm is off by"
    lines = [f"<!-- {command} -->", f"{note} more than 5 %.", "", *table(outcomes), ""]
    options.out.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
