"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from pathlib import Path

from ecg4u.errors import OutputError

TEMPORARY_PREFIX = ".ecg4u-"
"""A killed run can leave such a file; it is never a result and may be deleted."""


class StorageError(OutputError):
    """The disk or the folder refuses; nothing else could be written there either."""


def write_atomically(path: str | Path, data: bytes | str) -> Path:
    """Write ``data`` (text as UTF-8) to ``path``: temporary file beside it, fsync, rename.

    Creates missing parent directories. A reader sees the old file or the new one, never half of it.

    Raises
    ------
    OutputError
        If the disk is full, the directory read-only, the name too long, and the like.
    """
    path = Path(path)
    if isinstance(data, str):
        data = data.encode("utf-8")
    temporary = path.parent / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}.tmp"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(temporary, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
            _sync_directory(path.parent)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
    except OSError as error:
        raise output_error(error) from None
    return path


def output_error(error: OSError) -> StorageError:
    """The typed error for a failed write; names the reason, never the path."""
    hints = {
        errno.ENOSPC: "Free some disk space and run it again.",
        errno.EDQUOT: "Free some of your disk quota and run it again.",
        errno.EROFS: "Choose an output folder on a writable disk.",
        errno.EACCES: "Choose an output folder that you may write to.",
        errno.EPERM: "Choose an output folder that you may write to.",
        errno.ENAMETOOLONG: "Choose a shorter name for the output.",
        errno.ENOTDIR: "A part of the output path is a file; choose another folder.",
        errno.EISDIR: "The output path is a folder; choose a file name.",
        errno.EEXIST: "A part of the output path is a file; choose another folder.",
    }
    reason = os.strerror(error.errno) if error.errno else "input/output error"
    hint = hints.get(error.errno or 0, "Check the output folder and the disk.")
    return StorageError(f"The output cannot be written: {reason}.", stage="io", hint=hint)


def _sync_directory(directory: Path) -> None:
    """Make the rename itself durable, where the platform lets a directory be synced."""
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
