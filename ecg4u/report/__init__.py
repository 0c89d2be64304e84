"""One self-contained HTML page of an analysis: figure, classes, reasons, limits."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ecg4u.report.document import content_security_policy, render
    from ecg4u.report.files import write

__all__ = ["content_security_policy", "render", "write"]

_HOMES = {
    "content_security_policy": "ecg4u.report.document",
    "render": "ecg4u.report.document",
    "write": "ecg4u.report.files",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
