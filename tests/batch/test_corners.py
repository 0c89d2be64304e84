"""The command in odd places: full and read-only disks, odd names, links, folders in folders."""

from __future__ import annotations

import csv
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ecg4u.batch import (
    Options,
    PageTask,
    PoolExecutor,
    RunOptions,
    SerialExecutor,
    Summary,
    run_batch,
)
from ecg4u.batch.executors import WorkerLimits
from ecg4u.batch.ledger import Entries
from ecg4u.io import write_record
from ecg4u.limits import ENVIRONMENT
from ecg4u.record import ECGRecord

COMMAND = f"{shlex.quote(sys.executable)} -m ecg4u.cli batch in -o out -j 0 --format csv --quiet"


def make_records(folder: Path, count: int, samples: int = 500) -> Path:
    for number in range(count):
        signal = np.random.default_rng(number).normal(0, 0.2, (samples, 12))
        write_record(ECGRecord(signal), folder / f"r{number}", "wfdb")
    return folder


def run(source: Path, out: Path, **options: bool) -> Summary:
    return run_batch(
        [str(source)],
        out,
        executor=lambda _lock: SerialExecutor(),
        task=PageTask(str(out), Options(format="csv")),
        options=Options(format="csv"),
        which=RunOptions(quiet=True, **options),
    )


def tree(out: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file() and "ledger" not in path.name
    }


def with_mounts(script: str, folder: Path) -> str:
    """Runs a shell script that may mount (only for itself); skips where that is not allowed."""
    if shutil.which("unshare") is None:
        pytest.skip("no unshare")
    may = ["unshare", "-rm", "sh", "-c", "mount -t tmpfs -o size=4k none out"]
    (folder / "out").mkdir()
    if subprocess.run(may, cwd=folder, capture_output=True, check=False).returncode:
        pytest.skip("no file system may be mounted here")
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **ENVIRONMENT},
    )
    return done.stdout + done.stderr


def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    make_records(tmp_path / "in", 6, samples=2000)
    said = with_mounts(
        f"mount -t tmpfs -o size=400k none out; {COMMAND}; echo code $?; "
        f"find out -name '.ecg4u-*' | wc -l; mount -o remount,size=20m out; "
        f"{COMMAND} --resume; echo code $?; cp -r out kept",
        tmp_path,
    )
    assert "No space left on device" in said
    assert said.startswith("code 5\n0\ncode 0\n")
    assert "Traceback" not in said
    assert run(tmp_path / "in", tmp_path / "whole").done == 6
    assert tree(tmp_path / "kept") == tree(tmp_path / "whole")


def test_an_output_that_is_really_read_only(tmp_path: Path) -> None:
    make_records(tmp_path / "in", 1)
    said = with_mounts(f"mount -t tmpfs -o ro none out; {COMMAND}; echo code $?", tmp_path)
    assert "Read-only file system" in said
    assert "code 5" in said
    assert "Traceback" not in said


def test_output_inside_input_stays_out_of_it(tmp_path: Path) -> None:
    source = make_records(tmp_path / "in", 2)
    assert run(source, source / "deep" / "out") == Summary(2, 0, 2, 0, 0)
    assert run(source, source / "deep" / "out", resume=True) == Summary(2, 2, 0, 0, 0)
    # To another output the records count, but not the manifest.
    assert run(source, tmp_path / "out") == Summary(4, 0, 4, 0, 0, own_output=1)


def test_odd_names_all_the_way(tmp_path: Path) -> None:
    (record,) = write_record(ECGRecord(np.zeros((500, 12))), tmp_path / "x", "csv")
    source = tmp_path / "in" / ("höhe " * 20)
    source.mkdir(parents=True)
    names = ["Ünïcødé 心电图", "x" * 240, "new\nline", "=cmd", " ", "-rf", "a;b'c\"d"]
    for name in names:
        shutil.copy(record, source / f"{name}.csv")
    shutil.copy(record, os.fsencode(source) + b"/\xff\xfe.csv")
    out = tmp_path / "out"
    assert run(tmp_path / "in", out) == Summary(8, 0, 8, 0, 0)
    assert run(tmp_path / "in", out, resume=True).earlier == 8
    with open(out / "manifest.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len({row["folder"] for row in rows}) == 8
    assert {Path(row["input"]).stem for row in rows} >= set(names)
    assert all((out / row["folder"] / "signals.csv").exists() for row in rows)


def test_links_that_lead_nowhere_are_named(tmp_path: Path) -> None:
    source = make_records(tmp_path / "in", 1)
    (source / "self.png").symlink_to("self.png")
    (source / "gone.png").symlink_to(tmp_path / "gone.png")
    (source / "up").symlink_to(source)
    (source / "twice.hea").symlink_to(source / "r0.hea")
    assert run(source, tmp_path / "out") == Summary(3, 0, 1, 2, 0)
    entries = Entries(tmp_path / "out")
    assert "link" in entries["in/self.png"]["pages"][0]["message"]
    assert "does not exist" in entries["in/gone.png"]["pages"][0]["message"]


def test_what_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = make_records(tmp_path / "in", 1)
    (source / "locked.png").write_bytes(b"x")
    (source / "ward").mkdir()
    real_open, real_scan = os.open, os.scandir

    def refuse_open(path: str, *rest: int, **options: int) -> int:
        if str(path).endswith(("locked.png", "ward")):
            raise PermissionError(13, "Permission denied")
        return real_open(path, *rest, **options)

    def refuse_scan(path: str) -> Iterator[os.DirEntry[str]]:
        if str(path).endswith("ward"):
            raise PermissionError(13, "Permission denied")
        return real_scan(path)

    with monkeypatch.context() as patch:
        patch.setattr("os.open", refuse_open)
        patch.setattr("os.scandir", refuse_scan)
        assert run(source, tmp_path / "out") == Summary(3, 0, 1, 2, 0)
    entries = Entries(tmp_path / "out")
    for key in ("in/locked.png", "in/ward"):
        assert entries[key]["pages"][0]["code"] == "unreadable_input"
        assert "no permission to read" in entries[key]["pages"][0]["message"]


def test_pipes_and_folders_with_a_page_s_name(tmp_path: Path) -> None:
    source = make_records(tmp_path / "in", 1)
    os.mkfifo(source / "pipe.png")
    (source / "folder.png").mkdir()
    assert run(source, tmp_path / "out") == Summary(2, 0, 1, 1, 0)
    (page,) = Entries(tmp_path / "out")["in/pipe.png"]["pages"]
    assert "regular file" in page["message"]


def threads_of_worker(_item: str) -> dict[str, str]:
    """What the worker's libraries were told, and how many threads numpy's made."""
    np.ones((600, 600)) @ np.ones((600, 600))
    status = Path("/proc/self/status").read_text().splitlines()
    count = next(line.split()[1] for line in status if line.startswith("Threads:"))
    return {name: os.environ[name] for name in ENVIRONMENT} | {"threads": count}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_worker_computes_on_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    (outcome,) = PoolExecutor(1, WorkerLimits(timeout_s=60)).run(threads_of_worker, ["x"])
    assert outcome.value is not None
    assert {k: v for k, v in outcome.value.items() if k != "threads"} == ENVIRONMENT
    assert int(outcome.value["threads"]) <= 5  # its own, the watcher, pebble's three
    assert os.environ["OMP_NUM_THREADS"] == "8"
    assert "OPENBLAS_NUM_THREADS" not in os.environ
