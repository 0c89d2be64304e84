"""``ecg4u compare``: a digitized record (or page) against its digital original."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ecg4u._options import json_option
from ecg4u.cli import say
from ecg4u.cli.options import check_kept, each, expanded, limited_each
from ecg4u.errors import UsageError
from ecg4u.words import printable

if TYPE_CHECKING:
    from ecg4u.compare import LeadScore
    from ecg4u.record import ECGRecord

COLUMNS = (
    ("SNR dB", "snr_db", ".1f"),
    ("no shift", "snr_unshifted_db", ".1f"),
    ("r", "r", ".3f"),
    ("RMSE mV", "rmse_mv", ".3f"),
    ("covered", "covered", ".0%"),
    ("shift ms", "shift_s", ".0f"),
    ("offset mV", "offset_mv", "+.3f"),
)


@click.command()
@click.argument("original", type=click.Path(path_type=Path))
@click.argument("digitized", nargs=-1, required=True, metavar="DIGITIZED...")
@click.option(
    "--overlay",
    type=click.Path(path_type=Path),
    help="Write an HTML page with both traces, lead by lead.",
)
@json_option
@limited_each
def compare(
    original: Path, digitized: tuple[str, ...], overlay: Path | None, as_json: bool
) -> None:
    """Score each DIGITIZED (a record, or a page) against ORIGINAL, lead by lead.

    The SNR is that of the PhysioNet Challenge 2024: after the best shift in time (at most 0.5 s)
    and voltage (at most 1 mV), multiplied by the fraction of the shown stretch that was digitized.
    """
    files = expanded(digitized)
    if len(files) > 1 and overlay is not None:
        raise UsageError(
            "Several comparisons cannot be drawn in one file.", hint="Compare one at a time."
        )
    check_kept([original, *files], [overlay])

    def one(source: Path) -> None:
        from ecg4u.compare import compare_records

        reference, estimate = _record(original), _record(source)
        scores = compare_records(reference, estimate)
        if not any(scores.values()):
            raise UsageError(
                "The original has no samples in any lead.", hint="Give the original record first."
            )
        if overlay is not None:
            from ecg4u.io import write_atomically
            from ecg4u.report.comparison import comparison_html

            write_atomically(overlay, comparison_html(reference, estimate, scores))
            click.echo(str(overlay), err=True)
        if as_json:
            found = {name: score and asdict(score) for name, score in scores.items()}
            say.as_json(found, of=source if len(files) > 1 else None)
            return
        if len(files) > 1:
            click.echo(f"== {printable(source.name)}")
        _table(scores)

    each(files, one)


def _record(source: Path) -> ECGRecord:
    from ecg4u.analysis import analyse

    return analyse(source, classify=False, explain=False).record


def _table(scores: dict[str, LeadScore | None]) -> None:
    click.echo("lead  " + "  ".join(f"{title:>9s}" for title, _, _ in COLUMNS))
    known = [score for score in scores.values() if score is not None]
    for name, score in scores.items():
        if score is not None:
            _line(name, [score])
    _line("mean", known)


def _line(name: str, scores: Sequence[LeadScore]) -> None:
    """One line of the table: the mean of ``scores``."""
    cells = []
    for _, key, form in COLUMNS:
        value = sum(getattr(score, key) for score in scores) / len(scores)
        cells.append(f"{1000 * value if key == 'shift_s' else value:{form}}".rjust(9))
    click.echo(f"{name:5s} " + "  ".join(cells))
