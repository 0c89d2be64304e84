"""Trained members of the ensemble: read from their runs, joined, and written to ship."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ecg4u.model.networks import Network, answers, build
from ecg4u.model.trees import Trees


class Panel(nn.Module):
    """The mean of the members' logits."""

    def __init__(self, members: Sequence[Member]) -> None:
        super().__init__()
        self.members = nn.ModuleList([one.network for one in members])

    def forward(self, x: Tensor) -> Tensor:
        """(n, 24, t) -> (n, names)."""
        return torch.stack(answers(self.members, x)).mean(dim=0)


@dataclass(frozen=True)
class Member:
    """A trained network with what it answers and how it came about."""

    network: Network
    names: tuple[str, ...]
    about: dict[str, Any]


def member(run: Path) -> Member:
    """A run's best averaged weights, in float16 as they ship, without its auxiliary heads."""
    about = json.loads((run / "run.json").read_text())
    best = torch.load(run / "best.pt", map_location="cpu", weights_only=True)
    state, about["epoch"] = best["average"], best["epoch"]
    names = tuple(about["classes"])
    for key in {"head.weight", "head.bias"} & state.keys():
        state[key] = state[key][: len(names)]
    half = {k: v.half().float() if v.is_floating_point() else v for k, v in state.items()}
    network = build({**about["config"], "outputs": len(names)})
    network.load_state_dict(half)
    return Member(network.eval(), names, about)


def picked(one: Member, names: tuple[str, ...]) -> Member:
    """The member with only those of its answers that are in ``names``."""
    columns = [i for i, name in enumerate(one.names) if name in names]
    if len(columns) == len(one.names):
        return one
    state = {
        key: value[columns] if key.startswith("head.") or isinstance(one.network, Trees) else value
        for key, value in one.network.state_dict().items()
    }
    network = build({**asdict(one.network.config), "outputs": len(columns)})
    network.load_state_dict(state)
    return Member(network.eval(), tuple(one.names[i] for i in columns), one.about)


def write_members(members: Sequence[Member], out: Path) -> list[Any]:
    """One float16 safetensors file a network; returns their entries for the card."""
    from safetensors.torch import save_file

    entries = []
    for index, one in enumerate(members):
        path = out / f"classifier-{index}.safetensors"
        state = {
            k: v.half().contiguous() if v.is_floating_point() else v.contiguous()
            for k, v in one.network.state_dict().items()
        }
        save_file(state, path)
        path.chmod(0o644)
        about = one.about
        entries.append(
            {
                "file": path.name,
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                "config": asdict(one.network.config),
                "settings": about["settings"],
                "epoch": about["epoch"],
                "epochs_trained": len(about["history"]),
                "seconds": round(sum(entry["seconds"] for entry in about["history"])),
            }
        )
    return entries
