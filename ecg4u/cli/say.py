"""What the commands print: data on stdout, words about them on stderr."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pathlib import Path

    from ecg4u.analysis import Analysis


def as_json(values: Any, *, of: Path | None = None) -> None:
    """Values as JSON, indented; or as one line that names the input they are ``of``, where several
    results follow each other."""
    if of is not None:
        values = {"input": str(of), **values}
    indent = 1 if of is None else None
    click.echo(json.dumps(values, indent=indent, ensure_ascii=False, allow_nan=False))


def stages(then: Callable[[str], None] | None) -> Callable[[str], None]:
    """A callback that says when a stage begins, before it calls ``then``, if there is one."""
    begun = time.perf_counter()

    def tell(stage: str) -> None:
        click.echo(f"{time.perf_counter() - begun:6.2f} s  {stage}", err=True)
        if then is not None:
            then(stage)

    return tell


def seconds(analysis: Analysis) -> None:
    """How long each stage took, those of the digitizer singly."""
    spent = dict(analysis.timings_s)
    if analysis.digitization is not None:
        spent |= {f"  {name}": s for name, s in analysis.digitization.timings_s.items()}
    for name, value in spent.items():
        click.echo(f"{value:6.2f} s  in {name}", err=True)


def summary(analysis: Analysis) -> None:
    """What matters first, in the order of the report."""
    for line in analysis.summary:
        mark = {"urgent": "!! ", "doubt": "?  "}.get(line.kind, "   ")
        click.echo(f"{mark}{line}")


def class_table(analysis: Analysis) -> None:
    """The nine classes with probability and threshold."""
    if analysis.classification is None:
        return
    click.echo("\n   class    probability  threshold")
    for row in analysis.classification.results:
        mark = "*" if row.positive else " "
        click.echo(f" {mark} {row.name:7s}  {row.probability:11.3f}  {row.threshold:9.3f}")


def signal(analysis: Analysis) -> None:
    """Whether the signal may be relied on."""
    from ecg4u.explain.summary import signal_line

    if analysis.classification is not None:
        click.echo(f"\n{signal_line(analysis.classification)}")


def quality(analysis: Analysis, of: str) -> None:
    """Grades of page and leads with their reasons; ``of`` stands before them."""
    if analysis.digitization is None:
        return
    page = analysis.digitization.to_dict()
    scale = page["calibration"]
    chest = ""
    if scale["chest_gain_mm_per_mv"] != scale["gain_mm_per_mv"]:
        chest = f", chest leads {scale['chest_gain_mm_per_mv']:g} ({scale['chest_gain_from']})"
    click.echo(
        f"{of}page: {page['grade']}, layout {page['layout']['name']}, "
        f"{scale['gain_mm_per_mv']:g} mm/mV ({scale['gain_from']}){chest}, "
        f"{scale['speed_mm_per_s']:g} mm/s ({scale['speed_from']})"
        + "".join(f"\n  {reason}" for reason in page["grade_reasons"]),
        err=True,
    )
    click.echo("lead  grade    read   confidence  Einthoven  named by", err=True)
    for name, lead in page["leads"].items():
        confidence, residual = lead["confidence"], lead["einthoven_residual_mv"]
        click.echo(
            f"{name:5s} {lead['grade']:8s} {lead['coverage']:5.0%}  "
            f"{'-' if confidence is None else format(confidence, '10.2f'):>10s}  "
            f"{'-' if residual is None else format(residual, '.3f') + ' mV':>9s}  "
            f"{lead['named_by'] or '-'}",
            err=True,
        )
