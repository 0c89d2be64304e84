"""``digitize``, ``classify``, ``explain`` and ``report``: pages and records, one or many."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ecg4u._options import export_options, formats_option, json_option
from ecg4u.cli import NOTICE, say
from ecg4u.cli.options import (
    CommandOptions,
    Target,
    TargetType,
    check_kept,
    check_names,
    check_png,
    each,
    expanded,
    limited_each,
    read_options,
    sources_argument,
)
from ecg4u.errors import ECG4UError, SidecarError, UsageError
from ecg4u.texts import LANGUAGES, SOURCE
from ecg4u.words import printable

if TYPE_CHECKING:
    from ecg4u.analysis import Analysis
    from ecg4u.model import Classifier


@click.command(epilog=NOTICE)
@sources_argument
@click.option(
    "-o",
    "--out",
    type=TargetType(),
    help="Folder (created if missing), or path without suffix. Default: next to the page.",
)
@formats_option
@click.option(
    "--overlay",
    type=click.Path(path_type=Path),
    help="Write a PNG of the page with its traces drawn over it.",
)
@json_option
@read_options()
@limited_each
def digitize(
    sources: tuple[str, ...],
    out: Target | None,
    formats: Sequence[str],
    overlay: Path | None,
    as_json: bool,
    options: CommandOptions,
) -> None:
    """Turn pages into signals and print the names of the files written.

    A .page.json next to the signals holds what was found on the page: correct it and pass it back
    with --sidecar.
    """
    files = expanded(sources)
    if len(files) > 1 and (overlay is not None or (out is not None and not out.is_folder)):
        raise UsageError(
            "Several pages cannot be written to one file.",
            stage="output",
            hint="Give -o a folder (ending in a slash) and leave out --overlay.",
        )
    if out is not None:
        check_names(files)
    check_kept(files, [overlay])
    if overlay is not None:
        check_png(overlay)

    def one(source: Path) -> None:
        base = _signal_base(source, options.page, out, formats)
        of = _among(files, source)
        analysis = _analyse(source, replace(options, classify=False, explain=False), of)
        written = _write_signals(analysis, base, formats, options)
        written += _write_overlay(analysis, overlay)
        if not options.quiet:
            say.quality(analysis, of)
        if as_json:
            values = {**analysis.to_dict(), "written": [path.name for path in written]}
            say.as_json(values, of=source if len(files) > 1 else None)
        else:
            for path in written:
                click.echo(str(path))

    each(files, one)


@click.command(epilog=NOTICE)
@sources_argument
@click.option(
    "--labels",
    is_flag=True,
    help="FILE is a folder of labelled records: print how well the classifier does on it.",
)
@json_option
@read_options(patient=True)
@limited_each
def classify(
    sources: tuple[str, ...], labels: bool, as_json: bool, options: CommandOptions
) -> None:
    """List what is found on pages or records: urgent findings first, then the nine classes."""
    if labels:
        each([Path(sources[0])], lambda _: _print_figures(sources, as_json, options.weights))
        return

    def words(analysis: Analysis) -> None:
        say.summary(analysis)
        say.class_table(analysis)
        say.signal(analysis)

    # Findings need measurements, but no attribution, which takes several times as long.
    _answer(sources, as_json, replace(options, classes=()), words)


def _print_figures(sources: tuple[str, ...], as_json: bool, weights: Path | None) -> None:
    """`ecg4u.model.labelled.figures` of one folder."""
    from ecg4u.model.classifier import default_classifier
    from ecg4u.model.labelled import figures

    if len(sources) != 1 or not Path(sources[0]).is_dir():
        raise UsageError(
            "--labels needs one folder of labelled recordings.",
            stage="read",
            hint="Give a folder of .hea files with #Dx: codes, or with a REFERENCE.csv.",
        )
    found = figures(Path(sources[0]), _classifier(weights) or default_classifier())
    if as_json:
        say.as_json(found.to_dict())
    else:
        click.echo(str(found))


@click.command(epilog=NOTICE)
@sources_argument
@json_option
@read_options(patient=True)
@limited_each
def explain(sources: tuple[str, ...], as_json: bool, options: CommandOptions) -> None:
    """Explain pages or records in words, with the numbers behind them."""

    def words(analysis: Analysis) -> None:
        say.summary(analysis)
        click.echo(f"\n{analysis.explanation}")
        if analysis.explanation is not None and analysis.explanation.conflicts:
            lines = ("Network and measurements disagree:", *analysis.explanation.conflicts)
            click.echo("\n  ".join(lines))
        say.signal(analysis)

    _answer(sources, as_json, options, words)


@click.command(epilog=NOTICE)
@sources_argument
@click.option(
    "-o",
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="Output folder; with several inputs, one folder for each inside it.",
)
@formats_option
@export_options
@click.option(
    "--language",
    type=click.Choice(LANGUAGES),
    default=SOURCE,
    show_default=True,
    help="Language of headings and labels in report.html (drafts); findings stay in English.",
)
@json_option
@read_options(patient=True)
@limited_each
def report(
    sources: tuple[str, ...],
    out: Path,
    formats: Sequence[str],
    exports: Sequence[str],
    language: str,
    as_json: bool,
    options: CommandOptions,
) -> None:
    """Write signals, result.json and report.html, and print the summary."""
    files = expanded(sources)
    check_names(files)

    def one(source: Path) -> None:
        from ecg4u.io import record_paths
        from ecg4u.report import write
        from ecg4u.report.exports import FILES, check

        check(exports)
        folder = out if len(files) == 1 else out / source.stem
        results = [path for name in formats for path in record_paths(folder / "signals", name)]
        results += [folder / name for kind in exports for name in FILES[kind]]
        check_kept(files, results)
        analysis = _analyse(source, options, _among(files, source))
        written = write(analysis, folder, formats, exports=exports, language=language)
        written += _leave_sidecar(analysis, folder / "signals", options)
        for path in () if options.quiet else written:
            click.echo(str(path), err=True)
        if as_json:
            say.as_json(analysis.to_dict(), of=source if len(files) > 1 else None)
        else:
            if len(files) > 1:
                click.echo(f"== {printable(source.name)}")
            say.summary(analysis)

    each(files, one)


def _answer(
    sources: tuple[str, ...],
    as_json: bool,
    options: CommandOptions,
    words: Callable[[Analysis], None],
) -> None:
    files = expanded(sources)

    def one(source: Path) -> None:
        analysis = _analyse(source, options, _among(files, source))
        if as_json:
            say.as_json(analysis.to_dict(), of=source if len(files) > 1 else None)
            return
        if len(files) > 1:
            click.echo(f"== {printable(source.name)}")
        words(analysis)
        if len(files) > 1:
            click.echo("")

    each(files, one)
    if not options.quiet:
        click.echo(NOTICE, err=True)


def _among(files: Sequence[Path], source: Path) -> str:
    """What messages about an input begin with: its name where there are several."""
    return f"{printable(source.name)}: " if len(files) > 1 else ""


def _analyse(source: Path, options: CommandOptions, of: str) -> Analysis:
    """The answer; ``of`` stands before what is said about the input on the way."""
    from ecg4u.analysis import read

    ahead = _load_ahead if options.classify else None
    analysis = read(
        source,
        options,
        classifier=_classifier(options.weights) if options.classify else None,
        progress=say.stages(ahead) if options.verbose else ahead,
    )
    if options.verbose:
        say.seconds(analysis)
    if options.quiet:
        return analysis
    n_pages = 1 if analysis.digitization is None else analysis.digitization.page.n_pages
    if n_pages > 1:
        click.echo(
            f"{of}page {options.page} of {n_pages}: --page selects another, ecg4u batch reads all.",
            err=True,
        )
    for warning in analysis.warnings:
        click.echo(f"warning: {of}{warning}", err=True)
    return analysis


def _classifier(weights: Path | None) -> Classifier | None:
    """The classifier in a folder; None is the package's own."""
    if weights is None:
        return None
    from ecg4u.model.classifier import loaded

    return loaded(weights)


def _load_ahead(stage: str) -> None:
    """Import torch, which takes a second or two, while the page is digitized.

    Not earlier: what it takes would count as memory that decoding the page needs.
    """
    if stage == "digitize":
        threading.Thread(target=importlib.import_module, args=["torch"], daemon=True).start()


def _signal_base(source: Path, page: int, out: Target | None, formats: Sequence[str]) -> Path:
    """Where signals go: never over their own source, nor unasked over a record of other origin."""
    from ecg4u.io import is_record_file, record_paths

    name = source.stem if page == 1 else f"{source.stem}-{page}"
    if out is None or out.path is None:
        base = source.with_name(name)
    else:
        base = out.path / name if out.is_folder else out.path
    there = [path for format_ in formats for path in record_paths(base, format_) if path.exists()]
    own = is_record_file(source) and any(
        path.resolve().with_suffix("") == source.resolve().with_suffix("") for path in there
    )
    if own or (there and out is None and not _is_read_from(source, base)):
        raise UsageError(
            f"{there[0].name} already exists and would be overwritten.",
            stage="output",
            hint="Use -o to choose another path.",
        )
    return base


def _is_read_from(source: Path, base: Path) -> bool:
    """Whether the results at ``base`` are those of this very file: their sidecar names its hash."""
    from ecg4u.digitize.sidecar.model import Sidecar, sidecar_path
    from ecg4u.io import sha256_of

    try:
        return Sidecar.from_json(sidecar_path(base)).page_sha256 == sha256_of(source)
    except ECG4UError:
        return False


def _write_signals(
    analysis: Analysis, base: Path, formats: Sequence[str], options: CommandOptions
) -> list[Path]:
    from ecg4u.io import write_record

    written = [
        path
        for format_ in dict.fromkeys(formats)
        for path in write_record(analysis.record, base, format=format_)
    ]
    return written + _leave_sidecar(analysis, written[0].with_suffix(""), options)


def _write_overlay(analysis: Analysis, overlay: Path | None) -> list[Path]:
    if overlay is None:
        return []
    if analysis.digitization is None:
        raise UsageError(
            "A signal file has no page to draw on.", stage="read", hint="Omit --overlay."
        )
    from ecg4u.digitize.overlay import overlay_png
    from ecg4u.io import write_atomically
    from ecg4u.io.own import marked_png

    return [write_atomically(overlay, marked_png(overlay_png(analysis.digitization)))]


def _leave_sidecar(analysis: Analysis, base: Path, options: CommandOptions) -> list[Path]:
    """Write ``base``.page.json, unless a person's corrections are there that were not given."""
    if analysis.digitization is None or analysis.digitization.basis is None:
        return []
    from ecg4u.digitize.sidecar.model import Sidecar, sidecar_path
    from ecg4u.io import write_atomically

    path = sidecar_path(base)
    if options.sidecar is None and path.exists():
        try:
            kept = Sidecar.from_json(path).corrections != ()
        except SidecarError:
            kept = True
        if kept:
            click.echo(
                f"warning: {path.name} holds corrections and was kept: apply it with --sidecar, "
                "or delete it.",
                err=True,
            )
            return []
    return [write_atomically(path, analysis.digitization.basis.to_json())]
