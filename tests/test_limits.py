"""The process that works on an input: its time, its memory, its end."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import hostile_files
import numpy as np
import pytest
from command import ecg4u

from ecg4u import limits
from ecg4u.digitize.networks import WEIGHTS, Network
from ecg4u.errors import UnreadableInputError
from ecg4u.io import count_pages, read_page, write_record
from ecg4u.limits import Limits, is_out_of_memory, opening, reading, supervised_each
from ecg4u.memory import keep_freed_memory
from ecg4u.record import ECGRecord

PAGE = Path(__file__).parents[1] / "data" / "pages" / "phone.jpg"


def supervised(work: Callable[[], int], limits: Limits) -> int:
    (end,) = supervised_each([work], limits)
    if isinstance(end, int):
        return end
    raise end


ROOMY = Limits(memory_mb=8000)
"""The forks of a test start with what the process of the tests holds: up to 2 GB after others."""


def test_the_exit_code_comes_back() -> None:
    assert supervised(lambda: 7, ROOMY) == 7


@pytest.fixture
def patient_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a busy machine does not end by the clock what is to be ended for its computing."""
    monkeypatch.setattr(limits, "CLOCK_FACTOR", 1000.0)


def test_too_much_computing_is_said(patient_clock: None) -> None:
    with pytest.raises(UnreadableInputError, match=r"longer than 0\.2 s of CPU time"):
        supervised(lambda: pow(7, 10**9) and 0, replace(ROOMY, timeout_s=0.2))


def test_too_much_time_is_said() -> None:
    begun = time.monotonic()
    with pytest.raises(UnreadableInputError, match=r"longer than 0\.5 s of wall-clock time"):
        supervised(lambda: time.sleep(60) or 0, replace(ROOMY, timeout_s=0.05))
    assert time.monotonic() - begun < 10


def test_time_in_which_nothing_is_computed_does_not_count(patient_clock: None) -> None:
    """As on a machine that is busy with something else."""
    assert supervised(lambda: time.sleep(1.5) or 7, replace(ROOMY, timeout_s=0.4)) == 7


def test_the_computing_of_all_threads_counts(patient_clock: None) -> None:
    from hashlib import pbkdf2_hmac

    def work() -> int:  # without the interpreter's lock, so at the same time where there are cores
        threads = [
            threading.Thread(target=pbkdf2_hmac, args=("sha256", b"", b"", 3_000_000))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return 0

    with pytest.raises(UnreadableInputError, match="of CPU time"):
        supervised(work, replace(ROOMY, timeout_s=0.5))


def test_the_end_of_the_process_is_said() -> None:
    with pytest.raises(UnreadableInputError, match="SIGKILL"):
        supervised(lambda: os.kill(os.getpid(), signal.SIGKILL) or 0, ROOMY)


def held_mb() -> int:
    """What this process, and so a fork of it, holds of what is limited."""
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[5]) * os.sysconf("SC_PAGE_SIZE") // 1_000_000


def in_reading(work: Callable[[], object]) -> Callable[[], int]:
    def run() -> int:
        try:
            with reading():
                work()
        except UnreadableInputError:
            return 3
        return 0

    return run


def test_memory_is_limited_while_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    # What tests before left may be freed after it was counted: more is asked for than that.
    monkeypatch.setattr(limits, "READ_MEMORY_MB", held_mb() + 100)
    assert supervised(in_reading(lambda: bytes(50_000_000)), ROOMY) == 0
    assert supervised(in_reading(lambda: bytes(2_000_000_000)), ROOMY) == 3
    assert supervised(lambda: len(bytes(200_000_000)) and 0, ROOMY) == 0


def _much_of_numpy() -> object:
    return np.ones(10**9)


def _much_of_opencv() -> object:
    import cv2

    return cv2.resize(np.zeros((100, 100), np.float32), (30_000, 30_000))


def _much_of_onnxruntime() -> object:
    return Network(WEIGHTS / "trace.onnx")(np.zeros((1, 3, 2048, 2048), np.float32))


@pytest.mark.parametrize("much", [_much_of_numpy, _much_of_opencv, _much_of_onnxruntime])
def test_whichever_library_lacks_memory_says_so(
    much: Callable[[], object], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def work() -> int:
        try:
            with reading():
                much()
        except UnreadableInputError:  # what `reading` makes of a `MemoryError`
            return 3
        except Exception as error:
            return 3 if is_out_of_memory(error) else 4
        return 0

    monkeypatch.setattr(limits, "READ_MEMORY_MB", held_mb() + 100)
    assert supervised(work, ROOMY) == 3
    assert capfd.readouterr().err == ""


def test_what_the_process_held_before_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    def work() -> int:
        held = bytes(250_000_000)
        with reading():
            bytes(200_000_000)
        return len(held) - 250_000_000

    monkeypatch.setattr(limits, "READ_MEMORY_MB", held_mb() + 300)
    assert supervised(in_reading(lambda: bytes(200_000_000)), ROOMY) == 0
    assert supervised(in_reading(work), ROOMY) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_what_was_freed_before_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def work() -> int:
        keep_freed_memory()
        pieces = [bytearray(b"x" * 1_000_000) for _ in range(250)]
        pieces.clear()
        with reading():
            bytes(200_000_000)
        return 0

    monkeypatch.setattr(limits, "READ_MEMORY_MB", held_mb() + 300)
    assert supervised(work, ROOMY) == 0


def test_reading_has_the_time_of_the_input_and_no_clock_of_its_own(
    patient_clock: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "READ_MEMORY_MB", held_mb() + 100)
    limited = replace(ROOMY, timeout_s=0.5)
    assert supervised(in_reading(lambda: time.sleep(1.5)), limited) == 0
    hang = in_reading(lambda: pow(7, 10**9))  # one long call that holds the interpreter
    with pytest.raises(UnreadableInputError, match="of CPU time"):
        supervised(hang, limited)


def test_what_a_pdf_computes_is_limited_and_waiting_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "OPENING_CPU_S", 0.2)

    def inside(work: Callable[[], object]) -> int:
        with opening():
            work()
        return 0

    assert supervised(lambda: inside(lambda: time.sleep(0.6)), ROOMY) == 0
    with pytest.raises(UnreadableInputError, match=r"longer than 0\.2 s"):
        supervised(lambda: inside(lambda: pow(7, 10**9)), replace(ROOMY, timeout_s=60))


@pytest.fixture
def little_time_to_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory to read is left whatever the tests before this one made the process hold."""
    monkeypatch.setattr(limits, "OPENING_CPU_S", 0.01)
    monkeypatch.setattr(limits, "READ_MEMORY_MB", held_mb() + 1000)


def test_opening_an_image_is_limited_as_a_pdf_is(little_time_to_open: None, tmp_path: Path) -> None:
    start = hostile_files.saved("JPEG")[:2]
    (tmp_path / "x.jpg").write_bytes(start + b"\xff" * 3_000_000)
    with pytest.raises(UnreadableInputError, match=r"longer than 0\.01 s"):
        supervised(lambda: count_pages(tmp_path / "x.jpg"), ROOMY)


def test_opening_is_limited_though_who_forked_ignores_the_signal(
    little_time_to_open: None, tmp_path: Path
) -> None:
    (tmp_path / "x.jpg").write_bytes(hostile_files.saved("JPEG")[:2] + b"\xff" * 3_000_000)
    before = signal.signal(signal.SIGPROF, signal.SIG_IGN)
    try:
        with pytest.raises(UnreadableInputError, match=r"longer than 0\.01 s"):
            supervised(lambda: count_pages(tmp_path / "x.jpg"), ROOMY)
    finally:
        signal.signal(signal.SIGPROF, before)


def test_decoding_an_image_is_limited_too(little_time_to_open: None, tmp_path: Path) -> None:
    runs = hostile_files.bmp_of_runs(65_500, 300, b"\x01\x00\x00\x00" * 300)
    (tmp_path / "x.bmp").write_bytes(runs)
    with pytest.raises(UnreadableInputError, match=r"longer than 0\.01 s"):
        supervised(lambda: read_page(tmp_path / "x.bmp").number, ROOMY)


def test_of_several_each_has_limits_of_its_own(
    patient_clock: None, capfd: pytest.CaptureFixture[str]
) -> None:
    def says(number: int) -> Callable[[], int]:
        return lambda: print(f"{number} in {os.getpid()}") or number

    works = [
        says(0),
        lambda: os.kill(os.getpid(), signal.SIGKILL) or 0,
        says(7),
        lambda: pow(7, 10**9) and 0,
        lambda: os.kill(os.getpid(), signal.SIGUSR1) or 0,
        says(3),
        says(0),
    ]
    ends = list(supervised_each(works, replace(ROOMY, timeout_s=1.0)))
    assert [end if isinstance(end, int) else None for end in ends] == [0, None, 7, None, None, 3, 0]
    for end, word in zip([ends[k] for k in (1, 3, 4)], ("KILL", "1 s", "USR1"), strict=True):
        assert word in str(end)
    said = [line.split(" in ") for line in capfd.readouterr().out.splitlines()]
    assert [number for number, _ in said] == ["0", "7", "3", "0"]
    assert said[2][1] == said[3][1] != said[1][1]  # one process for what follows on each other


def test_libraries_say_nothing_there(capfd: pytest.CaptureFixture[str]) -> None:
    def work() -> int:
        warnings.warn("John Doe", stacklevel=1)
        logging.getLogger("a library").error("John Doe")
        return 0

    assert supervised(work, ROOMY) == 0
    assert "Doe" not in capfd.readouterr().err


def test_a_loop_that_is_left_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    children: list[int] = []
    fork = limits._forked

    def forked(*given: Any) -> int:
        children.append(fork(*given))
        return children[-1]

    monkeypatch.setattr(limits, "_forked", forked)
    ends = supervised_each([lambda: 0, lambda: time.sleep(600) or 0], ROOMY)
    assert next(ends) == 0
    ends.close()
    with pytest.raises(ProcessLookupError):
        os.kill(children[0], 0)


def test_one_hostile_input_among_several_harms_no_other(tmp_path: Path) -> None:
    name, content = next(hostile_files.pdfs())
    bomb = tmp_path / name
    bomb.write_bytes(content)
    first, last = (
        write_record(ECGRecord(np.zeros((5000, 12))), tmp_path / name, "csv")[0]
        for name in ("first", "last")
    )
    inputs = (first, bomb, tmp_path / "missing.png", last)
    done = ecg4u(tmp_path, "digitize", *inputs, "-o", "out/")
    assert done.returncode == 7, done.stderr
    assert f"{bomb.name}: " in done.stderr
    assert "missing.png: The file does not exist" in done.stderr
    assert "2 of 4 inputs failed" in done.stderr
    assert [name in done.stdout for name in ("first.hea", "last.hea")] == [True, True]


@pytest.mark.parametrize(
    "options",
    [
        ("classify", PAGE, "--timeout", "nan"),
        ("classify", PAGE, "--memory", "1" + "0" * 21),
        ("classify", PAGE, "--gain", "nan"),
        ("batch", PAGE, "-o", "x", "--timeout", "inf"),
        ("batch", PAGE, "-o", "x", "--memory", "1" + "0" * 21),
        ("serve", "--keep-minutes", "nan"),
        ("serve", "--host", "0.0.0.0"),
    ],
    ids=lambda options: " ".join(map(str, options[::2])),
)
def test_options_that_make_no_sense(options: tuple[object, ...], tmp_path: Path) -> None:
    done = ecg4u(tmp_path, *options, timeout_s=60)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr


def test_no_command_takes_longer_than_it_may(tmp_path: Path) -> None:
    done = ecg4u(tmp_path, "report", PAGE, "-o", "x", "--timeout", "0.5", timeout_s=60)
    assert done.returncode == 3
    on_either_clock = ("longer than 0.5 s of CPU time", "longer than 5 s of wall-clock time")
    assert any(words in done.stderr for words in on_either_clock)  # a busy machine: the second
