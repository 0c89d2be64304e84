"""Limits of time and memory for whatever works on an input: the same for every face.

A damaged or malicious file can make any decoder hang or take all memory, and then no Python code
runs that could stop it. So each input is worked on by a process that can be spared: a fork of the
command line (`supervised_each`), a worker of the batch or of the service. `prepare_worker` limits
the memory of such a process, `computing` the processor time of each input that it works on;
`reading` has less memory, `opening` less time. The system keeps them, so they hold inside C
libraries, too. Whoever waits for the process ends it by the clock (`Limits.clock_s`).

Without these limits (in a program that imports ecg4u, on Windows, and of memory on macOS) the
bounds on sizes and counts that each reader checks remain.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import logging
import math
import os
import select
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ecg4u.errors import ECG4UError, UnreadableInputError
from ecg4u.memory import return_freed_memory

TIMEOUT_S = 60.0
MEMORY_MB = 2000
"""Default limits of one input, from the file to the report: seconds of computing by all threads of
its process, and memory that is allocated (data, not address space; pages that were never touched
count, too). SECURITY.md lists what inputs need."""
CLOCK_FACTOR = 10.0
"""An input is also given up after so many times its limit by the clock, for one that waits or
sleeps computes nothing. A page computes for 12 to 28 s; on two cores with about ten other processes
it took at most 374 s by the clock (nice 10): ten times 60 s leaves it room, and still ends what
hangs."""
READ_MEMORY_MB = 1300
"""Limit of the process while it reads and decodes one input, what it held before included: with
what it maps (code, weights), 0.2 GB, it stays below 1.5 GB."""
OPENING_CPU_S = 5.0
"""Limit of opening a page's file and counting its pages, and of decoding or drawing a page: a PDF
is a program, other files are lists of parts, and no look at their size says how long that takes. An
ordinary picture of 79 megapixels takes up to 2.2 s."""
MAX_TIMEOUT_S = 1e6
MAX_MEMORY_MB = 1_000_000

ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "16",
    "LRU_CACHE_CAPACITY": "16",
}
"""Set before a worker starts, for a library reads it when it is loaded. Sums over several threads
are added in another order, so that results would differ with the number of cores; more threads than
cores spin while they wait for each other; and oneDNN and torch (the last two) each keep 1,024
kernels, 0.2 MB for each new number of lead names on a page, if nothing else is said."""

_PR_SET_PDEATHSIG = 1
_WATCH_S = 1.0
_POLL_S = 0.005
_END_S = 2.0
_can_be_spared = False
_computing_s: float | None = None


@dataclass(frozen=True)
class Limits:
    """Of one input: seconds of computing, megabytes of data (1e6 bytes); None is no limit."""

    timeout_s: float | None = TIMEOUT_S
    memory_mb: int | None = MEMORY_MB

    @property
    def clock_s(self) -> float | None:
        """Seconds by the clock after which an input is given up, whatever it computed."""
        return None if self.timeout_s is None else CLOCK_FACTOR * self.timeout_s


def prepare_worker(memory_mb: int | None, parent: int) -> None:
    """Limit this process, which can be spared, and let it end when ``parent`` does.

    It also keeps still from here on: libraries quote what they read, names included, when they warn
    or log.
    """
    global _can_be_spared
    _can_be_spared = True
    if hasattr(signal, "SIGPROF"):  # `opening` ends it by this; what forked it may ignore it
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    die_with(parent)
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if memory_mb:
            resource.setrlimit(resource.RLIMIT_DATA, (memory_mb * 1_000_000,) * 2)


def supervised_each(
    works: Sequence[Callable[[], int]], limits: Limits
) -> Iterator[int | UnreadableInputError]:
    """Run each of ``works`` within ``limits`` of its own; yields in order each one's exit code, or
    the reason why it has none.

    A fork does one after another, so that libraries are imported once; where a work brings it down,
    another fork goes on with the next. Call it before anything heavy is imported: the fork then
    costs two milliseconds. Where there is no fork (Windows), all run in this process, without
    limits.
    """
    if not hasattr(os, "fork"):
        yield from (work() for work in works)
        return
    n_done = 0
    while n_done < len(works):
        told, tell = os.pipe()
        child = _forked(functools.partial(_work_off, works[n_done:], tell, limits), limits)
        os.close(tell)
        try:
            lost: UnreadableInputError | None = None
            while lost is None and n_done < len(works):
                end = _next_end(told, child, limits)
                lost = end if isinstance(end, UnreadableInputError) else None
                n_done += 1
                yield end
        except BaseException:
            _let_end(child)
            raise
        finally:
            os.close(told)
        if lost is None:
            _let_end(child)


def _work_off(works: Sequence[Callable[[], int]], tell: int, limits: Limits) -> int:
    """In the fork: do each, and tell its exit code once all that it printed is out."""
    for work in works:
        with computing(limits.timeout_s):
            code = work()
        sys.stdout.flush()
        sys.stderr.flush()
        os.write(tell, bytes([code]))
    return 0


def _next_end(told: int, child: int, limits: Limits) -> int | UnreadableInputError:
    """The exit code of the work in hand; or, once its process has ended, why there is none."""
    ready, _, _ = select.select([told], [], [], limits.clock_s)
    if not ready:
        _end(child)
        return took_too_long(limits)
    code = os.read(told, 1)
    if code:
        return code[0]
    try:
        return _exit_code(child, limits)
    except UnreadableInputError as error:
        return error


def _forked(work: Callable[[], int], limits: Limits) -> int:
    """The number of a limited fork of this process that ends with ``work``'s exit code."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.environ.update(ENVIRONMENT)
    parent = os.getpid()
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        prepare_worker(limits.memory_mb, parent)
        code = work()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _exit_code(child: int, limits: Limits) -> int:
    try:
        status = _wait(child, _END_S)
    except BaseException:  # Ctrl-C: the child was told, too, and may clean up
        _let_end(child)
        raise
    if status is None:
        _end(child)
        raise took_too_long(limits)
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return code
    if computed_too_long(code):
        raise took_too_long(limits, by_clock=False)
    if opened_too_long(code):
        raise UnreadableInputError(
            f"Opening the input took longer than {OPENING_CPU_S:g} s of CPU time.",
            stage="limits",
            hint="If the file is not damaged, export it as an image at 300 dpi.",
        )
    if -code in (signal.SIGINT, signal.SIGTERM):
        raise KeyboardInterrupt
    raise UnreadableInputError(
        f"The input crashed the process that was reading it ({signal_name(-code)}).",
        stage="limits",
        hint="The file is damaged, or needs more memory than --memory allows.",
    )


def _wait(child: int, seconds: float) -> int | None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status
        time.sleep(_POLL_S)
    return None


def _let_end(child: int) -> None:
    """Wait a while for a process that is about to end; then end it."""
    with contextlib.suppress(BaseException):
        if _wait(child, _END_S) is None:
            _end(child)


def _end(child: int) -> None:
    with contextlib.suppress(OSError):
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def took_too_long(limits: Limits, *, by_clock: bool = True) -> UnreadableInputError:
    """The error of an input that took longer than it may, by the clock or of computing."""
    return UnreadableInputError(
        f"The input took longer than {time_limit(limits, by_clock=by_clock)}.",
        stage="limits",
        hint="If the file is not damaged, allow more time with --timeout.",
    )


def time_limit(limits: Limits, *, by_clock: bool) -> str:
    """The limit that was reached, in words."""
    if by_clock:
        return f"{limits.clock_s:g} s of wall-clock time"
    return f"{limits.timeout_s:g} s of CPU time"


def computed_too_long(exit_code: int | None) -> bool:
    """Whether a worker that ended thus had used up its time of computing."""
    return hasattr(signal, "SIGXCPU") and exit_code == -signal.SIGXCPU


def opened_too_long(exit_code: int | None) -> bool:
    """Whether a worker that ended thus ran into the limit of `opening`."""
    return hasattr(signal, "SIGPROF") and exit_code == -signal.SIGPROF


def too_much_memory() -> UnreadableInputError:
    """The error of an input that needs more memory than it may take."""
    return UnreadableInputError(
        "The input needs more memory than the limit allows.",
        stage="limits",
        hint="Scan a page at 300 dpi, cut a long record, or allow more with --memory.",
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception means so: torch, OpenCV and onnxruntime have their own."""
    if isinstance(error, MemoryError):
        return True
    text = str(error).lower()
    own = ("can't allocate memory", "insufficient memory", "failed to allocate memory")
    return any(words in text for words in own)


@contextlib.contextmanager
def computing(seconds: float | None) -> Iterator[None]:
    """Within it, a process that can be spared is ended by SIGXCPU once all its threads together
    have computed for ``seconds``; the system counts whole seconds, so it may be one more.

    Unlike by the clock, an input has the same time on a busy machine as on a quiet one.
    """
    global _computing_s
    if not _can_be_spared or seconds is None:
        yield
        return
    import resource

    before = resource.getrlimit(resource.RLIMIT_CPU)
    _computing_s = seconds
    begin_anew()
    try:
        yield
    finally:
        _computing_s = None
        resource.setrlimit(resource.RLIMIT_CPU, before)


def begin_anew() -> None:
    """Within `computing`, count from zero again: the next page of a file has a time of its own."""
    if _computing_s is None:
        return
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    end = math.ceil(time.process_time() + _computing_s)
    if hard != resource.RLIM_INFINITY:
        end = min(end, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (end, hard))


@contextlib.contextmanager
def reading() -> Iterator[None]:
    """Within it, an input is read and decoded: in a worker, with less memory; its time is that of
    the input (`computing`).

    Raises
    ------
    UnreadableInputError
        If memory does not suffice.
    """
    try:
        if _can_be_spared:
            with _memory_limit(READ_MEMORY_MB * 1_000_000):
                yield
        else:
            yield
    except MemoryError:
        raise too_much_memory() from None


@contextlib.contextmanager
def opening() -> Iterator[None]:
    """Within it, a process that can be spared is ended by SIGPROF after `OPENING_CPU_S` of
    computing; time in which a busy machine does something else does not count."""
    if not _can_be_spared:
        yield
        return
    signal.setitimer(signal.ITIMER_PROF, OPENING_CPU_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


@contextlib.contextmanager
def _memory_limit(n_bytes: int) -> Iterator[None]:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if soft != resource.RLIM_INFINITY and soft <= n_bytes:
        yield
        return
    return_freed_memory()  # what a page before left counts, too
    resource.setrlimit(resource.RLIMIT_DATA, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def die_with(parent: int) -> None:
    """End this process when its parent is gone, even when that is killed without warning."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_WATCH_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def signal_name(number: int) -> str:
    """``SIGSEGV`` for 11."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def where(error: BaseException) -> str:
    """Type and place of an exception, without its message: ``ValueError at ecg4u.io.pages:12``."""
    name = error.code if isinstance(error, ECG4UError) else type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if f"{os.sep}ecg4u{os.sep}" in frame.filename] or frames
    if not ours:
        return name
    path = Path(ours[-1].filename)
    parts = path.with_suffix("").parts
    start = len(parts) - 1 - parts[::-1].index("ecg4u") if "ecg4u" in parts else len(parts) - 1
    return f"{name} at {'.'.join(parts[start:])}:{ours[-1].lineno}"
