"""Latency, crowds and endurance of ``ecg4u serve``, into benchmarks/results/serve.md.

    python -m benchmarks.serve                        # all of it: 40 minutes
    python -m benchmarks.serve --only latency         # 3 minutes on two idle cores
    python -m benchmarks.serve --only soak --minutes 30 --images ../shared/images

Each part starts a service of its own on a free port, with its defaults but for the limits of
rate and time, and replaces its own section of the results. The load of the machine is printed with
the figures.
"""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import random
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path

import click
import httpx

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results" / "serve.md"
PAGE = ROOT / "data" / "pages" / "A00347.png"
SMALL_PAGE = ROOT / "data" / "pages" / "phone.jpg"
PARTS = ("latency", "burst", "soak")
START = "from ecg4u.cli import main; main()"
LOOSE = ("--rate", "1000000", "--timeout", "600")
START_S = 180.0
WAIT_S = 900.0
WARM_PAGES = 12
"""Good pages after which the soak's memory counts as warm."""
CLIENTS = 3
PROBE_EVERY_S = 0.1


@dataclass(frozen=True)
class Service:
    """A running ``ecg4u serve``."""

    url: str
    pid: int

    def memory_mb(self) -> tuple[float, float]:
        """Memory of the server and of its workers that is theirs alone (PSS)."""
        return _pss_mb(self.pid), sum(map(_pss_mb, _children(self.pid)))


@contextmanager
def service() -> Iterator[Service]:
    """A warm service on a free port, stopped at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-c", START, "serve", "--port", str(port), *LOOSE]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + START_S
        while not _ready(url):
            if process.poll() is not None or time.monotonic() > deadline:
                raise click.ClickException("The service does not start.")
            time.sleep(0.3)
        yield Service(url, process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/ready", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def _pss_mb(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    found = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0


def _children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    own = [int(word) for word in text.split()]
    return own + [deeper for child in own for deeper in _children(child)]


def send(url: str, data: bytes, *, options: str = "{}", name: str = "page") -> httpx.Response:
    """One upload, waited for."""
    files = {"image": (name, data)}
    return httpx.post(f"{url}/v1/ecg", files=files, data={"options": options}, timeout=WAIT_S)


def _probe(url: str, stop: Event, answers: Connection) -> None:
    seconds = []
    with httpx.Client(timeout=30) as client:
        while not stop.wait(PROBE_EVERY_S):
            begun = time.perf_counter()
            client.get(f"{url}/health").raise_for_status()
            seconds.append(time.perf_counter() - begun)
    answers.send(seconds)


class Probe:
    """Asks /health again and again, from a process of its own: clients here would delay it."""

    def __init__(self, url: str) -> None:
        context = multiprocessing.get_context("spawn")
        self.seconds: list[float] = []
        self._stop = context.Event()
        self._answers, theirs = context.Pipe()
        self._process = context.Process(target=_probe, args=(url, self._stop, theirs))

    def __enter__(self) -> Probe:
        self._process.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self.seconds = self._answers.recv()
        self._process.join()

    def row(self) -> str:
        """As a line of a table."""
        worst, late = max(self.seconds), sum(s >= 0.2 for s in self.seconds)
        middle = statistics.median(self.seconds)
        return (
            f"| `/health` meanwhile | median {1000 * middle:.1f} ms, worst {1000 * worst:.0f} ms, "
            f"{late} of {len(self.seconds)} at 200 ms or more | < 200 ms | {_met(late == 0)} |"
        )


def _met(yes: bool) -> str:
    return "yes" if yes else "**no**"


def latency(n: int) -> str:
    """Warm answers for a 2200 x 1700 page, with and without the explanation, one at a time."""
    page = PAGE.read_bytes()
    rows = []
    with service() as running:
        for words, options, limit_s in (
            ("with the explanation", "{}", 8.0),
            ("without", '{"explain": false}', 5.0),
        ):
            seconds = []
            for _ in range(n):
                begun = time.perf_counter()
                send(running.url, page, options=options).raise_for_status()
                seconds.append(time.perf_counter() - begun)
            middle = statistics.median(seconds)
            rows.append(
                f"| {words} | median {middle:.2f} s, {min(seconds):.2f} to {max(seconds):.2f} "
                f"| {n} | <= {limit_s:g} s | {_met(middle <= limit_s)} |"
            )
            click.echo(rows[-1], err=True)
    head = "| warm answer, 2200 x 1700 page | measured | n | goal | met |\n|---|---|---|---|---|"
    return "\n".join([head, *rows])


def burst(n: int) -> str:
    """Uploads at once; whoever is told to wait comes back when told to."""
    first: Counter[int] = Counter()
    lost: list[str] = []
    without_time: list[int] = []
    answered: list[float] = []

    def client(url: str, page: bytes, options: str) -> None:
        begun = time.perf_counter()
        try:
            answer = send(url, page, options=options)
            first[answer.status_code] += 1
            while answer.status_code == 503:
                if "retry-after" not in answer.headers:
                    without_time.append(1)
                time.sleep(float(answer.headers.get("retry-after", "5")))
                answer = send(url, page, options=options)
            answer.raise_for_status()
            answered.append(time.perf_counter() - begun)
        except httpx.HTTPError as error:
            lost.append(type(error).__name__)

    rows = ["| uploads at once | measured | goal | met |", "|---|---|---|---|"]
    quick = '{"explain": false}'
    for count, path, options in ((n, PAGE, "{}"), (2 * n, SMALL_PAGE, quick)):
        first.clear()
        answered.clear()
        with service() as running, Probe(running.url) as probe:
            what = (running.url, path.read_bytes(), options)
            threads = [threading.Thread(target=client, args=what) for _ in range(count)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        words = f"{count} x {path.name}" + (", not explained" if options == quick else "")
        said = ", ".join(f"{k} x {status}" for status, k in sorted(first.items()))
        good = len(answered) == count and not lost and not without_time
        rows += [
            f"| {words} | first answers {said}; {len(answered)} results in the end, {len(lost)} "
            f"lost, the last after {max(answered, default=0):.0f} s "
            f"| none lost, 503 with Retry-After | {_met(good)} |",
            probe.row(),
        ]
        click.echo("\n".join(rows[-2:]), err=True)
    return "\n".join(rows)


Upload = Callable[[str], int]


def _bad_uploads() -> dict[str, bytes]:
    import numpy as np
    from PIL import Image

    def png(image: Image.Image) -> bytes:
        stream = io.BytesIO()
        image.save(stream, format="PNG")
        return stream.getvalue()

    page = PAGE.read_bytes()
    noise = np.random.default_rng(1).integers(0, 255, (600, 800, 3), dtype=np.uint8)
    return {
        "empty": b"",
        "text": b"no picture at all",
        "truncated": page[: len(page) // 3],
        "900 megapixels": png(Image.new("1", (30_000, 30_000))),
        "blank": png(Image.new("RGB", (1200, 900), "white")),
        "noise": png(Image.fromarray(noise)),
        "broken PDF": b"%PDF-1.7\n" + bytes(range(256)) * 40,
        "a zip": b"PK\x03\x04" + bytes(2000),
        "too large": b"\x89PNG\r\n\x1a\n" + bytes(26_000_000),
    }


def _cut_off(url: str, page: bytes) -> int:
    """An upload that ends in the middle: no answer is due."""
    host, port = url.removeprefix("http://").split(":")
    head = (
        "POST /v1/ecg HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=b"
        f"\r\nContent-Length: {len(page)}\r\n\r\n"
    )
    with socket.create_connection((host, int(port)), timeout=30) as line:
        line.sendall(head.encode() + page[: len(page) // 2])
    return 0


@dataclass
class Soak:
    """What the clients of a soak have seen."""

    url: str
    good: Sequence[bytes]
    until: float
    seen: Counter[tuple[str, int]] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    n_good: int = 0

    def client(self, seed: int) -> None:
        """Send good and bad pages in turn by chance, look at results, correct and delete some."""
        chance = random.Random(seed)
        bad = _bad_uploads()
        while time.monotonic() < self.until:
            try:
                if chance.random() < 0.5:
                    self._good(chance)
                else:
                    self._bad(chance, bad)
            except httpx.HTTPError as error:
                self.lost.append(type(error).__name__)
            time.sleep(chance.random())

    def _good(self, chance: random.Random) -> None:
        name = chance.choice(["page.png", "../../etc/passwd", "x" * 300, "päge\u202e.png"])
        answer = send(self.url, chance.choice(self.good), name=name)
        self._saw("page", answer)
        if answer.status_code != 200:
            return
        self.n_good += 1
        where = self.url + answer.headers["location"]
        for part in ("/report", "/page", "/page.webp", "/signals.zip", "/signals.csv"):
            if chance.random() < 0.4:
                self._saw("part of a result", httpx.get(where + part, timeout=WAIT_S))
        if chance.random() < 0.2:
            correction = {"gain_mm_per_mv": chance.choice([5, 10, 20])}
            again = httpx.post(f"{where}/correct", json=correction, timeout=WAIT_S)
            self._saw("correction", again)
        if chance.random() < 0.3:
            self._saw("delete", httpx.delete(where, timeout=WAIT_S))

    def _bad(self, chance: random.Random, bad: dict[str, bytes]) -> None:
        kind = chance.choice([*bad, "cut off"])
        if kind == "cut off":
            self.seen["cut off", _cut_off(self.url, self.good[0])] += 1
        else:
            self._saw(kind, send(self.url, bad[kind]))

    def _saw(self, kind: str, answer: httpx.Response) -> None:
        self.seen[kind, answer.status_code] += 1
        if answer.status_code == 503:
            time.sleep(min(float(answer.headers["retry-after"]), 20))


def _pages(folder: Path | None) -> list[bytes]:
    if folder is None:
        paths = sorted((ROOT / "data" / "pages").glob("*.[pj][np]g"))
    else:
        found = [p for p in folder.rglob("*") if p.suffix in (".png", ".jpg", ".jpeg")]
        paths = sorted(found)[::3]
    return [path.read_bytes() for path in paths]


def soak(minutes: float, folder: Path | None) -> str:
    """Mixed good and bad uploads; what comes back, and what the memory does."""
    pages = _pages(folder)
    memory: list[tuple[float, float]] = []
    warm = 0
    with service() as running, Probe(running.url) as probe:
        run = Soak(running.url, pages, time.monotonic() + 60 * minutes)
        threads = [threading.Thread(target=run.client, args=(seed,)) for seed in range(CLIENTS)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            time.sleep(5)
            memory.append(running.memory_mb())
            warm = warm or (len(memory) if run.n_good >= WARM_PAGES else 0)
            click.echo(f"{len(memory)} {memory[-1]} {run.n_good}", err=True)
    left = [name for name in os.listdir(tempfile.gettempdir()) if name.startswith("ecg4u-serve-")]
    return "\n".join([*_soak_table(run, memory, warm, minutes, len(pages)), probe.row()]) + (
        f"\n\nPrivate folders left after the stop: {len(left)}.\n\n" + _answers(run.seen)
    )


def _soak_table(
    run: Soak, memory: list[tuple[float, float]], warm: int, minutes: float, n_pages: int
) -> list[str]:
    totals = [sum(pair) for pair in memory]
    tenth = max(1, (len(totals) - warm) // 10)
    start, end = statistics.median(totals[warm : warm + tenth]), statistics.median(totals[-tenth:])
    parts = [
        statistics.median(pair[i] for pair in memory[-tenth:])
        - statistics.median(pair[i] for pair in memory[warm : warm + tenth])
        for i in (0, 1)
    ]
    failed = sum(n for (_, status), n in run.seen.items() if status >= 500 and status != 503)
    busy = sum(n for (_, status), n in run.seen.items() if status == 503)
    n = sum(run.seen.values())
    return [
        "| soak | measured | goal | met |",
        "|---|---|---|---|",
        f"| length | {minutes:g} min, {n} requests from {CLIENTS} clients at once, {run.n_good} "
        f"pages read of {n_pages} different ones | 30 min | {_met(minutes >= 30)} |",
        f"| 5xx other than 503 | {failed}; {busy} x 503; {len(run.lost)} without an answer | 0 | "
        f"{_met(failed == 0 and not run.lost)} |",
        f"| memory of server and worker | {start:.0f} MB once warm ({WARM_PAGES} pages), {end:.0f} "
        f"MB at the end, {max(totals):.0f} at most: {end - start:+.0f} MB (server "
        f"{parts[0]:+.0f}, worker {parts[1]:+.0f}) | growth < 100 MB | {_met(end - start < 100)} |",
    ]


def _answers(seen: Counter[tuple[str, int]]) -> str:
    rows = ["| sent | answers |", "|---|---|"]
    for kind in sorted({kind for kind, _ in seen}):
        said = [(status, n) for (of, status), n in sorted(seen.items()) if of == kind]
        words = ", ".join(f"{n} x {status or 'hung up'}" for status, n in said)
        rows.append(f"| {kind} | {words} |")
    return "\n".join(rows)


def _section(part: str, text: str, load: float) -> None:
    """Replace a part's section of the results."""
    known = {}
    if RESULTS.exists():
        for block in RESULTS.read_text().split("\n## ")[1:]:
            title, _, body = block.partition("\n")
            known[title] = body.strip()
    when = datetime.now(UTC).strftime("%Y-%m-%d")
    state = "other work on the machine" if load > 0.7 else "otherwise idle"
    known[part] = (
        f"{when}, {os.cpu_count()} cores, load {load:.1f} at the start ({state}); "
        f"`python -m benchmarks.serve --only {part}`.\n\n{text}"
    )
    blocks = [f"## {name}\n\n{known[name]}" for name in PARTS if name in known]
    head = "# The service: latency, crowds, endurance"
    RESULTS.write_text("\n\n".join([head, *blocks]) + "\n")


@click.command()
@click.option("--only", type=click.Choice(PARTS), multiple=True, help="Default: all parts.")
@click.option("-n", "--repeats", default=10, show_default=True, help="Answers timed by latency.")
@click.option("--minutes", default=30.0, show_default=True, help="Length of the soak.")
@click.option(
    "--images",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder whose every third image is sent by the soak; default: data/pages.",
)
def main(only: tuple[str, ...], repeats: int, minutes: float, images: Path | None) -> None:
    """Measure ``ecg4u serve``."""
    for part in only or PARTS:
        load = os.getloadavg()[0]
        if part == "latency":
            text = latency(repeats)
        elif part == "burst":
            text = burst(20)
        else:
            text = soak(minutes, images)
        _section(part, text, load)
        click.echo(json.dumps({part: "done"}))


if __name__ == "__main__":
    main()
