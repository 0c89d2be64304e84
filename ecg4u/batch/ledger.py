"""The ledger of a batch: append-only JSON lines; a torn last line is all that a crash can leave.

The first line holds the run's options; each further line one input's end: done, refused or failed,
with the hashes of what was read and written. No text of a page and no exception's message.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from ecg4u import __version__
from ecg4u.errors import UsageError
from ecg4u.io.atomic import output_error

SCHEMA = "ecg4u-ledger-1"
_ORPHAN_WAIT_S = 30.0


def ledger_name(shard: tuple[int, int] | None) -> str:
    """``ledger.jsonl``, or one of its own for each shard."""
    return "ledger.jsonl" if shard is None else f"ledger-{shard[0]}-of-{shard[1]}.jsonl"


class Entries(Mapping[str, dict[str, Any]]):
    """The last entry of each input over all ledgers of ``out``, in order of key.

    Only the places of the lines are held (0.25 kB an input); an entry is read when it is asked for.
    """

    def __init__(self, out: Path) -> None:
        self._paths = ledger_paths(out)
        places: dict[str, tuple[int, int]] = {}
        for number, path in enumerate(self._paths):
            for offset, line in _lines(path):
                if line.get("type") == "entry" and isinstance(line.get("key"), str):
                    places[line["key"]] = number, offset
        self._places = dict(sorted(places.items()))

    def __getitem__(self, key: str) -> dict[str, Any]:
        number, offset = self._places[key]
        with open(self._paths[number], "rb") as file:
            file.seek(offset)
            return dict(json.loads(file.readline()))

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def read_entries(out: Path) -> Entries:
    """The last entry of each input, over all ledgers of ``out``."""
    return Entries(out)


def read_options(path: Path) -> dict[str, Any] | None:
    """The options with which the ledger was begun; None if there is no ledger."""
    _, first = next(_lines(path), (0, None)) if path.exists() else (0, None)
    return first.get("options") if first and first.get("type") == "run" else None


def ledger_paths(out: Path) -> list[Path]:
    """All ledgers of an output folder."""
    return sorted([*out.glob("ledger.jsonl"), *out.glob("ledger-*-of-*.jsonl")])


class Ledger:
    """Writes one ledger; while open, no other run can write it.

    Raises
    ------
    UsageError
        If another run holds it, or the options differ from those it was begun with.
    OutputError
        If it cannot be written.
    """

    def __init__(self, path: Path, options: dict[str, Any]) -> None:
        self.path = path
        self.lock_path = path.with_name(f".{path.stem}.lock")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            self._lock()
            self._mend()
            self._wait_for_orphans()
        except OSError as error:
            raise output_error(error) from None
        try:
            self._begin(options)
        except BaseException:
            self.close()
            raise

    def _begin(self, options: dict[str, Any]) -> None:
        begun_with = read_options(self.path)
        if begun_with is None:
            run = {"type": "run", "schema": SCHEMA, "ecg4u": __version__, "options": options}
            self._write(run)
        elif begun_with != options:
            changed = sorted(k for k in options if begun_with.get(k) != options[k])
            raise UsageError(
                f"This run was begun with other options ({', '.join(changed)}).",
                stage="batch",
                hint="Resume with the same options, or use another output folder.",
            )

    def append(self, entry: dict[str, Any]) -> None:
        """Add one input's end, on disk before this returns."""
        self._write({"type": "entry", **entry})

    def close(self) -> None:
        """Release the ledger."""
        with contextlib.suppress(OSError):
            os.close(self._descriptor)

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _write(self, line: dict[str, Any]) -> None:
        data = (json.dumps(line, sort_keys=True, ensure_ascii=False) + "\n").encode()
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
            os.fsync(self._descriptor)
        except OSError as error:
            raise output_error(error) from None

    def _lock(self) -> None:
        try:
            import fcntl
        except ImportError:  # no such locks on this platform
            return
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise UsageError(
                "Another run is writing to this output folder.",
                stage="batch",
                hint="Wait for it, or use another output folder.",
            ) from None
        except OSError:  # a file system without locks
            return

    def _mend(self) -> None:
        """End a torn last line, so that what follows stands on lines of its own."""
        if os.fstat(self._descriptor).st_size:
            os.lseek(self._descriptor, -1, os.SEEK_END)
            if os.read(self._descriptor, 1) != b"\n":
                os.write(self._descriptor, b"\n")

    def _wait_for_orphans(self) -> None:
        """Workers of a killed run hold a shared lock until they are gone."""
        descriptor = os.open(self.lock_path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            import fcntl

            end = time.monotonic() + _ORPHAN_WAIT_S
            while time.monotonic() < end:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return
                except BlockingIOError:
                    time.sleep(0.05)
        except (ImportError, OSError):
            return
        finally:
            os.close(descriptor)


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Whole lines and where they begin; torn and foreign ones are passed over."""
    offset = 0
    with open(path, "rb") as file:
        for raw in file:
            with contextlib.suppress(ValueError):
                line = json.loads(raw)
                if isinstance(line, dict):
                    yield offset, line
            offset += len(raw)
