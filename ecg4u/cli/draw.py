"""``ecg4u draw``: a record as an ECG page, clean or as a camera sees it."""

from __future__ import annotations

from pathlib import Path

import click

from ecg4u._options import FiniteRange
from ecg4u.cli.options import limited
from ecg4u.errors import UsageError

GRIDS = ("1mm", "5mm", "fine", "dots", "dotted", "none")


@click.command()
@click.argument("record", type=click.Path(path_type=Path))
@click.option(
    "-o", "--out", required=True, type=click.Path(path_type=Path), help="PNG to be written."
)
@click.option("--layout", default="3x4+1", show_default=True, help="E.g. 3x4, 3x4+1, 6x2, 12x1.")
@click.option("--gain", type=FiniteRange(1, 80), default=10.0, show_default=True)
@click.option("--speed", type=FiniteRange(5, 200), default=25.0, show_default=True)
@click.option("--grid", type=click.Choice(GRIDS), default="1mm", show_default=True)
@click.option("--dpi", type=FiniteRange(50, 600), default=254.0, show_default=True)
@click.option(
    "--photo",
    type=FiniteRange(0, 1),
    help="Photographed or scanned: 0 a clean scan, 1 a poor photo of a crumpled page.",
)
@click.option("--seed", default=0, show_default=True, help="Of --photo.")
@limited
def draw(
    record: Path,
    out: Path,
    layout: str,
    gain: float,
    speed: float,
    grid: str,
    dpi: float,
    photo: float | None,
    seed: int,
) -> None:
    """Draw RECORD (WFDB, HDF5, CSV, EDF, DICOM) as an ECG page."""
    from ecg4u.io import read_record, write_atomically
    from ecg4u.paper import LAYOUTS, PageStyle, draw_page

    if layout not in LAYOUTS:
        raise UsageError(
            f"There is no layout {layout!r}.", hint=f"One of {', '.join(sorted(LAYOUTS))}."
        )
    style = PageStyle(
        px_per_mm=dpi / 25.4,
        gain_mm_per_mv=gain,
        speed_mm_per_s=speed,
        grid=grid,  # type: ignore[arg-type]
        footer=(f"{speed:g} mm/s", f"{gain:g} mm/mV"),
    )
    page = draw_page(read_record(record), LAYOUTS[layout], style)
    image = page.image
    if photo is not None:
        import numpy as np

        from ecg4u.paper import photograph, random_camera

        camera = random_camera(np.random.default_rng(seed), photo, px_per_mm=style.px_per_mm)
        image = photograph(page, camera).image
    write_atomically(out, _png(image))
    click.echo(str(out))


def _png(image: object) -> bytes:
    import io

    import numpy as np
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(np.asarray(image)).save(stream, format="PNG")
    return stream.getvalue()
