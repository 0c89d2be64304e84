"""``ecg4u info``: versions and models, or what a file holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ecg4u.cli import say
from ecg4u.cli.options import json_option, limited


@click.command()
@click.argument("source", required=False, type=click.Path(path_type=Path))
@click.option("--card", is_flag=True, help="The classifier's full model card, as JSON.")
@json_option
@limited
def info(source: Path | None, card: bool, as_json: bool) -> None:
    """Versions and models; with SOURCE, what the file holds."""
    if card:
        from ecg4u.model import Classifier

        say.as_json(Classifier().card)
        return
    found = _of_package() if source is None else _of_file(source)
    if as_json:
        say.as_json(found)
        return
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
