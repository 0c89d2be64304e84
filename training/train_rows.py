"""Train the row network on pages that `ecg4u.paper` draws from the train split.

    python -m training.train_rows ../shared/ecg --steps 6000 --seed 0 --checkpoint cache/rows.pt

Each sample is a crop about one row of a drawn page: what it looks like, what the trace network
makes of it, and about where the rows are; the truth is the ink of that one row. Starts and goes on
as `training.train_trace` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ecg4u.digitize.rows import network, row_network
from training.page_networks import ROWS, TRACE
from training.pages import CROP_PX_PER_MM, Crop, PageSampler, TrainingPage
from training.train_trace import Task, learn, options_of

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import Tensor

    Points = npt.NDArray[np.float64]
    Floats = npt.NDArray[np.float32]

CROP_PX = row_network.STRIP_PX * row_network.HALVED
CROPS_PER_PAGE = 24
TALL_SHARE, SPOT_SHARE, NAME_SHARE = 0.35, 0.3, 0.1
"""Share of the crops about tall waves, about pulses and straight print, and about names."""
TALL_PERCENTILE = 98
OFF_MM = 2.0
"""How far a strip's middle is from its row's height, one sd."""
HEIGHT_WINDOW_MM = 30.0
JITTER_MM = 0.8
"""How far off a row's height may be measured, one sd."""
UNKNOWN_ROW = 0.05
"""Share of the other rows that were not found."""
FINE_BITS = 3
NEAR, RIVAL = 3.0, 3.0
"""How much pixels near the row's ink, and ink that is not the row's, weigh more than paper."""


def sample(sampler: PageSampler, page: TrainingPage) -> tuple[Floats, Floats] | None:
    """One crop about a row: (9, S, S) and the share of each pixel that is the row's ink, (S, S)."""
    rng = sampler.rng
    row, centre = _place(page, rng)
    crop = sampler.crop(page, centre)
    numbers = sorted(set(crop.rows))
    if row not in numbers:
        return None
    heights = np.stack([_height(crop, number, rng) for number in numbers])
    found = np.flatnonzero((rng.random(len(numbers)) > UNKNOWN_ROW) | (np.array(numbers) == row))
    own = int(np.flatnonzero(np.array(numbers)[found] == row)[0])
    seen = network.normalise(crop.image)
    look = network.look_of(seen, network.answer_of(seen))
    heights = heights[found] - np.median(heights[found[own]]) + CROP_PX / 4
    strip, _ = row_network.strip_of(look, heights, own)
    return strip, _ink(crop, row)


def _place(page: TrainingPage, rng: np.random.Generator) -> tuple[int, Points]:
    """A row and a place on it (mm): a tall wave, a pulse, straight print, a name, or anywhere."""
    scale = page.drawn.px_per_mm
    segment = page.drawn.segments[int(rng.integers(len(page.drawn.segments)))]
    xy = segment.xy[np.isfinite(segment.xy).all(axis=1)] / scale
    zero = segment.zero_y / scale
    off = rng.normal(0, OFF_MM)
    if len(xy) == 0:
        return segment.row, np.array([segment.xy[0, 0] / scale, zero + off])
    choice = rng.random()
    spots = [spot for part in page.spots for spot in part if abs(spot[1] - zero) < 15]
    if choice < TALL_SHARE:
        rows = {s.row: s for s in page.drawn.segments if abs(s.row - segment.row) <= 1}
        other = list(rows.values())[int(rng.integers(len(rows)))]
        wave = np.abs(other.xy[:, 1] - np.nanmedian(other.xy[:, 1]))
        if np.isfinite(wave).any():
            tall = np.flatnonzero(wave >= np.nanpercentile(wave, TALL_PERCENTILE))
            x = other.xy[tall[int(rng.integers(len(tall)))], 0] / scale
            return segment.row, np.array([x + rng.normal(0, 12), zero + off])
    elif choice < TALL_SHARE + SPOT_SHARE and spots:
        x = spots[int(rng.integers(len(spots)))][0]
        return segment.row, np.array([x + rng.normal(0, 8), zero + off])
    elif choice < TALL_SHARE + SPOT_SHARE + NAME_SHARE and page.drawn.labels:
        x = page.drawn.labels[int(rng.integers(len(page.drawn.labels)))].box[0] / scale
        return segment.row, np.array([x + rng.normal(0, 8), zero + off])
    return segment.row, np.array([xy[int(rng.integers(len(xy))), 0], zero + off])


def _height(crop: Crop, row: int, rng: np.random.Generator) -> Points:
    """A row's local height (S / 2,) in px of the network, as well as it may be known."""
    from scipy.ndimage import median_filter

    parts = [curve for curve, of in zip(crop.curves, crop.rows, strict=True) if of == row]
    xy = np.concatenate(parts)
    xy = xy[np.argsort(xy[:, 0])]
    x = np.arange(-CROP_PX // 2, CROP_PX * 3 // 2, 10)
    x = x[(x >= xy[0, 0] - 10) & (x <= xy[-1, 0] + 10)]
    y = np.interp(x, xy[:, 0], xy[:, 1])
    window = int(HEIGHT_WINDOW_MM * CROP_PX_PER_MM / 10) | 1
    base = median_filter(y, window, mode="nearest")
    if rng.random() < 0.3:
        base = np.full(len(x), np.median(base))
    base = base + rng.normal(0, JITTER_MM * CROP_PX_PER_MM)
    at = (np.arange(CROP_PX // 2) + 0.5) * 2 - 0.5
    return (np.interp(at, x, base) + 0.5) / row_network.HALVED - 0.5


def _ink(crop: Crop, row: int) -> Floats:
    """Where the pen of one row was, (S, S) in px of the network, each pixel's share of ink."""
    import cv2

    mask = np.zeros((CROP_PX, CROP_PX), np.uint8)
    for curve, of in zip(crop.curves, crop.rows, strict=True):
        if of == row:
            points = np.round(curve * (1 << FINE_BITS)).astype(np.int32)[:, None]
            thick = max(1, round(crop.pen_px))
            cv2.polylines(mask, [points], False, 255, thick, cv2.LINE_AA, FINE_BITS)
    size = CROP_PX // row_network.HALVED
    small = cv2.resize(mask, (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(small / 255, np.float32)


def group(sampler: PageSampler, seed: int, number: int, pages: int) -> tuple[Tensor, Tensor]:
    """Crops of a few pages, shuffled: inputs (n, 9, S, S) and truth (n, 1, S, S) in 0..1."""
    import torch

    sampler.rng = np.random.default_rng((seed, number))
    crops: list[tuple[Floats, Floats]] = []
    while len(crops) < pages * CROPS_PER_PAGE:
        page = sampler.page()
        drawn = (sample(sampler, page) for _ in range(CROPS_PER_PAGE))
        crops += [crop for crop in drawn if crop is not None]
    order = sampler.rng.permutation(len(crops))[: pages * CROPS_PER_PAGE]
    strips = np.stack([crops[i][0] for i in order])
    truth = np.stack([crops[i][1][None] for i in order])
    return torch.from_numpy(strips), torch.from_numpy(truth)


def loss_of(logits: Tensor, truth: Tensor, strips: Tensor) -> Tensor:
    """Cross-entropy, heavier at the row's ink and at ink that is not the row's, and Dice."""
    from torch.nn import functional

    near = functional.max_pool2d(truth, 5, 1, 2)
    ink = strips[:, 3 : row_network.LOOKS].amax(dim=1, keepdim=True)
    weight = 1 + NEAR * near + RIVAL * ink * (1 - near)
    cross = functional.binary_cross_entropy_with_logits(logits, truth, weight)
    likely = logits.sigmoid()
    shared = 2 * (likely * truth).sum(dim=(1, 2, 3)) + 20
    dice = shared / (likely.square() + truth.square()).sum(dim=(1, 2, 3)).add(20)
    return cross + 0.5 * (1 - dice).mean()


TASK = Task(
    what="row network (ecg4u.digitize.rows.row_network)",
    module="training.train_rows",
    network=ROWS,
    channels=("own trace",),
    crop_px=CROP_PX,
    group=group,
    loss_of=loss_of,
)


def main() -> None:
    """Train from the checkpoint on, if there is one; write weights and card."""
    learn(TASK, options_of(TASK, TRACE.weights))


if __name__ == "__main__":
    main()
