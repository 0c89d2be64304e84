"""The reader of lead names, with the weights that ship."""

from __future__ import annotations

import numpy as np
import pytest

from ecg4u.digitize.page.darkness import PrintOnPage
from ecg4u.digitize.text.names import (
    NAMES,
    PARAMS,
    PX_PER_MM,
    probabilities,
    read_labels,
    window,
)
from ecg4u.digitize.types import Label
from ecg4u.paper.text import write
from ecg4u.record import LEADS

GREY = np.uint8(235)


def page_with(words: list[tuple[str, float, float]], height: float = 28) -> np.ndarray:
    """A pale page of 400 x 900 px at 10 px/mm with words and a 5 mm grid."""
    mask = np.zeros((400, 900), np.uint8)
    for text, x, y in words:
        write(mask, text, (x, y), height)
    page = np.full((400, 900, 3), GREY, np.uint8)
    page[::50] = page[:, ::50] = (240, 190, 190)
    return np.where(mask[..., None] > 100, np.uint8(30), page)


@pytest.mark.parametrize("name", LEADS)
@pytest.mark.parametrize("height", [18, 28, 42])
def test_each_name_is_read_in_a_common_font(name: str, height: float) -> None:
    mask = np.zeros((120, 240), np.uint8)
    box = write(mask, name, (90, 80), height)
    (read,) = probabilities([window(GREY - (mask * 0.8).astype(np.uint8), box)])
    assert NAMES[read.argmax()] == name
    assert read.max() > 0.5


@pytest.mark.parametrize("word", ["25mm/s", "Name:", "150Hz", "82"])
def test_other_words_are_no_names(word: str) -> None:
    mask = np.zeros((120, 240), np.uint8)
    box = write(mask, word, (60, 80), 26)
    (read,) = probabilities([window(GREY - (mask * 0.8).astype(np.uint8), box)])
    assert read.argmax() == len(NAMES)


def test_noise_is_surely_no_name() -> None:
    rng = np.random.default_rng(3)
    crops = [rng.integers(150, 255, (40, 80)).astype(np.uint8) for _ in range(200)]
    read = probabilities(crops)
    assert (read[:, : len(NAMES)].max(axis=1) >= PARAMS.sure).sum() <= 2
    assert (read.argmax(axis=1) < len(NAMES)).sum() <= 40


def test_probabilities_sum_to_one_and_repeat() -> None:
    crops = [np.full((30, 50), 200, np.uint8), np.eye(24, 56, dtype=np.uint8) * 255]
    first = probabilities(crops)
    np.testing.assert_allclose(first.sum(axis=1), 1, atol=1e-5)
    assert np.array_equal(first, probabilities(crops))
    assert probabilities([]).shape == (0, len(NAMES) + 1)


def labels_on(page: np.ndarray) -> list[Label]:
    return list(read_labels(PrintOnPage.of(page, PX_PER_MM)))


def test_names_are_found_where_they_stand() -> None:
    words = [("II", 60, 100), ("aVL", 400, 100), ("V2", 700, 100), ("V3", 700, 250)]
    labels = labels_on(page_with(words))
    found = {label.name: label.centre for label in labels if label.probability > 0.5}
    for name, x, y in words:
        assert abs(found[name][0] - x) < 60
        assert abs(found[name][1] - (y - 14)) < 8


def test_a_name_that_touches_a_line_is_found_from_its_row_and_column() -> None:
    words = [("aVR", 400, 100), ("V1", 700, 100), ("aVL", 400, 250), ("V2", 700, 250)]
    page = page_with(words)
    page[200:300, 696:700] = 30
    page[262:266, 600:900] = 30
    page[228:266, 800:804] = 30
    assert "V2" in {label.name for label in labels_on(page)}


def test_an_empty_page_has_no_names() -> None:
    assert labels_on(page_with([])) == []


def test_a_lead_of_the_right_side_is_no_lead_of_the_left() -> None:
    words = [("V3R", 60.0, 80.0), ("V4R", 60.0, 200.0), ("V5", 400.0, 80.0)]
    labels = labels_on(page_with(words))
    names = [label.name for label in labels if label.probability > PARAMS.sure]
    assert sorted(names) == ["V3R", "V4R", "V5"]
