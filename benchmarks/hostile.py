"""Hostile files: are they refused or bounded, how fast, in how much memory?

    python -m benchmarks.hostile --out benchmarks/results/hostile.md

makes the files of ``tests/hostile_files.py`` and reads each in a process of its own under the
limits of ``ecg4u.limits``, as every face does. Seconds are the process's own (a busy machine does
not count), memory is what the process held beyond what it held before.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import click

from ecg4u.errors import ECG4UError
from ecg4u.limits import (
    MEMORY_MB,
    READ_TIMEOUT_S,
    is_out_of_memory,
    prepare_worker,
    reading_took_too_long,
    where,
)

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


def maker() -> ModuleType:
    """``tests/hostile_files.py``, which is no part of a package."""
    spec = importlib.util.spec_from_file_location("hostile_files", MAKER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def try_reading(path: Path) -> Trial:
    """Read ``path`` in a fork under the limits."""
    sys.stdout.flush()
    begun, parent = time.perf_counter(), os.getpid()
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(out)
        prepare_worker(MEMORY_MB, parent)
        code, said = _read(path)
        os.write(into, said.encode("utf-8", "replace")[:2000])
        os._exit(code)
    os.close(into)
    with os.fdopen(out, "rb") as pipe:
        said = pipe.read().decode("utf-8", "replace")
    _, status, usage = os.wait4(child, 0)
    code = os.waitstatus_to_exitcode(status)
    outcome = {READ: "read", REFUSED: "refused", ESCAPED: "escaped"}.get(code, "killed")
    if reading_took_too_long(code):
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


@click.command()
@click.option("--out", type=click.Path(path_type=Path), help="Write the table here, too.")
@click.option("--kind", "kinds", multiple=True, help="Only these.")
@click.option("--files", type=click.Path(path_type=Path), help="Where they were made before.")
def main(out: Path | None, kinds: tuple[str, ...], files: Path | None) -> None:
    """Read every hostile file; print what took long, and a table."""
    import h5py  # noqa: F401  (in the parent, so that no child's time counts it)
    import numpy  # noqa: F401
    import PIL.Image  # noqa: F401

    made = maker()
    with tempfile.TemporaryDirectory(prefix="hostile") as folder:
        paths = made.write_all(files or Path(folder), kinds or None)
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
    text = table(trials)
    print(text)
    if out is not None:
        limit = f"The limit of time is {READ_TIMEOUT_S:g} s."
        out.write_text(f"# Hostile files\n\n{__doc__}\n{limit}\n\n{text}", encoding="utf-8")


if __name__ == "__main__":
    main()
