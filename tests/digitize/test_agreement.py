"""What the leads of one column say of each other, and grades that follow from it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from ecg4u.digitize.signals.agreement import faults
from ecg4u.digitize.signals.quality import grade_segment
from ecg4u.digitize.signals.signal import SegmentSignal
from ecg4u.digitize.types import RowSegment

FS = 500.0
BEATS_S = (0.4, 1.2, 2.0)


def signal(heights: tuple[float, float, float], size: float = 1.0) -> npt.NDArray[np.float64]:
    """2.5 s with three QRS complexes of 80 ms and T waves."""
    t = np.arange(1250) / FS
    beats = [
        h
        * (
            np.exp(-0.5 * ((t - at) / 0.015) ** 2)
            - 0.2 * np.exp(-0.5 * ((t - at - 0.03) / 0.01) ** 2)
        )
        + 0.2 * np.exp(-0.5 * ((t - at - 0.3) / 0.05) ** 2)
        for at, h in zip(BEATS_S, heights, strict=True)
    ]
    return size * np.sum(beats, axis=0)


def part(values: npt.NDArray[np.float64], row: int, lead: str = "V4") -> SegmentSignal:
    segment = RowSegment(lead, row, 100.0, 725.0, 0.0, "label", 0.99)
    return SegmentSignal(segment, values, np.ones(len(values)), np.zeros((len(values), 2)))


def column(own: npt.NDArray[np.float64]) -> list[SegmentSignal]:
    others = [part(signal((1, 1, 1), size), row + 1) for row, size in enumerate((0.8, -1.3, 0.5))]
    return [part(own, 0), *others]


def test_leads_that_agree_are_good() -> None:
    assert faults(column(signal((1, 0.9, 1.1)))) == [()] * 4


def test_a_qrs_complex_cut_short_in_one_lead_is_found() -> None:
    found = faults(column(signal((1.0, 0.3, 1.1))))
    assert "1.2 s" in found[0][0]
    assert found[1:] == [()] * 3
    grade, reasons = grade_segment(column(signal((1, 0.3, 1)))[0], found[0])
    assert grade == "fair"
    assert reasons == found[0]


def test_a_beat_that_is_low_in_all_leads_is_no_fault() -> None:
    low = (1.0, 0.5, 1.0)
    parts = [part(signal(low, size), row) for row, size in enumerate((1.0, 0.8, -1.3, 0.5))]
    assert faults(parts) == [()] * 4


def test_a_spike_between_beats_is_found() -> None:
    own = signal((1, 1, 1))
    own[400:404] += 1.5
    (reason,) = faults(column(own))[0]
    assert reason.startswith("a spike at 0.8 s")


def test_one_other_lead_proves_nothing() -> None:
    assert faults(column(signal((1, 0.3, 1)))[:2]) == [(), ()]


@pytest.mark.parametrize(("size", "grade"), [(0.02, "good"), (0.2, "fair")])
def test_what_turns_as_no_heart_does_is_not_good(size: float, grade: str) -> None:
    own = signal((1, 1, 1))
    own[750:900] += size * np.sign(np.sin(np.arange(150) * np.pi / 9))
    assert grade_segment(part(own, 0))[0] == grade
