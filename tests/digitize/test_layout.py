"""Where the columns of a photographed page begin."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ecg4u.digitize import digitize_page
from ecg4u.digitize.layout.arrangement import GEOMETRIES, PARTIAL, _doubts, _explanations
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


def test_names_that_contradict_a_free_order_count_against_it_as_against_the_usual_one() -> None:
    """Of a page in the usual order traces made six of the names unreadable: two of what was read
    instead would make a free order, three fit that no better than the usual one."""
    geometry = next(g for g in GEOMETRIES if g.name == "3x4")
    usual = [LEADS[column * 3 + row] for row in range(3) for column in range(4)]
    read = {"I": 0.9, "aVL": 2.8, "aVF": 2.8, "V6": 2.8, "V3": 2.8, "II": 2.6}
    instead = {"V1": "V3", "V4": "aVL", "V5": "V1", "III": "II", "V2": "V3"}
    scores = np.zeros((12, len(NAMES)))
    for cell, name in enumerate(usual):
        shown = instead.get(name, name)
        if name in read or name in instead:
            scores[cell, NAMES.index(shown)] = read.get(name, 2.7)
    assert max(_explanations(geometry, scores))[1] == usual
