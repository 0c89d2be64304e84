"""Train the classifier: `python -m training.train --data data.h5 --run runs/a`.

Nine classes together, or one against the rest with ``--class AF``. Deterministic for a seed and a
number of threads; a killed run goes on with ``--resume``. The weights that count are an
exponential moving average. Training ends with the one-cycle schedule or at ``--stop-after``, an
epoch chosen on the validation split; that split also sets thresholds and calibration, in
`training.export`.
"""

from __future__ import annotations

import copy
import json
import math
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

from ecg4u.model.networks import Network, build
from ecg4u.record import CLASSES
from training.augment import FULL, Augmentation, augment, loosened, mixed
from training.dataset import LABELS, Data, class_columns, load, sampling_weights
from training.evaluate import aurocs, macro, predict
from training.folds import checked, held
from training.labels import FINDINGS
from training.members import Member, member, picked
from training.peer import PeerConfig, ResNet34
from training.physiology import Physiology, changed
from training.steps import save

LABEL_SMOOTHING = 0.01
GRADIENT_LIMIT = 2.0
MITDB_WEIGHT = 0.3
LARGE_SOURCES = ("PTB-XL", "MIT-BIH")
VALIDATE_EVERY = 2
TAUGHT = 1.0
"""What a teacher's answers count beside the labels (Hinton et al. 2015)."""
LINES_PER_EPOCH = 4
"""Of progress, where stderr is a file: so that it is never silent for minutes."""
VALIDATION_LAYOUTS = ("full", "3x4+1")


@dataclass(frozen=True)
class Settings:
    """Every setting of a run; saved beside its checkpoint."""

    data: str
    only: str | None = None
    epochs: int = 40
    stop_after: int | None = None
    batch: int = 64
    learning_rate: float = 4e-3
    weight_decay: float = 0.03
    ema_decay: float = 0.995
    rare_power: float = 0.5
    small_sources: float = 1.0
    auxiliary_weight: float = 0.3
    network: str = "residual"
    labels: str = "targets"
    mitdb: bool = True
    mixup: bool = True
    physiology: float = 0.0
    layouts: bool = True
    width: int = 32
    blocks: tuple[int, ...] = (1, 1, 1, 1)
    kernel: int = 7
    dropout: float = 0.2
    seed: int = 0
    precision: str = "fp32"
    teacher: str | None = None
    held_out: str = "valid"
    validate_every: int = VALIDATE_EVERY


def masked_loss(logits: Tensor, targets: Tensor, auxiliary_from: int, weight: float) -> Tensor:
    """Binary cross-entropy over the known targets; the extra heads count ``weight``."""
    known = torch.isfinite(targets)
    wanted = torch.where(known, targets, 0.0)
    wanted = wanted * (1 - 2 * LABEL_SMOOTHING) + LABEL_SMOOTHING
    loss = nn.functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    scale = torch.ones(logits.shape[1], device=logits.device)
    scale[auxiliary_from:] = weight
    parts = loss * known * scale
    return parts.sum() / (known * scale).sum().clamp(min=1)


def epoch_order(
    data: Data, settings: Settings, targets: npt.NDArray[np.float32], epoch: int
) -> npt.NDArray[np.int64]:
    """The windows of one epoch: drawn with weights for rare classes, the same for a seed."""
    windows = data.windows("train", without=() if settings.mitdb else ("MIT-BIH",))
    weights = sampling_weights(targets[data.owner[windows]], settings.rare_power)
    source = data.source[data.owner[windows]]
    weights = np.where(source == "MIT-BIH", MITDB_WEIGHT * weights, weights)
    weights = np.where(np.isin(source, LARGE_SOURCES), weights, settings.small_sources * weights)
    rng = np.random.default_rng([settings.seed, epoch, 1])
    positions = (np.arange(len(windows)) + rng.random()) / len(windows) * weights.sum()
    drawn = windows[np.searchsorted(np.cumsum(weights), positions).clip(max=len(windows) - 1)]
    size = min(settings.batch, len(drawn))
    shuffled = rng.permutation(drawn)
    return shuffled[: len(shuffled) // size * size]


def network_for(settings: Settings, outputs: int) -> Network | ResNet34:
    """A fresh network of the settings' kind."""
    if settings.network == "resnet34":
        return ResNet34(PeerConfig(outputs=outputs, width=settings.width))
    return build(
        {
            "outputs": outputs,
            "width": settings.width,
            "blocks": settings.blocks,
            "kernel": settings.kernel,
            "dropout": settings.dropout,
        }
    )


class Trainer:
    """One run: network, its moving average, optimizer and schedule, and where they are saved."""

    def __init__(
        self, settings: Settings, data: Data, run: Path, device: str, teacher: Member | None = None
    ) -> None:
        torch.manual_seed(settings.seed)
        self.settings, self.data, self.run, self.device = settings, data, run, device
        columns = class_columns(settings.only)
        self.classes = tuple(CLASSES[c] for c in columns)
        main = data.labels(settings.labels)[:, columns]
        self.main = self.targets = main
        self.answers = names = self.classes
        if settings.auxiliary_weight and not settings.only:
            rest = [name for name in data.auxiliary_names if name not in FINDINGS]
            self.answers = (*self.classes, *FINDINGS)
            names = (*self.answers, *rest)
            extra = [data.auxiliary_names.index(name) for name in (*FINDINGS, *rest)]
            self.targets = np.concatenate([main, data.auxiliary[:, extra]], axis=1)
        self.teacher = teacher and picked(teacher, names)
        self.taught = [names.index(name) for name in self.teacher.names] if self.teacher else []
        self.network = network_for(settings, self.targets.shape[1]).to(device)
        self.average = copy.deepcopy(self.network).eval()
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.steps = len(epoch_order(data, settings, main, 0)) // settings.batch or 1
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, settings.learning_rate, total_steps=self.steps * settings.epochs + 1
        )
        layout = Augmentation() if settings.layouts else FULL
        self.augmentation = layout
        self.epoch = 0
        self.history: list[dict[str, Any]] = []

    def fit(self) -> None:
        """Train to the last epoch, saving after each.

        ``stop_after`` ends the run while the schedule's rate is still high: the moving average
        then stands in for the annealing, which overfits (see ``training/ABLATION.md``).
        """
        last = min(self.settings.epochs, self.settings.stop_after or self.settings.epochs)
        if self.epoch >= last:
            _say(f"Nothing left to do: epoch {self.epoch} of {last} is trained.")
        while self.epoch < last:
            started = time.monotonic()
            loss = self._train_epoch()
            self.epoch += 1
            entry: dict[str, Any] = {"epoch": self.epoch, "loss": loss}
            if self.epoch % self.settings.validate_every == 0 or self.epoch == last:
                entry |= self.validate()
            entry["seconds"] = round(time.monotonic() - started, 1)
            self.history.append(entry)
            self._keep_best()
            self.save()
            _say("\r" + json.dumps({k: _short(v) for k, v in entry.items()}))

    def _train_epoch(self) -> float:
        order = epoch_order(self.data, self.settings, self.main, self.epoch)
        rng = np.random.default_rng([self.settings.seed, self.epoch, 2])
        torch.manual_seed(hash((self.settings.seed, self.epoch)) % 2**31)
        self.network.train()
        total = 0.0
        size = min(self.settings.batch, len(order))
        for step, rows in enumerate(np.split(order, len(order) // size)):
            total += self._step(rows, rng)
            _bar(self.epoch, self.settings.epochs, step + 1, self.steps)
        return total / (step + 1)

    def _step(self, rows: npt.NDArray[np.int64], rng: np.random.Generator) -> float:
        leads, masks = (part.to(self.device) for part in self.data.batch(rows))
        leads = loosened(leads, self.data.sized[self.data.owner[rows]], rng)
        y = torch.from_numpy(self.targets[self.data.owner[rows]]).to(self.device)
        if self.settings.physiology and not self.settings.only:
            share = self.settings.physiology
            leads, masks, y = changed(leads, masks, y, rng, Physiology(share, share, share / 2))
        x = augment(leads, masks, rng, self.augmentation)
        if self.teacher:
            with torch.no_grad():
                y = torch.cat([y, torch.sigmoid(self.teacher.network(x))], dim=1)
        if self.settings.mixup and rng.random() < self.augmentation.mixup:
            x, y = mixed(x, y, rng)
        y, told = y[:, : self.targets.shape[1]], y[:, self.targets.shape[1] :]
        with torch.autocast(self.device, torch.bfloat16, enabled=self.settings.precision == "bf16"):
            logits = self.network(x)
        logits = logits.float()
        loss = masked_loss(logits, y, len(self.classes), self.settings.auxiliary_weight)
        if self.teacher:
            own = logits[:, self.taught]
            loss = loss + TAUGHT * nn.functional.binary_cross_entropy_with_logits(own, told)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), GRADIENT_LIMIT)
        self.optimizer.step()
        self.schedule.step()
        self._update_average()
        return float(loss.detach())

    def _update_average(self) -> None:
        done = self.schedule.last_epoch
        decay = min(self.settings.ema_decay, (1 + done) / (10 + done))
        with torch.no_grad():
            for mean, new in zip(
                self.average.state_dict().values(), self.network.state_dict().values(), strict=True
            ):
                if mean.dtype.is_floating_point:
                    mean.lerp_(new, 1 - decay)
                else:
                    mean.copy_(new)

    def validate(self) -> dict[str, Any]:
        """`scores` of the averaged weights."""
        return scores(self.average, self.data, self.classes, self.device)

    def _keep_best(self) -> None:
        """Save the averaged weights as ``best.pt`` if no epoch before validated as well.

        With nothing held out every epoch is saved, so that the last one stays.
        """
        scores = {h["epoch"]: validation_score(h) for h in self.history if "full" in h}
        without = not len(self.data.windows("valid"))
        if without or (scores and max(scores, key=lambda epoch: scores[epoch]) == self.epoch):
            save({"average": self.average.state_dict(), "epoch": self.epoch}, self.run / "best.pt")

    def save(self) -> None:
        """Write the checkpoint and the history, each at once or not at all."""
        self.run.mkdir(parents=True, exist_ok=True)
        state = {
            "epoch": self.epoch,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
        }
        save(state, self.run / "checkpoint.pt")
        settings = asdict(self.settings)
        _write_about(self.run, settings, self.network, self.answers, self.history)

    def resume(self) -> None:
        """Go on from the run's checkpoint, if it has one."""
        path = self.run / "checkpoint.pt"
        if not path.exists():
            return
        state = torch.load(path, map_location=self.device, weights_only=True)
        for name in ("network", "average", "optimizer", "schedule"):
            getattr(self, name).load_state_dict(state[name])
        self.epoch = state["epoch"]
        self.history = json.loads((self.run / "run.json").read_text())["history"]


def scores(
    network: Network | ResNet34, data: Data, classes: tuple[str, ...], device: str = "cpu"
) -> dict[str, Any]:
    """AUROC per class on the validation split, two layouts; nothing where there is none."""
    found: dict[str, Any] = {}
    if not len(data.windows("valid")):
        return found
    for layout in VALIDATION_LAYOUTS:
        predictions = predict(network, data, "valid", layout, classes=classes, device=device)
        each = aurocs(data.reference, predictions, classes)
        found[layout] = {**each, "macro": macro(each)}
    return found


def save_run(
    run: Path,
    settings: dict[str, Any],
    network: Network | ResNet34,
    classes: tuple[str, ...],
    history: list[dict[str, Any]],
) -> None:
    """A network fitted all at once, in the form of a run's best epoch."""
    run.mkdir(parents=True, exist_ok=True)
    save({"average": network.state_dict(), "epoch": history[-1]["epoch"]}, run / "best.pt")
    _write_about(run, settings, network, classes, history)


def _write_about(
    run: Path,
    settings: dict[str, Any],
    network: Network | ResNet34,
    classes: tuple[str, ...],
    history: list[dict[str, Any]],
) -> None:
    about = {
        "settings": settings,
        "config": asdict(network.config),
        "classes": classes,
        "history": history,
    }
    (run / "run.json").write_text(json.dumps(about, indent=1))


def validation_score(entry: dict[str, Any]) -> float:
    """The mean of the layouts' macro AUROC: what early stopping goes by."""
    return float(np.mean([entry[layout]["macro"] for layout in VALIDATION_LAYOUTS]))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _short(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _short(v) for k, v in value.items()}
    return round(value, 4) if isinstance(value, float) and math.isfinite(value) else value


def _bar(epoch: int, epochs: int, step: int, steps: int) -> None:
    if sys.stderr.isatty():
        filled = 30 * step // steps
        bar = "#" * filled + "." * (30 - filled)
        print(f"\repoch {epoch + 1}/{epochs} [{bar}] {step}/{steps}", end="", file=sys.stderr)
    elif (step * LINES_PER_EPOCH) % steps < LINES_PER_EPOCH:
        _say(f"epoch {epoch + 1}/{epochs}, step {step}/{steps}")


@click.command(context_settings={"show_default": True})
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--run", type=click.Path(path_type=Path), required=True, help="Folder of the run.")
@click.option("--class", "only", type=click.Choice(CLASSES), help="One class against the rest.")
@click.option("--epochs", default=40)
@click.option("--stop-after", type=int, help="End after this epoch of the schedule.")
@click.option("--batch", default=64)
@click.option("--learning-rate", default=4e-3)
@click.option("--network", type=click.Choice(["residual", "resnet34"]), default="residual")
@click.option("--labels", type=click.Choice(LABELS), default="targets")
@click.option(
    "--teacher",
    type=click.Path(path_type=Path, exists=True),
    help="A run, such as training.trees leaves, whose answers are learned beside the labels; with "
    "the same fold held out.",
)
@click.option("--mitdb/--no-mitdb", default=True)
@click.option("--mixup/--no-mixup", default=True)
@click.option("--physiology", default=0.0, help="Share of early beats made; and of long PR.")
@click.option("--layouts/--no-layouts", default=True, help="Whether to mask signals as pages do.")
@click.option("--auxiliary-weight", default=0.3)
@click.option("--rare-power", default=0.5)
@click.option("--small-sources", default=1.0, help="How often their recordings are drawn.")
@click.option("--width", default=32)
@click.option("--blocks", default="1,1,1,1", help="Residual blocks per stage.")
@click.option("--dropout", default=0.2)
@click.option("--weight-decay", default=0.03)
@click.option("--seed", default=0)
@click.option(
    "--held-out", default="valid", callback=checked, help="valid, a fold such as 0/4, or none."
)
@click.option("--validate-every", default=VALIDATE_EVERY, help="In epochs; the best epoch is kept.")
@click.option("--device", default="cpu", help="cpu, cuda or mps.")
@click.option("--threads", default=0, help="CPU threads; 0 leaves the choice to torch.")
@click.option("--precision", type=click.Choice(["fp32", "bf16"]), default="fp32")
@click.option(
    "--memory/--stream", default=True, help="Hold the signals in memory, or read them as needed."
)
@click.option("--resume/--restart", default=False)
def main(
    data: Path, run: Path, device: str, threads: int, memory: bool, resume: bool, blocks: str,
    teacher: Path | None, **options: Any,
) -> None:  # fmt: skip
    """Train on the file of training.prepare_data; leaves run.json, checkpoint and curves."""
    if threads:
        torch.set_num_threads(threads)
    counts = tuple(int(count) for count in blocks.split(","))
    taught_by = teacher.name if teacher else None
    settings = Settings(data=data.name, blocks=counts, teacher=taught_by, **options)
    parts = held(load(data, stream=not memory), settings.held_out)
    trainer = Trainer(settings, parts, run, device, member(teacher) if teacher else None)
    if resume:
        trainer.resume()
    trainer.fit()
    from training.plots import draw_run

    draw_run(run, trainer)


if __name__ == "__main__":
    main()
