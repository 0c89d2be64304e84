"""A record's provenance as one line of JSON, the same bytes for the same content.

It is read back with suspicion: whoever made the file may have written a name into it, and what is
read here is handed on to reports and to every format. So only what ecg4u itself says passes.
"""

from __future__ import annotations

import json
import re
from typing import Any

from ecg4u.options import FORMATS
from ecg4u.record import DOUBTFUL, DOUBTFUL_KEY, LEADS, Provenance

_KINDS = ("digitized", "digital", "array")
_MAX_JSON_CHARS = 1_000_000
_MAX_PHRASES = 200

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SHA256_START = re.compile(r"([0-9a-f]{16})?")
_NUMBER = r"[0-9]{1,3}(\.[0-9]{1,5})?"
_LEAD = f"({'|'.join(LEADS)})"
_LAYOUT = r"[0-9]{1,2}x[0-9]{1,2}(\+[0-9])?(-cabrera|-simultaneous)?"
_SEGMENT = r"segment [0-9]{1,3}\.[0-9]{1,3}"
_ASSUMED = re.compile(
    f"gain {_NUMBER} mm/mV"
    f"|paper speed {_NUMBER} mm/s"
    f"|names of leads {_LEAD}(, {_LEAD}){{0,11}}"
    "|lead names from the conventional order"
    "|unit taken for (milli|micro)volts from the size of the values"
    f"|lead {_LEAD} from a modified limb lead"
    "|what the record's file says of its origin was left out"
)
"""What may stand in `Provenance.inferred`."""
_CORRECTED = re.compile(
    "corners of the page"
    f"|layout {_LAYOUT} \\(found: {_LAYOUT}\\)"
    f"|gain (of the (limb|chest) leads )?{_NUMBER} mm/mV \\(found: {_NUMBER}\\)"
    f"|paper speed {_NUMBER} mm/s \\(found: {_NUMBER}\\)"
    f"|{_SEGMENT} (left out|is {_LEAD}) \\(found: ({_LEAD}|None)\\)"
    f"|{_LEAD} \\({_SEGMENT}\\) (begins at {_NUMBER} s|(redrawn|blanked) over {_NUMBER} s)"
)
"""What may stand under ``corrected by hand``, see `ecg4u.digitize.sidecar.corrections`."""


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
    """The provenance that `to_json` wrote, or None if ``text`` is something else.

    Phrases and details that are not ecg4u's own are left out, and so is a hash that is none.
    """
    if len(text) > _MAX_JSON_CHARS:
        return None
    try:
        values = json.loads(text)
        if values["kind"] not in _KINDS:
            return None
        stated = values["source_sha256"]
        return Provenance(
            kind=values["kind"],
            source_sha256=stated if _matches(_SHA256, stated) else "",
            inferred=_own(_ASSUMED, values["inferred"]),
            details=_own_details(dict(values["details"])),
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _own(phrases: re.Pattern[str], said: Any) -> tuple[str, ...]:
    return tuple(item for item in list(said)[:_MAX_PHRASES] if _matches(phrases, item))


def _own_details(said: dict[str, Any]) -> dict[str, Any]:
    own: dict[str, Any] = {}
    corrected = _own(_CORRECTED, said.get("corrected by hand", ()))
    if corrected:
        own["corrected by hand"] = list(corrected)
    doubtful = [kind for kind in DOUBTFUL if kind in list(said.get(DOUBTFUL_KEY, ()))]
    if doubtful:
        own[DOUBTFUL_KEY] = doubtful
    if said.get("format") in FORMATS:
        own["format"] = said["format"]
    if _matches(_SHA256_START, said.get("source_sha256_start")):
        own["source_sha256_start"] = said["source_sha256_start"]
    return own


def _matches(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _plain(value: Any) -> Any:
    """numpy scalars and arrays, tuples and mappings as what JSON knows."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "items"):
        return dict(value.items())
    return str(value)
