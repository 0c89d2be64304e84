"""Smooth maps between the paper's millimetres and the source image."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def fit_homography(src: Floats, dst: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Robust homography src -> dst, (3, 3), and the distances (n,) of dst from it.

    Iteratively reweighted direct linear transform on normalised points (Hartley 1997), Cauchy
    weights.
    """
    a, ta = _normalise(src)
    b, tb = _normalise(dst)
    w = weight / weight.max()
    h = np.eye(3)
    for _ in range(12):
        h = _dlt(a, b, w)
        error = np.hypot(*(apply_homography(h, a) - b).T)
        scale = 1.5 * np.median(error) + 1e-9
        w = weight / weight.max() / (1 + (error / scale) ** 2)
    h = np.linalg.inv(tb) @ h @ ta
    h /= h[2, 2]
    return h, np.hypot(*(apply_homography(h, src) - dst).T)


def _normalise(p: Floats) -> tuple[Floats, Floats]:
    centre = p.mean(axis=0)
    scale = np.sqrt(2) / (np.hypot(*(p - centre).T).mean() + 1e-12)
    t = np.array([[scale, 0, -scale * centre[0]], [0, scale, -scale * centre[1]], [0, 0, 1]])
    return (p - centre) * scale, t


def _dlt(a: Floats, b: Floats, w: Floats) -> Floats:
    x, y = a.T
    u, v = b.T
    zero, one = np.zeros_like(x), np.ones_like(x)
    rows_u = np.stack([x, y, one, zero, zero, zero, -u * x, -u * y, -u], axis=1)
    rows_v = np.stack([zero, zero, zero, x, y, one, -v * x, -v * y, -v], axis=1)
    m = np.concatenate([rows_u, rows_v]) * np.sqrt(np.concatenate([w, w]))[:, None]
    _, vectors = np.linalg.eigh(m.T @ m)
    return vectors[:, 0].reshape(3, 3)


def apply_homography(h: Floats, xy: Floats) -> Floats:
    """Map (..., 2) points."""
    p = xy @ h[:, :2].T + h[:, 2]
    return p[..., :2] / p[..., 2:]


@dataclass(frozen=True, eq=False)
class Spline:
    """A uniform cubic B-spline field over the plane: ``coefficients`` (rows, columns, k)."""

    origin: Floats
    spacing: float
    coefficients: Floats

    def at_grid(self, x: Floats, y: Floats) -> Floats:
        """Values (len(y), len(x), k) on a rectangular grid; constant beyond the knots."""
        rows, columns, _ = self.coefficients.shape
        bx = _dense_basis((x - self.origin[0]) / self.spacing, columns)
        by = _dense_basis((y - self.origin[1]) / self.spacing, rows)
        return np.einsum("ij,jkc,lk->ilc", by, self.coefficients, bx, optimize=True)


def fit_spline(
    xy: Floats,
    values: Floats,
    weight: Floats,
    *,
    box: tuple[float, float, float, float],
    spacing: float,
    stiffness: float,
    robust: float,
) -> Spline:
    """Smoothing cubic B-spline through scattered values (n, k), as Eilers and Marx (1996) do.

    ``stiffness`` weighs squared second differences of the coefficients against the data of one
    knot cell; ``robust`` is the residual at which a datum counts half (Cauchy).
    """
    x0, y0, x1, y1 = box
    columns = int(np.ceil((x1 - x0) / spacing)) + 3
    rows = int(np.ceil((y1 - y0) / spacing)) + 3
    origin = np.array([x0, y0])
    design = _sparse_design((xy - origin) / spacing, rows, columns)
    per_cell = max(float(weight.sum()) / ((rows - 3) * (columns - 3)), 1e-9)
    penalty = _roughness(rows, columns) * (stiffness * per_cell)
    w = weight
    coefficients = np.zeros((rows * columns, values.shape[1]))
    for _ in range(3):
        coefficients = _solve(design, penalty, w, values)
        error = np.hypot.reduce(design @ coefficients - values, axis=1)
        w = weight / (1 + (error / robust) ** 2)
    return Spline(origin, spacing, coefficients.reshape(rows, columns, -1))


def fit_spline_on_grid(
    x: Floats,
    y: Floats,
    values: Floats,
    weight: Floats,
    *,
    box: tuple[float, float, float, float],
    spacing: float,
    stiffness: float,
    robust: float,
) -> Spline:
    """As `fit_spline`, for values (len(y), len(x)) on a rectangular grid; weight 0 where unknown.

    The normal equations of a tensor product are sums over lines of the grid, and banded.
    """
    if box[2] - box[0] > box[3] - box[1]:
        turned = fit_spline_on_grid(
            y,
            x,
            values.T,
            weight.T,
            box=(box[1], box[0], box[3], box[2]),
            spacing=spacing,
            stiffness=stiffness,
            robust=robust,
        )
        return Spline(turned.origin[::-1], spacing, turned.coefficients.transpose(1, 0, 2))
    x0, y0, x1, y1 = box
    columns = int(np.ceil((x1 - x0) / spacing)) + 3
    rows = int(np.ceil((y1 - y0) / spacing)) + 3
    bx = _dense_basis((x - x0) / spacing, columns)
    by = _dense_basis((y - y0) / spacing, rows)
    per_cell = max(float(weight.sum()) / ((rows - 3) * (columns - 3)), 1e-9)
    penalty = _banded_roughness(rows, columns) * (stiffness * per_cell)
    w = weight
    coefficients = np.zeros((rows, columns))
    for _ in range(3):
        coefficients = _solve_on_grid(bx, by, penalty, w, values)
        error = by @ coefficients @ bx.T - values
        w = weight / (1 + (error / robust) ** 2)
    return Spline(np.array([x0, y0]), spacing, coefficients[..., None])


def _solve_on_grid(bx: Floats, by: Floats, penalty: Floats, w: Floats, values: Floats) -> Floats:
    from scipy.linalg import solveh_banded

    columns, rows = bx.shape[1], by.shape[1]
    normal = penalty.copy()
    first = {d: slice(max(0, -d), columns - max(0, d)) for d in range(-3, 4)}
    along_x = {d: w @ (bx[:, first[d]] * bx[:, first[-d]]) for d in first}
    for down in range(4):
        pair = (by[:, : rows - down] * by[:, down:]).T
        for d in range(-3 if down else 0, 4):
            block = np.zeros((rows, columns))
            block[: rows - down, first[d]] = pair @ along_x[d]
            normal[down * columns + d] += block.ravel()
    right = (by.T @ (w * values) @ bx).ravel()
    solved = solveh_banded(normal, right, lower=True, overwrite_ab=True, check_finite=False)
    return np.asarray(solved.reshape(rows, columns))


@lru_cache(maxsize=8)
def _banded_roughness(rows: int, columns: int) -> Floats:
    """`_roughness` as the lower diagonals that `scipy.linalg.solveh_banded` takes."""
    full = _roughness(rows, columns).tocoo()
    below = full.row >= full.col
    banded = np.zeros((3 * columns + 4, rows * columns))
    banded[(full.row - full.col)[below], full.col[below]] = full.data[below]
    return banded


def _solve(design: Any, penalty: Any, w: Floats, values: Floats) -> Floats:
    from scipy.sparse import diags
    from scipy.sparse.linalg import splu

    weighted = diags(w) @ design
    normal = (design.T @ weighted + penalty).tocsc()
    factors = splu(normal, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})
    solution: Floats = factors.solve(weighted.T @ values)
    return solution


def _cubic(t: Floats) -> Floats:
    """The four cubic B-spline weights (..., 4) at the share t of a cell."""
    u = 1 - t
    weights = [u**3, 3 * t**3 - 6 * t**2 + 4, 3 * u**3 - 6 * u**2 + 4, t**3]
    return np.stack(weights, axis=-1) / 6


def _cell(s: Floats, n: int) -> tuple[npt.NDArray[np.int64], Floats]:
    s = np.clip(s, 0, n - 3 - 1e-9)
    i = np.floor(s).astype(np.int64)
    return i, _cubic(s - i)


def _dense_basis(s: Floats, n: int) -> Floats:
    i, w = _cell(s, n)
    basis = np.zeros((len(s), n))
    for k in range(4):
        basis[np.arange(len(s)), i + k] = w[:, k]
    return basis


def _sparse_design(s: Floats, rows: int, columns: int) -> Any:
    from scipy.sparse import csr_matrix

    j, wx = _cell(s[:, 0], columns)
    i, wy = _cell(s[:, 1], rows)
    k = np.arange(4)
    index = (i[:, None, None] + k[None, :, None]) * columns + j[:, None, None] + k[None, None, :]
    value = wy[:, :, None] * wx[:, None, :]
    row = np.repeat(np.arange(len(s)), 16)
    return csr_matrix((value.ravel(), (row, index.ravel())), shape=(len(s), rows * columns))


def _roughness(rows: int, columns: int) -> Any:
    from scipy.sparse import diags, identity, kron

    def second(n: int) -> Any:
        return diags([1.0, -2.0, 1.0], [0, 1, 2], shape=(n - 2, n))

    def first(n: int) -> Any:
        return diags([-1.0, 1.0], [0, 1], shape=(n - 1, n))

    dxx = kron(identity(rows), second(columns))
    dyy = kron(second(rows), identity(columns))
    dxy = kron(first(rows), first(columns))
    return dxx.T @ dxx + dyy.T @ dyy + 2 * dxy.T @ dxy + 1e-9 * identity(rows * columns)


def densify(nodes: Floats, step: int) -> npt.NDArray[np.float32]:
    """Bilinear refinement of (rows, columns, 2) nodes to one value per px; ``step`` >= 1."""
    import cv2

    rows, columns = ((n - 1) * step + 1 for n in nodes.shape[:2])
    fine = nodes.astype(np.float32)
    while step % 2 == 0:
        fine = _halved(_halved(fine).transpose(1, 0, 2)).transpose(1, 0, 2)
        step //= 2
    if step > 1:
        # cv2.resize aligns pixel centres: with an odd step, nodes land on whole pixels.
        fine = cv2.resize(np.ascontiguousarray(fine), None, fx=step, fy=step)
    first = step // 2
    return np.ascontiguousarray(fine[first : first + rows, first : first + columns])


def _halved(nodes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Nodes with their midpoints along the first axis."""
    out = np.empty((2 * len(nodes) - 1, *nodes.shape[1:]), nodes.dtype)
    out[::2] = nodes
    out[1::2] = 0.5 * (nodes[:-1] + nodes[1:])
    return out
