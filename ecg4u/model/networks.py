"""The kinds of network that an ensemble may hold, rebuilt from their configurations."""

from __future__ import annotations

from typing import Any

from ecg4u.model.beatnet import BeatConfig, BeatNet
from ecg4u.model.network import ECGNet, NetworkConfig
from ecg4u.model.trees import Trees, TreesConfig

Network = ECGNet | BeatNet | Trees


def build(values: dict[str, Any]) -> Network:
    """The network of a configuration as ``to_dict`` gave it; ``kind`` is residual if not said."""
    if values.get("kind") == "beats":
        return BeatNet(BeatConfig.from_dict(values))
    if values.get("kind") == "trees":
        return Trees(TreesConfig.from_dict(values))
    return ECGNet(NetworkConfig.from_dict(values))
