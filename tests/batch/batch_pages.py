"""Small pages for the batch tests: drawn 3x4 pages, of made-up beats, that can be digitized."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from ecg4u.paper.draw import draw_page
from ecg4u.paper.layouts import LAYOUTS
from ecg4u.paper.style import PageStyle
from ecg4u.record import ECGRecord

PX_PER_MM = 4.2


def beats(seed: int) -> ECGRecord:
    """Ten seconds of beats that keep Einthoven's relations; rate and heights by ``seed``."""
    chance = np.random.default_rng(seed)
    time_s = np.arange(5000) / 500
    phase = time_s % chance.uniform(0.7, 0.95)
    waves = np.zeros((8, 5000))
    for centre, width, height in ((0.15, 0.02, 0.12), (0.3, 0.012, 1.0), (0.55, 0.04, 0.25)):
        heights = height * chance.uniform(0.5, 1.2, (8, 1))
        waves += heights * np.exp(-(((phase - centre) / width) ** 2) / 2)
    one, two = waves[0], waves[0] + 0.4 * waves[1]
    limb = [one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2]
    return ECGRecord(np.stack([*limb, *waves[2:]], axis=1), 500.0)


def draw(path: Path, seed: int, **style: object) -> Path:
    """Draw such a page, 1,100 px wide, as a PNG."""
    small = PageStyle(px_per_mm=PX_PER_MM, row_pitch=20.0, margin=(6.0, 6.0, 4.0, 4.0))
    page = draw_page(beats(seed), LAYOUTS["3x4"], replace(small, **style))  # type: ignore[arg-type]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(page.image).save(path)
    return path
