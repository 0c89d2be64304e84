"""A sum of curves over `ecg4u.model.measures`: one piecewise linear curve a measure and answer.

A generalised additive model: what a measure adds to the log-odds can be read off its curve. It
learns in seconds, answers the nine classes and the other findings at once, and needs few weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ecg4u.model.measures import COUNT, OfMeasures

LEAST_STEP = 1e-3
"""Between two knots: float16, in which weights ship, may make them one."""


@dataclass(frozen=True)
class AdditiveConfig:
    """Everything needed to rebuild the curves; stored in the weights' card."""

    kind: str = "additive"
    outputs: int = 9
    knots: int = 5
    measures: int = COUNT


class Additive(OfMeasures):
    """(n, 24, t) millivolts and masks at 100 Hz -> (n, outputs) logits.

    ``knots`` (measures, knots) ascend; beyond the outer ones a curve is flat. ``head`` weighs the
    value of each curve at its knots, and a measure that is NaN by a weight of its own.
    """

    knots: Tensor

    def __init__(self, config: AdditiveConfig) -> None:
        super().__init__()
        self.config = config
        start = torch.arange(config.knots, dtype=torch.float32)
        self.register_buffer("knots", start.repeat(config.measures, 1))
        self.head = nn.Linear(config.measures * (config.knots + 1), config.outputs)

    def from_measures(self, values: Tensor) -> Tensor:
        """(n, `COUNT`) -> (n, outputs) logits."""
        logits: Tensor = self.head(self.basis(values))
        return logits

    def basis(self, values: Tensor) -> Tensor:
        """(n, measures) -> (n, measures * (knots + 1)): how near each knot, and whether unknown."""
        unknown = values.isnan()
        known = torch.where(unknown, self.knots[:, 0], values)[..., None]
        low, high = self.knots[:, :-1], self.knots[:, 1:]
        part = ((known - low) / (high - low).clamp(min=LEAST_STEP)).clamp(0, 1)
        one, zero = torch.ones_like(part[..., :1]), torch.zeros_like(part[..., :1])
        near = torch.cat([one, part], dim=2) - torch.cat([part, zero], dim=2)
        near = torch.where(unknown[..., None], 0.0, near)
        return torch.cat([near, unknown[..., None].to(near)], dim=2).flatten(1)
