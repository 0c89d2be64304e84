"""Many ECGs in one call: every input has its entry, whether it could be read or not."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from ecg4u.arguments import check_iterable, check_names, check_path, check_whole
from ecg4u.errors import ECG4UError, UsageError
from ecg4u.options import ReadOptions
from ecg4u.record import CLASSES, LEADS

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    import shap

    from ecg4u.analysis import Analysis
    from ecg4u.batch.executors import Outcome
    from ecg4u.record import ECGRecord


@dataclass(frozen=True, eq=False)
class Entry:
    """The outcome of one input: an analysis, or the code and message of an error.

    ``grade`` is that of the page; the analysis itself holds no page (``digitization`` is None), so
    that thousands fit into memory.
    """

    path: str
    analysis: Analysis | None = None
    grade: str | None = None
    error_code: str = ""
    error: str = ""

    def row(self) -> dict[str, Any]:
        """The entry in one row of `Cohort.to_dataframe`."""
        row: dict[str, Any] = {"path": self.path, "error_code": self.error_code}
        row |= {"error": self.error, "grade": self.grade}
        if self.analysis is None:
            return row
        row["warnings"] = "\n".join(self.analysis.warnings)
        if self.analysis.classification is not None:
            from ecg4u.explain.summary import first_line
            from ecg4u.words import SIGNAL

            lines = self.analysis.summary
            row["signal"] = SIGNAL[self.analysis.classification.verdict]
            row["headline"] = first_line(lines)
            row["urgent"] = any(line.kind == "urgent" for line in lines)
            for result in self.analysis.classification.results:
                row[f"{result.name}_probability"] = result.probability
                row[f"{result.name}_found"] = result.positive
        if self.analysis.explanation is not None:
            found = self.analysis.explanation.features.globals
            row |= {key: feature.value for key, feature in found.items()}
        return row


@dataclass(frozen=True, eq=False, repr=False)
class Cohort(Sequence[Entry]):
    """The entries of `analyse_many`, in the order of its paths.

    ``own_output`` counts files in its folders that ecg4u itself wrote; they are not inputs.
    """

    entries: tuple[Entry, ...]
    own_output: int = 0

    @overload
    def __getitem__(self, index: int) -> Entry: ...
    @overload
    def __getitem__(self, index: slice) -> Cohort: ...
    def __getitem__(self, index: int | slice) -> Entry | Cohort:
        if isinstance(index, slice):
            return Cohort(self.entries[index])
        return self.entries[index]

    def __len__(self) -> int:
        return len(self.entries)

    def __repr__(self) -> str:
        return f"<Cohort: {len(self)} inputs, {len(self.failures)} failed>"

    def _repr_html_(self) -> str:
        return str(self.to_dataframe().to_html(max_rows=20, max_cols=12))

    @property
    def failures(self) -> tuple[Entry, ...]:
        """Inputs that could not be analysed."""
        return tuple(entry for entry in self.entries if entry.analysis is None)

    @property
    def records(self) -> dict[str, ECGRecord]:
        """The signals of each path that could be read."""
        return {e.path: e.analysis.record for e in self.entries if e.analysis is not None}

    def to_dataframe(self) -> pd.DataFrame:
        """One row per input, failures included.

        Columns: path, error code and message, grade of the page, warnings, whether the signal is
        usable, what was found in words and whether any of it is urgent, probability and decision of
        each class, and the features of the whole ECG, whose units and definitions `features_table`
        gives.
        """
        import pandas as pd

        columns = ["path", "error_code", "error", "grade"]
        return pd.DataFrame(
            [entry.row() for entry in self.entries], columns=None if self else columns
        )

    def features_table(self) -> pd.DataFrame:
        """One row per feature of each ECG, as in `Explanation.to_dataframe`."""
        import pandas as pd

        parts = [
            entry.analysis.explanation.to_dataframe().assign(path=entry.path)
            for entry in self.entries
            if entry.analysis is not None and entry.analysis.explanation is not None
        ]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()

    def to_shap(self, class_name: str) -> shap.Explanation:
        """Lead attributions of all ECGs attributed for a class, for ``shap.plots.beeswarm``.

        ``values`` is (ECGs, 12), with 0 for a lead that is not shown; ``data`` holds the seconds
        of each lead that are shown.

        Raises
        ------
        UsageError
            If no ECG was attributed: pass ``classes`` to `analyse_many`.
        """
        import numpy as np

        values, base, data = [], [], []
        for entry in self.entries:
            why = entry.analysis.explanation if entry.analysis is not None else None
            for found in () if why is None else why.attributions:
                if (found.class_name, found.kind) == (class_name, "leads"):
                    of = dict(zip((p.lead for p in found.players), found.values, strict=True))
                    values.append([of.get(lead, 0.0) for lead in LEADS])
                    base.append(found.base_value)
                    data.append(_seconds_shown(entry))
        if not values:
            raise UsageError(
                f"No ECG was attributed for {class_name}.",
                stage="explain",
                hint=f'Call analyse_many(..., classes=["{class_name}"]).',
            )
        import shap

        return shap.Explanation(
            values=np.array(values),
            base_values=np.array(base),
            data=np.array(data),
            feature_names=list(LEADS),
        )


def _seconds_shown(entry: Entry) -> list[float]:
    assert entry.analysis is not None
    record = entry.analysis.record
    return [share * record.duration_s for share in record.coverage().values()]


@dataclass(frozen=True)
class _Task:
    options: ReadOptions

    def __call__(self, item: tuple[int, str]) -> Entry:
        from ecg4u.analysis import read

        path = item[1]
        try:
            found = read(path, self.options)
        except ECG4UError as error:
            return Entry(path, None, None, error.code, f"{error.message} {error.hint}".strip())
        grade = None if found.digitization is None else found.digitization.grade
        return Entry(path, replace(found, digitization=None), grade)


def analyse_many(
    paths: Iterable[str | Path] | str | Path,
    *,
    workers: int = 1,
    classify: bool = True,
    explain: bool = True,
    classes: Sequence[str] = (),
    neurokit: bool = False,
    seed: int = 0,
    timeout_s: float | None = None,
    progress: Callable[[int, int], None] | bool = False,
) -> Cohort:
    """Analyse many pages and record files; nothing is lost when some cannot be read.

    Parameters
    ----------
    paths
        Files and folders, or a single one; folders are searched to any depth. If a file has
        several pages, only the first is read (`ecg4u batch` reads all).
    workers
        Processes. More than one needs ``pip install pebble`` and isolates each file, so that a
        file that crashes or hangs does not affect the others. A script must then call this below
        ``if __name__ == "__main__":``.
    classify, explain, neurokit, seed
        As for `ecg4u.analyse`.
    classes
        Classes whose log-odds are attributed, for `Cohort.to_shap`; each takes seconds per ECG,
        so by default there are none.
    timeout_s
        CPU seconds after which a file is abandoned (ten times as many in wall-clock time).
    progress
        True for a counter on stderr, or a function called with (done, total).

    Raises
    ------
    UsageError
        If ``workers`` is less than 1, a class does not exist or a folder holds no page and no
        record. Errors in single files are never raised: the entries hold them.
    WrongTypeError
        If ``paths`` are not paths, or ``workers`` is not a whole number.
    """
    from ecg4u.batch.executors import Executor, PoolExecutor, SerialExecutor, WorkerLimits

    _check(workers, classes)
    names, own_output = _files(paths)
    limits = WorkerLimits(timeout_s=timeout_s)
    executor: Executor = SerialExecutor(limits) if workers == 1 else PoolExecutor(workers, limits)
    options = ReadOptions(
        classify=classify,
        explain=explain,
        classes=tuple(classes),
        neurokit=neurokit,
        seed=seed,
    )
    told = _reporter(progress)
    entries: list[Entry | None] = [None] * len(names)
    outcomes = executor.run(_Task(options), list(enumerate(names)))
    for done, (index, entry) in enumerate(_entries(outcomes), start=1):
        entries[index] = entry
        told(done, len(names))
    return Cohort(tuple(entry for entry in entries if entry is not None), own_output)


def _files(paths: Iterable[str | Path] | str | Path) -> tuple[list[str], int]:
    """The files of ``paths`` and of the folders among them; how many there ecg4u wrote itself."""
    from ecg4u.batch.inputs import look_through

    check_iterable("paths", paths, "Give files, folders or a list of them.")
    names: list[str] = []
    n_own = 0
    for path in [paths] if isinstance(paths, (str, os.PathLike)) else paths:
        check_path("A path", path)
        name = os.fspath(path)
        if os.path.isdir(name):
            found = look_through([name], Path(os.devnull))
            names += [_below(name, item.path) for item in found.items]
            n_own += found.n_own
        else:
            names.append(name)
    return names, n_own


def _below(folder: str, path: str) -> str:
    """The real ``path`` as one would write it who gave ``folder``; as it is where a link led."""
    root = os.path.join(os.path.realpath(folder), "")
    return os.path.join(folder, path.removeprefix(root)) if path.startswith(root) else path


def _entries(outcomes: Iterator[Outcome[tuple[int, str], Entry]]) -> Iterator[tuple[int, Entry]]:
    for outcome in outcomes:
        index, path = outcome.item
        if outcome.value is not None:
            yield index, outcome.value
        else:
            failure = outcome.failure
            kind, detail = (failure.kind, failure.detail) if failure else ("internal", "")
            yield index, Entry(path, None, None, kind, detail)


def _check(workers: int, classes: Sequence[str]) -> None:
    check_whole("workers", workers, "Give the number of processes.")
    if workers < 1:
        raise UsageError("workers must be at least 1.", hint="Give the number of processes.")
    check_names("classes", classes)
    unknown = [name for name in classes if name not in CLASSES]
    if unknown:
        raise UsageError(
            f"The classifier has no class {', '.join(unknown)}.",
            hint=f"Choose from {', '.join(CLASSES)}.",
        )


def _reporter(progress: Callable[[int, int], None] | bool) -> Callable[[int, int], None]:
    if callable(progress):
        return progress
    if not progress:
        return lambda done, total: None
    import click

    def draw(done: int, total: int) -> None:
        click.echo(f"\r{done} of {total}", nl=done == total, err=True)

    return draw
