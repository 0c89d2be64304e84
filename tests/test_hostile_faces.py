"""Every hostile file through every face under the default limits; no face asks for the network."""

from __future__ import annotations

import csv
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import hostile_files
import httpx
import numpy as np
import pytest

from ecg4u.io import write_record
from ecg4u.limits import Limits
from ecg4u.record import ECGRecord

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "data" / "pages" / "phone.jpg"
GOOD_ENDS = {0, 3, 4}
PAGE_KINDS = ("pdf", "image", "damaged")
START_S = 180.0
ANSWER_S = 2.0 * (Limits().clock_s or 0.0)
"""The page before may take its whole time, too."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Of every kind."""
    return hostile_files.write_all(tmp_path_factory.mktemp("hostile"))


def ecg4u(*arguments: object, path: str = "") -> subprocess.CompletedProcess[str]:
    found = os.pathsep.join(filter(None, (path, str(ROOT), *sys.path)))
    return subprocess.run(
        [sys.executable, "-m", "ecg4u.cli", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": found},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )


@pytest.mark.parametrize("kind", hostile_files.KINDS)
def test_at_the_command_line(kind: str, files: dict[str, list[Path]], tmp_path: Path) -> None:
    done = ecg4u("classify", "--quiet", "--", *files[kind])
    assert done.returncode == 7, done.stderr[-2000:]
    assert "Traceback" not in done.stderr
    assert "internal error" not in done.stderr
    refused = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    read = [line for line in done.stdout.splitlines() if line.startswith("== ")]
    assert len(refused) + len(read) - 1 == len(files[kind])  # the last one sums up


def test_alone_at_the_command_line(files: dict[str, list[Path]]) -> None:
    """One of each kind: its exit code is that of its error."""
    for kind in hostile_files.KINDS:
        done = ecg4u("info", "--", files[kind][0])
        assert done.returncode in GOOD_ENDS, (kind, done.stderr)
        assert "Traceback" not in done.stderr, kind


def test_in_a_batch(files: dict[str, list[Path]], tmp_path: Path) -> None:
    folder = next(iter(files.values()))[0].parent.parent
    done = ecg4u("batch", folder, "-o", tmp_path / "out", "-j", 2, "-q")
    assert done.returncode == 7, done.stderr
    assert "Traceback" not in done.stderr
    with open(tmp_path / "out" / "manifest.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 300
    assert not [row for row in rows if row["code"] == "internal"]
    assert not [cell for row in rows for cell in row.values() if cell[:1] in tuple("=+-@")]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[str]:
    with running(tmp_path, path="") as url:
        yield url


class running:
    """``ecg4u serve`` on a free port, warm."""

    def __init__(self, folder: Path, path: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        found = os.pathsep.join(filter(None, (path, str(ROOT), *sys.path)))
        self.log = open(folder / "log", "w+b")  # # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ecg4u.cli", "serve", "--port", str(port), "--rate", "300"],
            env={**os.environ, "PYTHONPATH": found},
            stdout=self.log,
            stderr=self.log,
        )

    def __enter__(self) -> str:
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            time.sleep(0.5)
            try:
                if httpx.get(f"{self.url}/ready").status_code == 200:
                    return self.url
            except httpx.HTTPError:
                assert self.process.poll() is None
        raise TimeoutError

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(60)
        self.log.seek(0)
        assert b"Traceback" not in self.log.read()
        self.log.close()


@pytest.mark.parametrize("kind", PAGE_KINDS)
def test_at_the_service(kind: str, files: dict[str, list[Path]], service: str) -> None:
    for path in files[kind]:
        answer = None
        while answer is None or answer.status_code in (429, 503):
            upload = {"image": ("page", path.read_bytes())}
            answer = httpx.post(f"{service}/v1/ecg", files=upload, timeout=ANSWER_S)
            time.sleep(int(answer.headers.get("retry-after", 0)))
        assert answer.status_code < 500, path
        if answer.status_code != 200:
            assert answer.json()["error"]["code"] != "internal", path
        assert httpx.get(f"{service}/health", timeout=5).status_code == 200


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
    process = subprocess.Popen(
        [sys.executable, "-m", "ecg4u.cli", "fix", page, "--no-browser"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join((blocked, str(ROOT), *sys.path))},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        url, identifier = next(line for line in process.stderr if "http" in line).split("/?fix#")
        place = f"{url}/v1/ecg/{identifier.strip()}/report"
        assert httpx.get(place, timeout=ANSWER_S).status_code == 200
    finally:
        process.terminate()
        process.wait(60)


def test_the_service_needs_no_network(blocked: str, tmp_path: Path) -> None:
    with running(tmp_path, path=blocked) as url:
        upload = {"image": ("page.jpg", PAGE.read_bytes())}
        assert httpx.post(f"{url}/v1/ecg", files=upload, timeout=ANSWER_S).status_code == 200
