"""Wrong names and swapped electrodes are found on a real ECG cut as a page shows it."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from ecg4u.digitize.signals.physiology import (
    average_beats,
    check_physiology,
    chest_detour,
    limb_misfit,
    misplaced_chest_leads,
    rename_strips,
    upright,
)
from ecg4u.digitize.signals.signal import SegmentSignal
from ecg4u.digitize.types import Layout, RowSegment
from ecg4u.io import read_record
from ecg4u.messages import message
from ecg4u.paper import LAYOUTS
from ecg4u.record import CHEST_LEADS, LEADS, LIMB_LEADS

RECORD = read_record(Path(__file__).parents[2] / "data" / "records" / "ptbxl_00427")


def _parts(signal: np.ndarray, layout: str = "3x4+1", **renamed: str) -> list[SegmentSignal]:
    """A record (n, 12) cut by a layout; names changed, but not the rhythm strip's."""
    parts = []
    rows = LAYOUTS[layout].rows
    most = max(len(row) for row in rows)
    for number, row in enumerate(rows):
        for cell in row:
            strip = len(row) < most
            first = round(cell.start_s * 500)
            piece = signal[first : first + round(cell.duration_s * 500), LEADS.index(cell.lead)]
            name = cell.lead if strip else renamed.get(cell.lead, cell.lead)
            segment = RowSegment(name, number, 0, 0, cell.start_s, "label", 1.0, strip)
            parts.append(SegmentSignal(segment, piece, np.ones(len(piece)), np.zeros((2, 2))))
    return parts


@pytest.mark.parametrize("layout", ["3x4+1", "3x4", "6x2", "12x1", "3x4+3"])
def test_a_page_with_right_names_gives_no_warning(layout: str) -> None:
    assert check_physiology(_parts(RECORD.p_signal, layout)) == ()


@pytest.mark.parametrize(("a", "b"), [("I", "III"), ("II", "aVF"), ("aVR", "aVF"), ("I", "aVR")])
def test_exchanged_limb_names_are_said_with_the_right_ones(a: str, b: str) -> None:
    warnings = check_physiology(_parts(RECORD.p_signal, **{a: b, b: a}))
    assert any(w.code == "limb_names_swapped" and f"{a} fits as {b}" in w for w in warnings)


def test_most_exchanges_of_two_limb_names_are_found() -> None:
    found = [
        any(
            w.code == "limb_names_swapped"
            for w in check_physiology(_parts(RECORD.p_signal, **{a: b, b: a}))
        )
        for a, b in combinations(LIMB_LEADS, 2)
    ]
    assert np.mean(found) > 0.7


def test_right_names_fit_einthoven_and_the_beats_keep_their_size() -> None:
    beats = average_beats(_parts(RECORD.p_signal))
    assert set(beats) == set(LEADS)
    assert limb_misfit(beats, LIMB_LEADS, LIMB_LEADS) < 0.05
    assert np.ptp(beats["V3"]) > 0.5 * np.ptp(RECORD.lead("V3"))


def test_exchanged_arm_electrodes_are_said() -> None:
    i, ii, iii, avr, avl, avf = RECORD.p_signal[:, :6].T
    limb = np.column_stack([-i, iii, ii, avl, avr, avf])
    warnings = check_physiology(_parts(np.column_stack([limb, RECORD.p_signal[:, 6:]])))
    assert any("arm electrodes" in w for w in warnings)


def test_a_flat_limb_lead_is_said() -> None:
    signal = RECORD.p_signal.copy()
    iii = 2 * signal[:, 4]
    signal[:, 0], signal[:, 1], signal[:, 2] = -iii, 0.0, iii
    signal[:, 3], signal[:, 4], signal[:, 5] = iii / 2, -iii, iii / 2
    assert any("Lead II is flat" in w for w in check_physiology(_parts(signal)))


def test_chest_leads_in_reverse_or_far_out_of_place_are_said() -> None:
    backwards = dict(zip(CHEST_LEADS, CHEST_LEADS[::-1], strict=True))
    found = check_physiology(_parts(RECORD.p_signal, **backwards))
    assert any(w.code == "chest_leads_reversed" for w in found)
    beats = average_beats(_parts(RECORD.p_signal, V1="V5", V5="V1"))
    assert chest_detour(beats)[0] > 1.5
    assert misplaced_chest_leads(beats)


def test_a_strip_of_another_lead_is_said() -> None:
    parts = _parts(RECORD.p_signal)
    parts[-1] = replace(parts[-1], signal=RECORD.lead("V1"))
    found = check_physiology(parts)
    assert any(w.code == "strip_like" and "V1" in w for w in found)


def test_nothing_is_said_of_noise_or_nothing() -> None:
    empty = np.full((5000, 12), np.nan)
    assert check_physiology(_parts(empty)) == ()
    assert check_physiology(_parts(np.zeros((5000, 12)))) == ()
    noise = np.random.default_rng(0).normal(0, 0.02, (5000, 12))
    assert not any("limb" in w for w in check_physiology(_parts(noise)))
    assert check_physiology([]) == ()


def test_a_strip_that_repeats_another_lead_is_named_after_it() -> None:
    right = _parts(RECORD.p_signal)
    layout = Layout("3x4+1", tuple(part.segment for part in right), 1.0)
    assert rename_strips(layout, right) == layout
    strip = replace(right[-1], segment=replace(right[-1].segment, lead="V1"))
    wrong = [*right[:-1], strip]
    renamed = rename_strips(replace(layout, segments=tuple(p.segment for p in wrong)), wrong)
    assert renamed.segments[-1].lead == "II"
    assert renamed.segments[-1].named_by == "layout"
    assert "repeats II" in renamed.doubts[0]


def test_a_strip_without_a_name_that_repeats_its_lead_is_in_no_doubt() -> None:
    right = _parts(RECORD.p_signal)
    unnamed = message("strip_unnamed", lead="II")
    segments = tuple(part.segment for part in right)
    layout = Layout("3x4+1", segments, 1.0, doubts=(unnamed,))
    assert rename_strips(layout, right).doubts == ()
    noise = np.random.default_rng(1).normal(0, 0.1, len(right[-1].signal))
    other = [*right[:-1], replace(right[-1], signal=noise)]
    assert unnamed in rename_strips(layout, other).doubts


@pytest.mark.parametrize("layout", ["12x1-cabrera", "6x2-cabrera"])
def test_aVR_that_is_drawn_upside_down_is_known_from_aVR(layout: str) -> None:
    turned = RECORD.p_signal.copy()
    turned[:, LEADS.index("aVR")] *= -1
    for signal, inverted in ((RECORD.p_signal, False), (turned, True)):
        parts = _parts(signal, layout)
        found = upright(Layout(layout, tuple(part.segment for part in parts), 1.0), parts)
        assert [s.lead for s in found.segments if s.inverted] == ["aVR"] * inverted
        assert len(found.warnings) == inverted
