"""The answer in the form of the first ECG4U service, which its Android app reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LEGACY_NAMES = {
    "AF": "afib",
    "I-AVB": "iavb",
    "LBBB": "lbbb",
    "RBBB": "rbbb",
    "PAC": "pac",
    "PVC": "pvc",
    "STD": "std",
    "STE": "ste",
    "Normal": "normal",
}


def legacy_results(result: Mapping[str, Any]) -> dict[str, Any]:
    """``{"results": [{"classification": "afib", "result": true, ...}, ...]}`` from ``result.json``.

    Beyond the two old fields each entry has ``probability``, ``threshold`` and ``reason``.
    """
    found = result.get("classification") or {}
    rows = {row["name"]: row for row in found.get("classes", ())}
    return {
        "results": [
            {
                "classification": old,
                "result": bool(rows[name]["positive"]),
                "probability": rows[name]["probability"],
                "threshold": rows[name]["threshold"],
                "reason": _reason(name, rows[name], result),
            }
            for name, old in LEGACY_NAMES.items()
            if name in rows
        ],
        "verdict": found.get("verdict", "unreadable"),
        "notice": "A research and teaching aid, not a medical device.",
    }


def _reason(name: str, row: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    side = "at or above" if row["positive"] else "below"
    words = (
        f"The network's probability {row['probability']:.2f} is {side} its threshold "
        f"{row['threshold']:.2f}."
    )
    explanation = result.get("explanation") or {}
    measured = [
        f"{criterion['name']}: {criterion['outcome']} ({criterion['numbers']})."
        for criterion in explanation.get("criteria", ())
        if criterion["class_name"] == name and criterion["decides"]
    ]
    return " ".join([words, *measured])
