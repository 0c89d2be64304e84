"""Bytes of a file, bounded, and never from anything but a regular file."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ecg4u.arguments import wrong
from ecg4u.errors import UnreadableInputError

Source = str | Path | bytes

STAGE = "io"
_CHUNK_BYTES = 1 << 20
MAX_HASHED_BYTES = 4_000_000_000
"""Larger than any file that is read."""


def unreadable(message: str, hint: str) -> UnreadableInputError:
    """The one error of this room."""
    return UnreadableInputError(message, stage=STAGE, hint=hint)


def _directory() -> UnreadableInputError:
    return unreadable(
        "This is a directory, not a file.",
        "Give its files (a pattern in a terminal), or use `ecg4u batch` or ecg4u.analyse_many.",
    )


def check_source(source: object) -> None:
    """Raise WrongTypeError, with a remedy, for what is neither a path nor bytes."""
    if not isinstance(source, (str, bytes, os.PathLike)):
        raise wrong(
            "source",
            "a path or a file's bytes",
            source,
            "Pixels are given as a uint8 array, a PIL image or an ecg4u.Page, several files to "
            "ecg4u.analyse_many, a table of samples to ecg4u.ECGRecord.from_dataframe.",
        )


def read_bytes(source: Source, *, max_bytes: int) -> bytes:
    """All bytes of ``source``.

    Raises
    ------
    UnreadableInputError
        If it is missing, no regular file (a folder, pipe or device), empty or too large.
    WrongTypeError
        If it is neither a path nor bytes.
    """
    check_source(source)
    if isinstance(source, bytes):
        _check_size(len(source), max_bytes)
        return source
    with open_regular(source, max_bytes=max_bytes) as file:
        data = file.read(max_bytes + 1)
    _check_size(len(data), max_bytes)
    return data


@contextlib.contextmanager
def open_regular(path: str | os.PathLike[str], *, max_bytes: int) -> Iterator[BinaryIO]:
    """A regular, non-empty file of at most ``max_bytes``, open for reading.

    Opened without waiting, looked at only then: a pipe would wait for ever for its writer, and what
    a name stands for can change between a look and the opening.

    Raises
    ------
    UnreadableInputError
        If it is missing, no regular file, empty, too large or cannot be read.
    """
    try:
        try:
            descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        except ValueError:
            raise unreadable("The file's name is not valid.", "Rename the file.") from None
        with os.fdopen(descriptor, "rb") as file:
            _check_regular(os.fstat(descriptor))
            _check_size(os.fstat(descriptor).st_size, max_bytes)
            yield file
    except OSError as error:
        raise from_os_error(error) from None


def read_head(path: str | Path, n_bytes: int) -> bytes:
    """The first ``n_bytes`` of a regular file, or ``b""`` if there is none to read."""
    try:
        with open_regular(path, max_bytes=sys.maxsize) as file:
            return file.read(n_bytes)
    except UnreadableInputError:
        return b""


def sha256_of(source: Source) -> str:
    """SHA-256 of the file's bytes, in hex; reads in pieces, so a large file takes no memory."""
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    digest = hashlib.sha256()
    with open_regular(source, max_bytes=MAX_HASHED_BYTES) as file:
        while piece := file.read(_CHUNK_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def check_regular(path: str | Path, *, max_bytes: int) -> None:
    """Raise unless ``path`` is a regular, non-empty file of at most ``max_bytes``."""
    with open_regular(path, max_bytes=max_bytes):
        pass


def _check_regular(status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise _directory()
    if not stat.S_ISREG(status.st_mode):
        raise unreadable(
            "This is not a regular file.", "Give a file on disk, not a pipe or device."
        )


def _check_size(size: int, max_bytes: int) -> None:
    if size == 0:
        raise unreadable("The file is empty.", "Export or copy it again.")
    if size > max_bytes:
        raise unreadable(
            f"The file is larger than {max_bytes // 1_000_000} MB.",
            "Export it at a lower resolution, or split it.",
        )


def from_os_error(error: OSError) -> UnreadableInputError:
    """The typed error of a path that the system refuses; names the reason, never the path."""
    if error.errno == errno.ENOENT:
        return unreadable("The file does not exist.", "Check the path.")
    if error.errno == errno.EISDIR:
        return _directory()
    if error.errno in (errno.EACCES, errno.EPERM):
        return unreadable("You have no permission to read the file.", "Check its permissions.")
    if error.errno == errno.ELOOP:
        return unreadable("The file is a link that leads to itself.", "Give the file itself.")
    reason = os.strerror(error.errno) if error.errno else "input/output error"
    return unreadable(f"The file cannot be read: {reason}.", "Check the path and the disk.")
