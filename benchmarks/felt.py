"""Speed as it is felt: commands from a cold start, and what a browser waits for, into a table.

    python -m benchmarks.felt                               # the shipped page and photograph
    python -m benchmarks.felt --pages FOLDER --runs 10      # all pages of a folder

`ecg4u digitize` and `ecg4u report` are started anew for each run, with `hyperfine` where it is
installed. Then each page is sent to a warm `ecg4u serve` as the browser sends it, which asks again
and again how far it is; and to POST /predict. Writes benchmarks/results/felt.md with the load of
the machine: other work on it makes the figures worthless.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import httpx

from benchmarks.serve import ROOT, WAIT_S, service
from ecg4u.io import as_page
from ecg4u.io.pages import is_page_name

RESULTS = Path(__file__).parent / "results" / "felt.md"
SHIPPED = tuple(ROOT / "data" / "pages" / name for name in ("A00347.png", "phone.jpg"))
COMMANDS = ("digitize", "report")
ASKED_S: Mapping[str, float] = {
    "`ecg4u digitize`, cold": 4.0,
    "`ecg4u report`, cold": 7.0,
    "first traces after upload": 4.0,
}
POLL_S = 0.05
"""The page itself asks every 0.2 s."""


@dataclass(frozen=True)
class Timed:
    """Seconds of each run of one thing on one page."""

    what: str
    page: str
    seconds: tuple[float, ...]

    def row(self) -> str:
        """As a line of the table."""
        middle, asked = statistics.median(self.seconds), ASKED_S.get(self.what)
        limit = "" if asked is None else f"<= {asked:g}"
        met = "" if asked is None else "yes" if middle <= asked else "**no**"
        spread = f"{min(self.seconds):.2f} to {max(self.seconds):.2f}"
        return (
            f"| {self.what} | {self.page} | {middle:.2f} | {spread} | {len(self.seconds)} "
            f"| {limit} | {met} |"
        )


def cold(command: Sequence[str], runs: int) -> tuple[float, ...]:
    """Seconds of each of ``runs`` starts of a command, after one that is not counted.

    Raises
    ------
    click.ClickException
        If the command fails.
    """
    if shutil.which("hyperfine"):
        return _by_hyperfine(command, runs)
    return tuple(_seconds(command) for _ in range(runs + 1))[1:]


def _by_hyperfine(command: Sequence[str], runs: int) -> tuple[float, ...]:
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "times.json"
        _run(["hyperfine", "--shell=none", "--warmup=1", f"--runs={runs}", "--style=none",
              f"--export-json={told}", shlex.join(command)])  # fmt: skip
        return tuple(json.loads(told.read_text())["results"][0]["times"])


def _seconds(command: Sequence[str]) -> float:
    begun = time.perf_counter()
    _run(command)
    return time.perf_counter() - begun


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise click.ClickException(f"{shlex.join(command)} failed: {done.stderr}")


def from_cold_starts(page: Path, name: str, runs: int) -> Iterator[Timed]:
    """Each of `COMMANDS` on one page."""
    with tempfile.TemporaryDirectory() as folder:
        for command in COMMANDS:
            line = [sys.executable, "-m", "ecg4u.cli", command, str(page.resolve()), "-q",
                    "-o", f"{folder}/{command}/"]  # fmt: skip
            yield Timed(f"`ecg4u {command}`, cold", name, cold(line, runs))


@dataclass(frozen=True)
class Streamed:
    """Seconds after an upload began until each part was there."""

    traces: float
    classes: float
    whole: float


def streamed(client: httpx.Client, page: Path, sleep: Callable[[float], None]) -> Streamed:
    """Send a page as the browser does and ask until traces, classes and all of it are there."""
    begun = time.perf_counter()
    answer = client.post("/v1/ecg?wait=false", files={"image": (page.name, page.read_bytes())})
    where = answer.headers["location"]
    traces = classes = None
    while answer.status_code == 202:
        state = answer.json()
        if traces is None and state["page"]:
            for part in ("page", "page.webp"):
                client.get(f"{where}/{part}").raise_for_status()
            traces = time.perf_counter() - begun
        if classes is None and state["summary"]:
            classes = time.perf_counter() - begun
        sleep(POLL_S)
        answer = client.get(where)
    answer.raise_for_status()
    whole = time.perf_counter() - begun
    return Streamed(traces or whole, classes or whole, whole)


def served(client: httpx.Client, page: Path, name: str, runs: int) -> list[Timed]:
    """What a browser and a client of the API wait for, after one upload that is not counted."""
    parts = [streamed(client, page, time.sleep) for _ in range(runs + 1)][1:]
    predicted = []
    for _ in range(runs):
        begun = time.perf_counter()
        files = {"image": (page.name, page.read_bytes())}
        client.post("/predict", files=files).raise_for_status()
        predicted.append(time.perf_counter() - begun)
    return [
        Timed("first traces after upload", name, tuple(part.traces for part in parts)),
        Timed("classes after upload", name, tuple(part.classes for part in parts)),
        Timed("whole result after upload", name, tuple(part.whole for part in parts)),
        Timed("POST /predict", name, tuple(predicted)),
    ]


def named(page: Path) -> str:
    """A page as the table calls it, with its size."""
    height, width = as_page(page).image.shape[:2]
    return f"{page.name}, {width} x {height}"


def table(timed: Sequence[Timed], before: str) -> str:
    """The file of results."""
    tool = "hyperfine" if shutil.which("hyperfine") else "subprocess"
    cores = os.cpu_count()
    return "\n".join(
        [
            "# Speed as it is felt",
            "",
            f"`python -m benchmarks.felt`, {cores} cores, cold starts by {tool}; load of the "
            f"machine before {before}, after {_load()}.",
            "",
            "| what | page | median, s | range, s | n | asked, s | met |",
            "|---|---|---|---|---|---|---|",
            *(one.row() for one in timed),
            "",
        ]
    )


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f}"


@click.command()
@click.option(
    "--pages",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of pages.",
)
@click.option("--runs", default=5, show_default=True, type=click.IntRange(1), help="Of each thing.")
@click.option("--out", type=click.Path(path_type=Path), default=RESULTS, show_default=True)
def main(pages: Path | None, runs: int, out: Path) -> None:
    """Time cold starts and the service on pages, and write the table."""
    paths = SHIPPED if pages is None else sorted(filter(_is_page, pages.iterdir()))
    if not paths:
        raise click.ClickException("There is no page in this folder.")
    before, timed = _load(), []
    for page in paths:
        for one in from_cold_starts(page, named(page), runs):
            click.echo(one.row(), err=True)
            timed.append(one)
    with service() as running, httpx.Client(base_url=running.url, timeout=WAIT_S) as client:
        for page in paths:
            for one in served(client, page, named(page), runs):
                click.echo(one.row(), err=True)
                timed.append(one)
    out.write_text(table(timed, before))


def _is_page(path: Path) -> bool:
    return is_page_name(path.name)


if __name__ == "__main__":
    main()
