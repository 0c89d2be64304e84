"""Pages whose geometry is known must be flattened to it; pages without a grid are refused."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from ecg4u.digitize.page import grid
from ecg4u.digitize.page.lattice import Tiles
from ecg4u.digitize.page.rectified import RectifiedPage, quarter_turn
from ecg4u.digitize.rectify import rectify
from ecg4u.errors import ECG4UError, NotAnECGError, PoorQualityError
from ecg4u.io import Page, read_record
from ecg4u.options import ReadOptions
from ecg4u.paper import LAYOUTS, PageStyle, draw_page

DRAWN_PX_PER_MM = 12
WIDTH_MM, HEIGHT_MM = 200, 120
RECORD = Path(__file__).parents[2] / "data" / "records" / "ptbxl_00427"


def as_page(image: npt.NDArray[np.uint8]) -> Page:
    return Page(np.ascontiguousarray(image), "0" * 64)


@cache
def sheet(fine: bool = True) -> npt.NDArray[np.uint8]:
    """Ruled paper with a dark wave on it; 5 mm lines at whole 5 mm, pixel centres at mm * 12."""
    h, w = HEIGHT_MM * DRAWN_PX_PER_MM + 1, WIDTH_MM * DRAWN_PX_PER_MM + 1
    image = np.full((h, w, 3), 252, np.uint8)
    for step, width, colour in ((1, 1, (240, 190, 190)), (5, 3, (225, 120, 120))):
        if step == 1 and not fine:
            continue
        for mm in range(0, max(WIDTH_MM, HEIGHT_MM) + 1, step):
            at = mm * DRAWN_PX_PER_MM
            cv2.line(image, (at, 0), (at, h - 1), colour, width)
            cv2.line(image, (0, at), (w - 1, at), colour, width)
    x = np.arange(w)
    for row in (25, 55, 85):
        beat = (x % 240 - 120) / 10
        y = row * DRAWN_PX_PER_MM - 130 * np.exp(-(beat**2)) - 20 * np.sin(x / 40)
        curve = np.stack([x, y], axis=1).round().astype(np.int32)
        cv2.polylines(image, [curve], False, (20, 20, 20), 4, cv2.LINE_AA)
    return image


def seen_through(
    homography: npt.NDArray[np.float64], size: tuple[int, int], fine: bool = True
) -> npt.NDArray[np.uint8]:
    """The sheet photographed: ``homography`` maps mm to px of an image of (width, height)."""
    scale = np.diag([1 / DRAWN_PX_PER_MM, 1 / DRAWN_PX_PER_MM, 1.0])
    per_px = 1 / np.sqrt(abs(np.linalg.det(homography[:2, :2])))
    image = cv2.GaussianBlur(sheet(fine), (0, 0), max(0.3, 0.4 * per_px * DRAWN_PX_PER_MM))
    shown = cv2.warpPerspective(
        image, homography @ scale, size, flags=cv2.INTER_LINEAR, borderValue=(90, 60, 40)
    )
    return np.asarray(shown, np.uint8)


def turned(degrees: float, px_per_mm: float, shift: tuple[float, float]) -> npt.NDArray[np.float64]:
    a = np.radians(degrees)
    c, s = np.cos(a) * px_per_mm, np.sin(a) * px_per_mm
    return np.array([[c, -s, shift[0]], [s, c, shift[1]], [0.0, 0.0, 1.0]])


def error_mm(found: RectifiedPage, homography: npt.NDArray[np.float64]) -> float:
    """RMS distance between found and true mm over the middle of the sheet, up to whole squares."""
    mm = np.stack(np.meshgrid(np.arange(15.0, 186.0, 5), np.arange(15.0, 106.0, 5)), -1)
    h, w = found.image.shape[:2]
    px = np.stack(np.meshgrid(np.arange(0.0, w, 25), np.arange(0.0, h, 25)), -1).reshape(-1, 2)
    source = np.column_stack([found.to_source(px), np.ones(len(px))])
    true = source @ np.linalg.inv(homography).T
    true = true[:, :2] / true[:, 2:]
    inside = (true > mm.min(axis=(0, 1))).all(axis=1) & (true < mm.max(axis=(0, 1))).all(axis=1)
    off = px[inside] / found.px_per_mm - true[inside]
    offset = np.round(np.median(off, axis=0) / 5) * 5
    assert inside.sum() > 1000
    return float(np.sqrt(((off - offset) ** 2).sum(axis=1).mean()))


@pytest.mark.parametrize("px_per_mm", [100 / 25.4, 8.0, 300 / 25.4])
def test_straight_page_at_any_resolution(px_per_mm: float) -> None:
    homography = turned(0, px_per_mm, (3.3, 2.1))
    size = (round(WIDTH_MM * px_per_mm) + 8, round(HEIGHT_MM * px_per_mm) + 8)
    found = rectify(as_page(seen_through(homography, size)))
    assert error_mm(found, homography) < 0.1
    assert found.grid.source_px_per_mm == pytest.approx((px_per_mm, px_per_mm), rel=0.005)
    assert found.grid.confidence > 0.5


@pytest.mark.parametrize("degrees", [-31.0, -7.0, 4.0, 22.0])
def test_turned_page(degrees: float) -> None:
    homography = turned(degrees, 6.5, (420.0 + 150 * np.sign(degrees), 480.0 - 12 * degrees))
    found = rectify(as_page(seen_through(homography, (2000, 1500))))
    assert error_mm(found, homography) < 0.15
    assert found.grid.turned_deg == pytest.approx(degrees, abs=0.3)


def plane_off_px(found: RectifiedPage) -> float:
    """How far the nodes of a page's middle lie off a plane seen by a camera, at most."""
    nodes = found.nodes[15:105, 15:185]
    rows, columns = nodes.shape[:2]
    at = np.stack(np.meshgrid(np.arange(float(columns)), np.arange(float(rows))), -1)
    view, _ = cv2.findHomography(at.reshape(-1, 2), nodes.reshape(-1, 2))
    seen = np.concatenate([at, np.ones((rows, columns, 1))], axis=-1) @ view.T
    return float(np.abs(nodes - seen[..., :2] / seen[..., 2:]).max())


TILTED = np.array([[60, 40], [1060, 20], [1010, 630], [90, 600]], np.float32)
SHEET = np.array([[0, 0], [WIDTH_MM, 0], [WIDTH_MM, HEIGHT_MM], [0, HEIGHT_MM]], np.float32)


def test_noise_does_not_bend_a_flat_page() -> None:
    homography = np.asarray(cv2.getPerspectiveTransform(SHEET, TILTED), np.float64)
    image = seen_through(homography, (1100, 660)).astype(float)
    image += np.random.default_rng(1).normal(0, 10, image.shape)
    found = rectify(as_page(np.clip(image, 0, 255).astype(np.uint8)))
    assert plane_off_px(found) < 0.04
    assert error_mm(found, homography) < 0.05


def test_a_bulge_on_a_flat_page_is_followed() -> None:
    """A cockle of 0.4 mm, 2 cm wide: all but a few hundredths of the page are flat."""
    homography = turned(0.5, 6.0, (30.0, 20.0))
    image = seen_through(homography, (1260, 780))
    y, x = np.mgrid[:780, :1260].astype(np.float32)
    bump = 0.4 * 6.0 * np.exp(-0.5 * ((x - 700) ** 2 + (y - 400) ** 2) / 60.0**2)
    image = cv2.remap(image, x + bump, y + bump, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    found = rectify(as_page(image))
    assert plane_off_px(found) > 1.0


@pytest.mark.parametrize("fine", [True, False])
def test_perspective(fine: bool) -> None:
    there = np.array([[250, 130], [1790, 90], [1930, 1080], [120, 1150]], np.float32)
    homography = np.asarray(cv2.getPerspectiveTransform(SHEET, there), np.float64)
    found = rectify(as_page(seen_through(homography, (2050, 1300), fine)))
    assert error_mm(found, homography) < 0.2
    # The desk is no paper, the sheet is.
    middle = found.valid[200:1000, 200:1800]
    assert middle.mean() > 0.99
    assert found.valid.mean() < 1.0


def test_unequal_scale() -> None:
    homography = np.diag([7.0, 6.2, 1.0])
    found = rectify(as_page(seen_through(homography, (1400, 744))))
    assert error_mm(found, homography) < 0.15
    assert found.grid.source_px_per_mm == pytest.approx((7.0, 6.2), rel=0.01)


def test_dark_screen() -> None:
    homography = turned(2.0, 7.0, (60.0, 10.0))
    found = rectify(as_page(255 - seen_through(homography, (1450, 950))))
    assert error_mm(found, homography) < 0.2


def test_five_mm_lines_lie_on_multiples_of_fifty_px() -> None:
    homography = turned(3.0, 8.0, (60.0, 5.0))
    found = rectify(as_page(seen_through(homography, (1700, 1100))))
    profile = found.image[300:900].mean(axis=(0, 2))
    heavy = [profile[x - 1 : x + 2].mean() for x in range(400, 1600, 50)]
    between = [profile[x - 1 : x + 2].mean() for x in range(425, 1600, 50)]
    assert max(heavy) < min(between)


def blank() -> npt.NDArray[np.uint8]:
    return np.full((900, 1300, 3), 250, np.uint8)


def noise() -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (900, 1300, 3)).astype(np.uint8)


def text() -> npt.NDArray[np.uint8]:
    rng = np.random.default_rng(1)
    image = blank()
    for y in range(60, 880, 34):
        words = "".join(rng.choice(list("abcdefghij klmnop qrstu"), 60))
        cv2.putText(image, words, (40, y), 0, 0.8, (0, 0, 0), 2)
    return image


def traces_only() -> npt.NDArray[np.uint8]:
    image = blank()
    x = np.arange(1300)
    for row in (150, 350, 550, 750):
        y = row - 60 * np.exp(-(((x % 160 - 80) / 5) ** 2))
        cv2.polylines(image, [np.stack([x, y], 1).astype(np.int32)], False, (0, 0, 0), 2)
    return image


def stripes() -> npt.NDArray[np.uint8]:
    image = blank()
    image[:, ::10] = 90
    return image


@pytest.mark.parametrize("draw", [blank, noise, text, traces_only, stripes])
def test_no_grid_is_refused(draw: object) -> None:
    assert callable(draw)
    with pytest.raises(ECG4UError) as caught:
        rectify(as_page(draw()))
    assert caught.value.exit_code == 4
    assert caught.value.hint


def test_tiny_image_is_refused() -> None:
    with pytest.raises(NotAnECGError):
        rectify(as_page(np.zeros((5, 7, 3), np.uint8)))


def test_dpi_where_there_is_no_grid() -> None:
    found = rectify(as_page(traces_only()), ReadOptions(dpi=127.0))
    assert found.grid.scale_from == "dpi"
    assert found.grid.source_px_per_mm == (5.0, 5.0)
    assert np.allclose(found.to_source([[100.0, 50.0]]), [[50.0, 25.0]])


def test_to_source_agrees_with_the_image() -> None:
    homography = turned(5.0, 9.0, (90.0, 0.0))
    source = seen_through(homography, (1900, 1250))
    found = rectify(as_page(source))
    xy = np.random.default_rng(2).integers(300, 900, (200, 2)).astype(float)
    at = found.to_source(xy).astype(np.float32)
    expected = cv2.remap(source, at[:, None], None, cv2.INTER_CUBIC)[:, 0]
    got = found.image[xy[:, 1].astype(int), xy[:, 0].astype(int)]
    assert np.abs(expected.astype(int) - got).max() <= 4
    assert np.isnan(found.to_source([[np.nan, 3.0]])).all()


@pytest.mark.parametrize("k", [1, 2, 3])
def test_quarter_turn_keeps_the_map(k: int) -> None:
    found = rectify(as_page(seen_through(turned(4.0, 6.0, (60.0, 0.0)), (1300, 820))))
    again = quarter_turn(found, k)
    shown = found.image.shape[:2]
    h, w = (-(-(n - 1) // 50) * 50 + 1 for n in shown)
    x, y = 123.0, 77.0
    moved = {1: (h - 1 - y, x), 2: (w - 1 - x, h - 1 - y), 3: (y, w - 1 - x)}[k]
    assert np.allclose(again.to_source([moved]), found.to_source([[x, y]]))
    assert (again.image[int(moved[1]), int(moved[0])] == found.image[int(y), int(x)]).all()
    back = quarter_turn(again, 4 - k)
    assert np.array_equal(back.image[: shown[0], : shown[1]], found.image)
    assert not back.valid[shown[0] :].any()
    assert not back.valid[:, shown[1] :].any()
    expected = (found.grid.turned_deg - 90 * k + 180) % 360 - 180
    assert again.grid.turned_deg == pytest.approx(expected)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_quarter_turn_keeps_the_lines_on_whole_squares(k: int) -> None:
    found = rectify(as_page(seen_through(turned(4.0, 6.0, (60.0, 0.0)), (1300, 820))))
    image = quarter_turn(found, k).image[250:-250, 250:-250, 1].astype(float)
    for profile in (image.mean(axis=0), image.mean(axis=1)):
        whole = len(profile) // 50 * 50
        assert np.argmin(profile[:whole].reshape(-1, 50).mean(axis=0)) in (49, 0, 1)


def test_same_input_same_bytes() -> None:
    image = seen_through(turned(4.0, 6.0, (60.0, 0.0)), (1300, 820))
    one, two = rectify(as_page(image)), rectify(as_page(image.copy()))
    assert one.image.tobytes() == two.image.tobytes()
    assert one.nodes.tobytes() == two.nodes.tobytes()


def test_a_page_goes_on_where_its_lattice_was_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a fax, where the lines of the lower part are too broken for it."""
    find_tiles = grid.find_tiles

    def upper_part(lines: npt.NDArray[np.float32], size: int, step: int) -> Tiles:
        return find_tiles(lines[: len(lines) // 3], size, step)

    monkeypatch.setattr(grid, "find_tiles", upper_part)
    assert rectify(as_page(sheet())).nodes[..., 1].max() > 0.98 * len(sheet())


def test_other_readings_are_tried_where_too_little_of_one_is_visible(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    render, seen = grid._render, []

    def blind_at_first(*arguments: Any) -> RectifiedPage | None:
        seen.append(arguments)
        return None if len(seen) == 1 else render(*arguments)

    monkeypatch.setattr(grid, "_render", blind_at_first)
    monkeypatch.setattr(grid, "WORTH", -99.0)
    found = rectify(as_page(sheet()))
    assert len(seen) == 2
    assert 0 in [rival.reading for rival in found.rivals]


def test_without_enough_of_a_grid_the_page_is_read_as_one_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(grid, "MIN_GRID_MM2", 1e9)
    monkeypatch.setattr(grid, "READINGS", 1)
    assert rectify(as_page(sheet()), ReadOptions(dpi=300.0)).grid.scale_from == "dpi"
    with pytest.raises(PoorQualityError, match="Too little"):
        rectify(as_page(sheet()))


def test_no_sheet_is_larger_than_a3() -> None:
    """However fine its lines are: a page takes memory by the square millimetre."""
    image = np.full((1650, 1650, 3), 250, np.uint8)
    image[::5] = image[:, ::5] = 150
    page = as_page(image)
    found = rectify(page)
    others = [rectify(page, reading=rival.reading) for rival in found.rivals]
    assert max(each.valid.size for each in (found, *others)) < 15.5e6


def test_a_desk_around_a_large_page_does_not_change_its_scale() -> None:
    """The lattice's outer tiles reach beyond the page: with them it would be larger than any."""
    style = PageStyle(px_per_mm=4.8, row_pitch=31.0)
    drawn = draw_page(read_record(RECORD), LAYOUTS["12x1"], style).image
    edges = ((132, 132), (132, 132), (0, 0))
    desk = np.pad(drawn, edges, constant_values=140).astype(float)
    desk += np.random.default_rng(0).normal(0, 6, desk.shape)
    found = rectify(Page(np.clip(desk, 0, 255).astype(np.uint8), "0" * 64)).grid
    assert found.source_px_per_mm == pytest.approx((4.8, 4.8), rel=0.01)
