"""``ecg4u info``: versions and models, or what a file holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ecg4u._options import json_option
from ecg4u.cli import say
from ecg4u.cli.options import each, expanded, limited_each
from ecg4u.words import printable


@click.command()
@click.argument("sources", nargs=-1, metavar="[FILE...]")
@click.option("--card", is_flag=True, help="The classifier's full model card, as JSON.")
@json_option
@limited_each
def info(sources: tuple[str, ...], card: bool, as_json: bool) -> None:
    """Show versions and models; with FILEs, what they contain."""
    if card:
        from ecg4u.model import Classifier

        say.as_json(Classifier().card)
        return
    if not sources:
        _show(_of_package(), as_json, None)
        return
    files = expanded(sources)
    several = len(files) > 1
    each(files, lambda source: _show(_of_file(source), as_json, source if several else None))


def _show(found: dict[str, Any], as_json: bool, of: Path | None) -> None:
    """As JSON or as lines, after the name of the input where there are several."""
    if as_json:
        say.as_json(found, of=of)
        return
    if of is not None:
        click.echo(f"== {printable(of.name)}")
    for name, value in found.items():
        click.echo(f"{name:16s} {_in_words(value)}")


def _in_words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_in_words(part)}" for name, part in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)


def _of_package() -> dict[str, Any]:
    from ecg4u.analysis import versions
    from ecg4u.model.classifier import WEIGHTS, _read_card

    return {**versions(), "classifier": _read_card(WEIGHTS)["id"]}


def _of_file(source: Path) -> dict[str, Any]:
    from ecg4u.io import count_pages, is_record_file, read_record

    if not is_record_file(source):
        return {"kind": "page", "pages": count_pages(source)}
    record = read_record(source)
    return {
        "kind": "record",
        "fs_hz": record.fs,
        "duration_s": record.duration_s,
        "coverage": record.coverage(),
    }
