"""A small 1-D U-Net that marks P, QRS and T waves sample by sample in one lead.

Trained by ``training/waves.py`` on the cardiologists' boundaries of LUDB's training split.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

WAVE_FS_HZ = 250.0
WAVES = ("P", "QRS", "T")
WIDTHS = (16, 24, 32, 48, 64)
KERNEL = 9
"""Channels of each level and samples of a kernel: the weights are made for them."""
SCALE_FLOOR_MV = 0.05
"""A lead flatter than this is not blown up to look like one with waves."""

TOP = 0.98
MIN_TOP_MV = 0.005
"""Quantile of a lead's steepness that is scaled to 1, and the least of it (mV a sample)."""
COLUMN_S = 1.5
LEAST_SHARE = 0.15
"""From this length on a column is scaled by itself, but not beyond this share of the whole: it may
hold no QRS at all."""

FloatArray = npt.NDArray[np.float64]


def build() -> torch.nn.Module:
    """The network: (batch, 2, n) -> (batch, 4, n) logits of none, P, QRS, T; n a multiple of 16."""
    import torch
    from torch import nn

    def block(inputs: int, outputs: int) -> nn.Sequential:
        layers: list[nn.Module] = []
        for width in (inputs, outputs):
            layers += [
                nn.Conv1d(width, outputs, KERNEL, padding=KERNEL // 2, bias=False),
                nn.BatchNorm1d(outputs),
                nn.ReLU(),
            ]
        return nn.Sequential(*layers)

    class WaveNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.down = nn.ModuleList(
                block(a, b) for a, b in zip((2, *WIDTHS[:-1]), WIDTHS, strict=True)
            )
            self.up = nn.ModuleList(
                block(a + b, b) for a, b in zip(WIDTHS[:0:-1], WIDTHS[-2::-1], strict=True)
            )
            self.head = nn.Conv1d(WIDTHS[0], 1 + len(WAVES), 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            skips: list[torch.Tensor] = []
            for i, stage in enumerate(self.down):
                x = stage(x if i == 0 else nn.functional.max_pool1d(x, 2))
                skips.append(x)
            for stage, skip in zip(self.up, skips[-2::-1], strict=True):
                wider = nn.functional.interpolate(x, scale_factor=2.0)
                x = stage(torch.cat([wider, skip], dim=1))
            return self.head(x)

    return WaveNet()


def lead_inputs(signal: FloatArray, context: npt.NDArray[np.bool_] | None = None) -> FloatArray:
    """What the network sees of each lead: the lead itself, and how fast all leads together move.

    Parameters
    ----------
    signal : (n, leads) float64
        Millivolts at `WAVE_FS_HZ`, NaN where not known.
    context : (leads,) bool or None
        Leads that count towards the common speed; all by default.

    Returns
    -------
    (leads, 2, n) float64; 0 where nothing is known.
    """
    known = np.isfinite(signal)
    moved = np.abs(np.diff(signal, axis=0, prepend=signal[:1]))
    seen = np.isfinite(moved) if context is None else np.isfinite(moved) & context[None]
    energy = np.where(seen, moved, 0.0) ** 2
    count = seen.sum(axis=1)
    speed = np.sqrt(energy.sum(axis=1) / np.maximum(count, 1))
    speed = speed / _usual_top(speed, seen)
    inputs = np.zeros((signal.shape[1], 2, len(signal)))
    for lead in range(signal.shape[1]):
        values = signal[known[:, lead], lead]
        if not len(values):
            continue
        centred = values - np.median(values)
        scale = max(float(np.quantile(np.abs(centred), 0.98)), SCALE_FLOOR_MV)
        inputs[lead, 0, known[:, lead]] = centred / scale
        inputs[lead, 1] = np.where(known[:, lead], speed, 0.0)
    return inputs


def _usual_top(speed: FloatArray, seen: npt.NDArray[np.bool_]) -> FloatArray:
    """The speed of a QRS at each moment: the 98th percentile, (n,).

    Where other leads are shown (the next column of a page) it is another: taken over the whole
    page, a column of small leads beside one of large leads would look as if it had no QRS.
    """
    some = np.asarray(seen.any(axis=1))
    whole = float(np.quantile(speed[some], TOP)) if some.any() else 0.0
    top = np.full(len(speed), max(whole, MIN_TOP_MV))
    edges = np.flatnonzero((np.diff(seen.astype(np.int8), axis=0) != 0).any(axis=1)) + 1
    for start, end in zip([0, *edges], [*edges, len(speed)], strict=True):
        if end - start >= COLUMN_S * WAVE_FS_HZ and some[start]:
            here = float(np.quantile(speed[start:end], TOP))
            top[start:end] = max(here, LEAST_SHARE * whole, MIN_TOP_MV)
    return top
