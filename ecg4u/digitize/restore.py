"""Between the stages' results and a sidecar, and from a sidecar to the record.

Every record is made by `restored` from a sidecar, also that of a first reading: that is why a
sidecar which nobody edited gives the same record to the last bit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ecg4u.digitize.page.mesh import Mesh
from ecg4u.digitize.page.rectified import PX_PER_MM, RectifiedPage
from ecg4u.digitize.page.sheet import warp_image
from ecg4u.digitize.page.warp import apply_homography
from ecg4u.digitize.rectify import rectify
from ecg4u.digitize.result import Digitization
from ecg4u.digitize.sidecar.content import GAP, STAGE, Corner, Note, Piece
from ecg4u.digitize.sidecar.model import Sidecar
from ecg4u.digitize.sidecar.redraw import hand_drawn, measured, zero_of
from ecg4u.digitize.signals import trust
from ecg4u.digitize.signals.agreement import faults
from ecg4u.digitize.signals.einthoven import reconciled
from ecg4u.digitize.signals.physiology import check_physiology
from ecg4u.digitize.signals.quality import (
    check_einthoven,
    check_hidden_waves,
    check_names,
    grade_segment,
    worst,
)
from ecg4u.digitize.signals.signal import SegmentSignal, assemble
from ecg4u.digitize.types import Calibration, Grade, Label, Layout, RowSegment, Trace, told
from ecg4u.errors import SidecarError
from ecg4u.io import Page
from ecg4u.messages import Message, message
from ecg4u.record import (
    DEFAULT_FS_HZ,
    DOUBTFUL,
    DOUBTFUL_KEY,
    LEADS,
    Doubtful,
    ECGRecord,
    Provenance,
)

Floats = npt.NDArray[np.float64]

MAX_DURATION_S = 120.0


def observed(
    page: Page,
    rectified: RectifiedPage,
    layout: Layout,
    calibration: Calibration,
    parts: Sequence[SegmentSignal],
    doubts: Mapping[Doubtful, Sequence[str]],
) -> Sidecar:
    """What the stages found, as a sidecar; ``doubts`` are warnings, by what may be wrong."""
    corners = page_corners(rectified, page)
    counts: Counter[int] = Counter()
    pieces = []
    for part in parts:
        row = part.segment.row
        counts[row] += 1
        pieces.append(_piece(part, f"{row + 1}.{counts[row]}", calibration))
    scale = rectified.grid.pulse
    notes = [] if scale is None else [Note("pulses", scale.warning)]
    notes += [Note("layout", text) for text in layout.warnings]
    notes += [Note(text.kind.about, text) for text in calibration.warnings]
    notes += [Note(about, text) for about, texts in doubts.items() for text in texts]
    return Sidecar(
        page_sha256=page.sha256,
        page_number=page.number,
        size=(page.image.shape[1], page.image.shape[0]),
        corners=corners,
        found_corners=corners,
        grid=rectified.grid,
        mesh=Mesh.of(rectified),
        layout=layout.name,
        found_layout=layout.name,
        layout_confidence=layout.confidence,
        calibration=replace(calibration, warnings=(), doubts=()),
        found_calibration=replace(calibration, warnings=(), doubts=()),
        pieces=tuple(pieces),
        notes=tuple(notes),
    )


def page_corners(rectified: RectifiedPage, page: Page) -> tuple[Corner, ...]:
    """Corners of the paper in source px: top left, top right, bottom right, bottom left."""
    y, x = (np.flatnonzero(rectified.valid.any(axis=axis)) for axis in (1, 0))
    left, right, top, bottom = x[0], x[-1], y[0], y[-1]
    box = np.array([(left, top), (right, top), (right, bottom), (left, bottom)], dtype=float)
    last = np.array([page.image.shape[1], page.image.shape[0]]) - 1.0
    source = np.clip(rectified.to_source(box), 0.0, last)
    return tuple((float(a), float(b)) for a, b in np.round(source, 1) + 0.0)


def _piece(part: SegmentSignal, id_: str, calibration: Calibration) -> Piece:
    segment = part.segment
    step_mm = calibration.speed_mm_per_s / DEFAULT_FS_HZ
    gain = calibration.gain_for(segment.lead) * segment.sign
    known = np.isfinite(part.signal)
    height_um = np.rint(np.where(known, part.signal, 0.0) * gain * 1000.0).astype(np.int64)
    percent = np.rint(100.0 * np.clip(part.confidence, 0.0, 1.0))
    start_s = round(float(max(segment.start_s, 0.0)), 4)
    return Piece(
        id=id_,
        lead=segment.lead,
        named_by=segment.named_by,
        probability=round(float(segment.probability), 4),
        row=segment.row,
        rhythm=segment.rhythm,
        start_s=start_s,
        x0_mm=round(float(segment.x0) / PX_PER_MM, 4),
        step_mm=step_mm,
        zero_mm=_zero_mm(part, gain, step_mm),
        height_um=height_um,
        percent=np.where(known, percent, GAP).astype(np.uint8),
        found_lead=segment.lead,
        found_start_s=start_s,
        inverted=segment.inverted,
    )


def _zero_mm(part: SegmentSignal, gain: float, step_mm: float) -> float | None:
    """Height of 0 mV on the page: where the curve and its signal put it."""
    at = (part.segment.x0 / PX_PER_MM) + np.arange(len(part.signal)) * step_mm
    known = np.isfinite(part.signal)
    curve = part.xy[np.isfinite(part.xy[:, 1])] / PX_PER_MM
    if not known.any() or len(curve) == 0:
        return None
    height = np.interp(curve[:, 0], at[known], part.signal[known]) * gain
    return round(float(np.median(curve[:, 1] + height)), 3)


def rectified_within(page: Page, corners: Sequence[Corner]) -> RectifiedPage:
    """The page rectified from its four corners, as a person gave them."""
    import cv2

    at = np.array(corners, dtype=np.float64)
    sides = np.hypot(*(at - np.roll(at, -1, axis=0)).T)
    width, height = (max(64, int(np.ceil(max(sides[k], sides[k + 2])))) for k in (0, 1))
    box = np.array([(0, 0), (width - 1, 0), (width - 1, height - 1), (0, height - 1)], np.float64)
    there = cv2.getPerspectiveTransform(at.astype(np.float32), box.astype(np.float32))
    crop = cv2.warpPerspective(
        page.image, there, (width, height), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE
    )
    flat = rectify(replace(page, image=crop, dpi=None))
    nodes = apply_homography(np.linalg.inv(there), flat.nodes)
    image, valid = warp_image(page.image, nodes, np.ones(nodes.shape[:2], bool))
    across, down = nodes[len(nodes) // 2], nodes[:, nodes.shape[1] // 2]
    direction = across[-1] - across[0]
    dx, dy = (float(np.median(np.hypot(*np.diff(line, axis=0).T))) for line in (across, down))
    turned = float(np.degrees(np.arctan2(direction[1], direction[0])))
    grid = replace(flat.grid, source_px_per_mm=(dx, dy), turned_deg=turned)
    return replace(flat, image=image, nodes=nodes, valid=valid & flat.valid, grid=grid, rivals=())


def restored_page(page: Page, sidecar: Sidecar) -> RectifiedPage:
    """The rectified page that a sidecar's mesh gives, without looking for the grid again."""
    nodes = sidecar.mesh.nodes()
    image, valid = warp_image(page.image, nodes, np.ones(nodes.shape[:2], bool))
    return RectifiedPage(image, valid, nodes, sidecar.grid)


def restored(
    page: Page,
    rectified: RectifiedPage,
    sidecar: Sidecar,
    *,
    labels: Sequence[Label] = (),
) -> Digitization:
    """The digitization that a sidecar describes: signals, grades, warnings.

    Raises
    ------
    SidecarError
        If every segment was left out.
    """
    shown = [piece for piece in sidecar.pieces if piece.lead is not None]
    if not shown:
        raise SidecarError(
            "Every lead was left out.", stage=STAGE, hint="Keep at least one segment's lead."
        )
    speed = sidecar.calibration.speed_mm_per_s
    if max((piece.x1_mm - piece.x0_mm) / speed for piece in shown) > MAX_DURATION_S:
        raise SidecarError(
            f"At this paper speed a lead would last more than {MAX_DURATION_S:g} s.",
            stage=STAGE,
            hint="Correct the paper speed (mm/s).",
        )
    parts = signals_of(sidecar)
    signal, confidence = assemble(parts, sidecar.calibration)
    corrections = sidecar.corrections
    calibration = sidecar.calibration
    against = faults(parts)
    # as a sidecar has it, so that reading one again gives the same bytes
    resolution = float(np.mean([told(scale) for scale in rectified.grid.source_px_per_mm]))
    chances = trust.misread(trust.measures_of(parts, against, resolution))
    traces = tuple(
        _trace(piece, part, sidecar, contradicted, told(float(chance)))
        for piece, part, contradicted, chance in zip(shown, parts, against, chances, strict=True)
    )
    misnamed = (*check_names(parts), *check_physiology(parts))
    doubts = (*misnamed, *check_einthoven(signal))
    standing = _standing(sidecar)
    about = {note.about for note in standing} | ({"names"} if misnamed else set())
    doubtful = tuple(kind for kind in DOUBTFUL if kind in about)
    signal = _agreeing(signal, confidence, sidecar)
    texts = (
        *((message("corrected_by_hand", what="; ".join(corrections)),) if corrections else ()),
        *(note.text for note in standing),
        *_missing(signal),
        *check_hidden_waves(parts),
        *doubts,
    )
    grade, reasons = page_grade(traces, doubts, doubtful)
    segments = tuple(part.segment for part in parts)
    record = ECGRecord(
        signal,
        confidence=confidence,
        provenance=Provenance(
            "digitized",
            page.sha256,
            _inferred(calibration, segments),
            ({"corrected by hand": list(corrections)} if corrections else {})
            | ({DOUBTFUL_KEY: list(doubtful)} if doubtful else {}),
        ),
    )
    return Digitization(
        page,
        rectified,
        Layout(sidecar.layout, segments, sidecar.layout_confidence, _layout_notes(sidecar)),
        tuple(labels),
        calibration,
        traces,
        record,
        grade,
        texts,
        basis=sidecar,
        grade_reasons=reasons,
        doubtful=doubtful,
    )


def _agreeing(signal: Floats, confidence: Floats, sidecar: Sidecar) -> Floats:
    """The signals with their limb leads reconciled; what a person redrew stays, and moves none."""
    read, sure, scale = signal, confidence, sidecar.calibration
    if sidecar.redraw:
        read, sure = assemble(signals_of(replace(sidecar, redraw=())), scale)
    better = reconciled(
        read, sure, gain_mm_per_mv=scale.gain_for("I"), speed_mm_per_s=scale.speed_mm_per_s
    )
    return np.where(signal == read, better, signal)


def page_grade(
    traces: Sequence[Trace], doubts: Sequence[str], doubtful: Sequence[Doubtful] = ()
) -> tuple[Grade, tuple[Message, ...]]:
    """Grade of a page, with reasons where it is not good.

    It is that of its middle segment, at best fair where a segment is worse than that, where the
    leads contradict each other (``doubts``) or where something may be wrong altogether.
    """
    grade = worst([trace.grade for trace in traces])
    reasons = []
    for bad in ("missing", "poor", "fair"):
        if names := [trace.lead for trace in traces if trace.grade == bad]:
            reasons.append(message("leads_graded", grade=bad, leads=names))
    if doubts:
        reasons.append(message("leads_disagree"))
    reasons += [message("page_uncertain", what=kind) for kind in doubtful]
    if (doubts or doubtful) and grade == "good":
        grade = "fair"
    return grade, tuple(reasons)


def _standing(sidecar: Sidecar) -> list[Note]:
    """The reading's warnings that no correction has settled."""
    now, found = sidecar.calibration, sidecar.found_calibration
    settled = set()
    if all(
        (now.gain_for(lead), now.gain_from_for(lead))
        != (found.gain_for(lead), found.gain_from_for(lead))
        for lead in ("I", "V1")
    ):
        settled.add("gain")
    if (now.speed_mm_per_s, now.speed_from) != (found.speed_mm_per_s, found.speed_from):
        settled.add("speed")
    return [note for note in sidecar.notes if note.about not in settled]


def _layout_notes(sidecar: Sidecar) -> tuple[str, ...]:
    return tuple(note.text for note in sidecar.notes if note.about == "layout")


def signals_of(sidecar: Sidecar) -> list[SegmentSignal]:
    """The signal of every segment that was not left out, at the sidecar's scale."""
    return [_part(piece, sidecar) for piece in sidecar.pieces if piece.lead is not None]


def _part(piece: Piece, sidecar: Sidecar) -> SegmentSignal:
    """The signal of a piece at the sidecar's scale."""
    assert piece.lead is not None
    calibration = sidecar.calibration
    height, confidence = measured(piece, sidecar.redraw, sidecar)
    step_mm = calibration.speed_mm_per_s / DEFAULT_FS_HZ
    if step_mm != piece.step_mm:
        height, confidence = _resampled(height, confidence, piece.step_mm / step_mm)
    x_mm = piece.x0_mm + np.arange(len(height)) * step_mm
    xy = np.column_stack([x_mm, zero_of(piece, sidecar) - height]) * PX_PER_MM
    segment = RowSegment(
        piece.lead,
        piece.row,
        piece.x0_mm * PX_PER_MM,
        piece.x1_mm * PX_PER_MM,
        piece.start_at(calibration.speed_mm_per_s),
        piece.named_by,
        piece.probability,
        piece.rhythm,
        piece.inverted,
    )
    signal = height / calibration.gain_for(piece.lead) * segment.sign
    return SegmentSignal(segment, signal, confidence, xy)


def _resampled(height: Floats, confidence: Floats, ratio: float) -> tuple[Floats, Floats]:
    """Heights and confidence with ``ratio`` times as many samples over the same stretch."""
    n = max(1, round(len(height) * ratio))
    at = np.arange(n) / ratio
    old = np.arange(len(height), dtype=np.float64)
    known = np.isfinite(height)
    if not known.any():
        return np.full(n, np.nan), np.zeros(n)
    new = np.interp(at, old[known], height[known])
    near = np.clip(np.rint(at).astype(int), 0, len(height) - 1)
    new[~known[near]] = np.nan
    return new, np.where(known[near], np.interp(at, old, confidence), 0.0)


def _trace(
    piece: Piece,
    part: SegmentSignal,
    sidecar: Sidecar,
    contradicted: Sequence[Message],
    misread: float,
) -> Trace:
    by_hand = bool(hand_drawn(piece, sidecar).any())
    misread = 0.0 if by_hand else misread
    grade, reasons = grade_segment(part, contradicted, misread)
    known = np.isfinite(part.xy[:, 1])
    source = np.full_like(part.xy, np.nan)
    source[known] = sidecar.mesh.to_source(part.xy[known] / PX_PER_MM)
    if by_hand:
        reasons = (*reasons, message("trace_redrawn"))
    return Trace(
        part.segment.lead,
        piece.row,
        part.segment.start_s,
        piece.rhythm,
        piece.named_by,
        part.xy,
        source,
        part.signal,
        part.confidence,
        grade,
        reasons,
        misread,
    )


def _missing(signal: Floats) -> tuple[str, ...]:
    """A warning that names the leads of which nothing was found."""
    empty = [lead for lead, n in zip(LEADS, np.isfinite(signal).sum(axis=0), strict=True) if n == 0]
    return (message("leads_missing", leads=empty),) if empty else ()


def _inferred(calibration: Calibration, segments: Sequence[RowSegment]) -> tuple[str, ...]:
    inferred = []
    if calibration.gain_from == "assumed":
        inferred.append(f"gain {calibration.gain_mm_per_mv:g} mm/mV")
    if calibration.speed_from == "assumed":
        inferred.append(f"paper speed {calibration.speed_mm_per_s:g} mm/s")
    unread = sorted({s.lead for s in segments if s.named_by in ("layout", "physiology")})
    if unread:
        inferred.append("names of leads " + ", ".join(unread))
    return tuple(inferred)
