"""Curves over measures: their basis, and what they are fitted to."""

import numpy as np
import torch

from ecg4u.model.additive import Additive, AdditiveConfig
from ecg4u.model.measures import COUNT
from ecg4u.model.networks import answers, build
from training.additive import Settings, fitted, knots_of


def test_a_curve_is_linear_between_its_knots_and_flat_beyond() -> None:
    net = Additive(AdditiveConfig(outputs=1, knots=3, measures=2))
    net.knots.copy_(torch.tensor([[0.0, 1.0, 3.0], [0.0, 1.0, 2.0]]))
    with torch.no_grad():
        net.head.bias.zero_()
        net.head.weight.copy_(torch.tensor([[10.0, 20.0, 60.0, 7.0, 0.0, 0.0, 0.0, 100.0]]))
    asked = torch.tensor([[v, 0.0] for v in (-5.0, 0.0, 0.5, 1.0, 2.0, 3.0, 9.0, np.nan)])
    said = net.from_measures(asked)[:, 0].tolist()
    assert said == [10, 10, 15, 20, 40, 60, 60, 7]
    assert net.from_measures(torch.tensor([[0.0, np.nan]]))[0, 0] == 110


def test_fitting_finds_a_threshold_that_a_line_cannot() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(3000, 4)).astype(np.float32)
    wanted = (np.abs(values[:, 2]) > 1.2).astype(np.float32)
    labels = np.stack([wanted, np.where(rng.random(3000) < 0.5, np.nan, wanted)], axis=1)
    net = Additive(AdditiveConfig(outputs=2, knots=7, measures=4))
    net.knots.copy_(knots_of(values, 7))
    basis = net.basis(torch.from_numpy(values)).detach()
    settings = Settings(data="", penalty=0.1)
    fitted(net, basis, torch.from_numpy(labels), torch.ones(3000), settings)
    said = net.from_measures(torch.from_numpy(values)).detach().numpy()
    for column in range(2):
        assert np.mean((said[:, column] > 0) == (wanted == 1)) > 0.9


def test_knots_ascend_even_where_a_measure_has_few_values() -> None:
    values = np.zeros((50, 2), np.float32)
    values[:, 1] = np.nan
    assert (knots_of(values, 5).diff(dim=1) > 0).all()


def test_knots_that_float16_makes_one_do_no_harm() -> None:
    net = Additive(AdditiveConfig(outputs=1, knots=3, measures=1))
    net.knots.copy_(torch.tensor([[200.0, 200.01, 200.02]]))
    net.knots.copy_(net.knots.half().float())
    said = net.from_measures(torch.tensor([[100.0], [200.0], [300.0]]))
    assert said.isfinite().all()


def test_it_is_rebuilt_and_shares_the_measuring() -> None:
    net = build({"kind": "additive", "outputs": 3}).eval()
    assert net.config.measures == COUNT
    x = torch.zeros(2, 24, 1000)
    x[:, :12, ::100] = 1
    x[:, 12:] = 1
    with torch.inference_mode():
        trees = build({"kind": "trees", "trees": 3}).eval()
        together, _ = answers([net, trees], x)
        torch.testing.assert_close(together, net(x))
    assert together.shape == (2, 3)
