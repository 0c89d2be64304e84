"""What is no ECG, or too poor, is not measured, and the reading says so."""

import numpy as np
import pytest

from ecg4u.explain import explain
from ecg4u.model import classify
from ecg4u.record import ECGRecord

NOT_READABLE = {
    "noise": np.random.default_rng(0).normal(0, 0.3, (5000, 12)),
    "flat": np.zeros((5000, 12)),
    "nothing": np.full((5000, 12), np.nan),
}


@pytest.mark.parametrize("name", NOT_READABLE)
@pytest.mark.parametrize("classified", [True, False])
def test_what_cannot_be_read_is_not_measured(name: str, classified: bool) -> None:
    record = ECGRecord(NOT_READABLE[name], 500.0)
    said = explain(record, classify(record)) if classified else explain(record, classes=())
    assert [sentence.section for sentence in said.reading] == ["Conclusion"]
    assert said.reading[0].text.startswith("This signal cannot be read as an ECG")
    assert {row.outcome for row in said.criteria if row.decides} == {"cannot tell"}
    measured = {key for key, feature in said.features.globals.items() if feature.value is not None}
    assert measured == {"beats"}
    assert not said.attributions
    assert not said.features.beats
