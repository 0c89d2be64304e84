"""Many files: one ledger, isolated workers, resume, shards.

``inputs`` finds the files, ``task`` does one of them, ``executors`` run tasks in isolation,
``ledger`` remembers, ``run`` puts them together, ``manifest`` tabulates what came out.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ecg4u.batch.executors import (
        DaskExecutor,
        Executor,
        Outcome,
        PoolExecutor,
        SerialExecutor,
    )
    from ecg4u.batch.inputs import Item, find_inputs
    from ecg4u.batch.options import Options, RunOptions
    from ecg4u.batch.run import Summary, run_batch
    from ecg4u.batch.task import PageTask

_HOMES = {
    "DaskExecutor": "executors",
    "Executor": "executors",
    "Item": "inputs",
    "Options": "options",
    "Outcome": "executors",
    "PageTask": "task",
    "PoolExecutor": "executors",
    "RunOptions": "options",
    "SerialExecutor": "executors",
    "Summary": "run",
    "find_inputs": "inputs",
    "run_batch": "run",
}

__all__ = [
    "DaskExecutor",
    "Executor",
    "Item",
    "Options",
    "Outcome",
    "PageTask",
    "PoolExecutor",
    "RunOptions",
    "SerialExecutor",
    "Summary",
    "find_inputs",
    "run_batch",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"ecg4u.batch.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
