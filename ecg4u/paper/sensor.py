"""What a camera or scanner does to the picture that falls on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Sensor:
    """Blur in px (``motion`` is a streak's length), noise in grey levels, JPEG quality (0: none).

    ``contrast`` and ``gamma`` bend the tones. ``tones`` is ``"colour"``, ``"grey"`` or ``"bw"``
    (each pixel black or white); ``levels`` is how many each colour has, 0 for all 256.
    ``screen_period`` px is the period of a screen's stripes, 0 for
    paper; ``sharpen`` is the overshoot that phones add.
    """

    blur: float = 0.0
    motion: float = 0.0
    noise: float = 0.0
    chroma_noise: float = 0.0
    sharpen: float = 0.0
    contrast: float = 1.0
    brightness: float = 0.0
    gamma: float = 1.0
    tones: str = "colour"
    threshold: float = 0.5
    levels: int = 0
    screen_period: float = 0.0
    screen_depth: float = 0.0
    jpeg: int = 0


def random_sensor(rng: np.random.Generator, severity: float) -> Sensor:
    """A sensor; ``severity`` 0 is a clean scan, 1 a poor photograph."""
    bw = rng.random() < 0.10
    grey = rng.random() < 0.15
    screen = rng.random() < 0.08 * severity
    return Sensor(
        blur=float(rng.uniform(0.0, 0.5 + 1.2 * severity)),
        motion=float(rng.uniform(0, 4)) if rng.random() < 0.15 * severity else 0.0,
        noise=float(rng.uniform(0, 2 + 9 * severity)),
        chroma_noise=float(rng.uniform(0, 1 + 5 * severity)),
        sharpen=float(rng.uniform(0, 1.2)) if rng.random() < 0.5 else 0.0,
        contrast=float(rng.uniform(1 - 0.35 * severity, 1 + 0.3 * severity)),
        brightness=float(rng.normal(0, 14 * severity)),
        gamma=float(np.exp(rng.normal(0, 0.15 * severity))),
        tones="bw" if bw else "grey" if grey else "colour",
        threshold=float(rng.uniform(0.4, 0.75)),
        screen_period=float(rng.uniform(2.1, 5.0)) if screen else 0.0,
        screen_depth=float(rng.uniform(0.05, 0.3)),
        jpeg=int(rng.integers(35, 97)) if rng.random() < 0.8 else 0,
    )


def sense(image: Pixels, sensor: Sensor, rng: np.random.Generator) -> Pixels:
    """The picture as the sensor stores it; (h, w, 3) uint8 in and out."""
    import cv2

    out: npt.NDArray[Any] = image
    if sensor.screen_period:
        out = _screen(out, sensor, rng)
    if sensor.blur > 0.15:
        out = cv2.GaussianBlur(out, (0, 0), sensor.blur)
    if sensor.motion >= 1:
        out = cv2.filter2D(out, -1, _streak(sensor.motion, rng.uniform(0, np.pi)))
    if sensor.sharpen:
        soft = cv2.GaussianBlur(out, (0, 0), 1.2)
        out = cv2.addWeighted(out, 1 + sensor.sharpen, soft, -sensor.sharpen, 0)
    out = cv2.LUT(out, _tone_curve(sensor))
    out = _noisy(np.asarray(out, np.uint8), sensor, rng)
    if sensor.tones != "colour":
        out = _without_colour(out, sensor)
    if sensor.levels:
        out = cv2.LUT(out, _posterised(sensor.levels))
    if sensor.jpeg:
        _, packed = cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, sensor.jpeg])
        out = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR))
    return np.asarray(out, np.uint8)


def _tone_curve(sensor: Sensor) -> Pixels:
    level = (np.arange(256) / 255) ** sensor.gamma * 255
    curve = (level - 200) * sensor.contrast + 200 + sensor.brightness
    return np.clip(np.round(curve), 0, 255).astype(np.uint8)


def _posterised(levels: int) -> Pixels:
    step = np.round(np.arange(256) / 255 * (levels - 1))
    return np.round(step / (levels - 1) * 255).astype(np.uint8)


def _noisy(image: Pixels, sensor: Sensor, rng: np.random.Generator) -> Pixels:
    import cv2

    out: npt.NDArray[Any] = image
    if sensor.noise > 0.5:
        seed = int(rng.integers(2**31))
        cv2.setRNGSeed(seed)
        grain = np.empty(image.shape[:2], np.int16)
        cv2.randn(grain, np.zeros(1), np.array([sensor.noise]))
        out = cv2.add(out, cv2.merge([grain, grain, grain]), dtype=cv2.CV_8U)
    if sensor.chroma_noise > 0.5:
        cv2.setRNGSeed(int(rng.integers(2**31)))
        grain = np.empty(((image.shape[0] + 1) // 2, (image.shape[1] + 1) // 2, 3), np.int16)
        cv2.randn(grain, np.zeros(3), np.full(3, sensor.chroma_noise))
        grown = cv2.resize(grain, (image.shape[1], image.shape[0]))
        out = cv2.add(out, grown, dtype=cv2.CV_8U)
    return np.asarray(out, np.uint8)


def _without_colour(image: Pixels, sensor: Sensor) -> Pixels:
    import cv2

    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    if sensor.tones == "bw":
        local = cv2.boxFilter(grey, -1, (101, 101)).astype(np.float32)
        limit = local * (0.5 + 0.5 * sensor.threshold)
        grey = np.where(grey > limit, 255, 0).astype(np.uint8)
    return np.asarray(cv2.merge([grey, grey, grey]), np.uint8)


def _streak(length: float, turn: float) -> npt.NDArray[np.float32]:
    import cv2

    size = int(length) * 2 + 3
    kernel = np.zeros((size, size), np.float32)
    reach = np.array([np.cos(turn), np.sin(turn)]) * length / 2
    middle = size // 2
    low = tuple(int(v) for v in np.round((middle - reach) * 16))
    high = tuple(int(v) for v in np.round((middle + reach) * 16))
    cv2.line(kernel, low, high, 1.0, 1, cv2.LINE_8, 4)
    return kernel / kernel.sum()


def _screen(image: Pixels, sensor: Sensor, rng: np.random.Generator) -> Pixels:
    """Stripes of a screen's pixels beating with the sensor's, a third apart in each colour."""
    import cv2

    height, width = image.shape[:2]
    turn = rng.normal(0, 0.06)
    x = np.arange(width, dtype=np.float32)[None] * np.cos(turn)
    y = np.arange(height, dtype=np.float32)[:, None] * np.sin(turn)
    phase = 2 * np.pi * (x + y) / sensor.screen_period
    rows = (
        2 * np.pi * (np.arange(height, dtype=np.float32)[:, None] / (sensor.screen_period * 1.03))
    )
    shifts = rng.permutation(3) * 2 * np.pi / 3
    waves = [
        1 - sensor.screen_depth * (0.5 + 0.35 * np.cos(phase + s) + 0.15 * np.cos(rows))
        for s in shifts
    ]
    return np.asarray(cv2.multiply(image, cv2.merge(waves), dtype=cv2.CV_8U), np.uint8)
