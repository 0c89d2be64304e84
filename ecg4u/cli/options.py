"""Options that several commands share, as one value each."""

from __future__ import annotations

import glob
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Literal

import click

from ecg4u._options import FiniteRange, limit_options
from ecg4u.cores import use_all
from ecg4u.errors import UsageError
from ecg4u.limits import Limits, supervised

FORMATS = ("wfdb", "csv", "hdf5", "edf", "dicom")


@dataclass(frozen=True)
class ReadOptions:
    """How the inputs are read, and what is known of the page and of the patient."""

    page: int = 1
    gain: float | None = None
    speed: float | None = None
    dpi: float | None = None
    sidecar: Path | None = None
    quiet: bool = False
    age: float | None = None
    sex: Literal["F", "M"] | None = None
    weights: Path | None = None


_READ = (
    click.option("--page", default=1, show_default=True, help="Page of a PDF or TIFF."),
    click.option("--gain", type=FiniteRange(1, 80), help="Gain in mm/mV, if known."),
    click.option("--speed", type=FiniteRange(5, 200), help="Paper speed in mm/s, if known."),
    click.option(
        "--dpi",
        type=FiniteRange(50, 2400),
        help="Scan resolution, for a page without a grid or calibration pulse.",
    ),
    click.option(
        "--sidecar",
        type=click.Path(path_type=Path),
        help="A .page.json of this page, corrected by hand: continue from there.",
    ),
    click.option("-q", "--quiet", is_flag=True, help="Errors only on stderr."),
)
_JUDGED = (
    click.option("--sex", type=click.Choice(["F", "M"]), help="For the limits of ST and QTc."),
    click.option("--age", type=FiniteRange(0, 130), help="Years; for the limits of ST."),
    click.option(
        "--weights",
        type=click.Path(path_type=Path),
        help="Folder of a classifier of your own, as training.export writes it.",
    ),
)


def read_options(*, patient: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command its options for reading as one `ReadOptions` called ``options``."""
    given = (*_READ, *(_JUDGED if patient else ()))

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def gathered(**values: Any) -> Any:
            names = ReadOptions.__dataclass_fields__
            mine = {name: values.pop(name) for name in list(values) if name in names}
            return command(options=ReadOptions(**mine), **values)

        decorated: Callable[..., Any] = gathered
        for option in given:
            decorated = option(decorated)
        return decorated

    return decorate


def limited(command: Callable[..., Any]) -> Callable[..., Any]:
    """Run a command in a process of its own, within ``--timeout`` for each input and ``--memory``.

    Only where the shell called it: a program that calls the command itself keeps what it imports.
    """

    @wraps(command)
    def run(*args: Any, timeout_s: float, memory_mb: int, **options: Any) -> None:
        from ecg4u.cli import FROM_SHELL, exit_code

        context = click.get_current_context()
        if context.find_root().obj is not FROM_SHELL:
            command(*args, **options)
            return
        inputs = max(1, len(options.get("sources") or ()))
        limits = Limits(timeout_s * inputs, memory_mb)

        def work() -> int:
            use_all()
            return exit_code(lambda: command(*args, **options))

        context.exit(supervised(work, limits))

    return limit_options(run)


def sources_argument(command: Callable[..., Any]) -> Callable[..., Any]:
    """One or more files; patterns that the shell left alone are expanded."""
    return click.argument("sources", nargs=-1, required=True, metavar="FILE...")(command)


def expanded(sources: tuple[str, ...]) -> list[Path]:
    """The files that ``sources`` name, patterns included.

    Raises
    ------
    UsageError
        If a pattern matches nothing.
    """
    found: list[Path] = []
    for source in sources:
        if Path(source).exists() or not glob.has_magic(source):
            found.append(Path(source))
            continue
        matches = [path for path in map(Path, sorted(glob.glob(source))) if path.is_file()]
        if not matches:
            raise UsageError(f"No file matches {source!r}.", hint="Check the pattern.")
        found += matches
    return found


json_option = click.option("--json", "as_json", is_flag=True, help="The whole result as JSON.")


@dataclass(frozen=True)
class Target:
    """Where output goes: into a folder, or to a path without suffix; None beside the input."""

    path: Path | None
    is_folder: bool


class TargetType(click.ParamType):
    """A path that is a folder if it exists as one or ends with a separator."""

    name = "path"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Target:
        if isinstance(value, Target):
            return value
        path = Path(value)
        return Target(path, path.is_dir() or str(value).endswith(("/", "\\")))
