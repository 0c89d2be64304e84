"""Every hostile file through every face under the default limits; no face asks for the network.

``pytest -m slow -rP`` tells the most time and memory that a file took at each.
"""

from __future__ import annotations

import csv
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from subprocess import PIPE
from typing import Any

import hostile_files
import httpx
import numpy as np
import pytest

from ecg4u.batch.ledger import Entries
from ecg4u.io import write_record
from ecg4u.limits import Limits
from ecg4u.record import ECGRecord

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "data" / "pages" / "phone.jpg"
GOOD_ENDS = {0, 3, 4}
PAGE_KINDS = ("pdf", "image", "damaged")
MOST_MB = 1500.0
"""Of one process, whatever the file."""
START_S = 180.0
ANSWER_S = 2.0 * (Limits().clock_s or 0.0)
"""The page before may take its whole time, too."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Of every kind."""
    return hostile_files.write_all(tmp_path_factory.mktemp("hostile"))


def started(*arguments: object, path: str = "", **options: Any) -> subprocess.Popen[str]:
    found = os.pathsep.join(filter(None, (path, str(ROOT), *sys.path)))
    return subprocess.Popen(
        [sys.executable, "-m", "ecg4u.cli", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": found},
        text=True,
        errors="replace",
        **options,
    )


def ecg4u(*arguments: object, path: str = "") -> subprocess.CompletedProcess[str]:
    with started(*arguments, path=path, stdout=PIPE, stderr=PIPE) as process:
        out, err = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def most_mb(process: subprocess.Popen[str]) -> float:
    """The most that ``process`` or any that it waited for held, once it has ended."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_maxrss * 1024 / 1e6


def tell(face: str, memory_mb: float, seconds: Sequence[float], what: str) -> None:
    print(f"{face}: {memory_mb:.0f} MB, {max(seconds):.1f} s {what} (n = {len(seconds)})")
    assert memory_mb <= MOST_MB


@pytest.mark.parametrize("kind", hostile_files.KINDS)
def test_at_the_command_line(kind: str, files: dict[str, list[Path]]) -> None:
    times, said = [time.monotonic()], ""
    arguments = ("classify", "--quiet", "--", *files[kind])
    with started(*arguments, stdout=PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        for line in process.stdout:
            said += line
            if line.startswith(("error: ", "== ")):
                times.append(time.monotonic())
        memory_mb = most_mb(process)
    assert process.returncode == 7, said[-2000:]
    assert "Traceback" not in said
    assert "internal error" not in said
    assert len(times) - 2 == len(files[kind])  # the last one sums up
    tell(f"classify, {kind}", memory_mb, np.diff(times), "by the clock")


def test_alone_at_the_command_line(files: dict[str, list[Path]]) -> None:
    """One of each kind: its exit code is that of its error."""
    for kind in hostile_files.KINDS:
        done = ecg4u("info", "--", files[kind][0])
        assert done.returncode in GOOD_ENDS, (kind, done.stderr)
        assert "Traceback" not in done.stderr, kind


def test_in_a_batch(files: dict[str, list[Path]], tmp_path: Path) -> None:
    folder = next(iter(files.values()))[0].parent.parent
    out = tmp_path / "out"
    with started("batch", folder, "-o", out, "-j", 2, "-q", stderr=PIPE) as process:
        assert process.stderr is not None
        said = process.stderr.read()
        memory_mb = most_mb(process)
    assert process.returncode == 7, said
    assert "Traceback" not in said
    with open(out / "manifest.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 300
    assert not [row for row in rows if row["code"] == "internal"]
    assert not [cell for row in rows for cell in row.values() if cell[:1] in tuple("=+-@")]
    ends = [entry["cpu_s"] for entry in Entries(out).values() if entry.get("cpu_s")]
    tell("batch", memory_mb, ends, "of computing, of those whose worker lived on")


class running:
    """``ecg4u serve`` on a free port, warm."""

    def __init__(self, folder: Path, path: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.log = open(folder / "log", "w+")  # # noqa: SIM115
        arguments = ("serve", "--port", port, "--rate", 300)
        self.process = started(*arguments, path=path, stdout=self.log, stderr=self.log)
        self.memory_mb = 0.0

    def __enter__(self) -> running:
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            time.sleep(0.5)
            try:
                if httpx.get(f"{self.url}/ready").status_code == 200:
                    return self
            except httpx.HTTPError:
                assert self.process.poll() is None
        raise TimeoutError

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.memory_mb = most_mb(self.process)
        self.log.seek(0)
        assert "Traceback" not in self.log.read()
        self.log.close()


def test_at_the_service(files: dict[str, list[Path]], tmp_path: Path) -> None:
    """After a page of the ordinary kind, which leaves the workers warm."""
    times = []
    with running(tmp_path, path="") as service:
        for path in (PAGE, PAGE, *(path for kind in PAGE_KINDS for path in files[kind])):
            answer, upload = None, {"image": ("page", path.read_bytes())}
            while answer is None or answer.status_code in (429, 503):
                begun = time.monotonic()
                answer = httpx.post(f"{service.url}/v1/ecg", files=upload, timeout=ANSWER_S)
                time.sleep(int(answer.headers.get("retry-after", 0)))
            times.append(time.monotonic() - begun)
            assert answer.status_code < 500, path
            if answer.status_code != 200:
                assert answer.json()["error"]["code"] != "internal", path
            assert httpx.get(f"{service.url}/health", timeout=5).status_code == 200
    tell("serve", service.memory_mb, times[2:], "by the clock")


BLOCKED = """
import socket

def refuse(*arguments, **options):
    open({log!r}, "a").write(repr(arguments) + "\\n")
    raise OSError("no network")

def connect(self, address, *rest, old=socket.socket.connect):
    if self.family != socket.AF_UNIX:
        refuse(address)
    return old(self, address, *rest)

def getaddrinfo(host, *rest, old=socket.getaddrinfo, **options):
    if host not in (None, "127.0.0.1", "localhost"):
        refuse(host)
    return old(host, *rest, **options)

socket.socket.connect = socket.socket.connect_ex = connect
socket.getaddrinfo = getaddrinfo
"""


@pytest.fixture
def blocked(tmp_path: Path) -> Iterator[str]:
    """A folder whose ``sitecustomize`` closes the network to every process, and tells of tries."""
    folder, log = tmp_path / "blocked", tmp_path / "tries"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(BLOCKED.format(log=str(log)))
    yield str(folder)
    assert not log.exists(), log.read_text()


@pytest.mark.parametrize("command", ["digitize", "classify", "explain", "report", "info", "batch"])
def test_commands_need_no_network(command: str, blocked: str, tmp_path: Path) -> None:
    out = () if command in ("classify", "explain", "info") else ("-o", tmp_path / "out")
    more = ("-j", 1, "--report") if command == "batch" else ()
    done = ecg4u(command, PAGE, *out, *more, path=blocked)
    assert done.returncode == 0, done.stderr


def test_drawing_and_comparing_need_no_network(blocked: str, tmp_path: Path) -> None:
    waves = np.sin(np.arange(5000) / 30)[:, None] * np.ones(12)
    record = write_record(ECGRecord(waves), tmp_path / "x")
    for arguments in (("draw", record[0], "-o", tmp_path / "x.png"), ("compare", *record[:1] * 2)):
        done = ecg4u(*arguments, path=blocked)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("format_", ["wfdb", "hdf5", "csv", "edf", "dicom"])
def test_records_need_no_network(format_: str, blocked: str, tmp_path: Path) -> None:
    path = write_record(ECGRecord(np.zeros((5000, 12))), tmp_path / "x", format_)[0]
    assert ecg4u("info", path, path=blocked).returncode == 0


def test_watching_needs_no_network(blocked: str, tmp_path: Path) -> None:
    write_record(ECGRecord(np.zeros((5000, 12))), tmp_path / "in" / "x")
    done = ecg4u("watch", tmp_path / "in", tmp_path / "out", "--once", "--settle", 0, path=blocked)
    assert done.returncode in (0, 7), done.stderr
    assert (tmp_path / "out" / "manifest.csv").exists()


def test_fixing_needs_no_network(blocked: str, tmp_path: Path) -> None:
    page = shutil.copy(PAGE, tmp_path)
    process = started("fix", page, "--no-browser", path=blocked, stderr=PIPE)
    try:
        assert process.stderr is not None
        url, identifier = next(line for line in process.stderr if "http" in line).split("/?fix#")
        place = f"{url}/v1/ecg/{identifier.strip()}/report"
        assert httpx.get(place, timeout=ANSWER_S).status_code == 200
    finally:
        process.terminate()
        process.wait(60)


def test_the_service_needs_no_network(blocked: str, tmp_path: Path) -> None:
    with running(tmp_path, path=blocked) as service:
        upload = {"image": ("page.jpg", PAGE.read_bytes())}
        assert (
            httpx.post(f"{service.url}/v1/ecg", files=upload, timeout=ANSWER_S).status_code == 200
        )
