"""One input of a batch: read, analyse, write; whatever happens becomes a plain report."""

from __future__ import annotations

import contextlib
import logging
import shutil
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecg4u.batch.inputs import Item
from ecg4u.batch.options import Options
from ecg4u.batch.sheet import THUMBNAIL_NAME, thumbnail
from ecg4u.batch.sidecars import MAX_BYTES, SIDECAR_NAME, Given
from ecg4u.errors import (
    ECG4UError,
    NotAnECGError,
    PoorQualityError,
    SidecarError,
    UnreadableInputError,
)
from ecg4u.explain.summary import first_line
from ecg4u.io import (
    StorageError,
    count_pages,
    is_record_file,
    sha256_of,
    write_atomically,
    write_record,
)
from ecg4u.io.files import read_bytes
from ecg4u.io.pages import MAX_FILE_BYTES
from ecg4u.limits import begin_anew, is_out_of_memory, where
from ecg4u.memory import keep_freed_memory, peak_mb, return_freed_memory, rss_mb
from ecg4u.options import ReadOptions
from ecg4u.words import SIGNAL

if TYPE_CHECKING:
    from ecg4u.analysis import Analysis

SIGNAL_NAME = "signals"
_REFUSALS = (UnreadableInputError, NotAnECGError, PoorQualityError, SidecarError)


@dataclass(frozen=True)
class PageTask:
    """Digitizes (and classifies, explains, reports) one file, all its pages, into ``out``.

    Called in a worker process; returns a report of plain values: ``source_sha256``, ``cpu_s``,
    ``rss_mb`` (held after it), ``peak_mb`` (of the worker so far) and ``pages``, each with
    ``status`` (done, refused, failed), ``code`` and the hashes of what it wrote.
    """

    out: str
    options: Options

    def warm_up(self) -> None:
        """Load what every page needs, on one thread: parallelism is over files."""
        keep_freed_memory()
        import cv2

        cv2.setNumThreads(1)
        import ecg4u.analysis  # noqa: F401

        if self.options.classify:
            import torch

            torch.set_num_threads(1)

    def __call__(self, item: Item) -> dict[str, Any]:
        """The report on one item.

        Raises
        ------
        StorageError
            Never: a disk that is full is reported with ``stops_run``.
        """
        began = time.process_time()
        with _silence():
            report = self._report(item)
        report["cpu_s"] = round(time.process_time() - began, 3)
        return_freed_memory()
        report["rss_mb"] = round(rss_mb(), 1)
        report["peak_mb"] = round(peak_mb(), 1)
        return report

    def _report(self, item: Item) -> dict[str, Any]:
        pages: list[dict[str, Any]] = []
        report: dict[str, Any] = {"source_sha256": "", "pages": pages, "stops_run": False}
        try:
            source, n_pages, report["source_sha256"] = _open(item.path)
            for number in range(1, n_pages + 1):
                begin_anew()
                folder = item.folder if n_pages == 1 else f"{item.folder}/page-{number:04d}"
                given = next((g for g in item.sidecars if g.number == number), None)
                made = self._page(source, report["source_sha256"], number, folder, given)
                pages.append({"page": number, **made})
        except StorageError as error:
            pages[:] = [{"page": 1, **_refusal(error)}]
            report["stops_run"] = True
        except ECG4UError as error:
            pages.append({"page": len(pages) + 1, **_refusal(error)})
        return report

    def _page(
        self, source: str | bytes, digest: str, number: int, folder: str, given: Given | None
    ) -> dict[str, Any]:
        corrected = {"sidecar_sha256": given.sha256} if given else {}
        try:
            analysis = self._analyse(source, number, given)
            if self.options.deidentify:
                from ecg4u.batch.deidentify import deidentified

                analysis = deidentified(analysis, digest)
            files = self._write(analysis, Path(self.out) / folder)
            done = {"status": "done", "code": "ok", "files": files, "summary": summary(analysis)}
            return {**done, **corrected}
        except (StorageError, MemoryError):
            raise
        except ECG4UError as error:
            shutil.rmtree(Path(self.out) / folder, ignore_errors=True)
            return {**_refusal(error), **corrected}
        except Exception as error:
            shutil.rmtree(Path(self.out) / folder, ignore_errors=True)
            if is_out_of_memory(error):
                raise MemoryError from None
            return {"status": "failed", "code": "internal", "message": where(error), **corrected}

    def _analyse(self, source: str | bytes, number: int, given: Given | None) -> Analysis:
        from ecg4u.analysis import read

        sidecar = None
        if given is not None:
            from ecg4u.digitize.sidecar.model import Sidecar

            sidecar = Sidecar.from_json(_unchanged(given))
        wanted = self.options
        # Whether a finding is urgent is told by measurement, so what is classified is measured too.
        options = ReadOptions(
            number,
            sidecar=sidecar,
            classify=wanted.classify,
            explain=wanted.classify,
            classes=None if wanted.explain else (),
        )
        return read(source, options)

    def _write(self, analysis: Analysis, folder: Path) -> dict[str, str]:
        """Write everything; ``result.json`` last. Returns the hash of each file by its name."""
        from ecg4u.report.exports import export
        from ecg4u.report.files import result_json

        paths = list(write_record(analysis.record, folder / SIGNAL_NAME, self.options.format))
        if self.options.report:
            from ecg4u.report import render

            html = render(analysis, title=None)
            paths.append(write_atomically(folder / "report.html", html))
        made = export(analysis, self.options.exports)
        paths += [write_atomically(folder / name, content) for name, content in made.items()]
        picture = thumbnail(analysis) if self.options.thumbnails else None
        if picture is not None:
            paths.append(write_atomically(folder / THUMBNAIL_NAME, picture))
        page = analysis.digitization
        if self.options.sidecars and page is not None and page.basis is not None:
            text = page.basis.to_json()
            paths.append(write_atomically(folder / SIDECAR_NAME, text))
        paths.append(write_atomically(folder / "result.json", result_json(analysis)))
        return {path.name: sha256_of(path) for path in paths}


def summary(analysis: Analysis) -> dict[str, Any]:
    """What the manifest says of a page that was done."""
    record, page, classes = analysis.record, analysis.digitization, analysis.classification
    coverage = record.coverage()
    values: dict[str, Any] = {
        "fs": record.fs,
        "duration_s": round(record.duration_s, 6),
        "coverage": round(sum(coverage.values()) / len(coverage), 6),
        "warnings": len(analysis.warnings),
        "warning_texts": " | ".join(analysis.warnings),
    }
    if page is not None:
        values["layout"] = page.layout.name
        values["gain_mm_per_mv"] = page.calibration.gain_mm_per_mv
        values["speed_mm_per_s"] = page.calibration.speed_mm_per_s
        values["grade"] = page.grade
    if classes is not None:
        lines = analysis.summary
        values["signal"] = SIGNAL[classes.verdict]
        values["headline"] = first_line(lines)
        values["urgent"] = any(line.kind == "urgent" for line in lines)
        for result in classes.results:
            values[f"p_{result.name}"] = round(float(result.probability), 6)
            values[f"positive_{result.name}"] = bool(result.positive)
    return values


def _open(path: str) -> tuple[str | bytes, int, str]:
    """What to analyse, its number of pages, its hash; a page file is read once, whole."""
    if is_record_file(path):
        return path, 1, sha256_of(path)
    data = read_bytes(path, max_bytes=MAX_FILE_BYTES)
    return data, count_pages(data), sha256_of(data)


def _unchanged(given: Given) -> bytes:
    data = read_bytes(given.path, max_bytes=MAX_BYTES)
    if sha256_of(data) != given.sha256:
        raise SidecarError(
            "The sidecar was changed during the run.",
            stage="batch",
            hint="Run the batch again with --resume.",
        )
    return data


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Libraries quote what they read, names included, when they warn or log."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _refusal(error: ECG4UError) -> dict[str, Any]:
    status = "refused" if isinstance(error, _REFUSALS) else "failed"
    return {
        "status": status,
        "code": error.code,
        "stage": error.stage,
        "message": error.message,
        "hint": error.hint,
    }
