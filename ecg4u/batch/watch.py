"""``ecg4u watch``: what arrives in a folder is read as it comes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ecg4u._options import (
    FiniteRange,
    export_options,
    format_option,
    gathered,
    jobs_option,
    json_option,
    limit_options,
    quiet_option,
    verbose_option,
)
from ecg4u.batch.command import complete, ended_by_sigterm, executor_of, show_failures
from ecg4u.batch.options import Options, RunOptions, Workers
from ecg4u.errors import UsageError

if TYPE_CHECKING:
    from ecg4u.batch.executors import Executor
    from ecg4u.batch.run import Summary


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--every", type=FiniteRange(0.2, 86_400), default=5.0, show_default=True,
              help="Seconds between checks.")  # fmt: skip
@click.option("--settle", type=FiniteRange(0, 3600), default=5.0, show_default=True,
              help="Seconds for which a file must stay unchanged before it is read.")  # fmt: skip
@click.option("--once", is_flag=True, help="Process what is there now, then stop.")
@gathered(
    Options,
    "made",
    format_option,
    export_options,
)
@json_option
@gathered(RunOptions, "which", verbose_option("a line for each input"), quiet_option)
@gathered(
    Workers,
    "workers",
    jobs_option(1),
    limit_options,
)
def watch(
    folder: Path,
    out: Path,
    every: float,
    settle: float,
    once: bool,
    made: Options,
    as_json: bool,
    which: RunOptions,
    workers: Workers,
) -> None:
    """Process whatever arrives in FOLDER; write reports and a contact sheet to OUT.

    OUT is laid out as for batch: a restarted watch continues where it stopped, and ecg4u batch
    --status shows its progress. Stop with Ctrl-C or SIGTERM.
    """
    made = complete(replace(made, explain=True, report=True, sidecars=True, thumbnails=True))
    told = replace(which, resume=True, quiet=which.quiet or not which.verbose)
    make = executor_of(workers)
    seen: frozenset[tuple[str, int, int]] = frozenset()
    with ended_by_sigterm():
        if not (once or which.quiet):
            sheet = out / "contact-sheet.html"
            click.echo(f"Watching {folder}; results in {sheet}; stop with Ctrl-C.", err=True)
        while True:
            ready, arriving = _settled(folder, out, settle)
            if ready and ready != seen:
                summary = _read(folder, out, ready, make, made, told)
                _tell(summary, out, as_json=as_json, quiet=which.quiet)
                seen = ready
            if once:
                if arriving and not which.quiet:
                    click.echo(
                        f"Changed within the last {settle:g} s and not read: {arriving}. Run it "
                        "again, or give --settle 0.",
                        err=True,
                    )
                return
            time.sleep(every)


def _settled(
    folder: Path, out: Path, settle_s: float
) -> tuple[frozenset[tuple[str, int, int]], int]:
    """Key, size and time of the files that nobody writes any more; how many others there are."""
    from ecg4u.batch.inputs import find_inputs

    try:
        items = find_inputs([str(folder)], out)
    except UsageError:
        if out.resolve() == folder.resolve():
            raise
        return frozenset(), 0  # nothing has arrived yet
    latest = time.time_ns() - round(settle_s * 1e9)
    ready = [(item.key, item.size, item.mtime_ns) for item in items if item.mtime_ns <= latest]
    return frozenset(ready), len(items) - len(ready)


def _read(
    folder: Path,
    out: Path,
    ready: frozenset[tuple[str, int, int]],
    make: Callable[[str], Executor],
    made: Options,
    which: RunOptions,
) -> Summary:
    from ecg4u.batch.run import run_batch
    from ecg4u.batch.sheet import write_sheet
    from ecg4u.batch.task import PageTask

    summary = run_batch(
        [str(folder)],
        out,
        executor=make,
        task=PageTask(str(out.resolve()), made),
        options=made,
        which=which,
        ready=lambda item: (item.key, item.size, item.mtime_ns) in ready,
    )
    write_sheet(out)
    return summary


def _tell(summary: Summary, out: Path, *, as_json: bool, quiet: bool) -> None:
    new = summary.total - summary.earlier
    if new and as_json:
        click.echo(json.dumps(asdict(summary)))
    if new and not quiet:
        click.echo(f"{new} processed, {summary.n_bad} of them refused or failed.", err=True)
        if summary.n_bad:
            show_failures(out, err=True)
