"""The page made flat: by its grid, else by a given resolution, else by its calibration pulses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecg4u.digitize.gridless import by_dpi, by_pulses
from ecg4u.digitize.page.grid import from_grid

if TYPE_CHECKING:
    from ecg4u.digitize.page.rectified import RectifiedPage
    from ecg4u.io import Page


def rectify(
    page: Page,
    *,
    reading: int = 0,
    dpi: float | None = None,
    gain_mm_per_mv: float | None = None,
    speed_mm_per_s: float | None = None,
) -> RectifiedPage:
    """Flatten a page to 10 px/mm.

    Parameters
    ----------
    page : Page
    reading : int
        Which of the scales that its grid may have is taken, the likeliest first.
    dpi : float or None
        Scale to fall back on where the page shows no grid; without it, calibration pulses tell.
    gain_mm_per_mv, speed_mm_per_s : float or None
        What is printed on the page, where the user knows it; used only to read such pulses.

    Raises
    ------
    NotAnECGError
        There is no grid, no ``dpi`` was given, and no two rows have a calibration pulse.
    PoorQualityError
        There is a grid, but too little of it is visible; or pulses that do not tell the scale.
    """
    found = from_grid(page, reading)
    if found is not None:
        return found
    if dpi is not None:
        return by_dpi(page, dpi)
    return by_pulses(page, gain_mm_per_mv=gain_mm_per_mv, speed_mm_per_s=speed_mm_per_s)
