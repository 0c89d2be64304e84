"""One table of all results: a row per page, the same bytes for the same results."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ecg4u.batch.ledger import Entries
from ecg4u.io import write_atomically
from ecg4u.record import CLASSES

COLUMNS = (
    "input",
    "page",
    "status",
    "code",
    "stage",
    "message",
    "hint",
    "source_sha256",
    "folder",
    "fs",
    "duration_s",
    "coverage",
    "layout",
    "gain_mm_per_mv",
    "speed_mm_per_s",
    "grade",
    "warnings",
    "warning_texts",
    "signal",
    "headline",
    "urgent",
    *(f"p_{name}" for name in CLASSES),
    *(f"positive_{name}" for name in CLASSES),
)
_FORMULA = re.compile(r"(^|;)(?=[\t\r\n]|\s*[=+\-@＝＋－＠])")
"""Where a spreadsheet could begin to run a text: some also cut cells at semicolons."""
_ROWS_AT_ONCE = 20_000
_NUMBERS = frozenset(
    ["fs", "duration_s", "coverage", "gain_mm_per_mv", "speed_mm_per_s"]
    + [f"p_{name}" for name in CLASSES]
)


def rows(entries: Mapping[str, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """One row per page, in order of input and page; what has not its column's type is None."""
    for key in sorted(entries):
        entry = entries[key]
        for page in entry["pages"]:
            folder = entry["folder"]
            if len(entry["pages"]) > 1:
                folder = f"{folder}/page-{page['page']:04d}"
            row = {**page.get("summary", {}), **page}
            row |= {"input": key, "source_sha256": entry.get("source_sha256", "")}
            row["folder"] = folder if page["status"] == "done" else ""
            yield {column: typed(column, row.get(column)) for column in COLUMNS}


def write_manifest(out: Path) -> list[Path]:
    """Write ``manifest.csv``, ``manifest.parquet`` (with pyarrow), and WFDB's ``RECORDS``.

    The rows pass by one at a time: a table of 100,000 pages takes no more memory than its files.
    """
    lines, headers = _Lines(), []
    writer = csv.DictWriter(lines, COLUMNS)
    writer.writeheader()
    parquet = _Parquet()
    for row in rows(Entries(out)):
        writer.writerow({column: _cell(value) for column, value in row.items()})
        parquet.add(row)
        if row["folder"] and (out / row["folder"] / "signals.hea").exists():
            headers.append(f"{row['folder']}/signals")
    written = [write_atomically(out / "manifest.csv", "".join(lines))]
    data = parquet.end()
    if data is not None:
        written.append(write_atomically(out / "manifest.parquet", data))
    if headers:
        written.append(write_atomically(out / "RECORDS", "\n".join(headers) + "\n"))
    return written


class _Lines(list[str]):
    """Where `csv` writes to, a line at a time. It is left to end them with a carriage return, for
    only then does it put those within a cell in quotes."""

    def write(self, line: str) -> None:
        """Take a line."""
        self.append(line.removesuffix("\r\n") + "\n")


def _cell(value: Any) -> Any:
    """Text as a spreadsheet shows it: an apostrophe where it would run it as a formula."""
    return _FORMULA.sub(r"\1'", value) if isinstance(value, str) else value


def typed(column: str, value: Any) -> Any:
    """The value if it has its column's type, else None: whoever wrote the ledger may have written
    anything, and Parquet refuses the whole table."""
    fits = {
        "float64": isinstance(value, int | float) and abs(value) < 1e300,
        "int64": isinstance(value, int) and abs(value) < 2**63,
        "bool": isinstance(value, bool),
        "string": isinstance(value, str),
    }
    return value if fits[_type(column)] else None


def _type(column: str) -> str:
    """A column's type as pyarrow calls it."""
    if column in _NUMBERS:
        return "float64"
    if column in ("page", "warnings"):
        return "int64"
    return "bool" if column == "urgent" or column.startswith("positive_") else "string"


class _Parquet:
    """Rows gathered into a Parquet file in memory; nothing without pyarrow."""

    def __init__(self) -> None:
        self._buffer = io.BytesIO()
        self._rows: list[dict[str, Any]] = []
        self._writer: Any = None
        try:
            import pyarrow as pa
            import pyarrow.parquet
        except ImportError:
            return
        self._arrow = pa
        self._schema = pa.schema([(column, pa.type_for_alias(_type(column))) for column in COLUMNS])
        self._writer = pyarrow.parquet.ParquetWriter(self._buffer, self._schema)

    def add(self, row: dict[str, Any]) -> None:
        if self._writer is not None:
            self._rows.append(row)
            if len(self._rows) == _ROWS_AT_ONCE:
                self._flush()

    def end(self) -> bytes | None:
        """The file's bytes."""
        if self._writer is None:
            return None
        self._flush()
        self._writer.close()
        return self._buffer.getvalue()

    def _flush(self) -> None:
        self._writer.write_table(self._arrow.Table.from_pylist(self._rows, schema=self._schema))
        self._rows = []
