"""The paper and camera model: a drawn page becomes a photograph or a scan, its truth with it.

The sheet is a height field (`surface.Relief`) seen by a pinhole camera. The way from page mm to
photo px is a formula; the way back is solved for on a lattice of every few pixels. Image, masks
and curves all take the same way, so that the truth stays exact.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from ecg4u.paper.draw import DrawnPage, DrawnSegment, Labelled, Pixels, Points
from ecg4u.paper.sensor import Sensor, random_sensor, sense
from ecg4u.paper.surface import (
    Light,
    Relief,
    Wear,
    light_field,
    lit,
    make_relief,
    sample_field,
    smooth_noise,
    wear_page,
)

LATTICE_PX = 8
SOLVER_STEPS = 6
Desk = Literal["wood", "plain", "cloth", "dark"]


@dataclass(frozen=True)
class Camera:
    """Where the camera stands and what it sees.

    ``px_per_mm`` is the photo's scale at the page's middle, ``turn_deg`` the page's turn in the
    picture, ``tilt_deg`` how far the view leans to the right and down, ``distance_mm`` the
    camera's. ``border`` is the desk around the page as a share of the picture, negative where the
    picture cuts into the page. ``squeeze`` is the picture's x scale over its y scale.
    """

    px_per_mm: float = 8.0
    turn_deg: float = 0.0
    tilt_deg: tuple[float, float] = (0.0, 0.0)
    distance_mm: float = 500.0
    border: float = 0.0
    squeeze: float = 1.0
    desk: Desk = "plain"
    vignette: float = 0.0
    wear: Wear = field(default_factory=Wear)
    light: Light = field(default_factory=Light)
    sensor: Sensor = field(default_factory=Sensor)
    seed: int = 0


@dataclass(frozen=True, eq=False)
class View:
    """The way between page mm and photo px for one sheet before one camera."""

    camera: Camera
    size_mm: tuple[float, float]
    relief: Relief
    shift: tuple[float, float] = (0.0, 0.0)

    def to_photo(self, xy_mm: Points) -> Points:
        """Photo px of (n, 2) page mm."""
        return self._project(xy_mm, sample_field(self.relief.height, xy_mm)) + self.shift

    def to_page_mm(self, xy_px: Points) -> Points:
        """Page mm of (n, 2) photo px."""
        flat = self._flat_inverse()
        goal = _apply(flat, np.asarray(xy_px, np.float64) - self.shift)
        at = goal.copy()
        for _ in range(SOLVER_STEPS):
            at += goal - _apply(flat, self._project(at, sample_field(self.relief.height, at)))
        return at

    def _project(self, xy_mm: Points, z: npt.NDArray[np.float32]) -> Points:
        camera = self.camera
        space = np.column_stack([np.asarray(xy_mm) - np.array(self.size_mm) / 2, -z])
        seen = space @ _rotation(camera).T
        focal = camera.px_per_mm * camera.distance_mm
        out = focal * seen[:, :2] / (camera.distance_mm + seen[:, 2:])
        out[:, 0] *= camera.squeeze
        return np.asarray(out)

    def _flat_inverse(self) -> Points:
        """Homography from photo px (before the shift) to page mm of a flat sheet."""
        import cv2

        corners = _corners(self.size_mm)
        seen = self._project(corners, np.zeros(4, np.float32))
        return np.asarray(
            cv2.getPerspectiveTransform(seen.astype(np.float32), corners.astype(np.float32))
        )


@dataclass(frozen=True, eq=False)
class Photo:
    """A photograph with its truth: masks and curves as in `DrawnPage`, in the photo's px.

    ``marks`` is what a hand wrote; ``paper`` is 255 where the sheet is seen.
    """

    image: Pixels
    trace: Pixels
    text: Pixels
    pulse: Pixels
    separator: Pixels
    marks: Pixels
    paper: Pixels
    segments: tuple[DrawnSegment, ...]
    labels: tuple[Labelled, ...]
    view: View

    def to_page_mm(self, xy_px: Points) -> Points:
        """Page mm of (n, 2) photo px."""
        return self.view.to_page_mm(xy_px)

    def to_photo(self, xy_mm: Points) -> Points:
        """Photo px of (n, 2) page mm."""
        return self.view.to_photo(xy_mm)


def random_camera(
    rng: np.random.Generator, severity: float = 0.5, *, px_per_mm: float | None = None
) -> Camera:
    """A camera; ``severity`` 0 is a clean flatbed scan, 1 a poor photo of a crumpled page."""
    scan = rng.random() > 0.25 + 0.75 * severity
    camera = Camera(
        px_per_mm=px_per_mm or float(np.exp(rng.uniform(np.log(3.0), np.log(16.0)))),
        wear=_random_wear(rng, severity, scan),
        light=_random_light(rng, severity, scan),
        sensor=random_sensor(rng, severity),
        seed=int(rng.integers(2**31)),
    )
    if scan:
        return replace(
            camera,
            turn_deg=float(rng.normal(0, 1 + 2 * severity)),
            distance_mm=1e5,
            border=float(rng.uniform(-0.03, 0.03)),
            squeeze=float(np.exp(rng.normal(0, 0.01))),
        )
    desks: tuple[Desk, ...] = ("wood", "plain", "cloth", "dark")
    quarter = float(rng.choice((0, 90, 180, 270), p=(0.85, 0.05, 0.05, 0.05)))
    return replace(
        camera,
        turn_deg=quarter + float(rng.normal(0, 12 * severity)),
        tilt_deg=(float(rng.normal(0, 14 * severity)), float(rng.normal(0, 14 * severity))),
        distance_mm=float(rng.uniform(280, 700)),
        border=float(rng.uniform(-0.08, 0.15)),
        desk=desks[int(rng.integers(len(desks)))],
        vignette=float(rng.uniform(0, 0.3 * severity)),
    )


def _random_wear(rng: np.random.Generator, severity: float, scan: bool) -> Wear:
    bent = 0.15 if scan else 1.0
    return Wear(
        folds=int(rng.poisson(1.3 * severity)),
        crumples=int(rng.poisson(28 * severity)) if rng.random() < 0.5 * severity else 0,
        crease_mm=float(rng.uniform(0.5, 4.0)) * severity * bent,
        curl_mm=float(rng.normal(0, 9)) * severity * bent,
        fading=float(rng.uniform(0, 0.75)) if rng.random() < 0.35 else 0.0,
        breaks=float(rng.uniform(0, 0.6)) if rng.random() < 0.2 else 0.0,
        stains=int(rng.poisson(1.0)) if rng.random() < 0.3 * severity else 0,
        scribbles=int(rng.integers(1, 8)) if rng.random() < 0.25 else 0,
    )


def _random_light(rng: np.random.Generator, severity: float, scan: bool) -> Light:
    warm = rng.normal(0, 0.10) * severity
    level = rng.uniform(1 - 0.3 * severity, 1.03)
    if scan:
        return Light(slope=float(rng.uniform(0, 0.15 * severity)), relief=0.2)
    return Light(
        slope=float(rng.uniform(0, 0.5 * severity)),
        shadows=int(rng.poisson(1.2 * severity)),
        shadow_depth=float(rng.uniform(0.1, 0.6)),
        glares=int(rng.random() < 0.12 * severity),
        relief=float(rng.uniform(1.0, 6.0)),
        colour=(
            float(level * (1 + warm)),
            float(level * rng.normal(1, 0.02)),
            float(level * (1 - warm)),
        ),
    )


def light_and_wear(drawn: DrawnPage, camera: Camera) -> tuple[Pixels, Pixels, Relief]:
    """The page as it lies there: worn and lit image, mask of handwriting, and its relief."""
    rng = np.random.default_rng((camera.seed, 1))
    size = _size_mm(drawn)
    relief = make_relief(rng, size, camera.wear)
    worn, marks = wear_page(drawn, camera.wear, rng)
    bright = light_field(rng, size, relief, camera.light)
    return lit(worn, bright, drawn.px_per_mm), marks, relief


def photograph(drawn: DrawnPage, camera: Camera) -> Photo:
    """Photograph a page; the same camera (with its seed) gives the same bytes.

    Draw the page at no less than the camera's ``px_per_mm``, or the photo is softer than it
    could be.
    """
    import cv2

    image, marks, relief = light_and_wear(drawn, camera)
    view, (width, height) = _framed(View(camera, _size_mm(drawn), relief))
    way = _pixel_way(view, (width, height), drawn.px_per_mm)
    soft = 0.45 * drawn.px_per_mm / camera.px_per_mm
    if soft > 0.5:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), soft), np.uint8)

    def seen(layer: Pixels) -> Pixels:
        return np.asarray(cv2.remap(layer, way[0], way[1], cv2.INTER_LINEAR), np.uint8)

    def seen_mask(layer: Pixels) -> Pixels:
        softer = cv2.GaussianBlur(layer, (0, 0), soft) if soft > 0.5 else layer
        return seen(np.asarray(softer, np.uint8))

    rng = np.random.default_rng((camera.seed, 2))
    paper = seen(np.full(drawn.trace.shape, 255, np.uint8))
    edge = cv2.BORDER_REPLICATE
    shown = np.asarray(cv2.remap(image, *way, cv2.INTER_LINEAR, borderMode=edge), np.uint8)
    if int(paper.min()) < 255:
        shown = _laid_on(_desk(rng, (height, width), camera), shown, paper)
    if camera.vignette:
        shown = _vignetted(shown, camera.vignette)
    return Photo(
        sense(shown, camera.sensor, rng),
        seen_mask(drawn.trace),
        seen_mask(drawn.text),
        seen_mask(drawn.pulse),
        seen_mask(drawn.separator),
        seen_mask(marks),
        paper,
        tuple(_seen_segment(s, view, drawn.px_per_mm) for s in drawn.segments),
        tuple(Labelled(n.name, _seen_box(n.box, view, drawn.px_per_mm)) for n in drawn.labels),
        view,
    )


def _size_mm(drawn: DrawnPage) -> tuple[float, float]:
    height, width = drawn.trace.shape
    return width / drawn.px_per_mm, height / drawn.px_per_mm


def _corners(size_mm: tuple[float, float]) -> Points:
    width, height = size_mm
    return np.array([(0.0, 0.0), (width, 0.0), (width, height), (0.0, height)])


def _apply(matrix: Points, xy: Points) -> Points:
    out = np.column_stack([xy, np.ones(len(xy))]) @ matrix.T
    return np.asarray(out[:, :2] / out[:, 2:])


def _rotation(camera: Camera) -> Points:
    turn, right, down = np.radians((camera.turn_deg, *camera.tilt_deg))
    about_z = np.array(
        [(np.cos(turn), -np.sin(turn), 0), (np.sin(turn), np.cos(turn), 0), (0, 0, 1)]
    )
    about_y = np.array(
        [(np.cos(right), 0, np.sin(right)), (0, 1, 0), (-np.sin(right), 0, np.cos(right))]
    )
    about_x = np.array(
        [(1, 0, 0), (0, np.cos(down), -np.sin(down)), (0, np.sin(down), np.cos(down))]
    )
    return np.asarray(about_x @ about_y @ about_z)


def _framed(view: View) -> tuple[View, tuple[int, int]]:
    """The view moved so that the picture holds the page and its border; the picture's size."""
    outline = _corners(view.size_mm)
    edge = np.concatenate(
        [np.linspace(a, b, 9) for a, b in zip(outline, np.roll(outline, -1, 0), strict=True)]
    )
    seen = view.to_photo(edge)
    low, high = seen.min(axis=0), seen.max(axis=0)
    spare = (high - low) * view.camera.border
    width, height = (int(v) for v in np.ceil(high - low + 2 * spare))
    shift = spare - low
    return replace(view, shift=(float(shift[0]), float(shift[1]))), (width, height)


def _pixel_way(
    view: View, size: tuple[int, int], page_px_per_mm: float
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Page px for each photo px, solved on a lattice and filled in between."""
    import cv2

    columns, rows = (-(-n // LATTICE_PX) + 1 for n in size)
    x, y = np.meshgrid(np.arange(columns) * LATTICE_PX, np.arange(rows) * LATTICE_PX)
    solved = view.to_page_mm(np.column_stack([x.ravel(), y.ravel()]).astype(np.float64))
    coarse = (solved * page_px_per_mm).astype(np.float32).reshape(rows, columns, 2)
    matrix = np.array([[1 / LATTICE_PX, 0, 0], [0, 1 / LATTICE_PX, 0]])
    full = cv2.warpAffine(
        coarse,
        matrix,
        size,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.ascontiguousarray(full[..., 0]), np.ascontiguousarray(full[..., 1])


def _seen_segment(segment: DrawnSegment, view: View, px_per_mm: float) -> DrawnSegment:
    known = np.isfinite(segment.xy).all(axis=1)
    xy = np.full_like(segment.xy, np.nan)
    if known.any():
        xy[known] = view.to_photo(segment.xy[known] / px_per_mm)
    box = _seen_box(segment.box, view, px_per_mm)
    start = np.array([[segment.xy[0, 0], segment.zero_y]]) / px_per_mm
    return replace(segment, xy=xy, box=box, zero_y=float(view.to_photo(start)[0, 1]))


def _seen_box(
    box: tuple[float, float, float, float], view: View, px_per_mm: float
) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = box
    corners = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]) / px_per_mm
    seen = view.to_photo(corners)
    low, high = seen.min(axis=0), seen.max(axis=0)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def _desk(rng: np.random.Generator, shape: tuple[int, int], camera: Camera) -> Pixels:
    """What the page lies on."""
    import cv2

    small = max(2, shape[0] // 4), max(2, shape[1] // 4)
    tints = {
        "wood": (150, 108, 70),
        "plain": (200, 200, 200),
        "cloth": (90, 110, 140),
        "dark": (45, 45, 48),
    }
    tint = np.array(tints[camera.desk], np.float32) * rng.uniform(0.7, 1.15)
    texture = smooth_noise(rng, small, 90, octaves=2) * 0.04
    if camera.desk == "wood":
        rings = smooth_noise(rng, (small[0], 8), 9, octaves=3)
        grain = cv2.resize(rings, (small[1], small[0]), interpolation=cv2.INTER_CUBIC)
        texture = texture + 0.10 * np.sin(4 * grain + texture * 20) + 0.05 * grain
    if camera.desk == "cloth":
        texture = texture + 0.05 * rng.standard_normal(small).astype(np.float32)
    picture = np.clip(tint * (1 + texture[..., None]), 0, 255).astype(np.uint8)
    return np.asarray(cv2.resize(picture, (shape[1], shape[0])), np.uint8)


def _laid_on(desk: Pixels, page: Pixels, paper: Pixels) -> Pixels:
    """The page over the desk, with the soft dark seam that a sheet throws."""
    import cv2

    small = cv2.resize(paper, (max(1, paper.shape[1] // 8), max(1, paper.shape[0] // 8)))
    seam = cv2.GaussianBlur(small, (0, 0), 2.0)
    near = cv2.resize(seam, (paper.shape[1], paper.shape[0]))[..., None].astype(np.float32) / 255
    share = paper[..., None].astype(np.float32) / 255
    return np.asarray(desk * (1 - 0.45 * near) * (1 - share) + page * share).astype(np.uint8)


def _vignetted(image: Pixels, depth: float) -> Pixels:
    import cv2

    y = np.linspace(-1, 1, image.shape[0], dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, image.shape[1], dtype=np.float32)[None]
    fall = 1 - depth * (x**2 + y**2) / 2
    return np.asarray(cv2.multiply(image, cv2.merge([fall, fall, fall]), dtype=cv2.CV_8U), np.uint8)
