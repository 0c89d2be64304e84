"""Checkpoints, and optimiser steps that go on from one: what finds names and units, and what reads
them, are trained by these."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler

KEPT_EVERY_S = 30.0
SHOWN = 50
"""Losses in the mean that is printed."""


def save(state: Mapping[str, Any], path: Path) -> None:
    """Write ``state`` for `torch.load`, at once or not at all."""
    import torch

    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".new")
    torch.save(state, temporary)
    os.replace(temporary, path)


def take_steps(
    net: nn.Module,
    optimiser: Optimizer,
    schedule: LRScheduler,
    loss_of: Callable[[int], Tensor],
    *,
    steps: int,
    checkpoint: Path,
    limit: float | None = None,
) -> list[float]:
    """Train ``net`` in place until ``steps``, from ``checkpoint`` on if there is one.

    ``loss_of`` gives the loss of a step by its number alone, so that a killed run ends with the
    same weights; gradients longer than ``limit`` are clipped. Returns the loss of every step.
    """
    import torch

    losses: list[float] = []
    if checkpoint.exists():
        kept = torch.load(checkpoint, weights_only=True)
        net.load_state_dict(kept["net"])
        optimiser.load_state_dict(kept["optimiser"])
        schedule.load_state_dict(kept["schedule"])
        losses = kept["losses"]
    last_kept = time.monotonic()
    while len(losses) < steps:
        net.train()
        loss = loss_of(len(losses))
        optimiser.zero_grad()
        loss.backward()
        if limit is not None:
            torch.nn.utils.clip_grad_norm_(net.parameters(), limit)
        optimiser.step()
        schedule.step()
        losses.append(float(loss.detach()))
        if time.monotonic() - last_kept > KEPT_EVERY_S or len(losses) == steps:
            state = {
                "net": net.state_dict(),
                "optimiser": optimiser.state_dict(),
                "schedule": schedule.state_dict(),
                "losses": losses,
            }
            save(state, checkpoint)
            last_kept = time.monotonic()
            print(len(losses), round(float(np.mean(losses[-SHOWN:])), 4), flush=True)
    return losses
