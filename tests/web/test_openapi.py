"""schemathesis against the OpenAPI document of a running service."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import stand_in
from live import Live, live
from served import SETTINGS

pytest.importorskip("schemathesis")
pytestmark = pytest.mark.slow

CONFIG = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 404, 413, 415, 422, 429, 503]
"""
"""No schema can say that a file must be a picture of an ECG: such refusals are right answers."""
EXAMPLES = "10"


@pytest.fixture(scope="module")
def running() -> Iterator[Live]:
    settings = replace(SETTINGS, uploads_per_minute=1_000_000, keep_results=1_000_000)
    with live(settings) as service:
        yield service


def findings(running: Live, config: str, folder: Path, *options: str) -> str:
    """What schemathesis says, and that it has nothing to complain about."""
    path = folder / "schemathesis.toml"
    path.write_text(config)
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(path), "run"]
    command += [f"{running.url}/openapi.json", "-n", EXAMPLES, "--seed", "1", *options]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    return done.stdout


def test_the_service_keeps_to_its_document(running: Live, tmp_path: Path) -> None:
    said = findings(running, CONFIG, tmp_path)
    paths = httpx.get(f"{running.url}/openapi.json").json()["paths"]
    operations = sum(len(methods) for methods in paths.values())
    assert f"{operations} selected / {operations} total" in said


def test_so_it_does_where_a_result_is(running: Live, tmp_path: Path) -> None:
    files = {"image": ("page.png", stand_in.page(), "image/png")}
    options = {"options": '{"exports": ["pdf", "dicom", "fhir"]}'}
    answer = httpx.post(f"{running.url}/v1/ecg", files=files, data=options)
    where = answer.headers["location"]
    known = f'\n[parameters]\n"path.identifier" = "{where.rpartition("/")[2]}"\n'
    said = findings(running, CONFIG + known, tmp_path, "--exclude-method", "DELETE")
    assert "repeatedly returned 404" not in said
    assert httpx.get(running.url + where).status_code == 200


def test_a_refused_method_says_which_are_right(running: Live) -> None:
    answer = httpx.put(f"{running.url}/v1/ecg/x")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "DELETE, GET"
