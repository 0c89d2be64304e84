from __future__ import annotations

import itertools
import re

import made_up
import numpy as np
import pytest

from ecg4u.explain.result import Evidence, Sentence
from ecg4u.record import LEADS, ECGRecord
from ecg4u.report import figure, figure_layers


def points(path: str) -> list[np.ndarray]:
    """The runs of an SVG path made of M and relative l, in mm."""
    runs = []
    for part in re.findall(r"M([^Ml]+)l([^M]+)", path):
        start, steps = (np.array(re.findall(r"-?\d*\.?\d+", p), float) for p in part)
        runs.append(np.cumsum(np.vstack([start, steps.reshape(-1, 2)]), axis=0))
    return runs


def test_millimetres_are_25_a_second_and_10_a_millivolt() -> None:
    values = np.zeros((1000, 12))
    values[500:, 0] = 1.0
    record = ECGRecord(values, 500.0)
    paper = figure.lay_out(record, figure.arrange(record))
    panel = paper.panels[0]
    (run,) = points(figure.trace_path(record, panel))
    assert run[0] == pytest.approx([panel.x, panel.baseline], abs=0.01)
    assert run[-1] == pytest.approx([panel.x + 25 * 1.998, panel.baseline - 10], abs=0.01)


@pytest.mark.parametrize("height", [0.0, 0.6, -0.6, 1.2, 3.0, -3.0])
@pytest.mark.parametrize("at_s", [0.02, 0.1, 0.3])
def test_the_name_of_a_lead_is_clear_of_its_trace(height: float, at_s: float) -> None:
    values = np.zeros((1250, 12))
    for start in range(round(500 * at_s), 1200, 400):
        values[start : start + 30] = height * np.hanning(30)[:, None]
    record = ECGRecord(values, 500.0)
    for panel in figure.lay_out(record, figure.arrange(record)).panels:
        x, foot = figure.name_place(record, panel)
        (run,) = points(figure.trace_path(record, panel))
        em = figure.NAME_EM_MM
        wide = figure.NAME_ADVANCE * em * len(panel.strip.lead)
        here = run[(run[:, 0] >= x) & (run[:, 0] <= x + wide), 1]
        assert (here >= foot + 0.7).all() or (here <= foot - figure.NAME_RISE * em - 0.7).all()
        assert panel.top <= foot - figure.NAME_RISE * em < foot <= panel.bottom


def test_no_peak_loses_height() -> None:
    values = np.zeros((1000, 12))
    peaks = np.arange(31, 1000, 37)
    values[peaks, 0] = np.linspace(0.1, 2.0, len(peaks))
    record = ECGRecord(values, 500.0)
    paper = figure.lay_out(record, figure.arrange(record))
    (run,) = points(figure.trace_path(record, paper.panels[0]))
    drawn = paper.panels[0].baseline - run[:, 1]
    for height in values[peaks, 0]:
        assert np.abs(drawn - 10 * height).min() < 0.02


def test_nan_is_a_gap() -> None:
    values = made_up.signal()
    values[1000:1100, :] = np.nan
    record = ECGRecord(values, 500.0)
    paper = figure.lay_out(record, figure.arrange(record))
    first, second = points(figure.trace_path(record, paper.panels[0]))
    assert second[0, 0] - first[-1, 0] == pytest.approx(101 / 500 * 25, abs=0.02)


def test_rows_follow_what_the_record_shows() -> None:
    record = ECGRecord(made_up.paged(), 500.0)
    rows = [[strip.lead for strip in row] for row in figure.arrange(record)]
    assert rows[-1] == ["II"]
    assert rows[0][:1] == ["I"]
    assert rows[0][-3:] == ["aVR", "V1", "V4"]
    full = figure.arrange(ECGRecord(made_up.signal(), 500.0))
    assert [row[0].lead for row in full] == list(LEADS)


def test_rows_follow_the_page_where_there_was_one() -> None:
    record = ECGRecord(made_up.paged(), 500.0)
    rows = figure.arrange(record, made_up.digitization(record))
    assert [strip.lead for strip in rows[0]] == ["I", "aVR", "V1", "V4"]
    assert rows[0][1].start_s == 2.5


def test_panels_keep_to_the_paper() -> None:
    for values in (made_up.signal(), made_up.paged(), 100 * made_up.signal()):
        record = ECGRecord(values, 500.0)
        paper = figure.lay_out(record, figure.arrange(record))
        for panel in paper.panels:
            assert 0 <= panel.x < panel.x_at(1e9) <= paper.width
            assert 0 <= panel.top < panel.baseline < panel.bottom <= paper.height


def test_numbers_under_the_last_row_are_clear_of_its_seconds() -> None:
    digits_mm, seconds_mm = 1.9, 2.2  # how far below the row the one stands, how tall the other is
    for scale in np.linspace(0.5, 6.0, 36):
        record = ECGRecord(scale * made_up.paged(), 500.0)
        paper = figure.lay_out(record, figure.arrange(record))
        lowest = max(panel.bottom for panel in paper.panels)
        assert paper.height - lowest >= digits_mm + seconds_mm


def test_names_of_neighbouring_beats_do_not_touch() -> None:
    shortest_s, letter_mm = 0.4, 1.8
    longest = max(map(len, figure_layers.BEAT_WORDS.values()))
    assert longest * letter_mm < shortest_s * figure.MM_PER_S


def test_columns_that_show_the_same_seconds_stand_side_by_side() -> None:
    record = ECGRecord(made_up.signal(), 500.0)
    rows = [[figure.Strip("I", 0.0, 5.0), figure.Strip("V1", 0.0, 5.0)]]
    paper = figure.lay_out(record, rows)
    first, second = paper.panels
    assert second.x == pytest.approx(first.x_at(5.0))
    assert figure.traces(record, paper).count("from 0 s") == 1


def test_a_row_without_its_first_lead_stays_in_column() -> None:
    record = ECGRecord(made_up.signal(), 500.0)
    rows = [[figure.Strip("aVR", 2.5, 5.0)], [figure.Strip("II", 0.0, 2.5)]]
    above, below = figure.lay_out(record, rows).panels
    assert above.x - below.x == pytest.approx(62.5)


def test_numbers_under_a_trace_do_not_touch() -> None:
    record = ECGRecord(made_up.signal(), 500.0)
    paper = figure.lay_out(record, figure.arrange(record))
    starts = (0.1, 0.12, 0.2, 0.35, 0.5, 2.0, 2.05, 4.0)
    sentences = [
        Sentence("QRS", "made up", (Evidence("II", start, start + 0.1),)) for start in starts
    ]
    drawn = str(figure_layers.cited_places(sentences, paper))
    labels = re.findall(r'<text x="([\d.]+)"[^>]*>(.*?)</text>', drawn)
    spans = []
    for x, inside in labels:
        words = re.sub(r"<[^>]+>", "", inside)
        half = 0.5 * figure_layers.DIGIT_MM * len(words)
        spans.append((float(x) - half, float(x) + half))
    assert len(spans) > 1
    assert all(a[1] < b[0] for a, b in itertools.pairwise(sorted(spans)))
    told = {int(n) for _, inside in labels for n in re.findall(r'data-n="(\d+)"', inside)}
    assert told == set(range(1, len(starts) + 1))
