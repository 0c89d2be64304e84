"""The ledger of a batch: append-only JSON lines; a torn last line is all that a crash can leave.

The first line holds the run's options; each further line one input's end: done, refused or failed,
with the hashes of what was read and written. No text of a page and no exception's message.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from ecg4u._version import __version__
from ecg4u.batch.options import as_flags
from ecg4u.errors import UsageError
from ecg4u.io.atomic import output_error

SCHEMA = "ecg4u-ledger-1"
STATUSES = ("failed", "refused", "done")
"""The worst first."""
_FOLDER = re.compile(r"records/[0-9a-f]{2}/[A-Za-z0-9_-]{1,100}")
_MAX_NAME_CHARS = 100
_MAX_PAGES = 9_999
_ORPHAN_WAIT_S = 30.0
_RUN_LOCK = ".ledgers.lock"


def ledger_name(shard: tuple[int, int] | None) -> str:
    """``ledger.jsonl``, or one of its own for each shard."""
    return "ledger.jsonl" if shard is None else f"ledger-{shard[0]}-of-{shard[1]}.jsonl"


def is_entry(line: Mapping[str, Any]) -> bool:
    """Whether a line has the shape of an input's end, with results below the output folder."""
    pages = line.get("pages")
    return (
        line.get("type") == "entry"
        and all(isinstance(line.get(name), str) for name in ("key", "folder"))
        and _is_text(line)
        and _FOLDER.fullmatch(line["folder"]) is not None
        and all(isinstance(line.get(name), int) for name in ("size", "mtime_ns"))
        and line.get("status") in STATUSES
        and isinstance(line.get("source_sha256", ""), str)
        and isinstance(pages, list)
        and 0 < len(pages) <= _MAX_PAGES
        and all(_is_page(page) for page in pages)
        and any(page["status"] == line["status"] for page in pages)
    )


def _is_text(line: Mapping[str, Any]) -> bool:
    """Whether all of it can be written: JSON can spell half of a character (``"\\ud800"``)."""
    try:
        json.dumps(line, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_page(page: Any) -> bool:
    if not isinstance(page, dict):
        return False
    files, summary = page.get("files", {}), page.get("summary", {})
    return (
        isinstance(page.get("page"), int)
        and 1 <= page["page"] <= _MAX_PAGES
        and page.get("status") in STATUSES
        and isinstance(summary, dict)
        and isinstance(files, dict)
        and all("/" not in name and len(name) <= _MAX_NAME_CHARS for name in files)
        and not any(isinstance(value, dict | list) for value in summary.values())
    )


class Entries(Mapping[str, dict[str, Any]]):
    """The last entry of each input over all ledgers of ``out``, in order of key.

    Only the places of the lines are held (0.25 kB an input); an entry is read when it is asked for.
    """

    def __init__(self, out: Path) -> None:
        self._paths = ledger_paths(out)
        places: dict[str, tuple[int, int]] = {}
        for number, path in enumerate(self._paths):
            for offset, line in _lines(path):
                if is_entry(line):
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


def read_options(path: Path) -> dict[str, Any] | None:
    """The options with which the ledger was begun; None if there is no ledger."""
    _, first = next(_lines(path), (0, None)) if path.is_file() else (0, None)
    if not first or first.get("type") != "run":
        return None
    options = first.get("options")
    return options if isinstance(options, dict) else {}


def ledger_paths(out: Path) -> list[Path]:
    """All ledgers of an output folder; a pipe or a device of that name would never end."""
    found = [*out.glob("ledger.jsonl"), *out.glob("ledger-*-of-*.jsonl")]
    return sorted(path for path in found if path.is_file())


class Ledger:
    """Writes one ledger; while open, no other run can write it.

    Raises
    ------
    UsageError
        If another run holds it, the options differ from those it was begun with, or something
        that is no file has its name.
    OutputError
        If it cannot be written.
    """

    def __init__(
        self, path: Path, options: dict[str, Any], shard: tuple[int, int] | None = None
    ) -> None:
        self.path = path
        self._descriptor = self._run_lock = -1
        self.lock_path = path.with_name(f".{path.stem}.lock")
        if path.exists() and not path.is_file():
            raise UsageError(
                "The ledger in the output folder is not a regular file.",
                stage="batch",
                hint="Use another output folder.",
            )
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._run_lock = _locked_folder(path.parent, 0 if shard is None else shard[1])
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
            raise UsageError(
                "This run was started with different options.",
                stage="batch",
                hint="Resume with the same options"
                + (f" ({begun})" if (begun := as_flags(begun_with)) else "")
                + ", or use another output folder.",
            )

    def append(self, entry: dict[str, Any]) -> None:
        """Add one input's end, on disk before this returns."""
        self._write({"type": "entry", **entry})

    def close(self) -> None:
        """Release the ledger."""
        for descriptor in (self._descriptor, self._run_lock):
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self._descriptor = self._run_lock = -1

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
            raise _in_use() from None
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


def _locked_folder(out: Path, n_shards: int) -> int:
    """A descriptor that holds the output: alone, or with other shards of the same number of them.

    Raises
    ------
    UsageError
        If another run holds it. Inputs of one shard in three and of one in two are partly the same,
        and each run clears the folders of its inputs.
    """
    descriptor = os.open(out / _RUN_LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        import fcntl

        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(n_shards).encode(), 0)
            if n_shards == 0:
                return descriptor
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise _in_use() from None
    except (ImportError, OSError):  # no such locks on this platform or file system
        return descriptor
    if n_shards == 0 or os.pread(descriptor, 20, 0) != str(n_shards).encode():
        os.close(descriptor)
        raise _in_use()
    return descriptor


def _in_use() -> UsageError:
    return UsageError(
        "Another run is writing to this output folder.",
        stage="batch",
        hint="Wait for it, or use another output folder.",
    )


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Whole lines and where they begin; torn and foreign ones are passed over."""
    offset = 0
    with open(path, "rb") as file:
        for raw in file:
            with contextlib.suppress(ValueError, RecursionError):
                line = json.loads(raw)
                if isinstance(line, dict):
                    yield offset, line
            offset += len(raw)
