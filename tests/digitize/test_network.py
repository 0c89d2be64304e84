"""The trace network, with the weights that ship, on drawn pages."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest

from ecg4u.digitize import networks
from ecg4u.digitize.rows import network
from ecg4u.digitize.rows.network import (
    CHANNELS,
    OVERLAP_PX,
    TILE_PX,
    in_tiles,
    ink,
    normalise,
)
from ecg4u.digitize.text import labels
from ecg4u.digitize.types import FloatArray
from ecg4u.paper.draw import DrawnPage, draw_page
from ecg4u.paper.layouts import LAYOUTS
from ecg4u.paper.style import PageStyle
from ecg4u.record import ECGRecord

RECALL, PRECISION = 0.8, 0.6


@pytest.fixture(scope="module")
def drawn() -> DrawnPage:
    """A clean 3x4 page of beat-like bumps at 10 px/mm."""
    time = np.arange(5000) / 500
    beat = np.exp(-(((time % 0.8) - 0.4) ** 2) / 0.0004)
    wave = 0.2 * np.exp(-(((time % 0.8) - 0.65) ** 2) / 0.003)
    signal = np.stack([(beat + wave) * (0.4 + 0.1 * lead) for lead in range(12)], axis=1)
    return draw_page(ECGRecord(signal), LAYOUTS["3x4+1"], PageStyle(px_per_mm=10.0))


def test_the_trace_is_found_on_a_clean_page(drawn: DrawnPage) -> None:
    found = ink(drawn.image).trace > 0.5
    there = drawn.trace > 127
    both = (found & there).sum()
    assert both / there.sum() > RECALL
    assert both / found.sum() > PRECISION


def test_shapes_range_and_repetition(drawn: DrawnPage) -> None:
    image = drawn.image[:301, :517]
    first, second = ink(image), ink(image)
    for channel in CHANNELS:
        values = getattr(first, channel)
        assert values.shape == (301, 517)
        assert values.dtype == np.float32
        assert 0 <= values.min() <= values.max() <= 1
        assert np.array_equal(values, getattr(second, channel))


def test_tiles_leave_no_seam(drawn: DrawnPage) -> None:
    page = drawn.image[500:800, : 2 * TILE_PX - OVERLAP_PX]  # two tiles, which meet in the middle
    seam = page.shape[1] // 2
    whole = ink(page).trace
    around = ink(page[:, seam - 320 : seam + 320]).trace
    apart = np.abs(whole[:, seam - 40 : seam + 40] - around[:, 280:360])
    assert apart.mean() < 0.02


def test_each_pixel_gets_the_answer_about_itself_however_long_the_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(networks, "Network", lambda _: lambda seen: np.repeat(seen[:, :1], 4, 1))
    for height, width in ((1, 16), (639, 640), (641, 1217), (40, 2794)):
        seen = np.random.default_rng(0).random((3, height, width), dtype=np.float32)
        assert (network.answer_of(seen) == seen[0]).all()


def test_blank_paper_has_no_ink() -> None:
    assert ink(np.full((320, 320, 3), 230, np.uint8)).trace.max() < 0.5


def test_normalising_takes_out_light_and_turns_screens_over() -> None:
    page = np.full((240, 240, 3), 200, np.uint8)
    page[:, 118:122] = 40
    shade = np.linspace(0.6, 1.0, 240)[None, :, None]
    lit = normalise((page * shade).astype(np.uint8))
    assert np.abs(lit - normalise(page))[:, 20:220, 20:220].max() < 0.1
    screen = normalise(255 - page)
    assert screen[:, 120, 120].min() > 0.5


@pytest.mark.parametrize("shape", [(1200, 1800), (64, 2104), (1992, 96), (40, 48)])
def test_tiles_of_cells_answer_as_one_would(shape: tuple[int, int]) -> None:
    """A stand-in network that answers each square of 4 px with its mean."""

    def means(seen: FloatArray) -> FloatArray:
        n, c, h, w = seen.shape
        return seen.reshape(n, c, h // 4, 4, w // 4, 4).mean(axis=(3, 5))

    seen = np.random.default_rng(1).random((3, *shape)).astype(np.float32)
    found = in_tiles(cast("networks.Network", means), seen, 3, cell=4, overlap=128)
    assert found == pytest.approx(means(seen[None])[0])


def test_where_tiles_meet_names_and_units_are_told_as_if_there_were_none() -> None:
    """Three tiles by two, which end with the page; all that a place is told by is in its tile."""
    seen = np.random.default_rng(2).random((3, 1184, 736)).astype(np.float32)
    net = networks.Network(labels.WEIGHTS)
    whole = net(seen[None])[0]
    found = in_tiles(net, seen, len(whole), cell=labels.CELL_PX, overlap=labels.OVERLAP_PX)
    assert np.abs(found - whole).max() < 1e-4
