"""How far a batch is, on stderr."""

from __future__ import annotations

import sys
import time
from typing import TextIO

from ecg4u.words import printable

_EVERY_S = {True: 0.5, False: 30.0}


class Progress:
    """Counts and a line of rate, time left and failures; rewritten in a terminal, else rare."""

    def __init__(
        self,
        total: int,
        *,
        quiet: bool = False,
        verbose: bool = False,
        stream: TextIO | None = None,
    ) -> None:
        self.total = total
        self.counts = {"done": 0, "refused": 0, "failed": 0}
        self._stream = stream if stream is not None else sys.stderr
        self._quiet = quiet
        self._verbose = verbose and not quiet
        self._is_terminal = self._stream.isatty()
        self._start = time.monotonic()
        self._shown = self._start

    def add(self, status: str, what: str = "") -> None:
        """Count one input and show the line if it is time; if verbose, ``what`` has ended, too."""
        self.counts[status] += 1
        if self._verbose:
            start = "\r\x1b[K" if self._is_terminal else ""
            print(f"{start}{status:>14} {printable(what)}", file=self._stream, flush=True)
        now = time.monotonic()
        if now - self._shown >= _EVERY_S[self._is_terminal]:
            self._shown = now
            self._show()

    def end(self) -> None:
        """Show the last line."""
        self._show()
        if self._is_terminal and not self._quiet:
            print(file=self._stream)

    def line(self) -> str:
        """E.g. ``412 of 1000 (41 %), 27.3/min, 0:21:33 left, 3 refused, 1 failed``."""
        if not self.total:
            return "Nothing left to do."
        n = sum(self.counts.values())
        per_s = n / max(time.monotonic() - self._start, 1e-9)
        parts = [f"{n} of {self.total} ({100 * n // self.total} %)", f"{60 * per_s:.1f}/min"]
        if n and n < self.total:
            left = int((self.total - n) / per_s)
            parts.append(f"{left // 3600}:{left % 3600 // 60:02d}:{left % 60:02d} left")
        parts += [f"{self.counts[s]} {s}" for s in ("refused", "failed") if self.counts[s]]
        return ", ".join(parts)

    def _show(self) -> None:
        if self._quiet:
            return
        if self._is_terminal:
            print(f"\r{self.line()}\x1b[K", end="", file=self._stream, flush=True)
        else:
            print(self.line(), file=self._stream, flush=True)
