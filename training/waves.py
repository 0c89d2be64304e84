"""Train the wave network on the cardiologists' wave boundaries of LUDB's training split.

    python -m training.waves --data ../shared/ecg --out ecg4u/explain/weights/waves.safetensors

Reads ``index.csv``, ``ludb.h5`` and ``ludb_waves.csv.gz``; keeps the weights with the lowest loss
on the validation split. About 8 minutes on one core.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ecg4u.explain.wavenet import WAVE_FS_HZ, WAVES, build, lead_inputs
from ecg4u.record import LEADS

CROP = 1024
IGNORED = -100
BATCH = 24
MARGIN = 3
"""Samples beyond the first and last annotated wave that still count as annotated."""


@dataclass(frozen=True, eq=False)
class Marked:
    """A recording at 250 Hz and its marks: (n, 12) mV and (n, 12) 0 none, 1 P, 2 QRS, 3 T."""

    signal: npt.NDArray[np.float64]
    marks: npt.NDArray[np.int64]


def load(data: Path, split: str) -> list[Marked]:
    """LUDB's recordings of ``split``."""
    import h5py

    with open(data / "index.csv", newline="") as file:
        wanted = [
            row["record"]
            for row in csv.DictReader(file)
            if row["dataset"] == "LUDB" and row["split"] == split
        ]
    rows: dict[str, list[dict[str, str]]] = defaultdict(list)
    with gzip.open(data / "ludb_waves.csv.gz", "rt", newline="") as file:
        for row in csv.DictReader(file):
            rows[row["record"]].append(row)
    recordings = []
    with h5py.File(data / "ludb.h5") as file:
        per_count = float(file.attrs["millivolts_per_count"])
        for name in wanted:
            signal = np.asarray(file[name], dtype=np.float64).T * per_count
            half = signal[: len(signal) // 2 * 2].reshape(-1, 2, 12).mean(axis=1)
            recordings.append(Marked(half, _marks(rows[name], len(half))))
    return recordings


def _marks(rows: list[dict[str, str]], n: int) -> npt.NDArray[np.int64]:
    marks = np.full((n, len(LEADS)), IGNORED, dtype=np.int64)
    by_lead: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in rows:
        by_lead[row["lead"].casefold()].append(row)
    for column, lead in enumerate(LEADS):
        complete = [r for r in by_lead[lead.casefold()] if r["onset"] and r["offset"]]
        if not complete:
            continue
        edges = [(int(r["onset"]) // 2, int(r["offset"]) // 2, r["wave"]) for r in complete]
        first = min(a for a, _, _ in edges)
        last = max(b for _, b, _ in edges)
        marks[max(first - MARGIN, 0) : last + MARGIN + 1, column] = 0
        for onset, offset, wave in edges:
            marks[onset : offset + 1, column] = 1 + WAVES.index(wave)
        for row in by_lead[lead.casefold()]:
            if not (row["onset"] and row["offset"]) and row["peak"]:
                peak = int(row["peak"]) // 2
                marks[max(peak - 30, 0) : peak + 40, column] = IGNORED
    return marks


def sample(recording: Marked, rng: np.random.Generator) -> tuple[npt.NDArray, npt.NDArray]:
    """One augmented crop of one lead: (2, CROP) input and (CROP,) marks."""
    lead = int(rng.integers(12))
    stretch = float(np.exp(rng.uniform(-0.25, 0.25)))
    span = round(CROP * stretch)
    start = int(rng.integers(0, max(len(recording.signal) - span, 1)))
    at = start + np.linspace(0, span - 1, CROP)
    at = np.clip(at, 0, len(recording.signal) - 1)
    signal = np.stack([np.interp(at, np.arange(len(s)), s) for s in recording.signal.T], axis=1)
    marks = recording.marks[np.round(at).astype(int), lead].copy()
    signal = signal + _disturbance(signal.shape, rng)
    context = rng.random(12) < rng.uniform(0.05, 1.0)
    context[lead] = True
    if rng.random() < 0.5:
        length = int(rng.integers(560, CROP))
        cut = int(rng.integers(0, CROP - length + 1))
        outside = np.ones(CROP, dtype=bool)
        outside[cut : cut + length] = False
        signal[outside, lead] = np.nan
        marks[outside] = IGNORED
    if rng.random() < 0.1:
        signal = -signal
    inputs = lead_inputs(signal, context)[lead]
    inputs[0] *= np.exp(rng.uniform(-0.3, 0.3))
    return inputs.astype(np.float32), marks


def _disturbance(shape: tuple[int, ...], rng: np.random.Generator) -> npt.NDArray[np.float64]:
    t = np.arange(shape[0]) / WAVE_FS_HZ
    wander = rng.uniform(0, 0.15) * np.sin(
        2 * np.pi * rng.uniform(0.05, 0.5) * t + rng.uniform(0, 6.3)
    )
    mains = rng.uniform(0, 0.02) * np.sin(2 * np.pi * rng.choice([50, 60]) * t)
    noise = rng.normal(0, rng.uniform(0, 0.02), shape)
    return noise + (wander + mains)[:, None] * (rng.random(shape[1]) < 0.7)


def train(data: Path, out: Path, *, steps: int, seed: int) -> None:
    """Train, validate every 200 steps, keep the best."""
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(seed)
    torch.set_num_threads(1)
    rng = np.random.default_rng(seed)
    recordings, held = load(data, "train"), load(data, "valid")
    checks = [sample(held[i % len(held)], np.random.default_rng(i)) for i in range(240)]
    network = build()
    optimizer = torch.optim.AdamW(network.parameters(), lr=4e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    loss_of = torch.nn.CrossEntropyLoss(ignore_index=IGNORED)
    best, began = np.inf, time.monotonic()
    out.parent.mkdir(parents=True, exist_ok=True)
    for step in range(1, steps + 1):
        network.train()
        chosen = rng.integers(len(recordings), size=BATCH)
        picked = [sample(recordings[int(i)], rng) for i in chosen]
        inputs, marks = map(np.stack, zip(*picked, strict=True))
        loss = loss_of(network(torch.from_numpy(inputs)), torch.from_numpy(marks))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 200 and step != steps:
            continue
        network.eval()
        with torch.inference_mode():
            x, y = (torch.from_numpy(np.stack(part)) for part in zip(*checks, strict=True))
            logits = torch.cat([network(part) for part in x.split(40)])
            held_loss = float(loss_of(logits, y))
        took = time.monotonic() - began
        print(f"{step} {took:.0f}s {float(loss.detach()):.4f} {held_loss:.4f}", flush=True)
        if held_loss < best:
            best = held_loss
            card = {"data": "LUDB train split", "seed": seed, "step": step, "valid_loss": best}
            weights = {k: v.contiguous() for k, v in network.state_dict().items()}
            save_file(weights, out, metadata={"card": json.dumps(card)})


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/ecg"))
    parser.add_argument("--out", type=Path, default=Path("ecg4u/explain/weights/waves.safetensors"))
    parser.add_argument("--steps", type=int, default=2400)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    train(given.data, given.out, steps=given.steps, seed=given.seed)


if __name__ == "__main__":
    main()
