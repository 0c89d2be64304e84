"""The package runs the networks that were trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ecg4u.digitize.networks import WEIGHTS, Network
from training.page_networks import (
    FINDER_OF_NAMES,
    READER_OF_NAMES,
    READER_OF_PRINT,
    ROWS,
    TRACE,
    Shipped,
)

ALL = (TRACE, ROWS, FINDER_OF_NAMES, READER_OF_NAMES, READER_OF_PRINT)


def picture(network: Shipped) -> np.ndarray:
    """Noise of a size that is not that of the example with which it was written."""
    shape = [n * (2 if axis in network.free else 1) for axis, n in enumerate(network.example)]
    return np.random.default_rng(1).random(shape, dtype=np.float32)


@pytest.mark.parametrize("network", ALL, ids=lambda network: network.name)
def test_what_ships_answers_as_what_was_trained(network: Shipped) -> None:
    seen = picture(network)
    with torch.inference_mode():
        odds = network.trained()(torch.from_numpy(seen))
    found = Network(WEIGHTS / f"{network.name}.onnx")(seen)
    assert found.shape == tuple(odds.shape)
    if not network.softmax:
        assert found == pytest.approx(odds.sigmoid().numpy(), abs=1e-5)
        return
    rest = np.ones(found.shape[1], bool)
    for group in network.softmax:  # the temperature of the card changes no order
        likely = found[:, group]
        assert (likely.argmax(axis=1) == odds[:, group].argmax(dim=1).numpy()).all()
        assert likely.sum(axis=1) == pytest.approx(1.0, abs=1e-5)
        rest[group] = False
    assert found[:, rest] == pytest.approx(odds[:, rest].numpy(), abs=1e-4)


def test_the_network_is_small() -> None:
    assert sum(value.numel() for value in TRACE.build().parameters()) < 400_000


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch, about its exporter
def test_a_training_leaves_weights_card_and_the_network_of_the_package(tmp_path: Path) -> None:
    torch.manual_seed(3)
    net = FINDER_OF_NAMES.build().eval()
    FINDER_OF_NAMES.keep(net, {"temperature": 2.0}, tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {".safetensors", ".onnx", ".json"}
    seen = picture(FINDER_OF_NAMES)
    with torch.inference_mode():
        answer = net(torch.from_numpy(seen))
        for group in FINDER_OF_NAMES.softmax:
            answer[:, group] = (answer[:, group] / 2.0).softmax(dim=1)
    wanted = answer.numpy()
    assert Network(tmp_path / "places.onnx")(seen) == pytest.approx(wanted, abs=1e-5)
