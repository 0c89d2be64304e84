"""The application as tests serve it: small limits, and a stand-in for the work."""

from __future__ import annotations

import stand_in
from fastapi.testclient import TestClient

from ecg4u.web import create_app
from ecg4u.web.jobs import Jobs
from ecg4u.web.metrics import Metrics
from ecg4u.web.settings import Settings

SETTINGS = Settings(
    waiting=3,
    timeout_s=60.0,
    memory_mb=1500,
    max_upload_bytes=200_000,
    keep_s=60.0,
    keep_results=5,
    uploads_per_minute=1000,
)


def client_of(settings: Settings) -> TestClient:
    metrics = Metrics()
    jobs = Jobs(settings, metrics, work=stand_in.work, warm_up=stand_in.warm_up)
    return TestClient(create_app(settings, jobs=jobs, metrics=metrics))
