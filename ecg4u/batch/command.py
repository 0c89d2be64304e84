"""``ecg4u batch``: many pages or records at once."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import signal
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from ecg4u._options import (
    export_options,
    format_option,
    gathered,
    jobs_option,
    json_option,
    limit_options,
    quiet_option,
    verbose_option,
)
from ecg4u.batch.options import Options, RunOptions, Workers
from ecg4u.errors import BatchFailuresError, ECG4UError, MissingDependencyError, UsageError

if TYPE_CHECKING:
    from ecg4u.batch.executors import Executor
    from ecg4u.batch.run import Summary

_SHOWN_FAILURES = 20


class Shard(click.ParamType):
    """``2/8`` as (2, 8)."""

    name = "I/N"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """The part and their number.

        Raises
        ------
        UsageError
            If there is no such part.
        """
        match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", str(value))
        if match and 1 <= int(match[1]) <= int(match[2]):
            return int(match[1]), int(match[2])
        raise UsageError(
            "--shard must be I/N with 1 <= I <= N.", stage="batch", hint="For instance --shard 1/8."
        )


WORKERS = (
    jobs_option(None),
    limit_options,
    click.option(
        "--scheduler",
        metavar="ADDRESS",
        help="A Dask scheduler (tcp://...), or 'local' for a local Dask cluster.",
    ),
)
WHICH = (
    click.option("--resume", is_flag=True, help="Continue the run in OUT."),
    click.option("--retry-failed", is_flag=True, help="With --resume: retry inputs that failed."),
    click.option(
        "--shard", type=Shard(), metavar="I/N", help="Process only part I of N, for job arrays."
    ),
    click.option(
        "--sidecars",
        "corrected",
        type=click.Path(path_type=Path, exists=True, file_okay=False),
        metavar="DIR",
        help="Folder of corrected sidecars; with --resume, only pages whose sidecar changed "
        "are redone.",
    ),
    click.option(
        "--on-error",
        type=click.Choice(["skip", "stop"]),
        default="skip",
        show_default=True,
        help="What to do when an input is refused or fails.",
    ),
    verbose_option("a line for each input"),
    quiet_option,
)
MADE = (
    format_option,
    click.option("--classify", is_flag=True, help="Also classify and measure each record."),
    click.option(
        "--explain",
        is_flag=True,
        help="Also say what the network relied on (implies --classify; takes seconds per class).",
    ),
    click.option("--report", is_flag=True, help="Also write report.html for each page."),
    export_options,
    click.option(
        "--sheet",
        "thumbnails",
        is_flag=True,
        help="Also write contact-sheet.html: all pages with their traces, those that need a look "
        "first (implies --classify).",
    ),
    click.option(
        "--deidentify",
        is_flag=True,
        help="Best effort: blank all but the traces; name results by content, not by file name.",
    ),
    click.option(
        "--keep-sidecars",
        "sidecars",
        is_flag=True,
        help="Also write signals.page.json for each page, for correction by hand.",
    ),
)  # fmt: skip


@click.command(epilog="Exit code 7: the run finished, but some inputs were refused or failed.")
@click.argument("inputs", nargs=-1, metavar="DIR|LIST|GLOB ...")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Folder for the results.")
@gathered(Options, "made", *MADE)
@gathered(RunOptions, "which", *WHICH)
@gathered(Workers, "workers", *WORKERS)
@click.option(
    "--status",
    "status_of",
    type=click.Path(path_type=Path),
    metavar="OUT",
    help="Show the progress of the run in OUT and rewrite its manifest.",
)
@click.option(
    "--collect",
    type=click.Path(path_type=Path),
    metavar="FILE.h5",
    help="With --status: also collect all finished records in one HDF5 file.",
)
@json_option
def batch(
    inputs: tuple[str, ...],
    out: Path | None,
    made: Options,
    which: RunOptions,
    workers: Workers,
    status_of: Path | None,
    collect: Path | None,
    as_json: bool,
) -> None:
    """Process all pages and records in folders, lists (.txt, or - for stdin) and glob patterns.

    OUT receives records/ (one folder per input), manifest.csv and ledger.jsonl. Inputs are
    isolated: one that crashes, hangs or runs out of memory does not affect the others. --pdf,
    --dicom and --fhir imply --explain.
    """
    if status_of is not None:
        show_status(status_of, collect, as_json=as_json)
        return
    if not inputs or out is None:
        raise UsageError(
            "Inputs and -o OUT are needed.", stage="batch", hint="See ecg4u batch --help."
        )
    from ecg4u.batch.run import run_batch
    from ecg4u.batch.task import PageTask

    made = complete(made)
    with ended_by_sigterm():
        summary = run_batch(
            inputs,
            out,
            executor=executor_of(workers),
            task=PageTask(str(out.resolve()), made),
            options=made,
            which=which,
        )
        if made.thumbnails:
            from ecg4u.batch.sheet import write_sheet

            path = write_sheet(out)
            if not which.quiet:
                click.echo(f"Contact sheet: {path}", err=True)
        if as_json:
            click.echo(json.dumps({**asdict(summary), "manifest": str(out / "manifest.csv")}))
        show_summary(summary, out, quiet=which.quiet)
    if summary.n_bad:
        raise BatchFailuresError(
            f"{summary.n_bad} of {summary.total} inputs refused or failed.",
            stage="batch",
            hint="manifest.csv lists them with the reasons.",
        )


def complete(made: Options) -> Options:
    """The options with what they imply.

    Raises
    ------
    UsageError
        Where they contradict each other, or an export lacks its package.
    """
    if made.thumbnails and made.deidentify:
        raise UsageError(
            "A contact sheet shows the pages, which --deidentify removes.",
            stage="batch",
            hint="Choose one of the two.",
        )
    from ecg4u.report.exports import check

    check(made.exports)
    explain = made.explain or bool(made.exports)
    return replace(made, explain=explain, classify=made.classify or explain or made.thumbnails)


def executor_of(workers: Workers) -> Callable[[str], Executor]:
    """What makes the executor once the path that its workers lock is known."""
    from ecg4u.batch.executors import DaskExecutor, PoolExecutor, SerialExecutor, WorkerLimits

    scheduler = workers.scheduler
    n = workers.jobs if workers.jobs is not None else n_cores()
    require("distributed" if scheduler is not None else "pebble" if n else None)

    def make(lock_path: str) -> Executor:
        limits = WorkerLimits(workers.timeout_s, workers.memory_mb, lock_path)
        if scheduler is not None:
            address = None if scheduler == "local" else scheduler
            return DaskExecutor(address, max(n, 1), limits)
        return PoolExecutor(n, limits) if n else SerialExecutor(limits)

    return make


def require(package: str | None) -> None:
    """Say at once, before any file is looked at, that a package of the batch is missing."""
    extra = {"pebble": "batch", "distributed": "cluster"}
    if package is not None and importlib.util.find_spec(package) is None:
        raise MissingDependencyError(
            f"The batch needs {package}, which is not installed.",
            stage="batch",
            hint=f"pip install {package} (or ecg4u's extra [{extra[package]}]), or use -j 0.",
        )


def n_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """SIGTERM ends the run as Ctrl-C does: workers stopped, ledger whole. After the run it means
    again what it meant before: raised while the process ends, nothing would catch it."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        # None: set by something other than Python, and lost
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)


def show_summary(summary: Summary, out: Path, *, quiet: bool) -> None:
    """A table of what became of the inputs, on stderr."""
    if quiet:
        return
    rows = [
        ("inputs", summary.total),
        ("ended earlier", summary.earlier),
        ("done", summary.done),
        ("refused", summary.refused),
        ("failed", summary.failed),
    ]
    if summary.own_output:
        rows.append(("own output", summary.own_output))
    click.echo("\n".join(f"{name:>14} {count:>8}" for name, count in rows), err=True)
    if summary.stopped:
        click.echo("Stopped at the first error; --resume continues.", err=True)
    show_failures(out, err=True)
    click.echo(f"Manifest: {out / 'manifest.csv'}", err=True)


def show_status(out: Path, collect_to: Path | None, *, as_json: bool) -> None:
    """Counts and the first failures of a run, on stdout; all records into one file if asked."""
    from ecg4u.batch.collect import collect
    from ecg4u.batch.manifest import write_manifest
    from ecg4u.batch.run import status_of

    counts = status_of(out)
    if not as_json:
        click.echo("\n".join(f"{name:>14} {count:>8}" for name, count in counts.items()))
        show_failures(out, err=False)
    try:
        write_manifest(out)
    except ECG4UError as error:
        click.echo(f"The manifest was not written: {error.message}", err=True)
    if collect_to is not None:
        counts["collected"] = collect(out, collect_to)
        if not as_json:
            click.echo(f"{'collected':>14} {counts['collected']:>8}")
    if as_json:
        click.echo(json.dumps(counts))


def show_failures(out: Path, *, err: bool) -> None:
    """The first inputs that were refused or failed, with the reason."""
    from ecg4u.batch.ledger import Entries
    from ecg4u.words import printable

    bad = [e for e in Entries(out).values() if e["status"] != "done"]
    for entry in sorted(bad, key=lambda e: str(e["key"]))[:_SHOWN_FAILURES]:
        page = next(page for page in entry["pages"] if page["status"] == entry["status"])
        said = printable(f"{entry['key']}: {page.get('message', '')}")
        click.echo(f"{entry['status']:>14} {said}", err=err)
    if len(bad) > _SHOWN_FAILURES:
        click.echo(f"{'':>14} ... and {len(bad) - _SHOWN_FAILURES} more", err=err)
