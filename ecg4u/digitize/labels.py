"""Lead names printed on the page."""

from __future__ import annotations

from ecg4u.digitize.page import RectifiedPage
from ecg4u.digitize.result import Label


def read_labels(rectified: RectifiedPage) -> tuple[Label, ...]:
    """The lead names that can be read, each with its probability and box in rectified px."""
    from ecg4u.digitize.names import find_labels

    return tuple(find_labels(rectified.image))
