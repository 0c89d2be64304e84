"""What the limits of time and memory cost a normal page.

    python -m benchmarks.guard --out benchmarks/results/guard.md

reads, classifies and explains a page with ``ecg4u classify`` as the shell calls it (in a limited
fork), and by the same command called from Python (which is not forked or limited), in turn. Seconds
of computing, so that a busy machine does not count; seconds on the clock beside them. Both ways on
one thread; ``many`` is Python's way on as many as there are cores.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import click

from ecg4u.limits import ENVIRONMENT

PAGE = Path(__file__).parents[1] / "data" / "pages" / "phone.jpg"
UNLIMITED = "import sys; from ecg4u.cli import cli; cli.main(sys.argv[1:], standalone_mode=False)"
LIMITED = "import sys; from ecg4u.cli import main; main(sys.argv[1:])"
MANY = "many"
WAYS = {"limited": LIMITED, "unlimited": UNLIMITED, MANY: UNLIMITED}


@dataclass(frozen=True)
class Run:
    """Seconds of one call: of computing, and on the clock."""

    cpu_s: float
    wall_s: float


def call(way: str, page: Path) -> Run:
    """Classify ``page`` one way."""
    environment = {k: v for k, v in os.environ.items() if k not in ENVIRONMENT}
    if way != MANY:
        environment |= ENVIRONMENT
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", WAYS[way], "classify", "-q", str(page)],
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{way} ended with {process.returncode}")
    return Run(usage.ru_utime + usage.ru_stime, time.perf_counter() - begun)


def table(runs: dict[str, list[Run]]) -> str:
    """Medians of each way, and of the pairs' ratios to the unlimited way."""
    lines = [
        "| way | n | computing, s | on the clock, s | computing, to unlimited | least to most |",
        "|---|---|---|---|---|---|",
    ]
    for way, of_way in runs.items():
        ratios = [a.cpu_s / b.cpu_s for a, b in zip(of_way, runs["unlimited"], strict=True)]
        lines.append(
            f"| {way} | {len(of_way)} | {statistics.median(r.cpu_s for r in of_way):.2f} "
            f"| {statistics.median(r.wall_s for r in of_way):.2f} "
            f"| {statistics.median(ratios) - 1:+.1%} | {min(ratios) - 1:+.1%} to "
            f"{max(ratios) - 1:+.1%} |"
        )
    return "\n".join(lines) + "\n"


@click.command()
@click.option("-n", "n_runs", default=10, show_default=True, help="Calls of each way.")
@click.option("--page", type=click.Path(path_type=Path), default=PAGE)
@click.option("--out", type=click.Path(path_type=Path), help="Write the table here, too.")
def main(n_runs: int, page: Path, out: Path | None) -> None:
    """Call each way in turn, the first to go another each time; print a table."""
    ways = list(WAYS)
    runs: dict[str, list[Run]] = {way: [] for way in ways}
    call("unlimited", page)
    for number in range(n_runs):
        for way in ways[number % 3 :] + ways[: number % 3]:
            runs[way].append(call(way, page))
    text = table(runs)
    print(text)
    if out is not None:
        out.write_text(f"# Cost of the limits\n\n{__doc__}\n{text}", encoding="utf-8")


if __name__ == "__main__":
    main()
