from __future__ import annotations

import pytest
from made_hearts import train

from ecg4u.record import ECGRecord


@pytest.fixture(scope="session")
def sinus() -> ECGRecord:
    return train()
