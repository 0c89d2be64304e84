"""Values from outside, read as what they should be or refused with their place."""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from typing import Any

import numpy as np

from ecg4u.digitize.sidecar.content import STAGE, Corner, Points
from ecg4u.errors import SidecarError
from ecg4u.record import LEADS

MAX_POINTS = 20_000
MAX_SOURCE_PX = 100_000.0
MIN_CORNER_SHARE = 0.01
"""Least share of the image that four corners may enclose."""
REPAIR = "Start again from the sidecar that `ecg4u digitize` wrote; docs/sidecar.md describes it."


class Value:
    """A value of the sidecar with its place, read as what it should be or refused."""

    def __init__(self, value: Any, where: str) -> None:
        self.value = value
        self.where = where

    def wrong(self, rule: str) -> SidecarError:
        """The error that says that this value breaks a rule."""
        return SidecarError(f"In the sidecar, {self.where} {rule}.", stage=STAGE, hint=REPAIR)

    def members(self, names: Collection[str], optional: Collection[str] = ()) -> dict[str, Value]:
        """An object with just these members."""
        if not isinstance(self.value, dict):
            raise self.wrong("must be an object")
        if missing := [name for name in names if name not in self.value]:
            raise self.wrong(f'lacks "{missing[0]}"')
        if any(name not in names and name not in optional for name in self.value):
            raise self.wrong("has an unknown member")
        prefix = f"{self.where}." if self.where != "all" else ""
        return {name: Value(item, f"{prefix}{name}") for name, item in self.value.items()}

    def items(self, most: int, least: int = 0) -> list[Value]:
        """A list of at most ``most`` values."""
        if not isinstance(self.value, (list, tuple)):
            raise self.wrong("must be a list")
        if not least <= len(self.value) <= most:
            raise self.wrong(f"must have {least} to {most} items")
        return [Value(item, f"{self.where}[{i}]") for i, item in enumerate(self.value)]

    def number(self, low: float, high: float) -> float:
        """A finite number within limits."""
        value = self.value
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.wrong("must be a number")
        if not low <= value <= high or not math.isfinite(value):
            raise self.wrong(f"must be from {low:g} to {high:g}")
        return float(value)

    def whole(self, low: int, high: int) -> int:
        """A whole number within limits."""
        value = self.number(low, high)
        if value != int(value):
            raise self.wrong("must be a whole number")
        return int(value)

    def flag(self) -> bool:
        """True or false."""
        if not isinstance(self.value, bool):
            raise self.wrong("must be true or false")
        return self.value

    def text(self, most: int = 200) -> str:
        """A printable string of at most ``most`` characters."""
        value = self.value
        if not isinstance(value, str) or len(value) > most or not value.isprintable():
            raise self.wrong(f"must be a line of at most {most} characters")
        return self.value

    def word(self, pattern: str) -> str:
        """A string that a pattern matches as a whole."""
        if not isinstance(self.value, str) or not re.fullmatch(pattern, self.value):
            raise self.wrong("is not in the expected form")
        return self.value

    def one_of(self, choices: Collection[str]) -> str:
        """One of some words."""
        if not isinstance(self.value, str) or self.value not in choices:
            raise self.wrong("must be one of " + ", ".join(choices))
        return self.value

    def lead_or_none(self) -> str | None:
        """A lead's name, or null."""
        if self.value is None:
            return None
        if not isinstance(self.value, str) or self.value not in LEADS:
            raise self.wrong("must be null or one of " + ", ".join(LEADS))
        return self.value

    def or_none(self) -> Value | None:
        """None for null."""
        return None if self.value is None else self

    def point(self) -> tuple[float, float]:
        """Two numbers, source px."""
        x, y = self.items(2, 2)
        return x.number(-MAX_SOURCE_PX, MAX_SOURCE_PX), y.number(-MAX_SOURCE_PX, MAX_SOURCE_PX)

    def line(self) -> Points:
        """Points (n, 2), null (a gap) as NaN."""
        nan = (math.nan, math.nan)
        points = [nan if item.value is None else item.point() for item in self.items(MAX_POINTS)]
        return np.array(points, dtype=np.float64).reshape(-1, 2)


def read_corners(value: Value, size: tuple[int, int]) -> tuple[Corner, ...]:
    """Four corners, clockwise, that enclose a convex piece of the image."""
    corners = tuple(item.point() for item in value.items(4, 4))
    sides = np.diff([*corners, corners[0]], axis=0)
    turns = [float(np.linalg.det(np.stack([sides[i], sides[(i + 1) % 4]]))) for i in range(4)]
    if min(turns) <= 0:
        raise value.wrong("must run clockwise around the page and not cross")
    x, y = np.array(corners).T
    area = 0.5 * abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))))
    if area < MIN_CORNER_SHARE * size[0] * size[1]:
        raise value.wrong("must enclose a larger part of the page")
    beyond = np.array([[-0.5, -0.5], [1.5, 1.5]]) * size
    if (np.array(corners) < beyond[0]).any() or (np.array(corners) > beyond[1]).any():
        raise value.wrong("must lie on the page")
    return corners
