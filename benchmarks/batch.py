"""Throughput, memory, isolation and recovery of ``ecg4u batch``, into benchmarks/results/batch.md.

    python -m benchmarks.batch all       # speed, kills and faults: 8 minutes on two idle cores
    python -m benchmarks.batch growth -n 2000 --out cache/growth    # 25 minutes there

``speed`` digitizes and classifies copies of clean 2200 x 1700 pages with one worker and with two:
pages a minute between the first and the last page done (start-up left out), CPU seconds a page,
memory, and what a million pages need. The load at the start is printed with the figures.

The others take small pages: real recordings (``--records``) drawn as 3x4 pages without a rhythm
strip, 1,134 px wide, which take a third of the time of a full page. Each command replaces its own
section of the results.
"""

from __future__ import annotations

import glob
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import numpy as np

from ecg4u.batch import Item, Options, PageTask, PoolExecutor, RunOptions, Summary, run_batch
from ecg4u.batch.executors import WorkerLimits
from ecg4u.batch.ledger import Entries
from ecg4u.io import write_record
from ecg4u.record import ECGRecord

RESULTS = Path(__file__).parent / "results" / "batch.md"
MILLION = 1_000_000
CLASSIFY = Options(classify=True)
LOOKS = (
    {"fine_colour": (248, 205, 205), "coarse_colour": (238, 160, 160), "paper": (255, 250, 246)},
    {"fine_colour": (210, 210, 210), "coarse_colour": (150, 150, 150), "paper": (255, 255, 255)},
    {"fine_colour": (205, 220, 245), "coarse_colour": (140, 170, 225), "paper": (250, 252, 255)},
    {"fine_colour": (250, 215, 185), "coarse_colour": (235, 165, 110), "paper": (255, 252, 246)},
)


@dataclass(frozen=True)
class Speed:
    """What one run of ``speed`` measured."""

    workers: int
    pages: int
    done: int
    pages_per_min: float
    cpu_s: float
    peak_mb: float

    def row(self) -> str:
        """As a row of the table."""
        return (
            f"| {self.workers} | {self.done} of {self.pages} | {self.pages_per_min:.1f} "
            f"| {self.cpu_s:.2f} | {self.peak_mb:.0f} |"
        )


@dataclass(frozen=True)
class WatchedTask:
    """The real task, whose report names the worker."""

    task: PageTask

    def warm_up(self) -> None:
        """See `PageTask`."""
        self.task.warm_up()

    def __call__(self, item: Item) -> dict[str, Any]:
        """See `PageTask`."""
        return {**self.task(item), "worker": os.getpid()}


@dataclass(frozen=True)
class FaultyTask:
    """The real task, but names that begin with ``hang`` or ``kill`` do so."""

    task: PageTask

    def warm_up(self) -> None:
        """See `PageTask`."""
        self.task.warm_up()

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


RECORDS = click.option(
    "--records", type=click.Path(path_type=Path), default=Path("../shared/ecg/ptbxl.h5")
)


@click.group()
def main() -> None:
    """Benchmarks of the batch."""


@main.command("all")
@click.pass_context
def everything(context: click.Context) -> None:
    """Speed, kills and faults, in this order."""
    context.invoke(speed)
    context.invoke(kills)
    context.invoke(faults)


@main.command()
@click.option("--pages", default="../shared/images/generated/A*.png", show_default=True)
@click.option("-n", "n_pages", default=24, show_default=True, help="For each worker.")
@click.option("--workers", multiple=True, type=int, default=(1, 2), show_default=True)
@click.option("--usd-per-core-hour", default=0.05, show_default=True)
def speed(pages: str, n_pages: int, workers: tuple[int, ...], usd_per_core_hour: float) -> None:
    """Pages a minute, CPU and memory."""
    sources = sorted(glob.glob(pages))
    if not sources:
        raise click.UsageError(f"No page matches {pages}.")
    load = os.getloadavg()[0]
    found = [measure_speed(sources, n_pages * count, count) for count in workers]
    lines = [
        f"Load at the start: {load:.1f} on {len(os.sched_getaffinity(0))} cores.",
        "",
        "| workers | pages done | pages/min | CPU-s a page (median) | peak MB of a worker |",
        "|---|---|---|---|---|",
        *(measured.row() for measured in found),
        "",
    ]
    if len(found) > 1:
        ratio = found[-1].pages_per_min / found[0].pages_per_min
        lines.append(f"From {workers[0]} to {workers[-1]} workers: {ratio:.2f}x.")
    hours = found[-1].cpu_s * MILLION / 3600
    lines.append(
        f"{3600 / found[-1].cpu_s:.0f} pages per core-hour; a million pages: {hours:.0f} "
        f"core-hours, {hours * usd_per_core_hour:.0f} USD at {usd_per_core_hour} USD an hour."
    )
    keep("speed", lines)


def measure_speed(sources: list[str], n_pages: int, workers: int) -> Speed:
    """One run over ``n_pages`` copies of ``sources``."""
    times: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "in", Path(folder) / "out"
        source.mkdir()
        for number in range(n_pages):
            original = Path(sources[number % len(sources)])
            shutil.copy(original, source / f"{number:05d}{original.suffix}")
        run_batch(
            [str(source)],
            out,
            executor=lambda lock: Stopwatch(pool(lock, workers), times),
            task=PageTask(str(out), CLASSIFY),
            options=CLASSIFY,
        )
        entries = list(Entries(out).values())
    return Speed(
        workers,
        len(entries),
        sum(entry["status"] == "done" for entry in entries),
        60 * (len(times) - workers) / (times[-1] - times[workers - 1]),
        float(np.median([entry["cpu_s"] for entry in entries])),
        max(entry["peak_mb"] for entry in entries),
    )


def pool(lock: str, workers: int = 2, timeout_s: float = 300.0) -> PoolExecutor:
    """As ``ecg4u batch -j`` makes it."""
    return PoolExecutor(workers, WorkerLimits(timeout_s, 6000, lock))


@main.command()
@RECORDS
@click.option("-n", "n_pages", default=2000, show_default=True)
@click.option("--distinct", default=500, show_default=True, help="Pages; the rest are copies.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Resumed if it exists.")
def growth(records: Path, n_pages: int, distinct: int, out: Path) -> None:
    """Memory of two workers over many pages."""
    source = out / "in"
    if not source.exists():
        draw_small_pages(records, source, min(distinct, n_pages))
        for number in range(distinct, n_pages):
            os.link(source / small_name(number % distinct), source / small_name(number))
    run_batch(
        [str(source)],
        out / "out",
        executor=pool,
        task=WatchedTask(PageTask(str(out / "out"), CLASSIFY)),
        options=CLASSIFY,
        which=RunOptions(resume=True),
    )
    keep("growth", growth_table(out / "out"))


def growth_table(out: Path, every: int = 50) -> list[str]:
    """RSS after each 50 pages of each worker, and its growth, from the ledger of a run."""
    entries = [entry for entry in in_order_of_end(out) if "worker" in entry]
    workers = sorted({entry["worker"] for entry in entries})
    held = [np.array([e["rss_mb"] for e in entries if e["worker"] == w]) for w in workers]
    done = sum(entry["status"] == "done" for entry in entries)
    longest = max(map(len, held))
    lines = [
        f"{len(entries)} pages, {done} done, by {len(workers)} worker processes; median "
        f"{np.median([entry['cpu_s'] for entry in entries]):.2f} CPU-s a page.",
        "",
        "| pages done by the worker | "
        + " | ".join(f"worker {i + 1} MB" for i in range(len(held))),
        "|---" * (len(held) + 1) + "|",
    ]
    for first in range(0, longest, 2 * every):
        parts = [rss[first : first + every] for rss in held]
        cells = [f"{np.median(part):.0f}" if len(part) else "" for part in parts]
        lines.append(f"| {first} to {first + every} | " + " | ".join(cells) + " |")
    for number, rss in enumerate(held, start=1):
        if len(rss) >= 4 * every:
            grown = np.median(rss[-every:]) - np.median(rss[every : 2 * every])
            late = np.median(rss[-every:]) - np.median(rss[len(rss) // 2 :][:every])
            lines.append(
                f"\nWorker {number}: {grown:+.0f} MB from its second 50 pages to its last 50 "
                f"(n = {len(rss)}), {late:+.0f} MB over the second half; peak {rss.max():.0f} MB."
            )
    return lines


def in_order_of_end(out: Path) -> list[dict[str, Any]]:
    """The entries of a run's ledger as they were written."""
    import json

    lines = (out / "ledger.jsonl").read_text().splitlines()
    return [line for line in map(json.loads, lines) if line.get("type") == "entry"]


@main.command()
@RECORDS
@click.option("-n", "n_inputs", default=300, show_default=True)
@click.option("--pages-among", default=60, show_default=True, help="The rest: signal records.")
@click.option("--timeout", default=15.0, show_default=True)
def faults(records: Path, n_inputs: int, pages_among: int, timeout: float) -> None:
    """1 % corrupt, 1 % hanging, 1 % killing: all others done?"""
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "in", Path(folder) / "out"
        kinds = write_faulty(records, source, n_inputs, pages_among)
        began = time.monotonic()
        summary = run_faults(source, out, timeout)
        seconds = time.monotonic() - began
        found = {key: entry["pages"][0]["code"] for key, entry in Entries(out).items()}
    wrong = {key: code for key, code in found.items() if code != expected_code(key)}
    counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds)))
    keep(
        "faults",
        [
            f"{n_inputs} inputs ({counts}): {summary.done} done, {summary.refused} refused, "
            f"{summary.failed} failed, in {seconds:.0f} s.",
            "",
            f"Not as expected: {wrong or 'none'}; not in the ledger: {n_inputs - len(found)}.",
        ],
    )


def write_faulty(records: Path, source: Path, n_inputs: int, n_pages: int) -> list[str]:
    """Inputs of every kind, mixed by name; returns the kinds."""
    n_each = max(1, n_inputs // 100)
    kinds = [kind for kind in ("corrupt", "hang", "kill") for _ in range(n_each)]
    kinds += ["page"] * n_pages
    kinds += ["record"] * (n_inputs - len(kinds))
    order = random.Random(n_inputs).sample(range(n_inputs), n_inputs)
    draw_small_pages(records, source / "drawn", n_pages)
    pages = sorted((source / "drawn").iterdir())
    for number, kind in zip(order, kinds, strict=True):
        folder = source / f"{number:05d}"
        folder.mkdir()
        if kind == "page":
            pages.pop().rename(folder / "page.png")
        elif kind == "corrupt":
            (folder / "corrupt.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
        else:
            write_record(recording(records, number), folder / kind, "csv")
    (source / "drawn").rmdir()
    return kinds


def run_faults(source: Path, out: Path, timeout_s: float) -> Summary:
    """The batch of ``faults``."""
    make: Callable[[str], PoolExecutor] = lambda lock: pool(lock, 2, timeout_s)  # noqa: E731
    task = FaultyTask(PageTask(str(out), CLASSIFY))
    return run_batch([str(source)], out, executor=make, task=task, options=CLASSIFY)


def expected_code(key: str) -> str:
    """The code with which an input of ``faults`` should end."""
    name = os.path.basename(key)
    codes = {"corrupt": "unreadable_input", "hang": "timeout", "kill": "crash"}
    return next((code for kind, code in codes.items() if name.startswith(kind)), "ok")


@main.command()
@RECORDS
@click.option("-n", "n_pages", default=60, show_default=True)
@click.option("--kills", "n_kills", default=20, show_default=True)
@click.option("--longest", default=9.0, show_default=True, help="s until a kill, at most.")
def kills(records: Path, n_pages: int, n_kills: int, longest: float) -> None:
    """``kill -9`` of the whole run again and again, then --resume: as an undisturbed run?"""
    chance = random.Random(n_kills)
    with tempfile.TemporaryDirectory() as folder:
        source, whole, out = (Path(folder) / name for name in ("in", "whole", "out"))
        draw_small_pages(records, source, n_pages)
        start(source, whole).wait()
        n_alive = 0
        for _ in range(n_kills):
            process = start(source, out)
            wait_early_or_late(process, out, chance, longest)
            n_alive += process.poll() is None
            kill_one_way(process, chance)
        n_before = len(Entries(out))
        start(source, out).wait()
        keep("kills", kill_lines(whole, out, n_pages, n_alive, n_before))


def start(source: Path, out: Path) -> subprocess.Popen[bytes]:
    """``ecg4u batch`` with two workers, in a process group of its own."""
    command = [sys.executable, "-m", "ecg4u.cli", "batch", str(source), "-o", str(out)]
    options = ["-j", "2", "--classify", "--report", "--keep-sidecars", "--resume"]
    options += ["--timeout", "900", "-q"]
    return subprocess.Popen([*command, *options], start_new_session=True, stderr=subprocess.DEVNULL)


def wait_early_or_late(
    process: subprocess.Popen[bytes], out: Path, chance: random.Random, longest: float
) -> None:
    """Some time, or until a file of the output itself (the manifest) is being written."""
    if chance.random() < 0.8:
        time.sleep(chance.uniform(0.1, longest))
        return
    while process.poll() is None and not list(out.glob(".ecg4u-*.tmp")):
        time.sleep(0.001)


def kill_one_way(process: subprocess.Popen[bytes], chance: random.Random) -> None:
    """SIGKILL to the run, or to it and all its workers at once."""
    if chance.random() < 0.5 and process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def kill_lines(whole: Path, out: Path, n_pages: int, n_kills: int, n_before: int) -> list[str]:
    """What differs between the undisturbed run and the killed one."""
    first, second = tree(whole), tree(out)
    keys = [entry["key"] for entry in in_order_of_end(out)]
    differ = sorted(p for p in first.keys() | second.keys() if first.get(p) != second.get(p))
    return [
        f"{n_pages} pages, {n_kills} kills ({n_before} pages ended before the last --resume): "
        f"{len(second)} files ({sum(map(len, second.values())) / 1e6:.0f} MB), "
        f"{len(differ)} of which differ from the undisturbed run's {len(first)}.",
        "",
        f"Lost {n_pages - len(set(keys))}, twice in the ledger {len(keys) - len(set(keys))}; "
        f"statuses {sorted({entry['status'] for entry in in_order_of_end(out)})}.",
    ]


def tree(out: Path) -> dict[str, bytes]:
    """All files of a run but its ledger and lock, whose lines hold times."""
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file() and "ledger" not in path.name
    }


def draw_small_pages(records: Path, folder: Path, count: int) -> None:
    """Real recordings as 3x4 pages 1,134 px wide, in four colours and three heights."""
    from PIL import Image

    from ecg4u.paper.draw import draw_page
    from ecg4u.paper.layouts import LAYOUTS
    from ecg4u.paper.style import PageStyle

    folder.mkdir(parents=True)
    small = PageStyle(px_per_mm=4.2, margin=(6.0, 6.0, 4.0, 4.0))
    for number in range(count):
        look: Any = LOOKS[number % len(LOOKS)]
        style = replace(small, row_pitch=20.0 + number % 3, **look)
        page = draw_page(recording(records, number), LAYOUTS["3x4"], style)
        Image.fromarray(page.image).save(folder / small_name(number))


def small_name(number: int) -> str:
    """``page00012.png``"""
    return f"page{number:05d}.png"


def recording(records: Path, number: int) -> ECGRecord:
    """The ``number``-th recording of an HDF5 file of (12, n) counts, its first 10 s."""
    import h5py

    with h5py.File(records) as file:
        data = file[sorted(file)[number % len(file)]]
        fs = float(data.attrs["fs"])
        counts = data[:, : round(10 * fs)].T
        return ECGRecord(counts * float(file.attrs["millivolts_per_count"]), fs)


def keep(section: str, lines: list[str]) -> None:
    """Print the lines, and put them between the section's marks in the results."""
    text = "\n".join(lines)
    click.echo(text)
    stamp = f"Measured {datetime.now(UTC):%Y-%m-%d %H:%M} UTC."
    begin, end = f"<!-- {section} -->", f"<!-- end of {section} -->"
    old = RESULTS.read_text(encoding="utf-8")
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not pattern.search(old):
        raise click.ClickException(f"{RESULTS.name} has no section {section}.")
    new = f"{begin}\n{stamp}\n\n{text}\n{end}"
    RESULTS.write_text(pattern.sub(lambda _: new, old), encoding="utf-8")


if __name__ == "__main__":
    main()
