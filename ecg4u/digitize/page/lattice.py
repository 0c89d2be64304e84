"""The grid as a lattice: local Fourier peaks in overlapping tiles, and their phases unwrapped.

Single grid lines break, fade and drown in noise; their period does not. Each tile of the line
response gives spectral peaks (frequency vector and phase); two of them, about a right angle apart,
belong to the lattice. Phase, unwrapped from the clearest tile outwards, is position in periods.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

MAX_FREQUENCY = 0.41
"""Cycles/px; beyond lie mostly aliases of lines in images once shrunk without smoothing."""
FINE_PX = 4.5
LOG_STEP = 0.03
"""Bin of the frequency vote, natural log."""
MAX_PEAKS = 28
MIN_PEAK = 1.3
"""Least height of a peak over its surroundings, natural log of power."""
TOLERANCE = 0.14
"""How far a tile's frequency vector may lie from its neighbour's, as a share of its length."""
PROMISING = 3
"""Pairs of frequencies that are tried before the rest; each takes some 10 ms."""
MAX_PHASE_ERROR = 0.27
"""In periods, between a neighbour's prediction and what a tile shows."""


@dataclass(frozen=True, eq=False)
class Peaks:
    """Spectral peaks of one tile: ``f`` (n, 2) cycles/px, ``height`` (n,), ``phase`` (n,) cycles.

    ``phase`` is that at the tile's centre.
    """

    f: Floats
    height: Floats
    phase: Floats

    def near(self, f: Floats, tolerance: float) -> tuple[Floats, float, float] | None:
        """The highest peak near a frequency vector, as (f, height, phase), or None."""
        if not len(self.f):
            return None
        ratio = self._f / complex(f[0], f[1])
        off = np.abs(np.where(ratio.real < 0, -ratio, ratio) - 1.0)
        score = (off < tolerance) * self.height * (1 - (0.5 / tolerance) * off)
        i = int(score.argmax())
        if score[i] <= 0.0:
            return None
        ahead = -1.0 if ratio[i].real < 0 else 1.0
        return ahead * self.f[i], float(self.height[i]), ahead * float(self.phase[i])

    @cached_property
    def _f(self) -> npt.NDArray[np.complex128]:
        return np.asarray(self.f[:, 0] + 1j * self.f[:, 1], dtype=np.complex128)


@dataclass(frozen=True, eq=False)
class Tiles:
    """Overlapping tiles: ``centres`` (rows, columns, 2) px, and their peaks row by row."""

    centres: Floats
    peaks: list[list[Peaks]]
    size: int


@dataclass(frozen=True, eq=False)
class Lattice:
    """Points of the image with their position in periods of the lattice.

    ``xy`` (n, 2) px, ``uv`` (n, 2) periods, ``weight`` (n,), ``share`` of the tiles reached,
    ``strength`` their mean peak height, less where the phases fit their neighbours badly,
    ``period_px`` about one period.
    """

    xy: Floats
    uv: Floats
    weight: Floats
    share: float
    strength: float
    period_px: float
    tile_px: int


def find_tiles(lines: npt.NDArray[np.float32], size: int, step: int) -> Tiles:
    """Spectral peaks of overlapping square tiles of a line response."""
    height, width = lines.shape
    ys = _starts(height, size, step)
    xs = _starts(width, size, step)
    peaks = []
    for y in ys:
        peaks.append([tile_peaks(lines[y : y + size, x : x + size]) for x in xs])
    centres = np.stack(np.meshgrid(xs + size / 2, ys + size / 2), axis=-1)
    return Tiles(centres, peaks, size)


def _starts(length: int, size: int, step: int) -> npt.NDArray[np.int64]:
    n = max(1, int(np.ceil((length - size) / step)) + 1)
    return np.round(np.linspace(0, length - size, n)).astype(np.int64)


def tile_peaks(tile: npt.NDArray[np.float32]) -> Peaks:
    """The highest peaks of a square tile's spectrum over their surroundings (half plane)."""
    import cv2

    size = tile.shape[0]
    half = size // 2
    window, searched = _tile_window(size)
    spectrum = np.fft.rfft2((tile - tile.mean()) * window)
    power = cv2.log(spectrum.real**2 + spectrum.imag**2 + np.float32(1e-6))
    mirrored = np.concatenate([np.roll(power[::-1, 6:0:-1], 1, axis=0), power], axis=1)
    ratio = (mirrored - cv2.blur(mirrored, (13, 13)))[:, 6:]
    top = cv2.dilate(mirrored, np.ones((3, 3), np.uint8))[:, 6:]
    i, j = np.nonzero((power >= top) & (ratio > MIN_PEAK) & searched)
    order = np.argsort(-ratio[i, j], kind="stable")[:MAX_PEAKS]
    i, j = i[order], j[order]
    centre, jm = mirrored[i, j + 6], j + 6
    dy = _vertex(mirrored[i - 1, jm], centre, mirrored[i + 1, jm])
    dx = _vertex(mirrored[i, jm - 1], centre, mirrored[i, jm + 1])
    f = np.stack([(j + dx) / size, (i - half + dy) / size], axis=-1)
    value = spectrum[i, j] * np.where((i - half + j) % 2, -1.0, 1.0)
    return Peaks(f, ratio[i, j].astype(float), np.angle(value) / (2 * np.pi))


@lru_cache(maxsize=4)
def _tile_window(size: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Hann window whose rows alternate in sign, and which of the spectrum's places are searched.

    The signs move the spectrum's zero row to the middle.
    """
    half = size // 2
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    sign = np.where(np.arange(size) % 2, -1.0, 1.0)
    window = ((hann * sign)[:, None] * hann[None, :]).astype(np.float32)
    ky = np.arange(-half, size - half)[:, None]
    kx = np.arange(half + 1)[None, :]
    radius = np.hypot(kx, ky)
    searched = (radius > 3.5) & (radius < MAX_FREQUENCY * size) & ((kx > 0) | (ky > 0))
    searched[[0, -1], :] = False
    searched[:, -1] = False
    return window, searched


def _vertex(
    left: npt.NDArray[np.float32], centre: npt.NDArray[np.float32], right: npt.NDArray[np.float32]
) -> Floats:
    curvature = left - 2 * centre + right
    shift = np.where(curvature < -1e-6, 0.5 * (left - right) / np.minimum(curvature, -1e-6), 0.0)
    return np.clip(shift, -0.5, 0.5).astype(float)


def find_lattices(tiles: Tiles) -> Iterator[Lattice]:
    """The lattices that the tiles may agree on, the likeliest first.

    Any harmonic of the printed grid serves to flatten the page, so several are tried: the one
    leads that reaches most tiles with the highest peaks, a coarse one (fewer slips) before a fine.
    """
    pairs = sorted(dominant_pairs(tiles), key=lambda pair: -_promise(tiles, pair))
    for some in (pairs[:PROMISING], pairs[PROMISING:]):
        found = [lattice for pair in some if (lattice := unwrap(tiles, *pair)) is not None]
        yield from sorted(found, key=_worth, reverse=True)


def _worth(lattice: Lattice) -> float:
    return lattice.share * lattice.strength * _of_period(lattice.period_px)


def _of_period(px: float) -> float:
    """Coarse before fine: harmonics of a few px lie so close that tiles slip between them."""
    return float(px**0.3 * min(1.0, px / FINE_PX) ** 0.4)


def dominant_pairs(tiles: Tiles) -> list[tuple[Floats, Floats]]:
    """Pairs of frequency vectors (cycles/px) that many tiles share, about a right angle apart.

    The first of a pair points right (within 45 degrees of the x axis), the second down. The pairs
    differ in how much a low frequency is preferred.
    """
    import cv2

    f = np.concatenate([p.f for row in tiles.peaks for p in row])
    height = np.concatenate([p.height for row in tiles.peaks for p in row])
    if len(f) < 4:
        return []
    radius = np.hypot(f[:, 0], f[:, 1])
    low = np.log(radius.min()) - 5 * LOG_STEP
    n_r = int(np.ceil((np.log(0.5) - low) / LOG_STEP)) + 5
    votes = np.zeros((180, n_r), np.float32)
    bins_a = np.round(np.degrees(np.arctan2(f[:, 1], f[:, 0]))).astype(int) % 180
    bins_r = np.round((np.log(radius) - low) / LOG_STEP).astype(int)
    np.add.at(votes, (bins_a, bins_r), np.minimum(height, 6.0).astype(np.float32))
    wrapped = np.concatenate([votes[-10:], votes, votes[:10]])
    votes = cv2.GaussianBlur(wrapped, (0, 0), sigmaX=1.5, sigmaY=2.0)[10:-10]
    rays = np.maximum(votes.sum(axis=1, keepdims=True), 0) / votes.sum(axis=1).max()
    pairs: list[tuple[Floats, Floats]] = []
    for preference in (0.0, 0.6, 1.2):
        weighted = votes * rays * np.exp(-preference * LOG_STEP * np.arange(n_r)).astype(np.float32)
        for _ in range(3):
            best = _best_pair(weighted)
            if best is None:
                break
            first, i, second, k = best
            pair = _vector(first, low + i * LOG_STEP), _vector(second, low + k * LOG_STEP)
            if not any(_alike(pair, other) for other in pairs):
                pairs.append(pair)
            weighted[:, max(0, i - 3) : i + 4] = 0.0
    return pairs


def _alike(pair: tuple[Floats, Floats], other: tuple[Floats, Floats]) -> bool:
    off = [np.hypot(*(a - b)) / np.hypot(*a) for a, b in zip(pair, other, strict=True)]
    return max(off) < 0.1


def _promise(tiles: Tiles, pair: tuple[Floats, Floats]) -> float:
    """How well a pair would do in `find_lattices`, from the tiles one by one."""
    heights = []
    for row in tiles.peaks:
        for peaks in row:
            u, v = peaks.near(pair[0], TOLERANCE), peaks.near(pair[1], TOLERANCE)
            heights.append(min(u[1], v[1]) if u and v else 0.0)
    return float(np.mean(heights)) * _of_period(1 / np.hypot(*pair[0]))


def _vector(angle_deg: float, log_radius: float) -> Floats:
    a = np.radians(angle_deg)
    return np.exp(log_radius) * np.array([np.cos(a), np.sin(a)])


def _best_pair(votes: npt.NDArray[np.float32]) -> tuple[int, int, int, int] | None:
    """(angle, radius bin) of the two directions with the highest product of votes.

    Equal periods in x and y are likelier than unequal ones, up to 22 %.
    """
    same = round(0.22 / LOG_STEP)
    near = np.zeros_like(votes)
    for shift in range(-same, same + 1):
        unequal = np.exp(-0.5 * (shift * LOG_STEP / 0.1) ** 2)
        moved = np.roll(votes, -shift, axis=1) * np.float32(unequal)
        near = np.maximum(near, moved)
    best, pair = 0.0, None
    for first in range(-45, 45):
        seconds = np.arange(first + 75, first + 106)
        joint = votes[first % 180][None, :] * near[seconds % 180]
        row, i = np.unravel_index(int(np.argmax(joint)), joint.shape)
        if joint[row, i] > best:
            best = float(joint[row, i])
            second = int(seconds[row])
            start = max(0, int(i) - same)
            unequal = np.exp(-0.5 * ((np.arange(start, i + same + 1) - i) * LOG_STEP / 0.1) ** 2)
            beside = votes[second % 180][start : int(i) + same + 1]
            k = start + int(np.argmax(beside * unequal[: len(beside)]))
            pair = (first, int(i), second, k)
    return pair


def unwrap(tiles: Tiles, fu: Floats, fv: Floats) -> Lattice | None:
    """Lattice coordinates of the tiles' centres, from the clearest tile outwards.

    Each tile takes the peaks nearest to its neighbour's frequencies, and that number of whole
    periods which its neighbour predicts; the most certain neighbours go first.
    """
    rows, columns = len(tiles.peaks), len(tiles.peaks[0])
    seeds = []
    for r in range(rows):
        for c in range(columns):
            u = tiles.peaks[r][c].near(fu, 0.2)
            v = tiles.peaks[r][c].near(fv, 0.2)
            if u and v:
                seeds.append((min(u[1], v[1]), r, c))
    best: dict[tuple[int, int], tuple[Floats, Floats, Floats, float]] = {}
    for _, r, c in sorted(seeds, reverse=True)[:3]:
        grown = _grow(tiles, (r, c), fu, fv)
        if len(grown) > len(best):
            best = grown
        if len(best) > 0.5 * len(seeds):
            break
    if len(best) < 3:
        return None
    keys = sorted(best)
    xy = np.array([tiles.centres[k] for k in keys])
    uv = np.array([best[k][0] for k in keys])
    weight = np.array([best[k][3] for k in keys])
    period = 1.0 / np.sqrt(np.hypot(*fu) * np.hypot(*fv))
    share = len(keys) / (rows * columns)
    return Lattice(xy, uv, weight, share, float(weight.mean()), float(period), tiles.size)


def _grow(
    tiles: Tiles, seed: tuple[int, int], fu: Floats, fv: Floats
) -> dict[tuple[int, int], tuple[Floats, Floats, Floats, float]]:
    rows, columns = len(tiles.peaks), len(tiles.peaks[0])
    done: dict[tuple[int, int], tuple[Floats, Floats, Floats, float]] = {}
    u, v = tiles.peaks[seed[0]][seed[1]].near(fu, 0.2), tiles.peaks[seed[0]][seed[1]].near(fv, 0.2)
    assert u is not None
    assert v is not None
    start = (np.array([u[2], v[2]]), u[0], v[0], min(u[1], v[1]))
    queue: list[tuple[float, int, tuple[int, int], tuple[Floats, Floats, Floats, float]]] = []
    heapq.heappush(queue, (-start[3], 0, seed, start))
    count = 1
    while queue:
        _, _, key, state = heapq.heappop(queue)
        if key in done:
            continue
        done[key] = state
        for dr in (-1, 0, 1):
            for dc in (-1, 0, 1):
                other = (key[0] + dr, key[1] + dc)
                if other in done or not (0 <= other[0] < rows and 0 <= other[1] < columns):
                    continue
                step = tiles.centres[other] - tiles.centres[key]
                reached = _step(tiles.peaks[other[0]][other[1]], state, step)
                if reached is not None:
                    new, certainty = reached
                    heapq.heappush(queue, (-certainty, count, other, new))
                    count += 1
    return done


def _step(
    peaks: Peaks, state: tuple[Floats, Floats, Floats, float], step: Floats
) -> tuple[tuple[Floats, Floats, Floats, float], float] | None:
    uv, fu, fv, _ = state
    u, v = peaks.near(fu, TOLERANCE), peaks.near(fv, TOLERANCE)
    if u is None or v is None:
        return None
    predicted = uv + np.array([step @ (fu + u[0]) / 2, step @ (fv + v[0]) / 2])
    measured = np.array([u[2], v[2]])
    error = (measured - predicted + 0.5) % 1.0 - 0.5
    if np.abs(error).max() > MAX_PHASE_ERROR:
        return None
    height = min(u[1], v[1])
    certainty = height * max(1 - np.abs(error).max() / MAX_PHASE_ERROR, 0.02)
    return (predicted + error, u[0], v[0], certainty), certainty
