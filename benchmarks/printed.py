"""What is read of the printed scale: ``python -m benchmarks.printed ../shared/images --half dev``

The pages of `PRINTED` print 25 mm/s and 10 mm/mV, the others (the dev half was looked at) print no
scale. ``--strange 40 --first SEED`` reads so many pages of `benchmarks.strange` too: of these the
speed, the gain and that of the chest leads. What the picture cuts off, or a refused page prints,
counts as not read.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import numpy as np

from benchmarks.strange import strange_page
from benchmarks.turns import halves
from ecg4u.digitize.orientation import read_upright
from ecg4u.digitize.rectify import rectify
from ecg4u.digitize.text.printed import (
    KINDS,
    Line,
    PrintedScale,
    read_printed_scale,
    stated,
)
from ecg4u.errors import ECG4UError
from ecg4u.io import read_page

PRINTED = ("generated/A", "generated/B", "generated/C", "photos_with_truth", "scans_with_truth")
REAL_PRINTED = ("real_pages/53.png",)
"""The only real page of these folders that prints a scale (seen when it was read)."""


def judged(truth: float | None, read: float | None) -> str:
    """How a value read compares with the value printed."""
    if read is None:
        return "rightly none" if truth is None else "not read"
    return "right" if truth == read else "wrong"


def read_of_strange(seed: int, data: Path) -> list[str]:
    """How what is read of a page drawn at random compares with what is printed on it."""
    drawn = strange_page(seed, data)
    words = " | ".join(
        (*drawn.style.header, *drawn.style.footer, *(note.words for note in drawn.style.notes))
    ).lower()
    truth = stated(Line(words, (1.0,) * len(words)))
    try:
        upright, _ = read_upright(drawn.page, rectify(drawn.page))
    except ECG4UError:
        return ["not read" if truth[kind] else "rightly none" for kind in KINDS]
    found = read_printed_scale(upright)
    read = (found.speed_mm_per_s, found.gain_mm_per_mv, found.chest_gain_mm_per_mv)
    return [
        judged(value if value in truth[kind] else next(iter(truth[kind]), None), value)
        for kind, value in zip(KINDS, read, strict=True)
    ]


def main() -> None:
    """Print a line per page with a fault, and the sums."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("images", type=Path)
    parser.add_argument("--half", choices=("dev", "held-out", "both"), default="both")
    parser.add_argument("--strange", type=int, default=0, help="pages drawn at random, how many")
    parser.add_argument("--first", type=int, default=0, help="their first seed")
    parser.add_argument("--data", type=Path, default=Path("../shared/ecg"))
    args = parser.parse_args()
    sums: dict[str, Counter[str]] = {}
    for seed in range(args.first, args.first + args.strange):
        sums.setdefault("strange", Counter()).update(read_of_strange(seed, args.data))
    for group, half, image in halves(args.images):
        if args.half not in (half, "both"):
            continue
        try:
            found = read_printed_scale(rectify(read_page(image)))
        except ECG4UError:
            continue
        prints = group in PRINTED or f"{group}/{image.name}" in REAL_PRINTED
        expected = PrintedScale(25.0, 10.0) if prints else PrintedScale()
        verdicts = [
            judged(expected.speed_mm_per_s, found.speed_mm_per_s),
            judged(expected.gain_mm_per_mv, found.gain_mm_per_mv),
        ]
        if found.chest_gain_mm_per_mv is not None:
            verdicts.append("wrong")
        sums.setdefault(group, Counter()).update(verdicts)
        if {"wrong", "not read"} & set(verdicts):
            print(f"{group}/{image.name}: {found}", flush=True)
    kinds = ("right", "not read", "wrong", "rightly none")
    print("| pages | " + " | ".join(kinds) + " |\n|" + "---|" * 5)
    for group, verdict in sums.items():
        print(f"| {group} | " + " | ".join(str(verdict[kind]) for kind in kinds) + " |")
    total = sum(sums.values(), Counter())
    said = total["right"] + total["wrong"]
    print(f"precision {total['right'] / np.maximum(said, 1):.3f} (n = {said})")


if __name__ == "__main__":
    main()
