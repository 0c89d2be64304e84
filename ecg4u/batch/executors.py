"""Ways to run one function over many items, behind one small interface.

`PoolExecutor` (the default) and `DaskExecutor` isolate every call in a process: one that crashes,
hangs or takes too much memory costs its own item and nothing else. `SerialExecutor` runs in this
process, for debugging.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar

from ecg4u.errors import MissingDependencyError
from ecg4u.limits import (
    ENVIRONMENT,
    OPENING_CPU_S,
    Limits,
    computed_too_long,
    computing,
    is_out_of_memory,
    opened_too_long,
    prepare_worker,
    signal_name,
    time_limit,
    where,
)

T = TypeVar("T")
R = TypeVar("R")

Kind = Literal["exception", "memory", "timeout", "crash"]


@dataclass(frozen=True)
class Failure:
    """Why a call gave no value; ``detail`` never holds what the exception said (it may quote)."""

    kind: Kind
    detail: str


@dataclass(frozen=True)
class Outcome(Generic[T, R]):
    """What became of one item: a value, or a failure."""

    item: T
    value: R | None = None
    failure: Failure | None = None


class Executor(Protocol):
    """Runs ``task`` over ``items`` and yields each item's outcome as it is ready.

    Items are drawn no faster than they are worked on. Closing the iterator stops the work.
    """

    def run(self, task: Callable[[T], R], items: Iterable[T]) -> Iterator[Outcome[T, R]]:
        """One outcome per item, in any order; never raises for what a task does."""
        ...


@dataclass(frozen=True)
class WorkerLimits(Limits):
    """Limits of each item, and a file that the worker locks (shared) while it lives."""

    timeout_s: float | None = None
    memory_mb: int | None = None
    lock_path: str | None = None


class SerialExecutor:
    """In this process, one after another: no isolation; a time limit only for Python code."""

    def __init__(self, limits: WorkerLimits | None = None) -> None:
        self.limits = limits or WorkerLimits()

    def run(self, task: Callable[[T], R], items: Iterable[T]) -> Iterator[Outcome[T, R]]:
        """See `Executor.run`."""
        for item in items:
            try:
                with _alarm(self.limits):
                    value, failure = _call(task, item)
            except TimeoutError as error:
                by_clock = not isinstance(error, _ComputedTooLong)
                value, failure = None, _timed_out(self.limits, by_clock=by_clock)
            yield Outcome(item, value, failure)


class PoolExecutor:
    """``jobs`` worker processes on this machine, each a pebble pool of one.

    One pool per worker, because a pool of several can lose track of which worker had which task
    when a worker dies before its message is read.
    """

    def __init__(self, jobs: int, limits: WorkerLimits | None = None) -> None:
        self.jobs = jobs
        self.limits = limits or WorkerLimits()

    def run(self, task: Callable[[T], R], items: Iterable[T]) -> Iterator[Outcome[T, R]]:
        """See `Executor.run`."""
        slots = [_Slot(self.limits) for _ in range(self.jobs)]
        busy: dict[concurrent.futures.Future[Any], tuple[_Slot, T]] = {}
        queue = iter(items)
        before = {name: os.environ.get(name) for name in ENVIRONMENT}
        os.environ.update(ENVIRONMENT)
        try:
            while True:
                while slots and (drawn := list(_take(queue))):
                    slot = slots.pop()
                    busy[slot.start(task, drawn[0])] = (slot, drawn[0])
                if not busy:
                    return
                ready, _ = concurrent.futures.wait(
                    busy, return_when=concurrent.futures.FIRST_COMPLETED
                )
                for future in ready:
                    slot, item = busy.pop(future)
                    value, failure = slot.finish(future)
                    slots.append(slot)
                    yield Outcome(item, value, failure)
        finally:
            for slot in [*slots, *(slot for slot, _ in busy.values())]:
                slot.stop()
            for name, value in before.items():
                os.environ.pop(name, None)
                os.environ.update({name: value} if value is not None else {})


class DaskExecutor:
    """A Dask cluster: ``address`` of a scheduler, or None for a local cluster of ``jobs`` workers.

    Every Dask worker keeps one isolated process of its own, so crashes and time limits are handled
    as in `PoolExecutor`. The workers must see the same files, and may not be daemons
    (``DASK_DISTRIBUTED__WORKER__DAEMON=False dask worker ...``).
    """

    def __init__(
        self, address: str | None = None, jobs: int = 2, limits: WorkerLimits | None = None
    ) -> None:
        self.address = address
        self.jobs = jobs
        self.limits = limits or WorkerLimits()

    def run(self, task: Callable[[T], R], items: Iterable[T]) -> Iterator[Outcome[T, R]]:
        """See `Executor.run`."""
        dask, distributed = _dask()
        queue = iter(items)
        with (
            dask.config.set({"distributed.worker.daemon": False}),
            contextlib.ExitStack() as stack,
        ):
            where = self.address or stack.enter_context(_local_cluster(distributed, self.jobs))
            client = stack.enter_context(distributed.Client(where, set_as_default=False))
            window = 2 * max(1, sum(client.nthreads().values()))
            waiting = distributed.as_completed(loop=client.loop, raise_errors=False)
            items_of: dict[str, T] = {}

            def submit(item: T) -> None:
                future = client.submit(_isolated, task, item, self.limits, pure=False)
                items_of[future.key] = item
                waiting.add(future)

            for _ in range(window):
                for item in _take(queue):
                    submit(item)
            for future in waiting:
                item = items_of.pop(future.key)
                if future.status == "finished":
                    value, failure = future.result()
                else:
                    value, failure = None, Failure("crash", "the cluster lost the worker")
                future.release()
                for following in _take(queue):
                    submit(following)
                yield Outcome(item, value, failure)


class _Slot:
    """One isolated worker process, replaced when it dies."""

    def __init__(self, limits: WorkerLimits) -> None:
        self.limits = limits
        self.pool: Any = None

    def start(self, task: Callable[[Any], Any], item: Any) -> concurrent.futures.Future[Any]:
        if self.pool is None or not self.pool.active:
            self.stop()
            self.pool = _pebble().ProcessPool(
                max_workers=1,
                initializer=_prepare_worker,
                initargs=(self.limits, task, os.getpid()),
                context=multiprocessing.get_context("spawn"),
            )
        args = (task, item, self.limits.timeout_s)
        return self.pool.schedule(_call, args=args, timeout=self.limits.clock_s)

    def finish(self, future: concurrent.futures.Future[Any]) -> tuple[Any, Failure | None]:
        try:
            value, failure = future.result()
            return value, failure
        except TimeoutError:
            return None, _timed_out(self.limits, by_clock=True)
        except Exception as error:  # ProcessExpired, BrokenProcessPool, lost pipes
            self.stop()
            return None, _died(getattr(error, "exitcode", None), self.limits)

    def stop(self) -> None:
        if self.pool is not None:
            with contextlib.suppress(Exception):
                self.pool.stop()
                self.pool.join()
            self.pool = None


_dask_slot: _Slot | None = None


def _isolated(
    task: Callable[[T], R], item: T, limits: WorkerLimits
) -> tuple[R | None, Failure | None]:
    """Runs on a Dask worker: one call in that worker's own isolated process."""
    global _dask_slot
    os.environ.update(ENVIRONMENT)
    if _dask_slot is None or _dask_slot.limits != limits:
        _dask_slot = _Slot(limits)
    value, failure = _dask_slot.finish(_dask_slot.start(task, item))
    return value, failure


def _call(
    task: Callable[[T], R], item: T, timeout_s: float | None = None
) -> tuple[R | None, Failure | None]:
    """Call and catch; an exception never crosses a process, for it may not survive pickling."""
    try:
        with computing(timeout_s):
            return task(item), None
    except TimeoutError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            return None, Failure("memory", "not enough memory")
        return None, Failure("exception", where(error))


def _prepare_worker(limits: WorkerLimits, task: object, parent: int) -> None:
    if limits.lock_path:
        _hold_shared(limits.lock_path)
    prepare_worker(limits.memory_mb, parent)
    warm_up = getattr(task, "warm_up", None)
    if warm_up is not None:
        with contextlib.suppress(Exception):  # the first item will report it
            warm_up()


def _hold_shared(path: str) -> None:
    """Keep a shared lock as long as this process lives, so that a new run can wait for its end."""
    with contextlib.suppress(ImportError, OSError):
        import fcntl

        fcntl.flock(os.open(path, os.O_RDONLY | os.O_NONBLOCK), fcntl.LOCK_SH)


class _ComputedTooLong(TimeoutError):
    """The time of computing is used up, not that by the clock."""


@contextlib.contextmanager
def _alarm(limits: Limits) -> Iterator[None]:
    usable = hasattr(signal, "SIGALRM") and threading.current_thread() is threading.main_thread()
    if not limits.timeout_s or not limits.clock_s or not usable:
        yield
        return

    def ring(number: int, _frame: object) -> None:
        raise _ComputedTooLong if number == signal.SIGPROF else TimeoutError

    before = {number: signal.signal(number, ring) for number in (signal.SIGPROF, signal.SIGALRM)}
    signal.setitimer(signal.ITIMER_PROF, limits.timeout_s)
    signal.setitimer(signal.ITIMER_REAL, limits.clock_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def _timed_out(limits: Limits, *, by_clock: bool) -> Failure:
    return Failure("timeout", f"took longer than {time_limit(limits, by_clock=by_clock)}")


def _died(code: int | None, limits: Limits) -> Failure:
    if code is None:
        return Failure("crash", "the worker died")
    if computed_too_long(code):
        return _timed_out(limits, by_clock=False)
    if opened_too_long(code):
        return Failure("timeout", f"opening took longer than {OPENING_CPU_S:g} s of CPU time")
    if code < 0:
        return Failure("crash", f"the worker was killed by {signal_name(-code)}")
    return Failure("crash", f"the worker exited with code {code}")


def _take(queue: Iterator[T]) -> Iterator[T]:
    """The next item, if there is one."""
    for item in queue:
        yield item
        return


def _local_cluster(distributed: Any, jobs: int) -> Any:
    return distributed.LocalCluster(
        n_workers=jobs, threads_per_worker=1, processes=True, dashboard_address=None
    )


def _pebble() -> Any:
    try:
        import pebble
    except ImportError:
        raise MissingDependencyError(
            "Parallel batches need the package pebble.",
            stage="batch",
            hint="pip install pebble, or run with -j 0.",
        ) from None
    return pebble


def _dask() -> tuple[Any, Any]:
    try:
        import dask
        import distributed
    except ImportError:
        raise MissingDependencyError(
            "A cluster needs the package dask.",
            stage="batch",
            hint="pip install 'dask[distributed]'",
        ) from None
    return dask, distributed
