"""One table of all results: a row per page, the same bytes for the same results."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from ecg4u.batch.ledger import read_entries
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
    "verdict",
    *(f"p_{name}" for name in CLASSES),
    *(f"positive_{name}" for name in CLASSES),
)
_NUMBERS = frozenset(
    ["fs", "duration_s", "coverage", "gain_mm_per_mv", "speed_mm_per_s"]
    + [f"p_{name}" for name in CLASSES]
)


def rows(entries: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """One row per page, in order of input and page."""
    table = []
    for key in sorted(entries):
        entry = entries[key]
        for page in entry["pages"]:
            folder = entry["folder"]
            if len(entry["pages"]) > 1:
                folder = f"{folder}/page-{page['page']:04d}"
            row = {"input": key, "source_sha256": entry.get("source_sha256", "")}
            row |= {k: v for k, v in page.items() if k in COLUMNS}
            row |= page.get("summary", {})
            row["folder"] = folder if page["status"] == "done" else ""
            table.append({column: row.get(column) for column in COLUMNS})
    return table


def write_manifest(out: Path) -> list[Path]:
    """Write ``manifest.csv``, ``manifest.parquet`` (with pyarrow), and WFDB's ``RECORDS``."""
    entries = read_entries(out)
    table = rows(entries)
    written = [write_atomically(out / "manifest.csv", _as_csv(table))]
    parquet = _as_parquet(table)
    if parquet is not None:
        written.append(write_atomically(out / "manifest.parquet", parquet))
    headers = [
        f"{row['folder']}/signals"
        for row in table
        if row["folder"] and (out / row["folder"] / "signals.hea").exists()
    ]
    if headers:
        written.append(write_atomically(out / "RECORDS", "\n".join(headers) + "\n"))
    return written


def _as_csv(table: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    return text.getvalue()


def _as_parquet(table: list[dict[str, Any]]) -> bytes | None:
    try:
        import pyarrow as pa
        import pyarrow.parquet
    except ImportError:
        return None
    schema = pa.schema([(column, _type(pa, column)) for column in COLUMNS])
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pa.Table.from_pylist(table, schema=schema), buffer)
    return buffer.getvalue()


def _type(pa: Any, column: str) -> Any:
    if column in _NUMBERS:
        return pa.float64()
    if column in ("page", "warnings"):
        return pa.int64()
    return pa.bool_() if column.startswith("positive_") else pa.string()
