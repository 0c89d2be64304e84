"""The camera model: its maps invert, and its truth stays with the picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg4u.paper import LAYOUTS, DrawnPage, PageStyle, draw_page
from ecg4u.paper.camera import Camera, Photo, photograph, random_camera
from ecg4u.paper.sensor import Sensor, sense
from ecg4u.paper.surface import Light, Wear
from ecg4u.record import ECGRecord

CRUMPLED = Camera(
    px_per_mm=5.0,
    turn_deg=7.0,
    tilt_deg=(12.0, -9.0),
    border=0.05,
    wear=Wear(folds=2, crumples=8, crease_mm=2.0, curl_mm=8.0),
    light=Light(slope=0.3, shadows=1, relief=1.0),
    seed=4,
)


@pytest.fixture(scope="module")
def page() -> DrawnPage:
    t = np.arange(2500) / 250.0
    signal = np.column_stack([0.4 * np.sin(2 * np.pi * (0.5 + 0.05 * k) * t) for k in range(12)])
    style = PageStyle(px_per_mm=6.0, grid="none", pulse="none", labels=False, footer=())
    return draw_page(ECGRecord(signal, 250.0), LAYOUTS["6x2"], style)


def distance_to_curve(photo: Photo) -> float:
    """Mean px by which the mask's ink, column by column, misses the warped curves."""
    misses = []
    for segment in photo.segments[::2]:
        for x, y in segment.xy[50:-50:40]:
            column, row = round(x), round(y)
            if not (8 <= row < photo.trace.shape[0] - 8 and 0 <= column < photo.trace.shape[1]):
                continue
            ink = photo.trace[row - 4 : row + 5, column].astype(float)
            at = np.interp(column, *segment.xy[np.argsort(segment.xy[:, 0])].T)
            misses.append((ink * np.arange(row - 4, row + 5)).sum() / max(ink.sum(), 1) - at)
    assert len(misses) > 50
    return float(np.mean(np.abs(misses)))


def test_curves_lie_on_the_warped_ink(page: DrawnPage) -> None:
    assert distance_to_curve(photograph(page, CRUMPLED)) < 0.3


def test_a_wrong_map_is_noticed(page: DrawnPage) -> None:
    photo = photograph(page, CRUMPLED)
    moved = tuple(replace(s, xy=s.xy + np.array([0.0, 1.5])) for s in photo.segments)
    assert distance_to_curve(replace(photo, segments=moved)) > 0.8


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), severity=st.floats(0.0, 1.0))
def test_maps_invert(seed: int, severity: float) -> None:
    """From page to photo and back: under a hundredth of a mm, for any camera."""
    rng = np.random.default_rng(seed)
    camera = random_camera(rng, severity, px_per_mm=4.0)
    from ecg4u.paper.camera import View
    from ecg4u.paper.surface import make_relief

    size = (280.0, 216.0)
    view = View(camera, size, make_relief(rng, size, camera.wear))
    points = rng.uniform((5, 5), (275, 211), (200, 2))
    back = view.to_page_mm(view.to_photo(points))
    far = np.abs(back - points).max(axis=1)
    assert np.median(far) < 0.002
    assert np.quantile(far, 0.98) < 0.05


def test_flat_scan_keeps_the_scale(page: DrawnPage) -> None:
    photo = photograph(page, Camera(px_per_mm=6.0, distance_mm=1e6))
    a, b = photo.to_photo(np.array([(20.0, 30.0), (120.0, 30.0)]))
    assert np.hypot(*(b - a)) / 100 == pytest.approx(6.0, rel=1e-3)
    assert photo.paper[5:-5, 5:-5].min() == 255


def test_same_camera_same_bytes(page: DrawnPage) -> None:
    camera = random_camera(np.random.default_rng(2), 0.8, px_per_mm=4.0)
    one, other = photograph(page, camera), photograph(page, camera)
    assert np.array_equal(one.image, other.image)
    assert np.array_equal(one.trace, other.trace)
    assert not np.array_equal(one.image, photograph(page, replace(camera, seed=9)).image)


def test_wear_fades_and_breaks_the_ink_but_not_the_truth(page: DrawnPage) -> None:
    worn = replace(Camera(px_per_mm=6.0), wear=Wear(fading=0.8, breaks=0.6), seed=1)
    fresh, old = photograph(page, Camera(px_per_mm=6.0, seed=1)), photograph(page, worn)
    assert np.array_equal(fresh.trace, old.trace)
    ink = fresh.trace > 200
    assert old.image[ink].mean() > fresh.image[ink].mean() + 15


def test_handwriting_is_marked_as_such(page: DrawnPage) -> None:
    photo = photograph(page, Camera(px_per_mm=6.0, wear=Wear(scribbles=5), seed=3))
    assert (photo.marks > 127).sum() > 200
    assert not np.array_equal(photo.marks, photo.text)


@pytest.mark.parametrize(
    "sensor",
    [
        Sensor(blur=1.0),
        Sensor(motion=4.0),
        Sensor(noise=8.0, chroma_noise=4.0),
        Sensor(jpeg=40),
        Sensor(tones="grey"),
        Sensor(screen_period=3.0, screen_depth=0.3),
        Sensor(sharpen=1.0, contrast=0.8, gamma=1.3),
    ],
)
def test_each_sensor_fault_changes_the_picture(sensor: Sensor, page: DrawnPage) -> None:
    picture = page.image[:200, :200]
    seen = sense(picture, sensor, np.random.default_rng(0))
    assert seen.shape == picture.shape
    assert seen.dtype == np.uint8
    assert sensor.tones == "grey" or not np.array_equal(seen, picture)
    if sensor.tones == "grey":
        assert np.array_equal(seen[..., 0], seen[..., 2])


def test_black_and_white_has_two_tones(page: DrawnPage) -> None:
    seen = sense(page.image, Sensor(tones="bw"), np.random.default_rng(0))
    assert set(np.unique(seen)) == {0, 255}
