"""The stages of the digitizer, in order."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NoReturn

import numpy as np
from scipy.special import expit

from ecg4u.cores import together
from ecg4u.digitize.gridless import (
    by_pulses,
    calibrated,
    length_doubts,
    lengthened,
    row_stretch,
)
from ecg4u.digitize.layout.arrangement import find_layout
from ecg4u.digitize.layout.columns import signal_span
from ecg4u.digitize.layout.doubts import column_doubts, grid_doubts, refuse_two_ecgs
from ecg4u.digitize.layout.orders import decide_order
from ecg4u.digitize.orientation import (
    evidence_at,
    names_decide,
    read_upright,
    rectified_again,
    rectify_turned,
    seems_on_its_side,
    turn_by_pulses,
)
from ecg4u.digitize.page.grid import FITS_MM
from ecg4u.digitize.page.rectified import RectifiedPage, ScaleRival, quarter_turn
from ecg4u.digitize.rectify import rectify
from ecg4u.digitize.restore import observed, rectified_within, restored, restored_page
from ecg4u.digitize.result import Digitization
from ecg4u.digitize.rows.by_column import rows_by_column
from ecg4u.digitize.rows.trace import RowPath, trace_rows
from ecg4u.digitize.scale.beats import Beats, beats_of
from ecg4u.digitize.scale.calibration import calibrate, with_chest_gain
from ecg4u.digitize.scale.decision import (
    FALSE_GRID,
    ILL_FITTING,
    ODD_ON_LINES,
    ODD_SHARE,
    Shown,
    Verdict,
    decide_scale,
    likely_gain,
)
from ecg4u.digitize.scale.pulses import (
    Pulse,
    cut_pulses,
    end_pulses,
    may_be_grid,
    repeated,
    sharpened,
    standard_gain,
)
from ecg4u.digitize.sidecar.content import Corner
from ecg4u.digitize.sidecar.corrections import carried
from ecg4u.digitize.sidecar.model import Sidecar
from ecg4u.digitize.signals.levels import levelled, zero_lines
from ecg4u.digitize.signals.physiology import rename_strips, upright
from ecg4u.digitize.signals.signal import (
    SegmentSignal,
    in_time,
    mark_separators,
    segment_signal,
)
from ecg4u.digitize.text.labels import read_labels
from ecg4u.digitize.text.printed import PrintedScale, read_printed_scale
from ecg4u.digitize.types import Calibration, InkMap, Label, Layout
from ecg4u.errors import ECG4UError, NotAnECGError, PoorQualityError
from ecg4u.io import Page
from ecg4u.options import NOTHING_KNOWN, ReadOptions
from ecg4u.record import Doubtful

MIN_ROW_MM = 35.0
EDGE_MM = 0.8
MIN_SIDE_PX = 64
"""No four rows of an ECG can be told apart in less."""
SURE_LABEL = 0.6
WELL_EXPLAINED = 10.0
"""Log odds of an arrangement below which others are looked for; where names are read they are
above 20 (ten pages of several makers)."""
OF_NAME, WORTH_LOOKING = 1.0, -6.0
"""Log odds of another scale for each name that is surely read at it, where at this one hardly any
is, and from which names are looked for at it; by eye."""
WORTH_READING = -3.0
"""Log odds of another scale of the grid from which a page that is refused is read by it."""
WORTH_LEAVING = 0.1
"""If the probability that there is no grid exceeds this, the page is read by its calibration
pulses, if they tell its scale with certainty. Three drawn pages whose regular beats were taken for
a grid have .12 and more; of 109 pages with a grid the most has .024."""
OF_SCALE = ("rows", "layout")
"""Stages that refuse a page where its scale is misread; what others refuse, such as two ECGs on one
page, another scale does not mend."""
ROW_EXPLAINED = 2.0
"""Log odds in favour of a reading for each row of ink that another leaves unexplained."""


@dataclass
class _Clock:
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        spent = self.seconds.get(name, 0.0) + time.perf_counter() - start
        self.seconds[name] = round(spent, 3)


@dataclass(frozen=True, eq=False)
class _Looked:
    """What stands on a page, in rectified px, before anything is known of its scale and names."""

    rectified: RectifiedPage
    labels: Sequence[Label]
    printed: PrintedScale
    ink: InkMap
    paths: tuple[RowPath, ...]
    pulses: tuple[Pulse, ...]
    by_column: bool = False

    @cached_property
    def beats(self) -> Beats | None:
        """The beats of the rows, asked for by each decision on the scale."""
        return beats_of([path.centre for path in self.paths], self.rectified.px_per_mm)

    def shown(self, options: ReadOptions) -> Shown:
        """What it tells of the scale."""
        per_mm = self.rectified.px_per_mm
        spans = signal_span(self.paths, self.pulses)
        return Shown(
            row_mm=float(np.median([x1 - x0 for x0, x1 in spans])) / per_mm,
            pulses_mm=[(p.height_mm(per_mm), p.width_mm(per_mm)) for p in self.pulses],
            speed_mm_per_s=options.speed_mm_per_s or self.printed.speed_mm_per_s,
            gain_mm_per_mv=options.gain_mm_per_mv or self.printed.gain_mm_per_mv,
            beats=self.beats,
            odd_share=ODD_ON_LINES if may_be_grid(self.pulses, per_mm) else ODD_SHARE,
        )

    def believed(self, options: ReadOptions) -> _Looked:
        """Without pulses that are hardly any: others are likelier to be how tall 1 mV is."""
        shown = self.shown(options)
        if shown.odd_share == ODD_SHARE or self.rectified.grid.scale_from != "grid":
            return self
        gain, _ = likely_gain(shown)
        tall = [standard_gain(height) for height, _ in shown.pulses_mm]
        return self if gain in tall else replace(self, pulses=())


@dataclass(frozen=True, eq=False)
class _Arranged:
    calibration: Calibration
    layout: Layout
    pulses: tuple[Pulse, ...]

    @property
    def open_questions(self) -> bool:
        """Whether names contradict the layout or hardly speak for it, or leads are missing."""
        layout = self.layout
        return bool(layout.doubts) or not layout.shows_all or layout.log_odds < WELL_EXPLAINED


def digitize_page(page: Page, options: ReadOptions = NOTHING_KNOWN) -> Digitization:
    """Digitize one page, as `ecg4u.io.read_page` gives it.

    Raises
    ------
    NotAnECGError
        No ECG grid, nor calibration pulses in its place; or no traces.
    PoorQualityError
        An ECG, but its scale or arrangement cannot be read without guessing.
    SidecarError
        The sidecar is of another page, or leaves no lead.
    """
    _check_size(page)
    clock = _Clock()
    labels: Sequence[Label] = ()
    if options.sidecar is None:
        rectified, labels, found = _read(page, clock, options)
    else:
        given = Sidecar.of(options.sidecar)
        given.check_page(page)
        found = given.corrected(gain=options.gain_mm_per_mv, speed=options.speed_mm_per_s)
        if found.corners_moved:
            rectified, labels, found = _read_again(page, clock, found)
        else:
            with clock.stage("rectify"):
                rectified = restored_page(page, found)
    with clock.stage("record"):
        result = restored(page, rectified, found, labels=labels)
    return replace(result, timings_s=clock.seconds)


def _check_size(page: Page) -> None:
    height, width = page.image.shape[:2]
    if min(height, width) < MIN_SIDE_PX:
        raise NotAnECGError(
            f"The picture has only {width} x {height} pixels.",
            stage="page",
            hint="Give a picture of the whole ECG page, at least 1,000 pixels wide.",
        )


def _read(
    page: Page,
    clock: _Clock,
    options: ReadOptions,
    corners: Sequence[Corner] = (),
) -> tuple[RectifiedPage, Sequence[Label], Sidecar]:
    """Every stage from the picture to measured pieces of leads.

    A page that nothing is read of is tried as its grid's next likely scales, of which one must
    explain it well, and as a page without a grid.
    """
    with clock.stage("rectify"):
        rectified = rectified_within(page, corners) if corners else rectify(page, options)
    left = [rival for rival in rectified.rivals if rival.log_odds > WORTH_READING]
    believed = rectified.grid.scale_from != "grid" or bool(corners)
    first: ECG4UError | None = None
    for rival in (None, *left):
        decided: Verdict | None = None
        try:
            if rival is None:
                found, decided = _scaled(page, rectified, clock, options, bool(corners))
                if decided.no_grid > WORTH_LEAVING and not believed:
                    believed = True
                    with suppress(NotAnECGError, PoorQualityError):  # then the grid stays, in doubt
                        return _by_pulses(page, clock, options)
            else:
                with clock.stage("rectify"):
                    again = rectified_again(page, rectified, rival.reading, options)
                if any(r.reading == rival.reading for r in again.rivals):
                    continue  # too little of such a grid is seen
                alone = replace(again, rivals=())
                found, decided = _scaled(page, alone, clock, options, reading=rival.reading)
                decided = Verdict(None, float(expit(rival.log_odds)))
            arranged = _arranged(found, clock, options)
            if rival and arranged.layout.log_odds < WELL_EXPLAINED:
                continue
            return _measured(page, found, arranged, decided, clock, options)
        except (NotAnECGError, PoorQualityError) as refused:
            first = first or refused
            certain = decided is not None and not decided.doubts
            if certain or first.stage not in OF_SCALE:
                raise first from None
    if not believed:
        with suppress(NotAnECGError, PoorQualityError):
            return _by_pulses(page, clock, options)
    assert first is not None
    raise first


def _scaled(
    page: Page,
    rectified: RectifiedPage,
    clock: _Clock,
    options: ReadOptions,
    as_given: bool = False,
    reading: int = 0,
) -> tuple[_Looked, Verdict]:
    """What stands on a page, which way up and at which of its scales; ``as_given`` asks neither.

    ``reading`` is that of the grid's scales by which the page was rectified.
    """
    with clock.stage("labels"):
        if as_given or rectified.grid.pulse is not None:
            labels: Sequence[Label] = read_labels(rectified)
        else:
            rectified, labels = read_upright(page, rectified, options)
    ink = None
    turned = abs(rectified.grid.turned_deg) > 45.0
    if not (as_given or turned or rectified.grid.pulse is not None or names_decide(labels)):
        with clock.stage("ink"):
            ink = find_ink(rectified, labels)
            turns = turn_by_pulses(np.maximum(ink.trace, ink.pulse))
        if turns:
            ink = None
            with clock.stage("rectify"):
                again = rectify_turned(page, turns, options, reading)
                rectified = replace(again, rivals=()) if reading else again
            with clock.stage("labels"):
                labels = read_labels(rectified)
        elif seems_on_its_side(rectified, labels):
            _refuse_turned(rectified, clock, options)
    refuse_two_ecgs(labels, rectified.px_per_mm)
    found = _looked(rectified, labels, clock, ink)
    false_grid = 0.0
    if rectified.grid.scale_from == "grid" and not (as_given or reading):
        false_grid = FALSE_GRID if rectified.grid.residual_mm < FITS_MM else ILL_FITTING
    rivals = _with_names(rectified, labels, clock)
    decided = decide_scale(found.shown(options), rivals, false_grid=false_grid)
    if decided.rival is not None:
        with clock.stage("rectify"):
            rectified = rectified_again(page, rectified, decided.rival.reading, options)
        with clock.stage("labels"):
            labels = read_labels(rectified)
        found = _looked(rectified, labels, clock)
    return found, decided


def _with_names(
    rectified: RectifiedPage, labels: Sequence[Label], clock: _Clock
) -> Sequence[ScaleRival]:
    """The other scales a page may be of; where its names cannot be read, those at which they can
    are the likelier."""
    if names_decide(labels):
        return rectified.rivals
    with clock.stage("labels"):
        return [
            replace(rival, log_odds=rival.log_odds + OF_NAME * evidence_at(rectified, rival.factor))
            if rival.log_odds > WORTH_LOOKING
            else rival
            for rival in rectified.rivals
        ]


def _by_pulses(
    page: Page, clock: _Clock, options: ReadOptions
) -> tuple[RectifiedPage, Sequence[Label], Sidecar]:
    """Every stage for a page whose grid, if it shows one, is left aside."""
    with clock.stage("rectify"):
        rectified = by_pulses(
            page, gain_mm_per_mv=options.gain_mm_per_mv, speed_mm_per_s=options.speed_mm_per_s
        )
    with clock.stage("labels"):
        labels = read_labels(rectified)
    refuse_two_ecgs(labels, rectified.px_per_mm)
    found = _looked(rectified, labels, clock)
    arranged = _arranged(found, clock, options)
    return _measured(page, found, arranged, Verdict(None, 1.0), clock, options)


def _measured(
    page: Page,
    found: _Looked,
    arranged: _Arranged,
    decided: Verdict,
    clock: _Clock,
    options: ReadOptions,
) -> tuple[RectifiedPage, Sequence[Label], Sidecar]:
    """The measured pieces of the leads that were seen, arranged anew where another way fits."""
    rectified, labels = found.rectified, found.labels
    pulse_scale = rectified.grid.pulse
    scale_doubts = decided.doubts or grid_doubts(rectified.grid)
    sure = rectified.grid.confidence * decided.probability
    rectified = replace(rectified, grid=replace(rectified.grid, confidence=sure))
    found = replace(found, rectified=rectified)
    if arranged.open_questions:
        other = _by_column(found, arranged.layout, clock)
        if other is not None:
            again = _arranged(other, clock, options)
            more = ROW_EXPLAINED * (len(other.paths) - len(found.paths))
            if again.layout.log_odds + more > arranged.layout.log_odds:
                found, arranged = other, again
    if pulse_scale is not None:
        longer = row_stretch(found.paths, found.pulses, pulse_scale, rectified.px_per_mm)
        if longer is not None:
            rectified, labels = lengthened(page, rectified, labels, longer)
            found = _looked(rectified, labels, clock)
            arranged = _arranged(found, clock, options)
    paths, pulses, labels = found.paths, arranged.pulses, found.labels
    calibration, layout = arranged.calibration, arranged.layout
    with clock.stage("signals"):
        calibration = with_chest_gain(calibration, pulses, paths, layout, rectified.px_per_mm)
        layout, parts = _signals(paths, pulses, layout, calibration, rectified.px_per_mm)
        if not found.by_column:
            zeros = zero_lines(paths, pulses, rectified.px_per_mm)
            parts = levelled(parts, zeros, calibration)
        doubts: dict[Doubtful, tuple[str, ...]] = {
            "scale": (*scale_doubts, *calibration.doubts),
            "names": layout.doubts,
            "columns": column_doubts(paths, layout, labels, rectified.px_per_mm),
        }
        if pulse_scale is not None:
            per_s = calibration.speed_mm_per_s * rectified.px_per_mm
            doubts["scale"] += length_doubts(pulse_scale, layout, per_s)
        sidecar = observed(page, rectified, layout, calibration, parts, doubts)
    return rectified, labels, sidecar


def _refuse_turned(rectified: RectifiedPage, clock: _Clock, options: ReadOptions) -> NoReturn:
    """Say what a page is whose ink runs up and down: an ECG on its side, or none.

    Raises
    ------
    PoorQualityError
        Turned by a quarter it shows rows in an arrangement of leads.
    NotAnECGError
        It does not: a table, for instance.
    """
    try:
        _arranged(_looked(quarter_turn(rectified, 1), (), clock), clock, options)
    except (NotAnECGError, PoorQualityError):
        raise _no_trace() from None
    raise PoorQualityError(
        "The page lies on its side, and no lead names show which end is up.",
        stage="labels",
        hint="Turn the image upright and try again.",
    )


def _looked(
    rectified: RectifiedPage,
    labels: Sequence[Label],
    clock: _Clock,
    ink: InkMap | None = None,
) -> _Looked:
    """The print, the rows and the pulses of a page; ``ink`` is its map if it was already made."""
    with clock.stage("printed scale"):
        printed = read_printed_scale(rectified)
    with clock.stage("ink"):
        ink = find_ink(rectified, labels) if ink is None else ink
    with clock.stage("rows"):
        paths = _rows(ink, rectified.px_per_mm)
    with clock.stage("layout"):
        pulses = _pulses(ink, paths, rectified.px_per_mm)
    return _Looked(rectified, labels, printed, ink, paths, pulses)


def _pulses(ink: InkMap, paths: tuple[RowPath, ...], px_per_mm: float) -> tuple[Pulse, ...]:
    at_ends = end_pulses(ink, paths, px_per_mm) or cut_pulses(paths, px_per_mm)
    return sharpened((*repeated(at_ends, ink, px_per_mm), *at_ends), ink, px_per_mm)


def _by_column(found: _Looked, layout: Layout, clock: _Clock) -> _Looked | None:
    """What is seen where each column is followed by itself; None where that gives no more rows."""
    px_per_mm = found.rectified.px_per_mm
    with clock.stage("rows"):
        paths = rows_by_column(found.ink, layout.column_starts, px_per_mm)
    if paths is None or len(paths) <= len(found.paths):
        return None
    pulses = _pulses(found.ink, paths, px_per_mm)
    return replace(found, paths=paths, pulses=pulses, by_column=True)


def _arranged(found: _Looked, clock: _Clock, options: ReadOptions) -> _Arranged:
    """The scale of a page's signals and which lead stands where."""
    found = found.believed(options)
    px_per_mm, paths, pulses = found.rectified.px_per_mm, found.paths, found.pulses
    pulse_scale = found.rectified.grid.pulse
    with clock.stage("layout"):
        calibration = calibrate(
            pulses,
            px_per_mm,
            gain_mm_per_mv=options.gain_mm_per_mv,
            speed_mm_per_s=options.speed_mm_per_s,
            printed=found.printed,
            shown=found.shown(options),
        )
        if pulse_scale is not None:
            calibration = calibrated(calibration, pulse_scale)
    with clock.stage("layout"):
        layout = find_layout(
            paths,
            pulses,
            found.labels,
            px_per_mm,
            calibration.speed_mm_per_s,
            known_scale={calibration.gain_from, calibration.speed_from} != {"assumed"},
        )
    if not layout.segments:
        rows = "One row was" if len(paths) == 1 else f"{len(paths)} rows were"
        raise PoorQualityError(
            f"{rows} found. {layout.warnings[-1]}",
            stage="layout",
            hint="Photograph the whole page, with all rows in view and nothing else.",
        )
    return _Arranged(calibration, layout, pulses)


def _read_again(
    page: Page, clock: _Clock, old: Sidecar
) -> tuple[RectifiedPage, Sequence[Label], Sidecar]:
    """The page read from the corners that a person gave, with that person's other corrections."""
    now, found = old.calibration, old.found_calibration
    speed = now.speed_mm_per_s if now.speed_mm_per_s != found.speed_mm_per_s else None
    rectified, labels, new = _read(page, clock, ReadOptions(speed_mm_per_s=speed), old.corners)
    new = replace(new, corners=old.corners, found_corners=old.corners)
    return rectified, labels, carried(old, new)


def find_ink(rectified: RectifiedPage, labels: Sequence[Label] = ()) -> InkMap:
    """Ink map of a rectified page, by rules and the trace network together.

    What lies in the boxes of surely read ``labels`` is text.
    """
    from ecg4u.digitize.rows import ink, network

    boxes = [label.box for label in labels if label.probability > SURE_LABEL]
    page = rectified.image, rectified.px_per_mm, rectified.valid
    seen, strokes = together(lambda: network.ink(rectified.image), lambda: ink.stroke_ink(*page))
    return _inside(ink.joined_ink(strokes, seen, boxes), rectified)


def _inside(ink: InkMap, rectified: RectifiedPage) -> InkMap:
    """The ink map, emptied at the paper's edge and beyond."""
    import cv2

    reach = 2 * int(EDGE_MM * rectified.px_per_mm) + 1
    padded = np.pad(rectified.valid.astype(np.uint8), 1)
    inner = cv2.erode(padded, np.ones((reach, reach), np.uint8))[1:-1, 1:-1]
    for channel in (ink.trace, ink.text, ink.pulse, ink.separator):
        np.multiply(channel, inner, out=channel)  # a page's maps are large
    return ink


def _rows(ink: InkMap, px_per_mm: float) -> tuple[RowPath, ...]:
    paths = trace_rows(ink, px_per_mm)
    lengths = [path.extent[1] - path.extent[0] for path in paths]
    if not paths or max(lengths) < MIN_ROW_MM * px_per_mm:
        raise _no_trace()
    return paths


def _no_trace() -> NotAnECGError:
    return NotAnECGError(
        "No ECG trace was found on this page.",
        stage="rows",
        hint="Give an image of a 12-lead ECG on grid paper with the traces in view.",
    )


def _signals(
    paths: tuple[RowPath, ...],
    pulses: tuple[Pulse, ...],
    layout: Layout,
    calibration: Calibration,
    px_per_mm: float,
) -> tuple[Layout, list[SegmentSignal]]:
    feet = {pulse.row: pulse for pulse in pulses}
    paths = mark_separators(paths, layout, px_per_mm)

    def measure(layout: Layout) -> list[SegmentSignal]:
        return [
            segment_signal(paths[s.row], s, feet.get(s.row), calibration, px_per_mm)
            for s in layout.segments
        ]

    parts = measure(layout)
    timed = in_time(layout, parts)
    if timed != layout:
        layout, parts = timed, measure(timed)
    ordered = decide_order(layout, parts)
    parts = parts if ordered == layout else measure(ordered)
    named = rename_strips(ordered, parts)
    parts = parts if named == ordered else measure(named)
    turned = upright(named, parts)
    return turned, parts if turned == named else measure(turned)
