"""How well the trace network sees: by class of ink and by kind of page.

    python -m benchmarks.trace_network ../shared/ecg --out benchmarks/results/trace_network.md

Crops of pages drawn from recordings of the valid split, each page of one kind more than its usual
ones; the masks that the drawer kept are the truth, at half of full ink. Other weights can be named
for comparison; classes that they do not have are left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ecg4u.digitize.rows.network import CHANNELS, normalise
from training.kinds import KINDS
from training.page_networks import TRACE
from training.pages import Crop, PageSampler
from training.train_trace import CROP_PX

if TYPE_CHECKING:
    from torch import nn

Masks = npt.NDArray[np.bool_]

SEED = 2027
CROPS_PER_PAGE = 12
BATCH = 4


@dataclass(frozen=True)
class Agreement:
    """Found and true masks of some crops; (n, classes, S, S)."""

    found: Masks
    there: Masks

    def overlap(self, channel: str) -> float:
        """Intersection over union of one class; NaN where the class is not there at all."""
        k = CHANNELS.index(channel)
        found, there = self.found[:, k], self.there[:, k]
        return _share(found & there, found | there) if there.any() else float("nan")

    def lost(self) -> float:
        """Share of the traces' ink that is not seen as trace."""
        return _share(self.there[:, 0] & ~self.found[:, 0], self.there[:, 0])

    def called_trace(self, channel: str) -> float:
        """Share of the ink of another class, no trace below it, that is called trace."""
        alone = self.there[:, CHANNELS.index(channel)] & ~self.there[:, 0]
        return _share(alone & self.found[:, 0], alone)


def _share(part: Masks, whole: Masks) -> float:
    return float(part.sum() / whole.sum()) if whole.any() else float("nan")


def network(weights: Path) -> nn.Module:
    """The network with weights of this shape, or of one with fewer classes."""
    import torch
    from safetensors.torch import load_file

    given = load_file(weights)
    own = TRACE.build()
    last = list(own.state_dict())[-1]
    missing = len(CHANNELS) - len(given[last])
    if missing:
        for key in (last, last.replace("bias", "weight")):
            pad = torch.zeros((missing, *given[key].shape[1:]))
            given[key] = torch.cat([given[key], pad - (10.0 if key == last else 0.0)])
    own.load_state_dict(given)
    return own.eval()


def agreement(net: nn.Module, crops: Sequence[Crop]) -> Agreement:
    """What the network finds on some crops, and what is there."""
    import torch

    truth = np.stack([[getattr(crop, name) for name in CHANNELS] for crop in crops]) > 127
    images = torch.from_numpy(np.stack([normalise(crop.image) for crop in crops]))
    with torch.inference_mode():
        found = torch.cat([net(part) > 0 for part in images.split(BATCH)]).numpy()
    return Agreement(found, truth)


def crops_of(records: Path, kind: str | None, pages: int) -> list[Crop]:
    """Crops of the pages of one kind; None: as the kinds come in training."""
    shares = dict(KINDS) | ({kind: 1.0} if kind else {})
    order = list(KINDS).index(kind) + 1 if kind else 0
    sampler = PageSampler(records, "valid", SEED + order, sizes=(CROP_PX, CROP_PX), kinds=shares)
    taken = []
    for _ in range(pages):
        page = sampler.page()
        taken += [sampler.crop(page) for _ in range(CROPS_PER_PAGE)]
    return taken


def table(rows: Mapping[str, Agreement]) -> list[str]:
    """One line for each kind of page."""
    lines = [
        "| pages | trace IoU | text IoU | pulse IoU | straight print IoU | trace ink lost |"
        " straight print called trace | pulse called trace | text called trace |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, seen in rows.items():
        figures = [f"{seen.overlap(channel):.2f}" for channel in CHANNELS]
        shares = [seen.lost(), *map(seen.called_trace, ("separator", "pulse", "text"))]
        figures += [f"{100 * share:.1f} %" for share in shares]
        lines.append(
            f"| {name} | {' | '.join(figures)} |".replace("nan %", "-").replace("nan", "-")
        )
    return lines


def main() -> None:
    """Measure and write the table."""
    import torch

    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("records", type=Path)
    parser.add_argument("--weights", type=Path, default=TRACE.weights)
    parser.add_argument("--pages", type=int, default=4, help="pages for each kind")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    net = network(options.weights)
    rows = {"as in training": agreement(net, crops_of(options.records, None, 4 * options.pages))}
    for kind in KINDS:
        rows[kind] = agreement(net, crops_of(options.records, kind, options.pages))
    text = "\n".join(["# What the trace network sees", "", *_head(options.pages), *table(rows), ""])
    if options.out:
        options.out.write_text(text)
    print(text)


def _head(pages: int) -> list[str]:
    return [
        f"{pages} pages of each kind ({4 * pages} as in training), {CROPS_PER_PAGE} crops of "
        f"{CROP_PX} px a page, seed {SEED}, recordings of the valid split.",
        "",
    ]


if __name__ == "__main__":
    main()
