"""Batches from beginning to end, with bad inputs, kills, full disks and shards."""

from __future__ import annotations

import csv
import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from batch_jobs import CopyTask

from ecg4u.batch import Item, Options, PoolExecutor, RunOptions, SerialExecutor, Summary, run_batch
from ecg4u.batch.executors import WorkerLimits
from ecg4u.batch.ledger import Entries, Ledger
from ecg4u.batch.run import status_of
from ecg4u.errors import OutputError, UsageError

MAIN = Path(__file__).parent / "batch_main.py"


def make_inputs(folder: Path, texts: dict[str, str]) -> Path:
    folder.mkdir()
    for name, text in texts.items():
        (folder / f"{name}.png").write_text(text)
    return folder


def run(source: Path, out: Path, *, isolate: bool = False, **options: Any) -> Summary:
    def executor(lock: str) -> Any:
        limits = WorkerLimits(timeout_s=2.0, lock_path=lock)
        return PoolExecutor(2, limits) if isolate else SerialExecutor(limits)

    task = options.pop("task", CopyTask(str(out)))
    made = options.pop("options", None)
    which = RunOptions(quiet=True, **options)
    return run_batch([str(source)], out, executor=executor, task=task, options=made, which=which)


def tree(out: Path) -> dict[str, bytes]:
    """All results, but not the ledgers (their lines come in any order, with timings)."""
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and not path.name.startswith((".ledger", "ledger"))
    }


def ends(out: Path) -> dict[str, str]:
    return {key.split("/")[-1]: entry["status"] for key, entry in Entries(out).items()}


def test_bad_inputs_among_good_ones(tmp_path: Path) -> None:
    texts = {f"good{n}": f"good {n}" for n in range(10)}
    texts |= {"k": "kill", "h": "hang", "r": "refuse", "e": "raise", "x": "exit"}
    source, out = make_inputs(tmp_path / "in", texts), tmp_path / "out"
    summary = run(source, out, isolate=True)
    assert summary == Summary(total=15, earlier=0, done=10, refused=1, failed=4)
    found = ends(out)
    assert all(found[f"good{n}.png"] == "done" for n in range(10))
    with open(out / "manifest.csv", newline="") as file:
        rows = {row["input"]: row for row in csv.DictReader(file)}
    codes = {name: rows[f"in/{name}.png"]["code"] for name in "khrex"}
    assert codes == {
        "k": "crash",
        "h": "timeout",
        "r": "unreadable_input",
        "e": "internal",
        "x": "crash",
    }
    assert "Jane Doe" not in (out / "ledger.jsonl").read_text()
    assert status_of(out) == {"done": 10, "refused": 1, "failed": 4}


def test_resume_does_only_what_is_left(tmp_path: Path) -> None:
    source = make_inputs(tmp_path / "in", {"a": "a", "b": "refuse", "c": "c"})
    out = tmp_path / "out"
    run(source, out)
    with pytest.raises(UsageError, match="already holds"):
        run(source, out)
    before = tree(out)
    assert run(source, out, resume=True) == Summary(3, 3, 0, 0, 0)
    assert tree(out) == before
    (source / "d.png").write_text("d")
    (source / "a.png").write_text("changed")
    next(out.rglob("c-*/two.txt")).unlink()
    assert run(source, out, resume=True) == Summary(4, 1, 3, 0, 0)
    assert next(out.rglob("a-*/two.txt")).read_text() == "CHANGED"


def test_failed_ones_can_be_retried(tmp_path: Path) -> None:
    source = make_inputs(tmp_path / "in", {"a": "raise", "b": "refuse"})
    out = tmp_path / "out"
    assert run(source, out).failed == 1
    assert run(source, out, resume=True).earlier == 2
    assert run(source, out, resume=True, retry_failed=True) == Summary(2, 1, 0, 0, 1)


def test_other_options_are_refused(tmp_path: Path) -> None:
    source, out = make_inputs(tmp_path / "in", {"a": "a"}), tmp_path / "out"
    run(source, out, options=Options(format="csv"))
    with pytest.raises(UsageError, match="different options") as told:
        run(source, out, options=Options(format="edf"), resume=True)
    assert "--format csv" in told.value.hint


def test_stop_at_the_first_error(tmp_path: Path) -> None:
    source = make_inputs(tmp_path / "in", {"a": "a", "b": "refuse", "c": "c"})
    summary = run(source, tmp_path / "out", on_error="stop")
    assert (summary.done, summary.refused, summary.stopped) == (1, 1, True)
    assert run(source, tmp_path / "out", resume=True) == Summary(3, 2, 1, 0, 0)


def test_a_torn_last_line_is_mended(tmp_path: Path) -> None:
    source, out = make_inputs(tmp_path / "in", {"a": "a", "b": "b"}), tmp_path / "out"
    run(source, out)
    whole = (out / "ledger.jsonl").read_bytes()
    expected = tree(out)
    (out / "ledger.jsonl").write_bytes(whole[:-25])
    assert run(source, out, resume=True) == Summary(2, 1, 1, 0, 0)
    assert tree(out) == expected
    for line in (out / "ledger.jsonl").read_bytes().splitlines()[2:]:
        if line != whole.splitlines()[-1][: len(line)]:
            json.loads(line)


def test_one_run_at_a_time(tmp_path: Path) -> None:
    source, out = make_inputs(tmp_path / "in", {"a": "a"}), tmp_path / "out"
    with (
        Ledger(out / "ledger.jsonl", Options().to_dict()),
        pytest.raises(UsageError, match="Another run"),
    ):
        run(source, out, resume=True)


def test_shards_together_equal_the_whole(tmp_path: Path) -> None:
    source = make_inputs(tmp_path / "in", {f"{n}": f"text {n}" for n in range(20)})
    run(source, tmp_path / "whole")
    for part in (1, 2, 3):
        task = CopyTask(str(tmp_path / "parts"))
        run(source, tmp_path / "parts", shard=(part, 3), task=task)
    assert tree(tmp_path / "parts") == tree(tmp_path / "whole")


def test_the_input_vanishes_meanwhile(tmp_path: Path) -> None:
    source, out = make_inputs(tmp_path / "in", {"a": "a", "b": "b"}), tmp_path / "out"

    def vanishing(item: Item) -> dict[str, Any]:
        (source / "b.png").unlink(missing_ok=True)
        return CopyTask(str(out))(item)

    assert run(source, out, task=vanishing) == Summary(2, 0, 1, 1, 0)
    assert ends(out)["b.png"] == "refused"


class Disk:
    """An fsync that fails after a while."""

    def __init__(self, n_good: int, number: int) -> None:
        self.left, self.number = n_good, number

    def __call__(self, _descriptor: int) -> None:
        self.left -= 1
        if self.left < 0:
            raise OSError(self.number, os.strerror(self.number))


@pytest.mark.parametrize("n_good", range(0, 24, 3))
def test_a_full_disk_stops_the_run_and_resume_completes_it(
    n_good: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_inputs(tmp_path / "in", {f"{n}": f"text {n}" for n in range(4)})
    run(source, tmp_path / "whole")
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", Disk(n_good, errno.ENOSPC))
        with pytest.raises(OutputError, match="No space left"):
            run(source, out, task=StorageAware(str(out)))
    assert "failed" not in ends(out).values()
    run(source, out, resume=True)
    assert tree(out) == tree(tmp_path / "whole")


class StorageAware(CopyTask):
    """As the real task does: a full disk is reported, not swallowed."""

    def __call__(self, item: Item) -> dict[str, Any]:
        try:
            report = super().__call__(item)
            if report["pages"][0]["code"] != "output":
                return report
            message = report["pages"][0]["message"]
        except OutputError as error:
            message = error.message
        page = {"page": 1, "status": "failed", "code": "output", "message": message, "hint": "x"}
        return {"source_sha256": "", "pages": [page], "stops_run": True}


def test_read_only_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = make_inputs(tmp_path / "in", {"a": "a"})
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        run(source, tmp_path / "file" / "out")
    real = os.open

    def read_only(path: Any, flags: int, *rest: Any) -> int:
        if flags & os.O_CREAT:
            raise OSError(errno.EROFS, "Read-only file system")
        return real(path, flags, *rest)

    monkeypatch.setattr("ecg4u.batch.ledger.os.open", read_only)
    with pytest.raises(OutputError, match="Read-only") as caught:
        run(source, tmp_path / "out")
    assert caught.value.hint


def start(source: Path, out: Path, pause_s: float) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, str(MAIN), str(source), str(out), str(pause_s)],
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("n_kills", [3, pytest.param(20, marks=pytest.mark.slow, id="20-slow")])
def test_killed_and_resumed_equals_undisturbed(n_kills: int, tmp_path: Path) -> None:
    texts = {f"page{n}": f"text {n}" for n in range(40 * max(1, n_kills // 4))}
    texts |= {"bad": "refuse", "worse": "kill"}
    source = make_inputs(tmp_path / "in", texts)
    assert start(source, tmp_path / "whole", 0.0).wait(120) == 0
    out, chance = tmp_path / "out", random.Random(n_kills)
    for _ in range(n_kills):
        process = start(source, out, 0.02)
        time.sleep(chance.uniform(0.2, 1.6))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert start(source, out, 0.0).wait(120) == 0
    assert tree(out) == tree(tmp_path / "whole")
    assert ends(out) == ends(tmp_path / "whole")
    lines = [line for line in (out / "ledger.jsonl").read_text().splitlines() if line]
    keys = [json.loads(line).get("key") for line in lines if line.endswith("}")]
    assert len(keys) - 1 == len(set(keys) - {None}) == len(texts)
