"""What the limits of time and memory cost on ordinary input.

    python -m benchmarks.guard --out benchmarks/results/guard.md

reads, classifies and explains a page and a record with ``ecg4u classify`` as the shell calls it (in
a limited fork, ``limited``) and by the same command called from Python (neither forked nor limited,
``unlimited``), in pairs, either way first in turn. Seconds of computing (user and system) of the
process and all that it started, as the kernel counts them when it has ended, so that a busy machine
hardly counts; seconds on the clock beside them. Both ways on one thread.

A pair differs by a few per cent by chance alone. So the guard itself is measured, too: a process
that only starts the fork, enters and leaves each of the narrower limits of reading within it and
waits for its end, less one that enters and leaves the same without fork and limits.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from math import sqrt
from pathlib import Path

import click

from ecg4u.limits import ENVIRONMENT

DATA = Path(__file__).parents[1] / "data"
INPUTS = {
    "page": DATA / "pages" / "phone.jpg",
    "record": DATA / "records" / "ptbxl_00427.hea",
}
LIMITED, UNLIMITED = "limited", "unlimited"
CALLS = {
    LIMITED: "import sys; from ecg4u.cli import main; main(sys.argv[1:])",
    UNLIMITED: "import sys; from ecg4u.cli import cli; cli.main(sys.argv[1:], "
    "standalone_mode=False)",
}
WORK = """
from ecg4u.limits import Limits, opening, reading, supervised_each
def work():
    for _ in range(3):  # is it a record; how many pages; the page
        with reading(), opening():
            pass
    return 0
"""
ALONE = {LIMITED: f"{WORK}list(supervised_each([work], Limits()))", UNLIMITED: f"{WORK}work()"}
ASKED = 0.03
"""Share of its speed that an ordinary page may lose to the guard."""
FIXED_HASHES = {"PYTHONHASHSEED": "0"}
"""So that no two runs of the same work differ by the order of sets."""


@dataclass(frozen=True)
class Run:
    """Seconds of one call: of computing, and on the clock."""

    cpu_s: float
    wall_s: float


def call(code: str, *arguments: str) -> Run:
    """Run Python ``code`` in a process of its own.

    Raises
    ------
    RuntimeError
        If it does not end with 0.
    """
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, **ENVIRONMENT, **FIXED_HASHES},
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)  # counts the children that it waited for, too
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{code} ended with {process.returncode}")
    return Run(usage.ru_utime + usage.ru_stime, time.perf_counter() - begun)


def pairs(calls: dict[str, str], n_pairs: int, *arguments: str) -> dict[str, list[Run]]:
    """``n_pairs`` runs of each way, in turn, the first to go another each time."""
    runs: dict[str, list[Run]] = {LIMITED: [], UNLIMITED: []}
    call(calls[UNLIMITED], *arguments)  # what the disk holds is in memory from here on
    for number in range(n_pairs):
        for way in sorted(runs, reverse=number % 2 == 1):
            runs[way].append(call(calls[way], *arguments))
    return runs


def row(name: str, runs: dict[str, list[Run]]) -> str:
    """Medians of each way, and mean and standard error of what the pairs differ by."""
    cpu = {way: statistics.median(run.cpu_s for run in of_way) for way, of_way in runs.items()}
    wall = {way: statistics.median(run.wall_s for run in of_way) for way, of_way in runs.items()}
    extra = [a.cpu_s - b.cpu_s for a, b in zip(runs[LIMITED], runs[UNLIMITED], strict=True)]
    mean, error = statistics.mean(extra), statistics.stdev(extra) / sqrt(len(extra))
    return (
        f"| {name} | {len(extra)} | {cpu[UNLIMITED]:.3f} | {cpu[LIMITED]:.3f} "
        f"| {mean:+.3f} ± {error:.3f} | {mean / cpu[UNLIMITED]:+.1%} ± "
        f"{error / cpu[UNLIMITED]:.1%} | {wall[UNLIMITED]:.2f} | {wall[LIMITED]:.2f} |"
    )


HEAD = """\
| input | pairs | unlimited, s | limited, s | more, s | more | clock, unlimited | clock, limited |
|---|---|---|---|---|---|---|---|
"""


@click.command()
@click.option("-n", "n_pairs", default=10, show_default=True, help="Pairs for page and record.")
@click.option("--alone", default=100, show_default=True, help="Pairs for the guard itself.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the table here, too.")
def main(n_pairs: int, alone: int, out: Path | None) -> None:
    """Call both ways in turn; print a table."""
    found = {"the guard itself": pairs(ALONE, alone)}
    for name, path in INPUTS.items():
        found[name] = pairs(CALLS, n_pairs, "classify", "-q", str(path))
        print(row(name, found[name]), flush=True)
    own = [a.cpu_s - b.cpu_s for a, b in zip(*found["the guard itself"].values(), strict=True)]
    text = HEAD + "\n".join(row(name, runs) for name, runs in found.items())
    for name in INPUTS:
        whole = statistics.median(run.cpu_s for run in found[name][UNLIMITED])
        text += f"\n\nThe guard itself is {statistics.mean(own) / whole:.2%} of the computing of a "
        text += f"{name} (asked: at most {ASKED:.0%})."
    print(text)
    if out is not None:
        out.write_text(f"# Cost of the limits\n\n{__doc__}\n{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
