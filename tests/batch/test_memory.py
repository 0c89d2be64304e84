"""What a worker and the run itself hold, page after page."""

from __future__ import annotations

import ctypes
import json
import shutil
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from batch_pages import beats, draw

from ecg4u.batch import Options, PageTask, PoolExecutor, find_inputs
from ecg4u.batch.executors import WorkerLimits
from ecg4u.batch.ledger import Entries
from ecg4u.batch.manifest import write_manifest
from ecg4u.io import write_record
from ecg4u.memory import peak_mb, rss_mb

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

MANY = """
import sys
from pathlib import Path
from ecg4u.batch import Options, PageTask, PoolExecutor, find_inputs
from ecg4u.batch.executors import WorkerLimits

source, out, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
task = PageTask(out, Options(classify=len(sys.argv) > 4))
task.warm_up()
items = find_inputs([source], Path(out))
held = []
for number in range(count):
    report = task(items[number % len(items)])
    assert report["pages"][0]["status"] == "done", report
    held.append(report["rss_mb"])
print(held[count // 3], held[-1])
"""


def growth_mb(source: Path, out: Path, count: int, *options: str) -> float:
    """MB from a third of ``count`` inputs to the last, in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-c", MANY, str(source), str(out), str(count), *options],
        capture_output=True,
        text=True,
        check=True,
    )
    before, after = map(float, done.stdout.split())
    return after - before


@LINUX
def test_many_records_of_every_format_leave_nothing(tmp_path: Path) -> None:
    for format in ("wfdb", "hdf5", "csv", "edf", "dicom"):
        write_record(beats(1), tmp_path / "in" / format / "r", format)
    assert growth_mb(tmp_path / "in", tmp_path / "out", 150) < 3


@LINUX
@pytest.mark.slow
def test_many_digitized_pages_leave_nothing(tmp_path: Path) -> None:
    for seed in range(5):
        draw(tmp_path / "in" / f"{seed}.png", seed)
    assert growth_mb(tmp_path / "in", tmp_path / "out", 60, "classify") < 5


@LINUX
def test_memory_is_measured() -> None:
    before = rss_mb()
    held = np.ones(20_000_000)
    assert 150 < rss_mb() - before < 200
    assert peak_mb() >= rss_mb() - 1
    del held


@pytest.fixture
def long_ledger(tmp_path: Path) -> Path:
    """A run of one record, whose ledger then tells of 5,000."""
    write_record(beats(1), tmp_path / "in" / "r", "csv")
    out = tmp_path / "out"
    (item,) = find_inputs([str(tmp_path / "in")], out)
    report = PageTask(str(out), Options(format="csv"))(item)
    with open(out / "ledger.jsonl", "w") as file:
        for number in range(5000, 0, -1):
            folder = f"records/{number % 256:02x}/{number}"
            entry = {"key": f"in/{number:05d}", "folder": folder, "status": "done"}
            entry |= {"size": item.size, "mtime_ns": item.mtime_ns}
            file.write(json.dumps({"type": "entry", **entry, **report}) + "\n")
            file.write(json.dumps({"type": "entry", **entry, "status": "failed"})[:-9] + "\n")
    shutil.rmtree(out / "records")
    return out


def test_a_long_ledger_is_read_by_places(long_ledger: Path) -> None:
    tracemalloc.start()
    entries = Entries(long_ledger)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 5000 * 400
    assert len(entries) == 5000
    assert list(entries)[:2] == ["in/00001", "in/00002"]
    assert entries["in/04711"]["folder"] == "records/67/4711"
    assert all(entry["status"] == "done" for entry in entries.values())
    assert "in/5001" not in entries


def test_its_manifest_has_every_row_once(
    long_ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ecg4u.batch.manifest._ROWS_AT_ONCE", 999)
    write_manifest(long_ledger)
    lines = (long_ledger / "manifest.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == [f"in/{n:05d}" for n in range(1, 5001)]
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(long_ledger / "manifest.parquet")
    assert table["input"].to_pylist() == [f"in/{n:05d}" for n in range(1, 5001)]
    assert table["fs"].to_pylist() == [500.0] * 5000


def held_by_kernels(_item: str) -> float:
    """MB that 60 numbers of crops leave behind in a network of convolutions."""
    import torch

    net = torch.nn.Sequential(*(torch.nn.Conv2d(8, 8, 3) for _ in range(6)))
    with torch.inference_mode():
        net(torch.zeros(62, 8, 24, 40))
        before = in_use_mb()
        for count in range(2, 62):
            net(torch.zeros(count, 8, 24, 40))
    return in_use_mb() - before


def in_use_mb() -> float:
    """What the allocator has given out."""

    class Info(ctypes.Structure):
        _fields_ = [(f"field{n}", ctypes.c_size_t) for n in range(10)]

    ask = ctypes.CDLL(None).mallinfo2
    ask.restype = Info
    info = ask()
    return float(info.field4 + info.field7) / 1e6


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="asks glibc")
def test_kernels_for_every_number_of_names_are_not_kept() -> None:
    (outcome,) = PoolExecutor(1, WorkerLimits(timeout_s=300)).run(held_by_kernels, ["x"])
    assert outcome.value is not None
    assert outcome.value < 3
