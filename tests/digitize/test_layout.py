"""Where the columns of a photographed page begin."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ecg4u.digitize import digitize_page
from ecg4u.digitize.layout.arrangement import GEOMETRIES, PARTIAL, _doubts
from ecg4u.digitize.text.names import NAMES
from ecg4u.io import read_page
from ecg4u.messages import Message
from ecg4u.record import LEADS

PHONE = Path(__file__).parents[2] / "data" / "pages" / "phone.jpg"


def test_signal_begins_where_the_trace_goes_on_after_the_gap_behind_the_pulse() -> None:
    result = digitize_page(read_page(PHONE))
    first = {s.row: s for s in result.layout.segments if s.start_s < 0.1}
    assert len(first) == 4
    assert not any("names stand" in warning for warning in result.warnings)
    widths_mm = {
        round((s.x1 - s.x0) / result.rectified.px_per_mm)
        for s in result.layout.segments
        if not s.rhythm
    }
    assert widths_mm <= {61, 62, 63}


def test_an_unusual_order_that_was_read_with_doubt_is_said_so() -> None:
    geometry = next(g for g in GEOMETRIES if g.name == "6x2")
    shuffled = ["V1", "V4", "I", "aVR", "V2", "V5", "II", "aVL", "V3", "V6", "III", "aVF"]
    usual = [LEADS[column * 6 + row] for row in range(6) for column in range(2)]

    def doubts(names: list[str], score: float) -> list[Message]:
        scores = np.zeros((12, len(NAMES)))
        for cell, name in enumerate(names):
            scores[cell, NAMES.index(name)] = score
        found = _doubts(geometry, names, scores)
        return [doubt for doubt in found if doubt.code == "order_unusual"]

    assert doubts(shuffled, 1.5)
    assert not doubts(shuffled, 2.9)
    assert not doubts(usual, 1.5)


def test_traces_without_a_name_that_are_left_out_are_said() -> None:
    geometry = next(g for g in PARTIAL if g.name == "4x1")
    scores = np.zeros((4, len(NAMES)))
    scores[0, NAMES.index("aVL")] = scores[3, NAMES.index("I")] = 3.0

    def said(names: list[str]) -> list[str]:
        return [text.code for text in _doubts(geometry, names, scores) if isinstance(text, Message)]

    assert "traces_unnamed" in said(["aVL", "", "", "I"])
    assert "traces_unnamed" not in said(["aVL", "V1", "V2", "I"])
