"""A record's provenance as one line of JSON, the same bytes for the same content."""

from __future__ import annotations

import json
from typing import Any

from ecg4u.record import Provenance

_KINDS = ("digitized", "digital", "array")
_MAX_JSON_CHARS = 1_000_000


def to_json(provenance: Provenance) -> str:
    """One line of ASCII JSON with sorted keys."""
    return json.dumps(
        {
            "kind": provenance.kind,
            "source_sha256": provenance.source_sha256,
            "inferred": list(provenance.inferred),
            "details": dict(provenance.details),
        },
        sort_keys=True,
        default=_plain,
    )


def from_json(text: str) -> Provenance | None:
    """The provenance that `to_json` wrote, or None if ``text`` is something else."""
    if len(text) > _MAX_JSON_CHARS:
        return None
    try:
        values = json.loads(text)
        if values["kind"] not in _KINDS:
            return None
        return Provenance(
            kind=values["kind"],
            source_sha256=str(values["source_sha256"]),
            inferred=tuple(str(item) for item in values["inferred"]),
            details=dict(values["details"]),
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _plain(value: Any) -> Any:
    """numpy scalars and arrays, tuples and mappings as what JSON knows."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "items"):
        return dict(value.items())
    return str(value)
