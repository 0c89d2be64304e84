from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest


@pytest.fixture
def unheeded() -> Iterator[list[int]]:
    """SIGTERMs that nothing but the test received: without it they would end the tests."""
    received: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: received.append(number))
    yield received
    signal.signal(signal.SIGTERM, before)
