"""Options that several commands share, as one value each."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial, wraps
from pathlib import Path
from typing import Any

import click

from ecg4u._options import (
    FiniteRange,
    gathered,
    limit_options,
    quiet_option,
    verbose_option,
)
from ecg4u.cores import use_all
from ecg4u.errors import BatchFailuresError, UsageError
from ecg4u.limits import Limits, supervised_each
from ecg4u.memory import keep_freed_memory
from ecg4u.options import DPI, GAINS_MM_PER_MV, OLDEST_YEARS, SPEEDS_MM_PER_S, ReadOptions

WFDB_SUFFIXES = (".hea", ".dat", ".mat", "")
_LIMITS = "ecg4u.limits"


@dataclass(frozen=True)
class CommandOptions(ReadOptions):
    """How the inputs of a command are read, by which network, and how much is said about it."""

    quiet: bool = False
    verbose: bool = False
    weights: Path | None = None


_READ = (
    click.option("--page", default=1, show_default=True, help="Page of a PDF or TIFF to read."),
    click.option(
        "--gain",
        "gain_mm_per_mv",
        type=FiniteRange(*GAINS_MM_PER_MV),
        help="Gain in mm/mV, if known.",
    ),
    click.option(
        "--speed",
        "speed_mm_per_s",
        type=FiniteRange(*SPEEDS_MM_PER_S),
        help="Paper speed in mm/s, if known.",
    ),
    click.option(
        "--dpi",
        type=FiniteRange(*DPI),
        help="Scan resolution, for a page without a grid or calibration pulse.",
    ),
    click.option(
        "--sidecar",
        type=click.Path(path_type=Path),
        help="A hand-corrected .page.json of this page to continue from.",
    ),
    verbose_option("stages and their times"),
    quiet_option,
)
_JUDGED = (
    click.option("--sex", type=click.Choice(["F", "M"]), help="Used for the limits of ST and QTc."),
    click.option(
        "--age", type=FiniteRange(0, OLDEST_YEARS), help="In years; used for the limits of ST."
    ),
    click.option(
        "--weights",
        type=click.Path(path_type=Path),
        help="Folder with your own classifier, as written by training.export.",
    ),
)


def read_options(*, patient: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command its options for reading as one `CommandOptions` called ``options``."""
    return gathered(CommandOptions, "options", *_READ, *(_JUDGED if patient else ()))


def limited_each(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command that leaves its work to `each` ``--timeout`` and ``--memory``."""

    @wraps(command)
    def run(*args: Any, timeout_s: float, memory_mb: int, **options: Any) -> Any:
        from ecg4u.cli import FROM_SHELL

        context = click.get_current_context()
        if context.find_root().obj is FROM_SHELL:
            context.meta[_LIMITS] = Limits(timeout_s, memory_mb)
        return command(*args, **options)

    return limit_options(run)


def each(files: Sequence[Path], work: Callable[[Path], None]) -> None:
    """Do ``work`` on each file, each within the limits of one input; of several, one that fails is
    named and harms no other.

    Call it before anything heavy is imported.
    """
    from ecg4u.cli import INTERRUPTED, exit_code, say_error

    context = click.get_current_context()
    limits = context.meta.get(_LIMITS)
    if len(files) == 1 and limits is None:
        work(files[0])
        return
    names = [file.name if len(files) > 1 else "" for file in files]

    def code_of(file: Path, name: str) -> int:
        if limits is not None:
            keep_freed_memory()
            use_all(limits.memory_mb)
        return exit_code(lambda: work(file), name)

    works = [partial(code_of, *pair) for pair in zip(files, names, strict=True)]
    failed = 0
    ends = (one() for one in works) if limits is None else supervised_each(works, limits)
    for number, end in enumerate(ends):
        code = end if isinstance(end, int) else say_error(end, names[number])
        if code == INTERRUPTED:
            raise KeyboardInterrupt
        if code and len(files) == 1:
            context.exit(code)
        failed += code != 0
    if failed:
        raise BatchFailuresError(
            f"{failed} of {len(files)} inputs failed.", hint="The reasons are listed above."
        )


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


def check_names(files: Sequence[Path]) -> None:
    """Raise UsageError where the results of two inputs would get one name in one folder."""
    from ecg4u.words import printable

    seen: set[str] = set()
    for file in files:
        if file.stem in seen:
            raise UsageError(
                f"Two inputs are called {printable(file.stem)}; one's results would overwrite the "
                "other's.",
                stage="output",
                hint="Give each its own -o, or use ecg4u batch.",
            )
        seen.add(file.stem)


def check_kept(inputs: Iterable[Path], results: Iterable[Path | None]) -> None:
    """Raise UsageError where a result would take the place of an input, or of a WFDB record's other
    file."""
    from ecg4u.words import printable

    kept = set()
    for path in inputs:
        kept.add(path.resolve())
        if path.suffix.lower() in WFDB_SUFFIXES:
            kept |= {path.with_suffix(suffix).resolve() for suffix in WFDB_SUFFIXES if suffix}
    for result in results:
        if result is not None and result.resolve() in kept:
            raise UsageError(
                f"{printable(result.name)} is an input and would be overwritten.",
                stage="output",
                hint="Choose another path for the result.",
            )


def check_png(path: Path) -> None:
    """Raise UsageError where the name of a picture says that it is anything but a PNG."""
    if path.suffix.lower() not in ("", ".png"):
        raise UsageError(
            "Pictures are written as PNG.", stage="output", hint="Choose a name that ends in .png."
        )


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
