"""Pages without a grid: their scale from a given resolution or from calibration pulses.

A pulse is 1 mV high by convention; its height tells px per mV whatever the gain. That it lasts
0.2 s is a habit which not every machine keeps, so its width counts only where it agrees with its
height at settings that are printed, given or standard. What the rows then say, `length_doubts`
asks: a page's rows last 10 s.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from ecg4u.digitize.layout.columns import signal_span, starts_apart
from ecg4u.digitize.page.grid import HINT
from ecg4u.digitize.page.rectified import (
    NODE_PX,
    Grid,
    PulseScale,
    RectifiedPage,
    direction_after,
    interpolate,
)
from ecg4u.digitize.page.sheet import cropped, paper_mask, warp_image
from ecg4u.digitize.rows.trace import RowPath
from ecg4u.digitize.scale.pulse_shapes import (
    PulseShape,
    agreeing,
    find_plateaus,
    find_shapes,
    turn_of,
    usual_darkness,
)
from ecg4u.digitize.scale.pulses import Pulse
from ecg4u.digitize.text.printed import read_printed_scale
from ecg4u.digitize.types import Calibration, FloatArray, Label, Layout
from ecg4u.errors import NotAnECGError, PoorQualityError
from ecg4u.io import Page
from ecg4u.messages import message
from ecg4u.record import DEFAULT_FS_HZ

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

PULSE_MV = 1.0
PULSE_S = 0.2
WORK_LONG_SIDE = 2200
"""Px of the long side of the picture in which pulses are looked for."""
USUAL_LONG_MM = 280.0
SETTINGS = ((10.0, 25.0), (5.0, 25.0), (20.0, 25.0), (10.0, 50.0), (5.0, 50.0), (20.0, 50.0))
"""Gain (mm/mV) and paper speed (mm/s), the commonest first."""
SQUARE = 0.04
"""How far a pulse's height and width may be from the settings' proportion."""
AGREE = 0.04
"""How far the rows' pulses may differ from one another."""
FEWEST_ROWS, FEWEST_PLATEAUS = 2, 3
SHARES = (0.4, 0.6, 0.8, 1.0)
"""Of the usual darkness of strokes, from which ink counts as a plateau's."""
MOST = 0.7
"""Least share of the shapes found that must be of one height, width and place."""
MAX_SKEW = 0.02
"""How far the pulses' lines may lean differently from one another."""
READINGS = 3
SAME = 0.01
"""How far height and width may differ to be averaged; printed pulses are up to 2 % off in width."""
NEAR_MM = 12.0
"""How far around a pulse there is paper."""
OF_PRINT = (
    "printed_gain_not_given", "printed_gain_not_pulse", "printed_speed_not_given",
    "chest_gain_printed",
)  # fmt: skip
"""Messages on what the page prints: they hold whatever else gives the scale."""
LONGEST_MM = 450.0
"""Page beyond which settings are taken only if they are printed or given."""
ROW_S = 10.0
ROW_TOLERANCE = 0.04
LEAST_STRETCH, MOST_STRETCH, MOST_ERRORS = 4e-4, 0.012, 3.0
"""Corrections of the scale by the rows' length that are worth while, and that are believed: as a
share or in standard errors of the pulses' scale, whichever is more, within `ROW_TOLERANCE`."""
PIXEL = 0.25
"""Error of a measured line, in px of the work image."""


@dataclass(frozen=True)
class Stand:
    """Pulses that agree, and how the page lies in its picture.

    ``turn_deg`` is the page's turn, clockwise; ``height`` and ``width`` are source px, each with
    its relative standard error; ``places`` (n, 2) are the pulses' middles in source px.
    """

    turn_deg: float
    height: float
    width: float
    height_error: float
    width_error: float
    places: Floats


def by_dpi(page: Page, dpi: float) -> RectifiedPage:
    """The page at a given resolution, as it lies."""
    per_mm = dpi / 25.4
    h, w = page.image.shape[:2]
    x = np.arange(np.ceil(w / per_mm) + 1) * per_mm
    y = np.arange(np.ceil(h / per_mm) + 1) * per_mm
    nodes = np.stack(np.meshgrid(x, y), axis=-1)
    paper = np.ones(nodes.shape[:2], bool)
    image, valid = warp_image(page.image, nodes, paper)
    grid = Grid(0.0, "dpi", 0.0, float("nan"), (per_mm, per_mm), 0.0)
    return RectifiedPage(image, valid, nodes, grid)


def by_pulses(
    page: Page, *, gain_mm_per_mv: float | None = None, speed_mm_per_s: float | None = None
) -> RectifiedPage:
    """The page upright and to scale by its calibration pulses.

    Parameters
    ----------
    page : Page
    gain_mm_per_mv, speed_mm_per_s : float or None
        What is printed on the page, where the user knows it.

    Raises
    ------
    NotAnECGError
        No two rows have a pulse.
    PoorQualityError
        There are pulses, but they disagree, or what they say is not certain.
    """
    stand = find_stand(page.image)
    say = partial(interpret, stand, max(page.image.shape))
    first = say(gain=gain_mm_per_mv, speed=speed_mm_per_s)
    for guess in [first] if first is not None else _guesses(len(stand.places)):
        settled = _settled(page, stand, guess, say, gain_mm_per_mv, speed_mm_per_s)
        if settled is not None:
            return settled
    raise PoorQualityError(
        "The page has no grid, and its calibration pulses match no printed, given or usual scale.",
        stage="grid",
        hint=HINT,
    )


def _guesses(rows: int) -> list[PulseScale]:
    """Scales at which print may be read that says what the pulses alone do not."""
    return [PulseScale(gain, 25.0, rows, 1.0, width_used=False) for gain in (10.0, 5.0, 20.0)]


def _settled(
    page: Page,
    stand: Stand,
    shown: PulseScale,
    say: Callable[..., PulseScale | None],
    gain: float | None,
    speed: float | None,
) -> RectifiedPage | None:
    """The page at the scale on which its pulses and its print, read at that very scale, agree."""
    for _ in range(READINGS):
        rectified = _flattened(page, stand, shown)
        printed = read_printed_scale(rectified)
        scale = say(gain=gain or printed.gain_mm_per_mv, speed=speed or printed.speed_mm_per_s)
        if scale is None:
            return None
        if scale.settings == shown.settings:
            return replace(rectified, grid=replace(rectified.grid, pulse=scale))
        shown = scale
    return None


def find_stand(image: npt.NDArray[np.uint8]) -> Stand:
    """The pulses of a picture that may be turned by any angle.

    Raises
    ------
    NotAnECGError
        No two rows have pulses that agree.
    PoorQualityError
        Other pulses disagree with them, or the page is not seen squarely.
    """
    import cv2

    from ecg4u.digitize.rows.ink import darkness

    factor = WORK_LONG_SIDE / max(image.shape[:2])
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    work = cv2.resize(image, None, fx=factor, fy=factor, interpolation=how)
    ink = darkness(work, WORK_LONG_SIDE / USUAL_LONG_MM)
    turn = turn_of(ink)
    for k in range(4):
        turned, back = _turned(np.ascontiguousarray(np.rot90(ink, -k)), turn)
        shapes, pulses = _alike(turned)
        if pulses:
            break
    else:
        raise NotAnECGError("No ECG grid was found on this page.", stage="grid", hint=HINT)
    _refuse_disagreement(shapes, pulses)
    middles = np.array([((p.left + p.right) / 2, (p.top + p.base) / 2) for p in pulses])
    at = middles @ back[:, :2].T + back[:, 2]
    height, width = ink.shape
    x, y = at.T
    right, bottom = width - 1.0, height - 1.0
    at = np.stack([(x, y), (y, bottom - x), (right - x, bottom - y), (right - y, x)][k], axis=-1)
    lean = float(np.degrees(np.arctan(_lean(pulses))))
    tall, wide = (np.array([getattr(p, name) for p in pulses]) for name in ("height", "width"))
    return Stand(
        direction_after(turn + lean, k),
        float(np.median(tall)) / factor,
        float(np.median(wide)) / factor,
        _error(tall),
        _error(wide),
        (at + 0.5) / factor - 0.5,
    )


def _alike(ink: FloatArray) -> tuple[tuple[PulseShape, ...], tuple[PulseShape, ...]]:
    """The pulses of an upright page, and those of one size and place; none if they are too few.

    What is left of a grid, and ticks, may stand beside and in them: then plateaus will do, darker
    than such lines, if more of them agree.
    """
    shapes = find_shapes(ink)
    pulses = agreeing(shapes, within=AGREE)
    if len(pulses) >= FEWEST_ROWS:
        return shapes, pulses
    usual = usual_darkness(ink) or 0.0
    for share in SHARES:
        shapes = find_plateaus(ink, share * usual)
        pulses = agreeing(shapes, within=AGREE)
        if len(pulses) >= FEWEST_PLATEAUS:
            return shapes, pulses
    return (), ()


def _turned(ink: FloatArray, degrees: float) -> tuple[FloatArray, Floats]:
    """The ink turned back by its lean, whole, and the map (2, 3) from there to where it was."""
    import cv2

    h, w = ink.shape
    there = cv2.getRotationMatrix2D(((w - 1) / 2, (h - 1) / 2), degrees, 1.0)
    cos, sin = abs(there[0, 0]), abs(there[0, 1])
    size = int(np.ceil(w * cos + h * sin)), int(np.ceil(h * cos + w * sin))
    there[:, 2] += ((size[0] - w) / 2, (size[1] - h) / 2)
    turned = cv2.warpAffine(ink, there, size, flags=cv2.INTER_LINEAR, borderValue=0.0)
    return turned, np.asarray(cv2.invertAffineTransform(there), dtype=np.float64)


def _refuse_disagreement(shapes: Sequence[PulseShape], pulses: Sequence[PulseShape]) -> None:
    height, width = (float(np.median([getattr(p, n) for p in pulses])) for n in ("height", "width"))
    like = [
        shape
        for shape in shapes
        if abs(shape.height / height - 1) < 2 * AGREE and abs(shape.width / width - 1) < 2 * AGREE
    ]
    skew = [p.leans for p in pulses]
    if len(like) < MOST * len(shapes) or np.ptp(skew) > MAX_SKEW:
        raise PoorQualityError(
            "The page has no grid, and its calibration pulses disagree.", stage="grid", hint=HINT
        )


def _lean(pulses: Sequence[PulseShape]) -> float:
    """Slope of the page that is left: of the line on which the pulses stand."""
    left, base = (np.array([getattr(p, name) for p in pulses]) for name in ("left", "base"))
    return float(-np.polyfit(base, left, 1)[0])


def _error(lengths: Floats) -> float:
    """Relative standard error of the median of some lengths."""
    spread = float(np.std(lengths, ddof=1)) if len(lengths) > 1 else 0.0
    return float(np.hypot(1.25 * spread, PIXEL) / np.sqrt(len(lengths)) / np.median(lengths))


def interpret(
    stand: Stand, long_px: int, *, gain: float | None = None, speed: float | None = None
) -> PulseScale | None:
    """What the pulses say of the scale, if anything is certain.

    Parameters
    ----------
    stand : Stand
    long_px : int
        Long side of the picture.
    gain, speed : float or None
        mm/mV and mm/s as printed or given. Where both are, the height alone tells the scale.
    """
    stated = gain is not None and speed is not None
    known = [(gain or g, speed or v) for g, v in SETTINGS]
    for g, v in [pair for i, pair in enumerate(known) if pair not in known[:i]]:
        px_per_mm = stand.height / (g * PULSE_MV)
        width_mm = stand.width / px_per_mm
        if not stated and long_px / px_per_mm > LONGEST_MM:
            continue
        off = abs(width_mm / (v * PULSE_S) - 1)
        if off < SQUARE:
            error = max(stand.height_error, stand.width_error, off / 2)
            return PulseScale(g, v, len(stand.places), error, stated=stated)
        if stated:
            return PulseScale(
                g, v, len(stand.places), stand.height_error, width_used=False, stated=True
            )
    return None


def _px_per_mm(stand: Stand, scale: PulseScale) -> float:
    """Source px per mm, which are square: by the pulses' height, which machines keep best.

    Their width, where it agrees to `SAME`, makes it finer; where not, it has said what it can.
    """
    down = stand.height / (scale.gain_mm_per_mv * PULSE_MV)
    along = stand.width / (scale.speed_mm_per_s * PULSE_S)
    if not scale.width_used or abs(along / down - 1) > SAME:
        return down
    errors = np.array([stand.width_error, stand.height_error])
    return float(np.average([along, down], weights=1 / errors**2))


def _flattened(page: Page, stand: Stand, scale: PulseScale) -> RectifiedPage:
    """The page turned upright and brought to `PX_PER_MM`."""
    per_mm = _px_per_mm(stand, scale)
    angle = np.radians(stand.turn_deg)
    axes = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    h, w = page.image.shape[:2]
    corners = np.array([[0, 0], [w - 1, 0], [w - 1, h - 1], [0, h - 1]]) @ axes.T / per_mm
    low, high = np.floor(corners.min(axis=0)), np.ceil(corners.max(axis=0))
    x, y = (np.arange(low[i], high[i] + 1.0) for i in (0, 1))
    nodes = (np.stack(np.meshgrid(x, y), axis=-1) * per_mm) @ axes
    near = np.zeros(nodes.shape[:2], bool)
    for place in stand.places:
        near |= np.hypot(*np.moveaxis(nodes - place, -1, 0)) < NEAR_MM * per_mm
    paper = paper_mask(page.image, nodes, near)
    nodes, paper = cropped(nodes, paper)
    image, valid = warp_image(page.image, nodes, paper)
    grid = Grid(
        0.0, "pulse", 0.0, float("nan"), (per_mm, per_mm), float(stand.turn_deg), pulse=scale
    )
    return RectifiedPage(image, valid, nodes, grid)


def calibrated(calibration: Calibration, scale: PulseScale) -> Calibration:
    """The calibration of a page whose scale its pulses gave: they are 1 mV high by that scale."""
    gain, speed = scale.gain_mm_per_mv, scale.speed_mm_per_s
    return replace(
        calibration,
        gain_mm_per_mv=gain,
        speed_mm_per_s=speed,
        gain_from=calibration.gain_from if calibration.gain_from == "user" else "pulse",
        speed_from=calibration.speed_from if scale.stated else "pulse",
        warnings=tuple(w for w in calibration.warnings if w.code in OF_PRINT),
    )


def row_stretch(
    paths: Sequence[RowPath], pulses: Sequence[Pulse], scale: PulseScale, px_per_mm: float
) -> float | None:
    """How many times longer than by the pulses' scale a second is, by rows that last 10 s.

    A row is fifty times as long as a pulse: the pulses tell that it lasts 10 s, its length then
    tells the scale, ten times as finely. None where the rows' ends do not stand clear of their
    pulses, where the rows are not of that length, or where there is nothing to correct.
    """
    right = [pulse for pulse in pulses if pulse.side == "right"]
    meet = [paths[pulse.row].ends[1] >= pulse.x0 for pulse in right]  # and a foot of up to 5 mm
    if (pulses and not starts_apart(paths, pulses)) or any(meet):
        return None
    length = float(np.median([x1 - x0 for x0, x1 in signal_span(paths, pulses)]))
    px_per_s = scale.speed_mm_per_s * px_per_mm
    ratio = length / (px_per_s * (ROW_S - 1.0 / DEFAULT_FS_HZ))
    most = min(max(MOST_STRETCH, MOST_ERRORS * scale.uncertainty), ROW_TOLERANCE)
    if not LEAST_STRETCH < abs(ratio - 1) < most:
        return None
    return ratio


def lengthened(
    page: Page, rectified: RectifiedPage, labels: Sequence[Label], ratio: float
) -> tuple[RectifiedPage, tuple[Label, ...]]:
    """The page and the names on it at a scale along the rows that is ``ratio`` times as coarse."""
    rows = rectified.nodes.shape[0]
    columns = int(rectified.nodes.shape[1] / ratio)
    x, y = np.arange(columns) * ratio, np.arange(rows, dtype=np.float64)
    nodes = interpolate(rectified.nodes, np.stack(np.meshgrid(x, y), axis=-1))
    at = np.clip(np.rint(x * NODE_PX).astype(int), 0, rectified.valid.shape[1] - 1)
    image, valid = warp_image(page.image, nodes, rectified.valid[::NODE_PX][:, at])
    along, down = rectified.grid.source_px_per_mm
    grid = replace(rectified.grid, source_px_per_mm=(along * ratio, down))
    moved = tuple(
        replace(label, box=(label.box[0] / ratio, label.box[1], label.box[2] / ratio, label.box[3]))
        for label in labels
    )
    return RectifiedPage(image, valid, nodes, grid), moved


def length_doubts(scale: PulseScale, layout: Layout, speed_px_per_s: float) -> tuple[str, ...]:
    """What the length of the rows says against the pulses' scale.

    Raises
    ------
    PoorQualityError
        The rows do not last 10 s by a scale that is not confirmed by print or the user.
    """
    rows: dict[int, float] = {}
    for segment in layout.segments:
        rows[segment.row] = rows.get(segment.row, 0.0) + (segment.x1 - segment.x0) / speed_px_per_s
    seconds = float(np.median(list(rows.values())))
    if abs(seconds / ROW_S - 1) < ROW_TOLERANCE:
        return ()
    if not (scale.stated and scale.width_used):
        raise PoorQualityError(
            "The page has no grid, and judging by its calibration pulses its rows would not last "
            "the usual 10 s: the scale is uncertain.",
            stage="grid",
            hint=HINT,
        )
    return (message("pulse_rows_unusual", seconds=seconds),)
