"""The same page, read on one core and on several as the commands do: not one byte differs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ecg4u.limits import ENVIRONMENT

PAGE = Path(__file__).parents[1] / "data" / "pages" / "phone.jpg"
READ = """
import pathlib, sys
import cv2, torch
from ecg4u import cores

n = int(sys.argv[1])
torch.set_num_threads(1)
cv2.setNumThreads(n)
cores._count = n
assert torch.get_num_threads() == 1 and cv2.getNumThreads() == n
from ecg4u.analysis import analyse
from ecg4u.report import render
from ecg4u.report.files import result_json

found = analyse(sys.argv[2])
made = {
    "page.json": found.digitization.basis.to_json(),
    "result.json": result_json(found),
    "report.html": render(found),
}
for name, text in made.items():
    data = text if isinstance(text, bytes) else text.encode()
    pathlib.Path(sys.argv[3], name).write_bytes(data)
"""
NAMES = ("page.json", "result.json", "report.html")


@pytest.mark.slow
def test_cores_change_no_byte(tmp_path: Path) -> None:
    for n_cores in (1, 2, 4):
        out = tmp_path / str(n_cores)
        out.mkdir()
        subprocess.run(
            [sys.executable, "-c", READ, str(n_cores), str(PAGE), str(out)],
            env={**os.environ, **ENVIRONMENT, "PYTHONPATH": os.pathsep.join(sys.path)},
            check=True,
        )
    for name in NAMES:
        one, two, four = ((tmp_path / n / name).read_bytes() for n in "124")
        assert one == two, name
        assert one == four, name
