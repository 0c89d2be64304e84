"""The queue before the workers and the short memory after them."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import secrets
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ecg4u.web import worker
from ecg4u.web.metrics import Metrics
from ecg4u.web.problems import STOPPING, UNKNOWN_ID, Problem, problem_of
from ecg4u.web.settings import Settings

ID_BYTES = 18
FOLDER_PREFIX = "ecg4u-serve-"
_IDLE_S = 5.0
"""With no page in hand, what is older in the workers' folder was left by one that died."""
Work = Callable[[int, bytes, Mapping[str, Any]], worker.Outcome]


@dataclass
class Job:
    """One page on its way; ``source`` is kept so that a correction need not send it again."""

    id: str
    source: bytes
    options: Mapping[str, Any]
    slot: int
    client: str = ""
    begun: float = field(default_factory=time.monotonic)
    ended: float | None = None
    outcome: worker.Outcome | None = None
    problem: Problem | None = None
    future: Any = None
    finished: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def n_bytes(self) -> int:
        """What the job holds in memory."""
        return len(self.source) + (self.outcome.n_bytes if self.outcome else 0)


class Jobs:
    """Hands pages to worker processes, at most so many at a time, and forgets them in time."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        *,
        work: Work = worker.work,
        warm_up: Callable[[], None] = worker.warm_up,
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._work = work
        self._warm_up = warm_up
        self._jobs: dict[str, Job] = {}
        self._turns: defaultdict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(settings.per_client)
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._context = multiprocessing.get_context("spawn")
        self._board = self._context.RawArray("B", settings.workers + settings.waiting)
        self._free = list(range(len(self._board)))
        self._pool: Any = None
        self.folder = ""
        """Private folder of the workers while the service is open."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = False
        self.ready = False

    def open(self) -> None:
        """Start the workers and warm them up in the background."""
        from pebble import ProcessPool

        self._loop = asyncio.get_running_loop()
        self.folder = tempfile.mkdtemp(prefix=FOLDER_PREFIX)
        self._pool = ProcessPool(
            max_workers=self._settings.workers,
            initializer=worker.start,
            initargs=(self._board, self._settings.memory_mb, self.folder, os.getpid()),
            context=self._context,
        )
        self._keep(asyncio.create_task(self._warm()))
        self._keep(asyncio.create_task(self._forget_in_time()))

    def drain(self) -> None:
        """Take nothing more in: who waits is told to come back, who is being served may finish.

        May be called from a signal handler.
        """
        self._stopping = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._send_away)

    async def close(self) -> None:
        """Stop at once; whoever still waits is told to come back."""
        self._stopping = True
        for task in list(self._tasks):
            task.cancel()
        self._give_up()
        self._jobs.clear()
        if self._pool is not None:
            self._pool.stop()
            with contextlib.suppress(TimeoutError):
                self._pool.join(10)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _send_away(self) -> None:
        for job in self._jobs.values():
            if job.future is None and not job.finished.is_set():
                job.problem = STOPPING
                job.finished.set()
            elif job.future is not None and not job.future.running():
                job.future.cancel()
        asyncio.get_running_loop().call_later(self._settings.stop_s, self._give_up)

    def _give_up(self) -> None:
        for job in self._jobs.values():
            if not job.finished.is_set():
                job.problem = STOPPING
                job.finished.set()

    @property
    def unfinished(self) -> int:
        """Pages that wait or are being worked on."""
        return len(self._board) - len(self._free)

    @property
    def kept(self) -> int:
        """Results in memory."""
        return len(self._jobs)

    def submit(self, source: bytes, options: Mapping[str, Any], client: str = "") -> Job:
        """Take a page in from the address ``client``.

        Raises
        ------
        Problem
            503 if too many wait already, or this client's own pages take half of the places.
        """
        if self._stopping:
            raise STOPPING
        own = sum(job.client == client and job.ended is None for job in self._jobs.values())
        if not self._free or self._pool is None or own > len(self._board) // 2:
            raise _busy(self._retry_after_s())
        identifier = secrets.token_urlsafe(ID_BYTES)
        job = Job(identifier, source, dict(options), self._free.pop(), client)
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

    def knows(self, identifier: str) -> bool:
        """Whether there is a job of that id."""
        return identifier in self._jobs

    def forget(self, identifier: str) -> None:
        """Delete a result and its page now."""
        self.get(identifier)
        del self._jobs[identifier]

    def stage(self, job: Job) -> str:
        """How far a job has come."""
        return "done" if job.finished.is_set() else worker.STAGES[self._board[job.slot]]

    def early(self, job: Job, part: str) -> bytes:
        """``view``, ``picture`` or ``summary`` of a page that is still being worked on; or b""."""
        if job.future is None or not self.folder:
            return b""
        with contextlib.suppress(OSError):
            return worker.early_path(self.folder, job.slot, part).read_bytes()
        return b""

    def _at_work(self) -> int:
        """Pages that are with the workers."""
        return sum(job.future is not None for job in self._jobs.values())

    def ahead(self, job: Job) -> int:
        """How many pages come before one that waits."""
        if self.stage(job) != worker.STAGES[0]:
            return 0
        others = (other for other in self._jobs.values() if not other.finished.is_set())
        return sum(other.begun < job.begun for other in others)

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _retry_after_s(self) -> int:
        turns = max(1, self.unfinished) / self._settings.workers
        return max(1, min(120, round(turns * self._metrics.mean_seconds() / 2)))

    async def _warm(self) -> None:
        # As many as workers, at once: one that was left out would load it all for its first page.
        futures = [
            asyncio.wrap_future(self._pool.schedule(self._warm_up, timeout=300))
            for _ in range(self._settings.workers)
        ]
        await asyncio.gather(*futures, return_exceptions=True)
        self.ready = True

    async def _run(self, job: Job) -> None:
        async with self._turns[job.client]:
            await self._work_on(job)
        if not any(other.client == job.client for other in self._jobs.values() if not other.ended):
            self._turns.pop(job.client, None)

    async def _work_on(self, job: Job) -> None:
        begun = time.perf_counter()
        try:
            if job.finished.is_set():  # sent away while it waited
                return
            limits = (self._settings.timeout_s, self._settings.memory_mb, self._at_work() + 1)
            job.future = self._pool.schedule(
                worker.in_time,
                args=[*limits, self._work, job.slot, job.source, job.options],
                timeout=self._settings.clock_s,
            )
            outcome: worker.Outcome = await asyncio.wrap_future(job.future)
            job.outcome = outcome
            self._metrics.analysed("ok", outcome.seconds)
        except asyncio.CancelledError:
            job.problem = STOPPING
            if job.future is None or not job.future.cancelled():
                raise
        except Exception as error:
            job.problem = problem_of(error)
            self._metrics.analysed(job.problem.code, time.perf_counter() - begun)
        finally:
            job.ended = time.monotonic()
            job.future = None
            self._drop_early(job.slot)
            self._free.append(job.slot)
            job.finished.set()
            self._trim()

    def _drop_early(self, slot: int) -> None:
        if self.folder:
            for part in worker.EARLY:
                with contextlib.suppress(OSError):
                    worker.early_path(self.folder, slot, part).unlink()

    def _trim(self) -> None:
        done = sorted(
            (job for job in self._jobs.values() if job.ended is not None),
            key=lambda job: job.ended or 0.0,
        )
        held = sum(job.n_bytes for job in done)
        for i, job in enumerate(done[:-1]):
            if len(done) - i <= self._settings.keep_results and held <= self._settings.keep_bytes:
                break
            held -= job.n_bytes
            self._jobs.pop(job.id, None)

    async def _forget_in_time(self) -> None:
        while True:
            await asyncio.sleep(min(5.0, self._settings.keep_s / 4))
            now = time.monotonic()
            for job in list(self._jobs.values()):
                if job.ended is not None and now - job.ended > self._settings.keep_s:
                    self._jobs.pop(job.id, None)
            longest_s = self._settings.clock_s if self.unfinished else _IDLE_S
            if longest_s is not None:
                await asyncio.to_thread(_sweep, Path(self.folder), longest_s)


def _sweep(folder: Path, older_than_s: float) -> None:
    """Delete what a worker that was killed left in the private folder."""
    with contextlib.suppress(OSError):
        for left in folder.iterdir():
            if time.time() - left.stat().st_mtime > older_than_s:
                shutil.rmtree(left, ignore_errors=True)


def _busy(retry_after_s: int) -> Problem:
    return Problem(
        503,
        "busy",
        "Too many pages are waiting.",
        f"Send the page again in {retry_after_s} s.",
        retry_after_s=retry_after_s,
    )
