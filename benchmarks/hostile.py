"""Hostile files: are they refused or bounded, how fast, in how much memory?

    python -m benchmarks.hostile --out benchmarks/results/hostile.md

makes the files of ``tests/hostile_files.py`` and reads each in a process of its own under the
limits of ``ecg4u.limits``, as every face does. Seconds are the process's own (a busy machine does
not count), memory is the most that the process held, the 0.1 GB of interpreter and libraries
included. "Process died" is memory that ran out inside a C library which then ends its process: a
face says so in one line and goes on.

With ``--after PAGE`` each is read by a process that has analysed that page and made its report, as
the batch's and the service's workers have: a second table. There memory includes what the page
left.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import click

from ecg4u.errors import ECG4UError
from ecg4u.limits import (
    ENVIRONMENT,
    MEMORY_MB,
    OPENING_CPU_S,
    READ_MEMORY_MB,
    TIMEOUT_S,
    computed_too_long,
    computing,
    is_out_of_memory,
    opened_too_long,
    prepare_worker,
    where,
)
from ecg4u.memory import keep_freed_memory, rss_mb

MAKER = Path(__file__).parents[1] / "tests" / "hostile_files.py"
READ, REFUSED, ESCAPED = 0, 3, 1


@dataclass(frozen=True)
class Trial:
    """What became of one file: ``outcome`` is read, refused, timeout, killed or escaped."""

    path: Path
    outcome: str
    seconds: float
    cpu_s: float
    memory_mb: float
    said: str


def make(folder: Path, kinds: Sequence[str] | None) -> dict[str, list[Path]]:
    """What ``write_all`` of ``tests/hostile_files.py`` does, which is no part of a package."""
    spec = importlib.util.spec_from_file_location("hostile_files", MAKER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    paths: dict[str, list[Path]] = module.write_all(folder, kinds)
    return paths


def try_reading(path: Path) -> Trial:
    """Read ``path`` in a fork under the limits."""
    sys.stdout.flush()
    begun, parent = time.perf_counter(), os.getpid()
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(out)
        prepare_worker(MEMORY_MB, parent)
        with computing(TIMEOUT_S):
            code, said = _read(path)
        os.write(into, said.encode("utf-8", "replace")[:2000])
        os._exit(code)
    os.close(into)
    with os.fdopen(out, "rb") as pipe:
        said = pipe.read().decode("utf-8", "replace")
    _, status, usage = os.wait4(child, 0)
    code = os.waitstatus_to_exitcode(status)
    outcome = {READ: "read", REFUSED: "refused", ESCAPED: "escaped"}.get(code, "killed")
    if opened_too_long(code) or computed_too_long(code):
        outcome = "timeout"
    return Trial(
        path,
        outcome,
        time.perf_counter() - begun,
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss * 1024 / 1e6,
        said or f"exit code {code}",
    )


def _read(path: Path) -> tuple[int, str]:
    from ecg4u.io import count_pages, is_record_file, read_page, read_record

    try:
        if is_record_file(path):
            record = read_record(path)
            return READ, f"{record.n_samples} samples at {record.fs:g} Hz"
        n_pages = count_pages(path)
        return READ, f"{n_pages} pages, {read_page(path).image.shape}"
    except ECG4UError as error:
        return REFUSED, error.message
    except Exception as error:
        return ESCAPED, f"{where(error)} memory" if is_out_of_memory(error) else where(error)


def table(trials: Mapping[str, Sequence[Trial]]) -> str:
    """A row per kind of file."""
    lines = [
        "| files | n | read | refused | ended by the limit of time | process died | escaped |"
        " most CPU s | most MB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    everything = [trial for found in trials.values() for trial in found]
    for kind, found in (*trials.items(), ("all", everything)):
        counts = [
            sum(trial.outcome == name for trial in found)
            for name in ("read", "refused", "timeout", "killed", "escaped")
        ]
        lines.append(
            f"| {kind} | {len(found)} | {' | '.join(map(str, counts))} "
            f"| {max(t.cpu_s for t in found):.1f} | {max(t.memory_mb for t in found):.0f} |"
        )
    return "\n".join(lines) + "\n"


def slowest(trials: Mapping[str, Sequence[Trial]], seconds: float = 5.0) -> str:
    """How many took longer than ``seconds`` of computing, and what they ended as."""
    over = [trial for found in trials.values() for trial in found if trial.cpu_s > seconds + 0.5]
    ends = Counter(trial.outcome for trial in over)
    words = ", ".join(f"{n} {outcome}" for outcome, n in sorted(ends.items()))
    return f"More than {seconds + 0.5:g} s of computing: {len(over)}{f' ({words})' * bool(over)}.\n"


def warm_up(page: Path) -> None:
    """Do to ``page`` in this process what a worker does, and set what it sets before."""
    from ecg4u.analysis import analyse
    from ecg4u.report import render

    render(analyse(page))


def try_all(paths: Mapping[str, Sequence[Path]]) -> dict[str, list[Trial]]:
    """Read every file; print what took long or did not end by itself."""
    trials: dict[str, list[Trial]] = {}
    for kind, of_kind in paths.items():
        for path in of_kind:
            trial = try_reading(path)
            trials.setdefault(kind, []).append(trial)
            if trial.outcome not in ("read", "refused") or trial.cpu_s > 1:
                print(
                    f"{kind}/{path.name!a}: {trial.outcome}, {trial.seconds:.1f} s "
                    f"({trial.cpu_s:.1f} CPU), {trial.memory_mb:.0f} MB: {trial.said}",
                    flush=True,
                )
    return trials


@click.command()
@click.option("--out", type=click.Path(path_type=Path), help="Write the tables here, too.")
@click.option("--kind", "kinds", multiple=True, help="Only these.")
@click.option("--files", type=click.Path(path_type=Path), help="Where they were made before.")
@click.option("--after", type=click.Path(path_type=Path, exists=True), help="Once more after it.")
def main(out: Path | None, kinds: tuple[str, ...], files: Path | None, after: Path | None) -> None:
    """Read every hostile file; print what took long, and a table."""
    os.environ.update(ENVIRONMENT)
    keep_freed_memory()
    import h5py  # noqa: F401  (in the parent, so that no child's time counts it)
    import numpy  # noqa: F401
    import PIL.Image  # noqa: F401

    with tempfile.TemporaryDirectory(prefix="hostile") as folder:
        with ProcessPoolExecutor(1) as apart:  # its memory is not to count as a child's
            paths = apart.submit(make, files or Path(folder), kinds or None).result()
        trials = try_all(paths)
        text = f"{table(trials)}\n{slowest(trials)}"
        if after is not None:
            warm_up(after)
            held_mb = rss_mb()
            warm = try_all(paths)
            text += (
                f"\nAfter a page, which left {held_mb:.0f} MB:\n\n{table(warm)}\n{slowest(warm)}"
            )
    print(text)
    if out is not None:
        limits = (
            f"Limits of reading: {TIMEOUT_S:g} s of computing, of these {OPENING_CPU_S:g} s to "
            f"open a page's file and to decode or draw a page; {READ_MEMORY_MB} MB of data."
        )
        out.write_text(f"# Hostile files\n\n{__doc__}\n{limits}\n\n{text}", encoding="utf-8")


if __name__ == "__main__":
    main()
