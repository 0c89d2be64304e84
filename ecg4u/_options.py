"""Options that several commands share."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from ecg4u.limits import MAX_MEMORY_MB, MAX_TIMEOUT_S, MEMORY_MB, TIMEOUT_S
from ecg4u.options import FORMATS

LEAST_MEMORY_MB = 500


class FiniteRange(click.FloatRange):
    """A number within bounds; unlike `click.FloatRange`, it refuses nan."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number.

        Raises
        ------
        click.BadParameter
            If it is none, or out of bounds.
        """
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


def gathered(kind: type, name: str, *options: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command its ``options``, in the order of ``--help``, as one ``kind`` called ``name``.

    ``kind`` is a dataclass with a field for each.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def run(*args: Any, **values: Any) -> Any:
            fields = kind.__dataclass_fields__  # type: ignore[attr-defined]
            mine = {field: values.pop(field) for field in list(values) if field in fields}
            return command(*args, **{name: kind(**mine)}, **values)

        decorated: Callable[..., Any] = run
        for option in reversed(options):
            decorated = option(decorated)
        return decorated

    return decorate


format_option = click.option(
    "--format",
    type=click.Choice(FORMATS),
    default="wfdb",
    show_default=True,
    help="Format of the signals.",
)
formats_option = click.option(
    "--format",
    "formats",
    type=click.Choice(FORMATS),
    multiple=True,
    default=("wfdb",),
    show_default=True,
    help="Format of the signals; may be repeated.",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print the whole result as JSON."
)
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Print only errors to stderr.")


def verbose_option(what: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """``-v``: also ``what`` on stderr."""
    return click.option("-v", "--verbose", is_flag=True, help=f"Also print {what} to stderr.")


def jobs_option(default: int | None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """``-j`` of what has worker processes; a ``default`` of None is one for each core."""
    words = "Worker processes; 0 runs in this process."
    return click.option(
        "-j",
        "--jobs",
        type=click.IntRange(0, 1024),
        default=default,
        show_default=default is not None,
        help=words if default is not None else f"{words} Default: one per core.",
    )


def limit_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--timeout`` and ``--memory`` of one input, alike in all commands."""
    for option in (
        click.option(
            "--memory",
            "--memory-mb",
            "memory_mb",
            type=click.IntRange(LEAST_MEMORY_MB, MAX_MEMORY_MB),
            default=MEMORY_MB,
            show_default=True,
            help="Memory limit for one input, in MB.",
        ),
        click.option(
            "--timeout",
            "timeout_s",
            type=FiniteRange(0.01, MAX_TIMEOUT_S),
            default=TIMEOUT_S,
            show_default=True,
            help="CPU time limit for one input, in seconds (in wall-clock time ten times that).",
        ),
    ):
        command = option(command)
    return command


def export_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--pdf``, ``--dicom`` and ``--fhir``, which the command gets as one tuple ``exports``."""

    @wraps(command)
    def gathered(*, pdf: bool, dicom: bool, fhir: bool, **values: Any) -> Any:
        chosen = {"pdf": pdf, "dicom": dicom, "fhir": fhir}
        return command(exports=tuple(kind for kind, asked in chosen.items() if asked), **values)

    decorated: Callable[..., Any] = gathered
    for option in (
        click.option(
            "--fhir",
            is_flag=True,
            help="Also write fhir.json (DiagnosticReport and Observations, R4).",
        ),
        click.option(
            "--dicom", is_flag=True, help="Also write signals.dcm (waveform) and report.dcm (PDF)."
        ),
        click.option("--pdf", is_flag=True, help="Also write report.pdf (one A4 page)."),
    ):
        decorated = option(decorated)
    return decorated
