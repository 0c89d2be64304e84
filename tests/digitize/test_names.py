"""The reader of lead names, with the weights that ship."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ecg4u.digitize.page.rectified import Grid, RectifiedPage
from ecg4u.digitize.text.labels import PARAMS, read_labels, sure_names
from ecg4u.digitize.text.names import BATCH, NAMES, WINDOW, probabilities, window
from ecg4u.digitize.types import Label
from ecg4u.paper.text import write
from ecg4u.record import LEADS

PALE, DARK = (240, 190, 190), (60, 60, 60)


def page_with(
    words: list[tuple[str, float, float]],
    height: float = 28,
    grid: tuple[int, int, int] = PALE,
) -> np.ndarray:
    """A pale page of 400 x 900 px at 10 px/mm with words and a 5 mm grid."""
    mask = np.zeros((400, 900), np.uint8)
    for text, x, y in words:
        write(mask, text, (x, y), height)
    page = np.full((400, 900, 3), 235, np.uint8)
    page[::50] = page[:, ::50] = grid
    return np.where(mask[..., None] > 100, np.uint8(30), page)


def labels_on(page: np.ndarray) -> tuple[Label, ...]:
    height, width = page.shape[:2]
    flat = Grid(5.0, "grid", 1.0, 0.0, (10.0, 10.0), 0.0)
    nodes = np.zeros((height // 10 + 1, width // 10 + 1, 2))
    return read_labels(RectifiedPage(page, np.ones((height, width), bool), nodes, flat))


@pytest.mark.parametrize("name", LEADS)
@pytest.mark.parametrize("height", [18, 28, 42])
def test_each_name_is_read_in_a_common_font(name: str, height: float) -> None:
    (label,) = labels_on(page_with([(name, 420, 233)], height))
    assert label.name == name
    assert label.probability > 0.5
    assert label.box[3] - label.box[1] == pytest.approx(height, rel=0.25)


def written(name: str) -> tuple[np.ndarray, tuple[float, float, float, float]]:
    """A grey page with one name on it, and the name's box."""
    grey = np.ascontiguousarray(page_with([(name, 420, 233)])[..., 1])
    y, x = np.nonzero(grey < 100)
    return grey, (float(x.min()), float(y.min()), x.max() + 1.0, y.max() + 1.0)


def read(likely: np.ndarray) -> list[str]:
    """The likeliest name of each row, or "none"."""
    return [(*NAMES, "none")[k] for k in likely.argmax(axis=1)]


@pytest.mark.parametrize("name", LEADS)
def test_the_reader_reads_each_name_in_its_window(name: str) -> None:
    likely = probabilities([window(*written(name))] * 2)
    assert likely.shape == (2, len(NAMES) + 1)
    assert likely.sum(axis=1) == pytest.approx(1.0, abs=1e-5)
    assert (likely[0] == likely[1]).all()
    assert read(likely) == [name] * 2
    assert likely[0].max() > 0.5


def test_many_crops_are_answered_in_their_order_and_the_same_each_time() -> None:
    crops = [window(*written(name)) for name in LEADS] * (2 * BATCH // len(LEADS) + 1)
    first = probabilities(crops)
    assert read(first) == [*LEADS] * (len(crops) // len(LEADS))
    assert (probabilities(crops) == first).all()


@pytest.mark.parametrize("name", ["III", "aVF", "V2"])
@pytest.mark.parametrize("size", [0.5, 1.0, 3.0])
def test_a_crop_has_any_size(name: str, size: float) -> None:
    """With as much paper above and below the word as its window has."""
    grey, (x0, y0, x1, y1) = written(name)
    margin = round(0.35 * (y1 - y0))
    crop = grey[int(y0) - margin : int(y1) + margin, int(x0) - margin : int(x1) + margin]
    crop = cv2.resize(crop, None, fx=size, fy=size, interpolation=cv2.INTER_AREA)
    assert crop.shape != WINDOW
    assert read(probabilities([crop])) == [name]


def test_nothing_to_read_is_no_answer_and_blank_paper_shows_no_name() -> None:
    assert probabilities([]).shape == (0, len(NAMES) + 1)
    blanks = [np.full(shape, 230, np.uint8) for shape in ((31, 40), (1, 1), (500, 3))]
    assert read(probabilities(blanks)) == ["none"] * 3


@pytest.mark.parametrize("word", ["25mm/s", "Name:", "150Hz", "82"])
def test_other_words_are_no_names(word: str) -> None:
    assert not labels_on(page_with([(word, 420, 233)]))


def test_noise_shows_no_sure_name() -> None:
    noise = np.random.default_rng(3).integers(150, 255, (600, 900, 3)).astype(np.uint8)
    assert not sure_names(labels_on(noise))


def test_names_are_found_where_they_stand() -> None:
    words = [("II", 60, 100), ("aVL", 400, 100), ("V2", 700, 100), ("V3", 700, 250)]
    labels = labels_on(page_with(words))
    found = {label.name: label.centre for label in labels if label.probability > 0.5}
    for name, x, y in words:
        assert abs(found[name][0] - x) < 60
        assert abs(found[name][1] - (y - 14)) < 8


def test_names_that_touch_lines_or_lie_on_a_dark_grid_are_read() -> None:
    words = [("aVR", 400, 100), ("V1", 700, 100), ("aVL", 400, 250), ("V2", 700, 250)]
    page = page_with(words, grid=DARK)
    page[200:300, 696:700] = 30
    page[262:266, 600:900] = 30
    assert {label.name for label in labels_on(page)} >= {"aVR", "V1", "aVL", "V2"}


def test_upside_down_no_name_is_sure_but_of_strokes() -> None:
    words = [("aVR", 100, 100), ("V1", 400, 100), ("V4", 700, 100), ("II", 100, 250)]
    page = np.ascontiguousarray(page_with(words)[::-1, ::-1])
    assert sure_names(labels_on(page)) <= {"II"}


@pytest.mark.parametrize("size", [(400, 900), (139, 157)])
def test_an_empty_page_of_any_size_has_no_names(size: tuple[int, int]) -> None:
    assert labels_on(page_with([])[: size[0], : size[1]]) == ()


def test_a_lead_of_the_right_side_is_no_lead_of_the_left() -> None:
    words = [("V3R", 60.0, 80.0), ("V4R", 60.0, 200.0), ("V5", 400.0, 80.0)]
    labels = labels_on(page_with(words))
    names = [label.name for label in labels if label.probability > PARAMS.sure]
    assert sorted(names) == ["V3R", "V4R", "V5"]


def test_names_in_a_line_of_words_are_none_of_traces() -> None:
    words = [("II", 60.0, 60.0), ("III", 110.0, 60.0), ("V1", 180.0, 60.0)]
    words += [("V2", 60.0, 200.0), ("V3", 60.0, 320.0)]
    assert sorted(label.name for label in labels_on(page_with(words))) == ["V2", "V3"]
