"""Pages on their side or head are turned upright; upright ones are left alone."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from ecg4u.compare import score_lead
from ecg4u.digitize import digitize_page
from ecg4u.digitize.orientation import (
    evidence,
    evidence_at,
    read_upright,
    seems_on_its_side,
    turn_by_pulses,
)
from ecg4u.digitize.page.rectified import RectifiedPage
from ecg4u.digitize.rectify import rectify
from ecg4u.digitize.text.labels import read_labels
from ecg4u.digitize.types import Label
from ecg4u.errors import NotAnECGError, PoorQualityError
from ecg4u.io import Page, read_page, read_record
from ecg4u.paper import LAYOUTS, PageStyle, draw_page, layout

DATA = Path(__file__).parents[2] / "data"
PAGES = ("A00347.png", "phone.jpg")


def laid(page: Page, k: int) -> Page:
    """The page's picture turned by k quarter turns clockwise."""
    return replace(page, image=np.ascontiguousarray(np.rot90(page.image, -k)))


def read(page: Page) -> tuple[RectifiedPage, tuple[Label, ...]]:
    return read_upright(page, rectify(page))


@cache
def upright(name: str) -> tuple[RectifiedPage, tuple[Label, ...]]:
    return read(read_page(DATA / "pages" / name))


@cache
def drawn(print_: bool, pulses: bool = True) -> Page:
    """A page without lead names, with its printed scale and pulses or without."""
    record = read_record(DATA / "records" / "ptbxl_00427")
    footer = ("25 mm/s", "10 mm/mV") if print_ else ()
    style = PageStyle(px_per_mm=6.0, row_pitch=35.0, labels=False, footer=footer)
    style = replace(style, pulse="left" if pulses else "none")
    return Page(draw_page(record, LAYOUTS["3x4+1"], style).image, "0" * 64)


@pytest.mark.parametrize("name", PAGES)
def test_upright_pages_stay(name: str) -> None:
    page, labels = upright(name)
    assert abs(page.grid.turned_deg) < 45
    assert evidence(labels) >= 7


@pytest.mark.parametrize(("name", "k"), [("A00347.png", 1), ("phone.jpg", 2), ("phone.jpg", 3)])
def test_a_turned_page_reads_as_if_upright(name: str, k: int) -> None:
    expected, labels = upright(name)
    given = laid(read_page(DATA / "pages" / name), k)
    page, found = read(given)
    assert page.image.tobytes() == expected.image.tobytes()
    assert found == labels
    turned = (page.grid.turned_deg - expected.grid.turned_deg - 90 * k + 180) % 360 - 180
    assert abs(turned) < 1e-6
    h, w = expected.image.shape[:2]
    at = np.array([(x, y) for x in (w // 4, w // 2) for y in (h // 3, h // 2)])
    source = page.to_source(at).round().astype(int)
    seen = given.image[source[:, 1], source[:, 0]].astype(int)
    assert np.abs(seen - page.image[at[:, 1], at[:, 0]]).mean() < 25


def test_a_page_on_its_head_gives_the_same_record() -> None:
    page = read_page(DATA / "pages" / "A00347.png")
    one, two = (digitize_page(laid(page, k)).record.p_signal for k in (0, 2))
    assert one.tobytes() == two.tobytes()


def test_two_leads_on_their_head_are_turned_by_the_print_beside_them() -> None:
    record = read_record(DATA / "records" / "ptbxl_00427")
    two = layout(2, 1, order=("III", "aVF"))
    page = Page(draw_page(record, two, PageStyle(px_per_mm=6.0)).image, "0" * 64)
    found, labels = read(laid(page, 2))
    assert abs(found.grid.turned_deg) == pytest.approx(180, abs=1)
    assert {label.name for label in labels if label.probability > 0.8} >= {"III", "aVF"}


@pytest.mark.parametrize("print_", [True, False])
def test_without_names_an_upright_page_stays(print_: bool) -> None:
    page, labels = read(drawn(print_))
    assert abs(page.grid.turned_deg) < 1
    assert evidence(labels) < 3


@pytest.mark.parametrize("k", [1, 3])
def test_without_print_or_pulses_a_page_on_its_side_is_refused(k: int) -> None:
    with pytest.raises(PoorQualityError, match="lies on its side"):
        digitize_page(laid(drawn(False, pulses=False), k))


def test_without_names_a_page_on_its_side_is_turned_by_its_printed_scale() -> None:
    page, _ = read(laid(drawn(True), 1))
    assert abs(abs(page.grid.turned_deg) - 90) < 1


@pytest.mark.parametrize("k", [0, 1, 2, 3])
def test_without_names_and_print_pulses_tell_which_end_is_up(k: int) -> None:
    true = read_record(DATA / "records" / "ptbxl_00427").lead("II")
    found = digitize_page(laid(drawn(False), k)).record.lead("II")
    score = score_lead(true, found, 500.0)
    assert score is not None
    assert score.snr_db > 12


def table(step: int = 40, columns: int = 7) -> Page:
    """Figures in ruled columns."""
    image = np.full((1754, 1240, 3), 255, np.uint8)
    digits = np.random.default_rng(0).integers(0, 10_000, (40, columns - 1))
    for row in range(40):
        cv2.line(image, (80, 100 + row * step), (1160, 100 + row * step), (120, 120, 120))
    for column in range(columns):
        x = 80 + column * 1080 // (columns - 1)
        cv2.line(image, (x, 100), (x, 100 + 39 * step), (120, 120, 120))
    for (row, column), value in np.ndenumerate(digits[:39]):
        at = (90 + column * 1080 // (columns - 1), 130 + row * step)
        cv2.putText(image, str(value), at, cv2.FONT_HERSHEY_SIMPLEX, 0.7, (0, 0, 0), 2)
    return Page(image, "0" * 64)


def test_what_runs_down_and_is_no_ecg_is_called_none() -> None:
    page = table()
    rectified, labels = read(page)
    assert seems_on_its_side(rectified, labels)
    with pytest.raises(NotAnECGError, match="No ECG trace"):
        digitize_page(page)


@pytest.mark.parametrize(("pulses", "turns"), [(2, 2), (1, 0)])
def test_two_pulses_that_hang_down_turn_a_page(pulses: int, turns: int) -> None:
    ink = np.zeros((700, 1600), np.float32)
    for y in (200, 450)[:pulses]:
        ink[y - 2 : y + 2, 200:1500] = 1.0
        ink[y - 2 : y + 2, 104:146] = 0.0
        ink[y + 98 : y + 102, 100:150] = 1.0
        ink[y - 2 : y + 102, 100:104] = ink[y - 2 : y + 102, 146:150] = 1.0
    assert turn_by_pulses(ink) == turns


def test_names_are_read_at_the_scale_of_the_page() -> None:
    """Its left half, three times as large as it is."""
    page, _ = upright("A00347.png")
    left = page.image[:, :1500]
    image = cv2.resize(left, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    valid = np.ones(image.shape[:2], bool)
    coarse = replace(page, image=np.asarray(image, np.uint8), valid=valid)
    assert evidence(read_labels(coarse)) < 3
    assert evidence_at(coarse, 1 / 3) >= 5
