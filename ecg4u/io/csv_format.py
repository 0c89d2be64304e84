"""CSV: one line per sample, a time column in seconds, one column per lead in mV."""

from __future__ import annotations

import csv
import hashlib
import io
import math
import re
from pathlib import Path

import numpy as np

from ecg4u.io.atomic import write_atomically
from ecg4u.io.files import read_bytes, read_head, unreadable
from ecg4u.io.leads import Channel, assemble, check_sample_count, lead_of, split_unit
from ecg4u.record import LEADS, ECGRecord

SUFFIXES = (".csv", ".tsv", ".txt")
_MAX_FILE_BYTES = 100_000_000
_TIME = re.compile(
    r"^(elapsed\s*)?(time|t|timestamp|zeit)?[\s_]*"
    r"[\(\[]?(?P<unit>ms|us|s|sec|seconds?)?[\)\]]?$"
)
_SECONDS_PER = {"ms": 1e-3, "us": 1e-6}
_SEPARATORS = ("\t", ";", ",", " ")
_MISSING = {"", "nan", "na", "n/a", "null", "none", "-"}


def write(record: ECGRecord, path: Path) -> tuple[Path, ...]:
    """Header ``time_s,I_mV,...``; 0.1 uV; an empty field where the page showed nothing."""
    lines = ["time_s," + ",".join(f"{lead}_mV" for lead in LEADS)]
    decimals = max(6, math.ceil(math.log10(record.fs)) + 5)
    for index, row in enumerate(record.p_signal.tolist()):
        fields = ("" if math.isnan(value) else _trimmed(value) for value in row)
        lines.append(f"{index / record.fs:.{decimals}f}," + ",".join(fields))
    return (write_atomically(paths(path)[0], "\n".join(lines) + "\n"),)


def paths(path: Path) -> tuple[Path]:
    """The file for a record at ``path``; ``.csv`` is added where no such suffix is given."""
    return (path if path.suffix.lower() in SUFFIXES else path.parent / f"{path.name}.csv",)


def is_csv(path: Path) -> bool:
    """Text by name, and at least one lead among its first lines' fields."""
    if path.suffix.lower() not in SUFFIXES:
        return False
    head = _decode(read_head(path, 8192))
    rows = [row for row in _rows(head)[:20] if row]
    return any(_is_header(row) for row in rows)


def read(path: Path, *, fs: float | None) -> ECGRecord:
    """Comma, semicolon, tab or blank between fields; decimal point or comma; comment lines (#).

    Without a time column the rate must be given as ``fs``.
    """
    data = read_bytes(path, max_bytes=_MAX_FILE_BYTES)
    rows = _rows(_decode(data))
    start = next((index for index, row in enumerate(rows) if _is_header(row)), None)
    if start is None:
        raise unreadable(
            "The text has no header line that names leads.", "Name the columns I, II ... V6."
        )
    labels = [split_unit(label) for label in rows[start]]
    body = [row for row in rows[start + 1 :] if any(field.strip() for field in row)]
    check_sample_count(len(body), len(labels))
    table = _numbers(body, len(labels))
    unit_row = body[0] if body and not np.isfinite(table[0]).any() else None
    if unit_row is not None and any(field.strip() for field in unit_row):
        labels = _with_unit_row(labels, unit_row)
        table = table[1:]
    rate = fs if fs is not None else _rate(labels, table)
    channels = [
        Channel(name, unit, table[:, index], rate)
        for index, (name, unit) in enumerate(labels)
        if lead_of(name)
    ]
    return assemble(channels, hashlib.sha256(data).hexdigest(), source_format="csv")


def _trimmed(value: float) -> str:
    text = f"{value:.4f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _decode(data: bytes) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    return data.decode("utf-8-sig", "replace")


def _rows(text: str) -> list[list[str]]:
    """Fields of each line, split by the first separator that makes a line name leads."""
    lines = [
        line for line in text.replace("\x00", "").splitlines() if line and line.lstrip()[:1] != "#"
    ]
    for separator in _SEPARATORS:
        if any(_is_header(row) for row in _split(lines[:20], separator)):
            return _split(lines, separator)
    return []


def _split(lines: list[str], separator: str) -> list[list[str]]:
    csv.field_size_limit(1_000_000)
    try:
        return list(
            csv.reader(io.StringIO("\n".join(lines)), delimiter=separator, skipinitialspace=True)
        )
    except csv.Error:
        return []


def _is_header(row: list[str]) -> bool:
    names = [split_unit(field)[0].strip() for field in row]
    return any(lead_of(name) and not name.lstrip("-").isdigit() for name in names)


def _numbers(body: list[list[str]], n_columns: int) -> np.ndarray:
    table = np.full((len(body), n_columns), np.nan)
    for index, row in enumerate(body):
        for column, field in enumerate(row[:n_columns]):
            table[index, column] = _number(field)
    return table


def _number(field: str) -> float:
    text = field.strip()
    if text.lower() in _MISSING:
        return math.nan
    try:
        return float(text)
    except ValueError:
        try:
            return float(text.replace(",", "."))
        except ValueError:
            return math.nan


def _with_unit_row(labels: list[tuple[str, str]], row: list[str]) -> list[tuple[str, str]]:
    """Units may stand on a line of their own under the names."""
    units = [field.strip(" '\"[]()") for field in row] + [""] * len(labels)
    return [(name, unit or below) for (name, unit), below in zip(labels, units, strict=False)]


def _rate(labels: list[tuple[str, str]], table: np.ndarray) -> float:
    """Sampling rate from the time column, which must run evenly."""
    for index, (label, unit) in enumerate(labels):
        match = _TIME.match(label.lower().strip("' \""))
        if not match or not label.strip():
            continue
        times = table[:, index] * _SECONDS_PER.get(match["unit"] or unit.lower(), 1.0)
        rate = _even_rate(times)
        if rate is not None:
            return rate
    raise unreadable(
        "The table has no even time column, so its sampling rate is unknown.", "Give it: fs=..."
    )


def _even_rate(times: np.ndarray) -> float | None:
    """Samples per unit of ``times``, a whole number if within 1e-4; None if the steps differ."""
    if len(times) < 2 or not np.isfinite(times).all():
        return None
    step = (times[-1] - times[0]) / (len(times) - 1)
    if not step > 0 or np.max(np.abs(np.diff(times) - step)) > 0.5 * step:
        return None
    rate = float(1.0 / step)
    return float(round(rate)) if abs(rate - round(rate)) < 1e-4 * rate else rate
