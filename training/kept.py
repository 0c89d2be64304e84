"""Keep a member of earlier weights: `python -m training.kept --weights DIR --run runs/net`.

Leaves a run of the form that `training.train` leaves, for `training.export`, without training. What
the member has learned from, it cannot be judged by: ``--unseen`` names the files of `index.csv`
that came after it, on which its vote counts out of fold.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt

from ecg4u.model.classifier import CARD_NAME
from training.dataset import Data
from training.steps import save

UNSEEN = ("ptbxl100.h5", "ptbxl100_valid.h5", "ptbxl_more.h5", "ptbxl_restored.h5")


def unseen(data: Data, settings: dict[str, Any]) -> npt.NDArray[np.bool_]:
    """(recordings,) what a kept network has not learned from; nothing for other runs."""
    return np.isin(data.file, settings.get("unseen", ()))


@click.command(context_settings={"show_default": True})
@click.option("--weights", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--member", "number", default=0, help="Which member of WEIGHTS.")
@click.option("--run", type=click.Path(path_type=Path), required=True)
@click.option("--unseen", "files", multiple=True, default=UNSEEN, help="Files that came after it.")
def main(weights: Path, number: int, run: Path, files: tuple[str, ...]) -> None:
    """Take a member of WEIGHTS as a run."""
    from safetensors.torch import load_file

    card = json.loads((weights / CARD_NAME).read_text(encoding="utf-8"))
    entry = card["members"][number]
    state = load_file(weights / entry["file"])
    run.mkdir(parents=True, exist_ok=True)
    save({"average": state, "epoch": entry["epoch"]}, run / "best.pt")
    settings = {**entry["settings"], "unseen": list(files), "kept_from": card["id"], "kept": number}
    epochs, seconds = entry["epochs_trained"], entry["seconds"]
    history = [{"epoch": e + 1, "seconds": seconds / epochs} for e in range(epochs)]
    about = {
        "settings": settings,
        "config": entry["config"],
        "classes": card["classes"],
        "history": history,
    }
    (run / "run.json").write_text(json.dumps(about, indent=1))


if __name__ == "__main__":
    main()
