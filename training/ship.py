"""From raw HDF5 to shipped weights: `python -m training.ship --ecg DIR --work DIR --out DIR`.

Prepares the data, boosts the trees and trains the network that learns from them, on train and valid
together and once more with each fold held out, and exports both with what the folds say
(`training.export --fold`). Each step is the command that its log begins with, on one thread, so
that the weights do not depend on ``--jobs``. A step that has ended is not repeated, but for the
export: after a kill the same command goes on with the next one.
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
from dataclasses import dataclass, replace
from pathlib import Path

import click

from training.folds import HELD_OUT, run_of

TREES = "training.trees --labels targets --seed 0 --threads 1"
NETWORK = (
    "training.train --labels targets --epochs 40 --stop-after 22 --validate-every 100 --threads 1 "
    "--resume"
)
KINDS = ("network", "trees")
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


def trainings(data: Path, work: Path) -> tuple[list[Step], list[Step]]:
    """The steps that boost trees, and those that train networks and need the trees' runs."""
    trees, networks = [], []
    for seed, held in enumerate(HELD_OUT):
        taught, run = run_of(work / "trees", held), run_of(work / "network", held)
        own = ("--data", str(data), "--held-out", held)
        trees.append(Step(taught.name, (*TREES.split(), *own, "--run", str(work / "trees"))))
        learns = ("--run", str(run), "--teacher", str(taught), "--seed", str(seed))
        networks.append(Step(run.name, (*NETWORK.split(), *own, *learns)))
    return trees, networks


def fold_runs(work: Path) -> list[Path]:
    """The runs with a fold held out, which judge those that ship."""
    return [run_of(work / kind, held) for kind in KINDS for held in HELD_OUT[:-1]]


def exporting(data: Path, work: Path, out: Path) -> Step:
    """The step that joins the runs, judged by those with a fold held out."""
    folds = [part for run in fold_runs(work) for part in ("--fold", run)]
    shipped = (work / kind for kind in KINDS)
    last = ("training.export", *shipped, *folds, "--data", data, "--out", out)
    return Step("export", tuple(map(str, last)))


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
@click.option("--jobs", default=2, help="Runs at a time, one thread each.")
@click.option("--final", is_flag=True, help="Also measure the test split, for the card.")
def main(ecg: Path, work: Path, out: Path, jobs: int, final: bool) -> None:
    """Reproduce the shipped weights; write the seconds of each step to WORK/seconds.json."""
    work.mkdir(parents=True, exist_ok=True)
    started, data = time.monotonic(), work / "ecg.h5"
    prepare = ("training.prepare_data", "--ecg", str(ecg), "--out", str(data))
    seconds = run_all([Step("prepare", prepare)], work, 1)
    for steps in trainings(data, work):
        seconds |= run_all(steps, work, jobs)
    last = exporting(data, work, out)
    if final:
        last = replace(last, command=(*last.command, "--final"))
    (work / f"{last.name}.done").unlink(missing_ok=True)
    seconds |= run_all([last], work, 1)
    seconds["in all"] = time.monotonic() - started
    _say("in all", seconds["in all"])
    (work / TIMES).write_text(json.dumps(seconds, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
