"""The process that works on an input: its time, its memory, its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ecg4u import limits
from ecg4u.errors import UnreadableInputError
from ecg4u.limits import Limits, reading, supervised

PAGE = Path(__file__).parents[1] / "data" / "pages" / "phone.jpg"


def test_the_exit_code_comes_back() -> None:
    assert supervised(lambda: 7, Limits()) == 7


def test_too_much_time_is_said() -> None:
    begun = time.monotonic()
    with pytest.raises(UnreadableInputError, match=r"longer than 0\.2 s"):
        supervised(lambda: time.sleep(60) or 0, Limits(timeout_s=0.2))
    assert time.monotonic() - begun < 5


def test_the_end_of_the_process_is_said() -> None:
    with pytest.raises(UnreadableInputError, match="SIGKILL"):
        supervised(lambda: os.kill(os.getpid(), signal.SIGKILL) or 0, Limits())


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
    monkeypatch.setattr(limits, "READ_MEMORY_MB", 100)
    assert supervised(in_reading(lambda: bytes(50_000_000)), Limits()) == 0
    assert supervised(in_reading(lambda: bytes(200_000_000)), Limits()) == 3
    assert supervised(lambda: len(bytes(200_000_000)) and 0, Limits()) == 0


def test_time_is_limited_while_reading_even_where_no_python_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "READ_TIMEOUT_S", 0.2)
    hang = in_reading(lambda: pow(7, 10**9))  # one long call that holds the interpreter
    with pytest.raises(UnreadableInputError, match=r"longer than 0\.2 s"):
        supervised(hang, Limits(timeout_s=60))


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
    environment = {k: v for k, v in os.environ.items() if k != "ECG4U_TOKEN"}
    done = subprocess.run(
        [sys.executable, "-m", "ecg4u.cli", *map(str, options)],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr


def test_no_command_takes_longer_than_it_may(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ecg4u.cli", "report", str(PAGE), "-o", "x", "--timeout", "0.5"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 3
    assert "longer than 0.5 s" in done.stderr
