"""The page with its traces, and then its classes, before the whole result is there."""

from __future__ import annotations

import time
from pathlib import Path

import stand_in
from starlette.testclient import TestClient

from ecg4u.web import create_app
from ecg4u.web.jobs import Jobs
from ecg4u.web.metrics import Metrics
from ecg4u.web.settings import Settings


def test_traces_and_classes_come_before_the_result() -> None:
    settings, metrics = Settings(workers=1), Metrics()
    jobs = Jobs(settings, metrics, work=stand_in.work, warm_up=stand_in.warm_up)
    with TestClient(create_app(settings, jobs=jobs, metrics=metrics)) as client:
        sent = client.post(
            "/v1/ecg?wait=false", files={"image": ("p.png", stand_in.page("streams"))}
        )
        where = sent.headers["Location"]
        state = sent.json()
        while not (state["page"] and state["summary"]):
            assert state["state"] == "running"
            time.sleep(0.05)
            state = client.get(where).json()
        assert state["summary"][0]["title"] == "Atrial fibrillation"
        assert len(client.get(f"{where}/page").json()["segments"]) == len(stand_in.PAGE["segments"])
        assert client.get(f"{where}/page.webp").content[8:12] == b"WEBP"
        assert client.get(where).status_code == 202
        (Path(jobs.folder) / "go-on").touch()
        client.get(f"{where}/report")
        assert client.get(where).status_code == 200
        left = [path.name for path in Path(jobs.folder).glob("early-*")]
        assert left == []
