"""``kill -9`` of real batches, wherever it hurts: what is resumed gives the same bytes.

pytest -m slow tests/batch/test_kills.py
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from batch_pages import beats, draw
from test_run import ends, tree

from ecg4u.batch.run import status_of
from ecg4u.io import write_record
from ecg4u.io.atomic import TEMPORARY_PREFIX

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
N_PAGES = 3
OPTIONS = ("-j", "1", "-q", "--classify", "--report", "--keep-sidecars", "--resume")
AT_A_WRITE = """
import os

os.environ.setdefault("RUN", str(os.getpid()))
name, moment = os.environ["KILL_AT"].split(":")

def replace(source, target, old=os.replace):
    wanted = os.path.basename(target) == name
    if wanted and moment == "before":
        os.kill(int(os.environ["RUN"]), 9)
    old(source, target)
    if wanted and moment == "after":
        os.kill(int(os.environ["RUN"]), 9)

os.replace = replace
"""
"""Ends the whole run from whichever of its processes gives a file its name, before or after."""
PLACES = (
    *("signals.dat:before", "signals.dat:after", "signals.hea:before", "report.html:before"),
    *("signals.page.json:after", "result.json:before", "result.json:after"),
    *("manifest.csv:before", "manifest.csv:after", "RECORDS:before", "RECORDS:after"),
)
N_TIMES = 20 - len(PLACES)


def start(source: Path, out: Path, **environment: str) -> subprocess.Popen[bytes]:
    found = os.pathsep.join(filter(None, (environment.pop("hook", ""), str(ROOT), *sys.path)))
    return subprocess.Popen(
        [sys.executable, "-m", "ecg4u.cli", "batch", str(source), "-o", str(out), *OPTIONS],
        env={**os.environ, **environment, "PYTHONPATH": found},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Pages, a record, a file that is none."""
    folder = tmp_path / "in"
    for seed in range(N_PAGES):
        draw(folder / f"page{seed}.png", seed)
    write_record(beats(9), folder / "record", "csv")
    (folder / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return folder


def test_twenty_kills_change_no_byte(source: Path, tmp_path: Path) -> None:
    begun = time.monotonic()
    assert start(source, tmp_path / "whole").wait() == 7
    whole_s = time.monotonic() - begun
    hook, chance = tmp_path / "hook", random.Random(20)
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(AT_A_WRITE)
    outs, n_killed = [tmp_path / "placed", tmp_path / "out0"], 0
    while n_killed < N_TIMES:  # some in a run's first second, the others in all of it
        early = n_killed < N_TIMES // 3
        process = start(source, outs[-1])
        time.sleep(chance.uniform(0.0, 1.0) if early else chance.uniform(1.0, whole_s))
        process.kill()
        if process.wait() == -signal.SIGKILL:
            n_killed += 1
        else:  # it was over before
            outs.append(tmp_path / f"out{len(outs)}")
    for place in PLACES:
        process = start(source, outs[0], hook=str(hook), KILL_AT=place)
        assert process.wait() == -signal.SIGKILL, place
    for folder in outs:
        assert start(source, folder).wait() in (0, 7)  # 0: the refused one ended before
        assert tree(folder) == tree(tmp_path / "whole")
        assert ends(folder) == ends(tmp_path / "whole")
        assert status_of(folder) == {"done": N_PAGES + 1, "refused": 1, "failed": 0}
        assert not list(folder.rglob(f"{TEMPORARY_PREFIX}*"))
