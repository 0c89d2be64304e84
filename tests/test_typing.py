"""A user's script is fully typed: mypy --strict accepts it, and a wrong use is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "tests" / "typing" / "user_script.py"
WRONG = """
import ecg4u
ecg4u.digitize(3)
ecg4u.classify("page.png")["AF"].probability + "x"
ecg4u.ECGRecord(1, 2, 3, 4, 5, 6)
"""


def _mypy(path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", os.devnull, str(path)]
    environment = {**os.environ, "MYPYPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)


@pytest.mark.slow
def test_mypy_accepts_a_users_script_and_refuses_a_wrong_one(tmp_path: Path) -> None:
    said = _mypy(SCRIPT)
    own = [line for line in said.stdout.splitlines() if line.startswith("tests/typing")]
    assert own == [], said.stdout
    wrong = tmp_path / "wrong.py"
    wrong.write_text(WRONG)
    lines = {line.split(":")[1] for line in _mypy(wrong).stdout.splitlines() if "wrong.py:" in line}
    assert lines == {"3", "4", "5"}
