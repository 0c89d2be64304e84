"""Throughput, memory and isolation of ``ecg4u batch``.

    python -m benchmarks.batch speed --pages ../shared/images/generated/'A*.png' -n 60
    python -m benchmarks.batch faults -n 1000

``speed`` digitizes copies of clean pages with one worker and with two: pages a minute between the
first and the last page done (start-up left out), CPU seconds a page, memory and its growth, and
what a million pages need. Run it on a machine that does nothing else; the load at the start is
printed with the figures.

``faults`` runs small records of which 1 % are corrupt, 1 % hang and 1 % kill their worker, and
checks that each is named and all others are done.
"""

from __future__ import annotations

import glob
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from ecg4u.batch import Item, Options, PageTask, PoolExecutor, Summary, run_batch
from ecg4u.batch.executors import Limits
from ecg4u.batch.ledger import read_entries
from ecg4u.io import write_record
from ecg4u.record import ECGRecord

MILLION = 1_000_000


@dataclass(frozen=True)
class Speed:
    """What one run of ``speed`` measured."""

    workers: int
    pages: int
    pages_per_min: float
    cpu_s: float
    rss_mb: float
    growth_mb: float

    def row(self) -> str:
        """As a row of the table."""
        return (
            f"| {self.workers} | {self.pages} | {self.pages_per_min:.1f} | {self.cpu_s:.2f} "
            f"| {self.rss_mb:.0f} | {self.growth_mb:+.0f} |"
        )


@dataclass(frozen=True)
class FaultyTask:
    """The real task, but names that begin with ``hang`` or ``kill`` do so."""

    task: PageTask

    def __call__(self, item: Item) -> dict[str, Any]:
        """See `PageTask`."""
        name = os.path.basename(item.path)
        if name.startswith("hang"):
            time.sleep(3600)
        if name.startswith("kill"):
            os.kill(os.getpid(), signal.SIGKILL)
        return self.task(item)


@dataclass
class Stopwatch:
    """Wraps an executor to note when each outcome came."""

    executor: PoolExecutor
    times: list[float]

    def run(self, task: Any, items: Any) -> Any:
        """See `ecg4u.batch.Executor`."""
        for outcome in self.executor.run(task, items):
            self.times.append(time.monotonic())
            yield outcome


@click.group()
def main() -> None:
    """Benchmarks of the batch."""


@main.command()
@click.option("--pages", default="../shared/images/generated/A*.png", show_default=True)
@click.option("-n", "n_pages", default=60, show_default=True)
@click.option("--workers", multiple=True, type=int, default=(1, 2), show_default=True)
@click.option("--classify", is_flag=True)
@click.option("--usd-per-core-hour", default=0.05, show_default=True)
def speed(
    pages: str, n_pages: int, workers: tuple[int, ...], classify: bool, usd_per_core_hour: float
) -> None:
    """Pages a minute, CPU and memory."""
    sources = sorted(glob.glob(pages))
    if not sources:
        raise click.UsageError(f"No page matches {pages}.")
    load = os.getloadavg()[0]
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(n_pages):
            source = Path(sources[number % len(sources)])
            shutil.copy(source, Path(folder) / f"{number:05d}{source.suffix}")
        for count in workers:
            found.append(measure_speed(Path(folder), count, classify))
    click.echo(f"Load at the start: {load:.1f} on {len(os.sched_getaffinity(0))} cores")
    click.echo("| workers | pages | pages/min | CPU s/page | RSS MB | growth MB |")
    click.echo("|---|---|---|---|---|---|")
    for measured in found:
        click.echo(measured.row())
    if len(found) > 1:
        click.echo(f"Scaling: {found[-1].pages_per_min / found[0].pages_per_min:.2f}x")
    hours = found[-1].cpu_s * MILLION / 3600
    click.echo(
        f"Per million pages: {hours:.0f} core-hours, {hours * usd_per_core_hour:.0f} USD at "
        f"{usd_per_core_hour} USD; {3600 / found[-1].cpu_s:.0f} pages per core-hour"
    )


def measure_speed(source: Path, workers: int, classify: bool) -> Speed:
    """One run over all pages of ``source``."""
    times: list[float] = []
    options = Options(classify=classify)
    with tempfile.TemporaryDirectory() as out:
        run_batch(
            [str(source)],
            out,
            executor=lambda lock: Stopwatch(
                PoolExecutor(workers, Limits(timeout_s=300, lock_path=lock)), times
            ),
            task=PageTask(out, options),
            options=options,
        )
        entries = list(read_entries(Path(out)).values())
    rss = np.array([entry["rss_mb"] for entry in entries])
    quarter = max(1, len(rss) // 4)
    return Speed(
        workers,
        len(entries),
        60 * (len(times) - 1) / (times[-1] - times[0]),
        float(np.median([entry["cpu_s"] for entry in entries])),
        float(rss.max()),
        float(np.median(rss[-quarter:]) - np.median(rss[quarter : 2 * quarter])),
    )


@main.command()
@click.option("-n", "n_inputs", default=1000, show_default=True)
@click.option("--timeout", default=5.0, show_default=True)
def faults(n_inputs: int, timeout: float) -> None:
    """1 % corrupt, 1 % hanging, 1 % killing: all others done?"""
    n_each = max(1, n_inputs // 100)
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "in", Path(folder) / "out"
        for number in range(n_inputs):
            bad = number % 100 if number // 100 < n_each else -1
            kind = {10: "corrupt", 40: "hang", 70: "kill"}.get(bad, "good")
            write_faulty(source / f"{kind}{number:05d}", kind)
        began = time.monotonic()
        summary = run_faults(source, out, timeout)
        seconds = time.monotonic() - began
        wrong = {
            key: entry["pages"][0]["code"]
            for key, entry in read_entries(out).items()
            if entry["pages"][0]["code"] != expected_code(key)
        }
    click.echo(f"{summary} in {seconds:.0f} s; not as expected: {wrong or 'none'}")


def write_faulty(path: Path, kind: str) -> None:
    """A small record, or a page that is none."""
    if kind == "corrupt":
        path.with_suffix(".png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
        return
    seed = int(path.name[-5:])
    signal_mv = np.random.default_rng(seed).normal(0, 0.2, (500, 12))
    write_record(ECGRecord(signal_mv), path, "csv")


def run_faults(source: Path, out: Path, timeout_s: float) -> Summary:
    """The batch of ``faults``."""
    make: Callable[[str], PoolExecutor] = lambda lock: PoolExecutor(  # noqa: E731
        2, Limits(timeout_s=timeout_s, lock_path=lock)
    )
    return run_batch(
        [str(source)], out, executor=make, task=FaultyTask(PageTask(str(out), Options()))
    )


def expected_code(key: str) -> str:
    """The code with which an input of ``faults`` should end."""
    name = os.path.basename(key)
    codes = {"corrupt": "unreadable_input", "hang": "timeout", "kill": "crash", "good": "ok"}
    return next(code for kind, code in codes.items() if name.startswith(kind))


if __name__ == "__main__":
    main()
