"""The command line as its users call it: a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def ecg4u(
    folder: Path, *arguments: object, timeout_s: float = 120
) -> subprocess.CompletedProcess[str]:
    """What a command called in ``folder`` ends with, no token given; a hang fails the test."""
    environment = {k: v for k, v in os.environ.items() if k != "ECG4U_TOKEN"}
    return subprocess.run(
        [sys.executable, "-m", "ecg4u.cli", *map(str, arguments)],
        cwd=folder,
        env={**environment, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
