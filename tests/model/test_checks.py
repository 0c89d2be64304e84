from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ecg4u.io import read_record
from ecg4u.model import Classifier
from ecg4u.model.checks import PAGE_DOUBTS
from ecg4u.record import DOUBTFUL, DOUBTFUL_KEY, LEADS, Doubtful, ECGRecord

RECORD = Path(__file__).parents[2] / "data" / "records" / "ptbxl_00427"

Records = dict[str, tuple[ECGRecord, set[str]]]
RNG = np.random.default_rng(5)
N = 5000
T = np.arange(N) / 500.0

NO_ECG = {
    "flat": np.zeros((N, 12)),
    "nearly flat": RNG.normal(0, 0.002, (N, 12)),
    "white noise": RNG.normal(0, 0.3, (N, 12)),
    "one noise in all leads": np.tile(RNG.normal(0, 0.3, (N, 1)), (1, 12)),
    "brown noise": np.cumsum(RNG.normal(0, 0.02, (N, 12)), axis=0),
    "mains hum": np.tile(np.sin(2 * np.pi * 50 * T)[:, None], (1, 12)),
    "slow sine": np.tile(np.sin(2 * np.pi * 1.2 * T)[:, None], (1, 12)),
    "nothing known": np.full((N, 12), np.nan),
    "one second": np.where(np.arange(N)[:, None] < 500, RNG.normal(0, 0.3, (N, 12)), np.nan),
}


BURSTS = 0.05 + 0.5 * (np.sin(2 * np.pi * 0.4 * T) > 0.6)[:, None]
NO_ECG |= {
    "pulse wave": np.tile(np.abs(np.sin(np.pi * 1.2 * T))[:, None] ** 3, (1, 12)),
    "brain wave": np.tile(np.sin(2 * np.pi * 10 * T)[:, None], (1, 12)),
    "bursts of muscle noise": RNG.normal(0, 1, (N, 12)) * BURSTS,
    "breathing": np.tile(np.sin(2 * np.pi * 0.25 * T)[:, None], (1, 12)),
    "chirp": np.tile(np.sin(2 * np.pi * (T + 0.5 * T**2))[:, None], (1, 12)),
}


@pytest.mark.parametrize("name", NO_ECG)
def test_what_is_no_ecg_is_unreadable(classifier: Classifier, name: str) -> None:
    answer = classifier.classify(ECGRecord(NO_ECG[name], 500.0))
    assert answer.verdict == "unreadable"
    assert answer.reasons
    assert not answer.positive


def test_microvolts_taken_for_millivolts_are_unreadable(
    classifier: Classifier, normal: ECGRecord
) -> None:
    answer = classifier.classify(ECGRecord(normal.p_signal * 1000, normal.fs))
    assert answer.verdict == "unreadable"


def test_real_records_are_readable(classifier: Classifier, records: Records) -> None:
    for record, _ in records.values():
        assert classifier.classify(record).verdict != "unreadable"


def test_a_noisy_record_is_still_readable(classifier: Classifier, normal: ECGRecord) -> None:
    noisy = normal.p_signal + RNG.normal(0, 0.05, normal.p_signal.shape)
    assert classifier.classify(ECGRecord(noisy, 500.0)).verdict == "ok"


def test_swapped_limb_leads_are_doubtful(classifier: Classifier, normal: ECGRecord) -> None:
    swapped = normal.p_signal.copy()
    swapped[:, [0, 1]] = swapped[:, [1, 0]]
    answer = classifier.classify(ECGRecord(swapped, 500.0))
    assert answer.verdict == "uncertain"
    assert any("Einthoven" in reason for reason in answer.reasons)


def test_swapped_arms_are_doubtful(classifier: Classifier, normal: ECGRecord) -> None:
    at = LEADS.index
    arms = normal.p_signal.copy()
    arms[:, at("I")] = -normal.lead("I")
    arms[:, at("II")], arms[:, at("III")] = normal.lead("III"), normal.lead("II")
    arms[:, at("aVR")], arms[:, at("aVL")] = normal.lead("aVL"), normal.lead("aVR")
    answer = classifier.classify(ECGRecord(arms, 500.0))
    assert answer.verdict == "uncertain"


def test_a_record_whose_time_is_scrambled_is_unreadable(
    classifier: Classifier, normal: ECGRecord
) -> None:
    scrambled = np.random.default_rng(0).permutation(normal.p_signal)
    assert classifier.classify(ECGRecord(scrambled, 500.0)).verdict == "unreadable"


def test_unrelated_rows_of_spikes_are_unreadable(classifier: Classifier) -> None:
    rng = np.random.default_rng(3)
    rows = np.zeros((N, 12))
    for lead in range(12):
        for start in rng.choice(N - 20, 12, replace=False):
            rows[start : start + 20, lead] += np.hanning(20) * rng.normal(0, 1)
    assert classifier.classify(ECGRecord(rows, 500.0)).verdict == "unreadable"


REORDERED = {
    "II and III swapped": ("II", "III"),
    "I and III swapped": ("I", "III"),
    "aVR and aVL swapped": ("aVR", "aVL"),
    "V1 and V6 swapped": ("V1", "V6"),
}


@pytest.mark.parametrize("name", REORDERED)
def test_two_leads_that_change_places_are_doubtful(
    classifier: Classifier, normal: ECGRecord, name: str
) -> None:
    one, other = (LEADS.index(lead) for lead in REORDERED[name])
    swapped = normal.p_signal.copy()
    swapped[:, [one, other]] = swapped[:, [other, one]]
    answer = classifier.classify(ECGRecord(swapped, normal.fs))
    assert answer.verdict == "uncertain"
    assert any("swapped" in reason or "reverse" in reason for reason in answer.reasons)


def test_an_upside_down_signal_is_doubtful(classifier: Classifier, normal: ECGRecord) -> None:
    answer = classifier.classify(ECGRecord(-normal.p_signal, normal.fs))
    assert answer.verdict == "uncertain"
    assert any("upside down" in reason for reason in answer.reasons)


@pytest.mark.parametrize("shown", [3, 9])
def test_few_leads_are_doubtful_and_said_so(
    classifier: Classifier, normal: ECGRecord, shown: int
) -> None:
    few = normal.p_signal.copy()
    few[:, shown:] = np.nan
    answer = classifier.classify(ECGRecord(few, 500.0))
    assert answer.verdict == "uncertain"
    assert f"Only {shown} of 12 leads are shown." in answer.reasons


def test_one_lead_less_is_no_doubt(classifier: Classifier, normal: ECGRecord) -> None:
    one_gone = normal.p_signal.copy()
    one_gone[:, 3] = np.nan
    assert not classifier.classify(ECGRecord(one_gone, 500.0)).reasons


@pytest.mark.parametrize("factor", [0.1, 6.0])
def test_a_wrong_gain_is_doubtful(classifier: Classifier, normal: ECGRecord, factor: float) -> None:
    answer = classifier.classify(ECGRecord(normal.p_signal * factor, normal.fs))
    assert answer.verdict == "uncertain"
    assert any("gain may be wrong" in reason for reason in answer.reasons)


@pytest.mark.parametrize("kind", DOUBTFUL)
def test_what_was_uncertain_on_the_page_reaches_the_verdict(
    classifier: Classifier, kind: Doubtful
) -> None:
    record = read_record(RECORD)
    plain = classifier.classify(record)
    details = {**record.provenance.details, DOUBTFUL_KEY: [kind]}
    doubtful = replace(record, provenance=replace(record.provenance, details=details))
    found = classifier.classify(doubtful)
    assert found.verdict == "uncertain"
    assert set(found.reasons) - set(plain.reasons) == {PAGE_DOUBTS[kind]}


@pytest.mark.parametrize("n", [1, 2, 150, 1000])
def test_the_ends_of_a_lead_are_its_percentiles(n: int) -> None:
    from ecg4u.model.checks import _ends

    values = RNG.normal(0, 1, n).astype(np.float32)
    assert _ends(values) == pytest.approx(np.percentile(values, [0.5, 99.5]), abs=1e-6)


def test_beats_found_for_the_classes_are_those_of_the_checks(
    classifier: Classifier, normal: ECGRecord
) -> None:
    """A record of two windows, the second of unrelated spikes."""
    from ecg4u.model import prepare
    from ecg4u.model.checks import beat_likeness, check

    spikes = np.random.default_rng(2).permutation(normal.p_signal)
    both = prepare(ECGRecord(np.concatenate([normal.p_signal, spikes]), normal.fs))
    _, alike = classifier._read(both.windows())
    np.testing.assert_array_equal(alike, beat_likeness(both))
    assert alike[0] > 0.9 > alike[1]
    assert check(both, alike) == check(both)
