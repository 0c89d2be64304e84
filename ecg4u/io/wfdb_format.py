"""WFDB: a text header and int16 samples; read with the wfdb package, written here.

Written as fmt 16 at 1000 counts per mV, baseline 0, NaN as -32768 (the format's own mark of a
missing sample): exact to 0.5 uV, and any WFDB reader gets NaN back.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from ecg4u.errors import UnreadableInputError
from ecg4u.io import provenance as provenance_json
from ecg4u.io.atomic import write_atomically
from ecg4u.io.files import check_regular, read_bytes, read_head, unreadable
from ecg4u.io.leads import Channel, assemble, check_sample_count
from ecg4u.options import OLDEST_YEARS
from ecg4u.record import LEADS, ECGRecord, FloatArray

COUNTS_PER_MV = 1000.0
MISSING = -32768
_PROVENANCE_MARK = "ecg4u: "
_MAX_HEADER_BYTES = 200_000
_MAX_FILE_BYTES = 500_000_000
_MAX_CHANNELS = 256
_MAX_LINE_CHARS = 1000
_MAX_SAMPLES_PER_FRAME = 100
_SMALLEST_SAMPLE_BITS = 8
_PACKED_FORMATS = ("508", "516", "524")
"""FLAC: how much it unfolds to does not follow from the file's size."""
_PLAIN_NAME = re.compile(r"[^/\\:~*?\[\]\x00-\x1f]+")
_ENDED_NAME = re.compile(rb"\s*([-\w]+)\.\w+\s")
_ENDINGS = (".hea", ".dat", ".mat")


def is_wfdb(path: Path) -> bool:
    """A header, or a signal file or bare record name beside its header."""
    header = _header_of(path)
    return header is not None and _is_header_text(read_head(header, 4096))


def quantize(p_signal: FloatArray, missing: int = MISSING) -> tuple[npt.NDArray[np.int16], float]:
    """Millivolts as int16 counts, NaN as ``missing``, with the counts per mV that fit.

    1000 per mV unless the signal leaves +-32.7 mV (an electrode offset); then a lower power of ten,
    so that nothing is clipped.
    """
    peak = float(np.nanmax(np.abs(p_signal), initial=0.0))
    gain = COUNTS_PER_MV
    while peak * gain > 32767:
        gain /= 10.0
    counts = np.where(np.isfinite(p_signal), np.rint(p_signal * gain), missing)
    return counts.astype("<i2"), gain


def write(record: ECGRecord, path: Path) -> tuple[Path, ...]:
    """Write ``name.dat``, then ``name.hea``; the header is what makes the record exist."""
    header, data = paths(path)
    counts, gain = quantize(record.p_signal)
    write_atomically(data, counts.tobytes())
    write_atomically(header, _header_text(record, header.stem, data.name, counts, gain))
    return header, data


def paths(path: Path) -> tuple[Path, Path]:
    """Header and signal file for a record at ``path`` (with or without suffix)."""
    stem = path.name[: -len(path.suffix)] if path.suffix.lower() in _ENDINGS else path.name
    name = record_name(stem)
    return path.parent / f"{name}.hea", path.parent / f"{name}.dat"


def record_name(stem: str) -> str:
    """``stem`` as WFDB allows it: ASCII letters, digits, ``_`` and ``-``."""
    ascii_stem = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9_-]+", "_", ascii_stem).strip("_") or "record"


def read(path: Path) -> ECGRecord:
    """Any WFDB record whose signal files lie beside its header."""
    header = _header_of(path)
    if header is None:
        raise unreadable(
            "The record's WFDB header (.hea) is missing.", "Keep .hea and .dat together."
        )
    raw = read_bytes(header, max_bytes=_MAX_HEADER_BYTES)
    with _plainly_named(header, raw) as plain:
        signal_files = _checked_signal_files(header, raw, plain)
        digest = hashlib.sha256(raw)
        for name in signal_files:
            digest.update(read_bytes(header.parent / name, max_bytes=_MAX_FILE_BYTES))
            if plain != header:
                _put_beside(plain, header.parent / name)
        record = assemble(_channels(plain), digest.hexdigest(), source_format="wfdb")
    return _with_comments(record, raw.decode("utf-8", "replace"))


def _channels(header: Path) -> list[Channel]:
    import wfdb

    with np.errstate(all="ignore"):  # gains of 1e-308
        found = wfdb.rdrecord(_wfdb_name(header))
    return [
        Channel(str(name), str(unit or ""), found.p_signal[:, index], float(found.fs))
        for index, (name, unit) in enumerate(zip(found.sig_name, found.units, strict=True))
    ]


def _wfdb_name(header: Path) -> str:
    """The record's name as wfdb wants it; absolute, for it takes ``s3://`` and the like."""
    return os.path.abspath(header.with_suffix(""))


@contextmanager
def _plainly_named(header: Path, raw: bytes) -> Iterator[Path]:
    """The header, or a copy of it in a folder of its own that wfdb reads.

    Headers of the PhysioNet/CinC Challenges name the record with an ending (``E07546.mat 12 500
    5000``), which wfdb refuses. The copy holds no comments: a process that is killed leaves it
    behind, and they may name a person.
    """
    lines = raw.splitlines(keepends=True)
    marked = enumerate(lines)
    first = next((i for i, line in marked if line.strip() and not line.startswith(b"#")), None)
    named = None if first is None else _ENDED_NAME.match(lines[first])
    if first is None or named is None:
        yield header
        return
    lines[first] = named[1] + b" " + lines[first][named.end() :]
    with TemporaryDirectory() as folder:
        plain = Path(folder, "record.hea")
        plain.write_bytes(b"".join(line for line in lines if not line.startswith(b"#")))
        yield plain


def _put_beside(plain: Path, signals: Path) -> None:
    """Have ``signals`` stand beside the copy of their header: by a link, where there are such."""
    beside = plain.with_name(signals.name)
    try:
        beside.symlink_to(signals.absolute())
    except OSError:
        shutil.copyfile(signals, beside)


def diagnoses(path: Path) -> tuple[str, ...]:
    """The codes of the header's ``Dx`` comment, as the Challenges give them; () without one.

    Raises
    ------
    UnreadableInputError
        If the header cannot be read.
    """
    text = read_bytes(path, max_bytes=_MAX_HEADER_BYTES).decode("utf-8", "replace")
    found = re.search(r"^#\s*Dx\s*:\s*(.*)$", text, re.MULTILINE | re.IGNORECASE)
    return tuple(code for code in re.split(r"[,\s]+", found[1]) if code) if found else ()


def _with_comments(record: ECGRecord, header_text: str) -> ECGRecord:
    age, sex, provenance = record.age, record.sex, record.provenance
    for line in header_text.splitlines():
        comment = line.lstrip("# ").rstrip()
        if not line.startswith("#"):
            continue
        if comment.startswith(_PROVENANCE_MARK):
            provenance = provenance_json.from_json(comment[len(_PROVENANCE_MARK) :]) or provenance
        elif match := re.match(r"(?:<?age>?):\s*(\d+(?:\.\d+)?)\b", comment, re.IGNORECASE):
            age = float(match[1]) if float(match[1]) <= OLDEST_YEARS else None
        elif match := re.match(r"(?:<?sex>?):\s*([FM])", comment, re.IGNORECASE):
            sex = "F" if match[1].upper() == "F" else "M"
    return replace(record, age=age, sex=sex, provenance=provenance)


def _header_of(path: Path) -> Path | None:
    candidates = [path] if path.suffix.lower() == ".hea" else [path.parent / f"{path.name}.hea"]
    if path.suffix.lower() in _ENDINGS[1:]:
        candidates.insert(0, path.with_suffix(".hea"))
    try:
        return next((candidate for candidate in candidates if candidate.is_file()), None)
    except (OSError, ValueError):
        return None


def _is_header_text(head: bytes) -> bool:
    lines = (line for line in head.splitlines() if line.strip() and not line.startswith(b"#"))
    return re.match(rb"\S+\s+\d+(\s|$)", next(lines, b"")) is not None


def _checked_signal_files(header: Path, raw: bytes, plain: Path) -> list[str]:
    """Names of the signal files, after checking that the header asks for nothing unreasonable:
    a header can name any path or URL, and claim any number of samples.

    The header is read by wfdb's own parser, so that what is checked is what will be read.
    """
    import wfdb
    from wfdb.io.header import parse_header_content

    text = raw.decode("ascii", "ignore")  # as wfdb does
    lines, _ = parse_header_content(text)
    if not 1 < len(lines) <= 1 + _MAX_CHANNELS or max(map(len, lines)) > _MAX_LINE_CHARS:
        raise _damaged()
    found = wfdb.rdheader(_wfdb_name(plain))
    if not isinstance(found, wfdb.Record):
        raise unreadable("Multi-segment WFDB records are not supported.", "Join its segments.")
    names = found.file_name or []
    if not 0 < len(names) == found.n_sig <= _MAX_CHANNELS:
        raise unreadable("The WFDB header states the wrong number of signals.", "Export it again.")
    names = list(dict.fromkeys(names))
    for name in names:
        if not _PLAIN_NAME.fullmatch(name):
            raise unreadable(
                "The WFDB header points outside its folder.", "Keep its files together."
            )
        if name.casefold().endswith(".hea"):  # it could take the place of the one checked here
            raise _damaged()
        check_regular(header.parent / name, max_bytes=_MAX_FILE_BYTES)
    if sum(os.stat(header.parent / name).st_size for name in names) > _MAX_FILE_BYTES:
        raise unreadable("The record's signal files are too large in total.", "Cut out the ECG.")
    _check_claims(found, header.parent)
    return names


def _check_claims(found: Any, folder: Path) -> None:
    """Refuse sizes, skews and rates of samples that no record of its files' size has."""
    n_samples = found.sig_len
    if n_samples is None:
        if any(code in _PACKED_FORMATS for code in found.fmt):
            raise _damaged()
        n_bits = 8 * os.stat(folder / found.file_name[0]).st_size
        shared = sum(name == found.file_name[0] for name in found.file_name)
        n_samples = n_bits / _SMALLEST_SAMPLE_BITS / shared
    check_sample_count(n_samples, sum(found.samps_per_frame))
    per_frame, skews = found.samps_per_frame, [skew or 0 for skew in found.skew]
    if not all(1 <= count <= _MAX_SAMPLES_PER_FRAME for count in per_frame):
        raise _damaged()
    if not all(0 <= skew <= n_samples for skew in skews):
        raise _damaged()
    check_sample_count(n_samples + max(skews), sum(per_frame))


def _damaged() -> UnreadableInputError:
    return unreadable("The WFDB header is damaged.", "Copy or export the record again.")


def _header_text(
    record: ECGRecord, name: str, data_name: str, counts: npt.NDArray[np.int16], gain: float
) -> str:
    lines = [f"{name} {len(LEADS)} {record.fs:.12g} {record.n_samples}"]
    for lead, column in zip(LEADS, counts.T, strict=True):
        checksum = int(column.astype(np.int64).sum()) & 0xFFFF
        signed = checksum - 0x10000 if checksum >= 0x8000 else checksum
        lines.append(f"{data_name} 16 {gain:.12g}(0)/mV 16 0 {column[0]} {signed} 0 {lead}")
    if record.age is not None:
        lines.append(f"# Age: {record.age:g}")
    if record.sex is not None:
        lines.append(f"# Sex: {record.sex}")
    lines.append(f"# {_PROVENANCE_MARK}{provenance_json.to_json(record.provenance)}")
    return "\n".join(lines) + "\n"
