"""The kinds of network that an ensemble may hold, rebuilt from their configurations."""

from __future__ import annotations

from typing import Any

from ecg4u.model.beatnet import BeatConfig, BeatNet
from ecg4u.model.network import ECGNet, NetworkConfig

Network = ECGNet | BeatNet


def build(values: dict[str, Any]) -> Network:
    """The network of a configuration as ``to_dict`` gave it; ``kind`` is residual if not said."""
    if values.get("kind") == "beats":
        return BeatNet(BeatConfig.from_dict(values))
    return ECGNet(NetworkConfig.from_dict(values))
