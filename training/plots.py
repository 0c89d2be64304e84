"""Curves and confusion plots of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ecg4u.record import CLASSES
from training.evaluate import predict
from training.metrics import counts

if TYPE_CHECKING:
    from training.train import Trainer


def draw_run(run: Path, trainer: Trainer) -> None:
    """Write ``curves.png`` and ``confusion.png`` (validation split, threshold 0.5) to ``run``."""
    _curves(run / "curves.png", trainer.history)
    _confusion(run / "confusion.png", trainer)


def _figure(width: float, height: float) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _curves(path: Path, history: list[dict[str, Any]]) -> None:
    figure = _figure(9, 4)
    loss, score = figure.subplots(1, 2)
    loss.plot([h["epoch"] for h in history], [h["loss"] for h in history])
    loss.set(xlabel="epoch", ylabel="training loss")
    for layout in ("full", "3x4+1"):
        rows = [h for h in history if layout in h]
        score.plot([h["epoch"] for h in rows], [h[layout]["macro"] for h in rows], label=layout)
    score.set(xlabel="epoch", ylabel="validation macro AUROC without STE")
    score.legend()
    figure.savefig(path, dpi=100)


def _confusion(path: Path, trainer: Trainer) -> None:
    """Per class: true and false positives and negatives as a 2 x 2 table."""
    if not len(trainer.data.windows("valid")):
        return
    predictions = predict(
        trainer.average, trainer.data, "valid", "full", classes=trainer.classes,
        device=trainer.device,
    )  # fmt: skip
    figure = _figure(9, 8 if len(trainer.classes) > 1 else 4)
    grid = (3, 3) if len(trainer.classes) > 1 else (1, 1)
    for axis, (column, name) in zip(
        np.atleast_1d(figure.subplots(*grid)).flat, enumerate(trainer.classes), strict=True
    ):
        labels = trainer.data.reference[predictions.recordings, CLASSES.index(name)]
        tp, fp, fn, tn = counts(labels, predictions.logits[:, column], 0.0)
        axis.imshow([[tn, fp], [fn, tp]], cmap="Blues", vmax=max(tn, 1))
        for (y, x), value in np.ndenumerate(np.array([[tn, fp], [fn, tp]])):
            axis.text(x, y, str(value), ha="center", va="center")
        axis.set(title=name, xlabel="said", ylabel="is")
        axis.set_xticks([0, 1], ["no", "yes"])
        axis.set_yticks([0, 1], ["no", "yes"])
    figure.savefig(path, dpi=100)
