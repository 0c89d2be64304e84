"""The kinds of network that an ensemble may hold, rebuilt from their configurations."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ecg4u.model.beats import Beats, lay_over
from ecg4u.model.measures import OfMeasures, measures_of
from ecg4u.model.network import ECGNet, NetworkConfig
from ecg4u.model.trees import Trees, TreesConfig

Network = ECGNet | Trees


def build(values: dict[str, Any]) -> Network:
    """The network of a configuration as the card holds it; ``kind`` is residual if not said."""
    if values.get("kind") == "trees":
        return Trees(TreesConfig(**values))
    blocks = tuple(values.get("blocks", NetworkConfig.blocks))
    return ECGNet(NetworkConfig(**{**values, "blocks": blocks}))


def fused(network: nn.Module) -> nn.Module:
    """The network itself, to answer only: each batch norm made part of the convolution before it.

    A fifth less time for one record; log-odds differ by rounding.
    """
    network.eval()
    for parent in list(network.modules()):
        children = list(parent.named_children())
        for (name, one), (following, norm) in pairwise(children):
            if isinstance(one, nn.Conv1d) and isinstance(norm, nn.BatchNorm1d):
                setattr(parent, name, fuse_conv_bn_eval(one, norm))
                setattr(parent, following, nn.Identity())
    return network


def answers(members: Iterable[nn.Module], x: Tensor, beats: Beats | None = None) -> list[Tensor]:
    """(n, 24, t) -> each member's (n, outputs) logits; what is measured is measured once.

    ``beats`` are those of ``x``, if they are at hand.
    """
    members = list(members)
    measured = None
    if any(isinstance(net, OfMeasures) for net in members):
        measured = measures_of(beats or lay_over(x))
    return [
        net.from_measures(measured)
        if measured is not None and isinstance(net, OfMeasures)
        else net(x)
        for net in members
    ]
