"""The last millimetre: local offsets of the grid from the lattice, measured on the flattened page.

On a page that is nearly flat, the grid's period is known and its lines run along the axes. In a
window around each of many points the line response is compared with the page's own grid profile
(heavier lines every 5 mm included, which is what keeps folds from slipping by a line), moved by a
candidate offset; both are held as a few harmonics of 5 mm, so a window costs a handful of products.

A scan, or a photograph of a sheet that lies flat, is a view of a plane: eight numbers place it, and
noise moves them little. Only if the lines leave that plane does a spline follow them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ecg4u.digitize.page.rectified import interpolate
from ecg4u.digitize.page.warp import densify, fit_spline_on_grid

Floats = npt.NDArray[np.float64]
Image = npt.NDArray[np.float32]

SAMPLES_PER_MM = 5
PERIOD_MM = 5.0
HARMONICS = np.array([1, 2, 3, 4, 5, 6, 10])
STEP_MM = 0.04
BLOCK_POINTS = 12
REACH_SIGMA = 3.5
"""Where a window is cut off."""


@dataclass(frozen=True)
class Pass:
    """One round: point spacing, window (Gaussian sigma) and search in mm; spline knots in mm."""

    spacing_mm: float
    sigma_mm: float
    search_mm: float
    knots_mm: float


PASSES = (Pass(5.0, 5.0, 2.2, 20.0), Pass(2.5, 3.0, 0.7, 8.0), Pass(2.5, 2.0, 0.5, 5.0))
CHECK = Pass(5.0, 3.0, 0.5, 20.0)
PLANE_PASSES = (Pass(5.0, 5.0, 2.2, 0.0), Pass(5.0, 5.0, 1.0, 0.0), Pass(5.0, 5.0, 0.5, 0.0))
"""Rounds on a plane: wide windows, as few numbers are sought; chosen by eye."""
HOPELESS_MM = 0.15
"""Residual after two of these rounds from which a page is not flat: photographs of crumpled pages
have .17 and more."""
BEND_CHECK, BEND_ORDER = Pass(5.0, 3.0, 0.7, 0.0), 4
PLANE_RESIDUAL_MM, PLANE_BEND_MM = 0.045, 0.02
"""Residual of the lines on a plane, and rms of a smooth surface through what is left, up to which a
page is flat."""
BULGE_SIGMA_MM, PLANE_BULGE_MM, SEEN_SHARE = 7.5, 0.1, 0.3
"""How far around a place its lines are averaged, how far off the plane they may lie, and how much
of them, in weight, must be seen there. Of 23 flat drawn pages 20 are flat by all three: residual up
to .042, surface .020, bulge .084; places are .000 to .012 mm off on the plane, .003 to .024 on the
spline. Of those that bend, residuals are .037 and more, surfaces .027, bulges .159 (n = 22)."""
LEAST_WEIGHT, HALF_WEIGHT_MM = 0.02, 0.12
"""Weight from which a measured offset counts, and how far off it counts half (Cauchy)."""
ROBUST_ROUNDS = 6
"""Rounds after which reweighting changes nothing that counts."""


@dataclass(frozen=True, eq=False)
class Offsets:
    """Where the lines of one axis lie: ``delta`` (rows, columns) mm off the lattice.

    ``match`` is the correlation in [0, 1] with the page's grid profile, ``weight`` that together
    with the lines' contrast.
    """

    delta: Floats
    match: Floats
    weight: Floats


@dataclass(frozen=True, eq=False)
class Refined:
    """Nodes 1 mm apart (rows, columns, 2) in work px, their mm origin, and what remains.

    ``support`` (rows, columns) at ``CHECK.spacing_mm``: match of the weaker axis.
    """

    nodes: Floats
    residual_mm: float
    support: Floats


def refine(lines: Image, nodes: Floats, plane: Floats) -> Refined:
    """Move nodes 1 mm apart so that the grid's 5 mm lines fall on every fifth of them.

    ``plane`` are the nodes of a flat page seen by a camera: where its lines lie on such a plane,
    the page is taken as flat, and no noise of theirs bends it.
    """
    flat = _on_plane(lines, plane)
    if flat is not None:
        return flat
    nodes = _to_origin(lines, nodes)
    for stage in PASSES:
        x, y = measure(flat_lines(lines, nodes), stage)
        nodes = _moved(nodes, x, y, stage)
    return _remaining(flat_lines(lines, nodes), nodes)


def _remaining(flat: Image, nodes: Floats) -> Refined:
    """The nodes with what is left of the offsets on the page as they flatten it."""
    x, y = measure(flat, CHECK)
    return Refined(nodes, _residual(x, y), np.minimum(x.match, y.match))


def _residual(x: Offsets, y: Offsets) -> float:
    both = np.concatenate([x.delta.ravel(), y.delta.ravel()])
    weight = np.concatenate([x.weight.ravel(), y.weight.ravel()]) + 1e-12
    return float(np.sqrt((weight * both**2).sum() / weight.sum()))


def _on_plane(lines: Image, nodes: Floats) -> Refined | None:
    """The page as a plane; None if it is not flat."""
    nodes = _to_origin(lines, nodes)
    for stage in PLANE_PASSES:
        x, y = measure(flat_lines(lines, nodes), stage)
        if stage is PLANE_PASSES[-1] and _residual(x, y) > HOPELESS_MM:
            return None
        nodes = _tilted(nodes, x, y, stage.spacing_mm)
    flat = flat_lines(lines, nodes)
    found = _remaining(flat, nodes)
    left = measure(flat, BEND_CHECK)
    even = max(map(_bend, left)) < PLANE_BEND_MM and max(map(_bulge, left)) < PLANE_BULGE_MM
    return found if even and found.residual_mm < PLANE_RESIDUAL_MM else None


def _tilted(nodes: Floats, x: Offsets, y: Offsets, spacing_mm: float) -> Floats:
    """Nodes after a small move of the plane, as another view of it: a homography near one."""
    rows, columns = nodes.shape[:2]
    half = max(rows, columns) / 2

    def design(shape: tuple[int, ...], mm: float) -> tuple[Floats, Floats]:
        """What each number moves along x and along y, at places of a grid ``mm`` apart."""
        u, v = np.meshgrid(np.arange(shape[1]) * mm, np.arange(shape[0]) * mm)
        u, v = (u - columns / 2) / half, (v - rows / 2) / half
        one, zero = np.ones_like(u), np.zeros_like(u)
        return (
            np.stack([one, u, v, zero, zero, zero, u * u, u * v], axis=-1),
            np.stack([zero, zero, zero, one, u, v, u * v, v * v], axis=-1),
        )

    at = design(x.delta.shape, spacing_mm)
    moves = _robust_fit(
        np.concatenate([a.reshape(-1, a.shape[-1]) for a in at]),
        np.concatenate([x.delta.ravel(), y.delta.ravel()]),
        _counted(np.concatenate([x.weight.ravel(), y.weight.ravel()])),
    )
    moved = np.stack([a @ moves for a in design((rows, columns), 1.0)], axis=-1)
    return interpolate(
        nodes, np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), -1) + moved
    )


def _counted(weight: Floats) -> Floats:
    """The weights, 0 where they are too small to count."""
    return np.where(weight > LEAST_WEIGHT, weight, 0.0)


def _bend(offsets: Offsets) -> float:
    """How far (mm, rms) a smooth surface through the offsets departs from a constant."""
    rows, columns = offsets.delta.shape
    u, v = np.meshgrid(np.linspace(-1.0, 1.0, columns), np.linspace(-1.0, 1.0, rows))
    powers = [(i, j) for i in range(BEND_ORDER + 1) for j in range(BEND_ORDER + 1 - i)]
    design = np.stack([(u**i * v**j).ravel() for i, j in powers], axis=-1)
    weight = _counted(offsets.weight).ravel()
    if not weight.any():
        return 0.0
    surface = design @ _robust_fit(design, offsets.delta.ravel(), weight)
    off = surface - np.average(surface, weights=weight)
    return float(np.sqrt(np.average(off**2, weights=weight)))


def _bulge(offsets: Offsets) -> float:
    """How far (mm) the offsets lie off the page's mean where they agree with those beside them."""
    from scipy.ndimage import gaussian_filter

    weight = _counted(offsets.weight)
    if not weight.any():
        return 0.0
    sigma = BULGE_SIGMA_MM / BEND_CHECK.spacing_mm
    seen = gaussian_filter(weight, sigma)
    off = offsets.delta - np.average(offsets.delta, weights=weight)
    mean = np.abs(gaussian_filter(weight * off, sigma)) / np.maximum(seen, 1e-9)
    return float(mean[seen > SEEN_SHARE * np.percentile(seen, 90)].max(initial=0.0))


def _robust_fit(design: Floats, values: Floats, weight: Floats) -> Floats:
    """Least-squares coefficients, with outliers down-weighted (Cauchy)."""
    now = weight
    fitted: Floats = np.zeros(design.shape[1])
    for _ in range(ROBUST_ROUNDS):
        root = np.sqrt(now)
        solved = np.linalg.lstsq(design * root[:, None], values * root, rcond=None)[0]
        fitted = np.asarray(solved, np.float64)
        now = weight / (1.0 + ((values - design @ fitted) / HALF_WEIGHT_MM) ** 2)
    return fitted


def flat_lines(lines: Image, nodes: Floats) -> Image:
    """The line response on the flattened page at `SAMPLES_PER_MM`."""
    import cv2

    dense = densify(nodes, SAMPLES_PER_MM)
    return cv2.remap(lines, dense, None, cv2.INTER_LINEAR, borderValue=0.0)


def _axis(n_samples: int, spacing_mm: float) -> tuple[Floats, Floats]:
    mm = np.arange(n_samples) / SAMPLES_PER_MM
    return mm, np.arange(0.0, mm[-1] + 1e-9, spacing_mm)


def _window(mm: Floats, points: Floats, sigma: float) -> Floats:
    return np.exp(-0.5 * ((points[:, None] - mm[None, :]) / sigma) ** 2)


def harmonics(flat: Image, stage: Pass) -> npt.NDArray[np.complex128]:
    """Local harmonics of the lines across x: (rows, columns, k)."""
    mm_y, points_y = _axis(flat.shape[0], stage.spacing_mm)
    mm_x, points_x = _axis(flat.shape[1], stage.spacing_mm)
    bands = np.empty((len(points_y), flat.shape[1]), np.float32)
    for some, near in _blocks(points_y, mm_y, stage.sigma_mm):
        window = _window(mm_y[near], points_y[some], stage.sigma_mm)
        bands[some] = window.astype(np.float32) @ flat[near]
    turn = 2 * np.pi * HARMONICS[:, None] * mm_x[None, :] / PERIOD_MM
    waves = np.concatenate([np.cos(turn), -np.sin(turn)]).astype(np.float32)
    out = np.empty((len(points_y), len(points_x), len(waves)), np.float32)
    for some, near in _blocks(points_x, mm_x, stage.sigma_mm):
        window = _window(mm_x[near], points_x[some], stage.sigma_mm).astype(np.float32)
        kernel = (window[:, None, :] * waves[None, :, near]).reshape(-1, window.shape[1]).T
        out[:, some] = (bands[:, near] @ kernel).reshape(len(points_y), -1, len(waves))
    half = len(HARMONICS)
    return np.asarray(out[..., :half] + 1j * out[..., half:].astype(np.float64))


def _blocks(points: Floats, mm: Floats, sigma: float) -> Iterator[tuple[slice, slice]]:
    """Runs of points, each with the samples that its windows reach."""
    for first in range(0, len(points), BLOCK_POINTS):
        some = slice(first, min(first + BLOCK_POINTS, len(points)))
        reach = points[first] - REACH_SIGMA * sigma, points[some.stop - 1] + REACH_SIGMA * sigma
        low, high = np.searchsorted(mm, reach)
        yield some, slice(int(low), int(high))


def _scores(
    local: npt.NDArray[np.complex128], profile: npt.NDArray[np.complex128], shifts: Floats
) -> Floats:
    turn = np.exp(2j * np.pi * HARMONICS[:, None] * shifts[None, :] / PERIOD_MM)
    return np.real((local * profile.conj()) @ turn)


def _to_origin(lines: Image, nodes: Floats) -> Floats:
    """Shift the nodes by a constant, so that the strongest lines fall on whole 5 mm."""
    flat = flat_lines(lines, nodes)
    shift = np.array([_phase(flat), _phase(flat.T)])
    rows, columns = nodes.shape[:2]
    at = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1) + shift
    return interpolate(nodes, at)


def _phase(flat: Image) -> float:
    total = harmonics(flat, PASSES[0])
    shifts = np.arange(0.0, PERIOD_MM, STEP_MM)
    whole = total.sum(axis=(0, 1))
    curve = _scores(whole[None, None], np.abs(whole), shifts)[0, 0]
    if -curve.min() > curve.max():
        curve = -curve
    best = float(shifts[int(np.argmax(curve))])
    return best - PERIOD_MM if best > PERIOD_MM / 2 else best


def measure(flat: Image, stage: Pass) -> tuple[Offsets, Offsets]:
    """Offsets of vertical lines along x, and of horizontal lines along y."""
    x = _offsets(harmonics(flat, stage), stage)
    y = _offsets(harmonics(np.ascontiguousarray(flat.T), stage), stage)
    return x, Offsets(y.delta.T, y.match.T, y.weight.T)


def _offsets(local: npt.NDArray[np.complex128], stage: Pass) -> Offsets:
    energy = np.sqrt((np.abs(local) ** 2).sum(axis=-1)) + 1e-9
    profile = (local / energy[..., None]).mean(axis=(0, 1))
    search = stage.search_mm if _has_fivefold(profile) else min(stage.search_mm, 0.5)
    shifts = np.arange(-search, search + STEP_MM / 2, STEP_MM)
    preference = 1.0 - 0.1 * (shifts / PERIOD_MM * 2) ** 2
    for _ in range(2):
        score = _scores(local, profile, shifts) * preference
        best = np.argmax(score, axis=-1)
        turn = np.exp(2j * np.pi * HARMONICS * shifts[best][..., None] / PERIOD_MM)
        peak = np.take_along_axis(score, best[..., None], axis=-1)[..., 0]
        weight = np.maximum(peak / energy, 0.0)[..., None]
        profile = (local * turn / energy[..., None] * weight).sum(axis=(0, 1))
        profile /= np.sqrt((np.abs(profile) ** 2).sum()) + 1e-12
    score = _scores(local, profile, shifts) * preference
    best = np.argmax(score, axis=-1)
    peak = np.take_along_axis(score, best[..., None], axis=-1)[..., 0]
    match = np.clip(peak / energy, 0.0, 1.0)
    contrast = (
        np.clip(peak / (np.median(peak[match > 0.5]) + 1e-9), 0.0, 1.0)
        if (match > 0.5).any()
        else np.zeros_like(peak)
    )
    edge = (best == 0) | (best == len(shifts) - 1)
    return Offsets(_vertex(score, best, shifts), match, np.where(edge, 0.0, match**2 * contrast))


def _has_fivefold(profile: npt.NDArray[np.complex128]) -> bool:
    power = np.abs(profile) ** 2
    return bool(power[HARMONICS % 5 != 0].sum() > 0.05 * power.sum())


def _vertex(score: Floats, best: npt.NDArray[np.int64], shifts: Floats) -> Floats:
    inner = np.clip(best, 1, len(shifts) - 2)[..., None]
    left, centre, right = (
        np.take_along_axis(score, inner + d, axis=-1)[..., 0] for d in (-1, 0, 1)
    )
    curvature = left - 2 * centre + right
    step = np.where(curvature < 0, 0.5 * (left - right) / np.minimum(curvature, -1e-12), 0.0)
    return shifts[inner[..., 0]] + STEP_MM * np.clip(step, -1, 1)


def _moved(nodes: Floats, x: Offsets, y: Offsets, stage: Pass) -> Floats:
    """Nodes after the smooth part of the measured offsets."""
    rows, columns = nodes.shape[:2]
    grid_y, grid_x = (
        np.arange(n, dtype=np.float64) * np.float64(stage.spacing_mm) for n in x.delta.shape
    )
    at = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1).astype(float)
    for axis, found in enumerate((x, y)):
        weight = _counted(found.weight)
        if np.count_nonzero(weight) < 8:
            continue
        spline = fit_spline_on_grid(
            grid_x,
            grid_y,
            found.delta,
            weight,
            box=(0.0, 0.0, columns - 1.0, rows - 1.0),
            spacing=stage.knots_mm,
            stiffness=0.05,
            robust=HALF_WEIGHT_MM,
        )
        at[..., axis] += spline.at_grid(
            np.arange(columns, dtype=np.float64), np.arange(rows, dtype=np.float64)
        )[..., 0]
    return interpolate(nodes, at)
