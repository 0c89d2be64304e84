"""Boosted trees over `ecg4u.model.measures`: the third kind of member of the ensemble.

Trees need few recordings to learn a rule such as "PR over 200 ms": with the networks' logits they
are averaged as if they were one more network. They are stored as plain arrays.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ecg4u.model.measures import COUNT, OfMeasures


@dataclass(frozen=True)
class TreesConfig:
    """Everything needed to rebuild the arrays; stored in the weights' card."""

    kind: str = "trees"
    outputs: int = 9
    trees: int = 120
    nodes: int = 15
    depth: int = 5
    measures: int = COUNT


class Trees(OfMeasures):
    """(n, 24, t) millivolts and masks at 100 Hz -> (n, outputs) logits.

    A node asks whether a measure is at most its threshold, and goes left or right; ``unknown_left``
    says where a NaN goes; both children of a leaf are the leaf itself.
    """

    measure: Tensor
    threshold: Tensor
    left: Tensor
    right: Tensor
    unknown_left: Tensor
    value: Tensor
    start: Tensor

    def __init__(self, config: TreesConfig) -> None:
        super().__init__()
        self.config = config
        shape = (config.outputs, config.trees, config.nodes)
        for name in ("measure", "left", "right"):
            self.register_buffer(name, torch.zeros(shape, dtype=torch.int16))
        self.register_buffer("unknown_left", torch.zeros(shape, dtype=torch.bool))
        for name in ("threshold", "value"):
            self.register_buffer(name, torch.zeros(shape))
        self.register_buffer("start", torch.zeros(config.outputs))

    def from_measures(self, values: Tensor) -> Tensor:
        """(n, `COUNT`) -> (n, outputs) logits."""
        outputs, trees, nodes = self.measure.shape
        measure, threshold = self.measure.flatten().long(), self.threshold.flatten()
        unknown_left = self.unknown_left.flatten()
        root = torch.arange(outputs * trees, device=values.device)[:, None] * nodes
        left, right = ((root + part.view(-1, nodes)).flatten() for part in (self.left, self.right))
        at = root[:, 0].expand(len(values), -1)
        for _ in range(self.config.depth):  # only the nodes on the way: a third of them
            asked = values.gather(1, measure[at])
            to_left = torch.where(asked.isnan(), unknown_left[at], asked <= threshold[at])
            at = torch.where(to_left, left[at], right[at])
        return self.start + self.value.flatten()[at].view(-1, outputs, trees).sum(2)
