"""The page brought upright, flat and to 10 px/mm by locking onto its printed grid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ecg4u.digitize.page.lattice import FINE_PX, Lattice, find_lattices, find_tiles
from ecg4u.digitize.page.rectified import (
    Grid,
    RectifiedPage,
    ScaleRival,
)
from ecg4u.digitize.page.refine import Refined, refine
from ecg4u.digitize.page.sheet import cropped, largest_part, paper_mask, warp_image
from ecg4u.digitize.page.warp import (
    Spline,
    apply_homography,
    densify,
    fit_homography,
    fit_spline,
)
from ecg4u.errors import NotAnECGError, PoorQualityError
from ecg4u.io import Page

Floats = npt.NDArray[np.float64]
Image = npt.NDArray[np.float32]
Power = tuple[Floats, Floats]
Mask = npt.NDArray[np.bool_]

WORK_LONG_SIDE = 2400
MIN_STRENGTH = 2.9
"""Mean height of the lattice's peaks. Of 160 pages drawn at random 17 showed none that is the
grid's: they reach up to 2.6, the others 3.5 and more; a page of text 2.3."""
MIN_SHARE = 0.06
READINGS, WORTH = 3, -3.0
"""So many readings of a grid, and none of lower log odds, are tried until one is seen."""
MATCH = 0.6
"""Correlation with the grid's profile from which a spot counts as grid."""
FITS_MM = 0.045
"""Residual of the lines on the mesh from which a lattice is doubted. Of 73 pages drawn at random
four had locked onto harmonics of the lines that are none of the grid's: .07 to .15 mm; of the
others all but three had less than .039."""
SAME_SCALE = 0.03
"""How far the scales of two lattices that agree may differ; by eye."""
MIN_GRID_MM2 = 2500.0
PAGE_MM = (120.0, 330.0)
"""Long side of what a 12-lead ECG's grid usually covers; less likely outside."""
SMALLER, LARGER = 0.3, 0.18
"""How fast that gets less likely (natural log): pages are cropped, but paper is not half a metre
wide."""
MAX_PAGE_MM, MAX_PAGE_MM2 = 700.0, 150_000.0
"""Length and area of the largest sheet that is read: 10 s at 50 mm/s, with pulses and gaps between
columns, are up to 620 mm long; A3 has 124,740 mm², twelve rows of 10 s at 50 mm/s some 100,000; at
10 px/mm it takes 15 megapixels."""
MARGIN_MM = 40.0
"""How far beyond the grid that was found the page is drawn, for headers and footers."""
GOES_ON_MM = 20
"""A page on whose border, as far within the picture, so much grid stands goes on; by eye."""
MIN_COMB = 8
"""Fewest periods of the coarsest comb across a page; rows and beats repeat more seldom."""
FIVEFOLD = 0.7
"""Rise (log power) of every fifth harmonic from which 1 mm lines are taken as seen."""
NOISE, NOISE_USUAL = 2.5, {5: 1.8, 10: 2.1}
"""Log power that a comb of so many periods must exceed to be seen; less for those of a usual grid.
Of 80 pages drawn at random three lattices of 5 mm show 1.2 to 1.6 for a comb of 25 mm that is not
there; of 48 combs of five periods that are there 45 show 1.9 and more."""
USUAL = 0.5
"""Log power in favour of these where more combs than one are seen."""
OTHER_COMB, COMB_WEIGHT = -3.0, 2.0
"""Log odds of a comb that the spectrum does not show best, and of each log power it lacks."""
SAME_SIZE = 0.01
HINT = (
    "Give a sharp picture of the whole ECG page with the grid visible, or the resolution "
    "of the picture (dpi) if the paper has no grid."
)
HOPELESS = -12.0
"""Log odds below which a reading of the grid is not kept."""


@dataclass(frozen=True, eq=False)
class Flat:
    """Map from lattice coordinates (periods or mm) to work px: a homography plus a spline."""

    homography: Floats
    spline: Spline
    box: tuple[float, float, float, float]

    @property
    def plane(self) -> Flat:
        """The homography alone."""
        none = np.zeros_like(self.spline.coefficients)
        return replace(self, spline=replace(self.spline, coefficients=none))

    def at_grid(self, x: Floats, y: Floats) -> Floats:
        """Work px (len(y), len(x), 2)."""
        points = np.stack(np.meshgrid(x, y), axis=-1)
        return apply_homography(self.homography, points) + self.spline.at_grid(x, y)


@dataclass(frozen=True)
class Scale:
    """The lattice in millimetres.

    ``fivefold`` says how clearly every fifth line differs; ``log_odds`` how likely this reading is
    against the likeliest one, by the grid and the page's size alone.
    """

    mm_per_unit: float
    spacing_mm: float
    fivefold: float
    log_odds: float


@dataclass(frozen=True, eq=False)
class _Seen:
    """A lattice, its map, what its period may be in millimetres, and the mesh of the likeliest."""

    lattice: Lattice
    flat: Flat
    scales: tuple[Scale, ...]
    refined: Refined

    @property
    def px_per_mm(self) -> float:
        """Work px a millimetre, at the likeliest scale."""
        return self.lattice.period_px / self.scales[0].mm_per_unit


def from_grid(page: Page, reading: int = 0) -> RectifiedPage | None:
    """The page flattened by its grid, whose lines are read as the ``reading``-th likeliest scale.

    None where no grid is found.

    Raises
    ------
    NotAnECGError
        What was found is no grid of an ECG.
    PoorQualityError
        There is a grid, but too little of it is visible.
    """
    work, factor = _shrink(page.image)
    lines = line_response(work)
    seen = _best_seen(lines)
    if seen is None:
        return None
    scales = seen.scales
    others = [k for k in range(READINGS) if k != reading and k < len(scales)]
    for k in (reading, *(k for k in others if scales[k].log_odds > WORTH)):
        refined = seen.refined if k == 0 else _refined(lines, seen.flat, scales[k])
        rectified = _render(page, lines, factor, seen, refined, scales[k])
        if rectified is not None:
            return replace(rectified, rivals=_rivals(scales, k))
    raise PoorQualityError("Too little of the ECG grid is visible.", stage="grid", hint=HINT)


def _best_seen(lines: Image) -> _Seen | None:
    """The lattice whose mesh fits the lines: the likeliest, or where that does not or is so fine
    that it may have slipped, one at the scale on which the best fitting lattices agree.

    Raises
    ------
    NotAnECGError
        The likeliest is no grid of an ECG.
    """
    doubtful: list[_Seen] = []
    for lattice in _lattices(lines):
        if lattice.strength < MIN_STRENGTH or lattice.share < MIN_SHARE:
            if not doubtful:
                return None
            continue
        try:
            flat = flatten(lattice)
            scales = find_scales(lines, lattice, flat)
            refined = _refined(lines, flat, scales[0])
        except (NotAnECGError, np.linalg.LinAlgError):
            if not doubtful:
                raise
            continue
        seen = _Seen(lattice, flat, scales, refined)
        if not doubtful and refined.residual_mm < FITS_MM and lattice.period_px > FINE_PX:
            return seen
        doubtful.append(seen)
    if not doubtful:
        return None
    groups = [[o for o in doubtful if _same_scale(o, one)] for one in doubtful]
    agreed = max(groups, key=lambda group: sum(map(_fitting, group)))
    likeliest = doubtful[0]
    if likeliest in agreed and likeliest.refined.residual_mm < FITS_MM:
        return likeliest
    return max(agreed, key=lambda seen: seen.lattice.period_px)


def _same_scale(one: _Seen, other: _Seen) -> bool:
    return abs(one.px_per_mm / other.px_per_mm - 1) < SAME_SCALE


def _fitting(seen: _Seen) -> float:
    """How much of the page its mesh fits, less where its page would be of no likely size."""
    x0, y0, x1, y1 = seen.flat.box
    size = _size_prior(max(x1 - x0, y1 - y0) * seen.scales[0].mm_per_unit)
    return float((seen.refined.support > MATCH).mean() * np.exp(size))


def _refined(lines: Image, flat: Flat, scale: Scale) -> Refined:
    """The mesh of a reading, as far as the lattice and its margin reach."""
    return _refined_within(lines, flat, scale, MARGIN_MM)


def _refined_within(lines: Image, flat: Flat, scale: Scale, margin_mm: float) -> Refined:
    nodes, plane = (_first_nodes(f, scale, lines.shape, margin_mm) for f in (flat, flat.plane))
    return refine(lines, nodes, plane)


def _rivals(scales: Sequence[Scale], reading: int) -> tuple[ScaleRival, ...]:
    """What else the grid may be, seen from the reading that was taken."""
    taken = scales[reading]
    return tuple(
        ScaleRival(k, scale.mm_per_unit / taken.mm_per_unit, scale.log_odds - taken.log_odds)
        for k, scale in enumerate(scales)
        if k != reading
    )


def _shrink(image: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.uint8], float]:
    import cv2

    factor = min(1.0, WORK_LONG_SIDE / max(image.shape[:2]))
    if factor == 1.0:
        return image, 1.0
    size = (round(image.shape[1] * factor), round(image.shape[0] * factor))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA), factor


def line_response(image: npt.NDArray[np.uint8]) -> Image:
    """Darkness against the surroundings, (H, W) float32, in local standard deviations.

    Clipped at 2, so that a strong trace counts no more than a grid line.
    """
    import cv2

    red, green, blue = cv2.split(image)
    total = cv2.add(cv2.add(red, green, dtype=cv2.CV_16U), blue, dtype=cv2.CV_16U)
    grey = total.astype(np.float32) * np.float32(1 / 3)
    coarse = cv2.resize(grey, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    around = cv2.resize(cv2.GaussianBlur(coarse, (0, 0), 3), grey.shape[::-1])
    dark = around - grey
    power = cv2.blur(np.minimum(dark * dark, 900.0), (61, 61))
    return np.clip(dark / (np.sqrt(np.maximum(power, 0.0)) + 1.0), -2.0, 2.0)


def _lattices(lines: Image) -> Iterator[Lattice]:
    short = min(lines.shape)
    if short >= 64:
        size = 256 if short >= 600 else 128 if short >= 128 else 64
        yield from find_lattices(find_tiles(lines, size, size // 2))


def flatten(lattice: Lattice) -> Flat:
    """The smooth map through a lattice's points."""
    homography, error = fit_homography(lattice.uv, lattice.xy, lattice.weight)
    near = error < np.maximum(6 * np.median(error), 0.7 * lattice.period_px)
    uv, xy = lattice.uv[near], lattice.xy[near]
    reach = 0.5 * lattice.tile_px / lattice.period_px
    low, high = uv.min(axis=0) - reach, uv.max(axis=0) + reach
    box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
    spline = fit_spline(
        uv,
        xy - apply_homography(homography, uv),
        lattice.weight[near],
        box=box,
        spacing=reach,
        stiffness=0.02,
        robust=0.15 * lattice.period_px,
    )
    return Flat(homography, spline, box)


def find_scales(lines: Image, lattice: Lattice, flat: Flat) -> tuple[Scale, ...]:
    """What one period may be in millimetres, the likeliest first; no two of one size."""
    per_unit = int(np.clip(np.ceil(lattice.period_px * 1.1), 6, 60))
    x0, y0, x1, y1 = flat.box
    x = np.arange(np.floor(x0) * per_unit, x1 * per_unit) / per_unit
    y = np.arange(np.floor(y0) * per_unit, y1 * per_unit) / per_unit
    flat_lines = sample(lines, flat, x, y)
    long_side = max(x1 - x0, y1 - y0)
    powers = (band_power(flat_lines, per_unit), band_power(flat_lines.T, per_unit))
    found = []
    for base, log_odds in _base_periods(powers, long_side).items():
        fivefold = float(np.mean([_fivefold(power, base) for power in powers]))
        found += [
            replace(scale, log_odds=scale.log_odds + log_odds)
            for scale in base_scales(base, fivefold, long_side)
        ]
    box = np.array(flat.box).reshape(2, 2)
    # The outer half of the outermost tiles may lie beyond the page, on the desk.
    desk = 0.5 * lattice.tile_px / lattice.period_px
    fits = [s for s in found if _margin_left(box * s.mm_per_unit).min() > -desk * s.mm_per_unit]
    if not fits:
        raise NotAnECGError("No ECG grid was found on this page.", stage="grid", hint=HINT)
    return _distinct(fits)


def _margin_left(box_mm: Floats) -> Floats:
    """Millimetres (x, y) around a box (2, 2) until the sheet is the largest that is read;
    negative where it is larger itself."""
    size = box_mm[1] - box_mm[0]
    by_area = (float(np.hypot(np.ptp(size), 2 * np.sqrt(MAX_PAGE_MM2))) - size.sum()) / 4
    return np.minimum((MAX_PAGE_MM - size) / 2, by_area)


def _distinct(scales: Sequence[Scale]) -> tuple[Scale, ...]:
    """The likeliest of each size, and how far each lies behind the best of all."""
    order = sorted(scales, key=lambda scale: -scale.log_odds)
    kept: list[Scale] = []
    for scale in order:
        sizes = [abs(scale.mm_per_unit / other.mm_per_unit - 1) for other in kept]
        if min(sizes, default=1.0) > SAME_SIZE and scale.log_odds > order[0].log_odds + HOPELESS:
            kept.append(scale)
    return tuple(replace(scale, log_odds=scale.log_odds - kept[0].log_odds) for scale in kept)


def sample(lines: Image, flat: Flat, x: Floats, y: Floats) -> Image:
    """A work image seen on a rectangular grid of lattice coordinates; 0 outside."""
    import cv2

    step = max(1, round(8 * len(x) / (flat.box[2] - flat.box[0]) / 8))
    coarse = flat.at_grid(_every(x, step), _every(y, step))
    dense = densify(coarse, step)[: len(y), : len(x)]
    return cv2.remap(lines, dense, None, cv2.INTER_LINEAR, borderValue=0.0)


def _every(values: Floats, step: int) -> Floats:
    n = -(-(len(values) - 1) // step) + 1
    return values[0] + np.arange(n) * (values[1] - values[0]) * step


def band_power(flat_lines: Image, per_unit: int) -> Power:
    """Frequencies (cycles/unit) and mean log power along x over bands of rows."""
    height, width = flat_lines.shape
    band = max(4 * per_unit, 24)
    n = max(1, height // band)
    rows = flat_lines[: n * band].reshape(n, -1, width).mean(axis=1)
    inside = (np.abs(rows) > 1e-6).mean(axis=1)
    rows = rows[inside > 0.5 * inside.max()]
    window = np.hanning(width)
    padded = 4 * width
    spectrum = np.abs(np.fft.rfft((rows - rows.mean(axis=1, keepdims=True)) * window, padded)) ** 2
    power = spectrum.mean(axis=0) + 1e-9
    frequencies = np.asarray(np.fft.rfftfreq(padded, 1 / per_unit), dtype=np.float64)
    return frequencies, np.asarray(power, dtype=np.float64)


def base_scales(base: int, fivefold: float, long_side: float) -> list[Scale]:
    """What one period may be if ``base`` of them make one of the coarsest comb.

    From how clearly every fifth line differs, and from the page's size.
    """
    seen = fivefold > FIVEFOLD
    readings = (
        (5.0, 1.0, 2.0 if seen else -2.0),
        (5.0, 5.0, -1.0 if seen else 0.0),
        (1.0, 1.0, -3.0 if seen else -1.0),
        (25.0, 5.0, -1.0 if seen else -4.0),
    )
    return [
        Scale(mm / base, spacing, fivefold, evidence + _size_prior(long_side * mm / base))
        for mm, spacing, evidence in readings
    ]


def _size_prior(long_mm: float) -> float:
    low, high = PAGE_MM
    beyond = max(np.log(low / long_mm) / SMALLER, np.log(long_mm / high) / LARGER, 0.0)
    return -0.5 * float(beyond) ** 2


def _peak(power: Power, f: float) -> float:
    """Log power at a frequency over the median around it; 0 beyond the spectrum."""
    frequency, value = power
    step = frequency[1]
    if f < 6 * step or f > 0.92 * frequency[-1]:
        return 0.0
    i = round(f / step)
    near = value[max(0, i - 6) : i + 7].max()
    around = value[max(0, i - 60) : i + 61]
    return float(np.log(near / np.median(around)))


def _base_periods(powers: tuple[Power, Power], long_side: float) -> dict[int, float]:
    """How many periods of the lattice may make one of the coarsest comb, and the log odds of each.

    The coarsest that is nearly as clear as the clearest is the likeliest.
    """
    scores = {1: 0.0}
    for m in range(2, 11):
        if long_side / m < MIN_COMB:
            continue
        heights = [[_peak(power, j / m) for j in range(1, m)] for power in powers]
        clear = [float(np.median(np.minimum(h, 5.0))) for h in heights]
        # Beats repeat along x too: what is seen in one direction alone is no grid.
        least = NOISE_USUAL.get(m, NOISE)
        scores[m] = min(float(np.mean(clear)), min(clear) + 0.5) - least
        if m in NOISE_USUAL and scores[m] > 0:
            scores[m] += USUAL
    enough = 0.6 * max(scores.values())
    likeliest = max(m for m, score in scores.items() if score >= enough)
    return {
        m: 0.0 if m == likeliest else OTHER_COMB - COMB_WEIGHT * max(enough - score, 0.0)
        for m, score in scores.items()
    }


def _fivefold(power: Power, base: int) -> float:
    """How far every fifth harmonic of the base comb stands above its neighbours (log power)."""
    rises = []
    for n in (5, 10):
        own = _peak(power, n / base)
        beside = [_peak(power, (n + d) / base) for d in (-1, 1)]
        if own > 0.5:
            rises.append(own - float(np.mean(beside)))
    return max(rises, default=0.0)


def _render(
    page: Page, lines: Image, factor: float, seen: _Seen, refined: Refined, scale: Scale
) -> RectifiedPage | None:
    """The page at a scale; None where too little of such a grid is visible."""
    gridded = _gridded(refined)
    if _goes_on(refined.nodes, gridded, lines.shape):
        refined = _refined_within(lines, seen.flat, scale, MAX_PAGE_MM)
        gridded = _gridded(refined)
    if gridded.sum() < MIN_GRID_MM2:
        return None
    nodes = refined.nodes / factor + (0.5 / factor - 0.5)
    paper = paper_mask(page.image, nodes, gridded)
    nodes, paper = cropped(nodes, paper)
    image, valid = warp_image(page.image, nodes, paper)
    match = float(np.median(refined.support[refined.support > MATCH]))
    dx = np.median(np.hypot(*np.diff(nodes, axis=1).reshape(-1, 2).T))
    dy = np.median(np.hypot(*np.diff(nodes, axis=0).reshape(-1, 2).T))
    middle = nodes[nodes.shape[0] // 2]
    direction = middle[-1] - middle[0]
    certain = np.clip((seen.lattice.strength - 2.0) / 2.0, 0, 1)
    grid = Grid(
        spacing_mm=scale.spacing_mm,
        scale_from="grid",
        confidence=float(certain * match),
        residual_mm=refined.residual_mm,
        source_px_per_mm=(float(dx), float(dy)),
        turned_deg=float(np.degrees(np.arctan2(direction[1], direction[0]))),
        spacing_inferred=scale.fivefold < FIVEFOLD,
    )
    return RectifiedPage(image, valid, nodes, grid)


def _goes_on(nodes: Floats, gridded: Mask, shape: tuple[int, ...]) -> bool:
    """Whether grid stands on the border of the drawn page and yet well within the picture: of a
    page with pale or broken lines the lattice may cover a part."""
    h, w = shape
    edge = GOES_ON_MM * float(np.median(np.hypot(*np.diff(nodes, axis=1).reshape(-1, 2).T)))
    x, y = nodes[..., 0], nodes[..., 1]
    within = gridded & (x > edge) & (y > edge) & (x < w - edge) & (y < h - edge)
    return max(int(side.sum()) for side in (*within[[0, -1]], *within.T[[0, -1]])) > GOES_ON_MM


def _first_nodes(flat: Flat, scale: Scale, shape: tuple[int, ...], margin_mm: float) -> Floats:
    """Nodes 1 mm apart in work px over the lattice and a margin, no further than the image."""
    mm = scale.mm_per_unit
    h, w = shape
    corners = np.array([[0, 0], [w, 0], [w, h], [0, h]], np.float64)
    back = np.asarray(np.linalg.inv(flat.homography), dtype=np.float64)
    corners = apply_homography(back, corners) * mm
    box = np.array(flat.box).reshape(2, 2) * mm
    for margin in (
        np.minimum(margin_mm, (MAX_PAGE_MM - np.diff(box, axis=0)[0]) / 2),
        _margin_left(box),
    ):
        low = np.maximum(corners.min(axis=0), box[0] - margin)
        high = np.minimum(corners.max(axis=0), box[1] + margin)
        if np.prod(high - low) <= MAX_PAGE_MM2:
            break
    if (high - low).min() < 10:
        raise NotAnECGError("No ECG grid was found on this page.", stage="grid", hint=HINT)
    x_mm = np.arange(np.floor(low[0]), np.ceil(high[0]) + 1)
    y_mm = np.arange(np.floor(low[1]), np.ceil(high[1]) + 1)
    return flat.at_grid(x_mm / mm, y_mm / mm)


def _gridded(refined: Refined) -> Mask:
    """Where the grid was found, per node: the largest connected patch, its holes filled."""
    import cv2

    rows, columns = refined.nodes.shape[:2]
    spots = (refined.support > MATCH).astype(np.uint8)
    spots = cv2.morphologyEx(spots, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    spots = cv2.morphologyEx(spots, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    fine = np.kron(spots, np.ones((5, 5), np.uint8))
    fine = np.pad(fine, ((0, 5), (0, 5)), mode="edge")[2:, 2:]
    mask = np.zeros((rows, columns), np.uint8)
    fine = fine[:rows, :columns]
    mask[: fine.shape[0], : fine.shape[1]] = fine
    return largest_part(mask, mask)
