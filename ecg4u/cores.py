"""Whether work on one input may use several processor cores.

One core is the default: a batch gives each core an input of its own. A command that has the machine
to itself says `use_all`, a service whose workers do not all have an input `use_share`.

Each part is computed by one thread of its own, as with a single core, so the results have the same
bytes; threads within one operation (OpenMP's) would add numbers up in another order.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

MAX_CORES = 4
"""Beyond it there is nothing left to share."""
MB_PER_CORE = 700
"""Each core takes memory for its own part. For `report` on a photograph of 9 megapixels one core
took 1.07 GB, two 1.38 and four 1.92: a share that leaves each number room."""

Part = TypeVar("Part")
Result = TypeVar("Result")
OtherResult = TypeVar("OtherResult")

_count = 1


def use_all(memory_mb: int | None) -> None:
    """Let the work of this process spread over the cores that it may run on, as far as the memory
    suffices that it may allocate (None: any)."""
    use_share(memory_mb, 1)


def use_share(memory_mb: int | None, among: int) -> None:
    """`use_all` where ``among`` processes work on an input of their own at this moment."""
    global _count
    affinity = getattr(os, "sched_getaffinity", None)
    available = len(affinity(0)) if affinity else os.cpu_count() or 1
    affordable = MAX_CORES if memory_mb is None else max(1, memory_mb // MB_PER_CORE)
    _count = min(max(1, available // among), MAX_CORES, affordable)


def spread(work: Callable[[Part], Result], parts: Iterable[Part]) -> list[Result]:
    """``work`` on each part, at the same time where there are cores; results in order.

    It pays where ``work`` spends its time in libraries that release the interpreter's lock.
    """
    todo = list(parts)
    if _count == 1 or len(todo) < 2:
        return [work(part) for part in todo]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(_count, len(todo))) as threads:
        return list(threads.map(work, todo))


def together(
    first: Callable[[], Result], second: Callable[[], OtherResult]
) -> tuple[Result, OtherResult]:
    """What both give, worked out at the same time where there are cores."""
    works: list[Callable[[], Any]] = [first, second]
    one, other = spread(lambda work: work(), works)
    return one, other
