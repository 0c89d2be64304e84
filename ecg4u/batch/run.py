"""A batch from beginning to end."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ecg4u.batch.executors import Executor, Failure, Outcome
from ecg4u.batch.inputs import Item, in_shard, look_through
from ecg4u.batch.ledger import STATUSES, Entries, Ledger, ledger_name, ledger_paths
from ecg4u.batch.manifest import write_manifest
from ecg4u.batch.options import Options, RunOptions
from ecg4u.batch.progress import Progress
from ecg4u.batch.sidecars import Sidecars, find_sidecars
from ecg4u.errors import ECG4UError, UsageError
from ecg4u.io import sha256_of
from ecg4u.io.atomic import TEMPORARY_PREFIX, StorageError, output_error

_MESSAGES = {
    "crash": "The page crashed the process that was reading it",
    "exception": "An internal error",
    "memory": "The page needs more memory than a worker may use",
    "timeout": "The page took too long",
}
_HINTS = {
    "crash": "Please report it; the other pages are not affected.",
    "exception": "Please report it; the other pages are not affected.",
    "memory": "Raise --memory, or scan the page at 300 dpi.",
    "timeout": "Raise --timeout.",
}


@dataclass(frozen=True)
class Summary:
    """What a run did: all inputs, those skipped because finished earlier, and new ones by status.

    ``own_output`` counts files among the inputs that ecg4u itself wrote; they are not inputs.
    """

    total: int
    earlier: int
    done: int
    refused: int
    failed: int
    stopped: bool = False
    own_output: int = 0

    @property
    def n_bad(self) -> int:
        """Inputs that this run refused or failed to process."""
        return self.refused + self.failed


def run_batch(
    sources: Sequence[str],
    out: str | Path,
    *,
    executor: Callable[[str], Executor],
    task: Callable[[Item], dict[str, Any]],
    options: Options | None = None,
    which: RunOptions | None = None,
    ready: Callable[[Item], bool] | None = None,
) -> Summary:
    """Run ``task`` on every input that the ledger does not already list as finished.

    Parameters
    ----------
    sources
        Folders, lists, patterns, files: see `ecg4u.batch.inputs.look_through`.
    executor
        Makes the executor; called with the path of the file that its workers must lock.
    task
        `ecg4u.batch.task.PageTask`, or anything that returns a report like it.
    options
        What ``task`` makes of each input.
    which
        Which inputs to process; by default all, in a new output folder.
    ready
        Whether an input may be read yet; by default all.

    Raises
    ------
    UsageError
        For inputs or an output folder that make no sense.
    OutputError
        If the disk is full or the folder read-only: the run stops, and can be resumed.
    """
    out, options, which = Path(out), options or Options(), which or RunOptions()
    path = out / ledger_name(which.shard)
    if path.exists() and not which.resume:
        raise UsageError(
            "The output folder already holds a run.",
            stage="batch",
            hint="Add --resume to continue it, or choose another folder.",
        )
    found = look_through(sources, out, deidentify=options.deidentify)
    items = found.items
    if ready is not None:
        items = [item for item in items if ready(item)]
    if which.shard is not None:
        items = [item for item in items if in_shard(item, *which.shard)]
    given = find_sidecars(Path(which.corrected), out) if which.corrected is not None else {}
    with Ledger(path, options.to_dict(), which.shard) as ledger:
        if which.shard is None:  # else another shard may be writing one
            _clear_temporaries(out)
        ended: Mapping[str, dict[str, Any]] = Entries(out) if which.resume else {}
        again = which.retry_failed
        todo = [item for item in items if not _has_ended(item, ended, out, again, given)]
        progress = Progress(len(todo), quiet=which.quiet, verbose=which.verbose)
        stop = which.on_error == "stop"
        try:
            workers = executor(str(ledger.lock_path))
            stopped = _work(workers, task, todo, out, ledger, progress, given, stop_on_error=stop)
        finally:
            progress.end()
        write_manifest(out)
    return Summary(
        len(items),
        len(items) - len(todo),
        **progress.counts,
        stopped=stopped,
        own_output=found.n_own,
    )


def status_of(out: str | Path) -> dict[str, int]:
    """Inputs by status over all ledgers of an output folder.

    Raises
    ------
    UsageError
        If the folder holds no run.
    """
    if not ledger_paths(Path(out)):
        raise UsageError(
            "The folder holds no batch run.", stage="batch", hint="Give the folder passed as -o."
        )
    counts = {"done": 0, "refused": 0, "failed": 0}
    for entry in Entries(Path(out)).values():
        counts[entry["status"]] += 1
    return counts


def _work(
    executor: Executor,
    task: Callable[[Item], dict[str, Any]],
    todo: list[Item],
    out: Path,
    ledger: Ledger,
    progress: Progress,
    given: Sidecars,
    *,
    stop_on_error: bool,
) -> bool:
    """Do ``todo``; whether it was stopped by an error."""
    started: dict[str, float] = {}

    def prepared() -> Iterator[Item]:
        for item in todo:
            _clear(out / item.folder)
            started[item.key] = time.monotonic()
            yield _with_sidecars(item, given)

    outcomes = executor.run(task, prepared())
    try:
        for outcome in outcomes:
            seconds = time.monotonic() - started.pop(outcome.item.key)
            entry = _entry(outcome, seconds)
            if entry.pop("stops_run", False):
                page = entry["pages"][0]
                raise StorageError(page["message"], stage="batch", hint=page["hint"])
            if entry["status"] != "done" and outcome.failure is not None:
                _clear(out / outcome.item.folder)
            ledger.append(entry)
            progress.add(entry["status"], f"{entry['key']} ({seconds:.1f} s)")
            if stop_on_error and entry["status"] != "done":
                return True
    finally:
        close = getattr(outcomes, "close", None)
        if close is not None:
            close()
    return False


def _entry(outcome: Outcome[Item, dict[str, Any]], seconds: float) -> dict[str, Any]:
    item = outcome.item
    report = outcome.value or {"pages": [{"page": 1, **_failed(outcome.failure)}]}
    statuses = {page["status"] for page in report["pages"]}
    return {
        "key": item.key,
        "folder": item.folder,
        "size": item.size,
        "mtime_ns": item.mtime_ns,
        "status": next(status for status in STATUSES if status in statuses),
        "seconds": round(seconds, 3),
        **report,
    }


def _failed(failure: Failure | None) -> dict[str, str]:
    kind, detail = (failure.kind, failure.detail) if failure else ("exception", "no report")
    code = {"exception": "internal"}.get(kind, kind)
    message = f"{_MESSAGES[kind]}: {detail}."
    return {"status": "failed", "code": code, "message": message, "hint": _HINTS[kind]}


def _has_ended(
    item: Item,
    ended: Mapping[str, dict[str, Any]],
    out: Path,
    retry_failed: bool,
    given: Sidecars,
) -> bool:
    """Whether the ledger lists this very file as ended, and what it wrote is still there.

    A page that was done with a sidecar stays so where none is given now.
    """
    entry = ended.get(item.key)
    if entry is None or (entry["size"], entry["mtime_ns"]) != (item.size, item.mtime_ns):
        return False
    if entry["status"] == "failed" and retry_failed:
        return False
    used = {page["page"]: page.get("sidecar_sha256") for page in entry["pages"]}
    for sidecar in given.get(entry.get("source_sha256", ""), ()):
        if used.get(sidecar.number, sidecar.sha256) != sidecar.sha256:
            return False
    folder = out / entry["folder"]
    several = len(entry["pages"]) > 1
    return all(
        (folder / f"page-{page['page']:04d}" / name if several else folder / name).exists()
        for page in entry["pages"]
        for name in page.get("files", {})
    )


def _with_sidecars(item: Item, given: Sidecars) -> Item:
    """The item with the sidecars given for its pages; it is read for that only if there are any."""
    if not given:
        return item
    try:
        return replace(item, sidecars=given.get(sha256_of(item.path), ()))
    except (ECG4UError, ValueError):
        return item


def _clear_temporaries(out: Path) -> None:
    """Remove the halves of manifests that killed runs left."""
    for path in out.glob(f"{TEMPORARY_PREFIX}*.tmp"):
        with contextlib.suppress(OSError):
            path.unlink()


def _clear(folder: Path) -> None:
    """Remove what an interrupted or earlier attempt left of one item."""
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise output_error(error) from None
