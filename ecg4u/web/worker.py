"""What runs in a worker process: one page in, everything that can be asked about it out."""

from __future__ import annotations

import contextlib
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecg4u.cores import use_share
from ecg4u.limits import ENVIRONMENT, computing, is_out_of_memory, prepare_worker
from ecg4u.memory import keep_freed_memory, return_freed_memory
from ecg4u.options import ReadOptions
from ecg4u.texts import SOURCE
from ecg4u.web.pageview import page_view, picture

if TYPE_CHECKING:
    from ctypes import Array, c_ubyte

    from ecg4u.analysis import Analysis

STAGES = ("waiting", "read", "digitize", "classify", "explain", "report", "done")
EARLY = ("picture", "view", "summary")
"""What is shown of a page before all of it is done."""
ZIP_TIME = (1980, 1, 1, 0, 0, 0)
"""So that the same signals make the same bytes."""


@dataclass(frozen=True)
class Outcome:
    """All that is kept of an analysis."""

    result: bytes
    """``result.json``."""
    report: bytes
    """HTML."""
    signals_zip: bytes
    signals_csv: bytes
    seconds: float
    sidecar: bytes = b""
    """What was found on the page, as JSON; empty where there is no page."""
    view: bytes = b""
    """What the page needs to show it and have it corrected, as JSON; see `page_view`."""
    picture: bytes = b""
    """The page as WebP, upright and without anything that its file said."""
    exports: Mapping[str, bytes] = field(default_factory=dict)
    """Content of the files that were asked for, by their names; see `ecg4u.report.exports`."""

    @property
    def n_bytes(self) -> int:
        """What it holds in memory."""
        parts = [*vars(self).values(), *self.exports.values()]
        return sum(len(part) for part in parts if isinstance(part, bytes))


_board: Array[c_ubyte] | None = None


def start(board: Array[c_ubyte], memory_mb: int | None, folder: str, parent: int) -> None:
    """Prepare a fresh worker: its limits and its private folder."""
    import signal

    global _board
    _board = board
    tempfile.tempdir = folder
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update(ENVIRONMENT)
    prepare_worker(memory_mb, parent)
    keep_freed_memory()


def warm_up() -> None:
    """Load the networks and libraries by sending a made-up record and an empty page through."""
    import numpy as np

    from ecg4u.analysis import analyse
    from ecg4u.errors import ECG4UError
    from ecg4u.io import Page
    from ecg4u.record import DEFAULT_FS_HZ, LEADS, ECGRecord
    from ecg4u.report import render

    with contextlib.suppress(ECG4UError):
        analyse(Page(np.full((600, 800, 3), 250, np.uint8), ""))
    time_s = np.arange(round(10 * DEFAULT_FS_HZ)) / DEFAULT_FS_HZ
    spikes = np.exp(-(((time_s % 0.8 - 0.4) / 0.012) ** 2) / 2)
    heights = np.linspace(-1.0, 1.5, len(LEADS))
    with contextlib.suppress(ECG4UError):
        render(analyse(ECGRecord(spikes[:, None] * heights[None, :])))


def analyse_page(slot: int, data: bytes, options: Mapping[str, Any]) -> Outcome:
    """Analyse a page and make its report and its signal files.

    ``options`` are those of `ReadOptions`; beside them ``sidecar`` may be JSON, ``correction`` the
    arguments of `Sidecar.corrected`, ``exports`` what is to be made and ``language`` that of the
    report.

    Raises
    ------
    ECG4UError
        If the page cannot be read, or the correction makes no sense.
    """
    import time

    from ecg4u.analysis import read
    from ecg4u.report import render
    from ecg4u.report.exports import check, export

    given = dict(options)
    exports, language = given.pop("exports", ()), given.pop("language", SOURCE)
    check(exports)
    begun = time.perf_counter()
    shown: dict[str, bytes] = {}

    def so_far(known: Analysis) -> None:
        page = known.digitization
        if page and not shown:
            found = page.sidecar()
            shown["sidecar"] = _json(found)
            shown["view"] = _json(page_view(found))
            shown["picture"] = picture(page.page.image)
            for part in ("picture", "view"):
                leave_early(slot, part, shown[part])
        if known.classification is not None:
            leave_early(slot, "summary", _json([asdict(line) for line in known.summary]))

    analysis = read(
        data,
        _as_options(given),
        progress=lambda stage: _note(slot, stage),
        so_far=so_far,
    )
    _note(slot, "report")
    csv, archive = _signal_files(analysis)
    made = Outcome(
        result=_json(analysis.to_dict()),
        report=render(analysis, language=language).encode(),
        signals_zip=archive,
        signals_csv=csv,
        exports=export(analysis, exports),
        **shown,
        seconds=time.perf_counter() - begun,
    )
    _note(slot, "done")
    return made


def in_time(
    timeout_s: float | None,
    memory_mb: int | None,
    among: int,
    work: Callable[[int, bytes, Mapping[str, Any]], Outcome],
    slot: int,
    data: bytes,
    options: Mapping[str, Any],
) -> Outcome:
    """``work``, for at most so many seconds of computing, while ``among`` pages are worked on.

    A page that comes alone finds its traces sooner with the cores of the other workers.
    """
    use_share(memory_mb, among)
    with computing(timeout_s):
        return work(slot, data, options)


def work(slot: int, data: bytes, options: Mapping[str, Any]) -> Outcome:
    """`analyse_page`; afterwards what it used is the system's again, not this worker's."""
    try:
        return analyse_page(slot, data, options)
    except Exception as error:
        if is_out_of_memory(error):
            raise MemoryError from None
        raise
    finally:
        return_freed_memory()


def _as_options(options: dict[str, Any]) -> ReadOptions:
    correction = options.pop("correction", None) or {}
    if options.get("sidecar"):
        from ecg4u.digitize.sidecar.model import Sidecar

        options["sidecar"] = Sidecar.from_json(options["sidecar"]).corrected(**correction)
    return ReadOptions(**options)


def _json(value: Any) -> bytes:
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()


def _note(slot: int, stage: str) -> None:
    if _board is not None and stage in STAGES:
        _board[slot] = STAGES.index(stage)


def early_path(folder: str | Path, slot: int, part: str) -> Path:
    """Where a worker leaves ``part`` of a page that it still works on, for the service to show."""
    return Path(folder) / f"early-{slot}.{part}"


def leave_early(slot: int, part: str, data: bytes) -> None:
    """Whole or not at all; without a private folder (outside the service) nothing is left."""
    if _board is None or tempfile.tempdir is None:
        return
    path = early_path(tempfile.tempdir, slot, part)
    path.with_suffix(".new").write_bytes(data)
    path.with_suffix(".new").replace(path)


def _signal_files(analysis: Analysis) -> tuple[bytes, bytes]:
    """The signals as CSV, and as a zip of the WFDB files, through a private folder."""
    from ecg4u.io import write_record

    with tempfile.TemporaryDirectory(prefix="ecg4u-") as name:
        folder = Path(name)
        write_record(analysis.record, folder / "signals.csv", format="csv")
        csv = (folder / "signals.csv").read_bytes()
        write_record(analysis.record, folder / "signals", format="wfdb")
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(folder.glob("signals.*")):
                if path.suffix != ".csv":
                    archive.writestr(zipfile.ZipInfo(path.name, ZIP_TIME), path.read_bytes())
    return csv, stream.getvalue()
