"""Learn from signals without labels: `python -m training.pretrain --data data.h5 --run runs/p`.

A residual network sees a recording as a random page shows it and is asked for what the page does
not show (``leads``: all twelve leads over the whole window, in the way of masked autoencoders, He
et al. 2022, CVPR), for what a reader would measure on the full leads (``measures``, of
`ecg4u.model.measures`), or for both. `training.train --pretrained RUN` begins from its weights.
No label is read, and the recordings held out are not seen.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ecg4u.model.measures import COUNT, measures
from ecg4u.model.network import ECGNet, NetworkConfig, pooled
from ecg4u.record import LEADS
from training.augment import Augmentation, augment, centred
from training.dataset import Data, load
from training.folds import checked, held
from training.train import save_run

SEEN_WEIGHT = 0.1
"""What a sample that the page shows counts, beside one that it hides."""
EMA_DECAY = 0.99
GRADIENT_LIMIT = 2.0
BATCH = 64
RANKS = 101


@dataclass(frozen=True)
class Settings:
    """Every setting of a run; saved beside its weights."""

    data: str
    network: str = "pretext"
    pretext: str = "both"
    epochs: int = 12
    learning_rate: float = 4e-3
    weight_decay: float = 0.03
    width: int = 32
    blocks: tuple[int, ...] = (1, 1, 1, 1)
    seed: int = 0
    precision: str = "fp32"
    held_out: str = "valid"


class Pretext(nn.Module):
    """`ECGNet`'s features with a head for the twelve leads and one for the measures."""

    def __init__(self, encoder: ECGNet) -> None:
        super().__init__()
        self.encoder = encoder
        channels = encoder.head.in_features // 2
        self.patch = 2 ** (1 + len(encoder.config.blocks))
        self.leads = nn.Conv1d(channels, len(LEADS) * self.patch, 1)
        self.measures = nn.Linear(2 * channels, COUNT)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(n, 24, t) -> (n, 12, t) mV and (n, `COUNT`) ranks as normal scores."""
        maps = self.encoder.maps(x)
        patches = self.leads(maps).unflatten(1, (len(LEADS), self.patch))
        leads = patches.transpose(2, 3).flatten(2)[..., : x.shape[2]]
        return leads, self.measures(pooled(maps))


def normal_scores(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(n, measures) -> their ranks in each column as quantiles of a normal; NaN stays NaN."""
    from scipy.special import ndtri

    scores = np.full_like(values, np.nan)
    shares = np.linspace(0.005, 0.995, RANKS)
    for column, each in enumerate(values.T):
        known = np.isfinite(each)
        if known.any():
            steps = np.maximum.accumulate(np.quantile(each[known], shares))
            scores[known, column] = ndtri(np.interp(each[known], steps, shares))
    return scores


def loss_of(
    found: tuple[Tensor, Tensor], leads: Tensor, hidden: Tensor, wanted: Tensor, pretext: str
) -> Tensor:
    """Huber's loss of the leads where known, of the measures where known, or their sum.

    ``leads`` are (n, 12, t) mV; ``hidden`` alike, each sample's weight; ``wanted`` (n, `COUNT`).
    """
    total = torch.zeros(())
    if pretext != "measures":
        error = nn.functional.huber_loss(found[0].float(), leads, reduction="none", delta=0.3)
        total = total + 10 * (error * hidden).sum() / hidden.sum().clamp(min=1)
    if pretext != "leads":
        known = torch.isfinite(wanted)
        error = nn.functional.huber_loss(
            found[1].float(), torch.where(known, wanted, 0.0), reduction="none"
        )
        total = total + (error * known).sum() / known.sum().clamp(min=1)
    return total


def measured(data: Data, windows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """(windows, `COUNT`) measures of the full leads."""
    parts = []
    with torch.inference_mode():
        for start in range(0, len(windows), BATCH):
            parts.append(measures(centred(*data.batch(windows[start : start + BATCH]))).numpy())
    return np.concatenate(parts)


def pretrained(data: Data, settings: Settings) -> tuple[ECGNet, list[dict[str, Any]]]:
    """The encoder's averaged weights, and each epoch's loss."""
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng([settings.seed, 5])
    windows = data.windows("train")
    wanted = torch.from_numpy(normal_scores(measured(data, windows)))
    network = Pretext(ECGNet(NetworkConfig(width=settings.width, blocks=settings.blocks)))
    average = torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(EMA_DECAY),
        use_buffers=True,
    )  # fmt: skip
    optimizer = torch.optim.AdamW(
        network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
    )
    steps = len(windows) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, total_steps=steps * settings.epochs + 1
    )
    options, history = Augmentation(tempo=0, amplitude=0, lead_amplitude=0), []
    for epoch in range(1, settings.epochs + 1):
        started, total = time.monotonic(), 0.0
        for rows in np.split(rng.permutation(len(windows))[: steps * BATCH], steps):
            leads, masks = data.batch(windows[rows])
            x = augment(leads, masks, rng, options)
            target = centred(leads, masks)[:, :12]
            weight = masks * torch.where(x[:, 12:] > 0, SEEN_WEIGHT, 1.0)
            with torch.autocast("cpu", torch.bfloat16, enabled=settings.precision == "bf16"):
                found = network(x)
            loss = loss_of(found, target, weight, wanted[rows], settings.pretext)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), GRADIENT_LIMIT)
            optimizer.step()
            schedule.step()
            average.update_parameters(network)
            total += float(loss.detach())
        seconds = round(time.monotonic() - started, 1)
        history.append({"epoch": epoch, "loss": total / steps, "seconds": seconds})
        print(json.dumps(history[-1]), file=sys.stderr, flush=True)
    encoder = average.module.encoder
    assert isinstance(encoder, ECGNet)
    return encoder, history


@click.command(context_settings={"show_default": True})
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--run", type=click.Path(path_type=Path), required=True, help="Folder of the run.")
@click.option("--pretext", type=click.Choice(["leads", "measures", "both"]), default="both")
@click.option("--epochs", default=12)
@click.option("--learning-rate", default=4e-3)
@click.option("--seed", default=0)
@click.option(
    "--held-out", default="valid", callback=checked, help="valid, a fold such as 0/4, or none."
)
@click.option("--threads", default=0, help="CPU threads; 0 leaves torch's choice.")
@click.option("--precision", type=click.Choice(["fp32", "bf16"]), default="fp32")
def main(data: Path, run: Path, threads: int, **options: Any) -> None:
    """Pre-train on the file of training.prepare_data; leaves run.json and best.pt."""
    if threads:
        torch.set_num_threads(threads)
    settings = Settings(data=data.name, **options)
    encoder, history = pretrained(held(load(data), settings.held_out), settings)
    encoder.head = nn.Identity()  # type: ignore[assignment]
    save_run(run, asdict(settings), encoder, (), history)


if __name__ == "__main__":
    main()
