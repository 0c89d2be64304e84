"""``ecg4u draw``: a record as an ECG page, clean or as a camera sees it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ecg4u._options import FiniteRange, json_option
from ecg4u.cli import say
from ecg4u.cli.options import (
    Target,
    TargetType,
    check_kept,
    check_names,
    check_png,
    each,
    expanded,
    limited_each,
    sources_argument,
)
from ecg4u.errors import UsageError

if TYPE_CHECKING:
    from ecg4u.paper import DrawnPage

GRIDS = ("1mm", "5mm", "fine", "dots", "dotted", "none")


@click.command()
@sources_argument
@click.option(
    "-o",
    "--out",
    required=True,
    type=TargetType(),
    help="PNG to write, or a folder (ending in a slash) for several.",
)
@click.option(
    "--layout", default="3x4+1", show_default=True, help="For example 3x4, 3x4+1, 6x2 or 12x1."
)
@click.option(
    "--gain", type=FiniteRange(1, 80), default=10.0, show_default=True, help="Gain in mm/mV."
)
@click.option(
    "--speed",
    type=FiniteRange(5, 200),
    default=25.0,
    show_default=True,
    help="Paper speed in mm/s.",
)
@click.option(
    "--grid", type=click.Choice(GRIDS), default="1mm", show_default=True, help="Grid to print."
)
@click.option(
    "--dpi", type=FiniteRange(50, 600), default=254.0, show_default=True, help="Dots per inch."
)
@click.option(
    "--photo",
    type=FiniteRange(0, 1),
    help="Simulate a scanner or camera: 0 is a clean scan, 1 a poor photo of a crumpled page.",
)
@click.option("--seed", default=0, show_default=True, help="Random seed for --photo.")
@json_option
@limited_each
def draw(
    sources: tuple[str, ...],
    out: Target,
    layout: str,
    gain: float,
    speed: float,
    grid: str,
    dpi: float,
    photo: float | None,
    seed: int,
    as_json: bool,
) -> None:
    """Draw records (WFDB, HDF5, CSV, EDF, DICOM) as ECG pages."""
    files = expanded(sources)
    if len(files) > 1 and not out.is_folder:
        raise UsageError(
            "Several records cannot be drawn in one file.",
            stage="output",
            hint="Give -o a folder, ending in a slash.",
        )
    check_names(files)

    def one(source: Path) -> None:
        from ecg4u.io import read_record, write_atomically
        from ecg4u.paper import LAYOUTS, PageStyle, draw_page

        if layout not in LAYOUTS:
            raise UsageError(
                f"There is no layout {layout!r}.",
                hint=f"Choose one of {', '.join(sorted(LAYOUTS))}.",
            )
        given = out.path or Path()
        target = given / f"{source.stem}.png" if out.is_folder else given
        check_kept(files, [target])
        check_png(target)
        style = PageStyle(
            px_per_mm=dpi / 25.4,
            gain_mm_per_mv=gain,
            speed_mm_per_s=speed,
            grid=grid,  # type: ignore[arg-type]
            footer=(f"{speed:g} mm/s", f"{gain:g} mm/mV"),
        )
        page = draw_page(read_record(source), LAYOUTS[layout], style)
        image = page.image
        if photo is not None:
            image = _photographed(page, photo, seed, style.px_per_mm)
        write_atomically(target, _png(image))
        if as_json:
            height, width = image.shape[:2]
            found = {"written": str(target), "width_px": width, "height_px": height}
            say.as_json(found, of=source if len(files) > 1 else None)
        else:
            click.echo(str(target))

    each(files, one)


def _photographed(page: DrawnPage, difficulty: float, seed: int, px_per_mm: float) -> Any:
    import numpy as np

    from ecg4u.paper import photograph, random_camera

    camera = random_camera(np.random.default_rng(seed), difficulty, px_per_mm=px_per_mm)
    return photograph(page, camera).image


def _png(image: object) -> bytes:
    import io

    import numpy as np
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(np.asarray(image)).save(stream, format="PNG")
    return stream.getvalue()
