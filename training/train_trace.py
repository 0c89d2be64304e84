"""Train the trace network on pages that `ecg4u.paper` draws from the train split.

    python -m training.train_trace ../shared/ecg --steps 4000 --seed 0 --checkpoint cache/trace.pt

Starts from the weights of ``--start``, by default those of the package, where layers have kept
their shape, or from nothing where there are none.
Goes on from the checkpoint where there is one; at the end it writes the weights (a moving average
over steps), the package's network and its card; ``--stop-at 0`` does so for a run before its end.
The same options give the same weights however often the run was interrupted: pages are drawn from
the seed and the number of their group.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ecg4u.digitize.rows.network import CHANNELS, normalise
from training.page_networks import TRACE, Shipped
from training.pages import Crop, PageSampler
from training.steps import save

if TYPE_CHECKING:
    from torch import Tensor, nn

CROP_PX = 256
PAGES_PER_GROUP = 4
CROPS_PER_PAGE = 24
BATCH = 4
STEPS_PER_GROUP = PAGES_PER_GROUP * CROPS_PER_PAGE // BATCH
PEAK_RATE = 2.5e-3
WARM_STEPS = 100
AVERAGE = 0.995
NEAR_INK = 2.0
CLASS_WEIGHTS = (1.0, 0.7, 2.0, 1.5)
"""Pulses and separators are rare: they weigh more, print less."""
PRESENT = (1.0, 1.0, 3.0, 1.0)
"""How much a class's own ink weighs more than ink and paper that is not: a pulse looks like rules
until its whole shape is seen, and a network that has not learnt that yet calls none a pulse."""
RIVAL = 1.0
"""How much a separator or a pulse that is called trace weighs more than other mistakes."""
VALIDATION_PAGES = 8


@dataclass(frozen=True)
class Task:
    """A network to be trained on crops of drawn pages.

    ``group`` (sampler, seed, number, pages) draws inputs and truth; ``loss_of`` takes log odds,
    truth and inputs.
    """

    what: str
    module: str
    network: Shipped
    channels: tuple[str, ...]
    crop_px: int
    group: Callable[[PageSampler, int, int, int], tuple[Tensor, Tensor]]
    loss_of: Callable[[Tensor, Tensor, Tensor], Tensor]


def group(sampler: PageSampler, seed: int, number: int, pages: int) -> tuple[Tensor, Tensor]:
    """Crops of a few pages, shuffled: inputs (n, 3, S, S) and truth (n, 4, S, S) in 0..1."""
    import torch

    sampler.rng = np.random.default_rng((seed, number))
    crops: list[Crop] = []
    for _ in range(pages):
        page = sampler.page()
        crops += [sampler.crop(page) for _ in range(CROPS_PER_PAGE)]
    order = sampler.rng.permutation(len(crops))
    images = np.stack([normalise(crops[i].image) for i in order])
    truth = np.stack([[getattr(crops[i], name) for name in CHANNELS] for i in order])
    return torch.from_numpy(images), torch.from_numpy(truth).float() / 255


def loss_of(logits: Tensor, truth: Tensor, _: Tensor) -> Tensor:
    """Cross-entropy, heavier near ink and where other straight ink may pass for trace, and Dice."""
    import torch
    from torch.nn import functional

    near = functional.max_pool2d(truth.amax(dim=1, keepdim=True), 9, 1, 4)
    own = 1 + (torch.tensor(PRESENT)[:, None, None] - 1) * truth
    weight = (1 + NEAR_INK * near) * torch.tensor(CLASS_WEIGHTS)[:, None, None] * own
    weight[:, 0] += RIVAL * truth[:, 2:].amax(dim=1) * (1 - truth[:, 0])
    cross = functional.binary_cross_entropy_with_logits(logits, truth, weight)
    likely = logits.sigmoid()
    shared = 2 * (likely * truth).sum(dim=(0, 2, 3)) + 20
    dice = shared / (likely.square().sum(dim=(0, 2, 3)) + truth.square().sum(dim=(0, 2, 3)) + 20)
    return cross + 0.5 * (1 - dice).mean()


def begin(net: nn.Module, weights: Path) -> str:
    """Take over other weights where layers have kept their kind: of each, what both have.

    Returns the SHA-256 of the file.
    """
    import torch
    from safetensors.torch import load_file

    own = net.state_dict()
    for key, value in load_file(weights).items():
        if key in own and value.dim() and value.shape[2:] == own[key].shape[2:]:
            both = tuple(slice(min(a, b)) for a, b in zip(value.shape, own[key].shape, strict=True))
            with torch.no_grad():
                own[key][both] = value[both]
    net.load_state_dict(own)
    return hashlib.sha256(weights.read_bytes()).hexdigest()


def rate_at(step: int, steps: int) -> float:
    """Learning rate: a short rise, then a cosine to nearly nothing."""
    if step < WARM_STEPS:
        return PEAK_RATE * (step + 1) / WARM_STEPS
    share = min(1.0, (step - WARM_STEPS) / max(1, steps - WARM_STEPS))
    return PEAK_RATE * (0.01 + 0.99 * 0.5 * (1 + float(np.cos(np.pi * share))))


def average_into(kept: dict[str, Tensor], net: nn.Module, step: int) -> None:
    """Moving average of the weights, short at the start."""
    share = min(AVERAGE, (step + 1) / (step + 10))
    for key, value in net.state_dict().items():
        if value.is_floating_point():
            kept[key].mul_(share).add_(value, alpha=1 - share)
        else:
            kept[key].copy_(value)


def evaluate(task: Task, net: nn.Module, records: Path) -> dict[str, object]:
    """Agreement with the truth on crops of the valid split's recordings, at probability 0.5."""
    import torch

    sampler = PageSampler(records, "valid", sizes=(task.crop_px, task.crop_px))
    images, truth = task.group(sampler, 77, 0, VALIDATION_PAGES)
    net.eval()
    with torch.inference_mode():
        found = torch.cat([net(part) for part in images.split(BATCH)]) > 0
    there = truth > 0.5
    both = (found & there).sum(dim=(0, 2, 3)).double()
    only_found, only_there = found.sum(dim=(0, 2, 3)), there.sum(dim=(0, 2, 3))
    measures = {
        "iou": both / (only_found + only_there - both).clamp(min=1),
        "precision": both / only_found.clamp(min=1),
        "recall": both / only_there.clamp(min=1),
    }
    named = {
        key: {name: round(float(v), 4) for name, v in zip(task.channels, values, strict=True)}
        for key, values in measures.items()
    }
    return {"crops": len(images), "crop_px": task.crop_px, "pages": VALIDATION_PAGES, **named}


def learn(task: Task, options: argparse.Namespace) -> None:
    """Train from the checkpoint on, if there is one; write weights and card."""
    import torch

    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    net = task.network.build()
    begun = begin(net, options.start) if options.start.exists() else "nothing"
    average = {key: value.clone() for key, value in net.state_dict().items()}
    optimiser = torch.optim.AdamW(net.parameters(), lr=PEAK_RATE, weight_decay=1e-3)
    step = 0
    losses: list[float] = []
    if options.checkpoint.exists():
        kept = torch.load(options.checkpoint, weights_only=True)
        net.load_state_dict(kept["net"])
        optimiser.load_state_dict(kept["optimiser"])
        average, step, losses = kept["average"], kept["step"], kept["losses"]
        begun = kept["begun"]
    sampler = PageSampler(options.records, "train", sizes=(task.crop_px, task.crop_px))
    short = bool(torch.cpu.get_capabilities().get("avx512_bf16"))
    last_kept = time.monotonic()
    last = options.steps if options.stop_at is None else options.stop_at
    while step < last:
        number = step // STEPS_PER_GROUP
        images, truth = task.group(sampler, options.seed, number, PAGES_PER_GROUP)
        net.train()
        for first in range(0, len(images), BATCH):
            for part in optimiser.param_groups:
                part["lr"] = rate_at(step, options.steps)
            here = slice(first, first + BATCH)
            seen = images[here].contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16, enabled=short):
                answer = net(seen)
            loss = task.loss_of(answer.float(), truth[here], seen)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 2.0)
            optimiser.step()
            average_into(average, net, step)
            losses.append(float(loss.detach()))
            step += 1
        print(step, round(float(np.mean(losses[-STEPS_PER_GROUP:])), 4), flush=True)
        if time.monotonic() - last_kept > 60 or step >= last:
            state = {"net": net.state_dict(), "optimiser": optimiser.state_dict()}
            so_far = {"average": average, "step": step, "losses": losses, "begun": begun}
            save({**state, **so_far}, options.checkpoint)
            last_kept = time.monotonic()
    export(task, options, average, step, losses, begun)


def export(
    task: Task,
    options: argparse.Namespace,
    average: dict[str, Tensor],
    step: int,
    losses: list[float],
    begun: str,
) -> None:
    """Keep the averaged weights with a card that says what they are and how good."""
    from ecg4u import __version__

    net = task.network.build()
    net.load_state_dict(average)
    card = {
        "what": task.what,
        "command": f"python -m {task.module} RECORDS --steps {options.steps} --seed {options.seed}",
        "seed": options.seed,
        "started_from_weights_of_sha256": begun,
        "steps_planned": options.steps,
        "steps": step,
        "batch": BATCH,
        "losses_every_group": [round(v, 4) for v in losses[STEPS_PER_GROUP - 1 :: STEPS_PER_GROUP]],
        "data": "pages drawn by ecg4u.paper from the train split; no page image was used",
        "data_licences": "PTB-XL, CPSC-2018, CPSC-Extra, Georgia, PTB, Chapman-Ningbo CC BY 4.0; "
        "LUDB ODC-By 1.0",
        "weights": sum(value.numel() for value in net.parameters()),
        "code": f"ecg4u {__version__}",
        "validation": evaluate(task, net, options.records),
    }
    task.network.keep(net, card, options.out)
    print(json.dumps(card["validation"]))


def options_of(task: Task, start: Path) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=f"Train the {task.what}.")
    parser.add_argument("records", type=Path)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--stop-at", type=int, help="stop within the schedule of --steps")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=Path, default=start, help="weights to start from")
    parser.add_argument("--threads", type=int, default=1)
    name = f"cache/{task.network.name}.pt"
    parser.add_argument("--checkpoint", type=Path, default=Path(name))
    parser.add_argument("--out", type=Path, help="folder; default: where this repository has them")
    return parser.parse_args()


TASK = Task(
    what="trace network (ecg4u.digitize.rows.network)",
    module="training.train_trace",
    network=TRACE,
    channels=CHANNELS,
    crop_px=CROP_PX,
    group=group,
    loss_of=loss_of,
)


if __name__ == "__main__":
    learn(TASK, options_of(TASK, TRACE.weights))
