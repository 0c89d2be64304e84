"""Calibration: the gain, from the 1-mV pulses or what is printed, and the paper speed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ecg4u.digitize.rows.trace import RowPath
from ecg4u.digitize.scale.decision import (
    CERTAIN,
    CERTAIN_GAIN,
    ODD_SHARE,
    Shown,
    likely_gain,
    likely_speed,
)
from ecg4u.digitize.scale.pulses import GAIN_TOLERANCE, Pulse, inner_pulses, standard_gain
from ecg4u.digitize.text.printed import PrintedScale
from ecg4u.digitize.types import USUAL_GAIN_MM_PER_MV, USUAL_SPEED_MM_PER_S, Calibration, Layout
from ecg4u.messages import Message, message
from ecg4u.record import CHEST_LEADS

FEWEST_CHEST_PULSES = 2
"""One pulse alone may be misread: a gain of their own is not given to the chest leads for it."""


def calibrate(
    pulses: tuple[Pulse, ...],
    px_per_mm: float,
    *,
    gain_mm_per_mv: float | None = None,
    speed_mm_per_s: float | None = None,
    printed: PrintedScale | None = None,
    shown: Shown | None = None,
) -> Calibration:
    """Gain and speed, each with where it comes from.

    What the user gives comes first, then for the gain the pulse, which is drawn with the trace,
    then what the page prints, then 10 mm/mV; for the speed what the page prints, then what the
    length of its rows, its beats and the width of its pulses make likeliest (``shown``; without it
    the pulses alone). Whatever contradicts the choice is reported.
    """
    printed = printed or PrintedScale()
    warnings: list[Message] = []
    doubts: tuple[Message, ...] = ()
    height = width = None
    measured = None
    if pulses:
        height = float(np.median([p.height_mm(px_per_mm) for p in pulses]))
        widths = [p.width_mm(px_per_mm) for p in pulses if not p.cut]
        width = float(np.median(widths)) if widths else None
        heights = [p.height_mm(px_per_mm) for p in pulses]
        measured = _commonest_gain(heights, printed.gain_mm_per_mv) or height
        if len({standard_gain(one) for one in heights}) > 1:
            doubts += (message("pulses_differ", gain=measured),)
        if measured != USUAL_GAIN_MM_PER_MV:
            if all(pulse.cut for pulse in pulses):
                doubts += (message("gain_from_cut_pulses", gain=measured),)
            elif shown is not None and shown.odd_share > ODD_SHARE:
                doubts += (message("gain_from_odd_pulses", gain=measured),)
    gain, gain_from = _first(
        {"user": gain_mm_per_mv, "pulse": measured, "text": printed.gain_mm_per_mv},
        USUAL_GAIN_MM_PER_MV,
    )
    sizes = [(p.height_mm(px_per_mm), p.width_mm(px_per_mm)) for p in pulses]
    likely, sure = likely_speed(shown or Shown(None, sizes))
    unusual = likely if likely != USUAL_SPEED_MM_PER_S else None
    by = "pulse" if shown is None else "layout"
    speed, speed_from = _first(
        {"user": speed_mm_per_s, "text": printed.speed_mm_per_s, by: unusual}, USUAL_SPEED_MM_PER_S
    )
    if speed_from == by:
        warnings.append(
            message("speed_from_rows", speed=speed)
            if by == "layout"
            else message("speed_from_pulses", speed=speed, width_mm=width or 0.0)
        )
    if gain_from == "user":
        warnings += _against("pulse_not_used", measured, gain)
    if gain_from in ("user", "pulse"):
        code = "printed_gain_not_given" if gain_from == "user" else "printed_gain_not_pulse"
        warnings += _against(code, printed.gain_mm_per_mv, gain)
    if speed_from == "user":
        warnings += _against("printed_speed_not_given", printed.speed_mm_per_s, speed)
    if gain_from == "assumed":
        warnings.append(message("gain_assumed"))
    if speed_from == "assumed":
        warnings.append(message("speed_assumed"))
    chest, chest_from = printed.chest_gain_mm_per_mv, "text"
    if chest == gain or gain_from == "user":
        chest = None
    if chest is not None:
        warnings.append(message("chest_gain_printed", gain=chest))
    if gain_from == "assumed" and shown is not None and shown.beats is not None:
        likeliest, probability = likely_gain(shown)
        if likeliest != gain or probability < CERTAIN_GAIN:
            doubts += (message("gain_uncertain", gain=gain, height_mm=shown.beats.height_mm),)
    if speed_from in ("assumed", by) and sure < CERTAIN:
        doubts += (message("speed_uncertain", speed=speed, probability=sure),)
    return Calibration(
        gain,
        speed,
        gain_from,
        speed_from,
        height,
        width,
        tuple(warnings),
        chest,
        None if chest is None else chest_from,
        doubts,
    )


def with_chest_gain(
    calibration: Calibration,
    pulses: Sequence[Pulse],
    paths: tuple[RowPath, ...],
    layout: Layout,
    px_per_mm: float,
) -> Calibration:
    """The calibration with a gain of its own for the chest leads, where their pulses say so.

    A pulse is drawn at the gain of the lead beside it: the first of its row, or the last, or the
    one that begins behind it.
    """
    if calibration.gain_from == "user" or calibration.chest_gain_mm_per_mv is not None:
        return calibration
    beside = [(p, _lead_beside(p, layout)) for p in pulses if p.side != "inner"]
    limb = [p.height_mm(px_per_mm) for p, lead in beside if lead and lead not in CHEST_LEADS]
    chest = [p.height_mm(px_per_mm) for p, lead in beside if lead in CHEST_LEADS]
    edges = {s.x0 for s in layout.segments if s.lead in CHEST_LEADS and not s.rhythm}
    between = [p for edge in sorted(edges) for p in inner_pulses(paths, (edge,), px_per_mm)]
    chest += [pulse.height_mm(px_per_mm) for pulse in between]
    gain = _commonest_gain(limb, None) or calibration.gain_mm_per_mv
    own = _commonest_gain(chest, None)
    if own is None or own == gain or len(chest) < FEWEST_CHEST_PULSES:
        return calibration
    alike = all(len({standard_gain(one) for one in heights}) < 2 for heights in (limb, chest))
    doubts = [d for d in calibration.doubts if not (alike and d.code == "pulses_differ")]
    return replace(
        calibration,
        gain_mm_per_mv=gain,
        chest_gain_mm_per_mv=own,
        chest_gain_from="pulse",
        warnings=(*calibration.warnings, message("chest_gain_from_pulses", gain=own)),
        doubts=tuple(doubts),
    )


def _lead_beside(pulse: Pulse, layout: Layout) -> str | None:
    """The lead next to a pulse at either end of its row; None of a row that is none."""
    row = [segment for segment in layout.segments if segment.row == pulse.row]
    outer = min if pulse.side == "left" else max
    return outer(row, key=lambda segment: segment.x0).lead if row else None


def _commonest_gain(heights_mm: Sequence[float], printed: float | None) -> float | None:
    """The standard gain that most pulses show; of several the printed one, else the usual one."""
    gains = [gain for height in heights_mm if (gain := standard_gain(height))]
    if not gains:
        return None
    return max(
        gains,
        key=lambda gain: (gains.count(gain), gain == printed, gain == USUAL_GAIN_MM_PER_MV, gain),
    )


def _first(values: dict[str, float | None], assumed: float) -> tuple[float, str]:
    """The first value that is known, and where it is from."""
    for source, value in values.items():
        if value is not None:
            return value, source
    return assumed, "assumed"


def _against(code: str, value: float | None, used: float) -> list[Message]:
    """A warning where a value contradicts the one that is used."""
    if value is None or abs(value / used - 1) <= GAIN_TOLERANCE:
        return []
    return [message(code, value=value, used=used)]
