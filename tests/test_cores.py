"""Work spread over threads: the same results, in order."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest

from ecg4u import cores
from ecg4u.explain.attribution import attribute
from ecg4u.record import ECGRecord


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "_count", 2)


@pytest.mark.parametrize(
    ("available", "memory_mb", "n"), [(8, 2000, 2), (8, 3000, 4), (8, 500, 1), (1, None, 1)]
)
def test_no_more_cores_are_used_than_memory_allows(
    monkeypatch: pytest.MonkeyPatch, available: int, memory_mb: int | None, n: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(available)), raising=False)
    monkeypatch.setattr(cores, "_count", 1)
    cores.use_all(memory_mb)
    assert cores._count == n


@pytest.mark.parametrize(("available", "among", "n"), [(4, 1, 2), (4, 3, 1), (2, 5, 1), (8, 4, 2)])
def test_cores_are_shared_by_the_pages_at_work(
    monkeypatch: pytest.MonkeyPatch, available: int, among: int, n: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(available)), raising=False)
    monkeypatch.setattr(cores, "_count", 1)
    cores.use_share(2000, among)
    assert cores._count == n


def test_without_being_asked_work_stays_in_its_thread() -> None:
    here = threading.get_ident()
    assert cores.spread(lambda _: threading.get_ident(), range(3)) == [here] * 3


def test_parts_run_at_the_same_time_and_stay_in_order(two_cores: None) -> None:
    meeting = threading.Barrier(2, timeout=30)

    def work(part: int) -> int:
        meeting.wait()
        return part * part

    assert cores.spread(work, [3, 4]) == [9, 16]


def test_an_error_in_a_part_is_raised(two_cores: None) -> None:
    with pytest.raises(ZeroDivisionError):
        cores.spread(lambda part: 1 // part, [1, 0])


def test_attributions_are_the_same_with_two_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    class Sums:
        """Log-odds that depend on every sample shown."""

        def log_odds(self, inputs: np.ndarray) -> np.ndarray:
            return np.repeat(inputs[:, :12].sum(axis=(1, 2), dtype=float)[:, None], 9, axis=1)

    signal = np.random.default_rng(0).normal(size=(5000, 12))
    record = ECGRecord(signal)
    one = attribute(record, ["AF"], classifier=Sums())
    monkeypatch.setattr(cores, "_count", 2)
    assert attribute(record, ["AF"], classifier=Sums()) == one


def test_two_works_run_at_the_same_time_and_each_gives_its_own(two_cores: None) -> None:
    meeting = threading.Barrier(2, timeout=30)

    def work(answer: str) -> str:
        meeting.wait()
        return answer

    assert cores.together(lambda: work("a"), lambda: work("b")) == ("a", "b")


def test_without_being_asked_two_works_run_one_after_the_other() -> None:
    here = threading.get_ident()
    assert cores.together(threading.get_ident, threading.get_ident) == (here, here)
