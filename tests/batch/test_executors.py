"""One contract for every executor; isolation for those that promise it."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from batch_jobs import compute, misbehave

from ecg4u import limits
from ecg4u.batch import DaskExecutor, Executor, PoolExecutor, SerialExecutor
from ecg4u.batch.executors import WorkerLimits

WORDS = [f"word {n}" for n in range(12)]


def dask_executor(limits: WorkerLimits) -> Executor:
    pytest.importorskip("distributed")
    return DaskExecutor(None, 2, limits)


EXECUTORS = {
    "serial": SerialExecutor,
    "pool": lambda limits: PoolExecutor(2, limits),
    "dask": dask_executor,
}
EVERY = pytest.mark.parametrize("name", EXECUTORS)


def kinds(executor: Executor, words: list[str]) -> dict[str, str]:
    """Value or kind of failure of each word."""
    outcomes = list(executor.run(misbehave, words))
    assert sorted(outcome.item for outcome in outcomes) == sorted(words)
    return {o.item: o.failure.kind if o.failure else str(o.value) for o in outcomes}


@EVERY
def test_every_item_comes_back_once(name: str) -> None:
    found = kinds(EXECUTORS[name](WorkerLimits(timeout_s=60)), WORDS)
    assert found == {word: word.upper() for word in WORDS}


@EVERY
def test_nothing_to_do(name: str) -> None:
    assert kinds(EXECUTORS[name](WorkerLimits()), []) == {}


@EVERY
def test_an_exception_is_an_outcome_without_its_message(name: str) -> None:
    outcomes = list(EXECUTORS[name](WorkerLimits()).run(misbehave, ["raise", "fine"]))
    failure = next(o.failure for o in outcomes if o.item == "raise")
    assert failure.kind == "exception"
    assert failure.detail.startswith("ValueError at ")
    assert "Doe" not in failure.detail
    assert next(o.value for o in outcomes if o.item == "fine") == "FINE"


@EVERY
def test_a_hanging_item_times_out(name: str) -> None:
    found = kinds(EXECUTORS[name](WorkerLimits(timeout_s=1.0)), ["hang", "a", "b"])
    assert found == {"hang": "timeout", "a": "A", "b": "B"}


@pytest.mark.parametrize("name", ["serial", "pool"])
def test_which_limit_of_time_was_reached_is_said(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {}
    for word, factor, seconds in (("hang", 1000.0, 0.5), ("sleep", 10.0, 0.05)):
        monkeypatch.setattr(limits, "CLOCK_FACTOR", factor)
        (outcome,) = EXECUTORS[name](WorkerLimits(seconds)).run(misbehave, [word])
        assert outcome.failure is not None
        said[word] = outcome.failure.detail
    assert said["hang"] == "took longer than 0.5 s of CPU time"
    assert said["sleep"] == "took longer than 0.5 s of wall-clock time"


def test_each_item_and_each_page_of_it_has_time_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "CLOCK_FACTOR", 1000.0)
    outcomes = PoolExecutor(1, WorkerLimits(1.0)).run(compute, [1, 1, 3, -4])
    kinds = [outcome.failure.kind if outcome.failure else "done" for outcome in outcomes]
    assert kinds == ["done", "done", "done", "timeout"]


@pytest.mark.parametrize("name", ["pool", pytest.param("dask", marks=pytest.mark.slow)])
def test_crashes_cost_only_their_own_item(name: str) -> None:
    words = ["kill 1", "a", "exit 1", "b", "hang", "c", "kill 2", "kill 3", "d", "e"]
    found = kinds(EXECUTORS[name](WorkerLimits(timeout_s=2.0)), words)
    assert {w for w in words if found[w] == "crash"} == {"kill 1", "kill 2", "kill 3", "exit 1"}
    assert found["hang"] == "timeout"
    assert [found[w] for w in "abcde"] == list("ABCDE")


@pytest.mark.skipif(sys.platform != "linux", reason="memory limits are Linux's")
def test_memory_is_bounded() -> None:
    found = kinds(PoolExecutor(1, WorkerLimits(timeout_s=60, memory_mb=1000)), ["eat", "a"])
    assert found == {"eat": "memory", "a": "A"}


def test_crash_says_how() -> None:
    outcomes = list(PoolExecutor(1).run(misbehave, ["kill", "exit"]))
    details = {outcome.item: outcome.failure.detail for outcome in outcomes}
    assert "3" in details["exit"] or "died" in details["exit"]
    assert "SIGKILL" in details["kill"] or "died" in details["kill"]


def test_items_are_drawn_as_they_are_needed() -> None:
    drawn = []

    def items() -> Iterator[str]:
        for word in WORDS:
            drawn.append(word)
            yield word

    outcomes = PoolExecutor(2).run(misbehave, items())
    next(outcomes)
    assert len(drawn) <= 4
    outcomes.close()
    assert len(drawn) <= 4


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_workers_die_with_a_killed_parent(tmp_path: Path) -> None:
    script = """
        import os, sys
        sys.path.insert(0, sys.argv[1])
        from batch_jobs import misbehave
        from ecg4u.batch import PoolExecutor

        def words():
            yield "started"
            print("ready", flush=True)
            yield "hang"

        if __name__ == "__main__":
            for outcome in PoolExecutor(1).run(misbehave, words()):
                pass
    """
    path = tmp_path / "main.py"
    path.write_text(textwrap.dedent(script))
    here = str(Path(__file__).parent)
    parent = subprocess.Popen(
        [sys.executable, str(path), here], stdout=subprocess.PIPE, start_new_session=True
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"ready\n"
    time.sleep(0.5)
    family = children_of(parent.pid)
    assert family
    parent.kill()
    parent.wait()
    end = time.monotonic() + 5
    while any(is_alive(pid) for pid in family) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(is_alive(pid) for pid in family)


def children_of(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if parent == pid:
                found.append(int(entry.name))
    return found


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
