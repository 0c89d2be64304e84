"""Where the paper is on a page, and the page drawn flat."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ecg4u.digitize.page.rectified import NODE_PX
from ecg4u.digitize.page.warp import densify

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

BAND_NODES = 16
PAPER_COLOUR, PAPER_DARKER = 14.0, 45.0
"""Largest distance in a, b and in lightness (CIE Lab, 8 bit) of paper without grid from that
between the grid's lines hereabouts."""
HEREABOUTS_NODES = 20.0
"""Within so many mm paper is lit alike; by eye."""
FEW = 0.02
"""Least weight of what is known hereabouts."""
PRINT_NODES = 5
"""Print of fewer nodes (mm) in height does not darken its paper: lines of words stand at edges.
Dark gaps that run down, as between two sheets side by side, are kept. By eye."""


def largest_part(mask: npt.NDArray[np.uint8], within: npt.NDArray[np.uint8]) -> Mask:
    """The connected part of a mask that holds most of ``within``, a part of it; holes filled."""
    from scipy.ndimage import binary_fill_holes
    from skimage.measure import label

    labels = label(mask, connectivity=1)
    counts = np.bincount(labels[within > 0], minlength=2)
    return np.asarray(binary_fill_holes(labels == counts.argmax()))


def paper_mask(image: npt.NDArray[np.uint8], nodes: Floats, gridded: Mask) -> Mask:
    """The paper per node (1 mm): the grid, and what adjoins it in the paper's colour."""
    import cv2

    h, w = image.shape[:2]
    inside = (nodes > -0.5).all(axis=-1) & (nodes[..., 0] < w) & (nodes[..., 1] < h)
    gridded = gridded & inside
    between = nodes.copy()
    between[:-1, :-1] = (nodes[:-1, :-1] + nodes[1:, 1:]) / 2
    at = between.astype(np.float32)
    small = cv2.remap(image, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    small = cv2.morphologyEx(small, cv2.MORPH_CLOSE, np.ones((PRINT_NODES, 1), np.uint8))
    small = cv2.medianBlur(small, 5)
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB).astype(np.float32)
    off = lab - _hereabouts(lab, gridded)
    colour = np.hypot(off[..., 1], off[..., 2])
    alike = (off[..., 0] > -PAPER_DARKER) & (colour < PAPER_COLOUR) & inside
    alike = cv2.morphologyEx(alike.astype(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    paper = largest_part(alike | gridded.astype(np.uint8), gridded.astype(np.uint8))
    return paper & inside


def _hereabouts(values: npt.NDArray[np.float32], known: Mask) -> npt.NDArray[np.float32]:
    """The mean of known values (H, W, k) around each place, far from all of them their median."""
    import cv2

    weight = known.astype(np.float32)
    usual = np.median(values[known], axis=0).astype(np.float32)
    total = cv2.GaussianBlur((values - usual) * weight[..., None], (0, 0), HEREABOUTS_NODES)
    near = cv2.GaussianBlur(weight, (0, 0), HEREABOUTS_NODES)[..., None]
    return np.asarray(usual + total / np.maximum(near, FEW))


def cropped(nodes: Floats, paper: Mask) -> tuple[Floats, Mask]:
    """Cut to the paper, by whole 5 mm at the left and top so that the lines stay on them."""
    i, j = np.nonzero(paper)
    top, left = (max(0, int(k.min()) // 5 * 5) for k in (i, j))
    cut = (slice(top, int(i.max()) + 2), slice(left, int(j.max()) + 2))
    return nodes[cut], paper[cut]


def warp_image(
    image: npt.NDArray[np.uint8], nodes: Floats, paper: Mask
) -> tuple[npt.NDArray[np.uint8], Mask]:
    """Draw a source image on the rectified page; outside the paper, its median colour.

    In bands of rows, so that the map of each stays in the cache.
    """
    import cv2

    height, width = ((n - 1) * NODE_PX + 1 for n in nodes.shape[:2])
    h, w = image.shape[:2]
    out = np.empty((height, width, 3), np.uint8)
    valid = np.empty((height, width), bool)
    paper_px = None if paper.all() else cv2.resize(paper.astype(np.uint8) * 255, (width, height))
    at_nodes = cv2.remap(image, nodes.astype(np.float32), None, cv2.INTER_NEAREST)
    colour = np.median(at_nodes[paper], axis=0).astype(np.uint8)
    for first in range(0, len(nodes) - 1, BAND_NODES):
        dense = densify(nodes[first : first + BAND_NODES + 1], NODE_PX)
        rows = slice(first * NODE_PX, first * NODE_PX + len(dense))
        out[rows] = cv2.remap(image, dense, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        valid[rows] = cv2.inRange(dense, (-0.5, -0.5), (w - 0.5, h - 0.5)) > 0
        if paper_px is not None:
            valid[rows] &= paper_px[rows] > 127
        if not valid[rows].all():
            out[rows][~valid[rows]] = colour
    return out, valid
