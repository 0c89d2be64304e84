"""Tasks for the batch tests; importable, so that worker processes find them."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecg4u.batch.inputs import Item
from ecg4u.errors import ECG4UError, UnreadableInputError
from ecg4u.io import sha256_of, write_atomically
from ecg4u.limits import begin_anew


def misbehave(word: str) -> str:
    """Does what ``word`` says; anything else comes back in capitals."""
    if word.startswith("kill"):
        os.kill(os.getpid(), signal.SIGKILL)
    if word.startswith("exit"):
        os._exit(3)
    if word.startswith("hang"):
        while True:
            pass
    if word.startswith("sleep"):
        time.sleep(600)
    if word.startswith("raise"):
        raise ValueError("Jane Doe")
    if word.startswith("eat"):
        return str(len(bytearray(3_000_000_000)))
    if word.startswith("slow"):
        time.sleep(0.3)
    return word.upper()


def compute(pages: int) -> None:
    """0.7 s a page; a file of several tells them apart as `ecg4u.batch.task.PageTask` does.

    Minus two pages are two that are not told apart.
    """
    for _ in range(abs(pages)):
        if pages > 0:
            begin_anew()
        end = time.process_time() + 0.7
        while time.process_time() < end:
            pass


@dataclass(frozen=True)
class CopyTask:
    """Obeys the input file's content, and writes it in capitals as its result."""

    out: str
    pause_s: float = 0.0

    def __call__(self, item: Item) -> dict[str, Any]:
        time.sleep(self.pause_s)
        report: dict[str, Any] = {"source_sha256": "", "pages": []}
        try:
            report["source_sha256"] = sha256_of(item.path)
            text = Path(item.path).read_text()
            if text.startswith("refuse"):
                raise UnreadableInputError("It is refused.", stage="test", hint="Try another.")
            misbehave(text)
            folder = Path(self.out) / item.folder
            files = [
                write_atomically(folder / "one.txt", text.upper() * 1000),
                write_atomically(folder / "two.txt", text.upper()),
            ]
            page = {"status": "done", "code": "ok", "files": {f.name: sha256_of(f) for f in files}}
        except ECG4UError as error:
            page = {"status": "refused", "code": error.code, "message": error.message}
        report["pages"] = [{"page": 1, **page}]
        report["stops_run"] = False
        return report
