from __future__ import annotations

import numpy as np
from made_hearts import as_3x4, bump, train

from ecg4u.explain import measure_features
from ecg4u.explain.beats import QRSList, find_beats
from ecg4u.explain.measure import classify_beats
from ecg4u.record import ECGRecord


def times(record: ECGRecord) -> list[float]:
    return [b.r_s for b in measure_features(record).beats]


def test_a_column_of_small_leads_beside_large_ones_keeps_its_beats(sinus):
    signal = as_3x4(sinus).p_signal.copy()
    signal[:, 6:] *= 6.0
    whole = times(sinus)
    found = times(ECGRecord(signal, sinus.fs))
    assert [min(abs(t - f) for f in found) < 0.05 for t in whole] == [True] * len(whole)


def test_an_empty_gap_stays_empty():
    record = train(r_times=np.array([0.6, 1.4, 2.2, 3.0, 5.8, 6.6, 7.4, 8.2, 9.0]))
    assert len(times(record)) == 9


def test_a_stroke_between_two_columns_is_no_beat(sinus):
    page = as_3x4(sinus)
    signal = page.p_signal.copy()
    t = np.arange(len(signal)) / page.fs
    stroke = 1.2 * bump(t, 2.55, 0.04) - 0.6 * bump(t, 2.6, 0.03)
    signal[:, 3:6] += stroke[:, None]
    assert len(times(ECGRecord(signal, page.fs))) == len(times(page))


def test_no_beat_is_early_across_two_columns_that_no_lead_ties_together(sinus):
    signal = sinus.p_signal.copy()
    half = len(signal) // 2
    second = np.roll(signal[half:], -round(0.2 * sinus.fs), axis=0)
    page = np.full_like(signal, np.nan)
    page[:half, :6] = signal[:half, :6]
    page[half:, 6:] = second[:, 6:]
    beats = measure_features(ECGRecord(page, sinus.fs)).beats
    gaps = np.diff([b.r_s for b in beats])
    assert (gaps < 0.85 * np.median(gaps)).any()
    assert not any(b.kind == "PAC" for b in beats)
    tied = page.copy()
    tied[:, 1] = np.concatenate([signal[:half, 1], second[:, 1]])
    assert any(b.kind == "PAC" for b in measure_features(ECGRecord(tied, sinus.fs)).beats)


def test_after_what_may_be_no_beat_nothing_is_early():
    """A pulse or stroke before the first beat must not make that beat a premature one."""
    r = 500.0 * np.array([0.3, 0.8, 1.8, 2.8, 3.8, 4.8])
    similarity = np.array([0.2, 1.0, 1.0, 1.0, 1.0, 1.0])
    near = np.ones(5, dtype=bool)

    def kinds(usual: np.ndarray, likeness: np.ndarray) -> list[str]:
        beats = QRSList(r, r - 20, r + 25, likeness, usual)
        return [b.kind for b in classify_beats(beats, np.ones(6), near)]

    assert kinds(similarity > 0.5, similarity)[:2] == ["other", "usual"]
    assert kinds(np.ones(6, dtype=bool), np.ones(6))[1] == "PAC"


def test_in_a_column_of_bigeminy_the_narrow_beats_are_the_usual_ones(sinus):
    """The first column of a page without rhythm strip: two ventricular beats about a sinus beat."""
    page = as_3x4(sinus, rhythm=())
    signal = page.p_signal.copy()
    t = np.arange(len(signal)) / page.fs
    first = [b for b in measure_features(page).beats if b.r_s < 2.4]
    for beat in first[::2]:
        around = np.abs(t - beat.r_s) < 0.35
        wide = 1.5 * bump(t, beat.r_s, 0.09) - 0.5 * bump(t, beat.r_s + 0.22, 0.1)
        signal[around, :3] = wide[around, None]
    kinds = [b.kind for b in measure_features(ECGRecord(signal, page.fs)).beats][: len(first)]
    assert kinds[1] == "usual"
    assert "usual" not in kinds[::2]


def marked(sizes: dict[float, float], starts_at: float = 0.0) -> list[float]:
    """The beats found on a page of 3x4 leads with a strip, where the network marks all of these
    complexes (s: mV), whatever their size; each begins ``starts_at`` mV above the baseline."""
    t = np.arange(5000) / 500.0
    wave = np.zeros(5000)
    probability = np.zeros((5000, 12, 3))
    for at, size in sizes.items():
        wave += size * (bump(t, at, 0.012) - 0.4 * bump(t, at + 0.04, 0.012))
        wave += starts_at * bump(t, at - 0.05, 0.05) * (at > 2.0)
        probability[(t > at - 0.05) & (t < at + 0.08), :, 1] = 1.0
    page = as_3x4(ECGRecord(np.repeat(wave[:, None], 12, axis=1), 500.0)).p_signal
    probability[np.isnan(page)] = np.nan
    return [round(float(r) / 500.0, 2) for r in find_beats(page, probability).r]


def test_a_p_wave_taken_for_a_complex_is_none():
    beats = dict.fromkeys((1.3, 2.8, 4.3, 5.8, 7.3, 8.8), 1.0)
    assert marked({**beats, 0.4: 0.18, 2.1: 0.15}) == list(beats)
    assert 2.1 in marked({**beats, 2.1: 0.3})


def test_a_complex_that_begins_on_a_p_wave_peaks_where_the_others_do():
    beats = dict.fromkeys((1.3, 2.8, 4.3, 5.8, 7.3, 8.8), 1.0)
    assert marked(beats, starts_at=0.5) == list(beats)
