"""Where print leaves the order of the leads open, the signals decide it, or nothing is changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.physiology import cut, misread, renamed, unread
from ecg4u.digitize.layout.orders import decide_order
from ecg4u.digitize.signals.physiology import average_beats, check_physiology, misnamed_limb_leads
from ecg4u.digitize.signals.signal import SegmentSignal
from ecg4u.digitize.types import Layout
from ecg4u.io import read_record
from ecg4u.record import LIMB_LEADS

RECORDS = Path(__file__).parents[2] / "data" / "records"
SIGNAL = read_record(RECORDS / "ptbxl_04576").p_signal.T
UNTOLD = read_record(RECORDS / "ptbxl_00427").p_signal.T
"""A heart to which both usual orders fit about as well."""


def names(layout: Layout) -> list[str]:
    return [segment.lead for segment in layout.segments]


def as_layout(parts: list[SegmentSignal]) -> Layout:
    return Layout("3x4+1", tuple(part.segment for part in parts), 1.0)


@pytest.mark.parametrize("shown", ["3x4+1", "3x4+1-cabrera"])
@pytest.mark.parametrize("strip_read", [True, False])
def test_unread_limb_leads_are_named_by_the_order_that_fits(shown: str, strip_read: bool) -> None:
    truth = cut(SIGNAL, shown)
    layout, parts = unread(truth, strip_read=strip_read)
    decided = decide_order(layout, parts)
    assert names(decided) == [part.segment.lead for part in truth]
    by = {s.named_by for s in decided.segments if s.lead in LIMB_LEADS and not s.rhythm}
    assert by == {"physiology"}
    assert {s.named_by for s in decided.segments if s.lead not in LIMB_LEADS} == {"label"}
    assert "not clearly read" in decided.warnings[-1]


def test_names_that_were_clearly_read_are_never_given_up() -> None:
    parts = renamed(cut(SIGNAL), {"I": "III", "III": "I"})
    layout = as_layout(parts)
    assert decide_order(layout, parts) == layout
    assert any(w.code == "limb_names_swapped" for w in check_physiology(parts))


def test_names_read_with_doubt_give_way_and_it_is_said() -> None:
    truth = cut(SIGNAL)
    layout, parts = misread(truth, np.random.default_rng(0))
    assert names(layout) != [part.segment.lead for part in truth]
    decided = decide_order(layout, parts)
    assert names(decided) == [part.segment.lead for part in truth]
    assert decided.warnings[-1].code == "order_against_print"


def test_one_clear_name_of_the_usual_order_settles_it_without_the_signals() -> None:
    layout, parts = unread(cut(SIGNAL), strip_read=True)
    first = replace(parts[0], segment=replace(parts[0].segment, named_by="label"))
    parts = [first, *parts[1:]]
    layout = as_layout(parts)
    assert decide_order(layout, parts) == layout


def test_what_does_not_tell_the_orders_apart_decides_nothing() -> None:
    rng = np.random.default_rng(0)
    for signal in (
        np.zeros((12, 5000)),
        rng.normal(0, 0.1, (12, 5000)),
        np.full((12, 5000), np.nan),
    ):
        layout, parts = unread(cut(signal), strip_read=False)
        assert decide_order(layout, parts) == layout


def test_a_page_read_in_full_is_left_alone() -> None:
    parts = cut(SIGNAL)
    assert decide_order(as_layout(parts), parts) == as_layout(parts)


def cut_early(seconds: float, strip: bool = True) -> list[SegmentSignal]:
    """A page whose columns were cut too early: each lead begins with its neighbour's end."""
    shown = []
    n = round(seconds * 500)
    parts = cut(SIGNAL)
    for part in parts:
        before = [
            p
            for p in parts
            if p.segment.row == part.segment.row
            and abs(p.segment.start_s + 2.5 - part.segment.start_s) < 0.1
        ]
        head = before[0].signal[-n:] if before else part.signal[:n]
        signal = part.signal if part.segment.rhythm else np.concatenate([head, part.signal[:-n]])
        shown.append(replace(part, signal=signal))
    shift = [
        replace(p, segment=replace(p.segment, start_s=p.segment.start_s - seconds))
        if not p.segment.rhythm
        else p
        for p in shown
    ]
    return shift if strip else shift[:-1]


def test_columns_cut_a_little_early_make_no_names_doubtful() -> None:
    for seconds in (0.1, 0.2, 0.28):
        found = check_physiology(cut_early(seconds))
        assert not any(w.code == "limb_names_swapped" for w in found)


def test_beats_within_a_lead_are_its_own() -> None:
    parts = cut_early(0.28)
    inside = average_beats(parts, edge_s=0.3)
    assert misnamed_limb_leads(inside) == ()
    everywhere = average_beats(parts)
    assert any(not np.array_equal(inside[lead], everywhere[lead]) for lead in inside)


def test_two_limb_leads_that_were_not_read_in_an_unusual_order_are_told_by_the_signals() -> None:
    truth = renamed(cut(SIGNAL), {"V1": "V2", "V2": "V1"})
    wrong = {"aVL": "aVF", "aVF": "aVL"}
    parts = [
        replace(
            part,
            segment=replace(
                part.segment, lead=wrong[part.segment.lead], named_by="layout", probability=0.5
            ),
        )
        if part.segment.lead in wrong
        else part
        for part in truth
    ]
    decided = decide_order(as_layout(parts), parts)
    assert names(decided) == [part.segment.lead for part in truth]
    assert decided.warnings[-1].code == "order_by_signals"
