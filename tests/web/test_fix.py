"""``ecg4u fix``: what is corrected in the browser stands in the page's sidecar."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
import stand_in
from starlette.testclient import TestClient

from ecg4u.errors import ECG4UError, UsageError
from ecg4u.web import create_app
from ecg4u.web.fix import of_one_page
from ecg4u.web.settings import Settings


def test_a_correction_is_written_beside_the_page(tmp_path: Path) -> None:
    page, target = tmp_path / "p.png", tmp_path / "p.page.json"
    page.write_bytes(stand_in.page())
    told: list[str] = []
    open_ = threading.Event()

    def announce(identifier: str) -> None:
        told.append(identifier)
        open_.set()

    settings = Settings(workers=1)
    jobs = of_one_page(
        page, target, settings, announce, work=stand_in.work, warm_up=stand_in.warm_up
    )
    with TestClient(create_app(settings, jobs=jobs)) as client:
        assert open_.wait(30)
        assert client.get(f"/v1/ecg/{told[0]}/report").status_code == 200
        assert not target.exists()
        done = client.post(f"/v1/ecg/{told[0]}/correct", json={"names": {"1.1": "II"}})
        assert done.status_code == 200
    assert json.loads(target.read_text()) == json.loads(json.dumps(stand_in.PAGE))


def test_what_is_no_page_or_another_pages_sidecar_is_refused(tmp_path: Path) -> None:
    record, page = tmp_path / "r.csv", tmp_path / "p.png"
    record.write_text("I,II\n0,0\n")
    page.write_bytes(stand_in.page())
    with pytest.raises(UsageError):
        of_one_page(record, tmp_path / "r.page.json", Settings(), print)
    target = tmp_path / "p.page.json"
    target.write_text("{}")
    with pytest.raises(ECG4UError):
        of_one_page(page, target, Settings(), print)
