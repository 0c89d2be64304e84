"""A coarse map from the page's millimetres to the source image, small enough to be written down."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ecg4u.digitize.page.rectified import NODE_PX, PX_PER_MM, RectifiedPage, interpolate

Floats = npt.NDArray[np.float64]

STEP_MM = 5
PRECISION_PX = 0.1
ROUNDS = 12


@dataclass(frozen=True, eq=False)
class Mesh:
    """Source px of every `STEP_MM`-th millimetre of the page, bilinear between.

    Parameters
    ----------
    width, height : int
        Of the rectified page, in px of 0.1 mm.
    points : (rows, columns, 2) float64
        Source px (x, y), multiples of `PRECISION_PX`.
    """

    width: int
    height: int
    points: Floats

    @classmethod
    def of(cls, rectified: RectifiedPage) -> Mesh:
        """The mesh of a rectified page."""
        height, width = rectified.image.shape[:2]
        rows, columns = shape_of(width, height)
        x, y = np.meshgrid(np.arange(columns), np.arange(rows))
        at = np.stack([x, y], axis=-1).reshape(-1, 2) * (STEP_MM * PX_PER_MM)
        points = rectified.to_source(at).reshape(rows, columns, 2)
        return cls(width, height, np.round(points / PRECISION_PX) * PRECISION_PX)

    def to_source(self, xy_mm: Floats) -> Floats:
        """Source px (n, 2) of points of the page in mm; NaN stays NaN."""
        return interpolate(self.points, xy_mm / STEP_MM)

    def to_page(self, xy_source: Floats) -> Floats:
        """Millimetres (n, 2) of source px, by Newton's method from the nearest node."""
        known = np.isfinite(xy_source).all(axis=1)
        found = np.full(xy_source.shape, np.nan)
        if known.any():
            found[known] = self._inverse(xy_source[known])
        return found

    def _inverse(self, target: Floats) -> Floats:
        flat = self.points.reshape(-1, 2)
        nearest = [int(np.argmin(((flat - point) ** 2).sum(axis=1))) for point in target]
        row, column = np.unravel_index(nearest, self.points.shape[:2])
        at = np.stack([column, row], axis=-1).astype(np.float64) * STEP_MM
        step = 0.5
        right, down = np.array([step, 0.0]), np.array([0.0, step])
        for _ in range(ROUNDS):
            here = self.to_source(at)
            along_x = (self.to_source(at + right) - here) / step
            along_y = (self.to_source(at + down) - here) / step
            jacobian = np.stack([along_x, along_y], axis=-1)
            at = at + _solved(jacobian, target - here)
        return at

    def nodes(self) -> Floats:
        """The nodes of `RectifiedPage`, one per mm, (H // 10 + 1, W // 10 + 1, 2)."""
        step = NODE_PX / PX_PER_MM
        x, y = np.meshgrid(
            np.arange(self.width // NODE_PX + 1) * step,
            np.arange(self.height // NODE_PX + 1) * step,
        )
        return self.to_source(np.stack([x, y], axis=-1).reshape(-1, 2)).reshape(*x.shape, 2)


def shape_of(width: int, height: int) -> tuple[int, int]:
    """Rows and columns of the mesh of a rectified page of this size."""
    cell = int(STEP_MM * PX_PER_MM)
    return -(-height // cell) + 1, -(-width // cell) + 1


def _solved(jacobian: Floats, residual: Floats) -> Floats:
    (a, b), (c, d) = jacobian.transpose(1, 2, 0)
    determinant = a * d - b * c
    safe = np.where(np.abs(determinant) < 1e-9, 1.0, determinant)
    x, y = residual.T
    step = np.stack([d * x - b * y, a * y - c * x], axis=-1) / safe[:, None]
    step[np.abs(determinant) < 1e-9] = 0.0
    return np.asarray(step)
