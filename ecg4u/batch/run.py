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
from ecg4u.batch.inputs import Item, find_inputs, in_shard
from ecg4u.batch.ledger import STATUSES, Ledger, ledger_name, ledger_paths, read_entries
from ecg4u.batch.manifest import write_manifest
from ecg4u.batch.progress import Progress
from ecg4u.batch.sidecars import Sidecars, find_sidecars
from ecg4u.batch.task import Options
from ecg4u.errors import ECG4UError, UsageError
from ecg4u.io import sha256_of
from ecg4u.io.atomic import TEMPORARY_PREFIX, StorageError, output_error

_MESSAGES = {
    "crash": "The page brought its worker down",
    "exception": "An internal error",
    "memory": "The page needs more memory than a worker may take",
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
    """What a run did: inputs in all, passed over because already ended, and ended now by status."""

    total: int
    earlier: int
    done: int
    refused: int
    failed: int
    stopped: bool = False

    @property
    def n_bad(self) -> int:
        """Inputs that this run could not do."""
        return self.refused + self.failed


def run_batch(
    sources: Sequence[str],
    out: str | Path,
    *,
    executor: Callable[[str], Executor],
    task: Callable[[Item], dict[str, Any]],
    options: Options | None = None,
    resume: bool = False,
    ready: Callable[[Item], bool] | None = None,
    retry_failed: bool = False,
    shard: tuple[int, int] | None = None,
    sidecars: str | Path | None = None,
    on_error: str = "skip",
    quiet: bool = False,
    verbose: bool = False,
) -> Summary:
    """Run ``task`` over every input that the ledger does not already list as ended.

    Parameters
    ----------
    sources
        Folders, lists, patterns, files: see `ecg4u.batch.inputs.find_inputs`.
    executor
        Makes the executor; given the path of the file that its workers must lock.
    task
        `ecg4u.batch.task.PageTask`, or anything that returns a report like it.
    resume
        Go on with a run that ``out`` already holds; without it, such a folder is refused.
    ready
        Whether an input may be read yet; by default all.
    retry_failed
        Do again what ended as failed (not what was refused for a reason).
    shard
        ``(i, n)``: only the i-th of n parts; each part has its own ledger.
    sidecars
        Folder of corrected sidecars (``*.page.json``); with ``resume``, the pages whose sidecar is
        new or other than the one they were done with are done again.
    on_error
        ``"stop"`` ends the run at the first input that is refused or fails.

    Raises
    ------
    UsageError
        For inputs or an output folder that make no sense.
    OutputError
        If the disk is full or the folder read-only: the run stops, and can be resumed.
    """
    out, options = Path(out), options or Options()
    path = out / ledger_name(shard)
    if path.exists() and not resume:
        raise UsageError(
            "The output folder already holds a run.",
            stage="batch",
            hint="Add --resume to go on with it, or choose another folder.",
        )
    items = find_inputs(sources, out, deidentify=options.deidentify)
    if ready is not None:
        items = [item for item in items if ready(item)]
    if shard is not None:
        items = [item for item in items if in_shard(item, *shard)]
    given = find_sidecars(Path(sidecars), out) if sidecars is not None else {}
    with Ledger(path, options.to_dict(), shard) as ledger:
        if shard is None:  # else another shard may be writing one
            _clear_temporaries(out)
        ended: Mapping[str, dict[str, Any]] = read_entries(out) if resume else {}
        todo = [item for item in items if not _has_ended(item, ended, out, retry_failed, given)]
        progress = Progress(len(todo), quiet=quiet, verbose=verbose)
        try:
            stopped = _work(
                executor(str(ledger.lock_path)), task, todo, out, ledger, progress, on_error, given
            )
        finally:
            progress.end()
        write_manifest(out)
    return Summary(len(items), len(items) - len(todo), **progress.counts, stopped=stopped)


def status_of(out: str | Path) -> dict[str, int]:
    """Inputs by status over all ledgers of an output folder.

    Raises
    ------
    UsageError
        If the folder holds no run.
    """
    if not ledger_paths(Path(out)):
        raise UsageError("The folder holds no batch.", stage="batch", hint="Give the folder of -o.")
    counts = {"done": 0, "refused": 0, "failed": 0}
    for entry in read_entries(Path(out)).values():
        counts[entry["status"]] += 1
    return counts


def _work(
    executor: Executor,
    task: Callable[[Item], dict[str, Any]],
    todo: list[Item],
    out: Path,
    ledger: Ledger,
    progress: Progress,
    on_error: str,
    given: Sidecars,
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
                raise StorageError(**_storage_words(entry))
            if entry["status"] != "done" and outcome.failure is not None:
                _clear(out / outcome.item.folder)
            ledger.append(entry)
            progress.add(entry["status"], f"{entry['key']} ({seconds:.1f} s)")
            if on_error == "stop" and entry["status"] != "done":
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


def _storage_words(entry: dict[str, Any]) -> dict[str, str]:
    page = entry["pages"][0]
    return {"message": page["message"], "stage": "batch", "hint": page["hint"]}


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
