"""ecg4u: paper ECGs become twelve calibrated signals, likely diagnoses and reasons to check.

A research and teaching aid, not a medical device.

>>> import ecg4u
>>> record = ecg4u.digitize("page.png")      # doctest: +SKIP
>>> said = ecg4u.classify(record)            # doctest: +SKIP
>>> print(ecg4u.explain(record, said))       # doctest: +SKIP

``ecg4u.analyse("page.png")`` does all of it. What cannot be read raises an `ECG4UError` that says
what to do; ``from ecg4u.io import Page`` for pixels instead of a file.

Everything heavy is imported when it is first used. `ecg4u.digitize` and `ecg4u.explain` are
packages that can also be called; ``from ecg4u.digitize import digitize`` is the same function, and
``help(ecg4u.digitize.digitize)`` describes it.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

# Threads of torch that spin while they wait slow a busy machine down several fold. OpenMP reads
# this once, when torch is loaded; a choice that the environment makes stands.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"

_HOMES = {
    "ECGRecord": "ecg4u.record",
    "Provenance": "ecg4u.record",
    "ECG4UError": "ecg4u.errors",
    "LEADS": "ecg4u.record",
    "CLASSES": "ecg4u.record",
    "classify": "ecg4u.model",
    "read_record": "ecg4u.io",
    "write_record": "ecg4u.io",
    "analyse": "ecg4u.analysis",
}
_CALLABLE_PACKAGES = ("digitize", "explain")

__all__ = sorted([*_HOMES, *_CALLABLE_PACKAGES, "__version__"])


def __getattr__(name: str) -> Any:
    if name in _CALLABLE_PACKAGES:
        return importlib.import_module(f"ecg4u.{name}")
    if name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'ecg4u' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
