"""The command line: ``ecg4u digitize | classify | explain | report | info | batch | serve``."""

from __future__ import annotations

import functools
import importlib
import io
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from ecg4u import __version__
from ecg4u._options import FiniteRange, limit_options
from ecg4u.errors import ECG4UError, SidecarError, UsageError
from ecg4u.limits import Limits, is_out_of_memory, supervised, too_much_memory, where

if TYPE_CHECKING:
    from ecg4u.analysis import Analysis
    from ecg4u.model import Classification

LAZY = {
    "batch": ("ecg4u.batch.command", "batch", "Many pages at once, resumable."),
    "serve": ("ecg4u.web.command", "serve", "The web page and the API."),
}
FORMATS = ("wfdb", "csv", "hdf5", "edf", "dicom")
NOTICE = "Research and teaching aid, not a medical device."
INTERRUPTED = 130
FROM_SHELL = object()
"""Marks a call by `main`, whose process is the command's own."""


class _Commands(click.Group):
    """A group that imports ``batch`` and ``serve`` only when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *LAZY])

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in LAZY:
            return super().get_command(ctx, name)
        module, attribute, _ = LAZY[name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = []
        for name in self.list_commands(ctx):
            if name in LAZY:
                rows.append((name, LAZY[name][2]))
            else:
                command = super().get_command(ctx, name)
                assert command is not None
                rows.append((name, command.get_short_help_str(70)))
        with formatter.section("Commands"):
            formatter.write_dl(rows)


@click.group(cls=_Commands, epilog=NOTICE, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ecg4u")
def cli() -> None:
    """Paper ECGs become twelve signals, nine likely diagnoses and reasons to check."""


def _page_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options of every command that may read a page."""
    for option in (
        click.option("--page", default=1, show_default=True, help="Page of a PDF or TIFF."),
        click.option("--gain", type=FiniteRange(1, 80), help="mm/mV, if you know it."),
        click.option("--speed", type=FiniteRange(5, 200), help="mm/s, if you know it."),
        click.option(
            "--dpi",
            type=FiniteRange(50, 2400),
            help="Resolution of a page without a grid, where its pulses do not tell the scale.",
        ),
        click.option(
            "--sidecar",
            type=click.Path(path_type=Path),
            help="Go on from this .page.json, which you may have corrected.",
        ),
    ):
        command = option(command)
    return command


def _patient_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What some criteria depend on."""
    for option in (
        click.option("--sex", type=click.Choice(["F", "M"]), help="For the limits of ST and QTc."),
        click.option("--age", type=FiniteRange(0, 130), help="Years; for the limits of ST."),
    ):
        command = option(command)
    return command


def _limited(command: Callable[..., Any]) -> Callable[..., Any]:
    """Run a command in a process of its own, within ``--timeout`` and ``--memory``.

    Only where `main` called it: a program that calls the command itself keeps what it imports.
    """

    @functools.wraps(command)
    def run(*args: Any, timeout_s: float, memory_mb: int, **options: Any) -> None:
        context = click.get_current_context()
        if context.find_root().obj is not FROM_SHELL:
            command(*args, **options)
            return
        context.exit(
            supervised(
                lambda: _exit_code(lambda: command(*args, **options)), Limits(timeout_s, memory_mb)
            )
        )

    return limit_options(run)


def _analyse(
    source: Path,
    page: int,
    gain: float | None,
    speed: float | None,
    dpi: float | None,
    sidecar: Path | None,
    *,
    classify: bool = True,
    explain: bool = True,
    age: float | None = None,
    sex: Literal["F", "M"] | None = None,
) -> Analysis:
    from ecg4u.analysis import analyse

    found = None
    if sidecar is not None:
        from ecg4u.digitize.sidecar import Sidecar

        found = Sidecar.from_json(sidecar)
    analysis = analyse(
        source,
        page=page,
        gain_mm_per_mv=gain,
        speed_mm_per_s=speed,
        dpi=dpi,
        sidecar=found,
        classify=classify,
        explain=explain,
        age=age,
        sex=sex,
    )
    n_pages = 1 if analysis.digitization is None else analysis.digitization.page.n_pages
    if n_pages > 1:
        click.echo(
            f"page {page} of {n_pages}: --page reads another, ecg4u batch all of them.", err=True
        )
    for warning in analysis.warnings:
        click.echo(f"warning: {warning}", err=True)
    return analysis


def _signal_base(source: Path, page: int, out: Path | None, format_: str) -> Path:
    """Where signals go: never over their own source, nor unasked over a record of other making."""
    from ecg4u.io import is_record_file, record_paths

    name = source.stem if page == 1 else f"{source.stem}-{page}"
    base = source.with_name(name) if out is None else out / name if out.is_dir() else out
    there = [path for path in record_paths(base, format_) if path.exists()]
    own = is_record_file(source) and any(
        path.resolve().with_suffix("") == source.resolve().with_suffix("") for path in there
    )
    if own or (there and out is None and not _is_read_from(source, base)):
        raise UsageError(
            f"{there[0].name} stands there already and would be overwritten.",
            stage="output",
            hint="Say with -o where the signals shall go.",
        )
    return base


def _is_read_from(source: Path, base: Path) -> bool:
    """Whether the results at ``base`` are those of this very file: their sidecar names its hash."""
    from ecg4u.digitize.sidecar import Sidecar, sidecar_path
    from ecg4u.io import sha256_of

    try:
        return Sidecar.from_json(sidecar_path(base)).page_sha256 == sha256_of(source)
    except ECG4UError:
        return False


def _leave_sidecar(analysis: Analysis, base: Path, given: Path | None) -> list[Path]:
    """Write ``base``.page.json, unless a person's corrections stand there that were not given."""
    if analysis.digitization is None or analysis.digitization.basis is None:
        return []
    from ecg4u.digitize.sidecar import Sidecar, sidecar_path
    from ecg4u.io import write_atomically

    path = sidecar_path(base)
    if given is None and path.exists():
        try:
            kept = Sidecar.from_json(path).corrections != ()
        except SidecarError:
            kept = True
        if kept:
            click.echo(
                f"warning: {path.name} holds corrections and was kept: use it with --sidecar, "
                "or delete it.",
                err=True,
            )
            return []
    return [write_atomically(path, analysis.digitization.basis.to_json())]


def _say_quality(analysis: Analysis) -> None:
    """Grades with their reasons, page and leads, for the person at the terminal."""
    if analysis.digitization is None:
        return
    page = analysis.digitization.to_dict()
    scale = page["calibration"]
    chest = ""
    if scale["chest_gain_mm_per_mv"] != scale["gain_mm_per_mv"]:
        chest = f", chest {scale['chest_gain_mm_per_mv']:g} ({scale['chest_gain_from']})"
    click.echo(
        f"page: {page['grade']}, layout {page['layout']['name']}, "
        f"{scale['gain_mm_per_mv']:g} mm/mV ({scale['gain_from']}){chest}, "
        f"{scale['speed_mm_per_s']:g} mm/s ({scale['speed_from']})"
        + "".join(f"\n  {reason}" for reason in page["grade_reasons"]),
        err=True,
    )
    click.echo("lead  grade    found  confidence  Einthoven  name from", err=True)
    for name, lead in page["leads"].items():
        confidence, residual = lead["confidence"], lead["einthoven_residual_mv"]
        click.echo(
            f"{name:5s} {lead['grade']:8s} {lead['coverage']:5.0%}  "
            f"{'-' if confidence is None else format(confidence, '10.2f'):>10s}  "
            f"{'-' if residual is None else format(residual, '.3f') + ' mV':>9s}  "
            f"{lead['named_by'] or '-'}",
            err=True,
        )


def _say_verdict(said: Classification) -> None:
    reasons = "".join(f"\n  {reason}" for reason in said.reasons)
    click.echo(f"The network's verdict on this ECG: {said.verdict}{reasons}")


def _print_json(values: Any) -> None:
    click.echo(json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False))


SOURCE = click.argument("source", type=click.Path(path_type=Path))


@cli.command()
@SOURCE
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="Folder, or path without suffix. Default: beside the page.",
)
@click.option("--format", "format_", type=click.Choice(FORMATS), default="wfdb", show_default=True)
@click.option("--overlay", type=click.Path(path_type=Path), help="PNG: the traces on the page.")
@_page_options
@_limited
def digitize(
    source: Path,
    out: Path | None,
    format_: str,
    overlay: Path | None,
    page: int,
    gain: float | None,
    speed: float | None,
    dpi: float | None,
    sidecar: Path | None,
) -> None:
    """Turn a page into signals; prints what was found as JSON.

    Beside the signals it leaves a .page.json of what was found: correct it and hand it back with
    --sidecar.
    """
    from ecg4u.io import write_atomically, write_record

    base = _signal_base(source, page, out, format_)
    analysis = _analyse(source, page, gain, speed, dpi, sidecar, classify=False, explain=False)
    if overlay is not None and analysis.digitization is None:
        raise UsageError(
            "A record of signals has no page to draw on.", stage="read", hint="Omit --overlay."
        )
    written = [*write_record(analysis.record, base, format=format_)]
    written += _leave_sidecar(analysis, written[0].with_suffix(""), sidecar)
    if overlay is not None and analysis.digitization is not None:
        from ecg4u.digitize.overlay import overlay_png

        written.append(write_atomically(overlay, overlay_png(analysis.digitization)))
    _say_quality(analysis)
    _print_json({**analysis.to_dict(), "written": [path.name for path in written]})


@cli.command()
@SOURCE
@click.option("--json", "as_json", is_flag=True, help="All of it as JSON.")
@_page_options
@_limited
def classify(
    source: Path,
    as_json: bool,
    page: int,
    gain: float | None,
    speed: float | None,
    dpi: float | None,
    sidecar: Path | None,
) -> None:
    """The nine classes of a page or record, with probability and threshold."""
    analysis = _analyse(source, page, gain, speed, dpi, sidecar, explain=False)
    said = analysis.classification
    assert said is not None
    if as_json:
        _print_json(analysis.to_dict())
        return
    for result in said.results:
        mark = "*" if result.positive else " "
        click.echo(
            f"{mark} {result.name:7s} {result.probability:6.3f}  threshold {result.threshold:.3f}"
        )
    _say_verdict(said)
    click.echo(NOTICE, err=True)


@cli.command()
@SOURCE
@click.option("--json", "as_json", is_flag=True, help="All of it as JSON.")
@_page_options
@_patient_options
@_limited
def explain(
    source: Path,
    as_json: bool,
    page: int,
    gain: float | None,
    speed: float | None,
    dpi: float | None,
    sidecar: Path | None,
    age: float | None,
    sex: Literal["F", "M"] | None,
) -> None:
    """The reading of a page or record in words, with the numbers behind it."""
    analysis = _analyse(source, page, gain, speed, dpi, sidecar, age=age, sex=sex)
    if as_json:
        _print_json(analysis.to_dict())
        return
    assert analysis.explanation is not None
    click.echo(str(analysis.explanation))
    assert analysis.classification is not None
    if analysis.explanation.conflicts:
        click.echo("\n  ".join(("Conflicts:", *analysis.explanation.conflicts)))
    _say_verdict(analysis.classification)
    click.echo(NOTICE, err=True)


@cli.command()
@SOURCE
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Folder.")
@click.option(
    "--format",
    "formats",
    type=click.Choice(FORMATS),
    multiple=True,
    default=("wfdb",),
    show_default=True,
    help="Of the signals; may be given several times.",
)
@_page_options
@_patient_options
@_limited
def report(
    source: Path,
    out: Path,
    formats: Sequence[str],
    page: int,
    gain: float | None,
    speed: float | None,
    dpi: float | None,
    sidecar: Path | None,
    age: float | None,
    sex: Literal["F", "M"] | None,
) -> None:
    """Signals, result.json and report.html of one page or record."""
    from ecg4u.report import write

    analysis = _analyse(source, page, gain, speed, dpi, sidecar, age=age, sex=sex)
    for path in [
        *write(analysis, out, formats),
        *_leave_sidecar(analysis, out / "signals", sidecar),
    ]:
        click.echo(str(path))
    click.echo(NOTICE, err=True)


@cli.command()
@click.argument("source", required=False, type=click.Path(path_type=Path))
@_limited
def info(source: Path | None) -> None:
    """Versions and models; with SOURCE, what kind of file it is."""
    from ecg4u.analysis import versions

    found: dict[str, Any] = {"versions": versions()}
    if source is not None:
        from ecg4u.io import count_pages, is_record_file, read_record

        if is_record_file(source):
            record = read_record(source)
            found["record"] = {
                "fs": record.fs,
                "duration_s": record.duration_s,
                "coverage": record.coverage(),
            }
        else:
            found["pages"] = count_pages(source)
    else:
        from ecg4u.model import Classifier

        found["classifier"] = Classifier().card
    _print_json(found)


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point: typed errors become one line, a remedy and their exit code."""
    arguments = None if argv is None else list(argv)
    for stream in (sys.stdout, sys.stderr):  # a file's name need not be UTF-8
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(_exit_code(lambda: cli.main(arguments, standalone_mode=False, obj=FROM_SHELL)))


def _exit_code(call: Callable[[], Any]) -> int:
    """0, or the code of what `call` raises, once that was said."""
    try:
        code = call()
        return code if isinstance(code, int) else 0
    except ECG4UError as error:
        return _say_error(error)
    except click.exceptions.Exit as end:
        return end.exit_code
    except (click.exceptions.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except Exception as error:
        if is_out_of_memory(error):
            return _say_error(too_much_memory())
        if os.environ.get("ECG4U_DEBUG"):
            raise
        hint = "Please report it, with what ECG4U_DEBUG=1 in the environment brings up."
        return _say_error(ECG4UError(f"An internal error: {where(error)}.", hint=hint))


def _say_error(error: ECG4UError) -> int:
    click.echo(f"error: {error.message}", err=True)
    if error.hint:
        click.echo(f"  {error.hint}", err=True)
    return error.exit_code


if __name__ == "__main__":
    main()
