"""The row network tells whose ink is whose where rows run into each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ecg4u.compare import score_lead
from ecg4u.digitize import digitize_page
from ecg4u.digitize.rows import row_network, trace
from ecg4u.digitize.rows.row_network import FAR, LOOKS, MARK_MM, MARKS, PX_PER_MM, STRIP_PX
from ecg4u.io import Page, read_record
from ecg4u.paper import LAYOUTS, PageStyle, draw_page
from ecg4u.record import LEADS

DATA = Path(__file__).parents[2] / "data"


def test_a_strip_says_how_far_it_is_from_its_row_and_from_the_nearest_other() -> None:
    look = np.zeros((LOOKS, 300, 40), np.float32)
    look[0, 100] = 1.0
    heights = np.repeat([[100.0], [160.0]], 40, axis=1)
    strip, top = row_network.strip_of(look, heights, 0)
    assert strip.shape == (LOOKS + MARKS, STRIP_PX, 40)
    assert top == 100 - STRIP_PX // 2
    line = 100 - top
    unit = MARK_MM * PX_PER_MM
    assert strip[0, line].all()
    assert strip[0].sum() == 40
    assert (strip[LOOKS, line] == 0).all()
    assert strip[LOOKS, line + 10, 0] == pytest.approx(10 / unit)
    assert strip[LOOKS + 1, line, 0] == pytest.approx(-60 / unit)
    assert strip[:LOOKS, :28].sum() == 0  # above the page


def test_a_row_alone_is_far_from_any_other() -> None:
    strip, _ = row_network.strip_of(
        np.zeros((LOOKS, 300, 16), np.float32), np.full((1, 16), 150.0), 0
    )
    assert (strip[LOOKS + 1] == FAR).all()


def test_rows_that_run_into_each_other_are_read_better_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    record = read_record(DATA / "records" / "ptbxl_00427")
    style = PageStyle(row_pitch=10.0, label_height=2.0, label_offset=(-1.0, 1.0), label_anchor="rs")
    drawn = draw_page(record, LAYOUTS["6x2"], style)
    true = np.full((round(10 * record.fs), len(LEADS)), np.nan)
    for segment in drawn.segments:
        first = round(segment.start_s * record.fs)
        true[first : first + len(segment.mv), LEADS.index(segment.lead)] = segment.mv

    def snr() -> float:
        found = digitize_page(Page(drawn.image, "0" * 64)).record.p_signal
        scores = [score_lead(true[:, k], found[:, k], record.fs) for k in range(len(LEADS))]
        return float(np.mean([score.snr_db for score in scores if score]))

    with_it = snr()
    monkeypatch.setattr(trace, "_parted_rows", lambda rows, *_: rows)
    assert with_it > snr() + 1.0
