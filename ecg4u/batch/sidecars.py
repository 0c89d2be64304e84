"""Corrected sidecars of a rerun: which page each belongs to, told by the page's hash."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecg4u.errors import ECG4UError, UsageError
from ecg4u.io.files import read_bytes

SUFFIX = ".page.json"
SIDECAR_NAME = f"signals{SUFFIX}"
MAX_BYTES = 20_000_000


@dataclass(frozen=True)
class Given:
    """A sidecar that somebody gave for page ``number`` of an input."""

    number: int
    path: str
    sha256: str


Sidecars = Mapping[str, tuple[Given, ...]]
"""By the SHA-256 of the page's file."""


def find_sidecars(folder: Path, out: Path) -> Sidecars:
    """All ``*.page.json`` below ``folder``.

    Raises
    ------
    UsageError
        If the folder holds none, lies in the output (which a rerun overwrites), holds two
        different ones for the same page, or one that is none.
    """
    if Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(out)):
        raise _wrong("The folder of sidecars lies in the output.", "Copy corrected ones elsewhere.")
    found: dict[str, dict[int, Given]] = {}
    for path in sorted(folder.rglob(f"*{SUFFIX}")):
        digest, given = _read(path)
        known = found.setdefault(digest, {}).setdefault(given.number, given)
        if known.sha256 != given.sha256:
            raise _wrong(
                "Two different sidecars belong to the same page.",
                f"Keep one of {known.path}, {path}.",
            )
    if not found:
        raise _wrong("The folder holds no sidecars.", f"Their names end in {SUFFIX}.")
    return {digest: tuple(pages.values()) for digest, pages in found.items()}


def _read(path: Path) -> tuple[str, Given]:
    try:
        data = read_bytes(path, max_bytes=MAX_BYTES)
        page: Any = json.loads(data)["page"]
        digest, number = page["sha256"], page["number"]
        if not isinstance(digest, str) or not isinstance(number, int):
            raise TypeError
    except (ECG4UError, ValueError, KeyError, TypeError, RecursionError):
        raise _wrong("A sidecar cannot be read.", f"Repair or remove {path}.") from None
    return digest, Given(number, str(path), hashlib.sha256(data).hexdigest())


def _wrong(message: str, hint: str) -> UsageError:
    return UsageError(message, stage="batch", hint=hint)
