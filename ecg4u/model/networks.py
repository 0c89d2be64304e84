"""The kinds of network that an ensemble may hold, rebuilt from their configurations."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn

from ecg4u.model.additive import Additive, AdditiveConfig
from ecg4u.model.beatnet import BeatConfig, BeatNet, Beats, lay_over
from ecg4u.model.measures import measures_of
from ecg4u.model.network import ECGNet, NetworkConfig
from ecg4u.model.trees import Trees, TreesConfig

Network = ECGNet | BeatNet | Trees | Additive

OF_MEASURES = (Trees, Additive)


def build(values: dict[str, Any]) -> Network:
    """The network of a configuration as ``to_dict`` gave it; ``kind`` is residual if not said."""
    if values.get("kind") == "beats":
        return BeatNet(BeatConfig.from_dict(values))
    if values.get("kind") == "trees":
        return Trees(TreesConfig.from_dict(values))
    if values.get("kind") == "additive":
        return Additive(AdditiveConfig.from_dict(values))
    return ECGNet(NetworkConfig.from_dict(values))


def answers(members: Iterable[nn.Module], x: Tensor) -> list[Tensor]:
    """(n, 24, t) -> each member's (n, outputs) logits.

    The beats are laid over one another, and measured, once for all members.
    """
    members = list(members)
    beats = lay_over(x)
    measured = measures_of(beats) if any(isinstance(net, OF_MEASURES) for net in members) else None
    return [_answer(net, x, beats, measured) for net in members]


def _answer(net: nn.Module, x: Tensor, beats: Beats, measured: Tensor | None) -> Tensor:
    if isinstance(net, OF_MEASURES) and measured is not None:
        return net.from_measures(measured)
    answer: Tensor = net.of(beats) if isinstance(net, BeatNet) else net(x)
    return answer
