"""Pages laid on each of their sides: ``python -m benchmarks.turns ../shared/images --half dev``

Each picture is turned by 0, 90, 180 and 270 degrees; counted is how often the page comes out
upright, and how far the names read on it are those of the picture as it is.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.digitize import group_of
from benchmarks.grid import images
from ecg4u.digitize.orientation import read_upright
from ecg4u.digitize.page.rectified import direction_after
from ecg4u.digitize.rectify import rectify
from ecg4u.errors import ECG4UError
from ecg4u.io import Page, read_page

SURE = 0.6


def names_upright(page: Page, k: int) -> tuple[bool, frozenset[str], float]:
    """Whether a page turned by k quarter turns is turned back, the names on it, and CPU s."""
    laid = replace(page, image=np.ascontiguousarray(np.rot90(page.image, -k)))
    flat = rectify(laid)
    start = time.process_time()
    upright, labels = read_upright(laid, flat)
    seconds = time.process_time() - start
    off = direction_after(upright.grid.turned_deg, k)
    names = frozenset(label.name for label in labels if label.probability > SURE)
    return abs(off) < 45, names, seconds


def halves(folder: Path) -> list[tuple[str, str, Path]]:
    """(group, "dev" or "held-out", image) of every image below a folder."""
    groups: dict[str, list[Path]] = {}
    for image in images((folder,)):
        groups.setdefault(group_of(image), []).append(image)
    return [
        (group, "held-out" if place % 2 else "dev", image)
        for group, members in sorted(groups.items())
        for place, image in enumerate(members)
    ]


def main() -> None:
    """Print a line per page that goes wrong, and the sums."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("images", type=Path)
    parser.add_argument("--half", choices=("dev", "held-out", "both"), default="both")
    args = parser.parse_args()
    right = same = count = refused = 0
    seconds: dict[bool, list[float]] = {True: [], False: []}
    for group, half, image in halves(args.images):
        if args.half not in (half, "both"):
            continue
        page = read_page(image)
        straight: frozenset[str] = frozenset()
        for k in range(4):
            try:
                upright, names, took = names_upright(page, k)
            except ECG4UError as error:
                refused += 1
                print(f"{group}/{image.name} {90 * k}: refused, {error.code}", flush=True)
                continue
            straight = names if k == 0 else straight
            seconds[k == 0].append(took)
            count += 1
            right += upright
            same += names == straight
            if not upright or names != straight:
                differ = ", ".join(sorted(names ^ straight))
                print(f"{group}/{image.name} {90 * k}: upright {upright}; {differ}", flush=True)
    print(f"upright {right} of {count}, the same names {same} of {count}, refused {refused}")
    for straight_page, took_all in seconds.items():
        kind = "as they are" if straight_page else "turned"
        print(f"{kind}: names and turn {np.median(took_all):.2f} s CPU (median)")


if __name__ == "__main__":
    main()
