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
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from math import sqrt
from pathlib import Path

import click
import numpy as np

from ecg4u.limits import ENVIRONMENT

DATA = Path(__file__).parents[1] / "data"
INPUTS = {
    "page": DATA / "pages" / "phone.jpg",
    "record": DATA / "records" / "ptbxl_00427.hea",
}
NEEDS = """What ordinary inputs need of the limits.

    python -m benchmarks.guard --needs --out benchmarks/results/needs.md

calls ``ecg4u report`` once on each, on one core and on two. Seconds of computing, and on the clock
of a machine that others use, too; the most memory that the process held, with what it maps. Pages
are from the development data, some of them enlarged; the record is an ECG of 10 s, again and again.
"""

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
    """What one call took: seconds of computing, and on the clock."""

    cpu_s: float
    wall_s: float
    memory_mb: float
    """The most that it held."""


def call(code: str, *arguments: str, n_cores: int | None = None) -> Run:
    """Run Python ``code`` in a process of its own, on the first ``n_cores`` of those it may use.

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
        preexec_fn=lambda: os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:n_cores]),
    )
    _, status, usage = os.wait4(process.pid, 0)  # counts the children that it waited for, too
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{code} ended with {process.returncode}")
    seconds = time.perf_counter() - begun
    return Run(usage.ru_utime + usage.ru_stime, seconds, usage.ru_maxrss * 1024 / 1e6)


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


def ordinary(folder: Path) -> list[tuple[str, Path]]:
    """Inputs of the kinds that people have; made in ``folder`` where none is at hand so large."""
    from PIL import Image

    from ecg4u.io import read_record, write_record
    from ecg4u.record import ECGRecord

    shared = DATA.parent.parent / "shared" / "images"
    photographs = sorted((shared / "photos_with_truth").glob("*.jpg"))[4:6]
    pages = [
        ("phone photograph", INPUTS["page"]),
        ("scan of a real page", shared / "real_pages" / "01.png"),
        *(("black-and-white scan", path) for path in (shared / "scans_with_truth").glob("*36.png")),
        *(("photograph", path) for path in photographs),
    ]
    for name, width, source, suffix in (
        ("page enlarged to 600 dpi", 6600, shared / "generated" / "A00271.png", "png"),
        ("photograph enlarged", 4600, photographs[0], "jpg"),
        ("photograph enlarged", 11_850, photographs[0], "jpg"),
        ("photograph enlarged, as PNG", 11_850, photographs[0], "png"),
    ):
        with Image.open(source) as image:
            height = round(image.height * width / image.width)
            enlarged = image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
        enlarged.save(path := folder / f"{width}.{suffix}")
        pages.append((name, path))
    for number, (name, path) in enumerate(pages):
        with Image.open(path) as image:
            name = f"{name}, {image.width * image.height / 1e6:.1f} megapixels"
        pages[number] = (name, path)
    short = read_record(INPUTS["record"])
    for minutes in (1, 15):
        many = round(60 * minutes / short.duration_s)
        long = ECGRecord(np.tile(short.p_signal, (many, 1)), short.fs)
        path = write_record(long, folder / f"{minutes}")[0]
        pages.append((f"record of {minutes} min, twelve leads at {short.fs:g} Hz", path))
    return pages


def needs() -> str:
    """A row for each ordinary input."""
    lines = [
        "| input | computing, s | clock, s | most MB | on two cores: computing, s | most MB |",
        "|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory(prefix="needs") as folder:
        with ProcessPoolExecutor(1) as apart:  # its memory is not to count as an input's
            inputs = apart.submit(ordinary, Path(folder)).result()
        for name, path in inputs:
            to = ("-q", "-o", f"{folder}/out", str(path))
            one, two = (call(CALLS[LIMITED], "report", *to, n_cores=n) for n in (1, 2))
            lines.append(
                f"| {name} | {one.cpu_s:.0f} | {one.wall_s:.0f} | {one.memory_mb:.0f} "
                f"| {two.cpu_s:.0f} | {two.memory_mb:.0f} |"
            )
            print(lines[-1], flush=True)
    return "\n".join(lines)


HEAD = """\
| input | pairs | unlimited, s | limited, s | more, s | more | clock, unlimited | clock, limited |
|---|---|---|---|---|---|---|---|
"""


@click.command()
@click.option("-n", "n_pairs", default=10, show_default=True, help="Pairs for page and record.")
@click.option("--alone", default=100, show_default=True, help="Pairs for the guard itself.")
@click.option("--needs", "only_needs", is_flag=True, help="What ordinary inputs need, instead.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the table here, too.")
def main(n_pairs: int, alone: int, only_needs: bool, out: Path | None) -> None:
    """Call both ways in turn; print a table."""
    if only_needs:
        text = needs()
        if out is not None:
            out.write_text(f"# What inputs need\n\n{NEEDS}\n{text}\n", encoding="utf-8")
        return
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
