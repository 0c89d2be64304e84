"""Pages of thirty kinds of recorder: names, scale, and what is wrong without being said.

    python -m benchmarks.devices --pages 20

Every device of `training.devices` draws recordings of the training split; the pages are then
scanned or photographed, from flawless to fair. Names count by box, scale by page.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import numpy as np

from ecg4u.digitize import digitize_page
from ecg4u.errors import ECG4UError
from ecg4u.io import Page
from ecg4u.memory import keep_freed_memory
from ecg4u.paper.camera import photograph, random_camera
from ecg4u.paper.draw import draw_page
from training.devices import DEVICES, Device
from training.drawn import boxes_named, mean_snr, scale_is_wrong
from training.pages import PageSampler

RESULTS = Path(__file__).parent / "results" / "devices.md"
SEVERITIES = (0.0, 0.1, 0.3)


@dataclass(frozen=True)
class Outcome:
    """What came of one page; ``refused`` is why, or empty."""

    device: str
    refused: str
    boxes: int
    misnamed: int
    missing: int
    names_said: bool
    scale_wrong: bool
    scale_said: bool
    snr_db: float


def outcome(device: Device, seed: int, data: Path) -> Outcome:
    """Draw, photograph and digitize one page."""
    rng = np.random.default_rng((2027, seed))
    record = PageSampler(data, seed=seed).record()
    style = device.style(rng)
    camera = random_camera(rng, float(rng.choice(SEVERITIES)), px_per_mm=float(rng.uniform(6, 12)))
    photo = photograph(draw_page(record, device.layout, style), camera)
    boxes = sum(len(row) for row in device.layout.rows)
    try:
        result = digitize_page(Page(photo.image, "0" * 64, 1, 1, "png", None))
    except ECG4UError as error:
        return Outcome(device.name, str(error), boxes, 0, 0, False, False, False, 0.0)
    names = boxes_named(result, photo)
    doubts = set(result.doubtful)
    return Outcome(
        device.name,
        "",
        boxes,
        sum(not right for right in names),
        boxes - len(names),
        bool(doubts & {"names", "columns"}),
        scale_is_wrong(result, style, camera.px_per_mm),
        "scale" in doubts,
        mean_snr(result, photo, record.fs),
    )


def _row(title: str, group: list[Outcome]) -> str:
    read = [o for o in group if not o.refused]
    boxes = max(1, sum(o.boxes for o in read))
    misnamed = [o for o in read if o.misnamed]
    scaled = [o for o in read if o.scale_wrong]
    snr = float(np.mean([o.snr_db for o in group]))
    wrong, missing = sum(o.misnamed for o in read), sum(o.missing for o in read)
    return (
        f"| {title} | {len(group)} | {len(group) - len(read)} | {snr:.1f} "
        f"| {100 * (1 - (wrong + missing) / boxes):.1f} | {missing} "
        f"| {len(misnamed)}, {sum(not o.names_said for o in misnamed)} "
        f"| {len(scaled)}, {sum(not o.scale_said for o in scaled)} |"
    )


def table(outcomes: list[Outcome]) -> list[str]:
    """Rows of Markdown, one for each device and one for all."""
    lines = [
        "| device | n | refused | SNR dB | boxes rightly named % | boxes not found "
        "| pages with a wrong name, unsaid | pages of wrong scale, unsaid |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for device in dict.fromkeys(o.device for o in outcomes):
        lines.append(_row(device, [o for o in outcomes if o.device == device]))
    return [*lines, _row("all", outcomes)]


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/ecg"))
    parser.add_argument("--pages", type=int, default=20, help="pages of each device")
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--only", default="", help="part of a device's name")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    jobs = [
        (device, options.first + 1000 * number + k)
        for number, device in enumerate(DEVICES)
        if options.only in device.name
        for k in range(options.pages)
    ]
    outcomes = []
    with ProcessPoolExecutor(options.workers, initializer=keep_freed_memory) as pool:
        found = pool.map(outcome, *zip(*jobs, strict=True), repeat(options.data))
        for (_, seed), one in zip(jobs, found, strict=True):
            outcomes.append(one)
            print(seed, one, flush=True)
    command = f"python -m benchmarks.devices --pages {options.pages} --first {options.first}"
    lines = [f"<!-- {command} -->", "Refused pages count as 0 dB.", "", *table(outcomes), ""]
    options.out.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
