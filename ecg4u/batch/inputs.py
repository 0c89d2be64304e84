"""Which files a batch is about, each with a key and an output folder that stay the same."""

from __future__ import annotations

import glob
import hashlib
import io
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ecg4u.batch.sidecars import Given
from ecg4u.errors import ECG4UError, UsageError
from ecg4u.io import is_record_file, sha256_of
from ecg4u.io.files import open_regular
from ecg4u.io.own import is_own_output
from ecg4u.io.pages import is_page_name
from ecg4u.io.records import RECORD_SUFFIXES
from ecg4u.io.wfdb_format import record_name

RESULTS = "records"
"""The folder inside the output that holds one folder per input."""
_LIST_SUFFIXES = frozenset([".txt", ".lst", ".list"])
_MAX_SLUG_CHARS = 48
_MAX_LIST_BYTES = 1_000_000_000
"""A list of ten million paths."""


@dataclass(frozen=True)
class Item:
    """One input file.

    ``key`` names it in the ledger: the path under its root, or its content's hash where names are
    to be kept out. ``folder`` is where its results go, relative to the output. ``sidecars`` are
    those that were given for its pages.
    """

    key: str
    path: str
    folder: str
    size: int
    mtime_ns: int
    sidecars: tuple[Given, ...] = ()


@dataclass(frozen=True)
class Found:
    """The inputs, and how many files were passed over because ecg4u wrote them."""

    items: list[Item]
    n_own: int


def find_inputs(sources: Sequence[str], out: Path, *, deidentify: bool = False) -> list[Item]:
    """The items of `look_through`."""
    return look_through(sources, out, deidentify=deidentify).items


def look_through(sources: Sequence[str], out: Path, *, deidentify: bool = False) -> Found:
    """The files behind folders, lists (``.txt``; ``-`` is stdin), patterns and file names.

    Folders are searched to any depth for pages and records; links are followed, each real folder
    once; hidden entries and the output itself are passed over, and so is what ecg4u left there
    (signals with a sidecar, overlays, reports, collected records, manifests), which is counted. A
    file that several sources name is taken once. A listed file that does not exist stays in, so
    that it is named as a failure, and so does a folder that may not be read.

    Raises
    ------
    UsageError
        If a source finds nothing, or the output is the input folder itself.
    """
    found: dict[str, str] = {}
    keys: set[str] = set()
    own: set[str] = set()
    for source in sources:
        n_before, n_seen, n_own = len(found), 0, len(own)
        for path, name in _expand(source, out, own):
            n_seen += 1
            real = path if "\0" in path else os.path.realpath(path)
            if real not in found:
                found[real] = _unique(name, keys)
        if len(found) == n_before and n_seen == 0:
            mine = len(own) - n_own
            but = f", only {mine} that ecg4u itself wrote" if mine else ""
            raise UsageError(
                f"No page or record was found in one of the inputs{but}.",
                stage="batch",
                hint="Give a folder, a list of files (.txt), a pattern or files.",
            )
    items = [_item(key, path) for path, key in found.items()]
    items.sort(key=lambda item: item.key)
    return Found(_without_names(items) if deidentify else items, len(own))


def in_shard(item: Item, index: int, count: int) -> bool:
    """Whether ``item`` belongs to shard ``index`` of ``count`` (from 1), whatever else there is."""
    return int(_digest(item.key)[:12], 16) % count == index - 1


def _expand(source: str, out: Path, own: set[str]) -> Iterator[tuple[str, str]]:
    """Pairs of path and name under the source's root; ``own`` receives what ecg4u wrote."""
    if source == "-":
        yield from _listed(sys.stdin)
    elif os.path.isdir(source):
        if os.path.realpath(source) == os.path.realpath(out):
            raise UsageError(
                "The output folder is the input folder.",
                stage="batch",
                hint="Choose another folder.",
            )
        root = os.path.basename(os.path.realpath(source))
        for path in _walk(source, out, own):
            yield path, f"{root}/{os.path.relpath(path, source)}".replace(os.sep, "/")
    elif os.path.exists(source):
        if Path(source).suffix.lower() in _LIST_SUFFIXES and not is_record_file(source):
            with open_regular(source, max_bytes=_MAX_LIST_BYTES) as file:
                yield from _listed(io.TextIOWrapper(file, "utf-8", "surrogateescape"))
        else:
            yield source, os.path.basename(source)
    elif glob.has_magic(source):
        for path in sorted(glob.glob(source, recursive=True)):
            if os.path.isdir(path):
                continue
            if _is_wanted(path, own):
                yield path, _name_of(path)
    else:
        yield source, os.path.basename(source)


def _listed(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        path = line.strip("\r\n").strip()
        if path and not path.startswith("#"):
            yield path, _name_of(path)


def _name_of(path: str) -> str:
    return os.path.normpath(path).replace(os.sep, "/").lstrip("/")


def _walk(root: str, out: Path, own: set[str]) -> Iterator[str]:
    """Wanted files under ``root`` in order of name; a folder reached twice is walked once.

    A folder that cannot be listed is given as if it were a file, so that it is named as a failure.
    """
    real_out = os.path.realpath(out)
    seen: set[tuple[int, int]] = set()
    stack = [root]
    while stack:
        folder = stack.pop()
        try:
            status = os.stat(folder)
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            yield folder
            continue
        real = os.path.realpath(folder)
        is_output = real == real_out or real.startswith(os.path.join(real_out, RESULTS))
        if (status.st_dev, status.st_ino) in seen or is_output:
            continue
        seen.add((status.st_dev, status.st_ino))
        folders = []
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if _is_folder(entry):
                folders.append(entry.path)
            elif _is_wanted(entry.path, own):
                yield entry.path
        stack.extend(reversed(folders))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _is_wanted(path: str, own: set[str]) -> bool:
    suffix = Path(path).suffix.lower()
    if not (is_page_name(path) or suffix in RECORD_SUFFIXES):
        return False
    if is_own_output(path):
        own.add(os.path.realpath(path))
        return False
    return suffix not in (".csv", ".tsv") or is_record_file(path)


def _unique(name: str, keys: set[str]) -> str:
    key, number = name, 1
    while key in keys:
        number += 1
        key = f"{name}~{number}"
    keys.add(key)
    return key


def _item(key: str, path: str) -> Item:
    try:
        status = os.stat(path)
        size, mtime_ns = status.st_size, status.st_mtime_ns
    except (OSError, ValueError):
        size, mtime_ns = -1, 0
    shown = key.encode("utf-8", "backslashreplace").decode()
    slug = record_name(Path(shown).stem)[:_MAX_SLUG_CHARS]
    digest = _digest(key)
    return Item(shown, path, f"{RESULTS}/{digest[:2]}/{slug}-{digest[:12]}", size, mtime_ns)


def _without_names(items: Iterable[Item]) -> list[Item]:
    """Items known by their content's hash alone; of equal files one stays."""
    named: dict[str, Item] = {}
    for number, item in enumerate(items, start=1):
        try:
            digest = sha256_of(item.path)
            key = f"sha256:{digest}"
        except (ECG4UError, ValueError):
            key = f"unreadable input {number}"
            digest = _digest(key)
        folder = f"{RESULTS}/{digest[:2]}/{digest[:24]}"
        named.setdefault(key, replace(item, key=key, folder=folder, mtime_ns=0))
    return sorted(named.values(), key=lambda item: item.key)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
