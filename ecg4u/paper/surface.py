"""What happens to a page before it is photographed: wear, folds, light and shadow.

Everything here works in the page's own pixels. Fields are made coarsely (one value every few mm)
and enlarged, so that a 6-megapixel page costs a fraction of a second.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ecg4u.paper.draw import DrawnPage, Pixels, Points, lay_ink

Field = npt.NDArray[np.float32]
FIELD_STEP_MM = 2.0
EDGE_MM = 40.0
"""How far the fields of a sheet go on beyond its edges."""
STRONGEST_SHADING = 0.12
"""Spread of brightness over the most crumpled sheet; judged by eye on photographs."""


@dataclass(frozen=True)
class Wear:
    """What a page has been through; all 0 is a fresh page.

    ``folds`` and ``crumples`` count creases; ``crease_mm`` is the relief's height. ``fading``
    (0..1) is how pale the ink has become in places, ``breaks`` (0..1) how much of it is missing,
    ``stains`` and ``scribbles`` count blots and pen strokes, ``dark_creases`` creases in which dirt
    has settled, ``highlights`` strokes of a highlighter.
    """

    folds: int = 0
    crumples: int = 0
    crease_mm: float = 0.0
    curl_mm: float = 0.0
    fading: float = 0.0
    breaks: float = 0.0
    stains: int = 0
    scribbles: int = 0
    dark_creases: int = 0
    highlights: int = 0


@dataclass(frozen=True)
class Light:
    """How a page is lit: ``slope`` (0..1) from side to side, ``shadows`` and ``glares`` counted,
    ``relief`` (0..1) how strongly folds show, ``colour`` the light's RGB at its brightest."""

    slope: float = 0.0
    shadows: int = 0
    shadow_depth: float = 0.4
    glares: int = 0
    relief: float = 0.5
    colour: tuple[float, float, float] = (1.0, 1.0, 1.0)


@dataclass(frozen=True, eq=False)
class Relief:
    """Height of a sheet in mm on a coarse lattice that reaches `EDGE_MM` beyond its edges."""

    height: Field
    step_mm: float = FIELD_STEP_MM

    def slopes(self) -> tuple[Field, Field]:
        """dz/dx and dz/dy."""
        dy, dx = np.gradient(self.height, self.step_mm)
        return np.asarray(dx, np.float32), np.asarray(dy, np.float32)


def smooth_noise(
    rng: np.random.Generator, shape: tuple[int, int], scale: float, *, octaves: int = 1
) -> Field:
    """Smooth noise of about unit spread; ``scale`` is the size of its hills in samples."""
    import cv2

    total = np.zeros(shape, np.float32)
    for octave in range(octaves):
        size = max(scale / 2**octave, 1.0)
        knots = int(shape[0] / size) + 4, int(shape[1] / size) + 4
        coarse = rng.standard_normal(knots).astype(np.float32)
        grown = cv2.resize(
            coarse,
            (max(shape[1], int(knots[1] * size)), max(shape[0], int(knots[0] * size))),
            interpolation=cv2.INTER_CUBIC,
        )
        total += grown[: shape[0], : shape[1]] / 2**octave
    return total


def make_relief(rng: np.random.Generator, size_mm: tuple[float, float], wear: Wear) -> Relief:
    """The height of a folded, crumpled, curled sheet (width, height in mm)."""
    width, height = size_mm
    x = np.arange(-EDGE_MM, width + EDGE_MM, FIELD_STEP_MM, dtype=np.float32)
    y = np.arange(-EDGE_MM, height + EDGE_MM, FIELD_STEP_MM, dtype=np.float32)
    grid_x, grid_y = np.meshgrid(x, y)
    z = np.zeros(grid_x.shape, np.float32)
    for _ in range(wear.folds):
        z += _fold(rng, grid_x / width, grid_y / height) * wear.crease_mm * 4
    for _ in range(wear.crumples):
        z += _crumple(rng, grid_x, grid_y, size_mm) * wear.crease_mm
    if wear.curl_mm:
        turn = rng.uniform(0, np.pi)
        along = (grid_x / width - 0.5) * np.cos(turn) + (grid_y / height - 0.5) * np.sin(turn)
        z += wear.curl_mm * (2 * along + rng.uniform(-0.5, 0.5)) ** 2
    return Relief(z.astype(np.float32))


def _fold(rng: np.random.Generator, u: Field, v: Field) -> Field:
    """A sharp crease from edge to edge: two planes that meet, mostly along an axis."""
    turn = rng.choice((0.0, np.pi / 2)) + rng.normal(0, 0.03)
    if rng.random() < 0.25:
        turn = rng.uniform(0, np.pi)
    middle = rng.choice((1 / 3, 1 / 2, 2 / 3)) + rng.normal(0, 0.05)
    far = (u - middle) * np.cos(turn) + (v - middle) * np.sin(turn)
    sharp = 0.004
    return np.asarray(np.sqrt(far**2 + sharp**2) * rng.choice((-1.0, 1.0)), np.float32)


def _crumple(rng: np.random.Generator, x: Field, y: Field, size_mm: tuple[float, float]) -> Field:
    """A short crease that runs out: a ridge under a soft bump."""
    centre = rng.uniform(0, size_mm[0]), rng.uniform(0, size_mm[1])
    turn, reach = rng.uniform(0, np.pi), rng.uniform(8, 80)
    along = (x - centre[0]) * np.cos(turn) + (y - centre[1]) * np.sin(turn)
    across = -(x - centre[0]) * np.sin(turn) + (y - centre[1]) * np.cos(turn)
    across = across + rng.normal(0, 0.003) * along**2
    bump = np.exp(-((along / reach) ** 2) - (across / (reach * rng.uniform(0.3, 0.9))) ** 2)
    ridge = 1 - np.sqrt(across**2 + 0.6**2) / reach
    return np.asarray(
        bump * ridge * rng.choice((-1.0, 1.0)) * rng.uniform(0.3, 1.0) * reach / 45, np.float32
    )


def wear_page(drawn: DrawnPage, wear: Wear, rng: np.random.Generator) -> tuple[Pixels, Pixels]:
    """The page with its ink faded and broken, stains and scribbles added.

    Returns
    -------
    image : (H, W, 3) uint8
    marks : (H, W) uint8
        Mask of what a hand wrote on the page.
    """
    image = _worn_ink(drawn, wear, rng) if wear.fading or wear.breaks else drawn.image.copy()
    for _ in range(wear.highlights):
        _highlight(image, rng, drawn.px_per_mm)
    for _ in range(wear.dark_creases):
        _dirty_crease(image, rng, drawn.px_per_mm)
    marks = np.zeros(drawn.trace.shape, np.uint8)
    for _ in range(wear.scribbles):
        stroke = _scribble(rng, drawn)
        pens = ((25, 35, 120), (30, 30, 30), (170, 30, 35), (60, 60, 70))
        lay_ink(image, stroke, pens[int(rng.integers(len(pens)))])
        np.maximum(marks, stroke, out=marks)
    for _ in range(wear.stains):
        _stain(image, rng, drawn.px_per_mm)
    return image, marks


def _worn_ink(drawn: DrawnPage, wear: Wear, rng: np.random.Generator) -> Pixels:
    import cv2

    shape = drawn.trace.shape
    step = max(2, round(drawn.px_per_mm / 4))
    coarse = int(shape[0] // step + 1), int(shape[1] // step + 1)
    hold = np.ones(coarse, np.float32)
    if wear.fading:
        broad = smooth_noise(rng, coarse, 60 * 4.0)
        hold -= wear.fading * np.clip(0.55 + 0.4 * broad, 0, 1)
    if wear.breaks:
        grain = smooth_noise(rng, coarse, 2.5) + 0.7 * smooth_noise(rng, coarse, 40)
        hold *= np.clip(0.5 - 3 * (grain - 2.2 + 1.6 * wear.breaks), 0.05, 1)
    full = cv2.resize(np.clip(hold, 0.05, 1), (shape[1], shape[0]))
    image = drawn.background.copy()
    for mask, colour in drawn.inks:
        lay_ink(image, np.round(mask * full).astype(np.uint8), colour)
    return image


def _scribble(rng: np.random.Generator, drawn: DrawnPage) -> Pixels:
    """A loopy pen stroke such as a word, a circle or an arrow."""
    import cv2

    scale = drawn.px_per_mm
    height, width = drawn.trace.shape
    mask = np.zeros((height, width), np.uint8)
    start = rng.uniform((0, 0), (width, height))
    n = int(rng.integers(12, 60))
    t = np.linspace(0, n / 4, n * 12)
    kind = rng.random()
    size = rng.uniform(1.0, 3.5) * scale
    if kind < 0.6:
        wobble = np.repeat(rng.uniform(0.4, 1.2, n), 12)
        x = t * size * 0.8 + size * 0.35 * np.cos(6 * t) * wobble
        y = size * np.sin(6 * t + rng.uniform(0, 1)) * wobble
    elif kind < 0.85:
        reach = rng.uniform(4, 25) * scale
        x = reach * np.cos(t / t[-1] * 6.8) * (1 + 0.05 * np.sin(3 * t))
        y = reach * rng.uniform(0.4, 1) * np.sin(t / t[-1] * 6.8)
    else:
        reach = rng.uniform(5, 60) * scale
        turn = rng.uniform(0, 2 * np.pi)
        x, y = t / t[-1] * reach * np.cos(turn), t / t[-1] * reach * np.sin(turn)
        y = y + 0.02 * reach * np.sin(t)
    turn = rng.normal(0, 0.2)
    points = np.column_stack(
        [x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)]
    )
    pen = max(1, round(rng.uniform(0.2, 0.6) * scale))
    fixed = np.round((points + start) * 16).astype(np.int32).reshape(-1, 1, 2)
    cv2.polylines(mask, [fixed], False, 255, pen, cv2.LINE_AA, 4)
    return mask


def _stain(image: Pixels, rng: np.random.Generator, px_per_mm: float) -> None:
    """A blot with a darker rim, in place."""
    import cv2

    height, width = image.shape[:2]
    radius = int(rng.uniform(3, 35) * px_per_mm)
    cx, cy = int(rng.integers(width)), int(rng.integers(height))
    y0, y1 = max(0, cy - radius), min(height, cy + radius)
    x0, x1 = max(0, cx - radius), min(width, cx + radius)
    if y1 - y0 < 8 or x1 - x0 < 8:
        return
    small = 96
    yy, xx = np.mgrid[-1 : 1 : small * 1j, -1 : 1 : small * 1j]
    far = np.hypot(xx, yy) + 0.12 * smooth_noise(rng, (small, small), 20, octaves=2)
    body = np.clip((0.85 - far) / 0.06, 0, 1)
    rim = np.exp(-(((far - 0.8) / 0.05) ** 2))
    share = cv2.resize((0.5 * body + 0.5 * rim).astype(np.float32), (2 * radius, 2 * radius))
    share = share[y0 - cy + radius : y1 - cy + radius, x0 - cx + radius : x1 - cx + radius, None]
    tints = ((0.75, 0.6, 0.4), (0.85, 0.8, 0.6), (0.75, 0.8, 0.95), (0.9, 0.55, 0.5))
    tint = np.array(tints[int(rng.integers(len(tints)))], np.float32)
    depth = rng.uniform(0.2, 0.8)
    part = image[y0:y1, x0:x1].astype(np.float32)
    image[y0:y1, x0:x1] = (part * (1 - depth * share * (1 - tint))).astype(np.uint8)


def _highlight(image: Pixels, rng: np.random.Generator, px_per_mm: float) -> None:
    """A broad stroke of a highlighter, in place."""
    height, width = image.shape[:2]
    size = rng.uniform((8, 2.5), (90, 6)) * px_per_mm
    x, y = rng.uniform((-0.1 * width, 0), (width, height))
    turn = rng.normal(0, 0.05)
    ends = np.array([(x, y), (x + size[0], y + size[0] * np.tan(turn))])
    tints = ((255, 250, 90), (160, 255, 140), (255, 170, 210), (255, 205, 110))
    taken = 1 - np.array(tints[int(rng.integers(len(tints)))]) / 255
    _darken(image, ends, max(2, round(size[1])), taken.astype(np.float32), soft=0.0)


def _dirty_crease(image: Pixels, rng: np.random.Generator, px_per_mm: float) -> None:
    """A dark line that runs straight, or nearly so, over the sheet, in place."""
    height, width = image.shape[:2]
    turn = rng.choice((0.0, np.pi / 2)) + rng.normal(0, 0.02)
    if rng.random() < 0.4:
        turn = rng.uniform(0, np.pi)
    reach = rng.uniform(15, 320) * px_per_mm
    along = np.linspace(-reach / 2, reach / 2, 24)
    across = np.cumsum(rng.normal(0, 0.15, 24)) * px_per_mm * rng.random()
    middle = rng.uniform((0, 0), (width, height))
    points = np.column_stack(
        [along * np.cos(turn) - across * np.sin(turn), along * np.sin(turn) + across * np.cos(turn)]
    )
    wide = max(1, round(rng.uniform(0.1, 0.5) * px_per_mm))
    depth = np.full(3, rng.uniform(0.2, 0.8), np.float32)
    _darken(image, points + middle, wide, depth, soft=float(rng.uniform(0, 0.2) * px_per_mm))


def _darken(image: Pixels, points: Points, wide: int, depth: Field, soft: float) -> None:
    """Take a share of the light, ``depth`` (3,) for R, G, B, from a stroke, in place."""
    import cv2

    low = np.maximum(0, np.floor(points.min(axis=0)).astype(int) - 3 * wide)
    high = np.minimum(image.shape[1::-1], np.ceil(points.max(axis=0)).astype(int) + 3 * wide)
    if (high - low < 2).any():
        return
    part = image[low[1] : high[1], low[0] : high[0]]
    mask = np.zeros(part.shape[:2], np.uint8)
    fixed = np.round((points - low) * 16).astype(np.int32).reshape(-1, 1, 2)
    cv2.polylines(mask, [fixed], False, 255, wide, cv2.LINE_AA, 4)
    if soft > 0.3:
        mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), soft), np.uint8)
    y, x = np.nonzero(mask)
    share = mask[y, x, None].astype(np.float32) / 255
    part[y, x] = (part[y, x] * (1 - share * depth)).astype(np.uint8)


def light_field(
    rng: np.random.Generator, size_mm: tuple[float, float], relief: Relief, light: Light
) -> Field:
    """RGB factor by which light multiplies the sheet, on the relief's lattice, (h, w, 3)."""
    shape = relief.height.shape
    yy, xx = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j].astype(np.float32)
    turn = rng.uniform(0, 2 * np.pi)
    bright = 1 - light.slope * (0.5 + 0.35 * (xx * np.cos(turn) + yy * np.sin(turn)))
    bright = bright - light.slope * 0.15 * smooth_noise(rng, (shape[0], shape[1]), 60)
    dx, dy = relief.slopes()
    tilt = dx * np.cos(turn) + dy * np.sin(turn)
    strength = min(light.relief, STRONGEST_SHADING / (float(tilt.std()) + 1e-6))
    bright = bright * np.clip(1 - strength * tilt, 0.6, 1.2)
    field = bright[..., None] * np.array(light.colour, np.float32)
    for _ in range(light.shadows):
        shade = _shadow(rng, xx, yy)[..., None] * light.shadow_depth * rng.uniform(0.5, 1.0)
        cool = np.array(rng.uniform((0.9, 0.9, 0.6), (1.1, 1.0, 1.0)), np.float32)
        field = field * (1 - np.clip(shade * cool, 0, 0.85))
    for _ in range(light.glares):
        cx, cy, spread = rng.uniform(-0.9, 0.9), rng.uniform(-0.9, 0.9), rng.uniform(0.06, 0.4)
        spot = np.exp(
            -(((xx - cx) / spread) ** 2) - ((yy - cy) / (spread * rng.uniform(0.4, 2))) ** 2
        )
        field = field + rng.uniform(0.2, 0.9) * spot[..., None]
    return np.clip(field, 0.05, 2.0).astype(np.float32)


def _shadow(rng: np.random.Generator, x: Field, y: Field) -> Field:
    """1 inside a shadow with a soft or hard straight edge, or under a soft blob; else 0."""
    soft = rng.choice((0.01, 0.04, 0.2))
    turn = rng.uniform(0, 2 * np.pi)
    along = x * np.cos(turn) + y * np.sin(turn)
    edge = 1 / (1 + np.exp(np.clip(-(along - rng.uniform(-0.6, 0.8)) / soft, -30, 30)))
    if rng.random() < 0.4:
        across = -x * np.sin(turn) + y * np.cos(turn)
        edge = edge / (1 + np.exp(np.clip((across - rng.uniform(-0.5, 0.8)) / soft, -30, 30)))
    return np.asarray(edge, np.float32)


def sample_field(field: Field, xy_mm: Points, step_mm: float = FIELD_STEP_MM) -> Field:
    """Values of a sheet's field at (n, 2) page mm; the field goes on flat beyond its lattice."""
    import cv2

    at = ((xy_mm + EDGE_MM) / step_mm).astype(np.float32)
    limit = 32000
    out = [
        cv2.remap(
            field,
            np.ascontiguousarray(at[first : first + limit, :1]),
            np.ascontiguousarray(at[first : first + limit, 1:]),
            cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        )
        for first in range(0, len(at), limit)
    ]
    return np.asarray(np.concatenate(out)[:, 0], np.float32)


def lit(image: Pixels, field: Field, px_per_mm: float) -> Pixels:
    """The page's image under a light field."""
    import cv2

    height, width = image.shape[:2]
    matrix = np.array(
        [
            [1 / (px_per_mm * FIELD_STEP_MM), 0, EDGE_MM / FIELD_STEP_MM],
            [0, 1 / (px_per_mm * FIELD_STEP_MM), EDGE_MM / FIELD_STEP_MM],
        ]
    )
    grown = cv2.warpAffine(
        field,
        matrix,
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(cv2.multiply(image, grown, dtype=cv2.CV_8U), np.uint8)
