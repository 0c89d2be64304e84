"""Corrections by hand: applied to a sidecar, put in words, carried over to a new reading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ecg4u.digitize.sidecar.content import (
    GROUPS,
    STAGE,
    Content,
    Note,
    PageContent,
    Piece,
    Redraw,
    with_pieces,
)
from ecg4u.digitize.sidecar.redraw import hand_drawn, measured
from ecg4u.digitize.sidecar.relayout import with_layout
from ecg4u.digitize.sidecar.values import MAX_SOURCE_PX, Value, read_corners
from ecg4u.digitize.types import Calibration
from ecg4u.errors import SidecarError
from ecg4u.messages import message
from ecg4u.options import GAINS_MM_PER_MV, SPEEDS_MM_PER_S

MAX_START_S = 120.0
MAX_REDRAWS = 500
MAX_DRAWN_POINTS = 50_000


def apply(
    sidecar: Content,
    *,
    names: Mapping[str, str | None],
    gain: float | Mapping[str, float] | None,
    speed: float | None,
    corners: Sequence[Sequence[float]] | None,
    start_s: Mapping[str, float],
    layout: str | None,
    redraw: Sequence[Mapping[str, Any] | Redraw],
) -> Content:
    """`Sidecar.corrected`."""
    calibration = sidecar.calibration
    if gain is not None:
        calibration = _with_gain(calibration, gain)
    if speed is not None:
        speed = Value(speed, "speed").number(*SPEEDS_MM_PER_S)
        calibration = replace(calibration, speed_mm_per_s=speed, speed_from="user")
    changed = replace(sidecar, calibration=calibration)
    if corners is not None:
        changed = replace(changed, corners=read_corners(Value(corners, "corners"), sidecar.size))
    if layout is not None:
        changed = with_layout(changed, Value(layout, "layout").text())
    changed = _renamed(changed, names)
    changed = _restarted(changed, start_s)
    drawn = [
        item if isinstance(item, Redraw) else read_redraw(Value(item, f"redraw[{i}]"), changed)
        for i, item in enumerate(redraw)
    ]
    return replace(changed, redraw=checked_redraws([*changed.redraw, *drawn]))


def read_redraw(value: Value, sidecar: PageContent) -> Redraw:
    """One redrawn or blanked stretch."""
    got = value.members(("segment", "points"), ("x",))
    called = pieces_called(sidecar, got["segment"].text(20))
    if len(called) > 1:
        raise got["segment"].wrong("appears on the page more than once: give the segment's id")
    span = got["x"].or_none() if "x" in got else None
    x = None
    if span is not None:
        first, last = (v.number(-MAX_SOURCE_PX, MAX_SOURCE_PX) for v in span.items(2, 2))
        x = (first, last)
    points = got["points"].or_none()
    if points is None:
        if x is None:
            raise value.wrong('must have "x" where "points" is null')
        return Redraw(called[0].id, None, x)
    line = points.line()
    if np.isfinite(line).all(axis=1).sum() < 2:
        raise points.wrong("must have two points or more")
    return Redraw(called[0].id, line, x)


def checked_redraws(redraws: Sequence[Redraw]) -> tuple[Redraw, ...]:
    """The redraws, if there are not too many. Raises `SidecarError`."""
    points = sum(0 if item.points is None else len(item.points) for item in redraws)
    if len(redraws) > MAX_REDRAWS or points > MAX_DRAWN_POINTS:
        raise Value(None, "redraw").wrong("holds more than a person could have drawn")
    return tuple(redraws)


def _with_gain(calibration: Calibration, gain: float | Mapping[str, float]) -> Calibration:
    given = gain if isinstance(gain, Mapping) else dict.fromkeys(GROUPS, gain)
    if unknown := [group for group in given if group not in GROUPS]:
        raise Value(unknown[0], "gain").wrong('must be one number, or "limb" and "chest"')
    values = {
        group: Value(value, f"gain.{group}").number(*GAINS_MM_PER_MV)
        for group, value in given.items()
    }
    limb, limb_from = calibration.gain_mm_per_mv, calibration.gain_from
    chest, chest_from = calibration.gain_for("V1"), calibration.gain_from_for("V1")
    if "limb" in values:
        limb, limb_from = values["limb"], "user"
    if "chest" in values:
        chest, chest_from = values["chest"], "user"
    return with_gains(calibration, (limb, limb_from), (chest, chest_from))


def with_gains(
    calibration: Calibration, limb: tuple[float, str], chest: tuple[float, str]
) -> Calibration:
    """The calibration with the gain of either group and where it comes from."""
    same = limb == chest
    return replace(
        calibration,
        gain_mm_per_mv=limb[0],
        gain_from=limb[1],
        chest_gain_mm_per_mv=None if same else chest[0],
        chest_gain_from=None if same else chest[1],
    )


def pieces_called(sidecar: PageContent, key: str) -> list[Piece]:
    """The piece with this id, else those with this lead's name.

    Raises
    ------
    SidecarError
        If there is none.
    """
    found = [piece for piece in sidecar.pieces if piece.id == key]
    found = found or [piece for piece in sidecar.pieces if piece.lead == key]
    if not found:
        raise SidecarError(
            "A correction names a segment that the sidecar does not have.",
            stage=STAGE,
            hint='Use the "id" of one of its segments, or the name of one of its leads.',
        )
    return found


def _renamed(sidecar: Content, names: Mapping[str, str | None]) -> Content:
    changed = {}
    for key, name in names.items():
        lead = Value(name, "names").lead_or_none()
        for piece in pieces_called(sidecar, key):
            changed[piece.id] = replace(piece, lead=lead, named_by="user")
    return with_pieces(sidecar, changed)


def _restarted(sidecar: Content, start_s: Mapping[str, float]) -> Content:
    changed = {}
    for key, value in start_s.items():
        start = Value(value, "start_s").number(0.0, MAX_START_S)
        for piece in pieces_called(sidecar, key):
            changed[piece.id] = replace(piece, start_s=start)
    return with_pieces(sidecar, changed)


def describe_corrections(sidecar: PageContent) -> tuple[str, ...]:
    """What a person changed, in words."""
    said = []
    if sidecar.corners_moved or any(note.about == "corners" for note in sidecar.notes):
        said.append("corners of the page")
    if sidecar.layout != sidecar.found_layout:
        said.append(f"layout {sidecar.layout} (found: {sidecar.found_layout})")
    said += _scale_corrections(sidecar.calibration, sidecar.found_calibration)
    for piece in sidecar.pieces:
        said += _piece_corrections(piece, sidecar)
    return tuple(said)


def _scale_corrections(now: Calibration, found: Calibration) -> list[str]:
    said = []
    gains = {
        group: (new[0], old[0])
        for group, new, old in zip(GROUPS, _gains(now), _gains(found), strict=True)
        if new != old
    }
    if len(gains) == len(GROUPS) and len(set(gains.values())) == 1:
        new, old = gains["limb"]
        said.append(f"gain {new:g} mm/mV (found: {old:g})")
    else:
        said += [f"gain of the {g} leads {n:g} mm/mV (found: {o:g})" for g, (n, o) in gains.items()]
    if _speed(now) != _speed(found):
        said.append(f"paper speed {now.speed_mm_per_s:g} mm/s (found: {found.speed_mm_per_s:g})")
    return said


def _piece_corrections(piece: Piece, sidecar: PageContent) -> list[str]:
    where = f"segment {piece.id}"
    if piece.lead is None:
        return [f"{where} left out (found: {piece.found_lead})"]
    said = []
    if piece.lead != piece.found_lead:
        said.append(f"{where} is {piece.lead} (found: {piece.found_lead})")
    if piece.start_s != piece.found_start_s:
        said.append(f"{piece.lead} ({where}) begins at {piece.start_s:g} s")
    touched = hand_drawn(piece, sidecar)
    if touched.any():
        known = np.isfinite(measured(piece, sidecar.redraw, sidecar)[0])
        per_sample = piece.step_mm / sidecar.calibration.speed_mm_per_s
        for word, part in (("redrawn", touched & known), ("blanked", touched & ~known)):
            if part.any():
                said.append(f"{piece.lead} ({where}) {word} over {part.sum() * per_sample:.2f} s")
    return said


def carried(old: Content, new: Content) -> Content:
    """A new reading (from moved corners) with the other corrections of the old one.

    Names, times and redraws go to the stretch that stands in the same place of the same row; what
    finds none is said in a note.
    """
    changed = _with_scale_of(old, new)
    notes = [Note("corners", message("corners_given"))]
    if old.layout != old.found_layout:
        try:
            changed = with_layout(changed, old.layout)
        except SidecarError:
            notes.append(Note("lost", message("layout_lost")))
    pieces, redraws, lost = {}, [], []
    for piece in old.pieces:
        edited = piece.lead != piece.found_lead or piece.start_s != piece.found_start_s
        drawn = [redraw for redraw in old.redraw if redraw.segment == piece.id]
        if not edited and not drawn:
            continue
        match = next(
            (p for p in changed.pieces if p.id == piece.id and p.rhythm == piece.rhythm), None
        )
        if match is None:
            lost.append(piece.id)
            continue
        redraws += drawn
        if piece.lead != piece.found_lead:
            match = replace(match, lead=piece.lead, named_by="user")
        if piece.start_s != piece.found_start_s:
            match = replace(match, start_s=piece.start_s)
        pieces[match.id] = match
    notes += [Note("lost", message("correction_lost", segment=id_)) for id_ in lost]
    changed = replace(changed, redraw=tuple(redraws), notes=(*notes, *changed.notes))
    return with_pieces(changed, pieces)


def _with_scale_of(old: Content, new: Content) -> Content:
    """The new reading with the gain and the speed that a person corrected in the old one."""
    now, found = new.calibration, new.found_calibration
    if _gains(old.calibration) != _gains(old.found_calibration):
        now = with_gains(now, *_gains(old.calibration))
        found = with_gains(found, *_gains(old.found_calibration))
    corrected, before = old.calibration, old.found_calibration
    if _speed(corrected) != _speed(before):
        value, origin = _speed(corrected)
        now = replace(now, speed_mm_per_s=value, speed_from=origin)
        value, origin = _speed(before)
        found = replace(found, speed_mm_per_s=value, speed_from=origin)
    return replace(new, calibration=now, found_calibration=found)


def _gains(calibration: Calibration) -> list[tuple[float, str]]:
    return [
        (calibration.gain_for(leads[0]), calibration.gain_from_for(leads[0]))
        for leads in GROUPS.values()
    ]


def _speed(calibration: Calibration) -> tuple[float, str]:
    return calibration.speed_mm_per_s, calibration.speed_from
