"""The queue before the workers and the short memory after them."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ecg4u.web import worker
from ecg4u.web.metrics import Metrics
from ecg4u.web.problems import UNKNOWN_ID, Problem, problem_of
from ecg4u.web.settings import Settings

ID_BYTES = 18
Work = Callable[[int, bytes, Mapping[str, Any]], worker.Outcome]


@dataclass
class Job:
    """One page on its way; ``source`` is kept so that a correction need not send it again."""

    id: str
    source: bytes
    options: Mapping[str, Any]
    slot: int
    begun: float = field(default_factory=time.monotonic)
    ended: float | None = None
    outcome: worker.Outcome | None = None
    problem: Problem | None = None
    finished: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def n_bytes(self) -> int:
        """What the job holds in memory."""
        made = self.outcome
        return len(self.source) + (
            len(made.report) + len(made.signals_zip) + len(made.signals_csv) if made else 0
        )


class Jobs:
    """Hands pages to worker processes, at most so many at a time, and forgets them in time."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        *,
        work: Work = worker.analyse_page,
        warm_up: Callable[[], None] = worker.warm_up,
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._work = work
        self._warm_up = warm_up
        self._jobs: dict[str, Job] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._context = multiprocessing.get_context("spawn")
        self._board = self._context.RawArray("B", settings.workers + settings.waiting)
        self._free = list(range(len(self._board)))
        self._pool: Any = None
        self.ready = False

    def open(self) -> None:
        """Start the workers and warm them up in the background."""
        from pebble import ProcessPool

        threads = max(1, (os.cpu_count() or 1) // (2 * self._settings.workers))
        self._pool = ProcessPool(
            max_workers=self._settings.workers,
            initializer=worker.start,
            initargs=(self._board, self._settings.memory_mb, threads),
            context=self._context,
        )
        self._keep(asyncio.create_task(self._warm()))
        self._keep(asyncio.create_task(self._forget_in_time()))

    async def close(self) -> None:
        """Stop at once; whoever waits is told to come back."""
        for task in list(self._tasks):
            task.cancel()
        for job in self._jobs.values():
            if not job.finished.is_set():
                job.problem = _busy(10)
                job.finished.set()
        self._jobs.clear()
        if self._pool is not None:
            self._pool.stop()
            with contextlib.suppress(TimeoutError):
                self._pool.join(10)

    @property
    def unfinished(self) -> int:
        """Pages that wait or are being worked on."""
        return len(self._board) - len(self._free)

    @property
    def kept(self) -> int:
        """Results in memory."""
        return len(self._jobs)

    def submit(self, source: bytes, options: Mapping[str, Any]) -> Job:
        """Take a page in.

        Raises
        ------
        Problem
            503 if too many wait already.
        """
        if not self._free or self._pool is None:
            raise _busy(self._retry_after_s())
        job = Job(secrets.token_urlsafe(ID_BYTES), source, dict(options), self._free.pop())
        self._board[job.slot] = 0
        self._jobs[job.id] = job
        self._keep(asyncio.create_task(self._run(job)))
        return job

    def get(self, identifier: str) -> Job:
        """The job of that id.

        Raises
        ------
        Problem
            404 if there is none (any more).
        """
        job = self._jobs.get(identifier)
        if job is None:
            raise UNKNOWN_ID
        return job

    def forget(self, identifier: str) -> None:
        """Delete a result and its page now."""
        self.get(identifier)
        del self._jobs[identifier]

    def stage(self, job: Job) -> str:
        """How far a job has come."""
        return "done" if job.finished.is_set() else worker.STAGES[self._board[job.slot]]

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _retry_after_s(self) -> int:
        turns = max(1, self.unfinished) / self._settings.workers
        return max(1, min(120, round(turns * self._metrics.mean_seconds() / 2)))

    async def _warm(self) -> None:
        future = self._pool.schedule(self._warm_up, timeout=300)
        with contextlib.suppress(Exception):
            await asyncio.wrap_future(future)
        self.ready = True

    async def _run(self, job: Job) -> None:
        begun = time.perf_counter()
        try:
            future = self._pool.schedule(
                self._work,
                args=[job.slot, job.source, job.options],
                timeout=self._settings.timeout_s,
            )
            outcome: worker.Outcome = await asyncio.wrap_future(future)
            job.outcome = outcome
            self._metrics.analysed("ok", outcome.seconds)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            job.problem = problem_of(error)
            self._metrics.analysed(job.problem.code, time.perf_counter() - begun)
        finally:
            job.ended = time.monotonic()
            self._free.append(job.slot)
            job.finished.set()
            self._trim()

    def _trim(self) -> None:
        done = sorted(
            (job for job in self._jobs.values() if job.ended is not None),
            key=lambda job: job.ended or 0.0,
        )
        for job in done[: max(0, len(done) - self._settings.keep_results)]:
            self._jobs.pop(job.id, None)

    async def _forget_in_time(self) -> None:
        while True:
            await asyncio.sleep(min(5.0, self._settings.keep_s / 4))
            now = time.monotonic()
            for job in list(self._jobs.values()):
                if job.ended is not None and now - job.ended > self._settings.keep_s:
                    self._jobs.pop(job.id, None)


def _busy(retry_after_s: int) -> Problem:
    return Problem(
        503,
        "busy",
        "Too many pages are waiting.",
        f"Send it again in {retry_after_s} s.",
        retry_after_s=retry_after_s,
    )
