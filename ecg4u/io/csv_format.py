"""CSV: one line per sample, a time column in seconds, one column per lead in mV."""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from ecg4u.errors import UnreadableInputError
from ecg4u.io.atomic import write_atomically
from ecg4u.io.files import read_bytes, read_head, unreadable
from ecg4u.io.leads import Channel, assemble, check_sample_count, lead_of, split_unit
from ecg4u.record import LEADS, ECGRecord, FloatArray

SUFFIXES = (".csv", ".tsv", ".txt")
_MAX_FILE_BYTES = 100_000_000
_MAX_LINE_CHARS = 100_000
_MAX_COLUMNS = 1000
_HEADER_WITHIN_LINES = 20
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
    try:
        return _separator(read_head(path, 8192)) is not None
    except UnreadableInputError:
        return False


def read(path: Path, *, fs: float | None) -> ECGRecord:
    """Comma, semicolon, tab or blank between fields; decimal point or comma; comment lines (#).

    Without a time column the rate must be given as ``fs``.
    """
    data = read_bytes(path, max_bytes=_MAX_FILE_BYTES)
    n_rows = data.count(b"\n") + data.count(b"\r") - data.count(b"\r\n") + 1
    check_sample_count(n_rows, len(LEADS))
    separator = _separator(data)
    if separator is None:
        raise unreadable(
            "The text has no header line with lead names.", "Name the columns I, II ... V6."
        )
    rows = _rows(data, separator)
    header = next((row for row in rows if _is_header(row)), [])
    labels = [split_unit(label) for label in header[:_MAX_COLUMNS]]
    check_sample_count(n_rows, len(labels))
    if fs is None and not any(map(_is_time, labels)):
        raise _no_rate()
    unit_row, table = _table(rows, n_rows, len(labels))
    if unit_row is not None:
        labels = _with_unit_row(labels, unit_row)
    check_sample_count(len(table), len(labels))
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


def _lines(data: bytes) -> Iterator[str]:
    """Lines that are neither empty nor comments, decoded one at a time."""
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    text = io.TextIOWrapper(io.BytesIO(data), encoding, "replace")
    while line := text.readline(_MAX_LINE_CHARS):
        if len(line) == _MAX_LINE_CHARS:
            raise unreadable(
                "A line of the text is too long to be a row of a table.", "Export it again."
            )
        line = line.replace("\x00", "").rstrip("\n")
        if line and line.lstrip()[:1] != "#":
            yield line


def _separator(data: bytes) -> str | None:
    """The first separator that makes one of the first lines name leads."""
    head = list(itertools.islice(_lines(data), _HEADER_WITHIN_LINES))
    for separator in _SEPARATORS:
        if any(_is_header(row) for row in _split(head, separator)):
            return separator
    return None


def _rows(data: bytes, separator: str) -> Iterator[list[str]]:
    return _split(_lines(data), separator)


def _split(lines: Iterable[str], separator: str) -> Iterator[list[str]]:
    csv.field_size_limit(_MAX_LINE_CHARS)
    try:
        yield from csv.reader(lines, delimiter=separator, skipinitialspace=True)
    except csv.Error:
        return


def _is_header(row: list[str]) -> bool:
    names = [split_unit(field)[0].strip() for field in row[:_MAX_COLUMNS]]
    return any(lead_of(name) and not name.lstrip("-").isdigit() for name in names)


def _table(
    rows: Iterable[list[str]], n_rows: int, n_columns: int
) -> tuple[list[str] | None, FloatArray]:
    """The rows as numbers, at most ``n_rows``; and the first of them, if it holds words alone."""
    table = np.full((n_rows, n_columns), np.nan)
    words, count = None, 0
    for row in rows:
        if not any(field.strip() for field in row):
            continue
        numbers = [_number(field) for field in row[:n_columns]]
        if count == 0 and words is None and not any(map(math.isfinite, numbers)):
            words = row
            continue
        table[count, : len(numbers)] = numbers
        count += 1
    return words, table[:count]


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


def _is_time(label: tuple[str, str]) -> bool:
    return label[0].strip() != "" and _time_match(label[0]) is not None


def _time_match(name: str) -> re.Match[str] | None:
    return _TIME.match(name.lower().strip("' \""))


def _rate(labels: list[tuple[str, str]], table: np.ndarray) -> float:
    """Sampling rate from the time column, which must run evenly."""
    for index, (name, unit) in enumerate(labels):
        match = _time_match(name)
        if match is None or not _is_time((name, unit)):
            continue
        times = table[:, index] * _SECONDS_PER.get(match["unit"] or unit.lower(), 1.0)
        rate = _even_rate(times)
        if rate is not None:
            return rate
    raise _no_rate()


def _no_rate() -> UnreadableInputError:
    return unreadable(
        "The table has no even time column, so its sampling rate is unknown.",
        "Add a column time_s, in seconds, or use ecg4u.read_record(path, fs=...).",
    )


def _even_rate(times: np.ndarray) -> float | None:
    """Samples per unit of ``times``, a whole number if within 1e-4; None if the steps differ."""
    if len(times) < 2 or not np.isfinite(times).all():
        return None
    with np.errstate(all="ignore"):  # times of 1e308 s, and steps of 1e-320 s
        step = (times[-1] - times[0]) / (len(times) - 1)
        if not step > 0 or np.max(np.abs(np.diff(times) - step)) > 0.5 * step:
            return None
        rate = float(1.0 / step)
    if math.isinf(rate):
        return None
    return float(round(rate)) if abs(rate - round(rate)) < 1e-4 * rate else rate
