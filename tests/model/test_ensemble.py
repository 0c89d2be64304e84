"""The shipped answer is that of all networks together, with the calibration of the card."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ecg4u.model import Classifier, prepare
from ecg4u.model.classifier import CARD_NAME, WEIGHTS
from ecg4u.record import ECGRecord


def with_calibration(folder: Path, **change: float) -> Classifier:
    """The shipped networks with another scale or bias of AF."""
    for file in WEIGHTS.iterdir():
        if file.name != CARD_NAME:
            (folder / file.name).symlink_to(file)
    card = json.loads((WEIGHTS / CARD_NAME).read_text())
    card["calibration"]["AF"] |= change
    (folder / CARD_NAME).write_text(json.dumps(card))
    return Classifier(folder)


def test_every_member_counts_alike(classifier: Classifier, normal: ECGRecord) -> None:
    windows = prepare(normal).windows()
    members = classifier.member_log_odds(windows)
    assert len(members) == len(classifier.card["members"]) > 1
    for one in range(len(members)):
        for other in range(one):
            assert np.max(np.abs(members[one] - members[other])) > 0.1
    np.testing.assert_allclose(classifier.log_odds(windows), members.mean(axis=0))


def test_the_cards_calibration_is_applied(
    classifier: Classifier, normal: ECGRecord, tmp_path: Path
) -> None:
    windows = prepare(normal).windows()
    scale, bias = (classifier.card["calibration"]["AF"][key] for key in ("scale", "bias"))
    plain = classifier.log_odds(windows)
    column = classifier.classes.index("AF")
    other = with_calibration(tmp_path, scale=2 * scale, bias=bias + 1.0).log_odds(windows)
    raw = (plain[:, column] - bias) / scale
    assert other[:, column] == pytest.approx(2 * scale * raw + bias + 1.0, abs=1e-4)
    rest = np.arange(len(classifier.classes)) != column
    np.testing.assert_allclose(other[:, rest], plain[:, rest], atol=1e-5)


def test_a_network_made_to_answer_only_answers_the_same() -> None:
    from copy import deepcopy

    import torch

    from ecg4u.model.networks import build, fused

    torch.manual_seed(0)
    network = build({"outputs": 3, "width": 8})
    x = torch.randn(6, 24, 500)
    for _ in range(20):
        network(x)
    network.eval()
    quick = fused(deepcopy(network))
    assert not any(isinstance(one, torch.nn.BatchNorm1d) for one in quick.modules())
    torch.testing.assert_close(quick(x), network(x), atol=1e-5, rtol=1e-5)
