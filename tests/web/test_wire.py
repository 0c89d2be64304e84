"""What arrives on the line: slow, broken, endless, and a stop in the middle."""

from __future__ import annotations

import gzip
import http.client
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import stand_in
from live import Live, live
from served import SETTINGS

from ecg4u.web import server

BOUNDARY = b"b0undary"
QUICK = replace(SETTINGS, body_timeout_s=0.4, stop_s=5.0)


@pytest.fixture(scope="module")
def running() -> Iterator[Live]:
    with live(QUICK) as service:
        yield service


def body(data: bytes, name: bytes = b"page.png") -> bytes:
    """A multipart body as python-requests writes it for ``files={"image": open(...)}``."""
    return (
        b"--" + BOUNDARY + b'\r\nContent-Disposition: form-data; name="image"; filename="'
        + name + b'"\r\n\r\n' + data + b"\r\n--" + BOUNDARY + b"--\r\n"
    )  # fmt: skip


def head(length: int | None, path: bytes = b"/v1/ecg") -> bytes:
    size = b"Transfer-Encoding: chunked" if length is None else b"Content-Length: %d" % length
    kind = b"Content-Type: multipart/form-data; boundary=" + BOUNDARY
    return b"\r\n".join([b"POST " + path + b" HTTP/1.1", b"Host: x", kind, size, b"", b""])


def chunk(data: bytes) -> bytes:
    return b"%x\r\n" % len(data) + data + b"\r\n"


def status(heard: bytes) -> int:
    return int(heard.split(b" ", 2)[1])


def test_a_client_as_the_first_ecg4us_sendpostreq_describes(running: Live, tmp_path: Path) -> None:
    picture = tmp_path / "ecg.png"
    picture.write_bytes(stand_in.page())
    line = http.client.HTTPConnection(*running.address, timeout=20)
    kind = f"multipart/form-data; boundary={BOUNDARY.decode()}"
    line.request("POST", "/predict", body(picture.read_bytes()), {"Content-Type": kind})
    answer = line.getresponse()
    assert answer.status == 200
    said = httpx.Response(200, content=answer.read()).json()["results"]
    assert {"classification": "afib", "result": True}.items() <= said[0].items()
    assert [row["classification"] for row in said[:2]] == ["afib", "iavb"]
    by_httpx = httpx.post(f"{running.url}/predict", files={"image": picture.open("rb")})
    assert by_httpx.json()["results"] == said
    assert httpx.get(running.url).json() == {"data": "Api running"}


def test_chunked_uploads_are_read(running: Live) -> None:
    whole = body(stand_in.page())
    half = len(whole) // 2
    parts = [head(None), chunk(whole[:half]), chunk(whole[half:]), b"0\r\n\r\n"]
    parts[0] = parts[0].replace(b"Host: x", b"Host: x\r\nConnection: close")
    assert status(running.say(*parts, pause_s=0.05)) == 200


def test_chunked_uploads_end_at_the_limit(running: Live) -> None:
    piece = chunk(bytes(50_000))
    start = chunk(body(b"\x89PNG\r\n\x1a\n")[:-20])
    heard = running.say(head(None), start, *[piece] * 40)
    assert status(heard) == 413
    assert b"connection: close" in heard.lower()


@pytest.mark.parametrize("length", [b"-1", b"x", b"9" * 30])
def test_lengths_that_lie(running: Live, length: bytes) -> None:
    sent = head(0).replace(b"Content-Length: 0", b"Content-Length: " + length)
    assert status(running.say(sent)) in (400, 413)


def test_an_upload_that_stops_is_told_so(running: Live) -> None:
    whole = body(stand_in.page())
    begun = time.monotonic()
    heard = running.say(head(len(whole)) + whole[:50])
    assert status(heard) == 408
    assert b"slow_upload" in heard
    assert time.monotonic() - begun < 3


def test_a_trickle_is_told_so_however_steady(running: Live) -> None:
    whole = body(stand_in.page() + bytes(5000))
    bytes_one_by_one = [whole[i : i + 1] for i in range(len(whole))]
    begun = time.monotonic()
    heard = running.say(head(len(whole)), *bytes_one_by_one, pause_s=0.05)
    assert heard == b"" or status(heard) == 408
    assert time.monotonic() - begun < 10 * QUICK.body_timeout_s + 3


def test_slow_headers_are_hung_up_on(running: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEADER_TIMEOUT_S", 0.4)
    begun = time.monotonic()
    assert running.say(b"") == b""
    assert running.say(*[b"GET /health HTTP/1.1\r\n", *[b"X-A: b\r\n"] * 40], pause_s=0.1) == b""
    assert time.monotonic() - begun < 8


def test_many_idle_lines_keep_no_one_out(running: Live) -> None:
    idle = [socket.create_connection(running.address) for _ in range(200)]
    for line in idle:
        line.sendall(b"POST /v1/ecg HTTP/1.1\r\nHost: x\r\nX-")
    begun = time.perf_counter()
    assert httpx.get(f"{running.url}/health").status_code == 200
    assert time.perf_counter() - begun < 1
    for line in idle:
        line.close()


@pytest.mark.parametrize("length", [None, 900_000])
def test_a_correction_of_what_is_not_there_is_refused_before_its_body(
    running: Live, length: int | None
) -> None:
    with socket.create_connection(running.address, timeout=10) as line:
        line.sendall(head(length, b"/v1/ecg/unknown/correct"))
        assert status(line.recv(1 << 16)) == 404


def test_large_corrections_keep_no_one_waiting(running: Live) -> None:
    upload = {"image": ("page.png", stand_in.page(), "image/png")}
    place = httpx.post(f"{running.url}/v1/ecg", files=upload, timeout=60).headers["location"]
    large = b'{"names": {"' + b"x" * 22_000_000

    def correct(_: int) -> int:
        return httpx.post(f"{running.url}{place}/correct", content=large, timeout=60).status_code

    with ThreadPoolExecutor(4) as pool:
        sent = [pool.submit(correct, number) for number in range(4)]
        slowest = 0.0
        while not all(future.done() for future in sent):
            begun = time.perf_counter()
            assert httpx.get(f"{running.url}/health").status_code == 200
            slowest = max(slowest, time.perf_counter() - begun)
    assert [future.result() for future in sent] == [413] * 4
    assert slowest < 1


def test_a_correction_without_a_length_ends_at_the_limit(running: Live) -> None:
    upload = {"image": ("page.png", stand_in.page(), "image/png")}
    place = httpx.post(f"{running.url}/v1/ecg", files=upload, timeout=60).headers["location"]
    piece = chunk(b"[" * 50_000)
    heard = running.say(head(None, f"{place}/correct".encode()), *[piece] * 30, b"0\r\n\r\n")
    assert status(heard) == 413


def test_an_upload_that_is_cut_off_harms_no_one(
    running: Live, caplog: pytest.LogCaptureFixture
) -> None:
    whole = body(stand_in.page())
    for cut in (0, 10, len(whole) // 2, len(whole) - 1):
        with socket.create_connection(running.address) as line:
            line.sendall(head(len(whole)) + whole[:cut])
    time.sleep(0.3)
    assert httpx.get(f"{running.url}/health").status_code == 200
    assert not any("Traceback" in (record.exc_text or "") for record in caplog.records)
    assert not any(record.exc_info for record in caplog.records)


def test_a_packed_body_is_not_unpacked(running: Live) -> None:
    packed = gzip.compress(body(bytes(50_000_000)))
    answer = httpx.post(
        f"{running.url}/v1/ecg",
        content=packed,
        headers={
            "Content-Type": f"multipart/form-data; boundary={BOUNDARY.decode()}",
            "Content-Encoding": "gzip",
        },
    )
    assert answer.status_code in (400, 415, 422)


def test_a_body_of_thousands_of_fields(running: Live) -> None:
    fields = {f"f{i}": "x" for i in range(2000)}
    files = {"image": ("page.png", stand_in.page(), "image/png")}
    answer = httpx.post(f"{running.url}/v1/ecg", files=files, data=fields)
    assert answer.status_code in (400, 413, 422)
    assert set(answer.json()["error"]) == {"code", "message", "hint", "stage"}


@pytest.mark.parametrize(
    "name",
    [
        b"../../../etc/passwd",
        b"C:\\Windows\\system32\\page.png",
        b"/dev/stdin",
        b"page.png\x00.exe",
        b"x" * 60_000,
        b"\xff\xfe\x00",
        b"a\r\nSet-Cookie: a=b",
        b"$(touch /tmp/x);`id`",
    ],
)
def test_file_names_mean_nothing(running: Live, name: bytes) -> None:
    whole = body(stand_in.page(), name)
    sent = head(len(whole)).replace(b"Host: x", b"Host: x\r\nConnection: close") + whole
    heard = running.say(sent)
    assert status(heard) in (200, 400, 422)
    answer_head = heard.split(b"\r\n\r\n")[0].lower()
    assert b"set-cookie" not in answer_head
    assert name[:20] not in heard


def test_nothing_of_the_inside_is_told(running: Live) -> None:
    places = ["/v1/ecg/%00", "/static/..%5c..%5capp.py", "/v1/ecg/x/correct", "/%ff"]
    answers = [httpx.get(running.url + place) for place in places]
    answers += [httpx.request("TRACE", running.url), httpx.post(f"{running.url}/v1/ecg")]
    answers.append(httpx.post(f"{running.url}/v1/ecg/x/correct", content=b"{" * 100_000))
    for answer in answers:
        assert 400 <= answer.status_code < 500
        for word in ("Traceback", "site-packages", ".py", "starlette", "pydantic", "uvicorn"):
            assert word not in answer.text
            assert word not in str(answer.headers)


@pytest.mark.parametrize(("believed", "statuses"), [(False, [200, 429]), (True, [200, 200])])
def test_a_clients_address_is_its_own_unless_a_proxy_is_expected(
    believed: bool, statuses: list[int]
) -> None:
    with live(replace(QUICK, uploads_per_minute=1, behind_proxy=believed)) as service:
        answers = [
            httpx.post(
                f"{service.url}/v1/ecg",
                files={"image": ("page.png", stand_in.page(), "image/png")},
                headers={"X-Forwarded-For": f"10.0.0.{number}"},
                timeout=60,
            )
            for number in (1, 2)
        ]
    assert [answer.status_code for answer in answers] == statuses


def test_a_stop_lets_the_page_in_hand_finish_and_sends_the_others_away() -> None:
    running = Live(QUICK)

    def upload(_: int) -> httpx.Response:
        files = {"image": ("page.png", stand_in.page("slower"), "image/png")}
        return httpx.post(f"{running.url}/v1/ecg", files=files, timeout=30)

    assert upload(0).status_code == 200
    folder = Path(running.jobs.folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(upload, i) for i in range(4)]
        time.sleep(0.7)
        running.stop()
        answers = [future.result() for future in waiting]
    running.join()
    assert sorted(answer.status_code for answer in answers) == [200, 503, 503, 503]
    for answer in answers:
        if answer.status_code == 503:
            assert answer.json()["error"]["code"] in ("stopping", "busy")
            assert int(answer.headers["retry-after"]) > 0
    assert not folder.exists()
