"""Kinds of hard pages: each does to the page what its name says and keeps the truth true."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ecg4u.paper import LAYOUTS, PageStyle, Rule, draw_page
from ecg4u.paper.sensor import Sensor, sense
from ecg4u.paper.surface import Wear, wear_page
from ecg4u.record import ECGRecord
from training.kinds import KINDS, recorded, sensed, some_kinds, styled, worn

FS_HZ = 250.0
BARE = PageStyle(labels=False, footer=(), pulse="none", px_per_mm=8.0)
FLAT = ECGRecord(np.zeros((2500, 12)), FS_HZ)


def beats() -> ECGRecord:
    """A steep narrow beat of 1.5 mV every second on a level line."""
    signal = np.zeros((2500, 12))
    signal[125::250] = 1.5
    return ECGRecord(signal, FS_HZ)


def test_full_separators_run_through_the_rows_they_part_and_no_further() -> None:
    style = replace(BARE, separators="full", separator_reach=3.0)
    page = draw_page(FLAT, LAYOUTS["3x4+1"], style)
    assert not page.text.any()
    rows = [segment.zero_y for segment in page.segments]
    for lead in (3, 4, 5):
        x = round(page.segments[1].xy[0, 0])
        assert page.separator[round(rows[lead]), x] > 100
    column = page.separator[:, round(page.segments[1].xy[0, 0])]
    inked = np.flatnonzero(column > 127)
    assert inked[0] == pytest.approx(min(rows) - 3 * 8, abs=3)
    assert inked[-1] == pytest.approx(rows[8] + 3 * 8, abs=3)
    assert len(np.flatnonzero(page.separator[round(rows[0]) - 10] > 127)) < 3 * 8


@pytest.mark.parametrize("kind", ["outer", "ticks", "double", "tall", "dotted", "bar"])
def test_separators_stand_where_leads_meet(kind: str) -> None:
    style = replace(BARE, separators=kind, label_offset=(0.0, -4.0))
    page = draw_page(FLAT, LAYOUTS["3x4"], style)
    x = page.segments[2].xy[0, 0]
    band = page.separator[:, round(x) - 8 : round(x) + 8] > 127
    assert band.any()
    inside = page.separator[:, round(x) + 40 : round(page.segments[3].xy[0, 0]) - 40]
    assert not inside.any()
    on_the_line = band[round(page.segments[2].zero_y)].any()
    if kind != "dotted":
        assert on_the_line == (kind in ("ticks", "double", "tall"))


def test_rules_are_straight_print_and_neither_text_nor_trace() -> None:
    bare = draw_page(FLAT, LAYOUTS["3x4"], BARE)
    page = draw_page(FLAT, LAYOUTS["3x4"], replace(BARE, rules=(Rule(5, 6, 105, 6, 0.5),)))
    added = (page.image != bare.image).any(axis=2)
    assert np.array_equal(added, page.separator > 0)
    assert (page.separator > 127).sum() == pytest.approx(100 * 8 * 0.5 * 8, rel=0.3)
    assert not page.text.any()
    assert np.array_equal(page.trace, bare.trace)


def test_a_fast_pen_leaves_less_ink_and_the_truth_knows_nothing_of_it() -> None:
    plain = draw_page(beats(), LAYOUTS["12x1"], BARE)
    page = draw_page(beats(), LAYOUTS["12x1"], replace(BARE, speed_fade=0.5))
    assert np.array_equal(page.trace, plain.trace)
    segment = page.segments[3]
    x, top = segment.xy[125]
    level = page.image[round(segment.zero_y), round(x) - 60].mean()
    steep = page.image[round((top + segment.zero_y) / 2), round(x) - 3 : round(x) + 4].mean(axis=1)
    assert steep.min() > level + 60


def test_a_dot_head_rounds_the_curve_and_not_its_truth() -> None:
    slope = ECGRecord(np.linspace(0, 0.05, 2500)[:, None].repeat(12, 1), FS_HZ)
    page = draw_page(slope, LAYOUTS["12x1"], replace(BARE, head_pitch=0.25))
    segment = page.segments[0]
    columns = np.arange(round(segment.xy[20, 0]), round(segment.xy[-20, 0]))
    band = slice(round(segment.zero_y) - 30, round(segment.zero_y) + 30)
    ink = page.trace[band, columns].astype(float)
    centre = (ink * np.arange(60)[:, None]).sum(axis=0) / ink.sum(axis=0)
    steps = np.abs(centre - 30 + 2 * np.round((30 - centre) / 2))
    assert (steps < 0.1).mean() > 0.95
    assert len(np.unique(segment.xy[:, 1])) == 2500


@pytest.mark.parametrize("shape", ["box", "droop", "stairs"])
def test_pulses_stand_in_the_rows_that_are_asked_for(shape: str) -> None:
    style = replace(BARE, pulse="left", pulse_shape=shape, pulse_rows="first", pulse_lift=2.0)
    page = draw_page(FLAT, LAYOUTS["3x4"], style)
    rows = np.flatnonzero((page.pulse > 127).any(axis=1))
    zero = page.segments[0].zero_y
    assert rows[0] == pytest.approx(zero - 12 * 8, abs=3)
    assert rows[-1] < zero + 3 * 8
    assert rows[-1] - rows[0] >= 10 * 8 - 2


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_does_something_and_does_it_again(kind: str) -> None:
    def page(kinds: frozenset[str]) -> np.ndarray:
        rng = np.random.default_rng(3)
        signal = recorded(beats().p_signal, FS_HZ, kinds, rng)
        style = styled(PageStyle(px_per_mm=6.0), kinds, rng)
        drawn = draw_page(ECGRecord(signal, FS_HZ), LAYOUTS["3x4+1"], style)
        image, _ = wear_page(drawn, worn(Wear(), kinds, rng), rng)
        return sense(image, sensed(Sensor(), kinds, rng), rng)

    with_it = page(frozenset({kind}))
    assert np.array_equal(with_it, page(frozenset({kind})))
    assert not np.array_equal(with_it, page(frozenset()))


def test_kinds_come_as_often_as_their_share_says() -> None:
    rng = np.random.default_rng(0)
    drawn = [some_kinds(rng, {"often": 0.8, "never": 0.0}) for _ in range(400)]
    assert 280 < sum("often" in kinds for kinds in drawn) < 360
    assert not any("never" in kinds for kinds in drawn)


def test_a_pacing_spike_stands_before_each_beat() -> None:
    signal = beats().p_signal
    paced = recorded(signal, FS_HZ, {"pacing"}, np.random.default_rng(1))
    added = np.abs(paced - signal).max(axis=1) > 0.2
    assert 8 <= len(np.flatnonzero(np.diff(added.astype(int)) > 0)) <= 11
    for beat in np.flatnonzero(signal[:, 0] > 1)[1:]:
        assert added[beat - 20 : beat].any()


def test_a_poor_screenshot_has_few_tones() -> None:
    ramp = np.linspace(0, 255, 300).astype(np.uint8)[None, :, None].repeat(3, 2).repeat(8, 0)
    seen = sense(ramp, Sensor(levels=5), np.random.default_rng(0))
    assert sorted(np.unique(seen)) == [0, 64, 128, 191, 255]
