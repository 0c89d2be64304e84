from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from served import SETTINGS, client_of


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with client_of(SETTINGS) as client:
        yield client
