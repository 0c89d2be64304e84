"""From raw HDF5 to shipped weights: `python -m training.ship --ecg DIR --work DIR --out DIR`.

Prepares the data, trains the recipe's members on train and valid together and once more with each
fold held out, and exports them with what the folds say (`training.export --fold`). With ``--keep``
the members of earlier weights stay, curves are fitted beside them, and what these answer is
calibrated anew (`training.recalibrate`). Each step is the
command that its log begins with, on one thread, so that the weights do not depend on ``--jobs``. A
step that has ended is not repeated, but for the export: after a kill the same command goes on with
the next one.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import click

from training.folds import HELD_OUT
from training.trees import run_of

NETWORK = (
    "training.train --labels targets --epochs 30 --stop-after 16 --validate-every 100 --threads 1"
)
OF_MEASURES = {
    "trees-targets": "training.trees --labels targets --seed 0 --threads 1",
    "trees-stated": "training.trees --labels stated --seed 1 --threads 1",
    "additive": "training.additive --labels targets --seed 0 --threads 1",
}
BESIDE_KEPT = {
    "additive": "training.additive --labels targets --class RBBB --class STD --class STE "
    "--emphasis 3 --seed 0 --threads 1",
}
"""Each fits its four folds and the run that ships in one go. Beside kept members, curves for the
classes whose meaning in ICBEB-2018 those have not learned (`training/ABLATION.md`)."""
TIMES = "seconds.json"


@dataclass(frozen=True)
class Step:
    """One command with a name; it has ended well when ``work/name.done`` holds that command."""

    name: str
    command: tuple[str, ...]

    def run(self, work: Path) -> float:
        """Run it, unless it was done before; returns the seconds that it took then or now.

        Raises
        ------
        click.ClickException
            If it fails; its log says why.
        """
        done, log = work / f"{self.name}.done", work / f"{self.name}.log"
        told = shlex.join(("python", "-m", *self.command))
        if done.exists() and done.read_text().startswith(told + "\n"):
            return float(done.read_text().split()[-1])
        started = time.monotonic()
        with log.open("w", encoding="utf-8") as out:
            print(told, file=out, flush=True)
            code = subprocess.run(
                [sys.executable, "-m", *self.command],
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            ).returncode
        if code:
            raise click.ClickException(f"{self.name} ended with status {code}: see {log}")
        seconds = time.monotonic() - started
        done.write_text(f"{told}\n{seconds:.1f}\n")
        return seconds


def trainings(
    data: Path, work: Path, kept: Path | None
) -> tuple[list[Step], list[Path], list[Path]]:
    """The steps, the runs that ship, and the runs that calibrate them."""
    steps: list[Step] = []
    shipped: list[Path] = []
    folds: list[Path] = []
    for seed, held in enumerate(() if kept else HELD_OUT):
        run = run_of(work / "network", held)
        (shipped if held == "none" else folds).append(run)
        given = ("--data", data, "--run", run, "--held-out", held, "--seed", seed)
        steps.append(Step(run.name, (*NETWORK.split(), *map(str, given))))
    for name, command in (BESIDE_KEPT if kept else OF_MEASURES).items():
        shipped.append(work / name)
        parts = [part for held in HELD_OUT for part in ("--held-out", held)]
        options = ("--data", str(data), "--run", str(work / name), *parts)
        steps.append(Step(name, (*command.split(), *options)))
        folds += [run_of(work / name, held) for held in HELD_OUT[:-1]]
    return steps, shipped, folds


def run_all(steps: Sequence[Step], work: Path, jobs: int) -> dict[str, float]:
    """Run ``steps`` that do not need each other, ``jobs`` at a time; returns their seconds."""
    seconds = {}
    with ThreadPoolExecutor(jobs) as pool:
        futures = {pool.submit(step.run, work): step.name for step in steps}
        try:
            for future in as_completed(futures):
                seconds[futures[future]] = future.result()
                _say(futures[future], seconds[futures[future]])
        except click.ClickException:
            pool.shutdown(cancel_futures=True)
            raise
    return seconds


def _say(name: str, seconds: float) -> None:
    print(f"{name}: {seconds:.0f} s", file=sys.stderr, flush=True)


@click.command(context_settings={"show_default": True})
@click.option("--ecg", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--work", type=click.Path(path_type=Path), required=True, help="Data, runs, logs.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="For the weights.")
@click.option(
    "--keep",
    "kept",
    type=click.Path(path_type=Path, exists=True),
    help="Keep the members of these weights and fit only the curves (see training.recalibrate).",
)
@click.option("--jobs", default=2, help="Runs at a time, one thread each.")
@click.option("--final", is_flag=True, help="Also measure the test split, for the card.")
def main(ecg: Path, work: Path, out: Path, kept: Path | None, jobs: int, final: bool) -> None:
    """Reproduce the shipped weights; write the seconds of each step to WORK/seconds.json."""
    work.mkdir(parents=True, exist_ok=True)
    started, data = time.monotonic(), work / "ecg.h5"
    prepare = ("training.prepare_data", "--ecg", str(ecg), "--out", str(data))
    seconds = run_all([Step("prepare", prepare)], work, 1)
    steps, shipped, folds = trainings(data, work, kept)
    seconds |= run_all(steps, work, jobs)
    if kept:
        last = ["training.recalibrate", "--weights", kept, "--beside", shipped[0]]
    else:
        last = ["training.export", *shipped]
        last += [part for run in folds for part in ("--fold", run)]
    last += ["--data", data, "--out", out, *(["--final"] if final else [])]
    (work / "export.done").unlink(missing_ok=True)
    seconds |= run_all([Step("export", tuple(map(str, last)))], work, 1)
    seconds["in all"] = time.monotonic() - started
    _say("in all", seconds["in all"])
    (work / TIMES).write_text(json.dumps(seconds, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
