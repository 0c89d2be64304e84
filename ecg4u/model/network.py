"""The classifier: a 1-D residual network over twelve leads and twelve masks.

Residual blocks as in He et al. 2016 (CVPR) and, for ECGs, Strodthoff et al. 2021 (IEEE JBHI 25:
1519, ``resnet1d_wang``), at 100 Hz so that it trains on two cores.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class NetworkConfig:
    """Everything needed to rebuild the network; stored in the weights' card."""

    in_channels: int = 24
    outputs: int = 9
    width: int = 32
    blocks: tuple[int, ...] = (1, 1, 1, 1)
    kernel: int = 7
    stem_kernel: int = 15
    dropout: float = 0.2


class ResidualBlock(nn.Module):
    """Two convolutions and a shortcut; the first convolution may halve the rate."""

    def __init__(self, channels_in: int, channels_out: int, stride: int, kernel: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(channels_in, channels_out, kernel, stride, kernel // 2, bias=False)
        self.norm1 = nn.BatchNorm1d(channels_out)
        self.conv2 = nn.Conv1d(channels_out, channels_out, kernel, 1, kernel // 2, bias=False)
        self.norm2 = nn.BatchNorm1d(channels_out)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or channels_in != channels_out:
            self.shortcut = nn.Sequential(
                nn.AvgPool1d(stride, ceil_mode=True),
                nn.Conv1d(channels_in, channels_out, 1, bias=False),
                nn.BatchNorm1d(channels_out),
            )

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels_in, t) -> (n, channels_out, ceil(t / stride))."""
        y = torch.relu(self.norm1(self.conv1(x)))
        return torch.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class ECGNet(nn.Module):
    """(n, 24, t) millivolts and masks at 100 Hz -> (n, outputs) logits, for any t of 1 s or more.

    Values under a zero mask are zeroed inside, so they cannot matter.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.stem = nn.Sequential(
            nn.Conv1d(
                config.in_channels,
                width,
                config.stem_kernel,
                2,
                config.stem_kernel // 2,
                bias=False,
            ),
            nn.BatchNorm1d(width),
            nn.ReLU(),
        )
        layers: list[nn.Module] = []
        channels = width
        for stage, count in enumerate(config.blocks):
            out = width * 2**stage
            for index in range(count):
                layers.append(ResidualBlock(channels, out, 2 if index == 0 else 1, config.kernel))
                channels = out
        self.body = nn.Sequential(*layers)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(2 * channels, config.outputs)

    def features(self, x: Tensor) -> Tensor:
        """(n, 24, t) -> (n, 2 * channels): the mean and the maximum over time."""
        leads, masks = x.chunk(2, dim=1)
        x = torch.cat([leads * masks, masks], dim=1)
        y = self.body(self.stem(x))
        return torch.cat([y.mean(dim=2), y.amax(dim=2)], dim=1)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 24, t) -> (n, outputs) logits."""
        return self.head(self.dropout(self.features(x)))
