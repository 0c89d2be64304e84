"""How well pages are flattened: ``python -m benchmarks.grid FOLDER_OR_FILE ...``

Per image: scale, finest lines, what is left of the grid's deviation from the 1 mm / 5 mm lattice
after flattening (measured anew on the flattened page, RMS mm, both axes), confidence, CPU seconds.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import click

from ecg4u.digitize.rectify import rectify
from ecg4u.errors import ECG4UError
from ecg4u.io import read_page

SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".heic"}


def images(paths: tuple[Path, ...]) -> Iterator[Path]:
    """The image files among and below the paths, sorted."""
    for path in paths:
        below = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (file for file in below if file.suffix.lower() in SUFFIXES)


def row(file: Path) -> str:
    """One line of the table."""
    name = f"| {file.parent.name}/{file.name} "
    try:
        page = read_page(file)
        start = time.process_time()
        found = rectify(page)
        seconds = time.process_time() - start
    except ECG4UError as error:
        return name + f"| refused: {error.code} ||||||"
    grid = found.grid
    inferred = " (by size)" if grid.spacing_inferred else ""
    x, y = grid.source_px_per_mm
    return name + (
        f"| {x:.2f} x {y:.2f} | {grid.spacing_mm:g}{inferred} | {grid.turned_deg:.1f} "
        f"| {grid.residual_mm:.3f} | {grid.confidence:.2f} | {seconds:.2f} |"
    )


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
def main(paths: tuple[Path, ...]) -> None:
    """Print the table for image files and folders of them."""
    click.echo("| image | source px/mm | lines, mm | turned | residual, mm | confidence | CPU s |")
    click.echo("|---|---|---|---|---|---|---|")
    for file in images(paths):
        click.echo(row(file))


if __name__ == "__main__":
    main()
