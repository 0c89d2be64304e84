"""The table of features, from their titles, units and definitions.

    python -m benchmarks.features

Writes ``docs/features.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ecg4u.explain import global_features, lead_features, neurokit
from ecg4u.explain.definitions import GLOBAL, LEAD
from ecg4u.explain.titles import FEATURES

OUT = Path(__file__).parents[1] / "docs" / "features.md"


def table() -> str:
    """The document."""
    units = dict(global_features.UNITS) | dict(neurokit.UNITS)
    lines = [
        "<!-- python -m benchmarks.features -->",
        "# Features",
        "",
        "`Explanation.to_dataframe()` has a row for each: key, lead, name, value, unit,",
        "uncertainty (one standard deviation), the reason why a value is missing, and the",
        "definition. Those that begin with `nk_` are NeuroKit2's, measured with `neurokit=True`;",
        "the others decide. `python -m benchmarks.neurokit` compares them.",
        "",
        "## Of the whole ECG",
        "",
        *_rows(GLOBAL, units),
        "",
        "## Of each lead",
        "",
        "Measured on the median beat, amplitudes against the PQ junction.",
        "",
        *_rows(LEAD, lead_features.UNITS),
    ]
    return "\n".join(lines) + "\n"


def _rows(definitions: Mapping[str, str], units: Mapping[str, str]) -> list[str]:
    head = ["| key | name | unit | definition |", "|---|---|---|---|"]
    return head + [
        f"| `{key}` | {FEATURES[key]} | {units.get(key, '')} | {text} |"
        for key, text in definitions.items()
    ]


if __name__ == "__main__":
    OUT.write_text(table())
