"""The kinds of network that an ensemble may hold, rebuilt from their configurations."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn

from ecg4u.model.additive import Additive, AdditiveConfig
from ecg4u.model.measures import OfMeasures, measures
from ecg4u.model.network import ECGNet, NetworkConfig
from ecg4u.model.trees import Trees, TreesConfig

Network = ECGNet | Trees | Additive


def build(values: dict[str, Any]) -> Network:
    """The network of a configuration as the card holds it; ``kind`` is residual if not said."""
    if values.get("kind") == "trees":
        return Trees(TreesConfig(**values))
    if values.get("kind") == "additive":
        return Additive(AdditiveConfig(**values))
    blocks = tuple(values.get("blocks", NetworkConfig.blocks))
    return ECGNet(NetworkConfig(**{**values, "blocks": blocks}))


def answers(members: Iterable[nn.Module], x: Tensor) -> list[Tensor]:
    """(n, 24, t) -> each member's (n, outputs) logits; what is measured is measured once."""
    members = list(members)
    measured = measures(x) if any(isinstance(net, OfMeasures) for net in members) else None
    return [
        net.from_measures(measured)
        if measured is not None and isinstance(net, OfMeasures)
        else net(x)
        for net in members
    ]
