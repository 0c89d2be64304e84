"""Where the columns of a photographed page begin."""

from __future__ import annotations

from pathlib import Path

from ecg4u.digitize import digitize_page
from ecg4u.io import read_page

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
