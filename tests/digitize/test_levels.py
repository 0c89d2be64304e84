"""Where 0 mV lies follows from the relations between leads, from pulses and from even rows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ecg4u.digitize.signals.levels import ZeroLine, levelled
from ecg4u.digitize.signals.signal import SegmentSignal
from ecg4u.digitize.types import Calibration, RowSegment
from ecg4u.io import read_record
from ecg4u.record import EINTHOVEN, LEADS

RECORD = sorted((Path(__file__).parents[2] / "data" / "records").glob("*.hea"))[0]
THREE_ROWS = (("I", "aVR", "V1", "V4"), ("II", "aVL", "V2", "V5"), ("III", "aVF", "V3", "V6"))
SIX_ROWS = tuple(zip(LEADS[:3] + LEADS[6:9], LEADS[3:6] + LEADS[9:], strict=True))
PITCH_MM, GAIN = 30.0, 10.0


@pytest.fixture(scope="module")
def true() -> np.ndarray:
    """Ten seconds (5000, 12) of a real recording whose limb leads are made of its I and II."""
    signal = np.array(read_record(RECORD).p_signal)[:5000]
    for lead, parts in EINTHOVEN.items():
        signal[:, LEADS.index(lead)] = sum(f * signal[:, LEADS.index(n)] for n, f in parts.items())
    return signal


def page(
    true: np.ndarray, rows: tuple, off_mm: list[float], strip: str | None = "II"
) -> list[SegmentSignal]:
    """The segments of a page whose rows' zero lines were taken ``off_mm`` too high."""
    width = 5000 // len(rows[0])
    shown = [
        (lead, row, k * width, width, False)
        for row, leads in enumerate(rows)
        for k, lead in enumerate(leads)
    ]
    shown += [(strip, len(rows), 0, 5000, True)] if strip else []
    return [
        SegmentSignal(
            RowSegment(lead, row, first / 2, (first + n) / 2, first / 500, "label", 0.99, rhythm),
            true[first : first + n, LEADS.index(lead)] - off_mm[row] / GAIN,
            np.ones(n),
            np.zeros((n, 2)),
        )
        for lead, row, first, n, rhythm in shown
    ]


def zeros(off_mm: list[float], feet: tuple[int, ...] = ()) -> dict[int, ZeroLine]:
    return {
        row: ZeroLine(PITCH_MM * row - (0 if row in feet else off), row in feet)
        for row, off in enumerate(off_mm)
    }


def errors_mm(parts: list[SegmentSignal], true: np.ndarray) -> np.ndarray:
    found = []
    for part in parts:
        first = round(part.segment.start_s * 500)
        at = true[first : first + len(part.signal), LEADS.index(part.segment.lead)]
        found.append(GAIN * float(np.median(part.signal - at)))
    return np.abs(found)


def test_three_rows_and_a_strip_tell_all_four_zero_lines(true: np.ndarray) -> None:
    off = [0.8, -0.5, 0.3, 1.1]
    better = levelled(page(true, THREE_ROWS, off), zeros(off), Calibration())
    assert errors_mm(better, true).max() < 0.1


def test_rows_of_chest_leads_follow_from_even_spacing(true: np.ndarray) -> None:
    off = [0.4, -0.5, 0.3, 2.0, -1.5, 1.0, 0.2]
    better = levelled(page(true, SIX_ROWS, off), zeros(off), Calibration())
    assert errors_mm(better, true).max() < 0.4


def test_rows_that_are_not_evenly_spaced_do_not_move_each_other(true: np.ndarray) -> None:
    heights = zeros([0.0] * 7)
    uneven = {
        row: ZeroLine(line.y_mm + (2.0 if row in (1, 4) else 0.0), False)
        for row, line in heights.items()
    }
    read = page(true, SIX_ROWS, [0.0] * 7)
    assert errors_mm(levelled(read, uneven, Calibration()), true).max() < 0.1


def test_a_pulse_holds_its_row_where_nothing_else_tells(true: np.ndarray) -> None:
    off = [0.0, 0.6]
    pair = page(true, (("II",), ("III",)), off, strip=None)
    strip = page(true, (("V1",), ("II",)), off, strip=None)[1]
    held = levelled([pair[0], strip], zeros(off, feet=(0,)), Calibration())
    assert errors_mm(held, true)[0] < 0.05
    assert errors_mm(held, true)[1] < 0.1


def test_names_that_contradict_the_signals_move_no_row_far(true: np.ndarray) -> None:
    swapped = (("V1", "aVR", "I", "V4"), *THREE_ROWS[1:])
    off = [0.0] * 4
    read = page(true, swapped, off)
    names = {"V1": "I", "I": "V1"}
    named = [
        replace(p, segment=replace(p.segment, lead=names.get(p.segment.lead, p.segment.lead)))
        for p in read
    ]
    moved = levelled(named, zeros(off), Calibration())
    change = [np.abs(np.median(a.signal - b.signal)) for a, b in zip(moved, named, strict=True)]
    assert GAIN * max(change) < 1.0


def test_one_lead_alone_stays_as_it_was_read(true: np.ndarray) -> None:
    read = page(true, (("V2",),), [0.7], strip=None)
    assert np.allclose(levelled(read, zeros([0.7]), Calibration())[0].signal, read[0].signal)


def test_a_lead_that_was_not_read_hides_no_relation_of_the_others(true: np.ndarray) -> None:
    off = [0.8, -0.5, 0.3, 1.1]
    read = page(true, THREE_ROWS, off)
    lost = [
        replace(p, signal=np.full(len(p.signal), np.nan)) if p.segment.lead == "aVL" else p
        for p in read
    ]
    better = levelled(lost, zeros(off), Calibration())
    shown = [p for p in better if p.segment.lead != "aVL"]
    assert errors_mm(shown, true).max() < 0.3
    alone = [p for p in shown if p.segment.lead in ("I", "aVR")]
    assert errors_mm(alone, true).max() < 0.1
