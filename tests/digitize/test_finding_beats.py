"""Where beats are found: in px or mV, upright or not, beside what is no beat."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from ecg4u.digitize.rows.beats import find_beats, steepness
from ecg4u.digitize.scale.beats import beats_of

PER_MM = 20.0
BEATS_S = (0.6, 1.4, 2.3, 3.1, 3.9)


def trace(times_s: tuple[float, ...] = BEATS_S, seconds: float = 4.5) -> npt.NDArray[np.float64]:
    """QRS complexes of 60 ms, each with a T wave, at 500 Hz."""
    t = np.arange(round(500 * seconds)) / 500
    waves = [
        np.exp(-0.5 * ((t - at) / 0.015) ** 2) + 0.3 * np.exp(-0.5 * ((t - at - 0.3) / 0.05) ** 2)
        for at in times_s
    ]
    return np.sum(waves, axis=0)


def found(*traces: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    steep = steepness(traces, PER_MM)
    assert steep is not None
    return find_beats(steep, apart=150) / 500


@pytest.mark.parametrize("scale", [1.0, -1.0, 0.001, 120.0])
def test_beats_are_found_whatever_the_gain_and_the_polarity(scale: float) -> None:
    assert found(scale * trace()) == pytest.approx(BEATS_S, abs=0.03)


def test_leads_count_alike_whatever_their_size() -> None:
    """A tall lead of other beats does not drown two small ones."""
    small = 0.05 * trace()
    other = trace((1.0, 1.9))
    assert set(BEATS_S) <= set(np.round(found(small, small, 3.0 * other), 1))


def test_one_artefact_hides_no_beat() -> None:
    spiked = trace()
    spiked[950:956] += 25.0
    assert set(BEATS_S) <= set(np.round(found(spiked), 1))


def test_a_trace_that_is_hardly_known_or_flat_tells_nothing() -> None:
    gone = trace()
    gone[: len(gone) * 2 // 3] = np.nan
    assert steepness([gone], PER_MM) is None
    assert steepness([np.zeros(2000)], PER_MM) is None
    assert found(trace(), gone[: len(trace())]) == pytest.approx(BEATS_S, abs=0.03)


def test_a_gap_is_no_beat() -> None:
    torn = trace()
    torn[850:1000] = np.nan
    torn[1000:] += 5.0  # the level after the gap is another
    assert found(torn) == pytest.approx(BEATS_S, abs=0.03)


def test_rows_of_a_page_tell_how_far_apart_its_beats_are() -> None:
    """0.8 to 0.9 s at 25 mm/s; steep for less than 3 mm."""
    beats = beats_of([300 - 100 * trace()], PER_MM)
    assert beats is not None
    assert beats.rr_mm == pytest.approx(20.0, abs=0.6)
    assert 0.7 < beats.qrs_mm < 3.0
