"""The log as JSON lines."""

from __future__ import annotations

import json
import logging

import pytest
import stand_in
from fastapi.testclient import TestClient

from ecg4u.web.logs import JsonLines


def test_a_request_is_one_object_without_anything_of_the_page(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="ecg4u.web"):
        client.post("/predict", files={"image": (f"{stand_in.PLANTED}.png", stand_in.page())})
    line = JsonLines().format(caplog.records[-1])
    said = json.loads(line)
    assert (said["method"], said["route"], said["status"]) == ("POST", "/predict", 200)
    assert set(said) == {"time", "level", "logger", "method", "route", "status", "ms"}
    assert "DOE" not in line


def test_other_messages_are_kept() -> None:
    record = logging.LogRecord("x", logging.WARNING, "", 0, "a %s", ("b",), None)
    assert json.loads(JsonLines().format(record))["message"] == "a b"
