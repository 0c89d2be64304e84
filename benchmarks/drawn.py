"""Recordings drawn as pages (3x4 with lead II below, or others) and read back, to compare both.

    python -m benchmarks.drawn --split test --pages 40

Digitizing takes seconds a page: what was read is kept in ``cache/drawn_pages`` until ``--fresh``
asks for it anew (after a change of the digitizer).
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.waves import Row, load, rows
from ecg4u.record import CLASSES, ECGRecord

CACHE = Path("cache/drawn_pages")
PX_PER_MM = 200 / 25.4
LOOKS = (
    {"fine_colour": (248, 205, 205), "coarse_colour": (238, 160, 160), "paper": (255, 250, 246)},
    {"fine_colour": (210, 210, 210), "coarse_colour": (150, 150, 150), "paper": (255, 255, 255)},
    {"fine_colour": (205, 220, 245), "coarse_colour": (140, 170, 225), "paper": (250, 252, 255)},
    {"fine_colour": (250, 215, 185), "coarse_colour": (235, 165, 110), "paper": (255, 252, 246)},
)


@dataclass(frozen=True, eq=False)
class Pair:
    """A recording, and what was read of its page (None where the page was refused)."""

    row: Row
    original: ECGRecord
    read: ECGRecord | None


def chosen(data: Path, split: str, most: int) -> list[Row]:
    """Recordings of the split at 500 Hz and of 10 s, the classes in turn, at most ``most``."""
    by_class: dict[str, list[Row]] = {c: [] for c in CLASSES}
    for row in rows(data, split):
        for name in sorted(row.labels) if row.dataset == "PTB-XL" else ():
            by_class[name].append(row)
    found: dict[str, Row] = {}
    for turn in range(max(map(len, by_class.values()))):
        for group in by_class.values():
            if turn < len(group) and len(found) < most:
                found.setdefault(group[turn].record, group[turn])
    return list(found.values())


def pairs(
    data: Path, split: str, most: int, *, layout: str = "3x4+1", fresh: bool = False
) -> Iterator[Pair]:
    """Each chosen recording with what the digitizer reads of its page."""
    for row in chosen(data, split, most):
        original = load(data, row, longest_s=10.0)
        of_layout = "" if layout == "3x4+1" else f"-{layout}"
        kept = CACHE / f"{row.dataset}-{row.record}{of_layout}.npz"
        if fresh or not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            read = read_back(original, zlib.crc32(row.record.encode()), layout)
            signal = np.zeros((0, 12)) if read is None else read.p_signal
            np.savez_compressed(kept, p_signal=signal.astype(np.float32))
        signal = np.load(kept)["p_signal"].astype(float)
        record = ECGRecord(signal, 500.0, age=row.age, sex=original.sex) if len(signal) else None
        yield Pair(row, original, record)


def page_of(record: ECGRecord, seed: int, layout: str = "3x4+1") -> np.ndarray:
    """The record as a plain 200-dpi page, its colours chosen by ``seed``; (H, W, 3) uint8."""
    from dataclasses import replace

    from ecg4u.paper.draw import draw_page
    from ecg4u.paper.layouts import LAYOUTS
    from ecg4u.paper.style import PageStyle

    look = LOOKS[seed % len(LOOKS)]
    style = replace(PageStyle(px_per_mm=PX_PER_MM, row_pitch=30.0), **look)  # type: ignore[arg-type]
    return draw_page(record, LAYOUTS[layout], style).image


def read_back(record: ECGRecord, seed: int, layout: str = "3x4+1") -> ECGRecord | None:
    """Draw and digitize a record; None where the digitizer refuses the page."""
    import cv2

    from ecg4u.digitize import digitize
    from ecg4u.errors import ECG4UError

    image = page_of(record, seed, layout)
    ok, encoded = cv2.imencode(".png", image[:, :, ::-1])
    assert ok
    try:
        return digitize(encoded.tobytes())
    except ECG4UError as error:
        print(f"refused: {error}")
        return None


def main() -> None:
    """Fill the cache."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/ecg"))
    parser.add_argument("--split", default="test")
    parser.add_argument("--pages", type=int, default=40)
    parser.add_argument("--fresh", action="store_true")
    given = parser.parse_args()
    for pair in pairs(given.data, given.split, given.pages, fresh=given.fresh):
        shown = 0.0 if pair.read is None else float(np.isfinite(pair.read.p_signal).mean())
        print(f"{pair.row.record} {sorted(pair.row.labels)}: {100 * shown:.0f} % shown", flush=True)


if __name__ == "__main__":
    main()
