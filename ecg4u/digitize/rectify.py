"""The page made flat: by its grid, else by a given resolution, else by its calibration pulses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecg4u.digitize.gridless import by_dpi, by_pulses
from ecg4u.digitize.page.grid import from_grid
from ecg4u.errors import NotAnECGError, PoorQualityError
from ecg4u.options import NOTHING_KNOWN, ReadOptions

if TYPE_CHECKING:
    from ecg4u.digitize.page.rectified import RectifiedPage
    from ecg4u.io import Page


def rectify(page: Page, options: ReadOptions = NOTHING_KNOWN, *, reading: int = 0) -> RectifiedPage:
    """Flatten a page to 10 px/mm.

    Parameters
    ----------
    page : Page
    options : ReadOptions
        The resolution is fallen back on where the page shows no grid; without it, calibration
        pulses tell the scale, read by the gain and the paper speed where the user knows them.
    reading : int
        Which of the scales that its grid may have is taken, the likeliest first.

    Raises
    ------
    NotAnECGError
        There is no grid, no resolution was given, and no two rows have a calibration pulse.
    PoorQualityError
        There is a grid, but too little of it is visible, or pulses that do not tell the scale.
    """
    try:
        found = from_grid(page, reading)
    except PoorQualityError as too_little:
        try:
            return _without_grid(page, options)
        except (NotAnECGError, PoorQualityError):
            raise too_little from None
    except NotAnECGError:  # its lines are none of a grid
        found = None
    return _without_grid(page, options) if found is None else found


def _without_grid(page: Page, options: ReadOptions) -> RectifiedPage:
    if options.dpi is not None:
        return by_dpi(page, options.dpi)
    return by_pulses(
        page, gain_mm_per_mv=options.gain_mm_per_mv, speed_mm_per_s=options.speed_mm_per_s
    )
