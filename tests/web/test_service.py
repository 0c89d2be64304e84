from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import stand_in
from fastapi.testclient import TestClient
from httpx import Response
from served import SETTINGS, client_of

from ecg4u.batch.command import n_cores
from ecg4u.cores import MAX_CORES, MB_PER_CORE
from ecg4u.web.app import page_policy
from ecg4u.web.jobs import Jobs
from ecg4u.web.metrics import Metrics
from ecg4u.web.problems import Problem

BOARD = Path(__file__).parents[2] / "deploy" / "grafana.json"
LEGACY = {"afib", "iavb", "lbbb", "rbbb", "pac", "pvc", "std", "ste", "normal"}


def send(client: TestClient, content: bytes, path: str = "/v1/ecg", **more: object) -> Response:
    return client.post(path, files={"image": ("page.png", content, "image/png")}, **more)


def test_the_first_ecg4us_client_gets_its_answer(client: TestClient) -> None:
    answer = send(client, stand_in.page(), "/predict")
    assert answer.status_code == 200
    results = {row["classification"]: row for row in answer.json()["results"]}
    assert set(results) == LEGACY
    assert results["afib"]["result"] is True
    assert results["normal"]["result"] is False
    assert results["afib"]["probability"] == 0.9
    assert "0.90" in results["afib"]["reason"]


def test_root_is_a_status_or_a_page_by_what_is_asked_for(client: TestClient) -> None:
    assert client.get("/").json() == {"data": "Api running"}
    page = client.get("/", headers={"Accept": "text/html,*/*;q=0.8"})
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["content-security-policy"] == page_policy()
    assert "unsafe" not in page_policy()
    assert client.head("/").status_code == 200


def test_the_interface_is_described_on_a_page_that_asks_nothing_of_others(
    client: TestClient,
) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    assert "POST /v1/ecg" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "src=" not in page.text


@pytest.mark.parametrize("path", ["app.js", "app.css", "icon.svg", "icon-192.png"])
def test_static_files_are_served_and_ask_no_one_else(client: TestClient, path: str) -> None:
    answer = client.get(f"/static/{path}")
    assert answer.status_code == 200
    text = answer.content.replace(b"http://www.w3.org/2000/svg", b"")
    assert b"http://" not in text
    assert b"https://" not in text


@pytest.mark.parametrize(
    "path", ["/static/../app.py", "/static/%2e%2e%2fapp.py", "/static/index.html"]
)
def test_nothing_else_is_served(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_page_weighs_less_than_its_budget(client: TestClient) -> None:
    html = client.get("/", headers={"Accept": "text/html"}).content
    parts = [client.get(f"/static/{name}").content for name in ("app.js", "app.css", "icon.svg")]
    assert len(html) + sum(map(len, parts)) < 300_000


def test_result_report_and_signals_by_id(client: TestClient) -> None:
    answer = send(client, stand_in.page(), data={"options": '{"gain_mm_per_mv": 5}'})
    assert answer.status_code == 200
    assert answer.json()["options"]["gain_mm_per_mv"] == 5
    where = answer.headers["location"]
    assert client.get(where).json() == answer.json()
    report = client.get(f"{where}/report")
    assert report.text.startswith("<!doctype html>")
    assert "default-src 'none'" in report.headers["content-security-policy"]
    assert client.get(f"{where}/signals.zip").content == b"PK"
    assert client.get(f"{where}/signals.csv").text == "I,II\n"
    for path in ("", "/report", "/signals.zip", "/signals.csv"):
        assert client.get(where + path).headers["cache-control"] == "no-store"


def test_page_and_report_follow_the_browsers_language(client: TestClient) -> None:
    said = {"Accept": "text/html", "Accept-Language": "es-MX,es;q=0.9"}
    page = client.get("/", headers=said)
    assert page.headers["content-language"] == "es"
    assert "Accept-Language" in page.headers["vary"]
    assert "Elegir un archivo" in page.text
    files = {"image": ("page", stand_in.page())}
    answer = client.post("/v1/ecg", files=files, headers={"Accept-Language": "es"})
    assert answer.json()["options"]["language"] == "es"
    assert "language" not in send(client, stand_in.page()).json()["options"]


EXPORT_TYPES = {
    "report.pdf": "application/pdf",
    "signals.dcm": "application/dicom",
    "report.dcm": "application/dicom",
    "fhir.json": "application/fhir+json",
}


def test_exports_are_there_where_they_were_asked_for(client: TestClient) -> None:
    options = '{"exports": ["pdf", "dicom", "fhir"]}'
    where = send(client, stand_in.page(), data={"options": options}).headers["location"]
    for name, media_type in EXPORT_TYPES.items():
        answer = client.get(f"{where}/{name}")
        assert (answer.status_code, answer.content) == (200, name.encode())
        assert answer.headers["content-type"] == media_type
        assert answer.headers["cache-control"] == "no-store"
    again = client.post(f"{where}/correct", json={"speed_mm_per_s": 50}).headers["location"]
    assert client.get(f"{again}/report.pdf").status_code == 200


def test_exports_that_were_not_asked_for_are_not_there(client: TestClient) -> None:
    where = send(client, stand_in.page(), data={"options": '{"exports": ["pdf"]}'}).headers[
        "location"
    ]
    answer = client.get(f"{where}/fhir.json")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_exported")
    assert client.get("/v1/ecg/none/fhir.json").json()["error"]["code"] == "unknown_result"
    assert (
        send(client, stand_in.page(), data={"options": '{"exports": ["exe"]}'}).status_code == 422
    )


def test_a_correction_uses_the_page_that_was_sent(client: TestClient) -> None:
    options = '{"explain": false, "age": 61, "sex": "F"}'
    first = send(client, stand_in.page(), data={"options": options})
    again = client.post(first.headers["location"] + "/correct", json={"speed_mm_per_s": 50})
    assert again.status_code == 200
    said = {"explain": False, "page": 1, "age": 61, "sex": "F", "exports": []}
    assert again.json()["options"] == {**said, "correction": {"speed": 50}}
    assert again.headers["location"] != first.headers["location"]
    older = client.post(
        again.headers["location"] + "/correct", json={"age": 62, "speed_mm_per_s": 25}
    )
    assert older.json()["options"] == said | {"age": 62, "correction": {"speed": 25}}


def test_not_waiting_gives_stages_then_the_result(client: TestClient) -> None:
    answer = send(client, stand_in.page("slow"), "/v1/ecg?wait=false")
    assert answer.status_code == 202
    assert answer.json()["state"] == "running"
    where = answer.headers["location"]
    for _ in range(100):
        answer = client.get(where)
        if answer.status_code == 200:
            break
        time.sleep(0.05)
    assert answer.json()["classification"]["verdict"] == "ok"


def test_who_waits_is_told_how_many_come_first(client: TestClient) -> None:
    places = [send(client, stand_in.page("slow"), "/v1/ecg?wait=false") for _ in range(3)]
    ahead = [client.get(answer.headers["location"]).json().get("ahead", 0) for answer in places]
    assert ahead[2] >= ahead[1] >= ahead[0]
    assert ahead[2] >= 1
    for answer in places:
        while client.get(answer.headers["location"]).status_code == 202:
            time.sleep(0.05)


def test_deleted_means_gone(client: TestClient) -> None:
    where = send(client, stand_in.page()).headers["location"]
    assert client.delete(where).status_code == 204
    gone = client.get(where)
    assert gone.status_code == 404
    assert gone.json()["error"]["code"] == "unknown_result"
    assert client.delete(where).status_code == 404


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"", 422, "unreadable_input"),
        (b"MZ\x90 not a picture", 415, "wrong_type"),
        (b"<svg onload=alert(1)>", 415, "wrong_type"),
        (b"PK\x03\x04" + bytes(50), 415, "wrong_type"),
        (stand_in.page()[:40], 422, "unreadable_input"),
        (stand_in.page("refuse"), 422, "not_an_ecg"),
        (b"\x89PNG\r\n\x1a\n" + bytes(250_000), 413, "too_large"),
        (b"\x89PNG\r\n\x1a\n" + bytes(900_000), 413, "too_large"),
    ],
)
def test_bad_input_gets_its_status_and_a_hint(
    client: TestClient, data: bytes, status: int, code: str
) -> None:
    for path in ("/v1/ecg", "/predict"):
        answer = send(client, data, path)
        assert answer.status_code == status
        assert answer.json()["error"]["code"] == code
        assert answer.json()["error"]["message"]
        assert answer.json()["error"]["hint"]


def test_a_body_without_a_length_is_cut_off_at_the_limit(client: TestClient) -> None:
    def endless() -> object:
        yield b'--b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n\x89PNG'
        for _ in range(100):
            yield bytes(10_000)

    answer = client.post(
        "/v1/ecg",
        content=endless(),
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "options",
    [
        "",
        "[]",
        "nonsense",
        '{"gain_mm_per_mv": "x"}',
        '{"gain_mm_per_mv": -1}',
        '{"a": 1}',
        '{"age": -1}',
        '{"sex": "f"}',
    ],
)
def test_options_that_make_no_sense(client: TestClient, options: str) -> None:
    answer = send(client, stand_in.page(), data={"options": options or " "})
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "usage"


def test_requests_of_another_shape(client: TestClient) -> None:
    assert client.post("/v1/ecg").status_code == 422
    assert client.post("/v1/ecg", data={"image": "text"}).status_code == 422
    assert client.post("/predict", content=b"raw").status_code == 422
    assert client.put("/predict").status_code == 405
    assert client.get("/v1/ecg/../../etc/passwd").status_code == 404
    broken = client.post("/v1/ecg", content=b"--x", headers={"Content-Type": "multipart/form-data"})
    assert broken.status_code in (400, 422)


@pytest.mark.parametrize(
    ("act", "status", "code"),
    [("die", 422, "crashed"), ("hog", 422, "too_much_memory")],
)
def test_a_page_that_breaks_its_worker_harms_no_other(
    client: TestClient, act: str, status: int, code: str
) -> None:
    answer = send(client, stand_in.page(act))
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert send(client, stand_in.page()).status_code == 200


@pytest.mark.parametrize(("act", "timeout_s"), [("spin", 0.5), ("hang", 0.1)])
def test_a_page_that_takes_too_long_is_given_up(act: str, timeout_s: float) -> None:
    with client_of(replace(SETTINGS, timeout_s=timeout_s)) as client:
        answer = send(client, stand_in.page(act))
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "too_slow")


def test_internals_stay_inside(client: TestClient) -> None:
    answer = send(client, stand_in.page("break"))
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "RuntimeError" not in answer.text


def test_planted_names_come_out_nowhere(
    client: TestClient, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    name = "../../etc/JANE_DOE\n1950-01-01.png"
    texts = []
    for act in ("answer", "refuse", "break"):
        files = {"image": (name, stand_in.page(act), "image/png")}
        for path in ("/predict", "/v1/ecg"):
            answer = client.post(path, files=files, data={"options": '{"name": "JANE"}'})
            texts.append(answer.text + str(answer.headers))
            answer = client.post(path, files=files)
            texts.append(answer.text + str(answer.headers))
    texts += [client.get("/metrics").text, *capfd.readouterr()]
    texts += [record.getMessage() for record in caplog.records if record.name.startswith("ecg4u")]
    for text in texts:
        assert "JANE" not in text
        assert "1950" not in text
        assert "52.09" not in text


def test_a_full_queue_says_when_to_come_back(client: TestClient) -> None:
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: send(client, stand_in.page("slow")), range(20)))
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) == {200, 503}
    assert statuses.count(200) >= 2
    assert all(int(a.headers["retry-after"]) > 0 for a in answers if a.status_code == 503)


def test_one_address_keeps_a_worker_free_for_others() -> None:
    async def run() -> None:
        jobs = Jobs(SETTINGS, Metrics(), work=stand_in.work, warm_up=stand_in.warm_up)
        jobs.open()
        try:
            busy = jobs.submit(stand_in.page("hang"), {}, "10.0.0.1")
            own = jobs.submit(stand_in.page(), {}, "10.0.0.1")
            other = jobs.submit(stand_in.page(), {}, "10.0.0.2")
            await asyncio.wait_for(other.finished.wait(), 60)
            assert other.problem is None
            assert not busy.finished.is_set()
            assert not own.finished.is_set()
            jobs.submit(stand_in.page(), {}, "10.0.0.1")
            with pytest.raises(Problem):  # more than half of all places
                jobs.submit(stand_in.page(), {}, "10.0.0.1")
            last = jobs.submit(stand_in.page(), {}, "10.0.0.2")
            await asyncio.wait_for(last.finished.wait(), 60)
            assert last.problem is None
        finally:
            await jobs.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ('{"age": "DOE"}', "The option age is invalid.", "Input should be a valid number. "),
        ('{"DOE": 1}', "There is no such option.", "Known: "),
        ("DOE", "The options are not a JSON object.", "See AnalysisOptions"),
        ("[]", "The options are not a JSON object.", "See AnalysisOptions"),
    ],
)
def test_a_wrong_option_is_named_and_nothing_of_it_repeated(
    client: TestClient, options: str, message: str, hint: str
) -> None:
    answer = send(client, stand_in.page(), data={"options": options})
    assert answer.status_code == 422
    assert answer.json()["error"]["message"] == message
    assert answer.json()["error"]["hint"].startswith(hint)
    assert "DOE" not in answer.text


def test_every_worker_is_warm_before_the_service_is_ready() -> None:
    async def run() -> None:
        jobs = Jobs(SETTINGS, Metrics(), work=stand_in.work, warm_up=stand_in.warm_up)
        jobs.open()
        try:
            until = time.monotonic() + 60
            while not jobs.ready and time.monotonic() < until:
                await asyncio.sleep(0.05)
            assert len(list(Path(jobs.folder).glob("warm-*"))) == SETTINGS.workers
        finally:
            await jobs.close()

    asyncio.run(run())


def test_a_page_that_comes_alone_has_the_cores_of_the_other_workers() -> None:
    async def run() -> None:
        jobs = Jobs(SETTINGS, Metrics(), work=stand_in.work, warm_up=stand_in.warm_up)
        jobs.open()
        try:
            alone = jobs.submit(stand_in.page(), {}, "10.0.0.1")
            await asyncio.wait_for(alone.finished.wait(), 60)
            jobs.submit(stand_in.page("hang"), {}, "10.0.0.1")
            await asyncio.sleep(0)
            beside = jobs.submit(stand_in.page(), {}, "10.0.0.2")
            await asyncio.wait_for(beside.finished.wait(), 60)
            n = n_cores()
            for job, among in ((alone, 1), (beside, 2)):
                assert job.outcome is not None
                share = max(1, n // among)
                most = min(share, SETTINGS.memory_mb // MB_PER_CORE, MAX_CORES)
                assert json.loads(job.outcome.result)["cores"] == most
        finally:
            await jobs.close()

    asyncio.run(run())


def test_results_are_forgotten_in_time_and_beyond_a_number() -> None:
    with client_of(replace(SETTINGS, keep_s=0.4, keep_results=2)) as client:
        places = [send(client, stand_in.page()).headers["location"] for _ in range(3)]
        assert client.get(places[0]).status_code == 404
        assert client.get(places[2]).status_code == 200
        time.sleep(0.8)
        assert client.get(places[2]).status_code == 404


def test_a_token_is_asked_for_and_the_shell_is_open() -> None:
    with client_of(replace(SETTINGS, token="right")) as client:
        assert send(client, stand_in.page()).status_code == 401
        wrong = send(client, stand_in.page(), headers={"Authorization": "Bearer wrong"})
        assert wrong.status_code == 401
        right = {"Authorization": "Bearer right"}
        where = send(client, stand_in.page(), headers=right).headers["location"]
        assert client.get(where).status_code == 401
        assert client.get(where, headers=right).status_code == 200
        assert client.get("/metrics").status_code == 401
        for path in ("/", "/health", "/ready", "/static/app.js"):
            assert client.get(path).status_code in (200, 503)


def test_too_many_uploads_from_one_address() -> None:
    with client_of(replace(SETTINGS, uploads_per_minute=2)) as client:
        answers = [send(client, stand_in.page("refuse")) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [422, 422, 429]
        assert int(answers[2].headers["retry-after"]) > 0
        assert client.get("/health").status_code == 200


def test_other_origins_are_let_in_only_by_name(client: TestClient) -> None:
    asked = {"Origin": "https://clinic.example"}
    assert "access-control-allow-origin" not in client.get("/", headers=asked).headers
    with client_of(replace(SETTINGS, cors_origins=("https://clinic.example",))) as open_client:
        allowed = open_client.get("/", headers=asked).headers["access-control-allow-origin"]
        assert allowed == "https://clinic.example"
        other = open_client.get("/", headers={"Origin": "https://other.example"})
        assert "access-control-allow-origin" not in other.headers


def test_health_metrics_and_headers(client: TestClient) -> None:
    send(client, stand_in.page())
    assert client.get("/health").json() == {"status": "ok"}
    end = time.monotonic() + 60  # one worker may have answered before the other has started
    while client.get("/ready").status_code != 200:
        assert time.monotonic() < end
        time.sleep(0.05)
    text = client.get("/metrics").text
    assert 'ecg4u_requests_total{method="POST",route="/v1/ecg",status="200"}' in text
    assert 'ecg4u_analyses_total{outcome="ok"}' in text
    board = json.loads(BOARD.read_text())
    for expression in (target["expr"] for panel in board["panels"] for target in panel["targets"]):
        (name,) = re.findall(r"ecg4u_\w+", expression)
        assert re.search(rf"^{name}[ {{]", text, re.MULTILINE)
    headers = client.get("/health").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in headers["content-security-policy"]


def test_openapi_names_every_route(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/", "/predict", "/v1/ecg", "/v1/ecg/{identifier}", "/health", "/metrics"} <= set(paths)
    assert "503" in paths["/predict"]["post"]["responses"]


def test_only_the_names_of_this_machine_are_answered() -> None:
    with client_of(replace(SETTINGS, hosts=("127.0.0.1", "localhost"))) as client:
        good = client.get("/health", headers={"Host": "127.0.0.1:8080"})
        assert good.status_code == 200
        assert client.get("/health", headers={"Host": "evil.example"}).status_code == 400
