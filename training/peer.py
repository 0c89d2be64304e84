"""The peer to beat: the 1-D ResNet-34 of Zhang et al. 2021 (iScience 24: 102373).

Its layers as its authors published them: a stem of kernel 15, basic blocks of kernel 7 with dropout
0.2 between their convolutions, the mean and the maximum over time before the last layer; 12 leads,
no masks. Theirs read 30 s at 500 Hz; for two cores it reads what all networks here read, 10 s at
100 Hz.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

BLOCKS, KERNEL, DROPOUT = (3, 4, 6, 3), 7, 0.2


@dataclass(frozen=True)
class PeerConfig:
    """Stored beside its checkpoint."""

    kind: str = "resnet34"
    outputs: int = 9
    width: int = 64


class Block(nn.Module):
    """Two convolutions with dropout between, and a shortcut."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(channels_in, channels_out, KERNEL, stride, KERNEL // 2, bias=False),
            nn.BatchNorm1d(channels_out),
            nn.ReLU(),
            nn.Dropout(DROPOUT),
            nn.Conv1d(channels_out, channels_out, KERNEL, 1, KERNEL // 2, bias=False),
            nn.BatchNorm1d(channels_out),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1:
            self.shortcut = nn.Sequential(
                nn.Conv1d(channels_in, channels_out, 1, stride, bias=False),
                nn.BatchNorm1d(channels_out),
            )

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels_in, t) -> (n, channels_out, ceil(t / stride))."""
        return torch.relu(self.body(x) + self.shortcut(x))


class ResNet34(nn.Module):
    """(n, 24, t), of which the masks are not looked at -> (n, outputs) logits."""

    def __init__(self, config: PeerConfig) -> None:
        super().__init__()
        self.config = config
        layers: list[nn.Module] = [
            nn.Conv1d(12, config.width, 15, 2, 7, bias=False),
            nn.BatchNorm1d(config.width),
            nn.ReLU(),
            nn.MaxPool1d(3, 2, 1),
        ]
        channels = config.width
        for stage, count in enumerate(BLOCKS):
            out = config.width * 2**stage
            for index in range(count):
                layers.append(Block(channels, out, 2 if stage and not index else 1))
                channels = out
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(2 * channels, config.outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 24, t) -> (n, outputs) logits."""
        y = self.body(x[:, :12])
        return self.head(torch.cat([y.mean(dim=2), y.amax(dim=2)], dim=1))
