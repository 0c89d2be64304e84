"""Do the attributions say what the network does? Deletion, pointing, randomisation, stability.

Every measure works on a `Game` (one window of a record divided among players) and an order or a
vector of values over its players.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ecg4u.explain.attribution import BoolArray, FloatArray, Game
from ecg4u.record import CLASSES

if TYPE_CHECKING:
    import torch

IntArray = npt.NDArray[np.int64]


def deletion_curves(game: Game, orders: list[IntArray], class_name: str) -> FloatArray:
    """(orders, players + 1): log-odds as players are hidden in each order, most important first.

    Scaled so that 1 is the whole record and 0 the record with all hidden. NaN where hiding
    everything does not lower the log-odds.
    """
    count = len(game.players)
    steps = np.arange(count + 1)
    kept = np.stack([np.argsort(order)[None] >= steps[:, None] for order in orders])
    unique, back = np.unique(kept.reshape(-1, count), axis=0, return_inverse=True)
    worth = game.values(unique)[:, CLASSES.index(class_name)][back].reshape(len(orders), -1)
    whole, nothing = worth[0, 0], worth[0, -1]
    if whole <= nothing:
        return np.full(worth.shape, np.nan)
    return np.asarray((worth - nothing) / (whole - nothing))


def deletion_auc(curves: FloatArray) -> FloatArray:
    """Area under each of the `deletion_curves`; lower is better."""
    return np.asarray(np.trapezoid(curves, dx=1 / (curves.shape[1] - 1), axis=1))


def energy_order(game: Game) -> IntArray:
    """Players by the energy of what they hide (mV squared), largest first."""
    return descending(_summed(game, game.channels[:12].astype(float) ** 2))


def gradient_order(game: Game, class_name: str) -> IntArray:
    """Players by the sum of |input x gradient| (Shrikumar et al. 2016), largest first."""
    import torch

    x = torch.from_numpy(game.channels[None].copy()).requires_grad_()
    score = sum(net(x)[0, CLASSES.index(class_name)] for net in members(game))
    (gradient,) = torch.autograd.grad(score, x)
    product = (gradient * x).detach().numpy()[0, :12]
    return descending(_summed(game, np.abs(product).astype(float)))


def grad_cam_order(game: Game, class_name: str) -> IntArray:
    """Players by Grad-CAM (Selvaraju et al. 2017) of the last convolution, largest first.

    Grad-CAM has no leads: within a moment the leads share its weight by their energy. Networks
    of the ensemble without a convolution over time have no map and are
    left out.
    """
    import torch

    x = torch.from_numpy(game.channels[None].copy())
    cam = np.zeros(game.channels.shape[1])
    for net in (net for net in members(game) if hasattr(net, "body")):
        kept: list[torch.Tensor] = []
        handle = net.body.register_forward_hook(lambda _m, _i, out, kept=kept: kept.append(out))
        try:
            score = net(x)[0, CLASSES.index(class_name)]
            (gradient,) = torch.autograd.grad(score, kept[0])
        finally:
            handle.remove()
        weighed = torch.relu((gradient.mean(dim=2, keepdim=True) * kept[0]).sum(dim=1))[0]
        coarse = weighed.detach().numpy().astype(float)
        at = (np.arange(len(cam)) + 0.5) / len(cam) * len(coarse) - 0.5
        cam += np.interp(at, np.arange(len(coarse)), coarse)
    energy = game.channels[:12].astype(float) ** 2
    share = energy / np.maximum(energy.sum(axis=0, keepdims=True), 1e-9)
    return descending(_summed(game, cam[None] * share))


def members(game: Game) -> list[Any]:
    """The networks behind a game's classifier that answer all classes, for gradients."""
    found: Any = game.classifier
    every = [len(columns) >= len(CLASSES) for columns in found._columns]
    return [net for net, all_of_them in zip(networks(found), every, strict=True) if all_of_them]


def networks(classifier: Any) -> list[Any]:
    """The networks of an ensemble."""
    return list(classifier._members)


def _summed(game: Game, weights: FloatArray) -> FloatArray:
    shown = game.owner >= 0
    return np.bincount(
        game.owner[shown], weights=weights[shown], minlength=len(game.players)
    ).astype(float)


def descending(values: FloatArray) -> IntArray:
    """Players from the largest value to the smallest; ties in the order of the players."""
    return np.argsort(-np.asarray(values), kind="stable")


def mass_inside(game: Game, values: FloatArray, inside: BoolArray) -> tuple[float, float]:
    """Share of the positive attribution on players that touch ``inside`` (t,), and by chance.

    Chance is the share of shown samples that belong to those players.
    """
    touching = np.array(
        [bool(((game.owner == p) & inside[None]).any()) for p in range(len(game.players))]
    )
    positive = np.maximum(values, 0)
    sizes = _summed(game, np.ones(game.owner.shape))
    if positive.sum() <= 0:
        return float("nan"), float(sizes[touching].sum() / sizes.sum())
    return (
        float(positive[touching].sum() / positive.sum()),
        float(sizes[touching].sum() / sizes.sum()),
    )


def points_at(game: Game, values: FloatArray, inside: BoolArray) -> bool:
    """Whether the player with the largest value touches ``inside`` (t,)."""
    return bool(((game.owner == int(np.argmax(values))) & inside[None]).any())


def randomised(classifier: Any, *, seed: int = 0) -> Any:
    """A copy of a classifier whose networks have freshly drawn weights (Adebayo et al. 2018)."""
    import copy

    import torch

    other = copy.copy(classifier)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        other._members = [_redrawn(net) for net in classifier._members]
    return other


def _redrawn(network: Any) -> Any:
    import copy

    fresh = copy.deepcopy(network)
    for module in fresh.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    if not any(True for _ in fresh.parameters()):
        _reshuffled(fresh)
    return fresh.eval()


def _reshuffled(trees: Any) -> None:
    """Trees have no weights to draw: what they ask and what they answer change places."""
    import torch

    for name in ("measure", "value"):
        held = getattr(trees, name)
        held.copy_(held.flatten()[torch.randperm(held.numel())].view_as(held))


def twins(classifier: Any) -> tuple[int, int]:
    """Two networks of the ensemble that differ in their seed only; the first two where none do."""
    kinds = [
        (type(net).__name__, repr(getattr(net, "config", None))) for net in classifier._members
    ]
    alike = [
        (i, j) for j in range(len(kinds)) for i in range(j) if kinds[i] == kinds[j]
    ]  # fmt: skip
    return alike[0] if alike else (0, min(1, len(kinds) - 1))


def single(classifier: Any, member: int) -> Any:
    """A classifier that consists of one network of the ensemble only."""
    import copy

    other = copy.copy(classifier)
    other._members = [classifier._members[member]]
    other._columns = [classifier._columns[member]]
    return other
