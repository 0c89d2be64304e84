"""How leads are arranged on a page: rows of segments, each a lead and a stretch of time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from ecg4u.record import CABRERA, LEADS

PAGE_S = 10.0


@dataclass(frozen=True)
class Segment:
    """One lead's stretch of a row, in seconds of the record."""

    lead: str
    start_s: float
    duration_s: float


@dataclass(frozen=True)
class PageLayout:
    """Rows of segments, top to bottom; each row is drawn from left to right."""

    name: str
    rows: tuple[tuple[Segment, ...], ...]

    @property
    def duration_s(self) -> float:
        """Length of the longest row."""
        return max(sum(segment.duration_s for segment in row) for row in self.rows)

    @property
    def leads(self) -> tuple[str, ...]:
        """Every lead that is shown, once."""
        return tuple(dict.fromkeys(s.lead for row in self.rows for s in row))


def layout(
    rows: int,
    columns: int,
    *,
    rhythm: Sequence[str] = (),
    order: Sequence[str] = LEADS,
    duration_s: float = PAGE_S,
    simultaneous: bool = False,
    name: str = "",
) -> PageLayout:
    """Build a layout: leads run down the columns in ``order``, rhythm strips stand below.

    Parameters
    ----------
    rows, columns
        Of the block of short leads; cells beyond ``order`` stay empty.
    rhythm
        Leads shown over the whole duration below.
    simultaneous
        Every column shows the first seconds again instead of going on in time.

    Raises
    ------
    ValueError
        If a name is no lead or a number is not positive.
    """
    unknown = [lead for lead in (*order, *rhythm) if lead not in LEADS]
    if unknown or rows < 1 or columns < 1 or duration_s <= 0:
        raise ValueError(f"no such layout: {rows} x {columns}, leads {unknown or 'known'}")
    width = duration_s / columns
    block = []
    for row in range(rows):
        segments = []
        for column in range(columns):
            index = column * rows + row
            if index < len(order):
                start = 0.0 if simultaneous else column * width
                segments.append(Segment(order[index], start, width))
        block.append(tuple(segments))
    strips = [(Segment(lead, 0.0, duration_s),) for lead in rhythm]
    rows_of = tuple(row for row in (*block, *strips) if row)
    return PageLayout(name or f"{rows}x{columns}" + (f"+{len(rhythm)}" if rhythm else ""), rows_of)


def part_of(whole: PageLayout, *, first_row: int = 0, rows: int) -> PageLayout:
    """The page of which only ``rows`` rows from ``first_row`` on are seen.

    Raises
    ------
    ValueError
        If the layout has no such rows.
    """
    if rows < 1 or first_row < 0 or first_row + rows > len(whole.rows):
        raise ValueError(f"{whole.name} has no rows {first_row} to {first_row + rows}")
    return PageLayout(f"{whole.name}-part", whole.rows[first_row : first_row + rows])


def _named() -> dict[str, PageLayout]:
    strips = {0: (), 1: ("II",), 2: ("II", "V1"), 3: ("II", "V1", "V5")}
    made = [layout(3, 4, rhythm=strips[n]) for n in strips]
    made += [layout(6, 2), layout(6, 2, rhythm=("II",)), layout(12, 1)]
    made += [layout(4, 3), layout(4, 3, rhythm=("II",))]
    made += [
        layout(3, 4, rhythm=("II",), order=CABRERA, name="3x4+1-cabrera"),
        layout(6, 2, order=CABRERA, name="6x2-cabrera"),
        layout(12, 1, order=CABRERA, name="12x1-cabrera"),
        layout(6, 2, rhythm=("II",), simultaneous=True, name="6x2+1-simultaneous"),
    ]
    return {item.name: item for item in made}


LAYOUTS: Mapping[str, PageLayout] = MappingProxyType(_named())
"""The layouts that are met in practice, by name."""
