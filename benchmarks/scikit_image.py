"""Where scikit-image could take the place of OpenCV or of our own lines: seconds and results.

    python -m benchmarks.scikit_image

Writes ``benchmarks/results/scikit_image.md`` from the example page of ``data/pages``: CPU seconds,
the best of three, each at the size at which the digitizer does that work.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ecg4u.io import read_page

PAGE = Path(__file__).parents[1] / "data" / "pages" / "A00347.png"
OUT = Path(__file__).parent / "results" / "scikit_image.md"
INK = 80
"""Grey level under which the example page has trace and print, but no grid."""
ROW_PX = 300
"""Height of a band in which one row's trace is followed (30 mm at 10 px/mm)."""


def best(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of the fastest of three runs, and the result."""
    seconds, value = [], None
    for _ in range(3):
        began = time.process_time()
        value = work()
        seconds.append(time.process_time() - began)
    return min(seconds), value


def trials() -> list[tuple[str, str, float, str, float, str]]:
    """(task, ours, seconds, scikit-image, seconds, how the results compare)."""
    import cv2
    from skimage import filters, graph, measure, morphology, transform

    from ecg4u.digitize.page.sheet import largest_part

    grey = cv2.cvtColor(np.asarray(read_page(PAGE).image), cv2.COLOR_RGB2GRAY)
    ink = grey < INK
    mask = ink.astype(np.uint8)
    out = []

    def add(task: str, ours: str, a: Any, theirs: str, b: Any, same: Callable[..., str]) -> None:
        (t, u), (v, w) = best(a), best(b)
        out.append((task, ours, t, theirs, v, same(u, w)))

    add(
        "boxes of connected ink", "cv2.connectedComponentsWithStats",
        lambda: cv2.connectedComponentsWithStats(mask, connectivity=8)[2][1:, :4],
        "measure.label, regionprops_table",
        lambda: measure.regionprops_table(measure.label(mask, connectivity=2),
                                          properties=("bbox",)),
        lambda u, w: f"{len(u)} and {len(w['bbox-0'])} components",
    )  # fmt: skip
    add(
        "threshold", "cv2.threshold (Otsu)",
        lambda: cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[0],
        "filters.threshold_otsu", lambda: filters.threshold_otsu(grey),
        lambda u, w: f"{u:.0f} and {w}",
    )  # fmt: skip
    add(
        "local threshold", "cv2.adaptiveThreshold (mean)",
        lambda: cv2.adaptiveThreshold(grey, 1, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV,
                                      51, 10) > 0,
        "filters.threshold_sauvola", lambda: grey < filters.threshold_sauvola(grey, 51),
        lambda u, w: f"{100 * (u == w).mean():.1f} % of the pixels alike",
    )  # fmt: skip
    add(
        "small specks removed", "cv2 components by area",
        lambda: _without_specks(mask),
        "morphology.remove_small_objects",
        lambda: morphology.remove_small_objects(ink, max_size=19, connectivity=2),
        lambda u, w: f"{int((u != w).sum())} pixels differ",
    )  # fmt: skip
    band = np.where(ink[:ROW_PX], 0.01, 1.0)
    add(
        "a trace along one row", "own dynamic programme (steps of at most 3 px)",
        lambda: _cheapest(band, 3), "graph.route_through_array",
        lambda: graph.route_through_array(band, (ROW_PX // 2, 0), (ROW_PX // 2, band.shape[1] - 1),
                                          fully_connected=True),
        lambda u, w: "a path may turn back and runs along, not across, steep strokes",
    )  # fmt: skip
    small = cv2.resize(mask, (280, 216), interpolation=cv2.INTER_AREA)
    add(
        "the paper: largest part, holes filled (1 node per mm)", "cv2 components, contours",
        lambda: _largest_cv2(small), "measure.label, ndimage.binary_fill_holes (in use)",
        lambda: largest_part(small, small),
        lambda u, w: f"{int((u != w).sum())} nodes differ",
    )  # fmt: skip
    rng = np.random.default_rng(0)
    nodes = np.stack(np.meshgrid(np.arange(0, 200, 10.0), np.arange(0, 150, 10.0)), -1)
    moved = (nodes + rng.normal(0, 0.5, nodes.shape)).astype(np.float32)
    piece = grey[:150, :200]

    def flattened() -> Any:
        dense = cv2.resize(moved, (200, 150), interpolation=cv2.INTER_LINEAR)
        return cv2.remap(piece, dense, None, cv2.INTER_LINEAR)

    def piecewise() -> Any:
        a, b = nodes.reshape(-1, 2), moved.reshape(-1, 2)
        return transform.warp(piece, transform.PiecewiseAffineTransform.from_estimate(a, b))

    add(
        "flattening, 200 x 150 px, 300 nodes", "cv2.remap of a mesh", flattened,
        "transform.PiecewiseAffineTransform", piecewise, lambda u, w: "alike to the eye",
    )  # fmt: skip
    return out


def _without_specks(mask: Any) -> Any:
    import cv2

    _, label, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    large = stats[:, cv2.CC_STAT_AREA] >= 20
    large[0] = False
    return large[label]


def _largest_cv2(mask: Any) -> Any:
    import cv2

    _, labels = cv2.connectedComponents(mask, connectivity=4)
    counts = np.bincount(labels.ravel(), minlength=2)
    counts[0] = 0
    part = (labels == int(np.argmax(counts))).astype(np.uint8)
    outlines, _ = cv2.findContours(part, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(part, outlines, -1, 1, cv2.FILLED) > 0


def _cheapest(cost: Any, reach: int) -> Any:
    """Heights of the cheapest way from left to right that moves by at most ``reach`` a column."""
    total = cost[:, 0].copy()
    back = np.zeros(cost.shape, np.int8)
    moves = np.arange(-reach, reach + 1)
    for x in range(1, cost.shape[1]):
        padded = np.pad(total, reach, constant_values=np.inf)
        options = np.stack([padded[reach + m : reach + m + len(total)] for m in moves])
        choice = options.argmin(axis=0)
        back[:, x] = moves[choice]
        total = options[choice, np.arange(len(total))] + cost[:, x]
    path = [int(total.argmin())]
    for x in range(cost.shape[1] - 1, 0, -1):
        path.append(path[-1] + int(back[path[-1], x]))
    return path[::-1]


def main() -> None:
    """The command line."""
    lines = [
        "<!-- python -m benchmarks.scikit_image -->",
        "| task | now | s | scikit-image | s | results |",
        "|---|---|---|---|---|---|",
        *(f"| {a} | {b} | {c:.4f} | {d} | {e:.4f} | {f} |" for a, b, c, d, e, f in trials()),
    ]
    OUT.write_text("\n".join(lines) + "\n")
    print(OUT.read_text())


if __name__ == "__main__":
    main()
